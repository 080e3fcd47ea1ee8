"""Least squares of a few constants in plain numpy: no scipy for users."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


STEPS = 30


LEAST_GAIN = 1e-7  # of the cost; less ends the descent


MOST_DAMPING = 1e8


class Squares(Protocol):
    """Residuals whose squares are to be least, and their derivatives."""

    def residuals(self, logs: Array) -> Array:
        """Return what is squared and summed."""
        ...

    def jacobian(self, logs: Array) -> Array:
        """Return derivatives of the residuals by the logs."""
        ...


def descend(squares: Squares, start: Array) -> Array:
    """Return the logs of the constants at the least sum of squares (Levenberg-Marquardt)."""
    logs, damping = start, 1e-3
    residuals = squares.residuals(logs)
    cost = float(residuals @ residuals)
    for _ in range(STEPS):
        jacobian = squares.jacobian(logs)
        curvature, slope = jacobian.T @ jacobian, jacobian.T @ residuals
        while True:
            moved = logs - np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), slope)
            tried = squares.residuals(moved)
            reached = float(tried @ tried)
            if reached <= cost:
                break
            damping *= 8.0
            if damping > MOST_DAMPING:
                return logs
        gain, cost = cost - reached, reached
        logs, residuals, damping = moved, tried, max(damping / 8.0, 1e-9)
        if gain < LEAST_GAIN * (1.0 + cost):
            break
    return logs
