"""The forecast of one plan over its uncertain inputs: intervals, chances, what matters most and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocost.catalog.store import Catalog
from isocost.forecast.run import Evaluated, endless, evaluate, uncertain
from isocost.money.terms import SPOT
from isocost.reliability.conditions import Conditions
from isocost.reliability.defaults import inputs_of
from isocost.reliability.shape import RunShape
from isocost.stats.distributions import Bar, Distribution, Row, draw, probability, tornado
from isocost.stats.quantiles import quantiles
from isocost.units import DAY_S, HOUR_S

SHARES = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
_MIDDLE = (0.45, 0.55)  # draws that stand for a run in the middle
_BARS = 8
_NEVER = 1000.0  # times its steps: a run that takes so long is called endless


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forecast:
    """Draws of a whole run with its luck: arrays, in which the same place is the same future in every plan."""

    gpus: int
    wall_s: Row
    useful_s: Row
    cost_usd: Row | None  # the full bill; None: not priced
    effective_frac: Row
    interruptions: Row
    drawn_s: Mapping[str, Row]  # every bucket
    buckets_s: Mapping[str, float]  # of a run in the middle: they add up to the median wall clock
    lines_usd: Mapping[str, float]  # of a bill in the middle: they add up to the median
    single_run_noise_s: tuple[float, float]  # p05 and p95 less p50 of the wall clock, every input at its median
    interval_s: float  # between saves
    state_bytes: float
    write_bytes_per_s: float
    spares: float
    deadline_s: float | None
    budget_usd: float | None
    raised_usd: float | None
    days_bars: tuple[Bar, ...]
    cost_bars: tuple[Bar, ...]
    worth_usd: Mapping[str, float]  # what knowing an input before choosing would save on average

    @property
    def days(self) -> Row:
        """Length of the run."""
        return self.wall_s / DAY_S

    @property
    def gpu_hours(self) -> Row:
        """Accelerator-hours held, bring-up in."""
        return self.gpus * self.wall_s / HOUR_S

    @property
    def goodput(self) -> Row:
        """Useful time over wall clock."""
        return self.useful_s / self.wall_s

    @property
    def useful_gpu_hours(self) -> Row:
        """Accelerator-hours of steps that are kept, at the speed of a healthy machine."""
        return self.gpus * self.useful_s / HOUR_S

    @property
    def deadline_chance(self) -> float | None:
        """Share of draws that meet the deadline; None without one."""
        return None if self.deadline_s is None else float(probability(self.wall_s <= self.deadline_s))

    @property
    def budget_chance(self) -> float | None:
        """Share of draws that stay within the budget; None without one, or without a price."""
        if self.budget_usd is None or self.cost_usd is None:
            return None
        return float(probability(self.cost_usd <= self.budget_usd))

    @property
    def both_chance(self) -> float | None:
        """Share of draws that meet deadline and budget; None unless both are set."""
        if self.deadline_s is None or self.budget_usd is None or self.cost_usd is None:
            return None
        return float(probability((self.wall_s <= self.deadline_s) & (self.cost_usd <= self.budget_usd)))

    def figures(self) -> dict[str, Row]:
        """Return the figures that have quantiles, by name."""
        found = {
            "days": self.days,
            "gpu_hours": self.gpu_hours,
            "useful_gpu_hours": self.useful_gpu_hours,
            "goodput_frac": self.goodput,
            "effective_frac": self.effective_frac,
            "interruptions": self.interruptions,
        }
        if self.cost_usd is not None:
            found["cost_usd"] = self.cost_usd
            found["useful_gpu_hours_per_usd"] = self.useful_gpu_hours / self.cost_usd
            if self.raised_usd is not None:
                found["share_of_capital_frac"] = self.cost_usd / self.raised_usd
        return found

    def quantiles(self) -> dict[str, dict[str, float]]:
        """Return p05 to p95 of every figure."""
        return {
            name: {
                f"p{100 * share:02.0f}": float(value)
                for share, value in zip(SHARES, np.quantile(column, SHARES), strict=True)
            }
            for name, column in self.figures().items()
        }


def forecast(
    run: RunShape,
    conditions: Conditions,
    catalog: Catalog,
    *,
    deadline_s: float | None = None,
    budget_usd: float | None = None,
    worth_usd: Mapping[str, float] | None = None,
    bars: bool = True,
) -> Forecast:
    """Return the forecast of one plan; ``bars`` also asks which inputs move it most."""
    inputs = uncertain(run, conditions, catalog)
    n = conditions.draws
    drawn = draw(inputs, n, conditions.seed)
    found = evaluate(run, conditions, catalog, drawn, single_runs=n)
    wall = np.broadcast_to(np.asarray(found.time.wall_s, np.float64), (n,))
    if run.term != SPOT and np.median(wall) > _NEVER * run.step_s * run.steps:  # spot says so beside its price
        raise endless()
    total = None if found.bill is None else np.broadcast_to(np.asarray(found.bill.total_usd, np.float64), (n,))
    middle = inputs_of(run, conditions, {})
    days: tuple[Bar, ...] = ()
    cost: tuple[Bar, ...] = ()
    if bars:
        days, cost = _tornadoes(run, conditions, catalog, inputs)
    return Forecast(
        gpus=int(run.gpus),
        wall_s=wall,
        useful_s=_row(found.time.useful_s, n),
        cost_usd=total,
        effective_frac=_row(found.time.effective_frac, n),
        interruptions=_row(found.time.interruptions, n),
        drawn_s={name: _row(value, n) for name, value in found.time.buckets().items()},
        buckets_s=_typical(found.time.buckets(), wall, n),
        lines_usd={} if found.bill is None or total is None else _typical(found.bill.lines(), total, n),
        single_run_noise_s=_single_run_noise(run, conditions, catalog),
        interval_s=float(np.asarray(middle.inputs.interval_s)),
        state_bytes=float(np.asarray(middle.inputs.state_bytes)),
        write_bytes_per_s=float(np.asarray(middle.write_bytes_per_s)),
        spares=float(np.asarray(middle.spares)),
        deadline_s=deadline_s,
        budget_usd=budget_usd,
        raised_usd=conditions.raised_usd,
        days_bars=days,
        cost_bars=cost,
        worth_usd=dict(worth_usd or {}),
    )


def _single_run_noise(run: RunShape, conditions: Conditions, catalog: Catalog) -> tuple[float, float]:
    """Return how much shorter and longer than the middle one runs are that differ in their luck alone."""
    time = evaluate(run, conditions, catalog, {}, single_runs=conditions.draws).time
    low, middle, high = quantiles(time.wall_s).tolist()
    return low - middle, high - middle


def _tornadoes(
    run: RunShape, conditions: Conditions, catalog: Catalog, inputs: Mapping[str, Distribution | float]
) -> tuple[tuple[Bar, ...], tuple[Bar, ...]]:
    """Return which inputs move the days and the bill most; both come from the same evaluations."""
    kept: list[Evaluated] = []

    def wall_days(values: Mapping[str, Row]) -> Row:
        kept.append(evaluate(run, conditions, catalog, values))
        return np.asarray(kept[-1].time.wall_s) / DAY_S

    days = tornado(wall_days, inputs, conditions.draws, conditions.seed).bars
    again = iter(kept)  # the second tornado asks for the same evaluations in the same order
    cost: tuple[Bar, ...] = ()
    if kept[0].bill is not None:
        cost = tornado(lambda _: np.asarray(next(again).total_usd), inputs, conditions.draws, conditions.seed).bars
    return _largest(days), _largest(cost)


def _largest(bars: tuple[Bar, ...]) -> tuple[Bar, ...]:
    return tuple(bar for bar in bars[:_BARS] if bar.swing > 0)


def _row(value: object, n: int) -> Row:
    return np.broadcast_to(np.asarray(value, np.float64), (n,))


def _typical(parts: Mapping[str, object], total: Row, n: int) -> dict[str, float]:
    """Return the parts of a run in the middle of the draws, scaled to add up to the median of the total."""
    low, median, high = np.quantile(total, (_MIDDLE[0], 0.5, _MIDDLE[1]))
    near = (total >= low) & (total <= high)
    means = {name: float(_row(value, n)[near].mean()) for name, value in parts.items()}
    scale = float(median) / sum(means.values())
    return {name: mean * scale for name, mean in means.items()}
