"""Levers that the step-time model cannot price: why, what they are worth at most, and what to measure instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from isocost.laws.operators import sustained_frac
from isocost.perf.case import Case, coefficients_of
from isocost.perf.constants import Constant
from isocost.perf.lowering import columns
from isocost.units import DAY_S
from isocost.verbs.doctor.run import CLIFF_FRAC, DATA_PATH, SLOW_RANK, Calibrated, ExaminedRun
from isocost.verbs.doctor.switches import compiled_twin

LEAST_FRAC: Final = 1e-3  # of the step: less is not worth a line


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpriced:
    """A lever without a figure of its own."""

    lever: str
    why: str
    at_most_s: float  # of the measured step: the whole part that it could shorten
    at_most_days: float  # on the tokens left
    measure: str


def unpriced(
    run: ExaminedRun, calibrated: Calibrated, constants: Mapping[str, Constant], tokens_left: float
) -> tuple[Unpriced, ...]:
    """Levers that this run has and that no law or constant prices, those worth most first."""
    steps = tokens_left / (run.case.global_batch_seqs * run.case.seq_len)
    rows = [
        Unpriced(lever=lever, why=why, at_most_s=most, at_most_days=most * steps / DAY_S, measure=measure)
        for lever, most, why, measure in _rows(run, calibrated, constants)
        if most > LEAST_FRAC * run.measured_s
    ]
    return tuple(sorted(rows, key=lambda row: -row.at_most_s))


def _rows(
    run: ExaminedRun, calibrated: Calibrated, constants: Mapping[str, Constant]
) -> list[tuple[str, float, str, str]]:
    """Name, seconds of the step at most (0: the run does not have it), why it has no price, what to measure."""
    case, recipe, left_s = run.case, run.case.recipe, run.unexplained_s
    part = {name: float(getattr(run.time, name)) * factor for name, factor in calibrated.factors.items()}
    coefficients = coefficients_of(case, dict(constants))
    throttled = 1.0 - _sustained(case, coefficients)
    full = run.peak_bytes / run.capacity_bytes
    eager = not recipe.compiled and compiled_twin(recipe) is None
    return [
        (
            "optimizer fusion",
            part["optimizer_s"],
            "the model has one optimizer, the mean of those measured",
            "a trace: time between the last backward kernel and the end of the step",
        ),
        (
            "fused loss",
            _loss_s(run, calibrated, coefficients),
            "the model has one loss kernel; a fused one also frees the memory of the logits",
            "30 steps with the fused loss, time and peak memory",
        ),
        (
            "clocks and power",
            throttled * (part["gemm_s"] + part["expert_s"]),
            "rates are those that chips sustain, not those of one power limit",
            "SM clock, power draw and throttle reasons during steps, from nvidia-smi",
        ),
        (
            "slow or unequal ranks",
            0.0 if SLOW_RANK in run.waits else left_s,
            "the model's ranks are alike; in a run the others wait for the slowest",
            "traces of several ranks: isocost doctor rank0.json rank1.json ...",
        ),
        (
            "data path and prefetching",
            0.0 if DATA_PATH in run.waits else left_s,
            "the model has no wait for data: it is in what is unexplained",
            "seconds a step waits for its batch, or 30 steps on synthetic data",
        ),
        (
            "away from the edge of memory",
            left_s if full > CLIFF_FRAC else 0.0,
            f"the run is at {full:.0%} of the memory, where allocators retry and a step takes several times as long",
            "num_alloc_retries of torch.cuda.memory_stats(), or 30 steps with a smaller micro-batch",
        ),
        (
            "CUDA graphs",
            0.0 if recipe.cuda_graphs else part["host_s"],
            "runs measured with graphs are of other software than those without",
            "a trace: idle time waiting for the host, or 30 steps with graphs",
        ),
        (
            "compilation",
            part["pointwise_s"] if eager else 0.0,
            "no run of this stack was measured compiled",
            "30 steps compiled, time and peak memory",
        ),
    ]


def _sustained(case: Case, coefficients: Mapping[str, float]) -> float:
    """Matrix rate inside a step over that of the isolated kernel."""
    return min(
        float(
            sustained_frac(
                at_reference_frac=coefficients["sustained_frac"],
                power_exponent=coefficients["power_exponent"],
                relative_power=float(np.ravel(columns([case]).machine.relative_power)[0]),
            )
        ),
        1.0,
    )


def _loss_s(run: ExaminedRun, calibrated: Calibrated, coefficients: Mapping[str, float]) -> float:
    """Time that a step passes over its logits in memory; 0 where the stage with the head does not set the pace."""
    case, here = run.case, columns([run.case])
    if float(run.time.head_s) <= 0.0:
        return 0.0
    tokens = case.global_batch_seqs / case.layout.dp * case.seq_len / case.layout.cp
    logits = tokens * case.architecture.vocab / case.layout.tp * (1.0 + case.architecture.mtp_layers)
    passes_s = coefficients["loss_bytes"] * logits / float(np.ravel(here.machine.hbm_bytes_per_s)[0])
    return calibrated.factors["head_s"] * min(passes_s, float(run.time.head_s))
