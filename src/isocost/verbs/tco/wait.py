"""Train now, or wait for a price or the next chip: both directions of prices, a chip on time and late, break-even."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from isocost.catalog.records import Accelerator, Rate
from isocost.catalog.store import Catalog
from isocost.errors import InputError, Problem
from isocost.money.terms import ON_DEMAND
from isocost.money.wait import Scenario, WaitAnswer, WaitInputs, wait_or_train
from isocost.render.document import Column, Section, Table
from isocost.units import DAY_S, HOUR_S, parse, show
from isocost.verbs.plan.answer import Plan
from isocost.verbs.tco.payment import PayingRun

# A chip with half as much arithmetic again is of another generation; less is a variant of the same one.
_GENERATION: Final = 1.5
_ENDS: Final = ("low", "median", "high")
_PRICES: Final = ("falls", "likely", "rises")
AskNext = Callable[[str, int], Plan]  # chip and number of accelerators to an estimate on it


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitQuestion:
    """What the user says of the wait; ``None`` is taken from the catalog."""

    wait_s: float
    late_s: float | None = None
    chip: str | None = None


def wait_question(wait: object, late: object, chip: str | None) -> WaitQuestion | None:
    """Return what the user says of the wait; nothing where the wait itself is left out."""
    if wait is None:
        given = {"late": late, "next_chip": chip}
        found = [
            Problem(name, "is for --wait, which is missing", fix="add --wait '6 months'")
            for name in given
            if given[name] is not None
        ]
        if found:
            raise InputError(found)
        return None
    problems: list[Problem] = []
    lengths = []
    for name, value in (("wait", wait), ("late", late)):
        try:
            lengths.append(None if value is None else parse(value, "s", name))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    assert lengths[0] is not None
    return WaitQuestion(wait_s=lengths[0], late_s=lengths[1], chip=chip)


@dataclass(frozen=True, slots=True, kw_only=True)
class NextChip:
    """The chip to wait for: how much faster this run is on it, and how much dearer an hour."""

    name: str
    speedup: float
    price_ratio: float  # of today's prices on demand
    sold_today: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BuyOrWait:
    """The answer, and what it was made from."""

    chip: str
    next: NextChip
    inputs: WaitInputs
    answer: WaitAnswer
    old: Rate
    new: Rate

    def section(self) -> Section:
        """Return training now beside every future of waiting."""
        a, i = self.answer, self.inputs
        wait, late = (show(float(np.asarray(length)), "s") for length in (i.wait_s, i.late_s))
        now = f"now on {self.chip}: {_usd(a.now_usd)}, done in {_days(a.now_done_s)} d"
        lines = [now]
        if a.today is not None:
            saved = float(np.asarray(a.today.saved_usd))
            less = f"{_usd(abs(saved))} {'less' if saved > 0 else 'more'}"
            done = _days(a.today.done_s)
            lines.append(
                f"now on {self.next.name}, which is sold today: {_usd(a.today.bill_usd)}, {less}, done in {done} d"
            )
        return Section(
            title=f"Train now, or wait {wait} for {self.next.name} (late: {late} more)",
            body=(
                *lines,
                Table(columns=_COLUMNS, rows=a.scenarios),
                a.verdict,
                f"next chip: {self.next.why}",
                f"prices: {_trend(self.old)}; {_trend(self.new)}",
                "accelerators on demand only. A tie: what a day earlier has to be worth, or how the price has to move "
                f"in a year, for waiting to cost the same; a day earlier counts {_usd(i.delay_usd_per_s * DAY_S)} here "
                "([programme] value_of_time)",
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the futures as plain values."""
        a, i = self.answer, self.inputs
        return {
            "wait_s": i.wait_s,
            "late_s": i.late_s,
            "chip": self.chip,
            "next_chip": self.next.name,
            "speedup": self.next.speedup,
            "price_ratio": self.next.price_ratio,
            "next_chip_from": self.next.why,
            "yearly_price_ratio": dict(i.yearly_price_ratio),
            "next_yearly_price_ratio": dict(i.new_yearly_price_ratio or {}),
            "now_usd": float(np.asarray(a.now_usd)),
            "now_done_s": float(np.asarray(a.now_done_s)),
            "today_on_next": None if a.today is None else _scenario_dict(a.today),
            "scenarios": [_scenario_dict(s) for s in a.scenarios],
            "verdict": a.verdict,
        }


