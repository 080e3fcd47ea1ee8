"""Every way to pay for the chosen plan: rent, reserve, spot, block, own; where owning breaks even; a point's worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from isocost.costs import Price, price_of
from isocost.draws import draw
from isocost.errors import InputError, Problem
from isocost.forecast import Outlook, outlook_of
from isocost.forecast.run import Run, planned
from isocost.goodput.facts import load_reliability
from isocost.goodput.spot import spot, wait_s_of_availability
from isocost.money.breakeven import BreakEvenCurve, PointWorth, break_even_curve, point_worth
from isocost.money.own import OwnedInputs, owned_cost
from isocost.report.plans import Plan
from isocost.report.result import SCHEMA_VERSION, Result
from isocost.report.saved import chosen_of_plan
from isocost.report.table import Column, Report, Section, Table
from isocost.scenario.conditions import UTILISATION, owned_inputs_of
from isocost.search.question import DAY_S, HOUR_S, Candidate
from isocost.search.whole import run_at
from isocost.units import show

YEARS: Final = (1.0, 3.0, 5.0)
RENTED: Final = ("on_demand", "spot", "reserved_1y", "reserved_3y", "capacity_block")
USES: Final = (0.2, 0.4, 0.6, 0.8, 1.0)
_ENDS: Final = (0.05, 0.5, 0.95)
_MOST_HALTS: Final = 20.0  # pre-emptions while a group starts and waits: beyond it a run on spot does not end
_DRAWS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to pay: price of an hour, and what the run costs on it."""

    name: str
    price: tuple[float, float, float] | None  # USD an hour in use: low, median, high
    bill_usd: float | None
    used_usd_per_hour: float | None  # all lines, over hours held
    useful_usd_per_hour: float | None  # over hours of kept steps
    note: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tco(Result):
    """What ``isocost tco`` returns."""

    plan: Plan
    chosen: Candidate
    ways: tuple[Way, ...]
    curve: BreakEvenCurve | None  # against the on-demand price; None: nobody lists a price or a server
    utilisation: float
    mfu_point: PointWorth | None
    goodput_point: PointWorth | None

    @property
    def sentence(self) -> str:
        """The cheapest way, in one sentence."""
        priced = [way for way in self.ways if way.bill_usd is not None and way.name != "spot"]  # its bill is not whole
        if not priced:
            return "No way to pay is priced: add offers to your own catalogue file (--catalog)"
        best = min(priced, key=lambda way: way.bill_usd or 0.0)
        return (
            f"Cheapest for this run: {best.name} at {show(best.bill_usd or 0.0, 'USD')}, "
            f"${best.useful_usd_per_hour or 0.0:.2f} a useful GPU-hour; {self._break_even()}"
        )

    def _break_even(self) -> str:
        if self.curve is None:
            return "owning is not priced"
        parts = []
        for years, use in zip(self.curve.years.tolist(), self.curve.break_even.tolist(), strict=True):
            pays = f"above {use:.0%} use" if 0 < use <= 1 else "at no use"
            parts.append(f"{years:g} y {pays}")
        return f"owning beats renting on demand: {', '.join(parts)}"

    def rows(self) -> Table:
        """Return the ways to pay."""
        return Table(columns=_WAYS, rows=self.ways)

    def report(self) -> Report:
        """Return the ways to pay, the curve of break-even, and what a point is worth."""
        note = (
            f"owned: {self.utilisation:.0%} of owned hours are in use; prices are low, median and high of dated facts "
            "(isocost catalog list offers); a commitment longer than the run pays its idle part"
        )
        sections = [Section(title="Every way to pay for this run", body=(self.rows(), note))]
        if self.curve is not None:
            body = (_curve_table(self.curve), "owning over renting on demand, per hour in use: negative is cheaper")
            sections.append(Section(title="Own or rent, over years and utilisation", body=body))
        points = {"MFU": self.mfu_point, "goodput": self.goodput_point}
        worth = [
            f"+1 point of {name}: {show(float(point.saved_usd), 'USD')} and {float(point.saved_s) / DAY_S:,.2f} d"
            for name, point in points.items()
            if point is not None
        ]
        sections.append(Section(title="What a point is worth", body=tuple(worth)))
        return Report(lead=self.sentence, sections=tuple(sections))

    def to_dict(self) -> dict[str, Any]:
        """Return ways, curve and points as plain values."""
        curve = self.curve
        return {
            "schema_version": SCHEMA_VERSION,
            "verb": "tco",
            "summary": self.sentence,
            "ways": [
                {
                    "name": way.name,
                    "price_usd_per_gpu_hour": way.price,
                    "bill_usd": way.bill_usd,
                    "used_usd_per_gpu_hour": way.used_usd_per_hour,
                    "useful_usd_per_gpu_hour": way.useful_usd_per_hour,
                    "note": way.note,
                }
                for way in self.ways
            ],
            "utilisation_frac": self.utilisation,
            "break_even": None
            if curve is None
            else {
                "years": curve.years,
                "utilisation_frac": curve.break_even,
                "grid_utilisation_frac": curve.utilisation_frac,
                "owned_usd_per_gpu_s": curve.owned_usd_per_s,
                "rent_usd_per_gpu_s": curve.rent_usd_per_s,
            },
            "mfu_point": _point_dict(self.mfu_point),
            "goodput_point": _point_dict(self.goodput_point),
            "plan": self.plan.to_dict(),
        }


