"""A measured run beside the model's prediction of it: its case, its waterfall, and the model calibrated on it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isocost.catalog.records import peak
from isocost.catalog.store import Catalog
from isocost.errors import InputError, Problem
from isocost.perf.case import Case
from isocost.perf.constants import Constant
from isocost.perf.lowering import columns
from isocost.perf.lowering_memory import capacity_bytes
from isocost.perf.predict import predict
from isocost.perf.site import SPREAD, USER
from isocost.perf.step import StepTime
from isocost.search.plan import case_of, estimate
from isocost.search.pool import fit_ceiling_bytes
from isocost.search.question import Option, Question
from isocost.workload.flops import RecomputeKind, recompute_flop_per_token, train_flop_per_token

PARTS: Final = tuple(part.name for part in fields(StepTime))
# Spread of the log of a part of the step, before the run: that of a user's own multiplier of the constant behind it.
# What is made of kernels shares that of the sustained rate.
_BEHIND: Final = {
    "expert_s": "expert",
    "attention_s": "attention_forward",
    "pointwise_s": "pointwise",
    "host_s": "host_s",
    "tp_s": "tp_exposed",
    "cp_s": "fabric",
    "ep_s": "ep_exposed",
    "pp_s": "pp_exposed",
    "dp_s": "dp_exposed",
    "optimizer_s": "host_step_s",
    "other_s": "fabric",
}
PRIOR_SD: Final = {name: USER[_BEHIND.get(name, "sustained_frac")][1] for name in PARTS}
# Beyond this the scenario is more likely wrong than the model: errors on stacks that no fit saw are smaller.
DOUBTFUL_FACTOR: Final = 2.0
CLIFF_FRAC: Final = 0.95  # of the memory: above it the allocator retries, and a step takes several times as long
# Levers that end a wait, of which a log or a trace says how long it is.
DATA_PATH, SLOW_RANK = "data_path", "slow_rank"
# What a policy runs again: a share of all blocks, and one of the attention cores.
REPLAYED: Final[tuple[RecomputeKind, ...]] = ("full", "selective")
# Steps of the waterfall: name, parts of the step. The first is what the kernels take beyond the peak.
WATERFALL: Final = (
    ("kernel efficiency", ("gemm_s", "expert_s", "attention_s", "head_s")),
    ("memory-bound operators", ("pointwise_s",)),
    ("recompute", ("recompute_s",)),
    ("exposed tensor-parallel traffic", ("tp_s",)),
    ("exposed expert-parallel traffic", ("ep_s",)),
    ("exposed context-parallel traffic", ("cp_s",)),
    ("exposed data-parallel traffic", ("dp_s",)),
    ("pipeline bubble", ("bubble_s", "pp_s")),
    ("host", ("host_s",)),
    ("optimizer", ("optimizer_s",)),
    ("jitter", ("other_s",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Time of a step in which a rank has nothing to do, and for what it waits."""

    s: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExaminedRun:
    """One run: what it is, what it took, and what the model says it should take."""

    question: Question
    case: Case
    measured_s: float
    time: StepTime  # as predicted, before the run was known
    peak_bytes: float
    peak_flop_per_s: float
    left_open: tuple[str, ...]  # of the layout: what the scenario does not say and the search chose
    waits: Mapping[str, Wait] = field(default_factory=dict)  # of the step, as a log or trace says, by their lever

    @property
    def option(self) -> Option:
        """Accelerator, network and price."""
        return self.question.options[0]

    @property
    def capacity_bytes(self) -> float:
        """Memory of a chip that a program can use."""
        return capacity_bytes(self.case.accelerator.memory_bytes)

    @property
    def ceiling_bytes(self) -> float:
        """Predicted peak up to which a layout fits: the run does, and so does what needs no more than it."""
        return max(fit_ceiling_bytes(self.capacity_bytes, self.question.fit_probability), self.peak_bytes)

    @property
    def predicted_s(self) -> float:
        """Step time of the model."""
        return float(self.time.total_s)

    @property
    def waits_s(self) -> float:
        """What of the step is no work of the model's: waits for data and for slower ranks, where they were measured."""
        return math.fsum(wait.s for wait in self.waits.values())

    @property
    def unexplained_s(self) -> float:
        """What the step takes beyond the prediction and the waits that were measured; 0 where it is faster."""
        return max(self.measured_s - self.waits_s - self.predicted_s, 0.0)

    @property
    def tokens_per_s_per_gpu(self) -> float:
        """Throughput as measured."""
        return self.case.global_batch_seqs * self.case.seq_len / self.measured_s / self.case.gpus

    @property
    def flop_per_token(self) -> float:
        """Model FLOPs of a token, masked scores counted."""
        return train_flop_per_token(self.case.architecture, self.case.seq_len, causal=False)

    def mfu_at(self, step_s: float) -> float:
        """MFU of this batch on these accelerators in another step time, over the peak of the run's precision."""
        tokens = self.case.global_batch_seqs * self.case.seq_len
        return tokens * self.flop_per_token / step_s / self.case.gpus / self.peak_flop_per_s

    @property
    def hfu(self) -> float:
        """What was run over the peak: recompute counted."""
        case = self.case
        stack = columns([case]).stack
        blocks, cores = (
            recompute_flop_per_token(case.architecture, case.seq_len, kind, causal=False).total for kind in REPLAYED
        )
        again = float(np.ravel(stack.replay_frac)[0]) * blocks + float(np.ravel(stack.replay_attention_frac)[0]) * cores
        return self.mfu_at(self.measured_s) * (1.0 + again / self.flop_per_token)


