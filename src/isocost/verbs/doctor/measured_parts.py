"""A step as a trace measured it, beside the step as the model predicts it: term by term, and as a waterfall.

Parts are shares of the window of the trace, mean over its ranks, times the step time of the run. Ranks that compute
less wait in collectives for the one that computes most: with several ranks that wait, the most computing less the mean,
is taken out of the exposed traffic and shown as imbalance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from isocost.measure import RankTrace, TraceSummary
from isocost.perf.block import Phase, block_times
from isocost.perf.constants import Constant
from isocost.perf.lowering import columns
from isocost.perf.predict import coefficient_columns
from isocost.verbs.doctor.run import Drop, ExaminedRun
from isocost.verbs.doctor.traffic import CP, DP, EP, PP, TP, parallelism

MATRIX, ATTENTION, POINTWISE = "matrix products", "attention", "norms and elementwise"
OPTIMIZER, COPIES, DATA, HOST = "optimizer", "exposed copies", "data stalls", "host"
UNKNOWN = "traffic of unknown group"
IMBALANCE = "imbalance of ranks"
TRAFFIC: Final[Mapping[str, str]] = {
    TP: "exposed tensor-parallel traffic",
    EP: "exposed expert-parallel traffic",
    CP: "exposed context-parallel traffic",
    DP: "exposed data-parallel traffic",
    PP: "pipeline bubble",  # a stage that waits for its neighbor waits in a receive
}
_CLASSES: Final[Mapping[str, tuple[str, ...]]] = {
    MATRIX: ("gemm",),
    ATTENTION: ("attention",),
    POINTWISE: ("norm", "embedding", "pointwise", "convolution", "other"),
    OPTIMIZER: ("optimizer",),
}
# Of the model's step, by part of the trace; the head is a matrix product, jitter is time in which nothing runs.
_PREDICTED: Final[Mapping[str, tuple[str, ...]]] = {
    MATRIX: ("gemm_s", "expert_s", "head_s"),
    ATTENTION: ("attention_s",),
    POINTWISE: ("pointwise_s",),
    OPTIMIZER: ("optimizer_s",),
    TRAFFIC[TP]: ("tp_s",),
    TRAFFIC[EP]: ("ep_s",),
    TRAFFIC[CP]: ("cp_s",),
    TRAFFIC[DP]: ("dp_s",),
    TRAFFIC[PP]: ("pp_s", "bubble_s"),
    HOST: ("host_s", "other_s"),
}
MEASURED, INFERRED, SPLIT = "measured", "inferred", "measured, recompute inferred"
LARGE_FRAC: Final = 0.02  # of the step: the noise between two runs; a smaller difference suggests nothing
_SLOWER: Final[Mapping[str, str]] = {
    MATRIX: "small or odd shapes, another precision than said, or low clocks",
    ATTENTION: "another attention kernel than said, or masks that it does not skip",
    POINTWISE: "norms, rotary or activations that are not fused: compile",
    OPTIMIZER: "an optimizer that is not fused, or state that is not sharded",
    TRAFFIC[TP]: "tensor ranks beyond the NVLink domain, or a slow rank they wait for",
    TRAFFIC[EP]: "uneven routing, or experts spread over a slow network",
    TRAFFIC[CP]: "a ring over a slow network, or uneven masks",
    TRAFFIC[DP]: "a slower network than said, gathers without prefetch, or a slow rank they wait for",
    TRAFFIC[PP]: "uneven stages, or too few micro-batches",
    HOST: "a host that launches too slowly: compile, CUDA graphs, fewer .item(); or the profiler itself",
    COPIES: "copies in the step: .item(), .cpu(), offloading, memory that is not pinned",
    DATA: "a data loader that is too slow: more workers, prefetching, faster storage",
    UNKNOWN: "name the groups: newer PyTorch records them",
    IMBALANCE: "one rank with more work or slower clocks: compare the ranks",
}
_FASTER: Final = "better than the fit, or the scenario says another layout, kernel or precision than the run had"


@dataclass(frozen=True, slots=True, kw_only=True)
class TermDifference:
    """One part of the step, as the trace measured it and as the model predicts it."""

    name: str
    measured_s: float
    predicted_s: float
    suggests: str  # what a difference that is large may come from

    @property
    def difference_s(self) -> float:
        """Measured less predicted."""
        return self.measured_s - self.predicted_s

    @property
    def difference_frac(self) -> float | None:
        """Measured over predicted, less one; None where nothing is predicted."""
        return self.measured_s / self.predicted_s - 1.0 if self.predicted_s > 0.0 else None


def measured_parts(run: ExaminedRun, trace: TraceSummary) -> dict[str, float]:
    """Return the seconds of a step by part; they add up to the step. Empty where not all kernels were traced."""
    if any(rank.cut for rank in trace.ranks):
        return {}
    ranks = [rank for rank in trace.ranks if rank.kernels and rank.window_s > 0.0]
    if not ranks:
        return {}
    shares: dict[str, float] = dict.fromkeys((*_CLASSES, *TRAFFIC.values(), UNKNOWN, COPIES, DATA), 0.0)
    for rank in ranks:
        for name, seconds in _of_rank(rank, run).items():
            shares[name] += seconds / rank.window_s / len(ranks)
    compute = np.array([rank.compute_s / rank.window_s for rank in ranks])
    traffic = math.fsum(shares[name] for name in (*TRAFFIC.values(), UNKNOWN))
    waited = min(float(compute.max() - compute.mean()), traffic)
    for name in (*TRAFFIC.values(), UNKNOWN):
        shares[name] *= 1.0 - waited / traffic if traffic > 0.0 else 1.0
    parts = {name: share * run.measured_s for name, share in (*shares.items(), (IMBALANCE, waited))}
    return parts | {HOST: run.measured_s - math.fsum(parts.values())}


def _of_rank(rank: RankTrace, run: ExaminedRun) -> dict[str, float]:
    """Return the seconds of a rank's window, without its idle time but with what of it waits for data."""
    found = {name: math.fsum(rank.alone_s.get(kind, 0.0) for kind in kinds) for name, kinds in _CLASSES.items()}
    for part in rank.collectives:
        known = parallelism(part, run.case)
        name = UNKNOWN if known is None else TRAFFIC[known]
        found[name] = found.get(name, 0.0) + part.exposed_s
    return found | {COPIES: rank.exposed_copy_s, DATA: rank.data_wait_s}


