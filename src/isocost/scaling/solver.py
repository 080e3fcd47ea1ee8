"""Least Huber loss of an additive law on log losses, for many starts and many resamplings at once.

All problems are columns of one array, so a thousand resamplings cost little more than ten. The steps are those of
Levenberg and Marquardt; nothing is random and no library chooses an order of summation, so a fit repeats bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Residuals of the logarithm beyond this count by their size, not their square: hoffmann2022, besiroglu2024.
HUBER: Final = 1e-3
PARAMETERS: Final = ("E", "A", "B", "alpha", "beta")
_FIRST_DAMPING: Final = 1e-2
_LEAST_DAMPING, _MOST_DAMPING = 1e-12, 1e12
# Share of its curvature that a residual in the linear part keeps, in the early steps only: pure Huber has none there.
_EARLY_STEPS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Points:
    """Runs as centered logarithms: size, data and loss."""

    size: Array
    data: Array
    loss: Array
    size_centre: float
    data_centre: float


def points_of(params: Array, tokens: Array, loss: Array) -> Points:
    """Return runs as centered logarithms, so that scales and powers are nearly independent."""
    size, data = np.log(params), np.log(tokens)
    return Points(
        size=size - size.mean(),
        data=data - data.mean(),
        loss=np.log(loss),
        size_centre=float(size.mean()),
        data_centre=float(data.mean()),
    )


def plain(theta: Array, points: Points) -> Array:
    """Return the solver's rows as (E, A, B, alpha, beta)."""
    e, a, b, alpha, beta = np.moveaxis(theta, -1, 0)
    with np.errstate(over="ignore"):
        return np.stack(
            (np.exp(e), np.exp(a + alpha * points.size_centre), np.exp(b + beta * points.data_centre), alpha, beta),
            axis=-1,
        )


def residuals(theta: Array, points: Points) -> tuple[Array, Array]:
    """Return log of predicted over measured, and its derivatives: (problem, point) and (5, problem, point)."""
    e, a, b, alpha, beta = (column[:, None] for column in np.moveaxis(theta, -1, 0))
    by_size = np.exp(np.clip(a - alpha * points.size, -60.0, 60.0))
    by_data = np.exp(np.clip(b - beta * points.data, -60.0, 60.0))
    rest = np.exp(np.clip(e, -60.0, 60.0))
    total = rest + by_size + by_data
    size_part, data_part = by_size / total, by_data / total
    slopes = np.stack((rest / total, size_part, data_part, -size_part * points.size, -data_part * points.data))
    return np.log(total) - points.loss, slopes


def huber(residual: Array, weight: Array) -> Array:
    """Return the sum over points, by problem."""
    size = np.abs(residual)
    each = np.where(size <= HUBER, 0.5 * size * size, HUBER * (size - 0.5 * HUBER))
    return np.asarray((weight * each).sum(axis=-1))


def minimise(theta: Array, points: Points, weight: Array, steps: int = 200, tolerance: float = 1e-13) -> Array:
    """Return the rows moved to their least loss; ``weight`` is (problem, point), how often each point counts."""
    best = theta.copy()
    damping = np.full(len(best), _FIRST_DAMPING)
    live = np.arange(len(best))
    residual, slopes = residuals(best, points)
    value = huber(residual, weight)
    for step in range(steps):
        trial = best[live] - _move(residual[live], slopes[:, live], weight[live], damping[live], step < _EARLY_STEPS)
        trial_residual, trial_slopes = residuals(trial, points)
        trial_value = huber(trial_residual, weight[live])
        better = trial_value < value[live]
        gain = (value[live] - trial_value) / np.maximum(value[live], np.finfo(float).tiny)
        moved = live[better]
        best[moved], value[moved] = trial[better], trial_value[better]
        residual[moved], slopes[:, moved] = trial_residual[better], trial_slopes[:, better]
        damping[live] = np.clip(damping[live] * np.where(better, 0.2, 8.0), _LEAST_DAMPING, _MOST_DAMPING)
        settled = (better & (gain < tolerance)) | (damping[live] >= _MOST_DAMPING)
        live = live[~(settled & (step >= _EARLY_STEPS))]
        if not live.size:
            break
    return best


def _move(residual: Array, slopes: Array, weight: Array, damping: Array, early: bool) -> Array:
    """Return the damped Gauss-Newton step of each problem."""
    size = np.abs(residual)
    pull = weight * np.clip(residual, -HUBER, HUBER)
    inside = np.where(size <= HUBER, 1.0, HUBER / np.maximum(size, HUBER) if early else 0.0)
    gradient = (slopes * pull).sum(axis=-1).T
    stretched = slopes * (weight * inside)
    curvature = np.empty((len(residual), 5, 5))
    for i in range(5):
        for j in range(i, 5):
            curvature[:, i, j] = curvature[:, j, i] = (stretched[i] * slopes[j]).sum(axis=-1)
    spread = np.maximum(np.einsum("kii->ki", curvature), 1e-12)
    place = np.arange(5)
    curvature[:, place, place] += damping[:, None] * spread + 1e-15
    return np.asarray(np.linalg.solve(curvature, gradient[..., None])[..., 0])