def buy_or_wait(paying_run: PayingRun, asked: WaitQuestion, ask_next: AskNext) -> BuyOrWait:
    """Return training now against waiting, for the run of a payer."""
    found = [
        Problem(place, "is out of range", f"{value / DAY_S:g} d", "1 day to 10 years")
        for place, value in (("wait", asked.wait_s), ("late", asked.late_s))
        if value is not None and not DAY_S <= value <= 3652.5 * DAY_S
    ]
    price = paying_run.price(ON_DEMAND)
    if price is None:
        fix = "add an [[offer]] to your own catalogue file (--catalog)"
        found.append(Problem("--wait", f"has no price to move: nobody lists {paying_run.run.chip} on demand", fix=fix))
    if found or price is None:
        raise InputError(found)
    gpus = float(paying_run.run.gpus)
    wall_s = float(np.median(paying_run.forecast(term=ON_DEMAND).wall_s))
    after = next_chip(paying_run, asked.chip, wall_s, ask_next)
    old, new = paying_run.catalog.rate("trend", "rent-old-chip"), paying_run.catalog.rate("trend", "rent-new-chip")
    inputs = WaitInputs(
        accelerator_s=gpus * wall_s,
        gpus=gpus,
        price_usd_per_s=price.median_usd_per_s,
        wait_s=asked.wait_s,
        late_s=asked.wait_s if asked.late_s is None else asked.late_s,
        speedup=after.speedup,
        new_price_ratio=after.price_ratio,
        yearly_price_ratio=_ratios(old),
        new_yearly_price_ratio=_ratios(new),
        sold_today=after.sold_today,
        delay_usd_per_s=paying_run.conditions.delay_usd_per_s,
    )
    return BuyOrWait(
        chip=paying_run.run.chip, next=after, inputs=inputs, answer=wait_or_train(inputs), old=old, new=new
    )


def next_chip(paying_run: PayingRun, named: str | None, wall_s: float, ask_next: AskNext) -> NextChip:
    """Return the chip that the user names, the next generation of the catalog, or one a generation beyond it."""
    catalog, chip = paying_run.catalog, paying_run.catalog.accelerator(paying_run.run.chip)
    after = _named(catalog, named) if named is not None else _later(catalog, chip)
    if after is None:
        return _beyond(catalog, chip)
    ratio = _price_ratio(catalog, chip, after)
    if ratio is None:
        fix = "add an [[offer]] of it to your own catalogue file (--catalog)"
        raise InputError([Problem("next_chip", "has no on-demand price", after.id, fix=fix)])
    if after.id == chip.id:
        raise InputError([Problem("next_chip", "is the chip of the plan", after.id, fix="name another one")])
    plan = ask_next(after.id, int(paying_run.run.gpus))
    if plan.answer.forecast is None:
        raise InputError([Problem("next_chip", f"has no plan: {plan.sentence}", after.id)])
    speedup = wall_s / float(np.median(plan.answer.forecast.wall_s))
    gpus = paying_run.run.gpus
    why = (
        f"{after.id} does this run {speedup:.2f} times as fast (isocost estimate on {gpus:,.0f} of them), "
        f"at {ratio:.2f} times the price (medians on demand, {_date(catalog, chip)} and {_date(catalog, after)})"
    )
    return NextChip(name=after.id, speedup=speedup, price_ratio=ratio, sold_today=True, why=why)


def _rate(chip: Accelerator) -> float:
    return chip.bf16_flop_per_s or chip.fp16_flop_per_s or 0.0


def _named(catalog: Catalog, name: str) -> Accelerator:
    try:
        return catalog.accelerator(name)
    except InputError as error:
        raise InputError([replace(problem, path="next_chip") for problem in error.problems]) from None


def _family(chip: Accelerator) -> tuple[str, str]:
    """Return the maker and the form without its number: an SXM5 is followed by an SXM6."""
    return chip.vendor, chip.form.rstrip("0123456789")


def _later(catalog: Catalog, chip: Accelerator) -> Accelerator | None:
    """Return the first priced chip of the next generation of the same maker and form."""
    later = [
        other
        for other in catalog.accelerators.values()
        if _family(other) == _family(chip)
        and other.year > chip.year
        and _rate(other) >= _GENERATION * _rate(chip)
        and catalog.reference_offer(other.id) is not None
    ]
    return min(later, key=lambda other: (other.year, other.id), default=None)


