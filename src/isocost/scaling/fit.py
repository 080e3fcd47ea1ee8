"""Fit of the additive law to training runs: robust, from many starts, with intervals from resampling."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final

import numpy as np

from isocost.errors import InputError, Problem
from isocost.scaling.law import ADDITIVE, Law, Parameter
from isocost.scaling.runs import Runs
from isocost.scaling.solver import PARAMETERS, Array, Points, huber, minimise, plain, points_of, residuals

DRAWS: Final = 500
# Starts: powers of size and of data, and the share of the least loss that is irreducible.
_START_POWERS: Final = np.arange(0.1, 1.01, 0.15)
_START_SHARES: Final = (0.3, 0.6, 0.9)
_SAME_FRAC: Final = 1e-4  # two starts that end this close in loss found the same minimum
# Beyond these a fit is reported as badly conditioned.
_MOST_CONDITION: Final = 1e4  # of the scaled sensitivities
_MOST_CORRELATION: Final = 0.95  # of log size and log data: runs at one ratio of tokens to parameters
_LEAST_SPAN: Final = 10.0  # largest over smallest
_MOST_POWER_SPREAD: Final = 0.25  # standard error over value
_LARGEST_POWER: Final = 2.0
_LEAST_POWER: Final = 1e-3
_BLOCK: Final = 64  # resamplings at a time: their arrays stay in the cache
_LEAST_PART: Final = 1e-6  # a part of the loss below this share is no part


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """A fitted law, how well it describes the runs, and what to know before using it."""

    law: Law
    runs: int
    excluded: int
    objective: float  # sum of the Huber losses of log residuals
    starts: int
    starts_at_best: int
    draws: int
    median_error_frac: float  # of |log residual|
    worst_error_frac: float
    allocation_power: float  # N ~ C^a
    allocation_sd: float
    warnings: tuple[str, ...]


def fit(runs: Runs, name: str = "my_law", draws: int = DRAWS, seed: int = 0, today: datetime.date | None = None) -> Fit:
    """Return the additive law of least Huber loss (delta 1e-3, summed) on the log losses, with intervals.

    The interval is the 95 % of ``draws`` fits to resampled runs. The same runs and seed give the same bits.
    """
    points = points_of(runs.params, runs.tokens, runs.loss)
    ones = np.ones((1, len(runs.loss)))
    starts = _starts(points)
    ends = minimise(starts, points, np.repeat(ones, len(starts), axis=0))
    values = huber(residuals(ends, points)[0], ones)
    order = np.argsort(values, kind="stable")
    best = ends[order[:1]]
    _refuse_degenerate(best[0], points, runs)
    drawn = _resampled(best, points, draws, seed)
    error, slopes = residuals(best, points)
    powers = drawn[:, 4] / (drawn[:, 3] + drawn[:, 4])
    return Fit(
        law=_law(name, plain(best, points)[0], drawn, runs, today or datetime.date.today()),
        runs=len(runs.loss),
        excluded=runs.excluded,
        objective=float(values[order[0]]),
        starts=len(starts),
        starts_at_best=int((values <= values[order[0]] * (1.0 + _SAME_FRAC)).sum()),
        draws=len(drawn),
        median_error_frac=float(np.median(np.abs(error))),
        worst_error_frac=float(np.abs(error).max()),
        allocation_power=float(best[0, 4] / (best[0, 3] + best[0, 4])),
        allocation_sd=float(powers.std()),
        warnings=_warnings(best[0], drawn, slopes[:, 0], points, runs, draws),
    )


def _starts(points: Points) -> Array:
    """Return a grid of powers and shares; each start agrees with the runs' typical loss."""
    size, data, share = (
        grid.ravel() for grid in np.meshgrid(_START_POWERS, _START_POWERS, _START_SHARES, indexing="ij")
    )
    part = np.median(points.loss) + np.log((1.0 - share) / 2.0)
    return np.stack((points.loss.min() + np.log(share), part, part, size, data), axis=-1)


