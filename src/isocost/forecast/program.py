"""The bill of a whole program: what precedes, accompanies and follows the final run, with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isocost.errors import InputError, Problem
from isocost.laws.scaling import train_6nd_flop
from isocost.money.bill import share_of_capital, staff_usd
from isocost.scaling.store import shipped_tables
from isocost.stats.distributions import spanning
from isocost.stats.quantiles import Interval, interval
from isocost.units import YEAR_S

Array = NDArray[np.float64]
SHARE, GPU_HOURS, FLOP, USD = "share", "gpu_hours", "flop", "usd"
UNITS: Final = (SHARE, GPU_HOURS, FLOP, USD)
DRAWS: Final = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A part of the program. ``begins`` is when it is needed, in lengths of the final run from its start."""

    name: str
    amount: Interval
    unit: str = SHARE  # of the cost of the final run; or GPU-hours, FLOP or USD of its own
    begins: float = 0.0
    source: str = "yours"


@dataclass(frozen=True, slots=True, kw_only=True)
class MainRun:
    """The final run as the planner gives it; GPU-hours and FLOP of other items are priced at its rates."""

    cost_usd: Interval
    gpu_hours: float
    flop: float
    run_s: float
    drawn_usd: Array | None = None  # draws of the cost; None: drawn from the amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """People who work on the program, over its whole length."""

    people: float
    usd_per_year: Interval
    length_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the bill: its interval, its share of the expected total, and the day it begins."""

    name: str
    cost_usd: Interval
    mean_usd: float
    share_frac: float
    begins_s: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramBill:
    """The whole bill. Intervals do not add up; means do."""

    lines: tuple[Line, ...]
    total_usd: Interval
    mean_usd: float
    share_of_capital: Interval | None


def ladder(sizes: Sequence[float], tokens_per_param: float, seeds: int = 1, name: str = "ladder of small runs") -> Item:
    """Return the small runs that a scaling law is fitted to, as one item in FLOP."""
    work = sum(float(train_6nd_flop(params=n, tokens=n * tokens_per_param)) for n in sizes) * seeds
    return Item(name=name, amount=Interval(low=work, median=work, high=work), unit=FLOP, begins=-1.0)


def shipped_items(known: Mapping[str, float] | None = None) -> tuple[Item, ...]:
    """Return the usual items as shares of the final run, each with its source; ``known`` shares take their place."""
    own = known or {}
    found = []
    for key, entry in shipped_tables()["programme"].items():
        low, median, high = [own[key]] * 3 if key in own else [entry[end] for end in ("low", "median", "high")]
        if high > 0.0:
            source = "yours" if key in own else f"{entry['source']}, {entry['as_of']}"
            amount = Interval(low=low, median=median, high=high)
            found.append(Item(name=entry["title"], amount=amount, begins=entry["begins"], source=source))
    return tuple(found)


def program_bill(
    main: MainRun,
    items: Sequence[Item],
    staff: Staff | None = None,
    raised_usd: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> ProgramBill:
    """Return the bill of a program with its interval.

    The price of the final run moves all that is priced by it (shares, GPU-hours, FLOP) with it; amounts are
    independent of it and of each other. Where the run has draws of its own, they are taken as they are.
    """
    _check(main, items, staff, raised_usd)
    rng = np.random.default_rng(seed)
    final = spanning(main.cost_usd).sample(rng, draws) if main.drawn_usd is None else main.drawn_usd
    draws = len(final)
    costs = {"final run": (final, 0.0, "the plan")}
    unit_usd = {SHARE: final, GPU_HOURS: final / main.gpu_hours, FLOP: final / main.flop, USD: np.ones(draws)}
    for item in items:
        amount = spanning(item.amount).sample(rng, draws)
        costs[item.name] = (amount * unit_usd[item.unit], item.begins * main.run_s, item.source)
    if staff is not None:
        salary_usd_per_s = spanning(staff.usd_per_year).sample(rng, draws) / YEAR_S
        cost = staff_usd(people=staff.people, salary_usd_per_s=salary_usd_per_s, staffed_s=staff.length_s)
        earliest = min(begins for _, begins, _ in costs.values())
        costs["staff"] = (np.asarray(cost), earliest, "yours")
    total = np.sum([cost for cost, _, _ in costs.values()], axis=0)
    mean = float(total.mean())
    lines = tuple(
        Line(
            name=name,
            cost_usd=interval(cost),
            mean_usd=float(cost.mean()),
            share_frac=float(cost.mean()) / mean,
            begins_s=begins,
            source=source,
        )
        for name, (cost, begins, source) in costs.items()
    )
    share = None if raised_usd is None else interval(share_of_capital(bill_usd=total, raised_usd=raised_usd))
    return ProgramBill(lines=lines, total_usd=interval(total), mean_usd=mean, share_of_capital=share)


def _check(main: MainRun, items: Sequence[Item], staff: Staff | None, raised_usd: float | None) -> None:
    problems = []
    for name, value in (("gpu_hours", main.gpu_hours), ("flop", main.flop), ("run_s", main.run_s)):
        if not value > 0.0:
            problems.append(Problem(f"final run: {name}", "is not positive", value))
    amounts = [("final run", main.cost_usd), *((item.name, item.amount) for item in items)]
    if staff is not None:
        amounts.append(("staff: usd_per_year", staff.usd_per_year))
        if not (staff.people > 0.0 and staff.length_s > 0.0):
            problems.append(Problem("staff", "is nobody, or no time", f"{staff.people:g} for {staff.length_s:g} s"))
    for name, amount in amounts:
        if not 0.0 < amount.low <= amount.median <= amount.high:
            given = f"{amount.low:g}, {amount.median:g}, {amount.high:g}"
            problems.append(Problem(name, "is not low, median and high", given, "above zero and in that order"))
    names = [item.name for item in items]
    for item in items:
        if item.unit not in UNITS:
            problems.append(Problem(item.name, "has an unknown unit", item.unit, ", ".join(UNITS)))
        if names.count(item.name) > 1 or item.name in ("final run", "staff"):
            problems.append(Problem(item.name, "is a name twice", fix="give each item a name of its own"))
    if raised_usd is not None and not raised_usd > 0.0:
        problems.append(Problem("raised", "is not positive", raised_usd))
    if problems:
        raise InputError(problems)
