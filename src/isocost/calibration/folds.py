"""Least squares of a few constants in plain numpy: no scipy for users, and folds without new evaluations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocost.calibration.fit import Problem
from isocost.perf.sensitivity import sensitivity
from isocost.stats.least_squares import Array, descend


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Linear:
    """A problem whose log steps are taken as linear around one point: exact there, and cheap everywhere."""

    problem: Problem
    weight: Array
    at: Array
    error: Array
    slope: Array  # (rows, constants)

    def _robust(self, logs: Array) -> tuple[Array, Array]:
        root = np.sqrt(self.weight)
        size, by_error = self.problem.robust(self.error + self.slope @ (logs - self.at))
        return size * root, by_error * root

    def residuals(self, logs: Array) -> Array:
        """Robust log errors, then distances from the priors."""
        idx = self.problem.idx
        return np.concatenate([self._robust(logs)[0], (logs - idx.prior) / idx.sd])

    def jacobian(self, logs: Array) -> Array:
        """Return derivatives of the residuals."""
        return np.vstack([self._robust(logs)[1][:, None] * self.slope, np.diag(1.0 / self.problem.idx.sd)])


def left_out_errors(problem: Problem, folds: NDArray[np.int64]) -> Array:
    """Log error of every row by constants fitted without its fold.

    The folds are fitted on the log steps as linear around the fit of all rows; the errors are then evaluated in full.
    """
    idx = problem.idx
    at = descend(problem, idx.prior)
    error, slope = problem.error(idx.coefficients(at)), sensitivity(problem.columns, idx, at)
    out = np.zeros(folds.size)
    for fold in range(int(folds.max()) + 1):
        held = folds == fold
        rest = Linear(problem=problem, weight=np.where(held, 0.0, 1.0), at=at, error=error, slope=slope)
        out[held] = problem.error(idx.coefficients(descend(rest, at)))[held]
    return out
