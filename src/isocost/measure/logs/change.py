"""What changed between two runs, with an interval: medians of steps in blocks, counts of events.

Steps that follow each other are alike (the same data, temperature, neighbors), so the spread of a statistic comes from
a block bootstrap (Kuensch 1989): blocks of consecutive steps are drawn with replacement, not single steps. The interval
is Student's around the logarithm. Counts of events are Poisson; given their sum, those of one run are binomial.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from isocost.measure.logs.records import Column
from isocost.stats.quantiles import quantiles

BLOCKS: Final = 25
FEWEST: Final = 8  # values; fewer tell nothing of their spread
_MOST_VALUES: Final = 5000  # of a statistic; a longer run is thinned evenly within its blocks
_RESAMPLES: Final = 300
_SEED: Final = 0
_TAIL: Final = 0.05  # on either side of a 90 % interval
_NINETY: Final = 1.6449  # half a 90 % interval of a normal, in standard deviations
_MOST_EXACT: Final = 1000  # events whose interval is exact; more are as good as normal
# 95th percentile of Student's t (1908) for 1, 2, ... degrees of freedom.
_STUDENT: Final = (
    6.314,
    2.920,
    2.353,
    2.132,
    2.015,
    1.943,
    1.895,
    1.860,
    1.833,
    1.812,
    1.796,
    1.782,
    1.771,
    1.761,
    1.753,
    1.746,
    1.740,
    1.734,
    1.729,
    1.725,
)
NOISE_FRAC: Final = 0.02  # two runs of the same configuration differ by as much


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A statistic in the old and the new run; the change is relative to the old, with its 90 % interval."""

    name: str
    old: float | None
    new: float | None
    change_frac: float | None = None
    low_frac: float | None = None
    high_frac: float | None = None
    verdict: str = ""

    @property
    def significant(self) -> bool:
        """Whether the interval is on one side of no change."""
        return self.low_frac is not None and self.high_frac is not None and not self.low_frac <= 0.0 <= self.high_frac


def compare_values(
    name: str, old: Column, new: Column, statistic: Callable[[Column], float], noise_frac: float = NOISE_FRAC
) -> Change:
    """Return the change of a statistic of steps, in their order."""
    if not len(old) or not len(new):
        return Change(name=name, old=_of(old, statistic), new=_of(new, statistic), verdict="not in both")
    before, after = float(statistic(old)), float(statistic(new))
    if not (before > 0.0 and after > 0.0):
        return Change(name=name, old=before, new=after, verdict="zero in one")
    change = after / before - 1.0
    if min(len(old), len(new)) < FEWEST:
        return Change(name=name, old=before, new=after, change_frac=change, verdict="too few steps to tell")
    draws = np.random.default_rng(_SEED)
    squares = [float(np.var(np.log(_resampled(values, statistic, draws)))) for values in (old, new)]
    blocks = min(BLOCKS, len(old), len(new))
    half, middle = _student(blocks - 1) * math.sqrt(math.fsum(squares)), math.log1p(change)
    found = Change(
        name=name,
        old=before,
        new=after,
        change_frac=change,
        low_frac=math.expm1(middle - half),
        high_frac=math.expm1(middle + half),
    )
    return _judged(found, noise_frac)


def compare_means(name: str, old: Column, new: Column) -> Change:
    """Return the change of a mean of few values, as the steps of a trace are, by Welch's interval."""
    if not len(old) or not len(new):
        return Change(name=name, old=_of(old, mean_of), new=_of(new, mean_of), verdict="not in both")
    before, after = mean_of(old), mean_of(new)
    if not before > 0.0:
        return Change(name=name, old=before, new=after, verdict="zero before")
    change = after / before - 1.0
    if min(len(old), len(new)) < 2:
        return Change(name=name, old=before, new=after, change_frac=change, verdict="too few steps to tell")
    squares = [float(np.var(values, ddof=1)) / len(values) for values in (old, new)]
    total = math.fsum(squares)
    weights = math.fsum(s * s / (len(values) - 1) for s, values in zip(squares, (old, new), strict=True))
    half = _student(int(total * total / weights) if weights > 0.0 else len(_STUDENT)) * math.sqrt(total) / before
    found = Change(
        name=name, old=before, new=after, change_frac=change, low_frac=change - half, high_frac=change + half
    )
    return _judged(found, NOISE_FRAC)


