"""All evaluated layouts of all options in one row of columns, the limits each breaks, and the best of each size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocost.catalog.store import Catalog
from isocost.laws.memory import FIT_SIGMA, fits_probability
from isocost.search.chunks import Evaluated
from isocost.search.evaluator import Floats, Index, Tables
from isocost.search.forecasts import RunForecasts, forecasts_of
from isocost.search.question import Question
from isocost.search.site import Site, cost_usd_per_s

Codes = NDArray[np.int8]

# In the order in which they are tried: a layout is counted under the first limit it breaks.
LIMITS = ("", "memory", "power", "not priced", "deadline", "budget")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluations:
    """Columns over all layouts of all options; ``cost`` is USD, or accelerator-seconds where nothing is priced."""

    question: Question
    results: Sequence[Evaluated]
    sites: Sequence[Site]  # of each result
    steps: int
    priced: bool
    start: Index  # of each result among the rows
    gpus: Floats
    peak_bytes: Floats
    forecasts: Sequence[RunForecasts | None]  # of each result; None: nothing of it fits, or nothing interrupts
    run_s: Floats  # nan where the layout does not fit
    cost: Floats  # nan where it does not fit or is not priced
    run_quantile_ratio: Floats  # time and cost that are kept with the probability asked for, over those columns
    cost_quantile_ratio: Floats
    power_w: Floats  # inf where the power of the chip is not known and there is a cap
    limit: Codes  # places in LIMITS

    def __len__(self) -> int:
        return len(self.gpus)

    def place(self, row: int) -> tuple[int, int]:
        """Return the number of the result, and of the layout in it."""
        result = int(np.searchsorted(self.start, row, side="right")) - 1
        return result, row - int(self.start[result])

    @property
    def sure_run_s(self) -> Floats:
        """Time that is kept with the probability asked for."""
        return self.run_s * self.run_quantile_ratio

    @property
    def sure_cost(self) -> Floats:
        """Cost that is kept with the probability asked for."""
        return self.cost * self.cost_quantile_ratio

    def meets(self, *, without: str = "") -> NDArray[np.bool_]:
        """Rows that fit in memory and, but for the named one, meet every limit."""
        q = self.question
        ok: NDArray[np.bool_] = self.limit != LIMITS.index("memory")
        if without != "power" and q.power_w is not None:
            ok = ok & (self.power_w <= q.power_w)
        ok = ok & ~np.isnan(self.cost)
        if without != "deadline" and q.deadline_s is not None:
            ok = ok & (self.sure_run_s <= q.deadline_s)
        if without != "budget" and q.budget_usd is not None:
            ok = ok & (self.sure_cost <= q.budget_usd)
        return ok


def fit_ceiling_bytes(capacity_bytes: float, probability: float) -> float:
    """Return the largest predicted peak that fits with this probability: ``fits_probability`` solved by halving."""
    low, high = capacity_bytes * math.exp(-6.0 * FIT_SIGMA), capacity_bytes * math.exp(6.0 * FIT_SIGMA)
    for _ in range(60):
        middle = math.sqrt(low * high)
        enough = fits_probability(total_bytes=middle, capacity_bytes=capacity_bytes, sigma=FIT_SIGMA) >= probability
        low, high = (middle, high) if enough else (low, middle)
    return low


def ceiling(question: Question, tables: Tables) -> float:
    """Return the largest predicted peak that is allowed on an option."""
    return fit_ceiling_bytes(tables.capacity_bytes, question.fit_probability)


def pool(question: Question, results: Sequence[Evaluated], sites: Sequence[Site], catalog: Catalog) -> Evaluations:
    """Join the results of all options and find the first limit that each layout breaks."""
    steps = question.steps
    rates = [cost_usd_per_s(r.tables.option, s) for r, s in zip(results, sites, strict=True)]
    priced = any(not math.isnan(rate) for rate in rates)
    lengths = [len(r.peak_bytes) for r in results]

    def each(values: Sequence[float]) -> Floats:
        return np.repeat(np.array(values, float), lengths)

    def joined(parts: Sequence[NDArray[np.generic]]) -> Floats:
        return np.concatenate([np.asarray(part, float) for part in parts]) if parts else np.empty(0)

    gpus = joined([r.tables.layouts.gpus for r in results])
    peak = joined([r.peak_bytes for r in results])
    run = steps * joined([r.step_s for r in results])
    cost = gpus * run * (each(rates) if priced else 1.0)
    run_ratio, cost_ratio = np.ones(len(gpus)), np.ones(len(gpus))
    forecasts: Sequence[RunForecasts | None] = [None] * len(results)
    if question.conditions is not None:
        enough = [r.peak_bytes <= ceiling(question, r.tables) for r in results]
        forecasts = forecasts_of(question, question.conditions, catalog, results, enough)
        columns = [_run_columns(question, r, w, ok) for r, w, ok in zip(results, forecasts, enough, strict=True)]
        run, bill, run_ratio, cost_ratio = (joined([part[k] for part in columns]) for k in range(4))
        cost = bill if priced else gpus * run
    power = gpus * each([math.inf if s.full_w is None else s.full_w for s in sites])
    fits = peak <= each([ceiling(question, r.tables) for r in results])
    run, cost = np.where(fits, run, np.nan), np.where(fits, cost, np.nan)
    top = math.inf
    broken = [
        fits & ~(power <= (question.power_w or top)) & (question.power_w is not None),
        fits & np.isnan(cost),
        run * run_ratio > (question.deadline_s or top),
        cost * cost_ratio > (question.budget_usd or top),
    ]
    limit = np.select([~fits, *broken], range(1, len(LIMITS)), 0).astype(np.int8)
    start = np.cumsum([0, *lengths[:-1]]) if lengths else np.zeros(0)
    return Evaluations(
        question=question,
        results=results,
        sites=sites,
        steps=steps,
        priced=priced,
        start=start.astype(np.intp),
        gpus=gpus,
        peak_bytes=peak,
        forecasts=forecasts,
        run_s=run,
        cost=cost,
        run_quantile_ratio=run_ratio,
        cost_quantile_ratio=cost_ratio,
        power_w=power,
        limit=limit,
    )


def _run_columns(
    question: Question, result: Evaluated, forecasts: RunForecasts | None, fits: NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats, Floats]:
    """Wall clock, bill, and both at the probability asked for over the median, of every layout of an option."""
    size = len(fits)
    run, cost = np.full(size, np.nan), np.full(size, np.nan)
    run_ratio, cost_ratio = np.ones(size), np.ones(size)
    if forecasts is not None:
        gpus, step = np.asarray(result.tables.layouts.gpus[fits], float), result.step_s[fits]
        run[fits], cost[fits] = forecasts.wall_at(gpus, step), forecasts.cost_at(gpus, step)
        by_count = forecasts.quantile_ratios(question.confidence)
        run_ratio[fits], cost_ratio[fits] = (ratio[forecasts.place(gpus)] for ratio in by_count)
    return run, cost, run_ratio, cost_ratio


def best_of_sizes(p: Evaluations) -> Index:
    """Return the fastest layout that fits, of each option, precision and GPU count: at one count, the cheapest too."""
    best = []
    for result, start in zip(p.results, p.start.tolist(), strict=True):
        gpus = result.tables.layouts.gpus  # in ascending order: the first axis of the layouts
        edges = np.flatnonzero(np.diff(gpus)) + 1
        for part in np.split(np.arange(start, start + len(gpus)), edges):
            run = p.run_s[part]
            if len(run) and not np.isnan(run).all():
                best.append(int(part[np.nanargmin(run)]))
    return np.array(best, np.intp)


def ordered(p: Evaluations, rows: Index) -> Index:
    """Rows by cost, then time, then size, then name: the same whatever the order of the options."""
    names = [r.tables.option.label + r.tables.case.precision for r in p.results]
    place = np.array([sorted(names).index(name) for name in names] or [0])
    of = np.searchsorted(p.start, rows, side="right") - 1
    keys = (rows - p.start[of], place[of], p.gpus[rows], p.run_s[rows], p.cost[rows])
    return rows[np.lexsort(keys)]