def _beyond(catalog: Catalog, chip: Accelerator) -> NextChip:
    """Return the chip after the newest one: a step as large as the last one, in arithmetic and in price."""
    earlier = [
        other
        for other in catalog.accelerators.values()
        if _family(other) == _family(chip)
        and other.year < chip.year
        and 0 < _rate(other) <= _rate(chip) / _GENERATION
        and catalog.reference_offer(other.id) is not None
    ]
    before = max(earlier, key=lambda other: (_rate(other), other.year, other.id), default=None)
    ratio = None if before is None else _price_ratio(catalog, before, chip)
    if before is None or ratio is None:
        message = f"is needed: the catalogue knows no priced generation before or after {chip.id}"
        raise InputError([Problem("next_chip", message, fix="name a chip that is priced on demand")])
    speedup = _rate(chip) / _rate(before)
    why = (
        f"the catalogue has none after {chip.id}: a step as large as that from {before.id} ({before.year} to "
        f"{chip.year}) is assumed, {speedup:.2f} times the arithmetic at {ratio:.2f} times the price (medians on "
        f"demand, {_date(catalog, before)} and {_date(catalog, chip)})"
    )
    return NextChip(name=f"the chip after {chip.id}", speedup=speedup, price_ratio=ratio, sold_today=False, why=why)


def _price_ratio(catalog: Catalog, chip: Accelerator, after: Accelerator) -> float | None:
    prices = [catalog.reference_offer(one.id) for one in (chip, after)]
    if prices[0] is None or prices[1] is None:
        return None
    return prices[1].median_usd_per_s / prices[0].median_usd_per_s


def _date(catalog: Catalog, chip: Accelerator) -> str:
    offer = catalog.reference_offer(chip.id)
    assert offer is not None
    low, high = offer.low_usd_per_s * HOUR_S, offer.high_usd_per_s * HOUR_S
    return f"${offer.median_usd_per_s * HOUR_S:.2f} ({low:.2f} to {high:.2f}) as of {offer.fact.as_of}"


def _ratios(trend: Rate) -> dict[str, float]:
    return {words: float(getattr(trend, end)) for words, end in zip(_PRICES, _ENDS, strict=True)}


def _trend(trend: Rate) -> str:
    changes = ", ".join(f"{ratio - 1:+.0%}" for ratio in _ratios(trend).values())
    name = trend.name.partition(",")[0]
    return f"{name[0].lower()}{name[1:]} {changes} a year ({', '.join(trend.fact.sources)}, {trend.fact.as_of})"


def _usd(value: Any) -> str:
    return show(float(np.asarray(value)), "USD")


def _days(seconds: Any) -> str:
    return f"{float(np.asarray(seconds)) / DAY_S:,.0f}"


def _change(s: Scenario) -> float | None:
    ratio = float(np.asarray(s.tie_yearly_ratio))
    return None if np.isnan(ratio) else ratio - 1.0


def _a_day(s: Scenario) -> float | None:
    tie = float(np.asarray(s.tie_delay_usd_per_s))
    return None if np.isinf(tie) else tie * DAY_S


def _scenario_dict(s: Scenario) -> dict[str, Any]:
    return {
        "prices": s.prices,
        "chip": s.chip,
        "bill_usd": float(np.asarray(s.bill_usd)),
        "done_s": float(np.asarray(s.done_s)),
        "saved_usd": float(np.asarray(s.saved_usd)),
        "tie_usd_per_day": _a_day(s),
        "tie_price_change_frac": _change(s),
    }


_COLUMNS: Final = (
    Column(head="prices", key="prices", value=lambda s: s.prices, left=True),
    Column(head="chip", key="chip", value=lambda s: s.chip, left=True),
    Column(head="bill", key="bill_usd", value=lambda s: float(np.asarray(s.bill_usd)), show=_usd),
    Column(head="done in, days", key="done_s", value=lambda s: float(np.asarray(s.done_s)), show=_days),
    Column(head="saved by waiting", key="saved_usd", value=lambda s: float(np.asarray(s.saved_usd)), show=_usd),
    Column(head="tie: a day is worth", key="tie_usd_per_day", value=_a_day, show=_usd),
    Column(head="tie: price a year", key="tie_price_change_frac", value=_change, show=lambda x: f"{x:+.0%}"),
)
