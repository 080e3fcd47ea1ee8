"""Intervals of a candidate: that of the step time, with the spread of price or power as an independent factor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocost.laws.intervals import combined_ratio
from isocost.laws.memory import FIT_SIGMA
from isocost.perf.case import Case
from isocost.perf.intervals import Band
from isocost.perf.predict import peak_range
from isocost.search.forecasts import RunForecasts
from isocost.search.question import Range
from isocost.stats.quantiles import Interval, quantiles

NORMAL_90 = 1.6449  # standard deviations to either end of the middle 90 % of a normal error


def with_time(band: Band, longer: Mapping[str, float], slower: Mapping[str, float | None]) -> dict[str, Range]:
    """Intervals of what grows with the step time, and of what shrinks with it, by name; unknown figures have none."""
    found = {name: Range(low=x * band.low, high=x * band.high) for name, x in longer.items()}
    inverse = {name: Range(low=x / band.high, high=x / band.low) for name, x in slower.items() if x is not None}
    return found | inverse


def widened(spread: Interval | None, band: Band) -> Interval | None:
    """Return a quantity proportional to the time: its own spread and that of the time, as independent factors."""
    if spread is None or spread.low <= 0.0:  # what may cost nothing does so however long it takes
        return spread if spread is None else Interval(low=0.0, median=spread.median, high=spread.high * band.high)
    low = combined_ratio(first=spread.low / spread.median, second=band.low)
    high = combined_ratio(first=spread.high / spread.median, second=band.high)
    return Interval(low=float(spread.median / low), median=spread.median, high=float(spread.median * high))


def peak_interval(case: Case, peak_bytes: float, *, recipe_assumed: bool) -> Range:
    """Where the peak is: the spread of a prediction, and every memory recipe of the stacks that it could be."""
    spread = math.exp(NORMAL_90 * FIT_SIGMA)
    low, high = peak_bytes / spread, peak_bytes * spread
    if recipe_assumed:
        least, _, most = peak_range(case)
        low, high = min(low, least), max(high, most)
    return Range(low=low, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """90 % intervals of a whole run: wall clock and cost over their medians, and goodput."""

    wall: Band
    cost: Band | None  # None: that of the rent, from the wall clock
    goodput: Range
    median_goodput: float


def run_ends(forecasts: RunForecasts | None, gpus: int, band: Band) -> Ends:
    """Intervals of a run on so many GPUs; without interruptions they are those of the step time."""
    if forecasts is None:
        return Ends(wall=band, cost=None, goodput=Range(low=1.0, high=1.0), median_goodput=1.0)
    k = int(forecasts.place(float(gpus)))
    low, median, high = quantiles(forecasts.goodput[k]).tolist()
    cost = None if forecasts.cost_usd is None else _band(forecasts.cost_usd[k])
    goodput = Range(low=low, high=high)
    return Ends(wall=_band(forecasts.wall_s[k]), cost=cost, goodput=goodput, median_goodput=median)


def _band(values: NDArray[np.float64]) -> Band:
    low, median, high = quantiles(values)
    return Band(low=float(low / median), high=float(high / median))


def scaled(band: Band, median: float) -> Interval:
    """Return a figure by its median and its interval as factors."""
    return Interval(low=median * band.low, median=median, high=median * band.high)
