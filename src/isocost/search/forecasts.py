"""Whole runs in the search: wall clock and full bill of the fastest layout of each GPU count, over draws.

Other layouts of the same option and count differ in step time only, and both figures are close to straight lines in it:
a second evaluation at a slightly longer step gives the slope. So interruptions and the bill cost two calls an option,
however many layouts there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from isocost.catalog.memory_recipes import MemoryRecipe, memory_recipe
from isocost.catalog.records import rates_by_precision
from isocost.catalog.store import Catalog
from isocost.forecast import evaluate, uncertain
from isocost.perf.case import Case
from isocost.perf.intervals import certainty_of
from isocost.reliability.conditions import Conditions
from isocost.reliability.shape import RunShape
from isocost.search.chunks import Evaluated
from isocost.search.evaluator import Floats, Tables
from isocost.search.question import Option, Question
from isocost.stats.distributions import draw
from isocost.workload.flops import train_flop_per_token
from isocost.workload.params import parameter_count

_LONGER = 1.05  # step time of the second evaluation, over that of the first
# What mixed precision saves beside 16-bit weights; what an optimizer holds beyond it are 32-bit gradients.
_MASTER_AND_MOMENTS_BYTES = 12.0
_MANY_COUNTS = 32  # beyond it fewer draws do: such questions look for a count, not for a figure
_FEW_DRAWS = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunForecasts:
    """Whole runs of one option at one precision, a row for each GPU count."""

    gpus: Floats  # (k,)
    step_s: Floats  # (k,): of the fastest layout that fits
    measured_over_predicted: Floats  # (k,): measured over predicted step time, where a measured MFU was given; else 1
    wall_s: NDArray[np.float64]  # (k, n)
    goodput: NDArray[np.float64]  # (k, n)
    cost_usd: NDArray[np.float64] | None  # (k, n); None: not priced
    wall_slope_s: Floats  # (k,): of the median, by relative step time
    cost_slope_usd: Floats
    inputs: dict[str, NDArray[np.float64]]  # the draws behind them

    def place(self, gpus: Floats | float) -> NDArray[np.intp]:
        """Return the row of each GPU count."""
        return np.searchsorted(self.gpus, np.asarray(gpus, float))

    def wall_at(self, gpus: Floats, step_s: Floats) -> Floats:
        """Return the median wall clock of layouts with these step times as predicted."""
        k = self.place(gpus)
        return np.asarray(np.median(self.wall_s, axis=1)[k] + self.wall_slope_s[k] * (step_s / self.step_s[k] - 1.0))

    def cost_at(self, gpus: Floats, step_s: Floats) -> Floats:
        """Return the median bill of layouts with these step times as predicted; nan where there is no price."""
        k = self.place(gpus)
        if self.cost_usd is None:
            return np.full(np.shape(k), np.nan)
        longer = step_s / self.step_s[k] - 1.0
        return np.asarray(np.median(self.cost_usd, axis=1)[k] + self.cost_slope_usd[k] * longer)

    def quantile_ratios(self, confidence: float) -> tuple[Floats, Floats]:
        """Return wall clock and bill that are kept with a probability, over their medians, by GPU count."""
        run_ratio = _over(self.wall_s, confidence)
        return run_ratio, np.ones_like(run_ratio) if self.cost_usd is None else _over(self.cost_usd, confidence)


def _over(values: NDArray[np.float64], share: float) -> Floats:
    return np.asarray(np.quantile(values, share, axis=1) / np.median(values, axis=1))


def run_of(question: Question, tables: Tables, layout: int, catalog: Catalog, step_s: float) -> RunShape:
    """Return what a forecast of one layout needs; ``step_s`` is its step time."""
    case = replace(tables.case, layout=tables.layouts.row(layout))
    return run_at(question, tables.option, case, catalog, step_s)


def run_at(question: Question, option: Option, case: Case, catalog: Catalog, step_s: float) -> RunShape:
    """Return what a forecast of a case needs; ``step_s`` is its step time."""
    band = certainty_of(case, question.calibration).band
    measured = question.measured_mfu is not None
    node = catalog.node_of(option.accelerator)
    low, median, high = option.low_usd_per_s, option.median_usd_per_s, option.high_usd_per_s
    return RunShape(
        chip=option.accelerator.id,
        gpus=float(case.gpus),
        gpus_per_node=float(node.gpus_per_node),
        step_s=step_s,
        steps=float(question.steps),
        tokens=float(question.steps) * (question.global_batch_seqs or 1) * question.seq_len,
        params=float(parameter_count(question.architecture).total),
        band=(1.0, 1.0) if measured else (band.low, band.high),
        term=option.term,
        price_usd_per_s=None if median is None else (median if low is None else low, median, high or median),
        tdp_w=option.accelerator.tdp_w,
        power_over_tdp=node.power_over_tdp,
        pue=question.pue,
        electricity=question.electricity,
        draw=option.accelerator.device,
        param_state_bytes=_saved_bytes(memory_recipe(case.recipe.memory)),
    )


def _saved_bytes(recipe: MemoryRecipe) -> float:
    """Return the bytes of a parameter in a checkpoint: its weight and its optimizer states, but no gradient."""
    return recipe.weight + min(recipe.optimizer, _MASTER_AND_MOMENTS_BYTES)


def measured_over_predicted_of(question: Question, tables: Tables, gpus: float, step_s: float) -> float:
    """Return measured over predicted step time where the question states the MFU that was measured."""
    if question.measured_mfu is None:
        return 1.0
    rates = rates_by_precision(tables.option.accelerator)
    rate = rates[tables.case.precision] or rates["bf16"] or rates["fp16"]
    if rate is None:
        return 1.0
    flop = train_flop_per_token(question.architecture, question.seq_len, causal=False)
    tokens = (question.global_batch_seqs or 1) * question.seq_len
    return float(tokens * flop / (gpus * rate * question.measured_mfu) / step_s)


def forecasts_of(
    question: Question,
    conditions: Conditions,
    catalog: Catalog,
    results: Sequence[Evaluated],
    fits: Sequence[NDArray[np.bool_]],
) -> list[RunForecasts | None]:
    """Return the forecasts of every option; None where no layout of it fits."""
    return [_of_option(question, conditions, catalog, r, ok) for r, ok in zip(results, fits, strict=True)]


def _of_option(
    question: Question, conditions: Conditions, catalog: Catalog, result: Evaluated, fits: NDArray[np.bool_]
) -> RunForecasts | None:
    best = _fastest(result, fits)
    if not best.size:
        return None
    t = result.tables
    gpus = np.asarray(t.layouts.gpus[best], float)
    step = result.step_s[best]
    measured_over_predicted = np.array(
        [measured_over_predicted_of(question, t, g, s) for g, s in zip(gpus.tolist(), step.tolist(), strict=True)]
    )
    few = best.size > _MANY_COUNTS
    n = _FEW_DRAWS if few else conditions.draws
    drawn: dict[str, NDArray[np.float64]] = {}
    # Counts with one interval of the step time share a call.
    steps = (step * measured_over_predicted).tolist()
    runs = [run_of(question, t, int(row), catalog, s) for row, s in zip(best, steps, strict=True)]
    wall, good = np.empty((best.size, n)), np.empty((best.size, n))
    cost = None if runs[0].price_usd_per_s is None else np.empty((best.size, n))
    wall_slope, cost_slope = np.zeros(best.size), np.zeros(best.size)
    for band in dict.fromkeys(run.band for run in runs):
        rows = np.array([k for k, run in enumerate(runs) if run.band == band], np.intp)
        run = _many(runs[rows[0]], gpus[rows], (step * measured_over_predicted)[rows])
        drawn = draw(uncertain(run, conditions, catalog), n, conditions.seed)
        at = evaluate(run, conditions, catalog, drawn)
        later = evaluate(
            _many(run, gpus[rows], (step * measured_over_predicted * _LONGER)[rows]), conditions, catalog, drawn
        )
        wall[rows] = np.asarray(at.time.wall_s)
        good[rows] = np.asarray(at.time.goodput)
        wall_slope[rows] = _slope(wall[rows], np.asarray(later.time.wall_s))
        if cost is not None and at.total_usd is not None and later.total_usd is not None:
            cost[rows] = np.asarray(at.total_usd)
            cost_slope[rows] = _slope(cost[rows], np.asarray(later.total_usd))
    return RunForecasts(
        gpus=gpus,
        step_s=step,
        measured_over_predicted=measured_over_predicted,
        wall_s=wall,
        goodput=good,
        cost_usd=cost,
        wall_slope_s=wall_slope,
        cost_slope_usd=cost_slope,
        inputs=drawn,
    )


def _many(run: RunShape, gpus: Floats, step_s: Floats) -> RunShape:
    return replace(run, gpus=gpus[:, None], step_s=step_s[:, None])


def _slope(at: NDArray[np.float64], later: NDArray[np.float64]) -> Floats:
    return np.asarray((np.median(later, axis=1) - np.median(at, axis=1)) / (_LONGER - 1.0))


def _fastest(result: Evaluated, fits: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the fastest layout that fits, of each GPU count, in the order of the counts."""
    gpus = result.tables.layouts.gpus  # in ascending order
    edges = np.flatnonzero(np.diff(gpus)) + 1
    step = np.where(fits, result.step_s, np.inf)
    parts = np.split(np.arange(len(gpus)), edges) if len(gpus) else []
    return np.array([part[np.argmin(step[part])] for part in parts if np.isfinite(step[part]).any()], np.intp)