def _point_dict(point: PointWorth | None) -> dict[str, float] | None:
    return None if point is None else {"saved_usd": float(point.saved_usd), "saved_s": float(point.saved_s)}


def _dollars(x: float) -> str:
    return f"${x:,.2f}"


_WAYS: Final = (
    Column(head="way to pay", key="way", value=lambda w: w.name, left=True),
    Column(head="$/GPU-hour", key="price_usd_per_gpu_hour", value=lambda w: w.price and w.price[1],
           text=lambda w: f"{w.price[1]:.2f} ({w.price[0]:.2f} to {w.price[2]:.2f})"),
    Column(head="bill of the run", key="bill_usd", value=lambda w: w.bill_usd, show=lambda x: show(x, "USD")),
    Column(head="$/used hour", key="used_usd_per_gpu_hour", value=lambda w: w.used_usd_per_hour, show=_dollars),
    Column(head="$/useful hour", key="useful_usd_per_gpu_hour", value=lambda w: w.useful_usd_per_hour, show=_dollars),
    Column(head="note", key="note", value=lambda w: w.note, left=True),
)  # fmt: skip


def _curve_table(curve: BreakEvenCurve) -> Table:
    more = -curve.saved_by_owning_frac
    uses = curve.utilisation_frac.tolist()
    rows = tuple(
        (years, needed, *more[k].tolist())
        for k, (years, needed) in enumerate(zip(curve.years.tolist(), curve.break_even.tolist(), strict=True))
    )
    return Table(
        columns=(
            Column(head="years", key="years", value=lambda r: r[0], show=lambda x: f"{x:g}"),
            Column(head="break-even use", key="break_even_frac", value=lambda r: r[1],
                   show=lambda x: f"{x:.0%}" if 0 < x <= 1 else "never"),
            *(_use(use, place) for place, use in enumerate(uses, start=2)),
        ),
        rows=rows,
    )  # fmt: skip


def _use(use: float, place: int) -> Column:
    return Column(head=f"at {use:.0%}", key=f"at_{use:g}", value=lambda r: r[place], show=lambda x: f"{x:+.0%}")


def tco(plan: Plan, years: Sequence[float] = YEARS) -> Tco:
    """Return every way to pay for the chosen plan."""
    wrong = [Problem("--years", "is out of range", y, "0.1 to 30") for y in years if not 0.1 <= y <= 30.0]
    if wrong or not years:
        raise InputError(wrong or [Problem("--years", "is empty", fix="write 1,3,5")])
    found = chosen_of_plan(plan)
    chosen, conditions = plan.answer.chosen, found.question.conditions
    assert chosen is not None
    assert conditions is not None
    run = run_at(found.question, found.option, found.case, found.catalog, chosen.step_s)
    chip, catalog = found.option.accelerator.id, found.catalog

    def outlook(other: Run) -> Outlook:
        return outlook_of(other, conditions, catalog, bars=False)

    ways = []
    prices: dict[str, Price | None] = {term: price_of(catalog, chip, term) for term in RENTED}
    for term in RENTED:
        price = prices[term]
        if price is None:
            ways.append(_unpriced(term, "nobody lists a price"))
        elif term == "spot":
            ways.append(_on_spot(run, price, prices["on_demand"], planned_inputs=planned(run, conditions, {}).inputs))
        else:
            ends = (price.low_usd_per_s, price.median_usd_per_s, price.high_usd_per_s)
            note = f"as of {price.fact.as_of}, {price.quotes} quotes"
            ways.append(_way(term, ends, outlook(replace(run, term=term, price_usd_per_s=ends)), note))
    use = UTILISATION if plan.scenario.owned is None else plan.scenario.owned.get("utilisation", UTILISATION)
    curve = None
    try:
        for horizon in years:
            drawn = draw(owned_inputs_of(plan.scenario, catalog, chip, years=float(horizon)), _DRAWS)
            cost = owned_cost(OwnedInputs(**drawn))
            dry = np.quantile(np.asarray(cost.total_usd_per_s - cost.energy_usd_per_s), _ENDS)
            ends = (float(dry[0]), float(dry[1]), float(dry[2]))
            full = np.quantile(np.asarray(cost.total_usd_per_s), _ENDS)
            way = _way("owned", ends, outlook(replace(run, term="owned", price_usd_per_s=ends)), "energy in")
            shown = tuple(float(x) * HOUR_S for x in full)
            ways.append(replace(way, name=f"owned, {horizon:g} y", price=(shown[0], shown[1], shown[2])))
        rent = prices["on_demand"]
        if rent is not None:
            medians = {
                name: float(np.median(v))
                for name, v in draw(owned_inputs_of(plan.scenario, catalog, chip), _DRAWS).items()
            }
            curve = break_even_curve(
                OwnedInputs(**medians), rent.median_usd_per_s, np.array(sorted(years), float), np.array(USES)
            )
    except InputError as error:  # no server price of this chip
        ways.append(_unpriced("owned", error.problems[0].message))
    return Tco(
        plan=plan, chosen=chosen, ways=tuple(ways), curve=curve, utilisation=use, **_points(chosen, outlook(run))
    )  # fmt: skip