def replayed(run: ExaminedRun, constants: Mapping[str, Constant]) -> dict[str, float]:
    """Return the recompute of the model's step by cause: gemm_s, attention_s, ..."""
    replay = block_times(columns([run.case]), coefficient_columns([run.case], constants)).replay
    seconds = {field.name: float(np.ravel(getattr(replay, field.name))[0]) for field in fields(Phase)}
    total = math.fsum(seconds.values())
    if total <= 0.0:
        return dict.fromkeys(seconds, 0.0)
    return {name: value / total * float(run.time.recompute_s) for name, value in seconds.items()}


def predicted_parts(run: ExaminedRun, again: Mapping[str, float]) -> dict[str, float]:
    """Return the model's step by the parts of a trace, what is recomputed in the part that runs it."""
    return {
        name: math.fsum(float(getattr(run.time, part)) + again.get(part, 0.0) for part in parts)
        for name, parts in _PREDICTED.items()
    }


def compare_terms(
    run: ExaminedRun, parts: Mapping[str, float], again: Mapping[str, float]
) -> tuple[TermDifference, ...]:
    """Return measured beside predicted, part by part; the differences add up to measured less predicted step."""
    predicted = predicted_parts(run, again)
    rows = []
    for name in dict.fromkeys((*_PREDICTED, *parts)):
        measured, said = parts.get(name, 0.0), predicted.get(name, 0.0)
        if measured == 0.0 and said == 0.0:
            continue
        large = abs(measured - said) > LARGE_FRAC * run.measured_s
        suggests = "" if not large else _SLOWER[name] if measured > said else _FASTER
        rows.append(TermDifference(name=name, measured_s=measured, predicted_s=said, suggests=suggests))
    return tuple(rows)


def measured_waterfall(run: ExaminedRun, parts: Mapping[str, float], again: Mapping[str, float]) -> tuple[Drop, ...]:
    """From peak to achieved MFU with the parts of a trace; what is recomputed is the predicted share of its part."""
    step, mfu = run.measured_s, run.mfu_at(run.measured_s)
    predicted = predicted_parts(run, again)
    replay = {
        name: parts[name] * math.fsum(again[part] for part in _PREDICTED[name] if part in again) / predicted[name]
        for name in (MATRIX, ATTENTION, POINTWISE)
        if predicted[name] > 0.0
    }
    ideal_s = mfu * step
    kernels = parts[MATRIX] + parts[ATTENTION] - replay.get(MATRIX, 0.0) - replay.get(ATTENTION, 0.0) - ideal_s
    how = SPLIT if any(replay.values()) else MEASURED
    rows = [
        ("kernel efficiency", kernels, how),
        ("memory-bound operators", parts[POINTWISE] - replay.get(POINTWISE, 0.0), how),
        ("recompute", math.fsum(replay.values()), INFERRED),
        *((name, parts[name], MEASURED) for name in (*TRAFFIC.values(), UNKNOWN)),
        *((name, parts[name], MEASURED) for name in (IMBALANCE, COPIES, DATA, HOST, OPTIMIZER)),
    ]
    return (
        Drop(name="model FLOPs at peak", s=ideal_s, mfu=mfu, how=MEASURED),
        *(Drop(name=name, s=value, mfu=-value / step, how=how) for name, value, how in rows),
        Drop(name="unexplained", s=0.0, mfu=0.0, how=MEASURED),  # what no kernel, copy or data fills is the host's
    )


def with_data_stalls(drops: tuple[Drop, ...], data_s: float) -> tuple[Drop, ...]:
    """Return an inferred waterfall with the waits for data that a log prints, out of what was unexplained."""
    step_s = math.fsum(drop.s for drop in drops)
    *others, left = drops
    rest = step_s - math.fsum(drop.s for drop in others) - data_s
    return (
        *others,
        Drop(name=DATA, s=data_s, mfu=-data_s / step_s, how=MEASURED),
        replace(left, s=rest, mfu=-rest / step_s),
    )
