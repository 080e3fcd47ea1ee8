"""Step time of complete cases: their choices as columns, their constants as coefficients, the two axes as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from isocost.cases import Case, Columns, coefficients_of, columns
from isocost.constants import Constant
from isocost.evaluate.block import block_times
from isocost.evaluate.inputs import Coefficients
from isocost.evaluate.step import StepTime, step_time


def step_of(columns: Columns, coefficients: Coefficients) -> StepTime:
    """Step time of every row, by cause."""
    c = columns
    block = block_times(c.kinds, c.model, c.split, c.machine, c.policy, coefficients)
    return step_time(block, c.model, c.split, c.tail, c.machine, c.policy, coefficients)


def coefficient_columns(cases: Sequence[Case], constants: Mapping[str, Constant]) -> Coefficients:
    """Every fitted coefficient of every case."""
    known = dict(constants)
    rows = [coefficients_of(case, known) for case in cases]
    values: dict[str, Any] = {f.name: np.array([row[f.name] for row in rows]) for f in fields(Coefficients)}
    return Coefficients(**values)


def step_times(cases: Sequence[Case], constants: Mapping[str, Constant]) -> StepTime:
    """Step time of every case, by cause."""
    return step_of(columns(cases), coefficient_columns(cases, constants))