def compare_counts(name: str, old: int, new: int, old_exposure: float, new_exposure: float) -> Change:
    """Return the change of a rate of events: counts over what they were counted on (hours, steps)."""
    before, after = old / old_exposure, new / new_exposure
    if not old + new:
        return Change(name=name, old=0.0, new=0.0, verdict="none in either")
    share = new_exposure / (old_exposure + new_exposure)
    low, high = _binomial_interval(new, old + new)
    scale = (1.0 - share) / share
    bounds = [scale * p / (1.0 - p) - 1.0 if p < 1.0 else math.inf for p in (low, high)]
    found = Change(
        name=name,
        old=before,
        new=after,
        change_frac=after / before - 1.0 if before else None,
        low_frac=bounds[0],
        high_frac=bounds[1],
    )
    return _judged(found, 0.0)


def _judged(found: Change, noise_frac: float) -> Change:
    if not found.significant:
        verdict = "no change beyond chance"
    elif found.change_frac is not None and abs(found.change_frac) < noise_frac:
        verdict = f"beyond chance, but below {noise_frac:.0%}, by which two equal runs differ"
    else:
        verdict = "more" if found.change_frac is None or found.change_frac > 0.0 else "less"
    return Change(
        name=found.name,
        old=found.old,
        new=found.new,
        change_frac=found.change_frac,
        low_frac=found.low_frac,
        high_frac=found.high_frac,
        verdict=verdict,
    )


def _student(freedom: int) -> float:
    return _STUDENT[min(max(freedom, 1), len(_STUDENT)) - 1]


def _of(values: Column, statistic: Callable[[Column], float]) -> float | None:
    return float(statistic(values)) if len(values) else None


def _resampled(values: Column, statistic: Callable[[Column], float], draws: np.random.Generator) -> Column:
    """Return the statistic of resamples of whole blocks."""
    blocks = min(BLOCKS, len(values))
    size = len(values) // blocks
    table = values[: blocks * size].reshape(blocks, size)[:, :: max(blocks * size // _MOST_VALUES, 1)]
    found = [statistic(table[rows].ravel()) for rows in draws.integers(blocks, size=(_RESAMPLES, blocks))]
    return np.asarray(np.maximum(np.array(found), np.finfo(float).tiny))


def _binomial_interval(count: int, total: int) -> tuple[float, float]:
    """Return the exact 90 % interval of a share (Clopper and Pearson 1934), by bisection of the binomial tail."""

    if total > _MOST_EXACT:
        share = (count + 1.0) / (total + 2.0)
        half = _NINETY * math.sqrt(share * (1.0 - share) / total)
        return max(share - half, 0.0), min(share + half, 1.0)

    def above(p: float, least: int) -> float:
        if p <= 0.0:
            return float(least <= 0)
        if p >= 1.0:
            return float(least <= total)
        logs = [
            math.lgamma(total + 1)
            - math.lgamma(k + 1)
            - math.lgamma(total - k + 1)
            + k * math.log(p)
            + (total - k) * math.log1p(-p)
            for k in range(least, total + 1)
        ]
        return math.fsum(math.exp(value) for value in logs)

    low = 0.0 if count == 0 else _bisect(lambda p: above(p, count) - _TAIL)
    high = 1.0 if count == total else _bisect(lambda p: above(p, count + 1) - (1.0 - _TAIL))
    return low, high


def _bisect(rising: Callable[[float], float]) -> float:
    """Return where a function that rises from below zero to above it on 0 to 1 is zero."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if rising(middle) < 0.0 else (low, middle)
    return (low + high) / 2.0


def median_of(values: Column) -> float:
    """Return the median."""
    return float(np.median(values))


def spread_of(values: Column) -> float:
    """Return the width of the middle 90 % over the median."""
    low, middle, high = quantiles(values)
    return float((high - low) / middle) if middle else math.nan


def mean_of(values: Sequence[float] | Column) -> float:
    """Return the mean."""
    return float(np.mean(values))