def _points(chosen: Candidate, o: Outlook) -> dict[str, PointWorth | None]:
    """Return what a point of MFU and of goodput saves of the accelerators' part of the bill."""
    if not o.lines_usd or chosen.mfu is None:
        return {"mfu_point": None, "goodput_point": None}
    lines: Mapping[str, float] = o.lines_usd
    run_s = float(np.median(o.wall_s)) - o.buckets_s["bring_up_s"]
    usd = lines["gpu_useful"] + lines["gpu_lost"]
    goodput = float(np.median(o.goodput))
    return {
        "mfu_point": point_worth(share_frac=chosen.mfu, scaling_usd=usd, run_s=run_s, place="mfu"),
        "goodput_point": point_worth(
            share_frac=goodput,
            scaling_usd=usd + lines["gpu_bring_up"],
            run_s=float(np.median(o.wall_s)),
            place="goodput",
        ),
    }


def _unpriced(name: str, why: str) -> Way:
    return Way(
        name=name.replace("_", " "),
        price=None,
        bill_usd=None,
        used_usd_per_hour=None,
        useful_usd_per_hour=None,
        note=why,
    )


def _way(name: str, price_s: tuple[float, float, float], o: Outlook, note: str) -> Way:
    assert o.cost_usd is not None
    bill = float(np.median(o.cost_usd))
    low, median, high = (x * HOUR_S for x in price_s)
    return Way(
        name=name.replace("_", " "),
        price=(low, median, high),
        bill_usd=bill,
        used_usd_per_hour=bill / float(np.median(o.gpu_hours)),
        useful_usd_per_hour=float(np.median(o.cost_usd / o.useful_gpu_hours)),
        note=note,
    )


def _on_spot(run: Run, price: Price, firm: Price | None, planned_inputs: Any) -> Way:
    """Return spot with when it pays: pre-emption of any node stops the whole group."""
    facts = load_reliability()
    per_s = facts.default("spot-per-node-hour").median / HOUR_S
    nodes = float(np.asarray(planned_inputs.nodes))
    wait = float(np.asarray(wait_s_of_availability(facts.default("spot-available").median, nodes, per_s)))
    exposed = float(np.asarray(planned_inputs.restart_s + planned_inputs.reload_s + planned_inputs.warm_up_s))
    ends = tuple(x * HOUR_S for x in (price.low_usd_per_s, price.median_usd_per_s, price.high_usd_per_s))
    shown = (ends[0], ends[1], ends[2])
    if nodes * per_s * exposed > _MOST_HALTS:
        return replace(_unpriced("spot", f"{nodes:,.0f} nodes are pre-empted faster than a run restarts"), price=shown)
    there = spot(
        planned_inputs, node_preemptions_per_s=per_s, notice_s=facts.default("spot-notice").median, wait_s=wait
    )
    share = float(np.asarray(there.break_even_price_ratio))
    ratio = float(np.asarray(there.time_ratio))
    paid = float(np.asarray(there.paid_s)) * float(np.asarray(run.gpus)) / HOUR_S
    bill = paid * shown[1]
    useful = float(np.asarray(there.spot.useful_s)) * float(np.asarray(run.gpus)) / HOUR_S
    pays = (
        "" if firm is None else f"; pays: {'yes' if price.median_usd_per_s < share * firm.median_usd_per_s else 'no'}"
    )
    note = f"{ratio:.1f} times as long, pays below {share:.0%} of the firm price{pays}; accelerators only"
    return Way(
        name="spot",
        price=shown,
        bill_usd=bill,
        used_usd_per_hour=bill / paid,
        useful_usd_per_hour=bill / useful,
        note=note,
    )
