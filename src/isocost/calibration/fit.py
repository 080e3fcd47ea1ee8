"""Fit of the step-time constants: robust, hierarchical, deterministic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from isocost.calibration.priors import PRIORS
from isocost.perf.case import Case, levels_of
from isocost.perf.columns import Coefficients, Columns
from isocost.perf.predict import step_of
from isocost.perf.sensitivity import Array, Index, sensitivity

# Below this error a row is fitted by squares, above by its absolute value: the noise floor of good rows is 2 to 3 %.
HUBER_FRAC = 0.06


def index(cases: Sequence[Case]) -> Index:
    """Constants that these cases can tell apart."""
    levels = [levels_of(case) for case in cases]
    names: list[str] = []
    prior: list[float] = []
    sd: list[float] = []
    for coefficient, p in PRIORS.items():
        names.append(coefficient)
        prior.append(np.log(p.value))
        sd.append(p.sd)
        for level, spread in p.levels.items():
            values = sorted({row[level] for row in levels if row[level]})
            for value in values:
                key = f"{level}={value}"
                names.append(f"{coefficient}|{key}")
                prior.append(np.log(p.centres.get(key, 1.0)))
                sd.append(spread)
    place = {name: i for i, name in enumerate(names)}
    none = len(names)
    uses = {}
    for f in fields(Coefficients):
        keys = [None, *PRIORS[f.name].levels]
        rows = [
            [place.get(f.name if key is None else f"{f.name}|{key}={row[key]}", none) for row in levels] for key in keys
        ]
        uses[f.name] = np.array(rows)
    return Index(names=tuple(names), prior=np.array(prior), sd=np.array(sd), uses=uses)


def weights(groups: Sequence[str]) -> Array:
    """Weight of a row: a group (source and chip) of n rows counts as min(n, 60)^0.75."""
    _, inverse, counts = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    return (np.minimum(counts, 60) ** 0.75 / counts)[inverse]


def pruned(idx: Index, keep: Sequence[str]) -> Index:
    """Return the index with only the constants in ``keep``."""
    place = {name: i for i, name in enumerate(keep)}
    moved = np.array([place.get(name, len(keep)) for name in idx.names] + [len(keep)])
    old = np.array([idx.names.index(name) for name in keep])
    uses = {name: moved[rows] for name, rows in idx.uses.items()}
    return Index(names=tuple(keep), prior=idx.prior[old], sd=idx.sd[old], uses=uses)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """Residuals and derivatives: robust log errors of the rows, then distances of the constants from their priors."""

    columns: Columns
    measured_s: Array
    weight: Array
    idx: Index

    def error(self, coefficients: Coefficients) -> Array:
        """Log ratio of predicted to measured."""
        return np.log(step_of(self.columns, coefficients).total_s / self.measured_s)

    def robust(self, error: Array) -> tuple[Array, Array]:
        """Pseudo-Huber as a residual whose square is the loss, and its derivative by the error."""
        root = np.sqrt(1.0 + (error / HUBER_FRAC) ** 2)
        size = np.sqrt(2.0 * (root - 1.0))
        slope = np.where(size > 1e-9, np.abs(error) / HUBER_FRAC**2 / root / np.maximum(size, 1e-9), 1.0 / HUBER_FRAC)
        return np.sign(error) * size * np.sqrt(self.weight), slope * np.sqrt(self.weight)

    def residuals(self, logs: Array) -> Array:
        """Return what the fit squares and sums."""
        robust, _ = self.robust(self.error(self.idx.coefficients(logs)))
        return np.concatenate([robust, (logs - self.idx.prior) / self.idx.sd])

    def jacobian(self, logs: Array) -> Array:
        """Return derivatives of the residuals by the constants."""
        _, slope = self.robust(self.error(self.idx.coefficients(logs)))
        n = slope.size
        out = np.zeros((n + logs.size, logs.size))
        out[:n] = slope[:, None] * sensitivity(self.columns, self.idx, logs)
        out[n + np.arange(logs.size), np.arange(logs.size)] = 1.0 / self.idx.sd
        return out


def fit(
    columns: Columns, measured_s: Array, weight: Array, idx: Index, start: Array | None = None, steps: int = 40
) -> Array:
    """Return the logs of the constants that explain the measured steps best, given the priors."""
    from scipy.optimize import least_squares  # only the fit of all runs needs it: it is no dependency of the package

    problem = Problem(columns=columns, measured_s=measured_s, weight=weight, idx=idx)
    first = idx.prior if start is None else start
    found = least_squares(problem.residuals, first, jac=problem.jacobian, max_nfev=steps, method="lm", x_scale=idx.sd)
    return np.asarray(found.x)


def posterior_sd(columns: Columns, measured_s: Array, weight: Array, idx: Index, logs: Array) -> Array:
    """Spread of the logs of the constants after the fit (Gauss-Newton curvature)."""
    jacobian = Problem(columns=columns, measured_s=measured_s, weight=weight, idx=idx).jacobian(logs)
    return np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian)))