def examined_run(
    question: Question, catalog: Catalog, constants: Mapping[str, Constant], measured_s: float
) -> ExaminedRun:
    """Return the run that a question describes; what its layout leaves open is the fastest that fits."""
    _check(question)
    asked = replace(
        question, conditions=None, deadline_s=None, budget_usd=None, power_w=None, measured_mfu=None, tornado=False
    )
    candidate = estimate(asked, catalog, constants)
    case = case_of(asked, candidate)
    found = predict([case], constants)
    time = StepTime(**{name: float(np.asarray(getattr(found.step, name)).reshape(-1)[0]) for name in PARTS})
    rate, why = peak(case.accelerator, case.precision)
    if rate is None:
        raise InputError([Problem("precision", why, case.precision)])
    keys = ("tp", "pp", "cp", "micro_batch", "recompute", "sharding")
    return ExaminedRun(
        question=replace(asked, global_batch_seqs=case.global_batch_seqs),
        case=case,
        measured_s=measured_s,
        time=time,
        peak_bytes=float(found.peak_bytes[0]),
        peak_flop_per_s=rate,
        left_open=tuple(f"{key} {getattr(case.layout, key)}" for key in keys if key not in question.fixed),
    )


def _check(question: Question) -> None:
    """Refuse more than one: a run is on one kind of accelerator, in one number, at one precision."""
    counts = {"on": question.options, "gpus": question.gpu_counts, "precision": question.precisions}
    problems = [
        Problem(name, f"has {len(values)} values: a run has one", fix=f"give the {name} of the run")
        for name, values in counts.items()
        if len(values) != 1
    ]
    if problems:
        raise InputError(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """One step of the waterfall: seconds of the step, and the MFU that they cost."""

    name: str
    s: float
    mfu: float
    how: str  # measured or inferred


def waterfall(run: ExaminedRun) -> tuple[Drop, ...]:
    """From peak to achieved MFU; the seconds add up to the measured step, the MFU of the drops to 1 minus the MFU."""
    step, mfu = run.measured_s, run.mfu_at(run.measured_s)
    ideal_s = mfu * step
    seconds = {name: math.fsum(getattr(run.time, part) for part in parts) for name, parts in WATERFALL}
    seconds["kernel efficiency"] -= ideal_s
    seconds["unexplained"] = step - ideal_s - math.fsum(seconds.values())
    return (
        Drop(name="model FLOPs at peak", s=ideal_s, mfu=mfu, how="measured"),
        *(Drop(name=name, s=value, mfu=-value / step, how="inferred") for name, value in seconds.items()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """Factors on the parts of a step that make the model agree with one run, and what stays open after it."""

    factors: Mapping[str, float]  # by part; the common factor is in them
    common: float  # what no part explains: taken to be the same for every layout
    shares: Mapping[str, float]  # of the run's step, by part
    off_frac: float  # measured over predicted, minus 1
    waits_s: float = 0.0  # no layout and no switch changes them

    def seconds(self, time: StepTime) -> NDArray[np.float64]:
        """Step times with the factors and the waits."""
        return np.asarray(sum(getattr(time, name) * self.factors[name] for name in PARTS) + self.waits_s, float)

    def gain_sd(self, before: StepTime, after: StepTime, left_open: Mapping[str, float]) -> float:
        """Spread of the log of the ratio of two step times: of parts that changed, as far as the run leaves them open.

        ``left_open`` is the variance of the log of a part that comes from constants which only one of the two has.
        Beyond the constants, the variance of the model between layouts is taken for the share of the step that changed.
        """
        old, new = float(self.seconds(before)), float(self.seconds(after))
        share = {
            name: self.factors[name] * (float(getattr(after, name)) / new - float(getattr(before, name)) / old)
            for name in PARTS
        }
        moved = sum(
            abs(float(getattr(after, name)) - float(getattr(before, name))) * self.factors[name] for name in PARTS
        )
        prior = math.fsum((share[name] * PRIOR_SD[name]) ** 2 for name in PARTS)
        seen = math.fsum(share[name] * self.shares[name] * PRIOR_SD[name] ** 2 for name in PARTS)
        total = math.fsum((self.shares[name] * PRIOR_SD[name]) ** 2 for name in PARTS) + SPREAD**2
        left = max(prior - seen**2 / total, 0.0)
        part = {name: self.factors[name] * float(getattr(after, name)) / new for name in left_open}
        switched = math.fsum(part[name] ** 2 * variance for name, variance in left_open.items())
        return math.sqrt(left + switched + SPREAD**2 * min(moved / old, 1.0))


def calibrate(run: ExaminedRun) -> Calibrated:
    """Return the model calibrated on one run, its measured waits apart."""
    return replace(calibrate_time(run.time, run.measured_s - run.waits_s), waits_s=run.waits_s)


def calibrate_time(time: StepTime, measured_s: float) -> Calibrated:
    """Return the most likely factors given one step time: parts that are less certain and longer take more of it.

    In logs the step is a weighted sum of the parts, weights their shares; each log factor has a normal prior around 0
    and the step a spread of its own. What the parts do not take is a common factor, so that the run is met exactly.
    """
    predicted = float(time.total_s)
    shares = {name: float(getattr(time, name)) / predicted for name in PARTS}
    off = math.log(measured_s / predicted)
    total = math.fsum((shares[name] * PRIOR_SD[name]) ** 2 for name in PARTS) + SPREAD**2
    own = {name: math.exp(PRIOR_SD[name] ** 2 * shares[name] * off / total) for name in PARTS}
    common = measured_s / math.fsum(own[name] * float(getattr(time, name)) for name in PARTS)
    return Calibrated(
        factors={name: factor * common for name, factor in own.items()},
        common=common,
        shares=shares,
        off_frac=measured_s / predicted - 1.0,
    )
