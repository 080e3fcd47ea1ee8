"""How step times answer to the constants: which constants make each coefficient, and the derivative by each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocost.perf.columns import Coefficients, Columns
from isocost.perf.predict import step_of

Array = NDArray[np.float64]


# Step of the logarithm in the numerical derivative by a coefficient.
STEP = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Index:
    """Which constants make each coefficient of each row: its log is the sum of the logs of its constants."""

    names: tuple[str, ...]
    prior: Array  # log
    sd: Array
    # Coefficient -> (depth, rows) positions in names; the position behind the last name is the constant 1.
    uses: dict[str, NDArray[np.int64]]
    fixed: dict[str, Array] = field(default_factory=dict)  # log of the factor of each row that is not fitted

    def coefficients(self, logs: Array) -> Coefficients:
        """Coefficients of all rows."""
        padded = np.append(logs, 0.0)
        logs_of: dict[str, Any] = dict(self.fixed)
        for name, rows in self.uses.items():
            logs_of[name] = logs_of.get(name, 0.0) + padded[rows].sum(axis=0)
        return Coefficients(**{name: np.exp(value) for name, value in logs_of.items()})


def sensitivity(columns: Columns, idx: Index, logs: Array) -> Array:
    """Return the derivative of the log of every row's step by the log of every constant.

    One evaluation a coefficient, not a constant: a row's step moves alike with each of its constants.
    """
    coefficients = idx.coefficients(logs)
    base = np.log(step_of(columns, coefficients).total_s)
    out = np.zeros((base.size, logs.size + 1))
    for name, places in idx.uses.items():
        moved = replace(coefficients, **{name: getattr(coefficients, name) * np.exp(STEP)})
        by_coefficient = (np.log(step_of(columns, moved).total_s) - base) / STEP
        for row in places:
            np.add.at(out, (np.arange(base.size), row), by_coefficient)
    return out[:, :-1]
