"""Step time and memory of complete cases, with the interval each has earned: what estimate and validate share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocost.case_memory import fit_probability
from isocost.case_time import step_times
from isocost.cases import Case, memory_of
from isocost.constants import Constant, shipped
from isocost.evaluate.step import StepTime
from isocost.laws.memory import MemoryBreakdown
from isocost.uncertain import bands


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
        step=step, step_s=step_s, low_s=step_s * low, high_s=step_s * high,
        memory=memory, peak_bytes=peak, fits_probability=fit_probability(cases),
    )  # fmt: skip
