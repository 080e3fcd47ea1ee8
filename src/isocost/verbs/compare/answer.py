"""Two offers for one run: what each takes and costs, which inputs make the difference, and what premium is worth it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from isocost.errors import InputError, NoPlanError, Problem
from isocost.forecast import Forecast
from isocost.money.breakeven import Offered, Premium, premium
from isocost.reliability.defaults import inputs_of
from isocost.render.document import Column, Document, Section, Table
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.scenario import KEYS, read_scenario
from isocost.scenario.values import Context, read_deadline
from isocost.search.forecasts import run_at
from isocost.stats.distributions import probability
from isocost.stats.quantiles import quantiles
from isocost.stats.shapley import Attribution, shapley
from isocost.units import DAY_S, HOUR_S, counted, show
from isocost.verbs.options import LAYOUT, SWITCHES
from isocost.verbs.plan.answer import Plan
from isocost.verbs.plan.saved import chosen_of_plan

# Groups of inputs; a key of no group must be the same in both.
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "facility tier": ("facility",),
    "cluster design": ("fabric", "on", "gpus", "storage", "checkpoint", "reliability"),
    "tuning and support": ("support", "tuning", *LAYOUT, *SWITCHES),
    "price and terms": ("purchase", "term", "owned", "programme", "catalog"),
}
_FREE: Final = ("title", "top", "deadline", "budget", "power_cap", "confidence")
_GROUPED: Final = tuple(key for keys in GROUPS.values() for key in keys)
SAME: Final = tuple(key for key in KEYS if key not in (*_FREE, *_GROUPED))
_BRIEF_S: Final = DAY_S  # a shorter bring-up gap needs no arithmetic
_CLOSE: Final = 0.02  # of the bill: less is not called a difference
Ask = Callable[[Mapping[str, object], Mapping[str, str]], Plan]  # of keys, and where each was written


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Side:
    """One offer, evaluated."""

    name: str
    plan: Plan
    forecast: Forecast
    bring_up_s: float
    price_usd_per_s: float
    available_frac: float
    deadline_chance: float | None

    @property
    def days(self) -> float:
        """Median length of the run."""
        return float(np.median(self.forecast.wall_s)) / DAY_S

    @property
    def cost_usd(self) -> float:
        """Median of the bill."""
        return float(np.median(self.forecast.cost_usd if self.forecast.cost_usd is not None else np.nan))

    @property
    def useful_per_usd(self) -> float:
        """Median of useful accelerator-hours per dollar."""
        return float(np.median(self.forecast.useful_gpu_hours)) / self.cost_usd

    def offered(self, delay_usd_per_s: float) -> Offered:
        """Return the offer: the price, the accelerator-seconds, and everything else on the bill and in time."""
        wall = self.days * DAY_S
        held = self.forecast.gpus * wall
        other = self.cost_usd - self.price_usd_per_s * held + delay_usd_per_s * wall
        return Offered(price_usd_per_s=self.price_usd_per_s, accelerator_s=held, other_usd=other)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison(Result):
    """What ``isocost compare`` returns."""

    a: Side
    b: Side
    differs: Mapping[str, tuple[str, ...]]  # keys that differ, by group
    days: Attribution | None  # from A to B; None: nothing differs
    cost: Attribution | None
    premium: Premium
    delay_usd_per_s: float

    @property
    def _ordered(self) -> tuple[Side, Side]:
        """The faster offer, and the other."""
        return (self.a, self.b) if self.a.days <= self.b.days else (self.b, self.a)

    @property
    def verdict(self) -> str:
        """Which offer to take for this run, in one sentence."""
        if not self.differs:
            return "nothing that counts differs between the two: they come to the same"
        fast, slow = self._ordered
        ask, worth = (x * HOUR_S for x in (fast.price_usd_per_s, float(self.premium.break_even_usd_per_s)))
        if bool(self.premium.commodity_is_fine):
            return (
                f"commodity is fine here: {slow.name} costs less in full, and {fast.name} would have to ask "
                f"${worth:.2f} an hour or less, not ${ask:.2f}"
            )
        saved = slow.cost_usd / fast.cost_usd - 1.0
        much = "about as much" if abs(saved) < _CLOSE else f"{abs(saved):.0%} {'more' if saved > 0 else 'less'}"
        return (
            f"{fast.name} is worth up to ${worth:.2f} an hour and asks ${ask:.2f}: {slow.name} costs {much} for the run"
        )

    @property
    def sentence(self) -> str:
        """Days and dollars of both, and the verdict."""
        sides = " against ".join(f"{s.days:,.1f} d and {show(s.cost_usd, 'USD')} ({s.name})" for s in (self.a, self.b))
        return f"{sides}: {self.verdict}"

    def rows(self) -> Table:
        """Return the figures of both offers."""
        return Table(
            columns=(
                Column(head="figure", key="figure", value=lambda r: r[0], left=True),
                Column(head=self.a.name, key="a", value=lambda r: r[1]),
                Column(head=self.b.name, key="b", value=lambda r: r[2]),
            ),
            rows=tuple(zip(_figures(self.a), _values(self.a), _values(self.b), strict=True)),
        )

    def _shares(self) -> Table:
        assert self.days is not None
        assert self.cost is not None
        days, cost = self.days.shares, self.cost.shares
        whole = ("the whole difference", float(self.days.whole), float(self.cost.whole), "")
        rows = tuple((g, float(days[g]), float(cost[g]), ", ".join(self.differs[g])) for g in self.differs)
        return Table(
            columns=(
                Column(head="group of inputs", key="group", value=lambda r: r[0], left=True),
                Column(head="days", key="days", value=lambda r: r[1], show=lambda x: f"{x:+,.1f}"),
                Column(head="dollars", key="cost_usd", value=lambda r: r[2], show=_signed),
                Column(head="what differs", key="differs", value=lambda r: r[3], left=True),
            ),
            rows=(*rows, whole),
        )

    def _bring_up(self) -> str:
        fast, slow = sorted((self.a, self.b), key=lambda side: side.bring_up_s)
        gap = slow.bring_up_s - fast.bring_up_s
        hours = gap * slow.forecast.gpus / HOUR_S
        price = slow.price_usd_per_s * HOUR_S
        days = " against ".join(f"{show(side.bring_up_s, 's')} ({side.name})" for side in (fast, slow))
        if gap < _BRIEF_S:
            return f"to target throughput: {days}"
        return (
            f"to target throughput: {days}; {gap / DAY_S:.0f} d x {counted(slow.forecast.gpus, 'GPU')} = "
            f"{hours / 1e6:.2f} M GPU-hours, {show(hours * price, 'USD')} at ${price:.2f}"
        )

    def document(self) -> Document:
        """Return both offers, the bring-up, and the difference by group."""
        sections = [Section(title="Two offers, one run", body=(self.rows(), self._bring_up()))]
        if self.days is not None:
            note = (
                "from the first offer to the second; a group's share is its effect averaged over every order of "
                "changing the groups (Shapley), so that the shares add up"
            )
            sections.append(Section(title="What makes the difference", body=(self._shares(), note)))
        fast, slow = self._ordered
        words = (
            f"{fast.name} breaks even at ${float(self.premium.break_even_usd_per_s) * HOUR_S:.2f} per GPU-hour: "
            f"a premium of ${float(self.premium.premium_usd_per_s) * HOUR_S:.2f} over {slow.name}",
            "availability of a building is not goodput: "
            + ", ".join(f"{s.name} {(1 - s.available_frac) * 8760:.1f} h a year" for s in (self.a, self.b)),
        )
        sections.append(Section(title="What the better one is worth", body=(self.verdict, *words)))
        return Document(lead=self.sentence, sections=tuple(sections))

    def to_dict(self) -> dict[str, Any]:
        """Return both plans and the shares as plain values."""

        def shares(found: Attribution | None) -> dict[str, float] | None:
            return None if found is None else {name: float(value) for name, value in found.shares.items()}

        return {
            "schema_version": SCHEMA_VERSION,
            "verb": "compare",
            "summary": self.sentence,
            "commodity_is_fine": bool(self.premium.commodity_is_fine),
            "break_even_usd_per_gpu_s": float(self.premium.break_even_usd_per_s),
            "premium_usd_per_gpu_s": float(self.premium.premium_usd_per_s),
            "differs": {group: list(keys) for group, keys in self.differs.items()},
            "shares_days": shares(self.days),
            "shares_usd": shares(self.cost),
            "a": _side_dict(self.a),
            "b": _side_dict(self.b),
        }


def _side_dict(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "days": side.days,
        "cost_usd": side.cost_usd,
        "useful_gpu_hours_per_usd": side.useful_per_usd,
        "bring_up_s": side.bring_up_s,
        "deadline_chance_frac": side.deadline_chance,
        "available_frac": side.available_frac,
        "plan": side.plan.to_dict(),
    }


def _signed(x: float) -> str:
    return f"{'-' if x < 0 else '+'}{show(abs(x), 'USD')}"


def _figures(side: Side) -> tuple[str, ...]:
    chance = ("chance of the deadline",) if side.deadline_chance is not None else ()
    return (
        "days (p05 to p95)",
        "full bill (p05 to p95)",
        "goodput",
        "step time",
        "interruptions",
        "useful GPU-hours per dollar",
        "price of a GPU-hour",
        "price of a useful GPU-hour",
        *chance,
    )


def _values(side: Side) -> tuple[str, ...]:
    o, chosen = side.forecast, side.plan.answer.chosen
    assert chosen is not None
    days = quantiles(o.days)
    cost = quantiles(o.cost_usd) if o.cost_usd is not None else np.full(3, np.nan)
    chance = () if side.deadline_chance is None else (f"{side.deadline_chance:.0%}",)
    return (
        f"{days[1]:,.1f} ({days[0]:,.1f} to {days[2]:,.1f})",
        f"{show(cost[1], 'USD')} ({show(cost[0], 'USD')} to {show(cost[2], 'USD')})",
        f"{np.median(o.goodput):.1%}",
        show(chosen.step_s, "s"),
        f"{np.median(o.interruptions):,.0f}",
        f"{side.useful_per_usd:.3f}",
        f"${side.price_usd_per_s * HOUR_S:.2f}",
        f"${1 / side.useful_per_usd:.2f}",
        *chance,
    )


def comparison(a: Mapping[str, object], b: Mapping[str, object], wrote: Mapping[str, str], ask: Ask) -> Comparison:
    """Return the comparison of two scenarios; ``ask`` plans one."""
    problems = [*_unread(a, wrote["A"]), *_unread(b, wrote["B"])] or [
        Problem(f"{wrote['B']}: {key}", f"is not that of {wrote['A']}", fix="compare two offers for the same run")
        for key in SAME
        if a.get(key) != b.get(key)
    ]
    if problems:
        raise InputError(problems)
    differs = {group: tuple(key for key in keys if a.get(key) != b.get(key)) for group, keys in GROUPS.items()}
    differs = {group: keys for group, keys in differs.items() if keys}
    plans: dict[frozenset[str], Plan] = {}

    def mixed(changed: frozenset[str]) -> Plan:
        if changed not in plans:
            taken = {key for group in changed for key in differs[group]}
            tables = {key: (b if key in taken else a).get(key) for key in {**a, **b} if key not in _FREE}
            places = {key: f"{wrote['B' if key in taken else 'A']}: {key}" for key in tables}
            plans[changed] = ask({key: value for key, value in tables.items() if value is not None}, places)
        return plans[changed]

    sides = [
        _side(mixed(frozenset(which)), tables, key, wrote) for which, tables, key in (((), a, "A"), (differs, b, "B"))
    ]
    fast, slow = sorted(sides, key=lambda side: side.days)
    conditions = sides[0].plan.answer.question.conditions
    delay = 0.0 if conditions is None else conditions.delay_usd_per_s
    groups = list(differs)
    return Comparison(
        a=sides[0],
        b=sides[1],
        differs=differs,
        days=shapley(lambda changed: _median(mixed(changed), "days"), groups) if groups else None,
        cost=shapley(lambda changed: _median(mixed(changed), "cost_usd"), groups) if groups else None,
        premium=premium(slow.offered(delay), fast.offered(delay)),
        delay_usd_per_s=delay,
    )


def _unread(tables: Mapping[str, object], place: str) -> tuple[Problem, ...]:
    """Return what is wrong with an offer by itself."""
    try:
        read_scenario(tables, {key: f"{place}: {key}" for key in (*KEYS, *tables)})
    except InputError as error:
        return tuple(error.problems)
    return ()


def _median(plan: Plan, name: str) -> float:
    forecast = _forecast(plan)
    found = forecast.days if name == "days" else forecast.cost_usd
    assert found is not None
    return float(np.median(found))


def _forecast(plan: Plan, place: str = "compare") -> Forecast:
    if plan.answer.chosen is None:
        raise NoPlanError([Problem(place, plan.sentence, fix="relax a limit: isocost plan lists ways out")])
    if plan.answer.forecast is None or plan.answer.forecast.cost_usd is None:
        raise InputError([Problem(place, "has no price", fix="add [purchase] price")])
    return plan.answer.forecast


def _side(plan: Plan, tables: Mapping[str, object], key: str, wrote: Mapping[str, str]) -> Side:
    forecast = _forecast(plan, wrote[key])
    found = chosen_of_plan(plan)
    chosen, conditions = plan.answer.chosen, found.question.conditions
    assert chosen is not None
    assert conditions is not None
    run = run_at(found.question, found.option, found.case, found.catalog, chosen.step_s)
    limit = tables.get("deadline")
    context = Context(catalog=None, today=plan.today, places={})
    deadline = None if limit is None else read_deadline(limit, f"{wrote[key]}: deadline", context)
    title = str(tables.get("title") or key)
    return Side(
        name=title,
        plan=plan,
        forecast=forecast,
        bring_up_s=float(np.asarray(inputs_of(run, conditions, {}).inputs.bring_up_s)),
        price_usd_per_s=float(found.option.median_usd_per_s or 0.0),
        available_frac=conditions.facility.available_frac(),
        deadline_chance=None if deadline is None else float(probability(forecast.wall_s <= deadline)),
    )
