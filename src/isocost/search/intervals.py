"""Intervals of a candidate: that of the step time, with the spread of price or power as an independent factor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from isocost.forecast import Forecast
from isocost.laws.intervals import combined_ratio
from isocost.laws.memory import FIT_SIGMA
from isocost.perf.case import Case
from isocost.perf.intervals import Band
from isocost.perf.predict import peak_range
from isocost.search.forecasts import RunForecasts
from isocost.search.question import Range
from isocost.stats.quantiles import Interval, interval

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
class RunFigures:
    """What a run comes to: wall clock, bill and goodput, with their 90 % intervals."""

    run_s: float
    wall: Band  # over it
    cost_usd: Interval | None  # the full bill; None: only the rent is known, by the wall clock
    goodput: Interval


def of_steps(compute_s: float, band: Band) -> RunFigures:
    """Return the figures of a run that nothing interrupts: those of its steps."""
    return RunFigures(run_s=compute_s, wall=band, cost_usd=None, goodput=Interval(low=1.0, median=1.0, high=1.0))


def of_lines(forecasts: RunForecasts, gpus: int, run_s: float, cost_usd: float) -> RunFigures:
    """Return the figures of one layout of many: medians on the straight lines, as wide as the draws of its count."""
    k = int(forecasts.place(float(gpus)))
    cost = None
    if forecasts.cost_usd is not None:
        factors = _band(interval(forecasts.cost_usd[k]))
        cost = Interval(low=cost_usd * factors.low, median=cost_usd, high=cost_usd * factors.high)
    wall = _band(interval(forecasts.wall_s[k]))
    return RunFigures(run_s=run_s, wall=wall, cost_usd=cost, goodput=interval(forecasts.goodput[k]))


def of_forecast(forecast: Forecast) -> RunFigures:
    """Return the figures of a forecast: those of single runs, with the noise of their stops."""
    run = interval(forecast.wall_s)
    cost = None if forecast.cost_usd is None else interval(forecast.cost_usd)
    return RunFigures(run_s=run.median, wall=_band(run), cost_usd=cost, goodput=interval(forecast.goodput))


def _band(known: Interval) -> Band:
    return Band(low=known.low / known.median, high=known.high / known.median)
