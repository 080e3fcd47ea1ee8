"""Step time and memory of complete cases, with the interval each has earned: what estimate and validate share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocost.catalog.stacks import recipes
from isocost.laws.memory import FIT_SIGMA, fits_probability
from isocost.perf.block import block_times
from isocost.perf.case import Case, coefficients_of
from isocost.perf.columns import Coefficients, Columns
from isocost.perf.constants import Constant, shipped
from isocost.perf.intervals import bands
from isocost.perf.lowering import columns, memory_of
from isocost.perf.lowering_memory import capacity_bytes
from isocost.perf.peak import MemoryBreakdown
from isocost.perf.step import StepTime, step_time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """One entry a case in every array."""

    step: StepTime
    step_s: NDArray[np.float64]
    low_s: NDArray[np.float64]  # 90 % interval
    high_s: NDArray[np.float64]
    memory: MemoryBreakdown
    peak_bytes: NDArray[np.float64]
    fits_probability: NDArray[np.float64]


def predict(
    cases: Sequence[Case], constants: Mapping[str, Constant] | None = None, definitions: Sequence[str] = ()
) -> Prediction:
    """Predict complete cases; ``definitions`` says for each how its peak memory is counted ("" for in use)."""
    step = step_times(cases, shipped() if constants is None else constants)
    step_s = np.asarray(step.total_s)
    low, high = bands(cases)
    memory = memory_of(cases, definitions)
    peak = np.broadcast_to(memory.total, step_s.shape)
    return Prediction(
        step=step,
        step_s=step_s,
        low_s=step_s * low,
        high_s=step_s * high,
        memory=memory,
        peak_bytes=peak,
        fits_probability=fit_probability(cases),
    )


def step_of(x: Columns, c: Coefficients) -> StepTime:
    """Step time of every row, by cause."""
    return step_time(block_times(x, c), x, c)


def coefficient_columns(cases: Sequence[Case], constants: Mapping[str, Constant]) -> Coefficients:
    """Every fitted coefficient of every case."""
    known = dict(constants)
    rows = [coefficients_of(case, known) for case in cases]
    values: dict[str, Any] = {f.name: np.array([row[f.name] for row in rows]) for f in fields(Coefficients)}
    return Coefficients(**values)


def step_times(cases: Sequence[Case], constants: Mapping[str, Constant]) -> StepTime:
    """Step time of every case, by cause."""
    return step_of(columns(cases), coefficient_columns(cases, constants))


# Each costs more time and holds less than the one before, so the first that fits is the fastest that fits.
POLICIES = ("none", "selective", "offload", "full")


# A run is known to have fitted somehow. A source silent on recompute most often ran without: with a prior of 3 to 1 for
# "none", it stays the likelier answer down to a probability of 1 in 4. (A plan needs a margin instead.)
LIKELIER = 0.25


def fit_probability(cases: Sequence[Case], sigma: float = FIT_SIGMA) -> NDArray[np.float64]:
    """Probability that each case fits its chip, given how far predicted peaks are off."""
    room = np.array([capacity_bytes(case.accelerator.memory_bytes) for case in cases])
    total = np.broadcast_to(memory_of(cases).total, room.shape)
    return np.asarray(fits_probability(total_bytes=total, capacity_bytes=room, sigma=sigma))


def resolve_recompute(cases: Sequence[Case], least_probability: float = LIKELIER) -> tuple[Case, ...]:
    """Each case with the fastest recompute policy open to it that fits; with the last where none does."""
    chosen = [case.with_axes(recompute=POLICIES[-1]) for case in cases]
    unsettled = set(range(len(chosen)))
    for policy in POLICIES[:-1]:
        rows = [row for row in sorted(unsettled) if policy != "offload" or _offloads(cases[row])]
        if not rows:
            continue
        tried = [cases[row].with_axes(recompute=policy) for row in rows]
        fits = fit_probability(tried) >= least_probability
        settled = {row: case for row, case, good in zip(rows, tried, fits, strict=True) if good}
        for row, case in settled.items():
            chosen[row] = case
        unsettled -= settled.keys()
    return tuple(chosen)


def _offloads(case: Case) -> bool:
    return case.recipe.offloads and case.accelerator.coherent_host


def peak_range(case: Case) -> tuple[float, float, float]:
    """Lowest, own and highest peak bytes over the memory recipes of the case's family of stacks, all counted in use.

    The recipe is the largest unknown of a peak: where a stack or its version is not known, this is what to show.
    The attention kernel is the case's; the norm kernel is each recipe's own.
    """
    family = {r.memory: r for r in recipes().values() if r.stack == case.recipe.stack}
    family[case.recipe.memory] = case.recipe
    rivals = [replace(case, recipe=r, norm_kernel=r.norm_kernel) for r in family.values()]
    own, *rest = np.broadcast_to(memory_of([case, *rivals]).total, len(rivals) + 1).tolist()
    return min(own, *rest), own, max(own, *rest)