def _resampled(best: Array, points: Points, draws: int, seed: int) -> Array:
    """Return the parameters fitted to resamplings of the runs; those that ran away to no law are left out."""
    count = len(points.loss)
    weight = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=draws).astype(float)
    blocks = [weight[start : start + _BLOCK] for start in range(0, draws, _BLOCK)]
    found = np.concatenate([plain(minimise(np.repeat(best, len(b), axis=0), points, b), points) for b in blocks])
    powers = found[:, 3:]
    good = np.isfinite(found).all(axis=1) & (powers > _LEAST_POWER).all(axis=1) & (powers < _LARGEST_POWER).all(axis=1)
    return np.asarray(found[good & (found[:, 0] > _LEAST_PART)])


def _refuse_degenerate(best: Array, points: Points, runs: Runs) -> None:
    """Refuse a minimum that is no law: a part of the loss that is absent, or one that grows with size or data."""
    e, a, b, alpha, beta = best
    typical = float(np.median(points.loss))
    parts = {"size": (a, alpha), "data": (b, beta)}
    problems = [
        Problem(
            runs.place,
            f"shows no loss that falls with {name} (part {np.exp(part - typical):.2g} of the loss, power {power:.3g})",
            fix=f"add runs over a wider range of {name}, or leave out runs that did not converge",
        )
        for name, (part, power) in parts.items()
        if not (_LEAST_POWER < power < _LARGEST_POWER and part - typical > np.log(_LEAST_PART))
    ]
    if not problems and e - typical < np.log(_LEAST_PART):
        fix = "add larger runs: these are still far above any floor"
        problems = [Problem(runs.place, "shows no irreducible loss", fix=fix)]
    if problems:
        raise InputError(problems)


def _law(name: str, values: Array, drawn: Array, runs: Runs, today: datetime.date) -> Law:
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    spread = drawn.std(axis=0)
    parameters = {
        key: Parameter(
            value=float(values[k]),
            sd=float(spread[k]),
            low=float(min(low[k], values[k])),
            high=float(max(high[k], values[k])),
        )
        for k, key in enumerate(PARAMETERS)
    }
    logs = np.concatenate([np.log(drawn[:, :3]), drawn[:, 3:]], axis=1)
    covariance = np.cov(logs.T)
    usable = np.linalg.eigvalsh(covariance).min() > 0.0
    flop = 6.0 * runs.params * runs.tokens
    return Law(
        id=name,
        title=f"Fitted to {len(runs.loss)} runs",
        form=ADDITIVE,
        parameters=parameters,
        counts="all",
        corpus="that of the runs",
        params_range=_ends(runs.params),
        tokens_range=_ends(runs.tokens),
        flop_range=_ends(flop),
        source=runs.place,
        as_of=today.isoformat(),
        grade="measured",
        note=f"Huber loss on log residuals, delta 1e-3, summed; {len(drawn)} resamplings",
        covariance=tuple(tuple(row) for row in covariance.tolist()) if usable else (),
    )


def _ends(values: Array) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _warnings(best: Array, drawn: Array, slopes: Array, points: Points, runs: Runs, draws: int) -> tuple[str, ...]:
    """Return what makes the parameters less certain than they look, in words."""
    said = []
    for name, values in (("params", runs.params), ("tokens", runs.tokens)):
        span = float(values.max() / values.min())
        if span < _LEAST_SPAN:
            said.append(f"{name} span only {span:.1f} times: its power is a guess; add runs over 10 times or more")
    correlation = float(np.corrcoef(points.size, points.data)[0, 1])
    if abs(correlation) > _MOST_CORRELATION:
        said.append(
            f"params and tokens move together (correlation {correlation:.2f}): vary the ratio of tokens to parameters"
        )
    scaled = slopes / np.maximum(np.sqrt((slopes * slopes).sum(axis=1, keepdims=True)), 1e-300)
    condition = float(np.linalg.cond(scaled))
    if condition > _MOST_CONDITION:
        said.append(
            f"badly conditioned ({condition:.2g}): parameters trade off; trust the optimum more than any of them"
        )
    for k, name in ((3, "alpha"), (4, "beta")):
        spread = float(drawn[:, k].std() / best[k])
        if spread > _MOST_POWER_SPREAD:
            said.append(f"{name} is known to {spread:.0%} only: an optimum far beyond the runs is not")
    if len(drawn) < 0.95 * draws:
        said.append(f"{draws - len(drawn)} of {draws} resamplings have no law: intervals are too narrow")
    return tuple(said)
