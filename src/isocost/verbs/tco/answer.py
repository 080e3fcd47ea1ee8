"""Every way to pay for the chosen plan: rent, reserve, spot, block, own; where owning breaks even; a point's worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from isocost.errors import InputError, Problem
from isocost.forecast import Forecast
from isocost.money.breakeven import PointWorth, point_worth
from isocost.money.terms import OWNED
from isocost.reliability.spot import recorded_nodes
from isocost.render.document import Column, Document, Section, Table
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.scenario.owned import UTILISATION
from isocost.search.forecasts import run_at
from isocost.search.question import Candidate
from isocost.units import DAY_S, show
from isocost.verbs.plan.answer import Plan
from isocost.verbs.plan.program_line import program_text
from isocost.verbs.plan.saved import chosen_of_plan
from isocost.verbs.tco.own import Owning, owning
from isocost.verbs.tco.payment import DRAWS, POOLS, PayingRun, PaymentOption, payment_options
from isocost.verbs.tco.regions import InRegion, energy_section, in_regions
from isocost.verbs.tco.wait import AskNext, BuyOrWait, WaitQuestion, buy_or_wait

YEARS: Final = (1.0, 3.0, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tco(Result):
    """What ``isocost tco`` returns."""

    plan: Plan
    chosen: Candidate
    nodes: float
    ways: tuple[PaymentOption, ...]
    owning: Owning | None  # None: nobody lists a server
    utilisation: float
    mfu_point: PointWorth | None
    goodput_point: PointWorth | None
    energy: tuple[InRegion, ...]
    wait: BuyOrWait | None = None

    @property
    def sentence(self) -> str:
        """The cheapest way, in one sentence."""
        steady = [way for way in self.ways if way.bill is not None and way.name not in _SPOT]
        if not steady:
            return "No way to pay is priced: add offers to your own catalogue file (--catalog)"
        best = min(steady, key=lambda way: way.bill_usd or 0.0)
        stays = f"{best.name} at {_bill(best)}, ${best.useful_usd_per_hour or 0.0:.2f} a useful GPU-hour"
        return f"Cheapest for this run: {self._with_spot(best, stays)}; {self._break_even()}"

    def _with_spot(self, best: PaymentOption, stays: str) -> str:
        """Return the cheapest way with spot in the comparison, and what that rests on."""
        calm, contended = (next(way for way in self.ways if way.name == name) for name in _SPOT)
        if calm.bill is None or calm.bill[1] >= (best.bill_usd or 0.0):
            return stays
        share = f"{contended.ends_frac:.0%}"
        often = "does not end" if share == "0%" else f"ends in {share} of the draws only"
        other = f"in a contended one {_bill(contended) if contended.bill else f'the run {often}'}"
        recorded = recorded_nodes()
        if self.nodes <= recorded:
            return f"spot at {_bill(calm)} while its pool is calm, {other}; of capacity that stays, {stays}"
        return (
            f"{stays}; spot would take {_bill(calm)} in a calm pool, but no group of more than {recorded:.0f} nodes is "
            f"on record (this one has {self.nodes:,.0f}), and {other}"
        )

    def _break_even(self) -> str:
        curve = None if self.owning is None else self.owning.curve
        if curve is None:
            return "owning or renting on demand is not priced"
        parts = []
        for years, use in zip(curve.years.tolist(), curve.break_even.tolist(), strict=True):
            pays = f"above {use:.0%} use" if 0 < use <= 1 else "at no use"
            parts.append(f"{years:g} y {pays}")
        return f"owning beats renting on demand: {', '.join(parts)}"

    def rows(self) -> Table:
        """Return the ways to pay, with all that a row can hold."""
        return Table(columns=_WAYS_CSV, rows=self.ways)

    def document(self) -> Document:
        """Return the ways to pay, the curve of break-even, waiting, what a point is worth, energy."""
        sections = [self._ways_section()]
        if self.owning is not None:
            sections.append(self.owning.section())
        if self.wait is not None:
            sections.append(self.wait.section())
        points = {"MFU": self.mfu_point, "goodput": self.goodput_point}
        worth = [
            f"+1 point of {name}: {show(float(point.saved_usd), 'USD')} and {float(point.saved_s) / DAY_S:,.2f} d"
            for name, point in points.items()
            if point is not None
        ]
        sections.append(Section(title="What a point is worth", body=tuple(worth)))
        if self.energy:
            sections.append(energy_section(self.energy, owned=self.chosen.option.term == OWNED))
        return Document(lead=self.sentence, sections=tuple(sections))

    def _ways_section(self) -> Section:
        noted: dict[str, list[str]] = {}
        for way in self.ways:
            noted.setdefault(way.note, []).append(way.name)
        notes = [f"{', '.join(names)}: {note}" for note, names in noted.items() if note]
        about = (
            f"bills are median and 5th to 95th percentile of {DRAWS:,} draws; prices low, median and high of dated "
            f"offers (isocost catalog list offers); owned: {self.utilisation:.0%} of owned hours are in use, energy in "
            "the price"
        )
        programme = self.plan.programme
        beside = () if programme is None else (f"the whole programme around it: {program_text(programme)}",)
        return Section(
            title="Every way to pay for this run", body=(Table(columns=_WAYS, rows=self.ways), *notes, about, *beside)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return ways, curve and points as plain values."""
        owning = {"break_even": None, "owned_usd_per_gpu_hour": []} if self.owning is None else self.owning.to_dict()
        return {
            "schema_version": SCHEMA_VERSION,
            "verb": "tco",
            "summary": self.sentence,
            "ways": [_way_dict(way) for way in self.ways],
            "utilisation_frac": self.utilisation,
            **owning,
            "wait": None if self.wait is None else self.wait.to_dict(),
            "mfu_point": _point_dict(self.mfu_point),
            "goodput_point": _point_dict(self.goodput_point),
            "energy": [one.to_dict() for one in self.energy],
            "plan": self.plan.to_dict(),
        }


_SPOT: Final = tuple(f"spot, {pool} pool" for pool in POOLS)


def _way_dict(way: PaymentOption) -> dict[str, Any]:
    ends = (None, None, None) if way.bill is None else way.bill
    return {
        "name": way.name,
        "price_usd_per_gpu_hour": way.price,
        "price_as_of": way.as_of,
        "bill_usd": ends[1],
        "bill_usd_p05": ends[0],
        "bill_usd_p95": ends[2],
        "idle_usd": way.idle_usd,
        "used_usd_per_gpu_hour": way.used_usd_per_hour,
        "useful_usd_per_gpu_hour": way.useful_usd_per_hour,
        "ends_frac": way.ends_frac,
        "note": way.note,
    }


def _point_dict(point: PointWorth | None) -> dict[str, float] | None:
    return None if point is None else {"saved_usd": float(point.saved_usd), "saved_s": float(point.saved_s)}


def _dollars(x: float) -> str:
    return f"${x:,.2f}"


def _bill(way: PaymentOption) -> str:
    assert way.bill is not None
    low, median, high = (show(x, "USD") for x in way.bill)
    return f"{median} ({low} to {high})"


def _price(way: PaymentOption) -> str:
    assert way.price is not None
    low, median, high = way.price
    return f"{median:.2f} ({low:.2f} to {high:.2f})" if low < high else f"{median:.2f} (no spread)"


_WAYS: Final = (
    Column(head="way to pay", key="way", value=lambda w: w.name, left=True),
    Column(head="$/GPU-hour", key="price_usd_per_gpu_hour", value=lambda w: w.price and w.price[1], text=_price),
    Column(head="price as of", key="price_as_of", value=lambda w: w.as_of or None, left=True),
    Column(head="bill of the run", key="bill_usd", value=lambda w: w.bill_usd, text=_bill),
    Column(head="of it idle", key="idle_usd", value=lambda w: w.idle_usd or None, show=lambda x: show(x, "USD")),
    Column(head="$/useful hour", key="useful_usd_per_gpu_hour", value=lambda w: w.useful_usd_per_hour, show=_dollars),
)


_WAYS_CSV: Final = (
    *_WAYS,
    Column(head="price, low", key="price_usd_per_gpu_hour_low", value=lambda w: w.price and w.price[0]),
    Column(head="price, high", key="price_usd_per_gpu_hour_high", value=lambda w: w.price and w.price[2]),
    Column(head="bill, p05", key="bill_usd_p05", value=lambda w: w.bill and w.bill[0]),
    Column(head="bill, p95", key="bill_usd_p95", value=lambda w: w.bill and w.bill[2]),
    Column(head="ends", key="ends_frac", value=lambda w: w.ends_frac),
    Column(head="note", key="note", value=lambda w: w.note, left=True),
)


def ways_to_pay(
    plan: Plan,
    years: Sequence[float] = YEARS,
    *,
    regions: Sequence[str] = (),
    wait: WaitQuestion | None = None,
    ask_next: AskNext | None = None,
) -> Tco:
    """Return every way to pay for the chosen plan; ``ask_next`` plans the run on the chip to wait for."""
    wrong = [Problem("years", "is out of range", y, "0.1 to 30") for y in years if not 0.1 <= y <= 30.0]
    if wrong or not years:
        raise InputError(wrong or [Problem("years", "is empty", fix="write 1,3,5")])
    found = chosen_of_plan(plan)
    chosen, conditions = plan.answer.chosen, found.question.conditions
    assert chosen is not None
    assert conditions is not None
    run = run_at(found.question, found.option, found.case, found.catalog, chosen.step_s)
    paying_run = PayingRun(run=run, conditions=conditions, catalog=found.catalog, scenario=plan.scenario)
    use = plan.scenario.owned.utilisation_frac
    return Tco(
        plan=plan,
        chosen=chosen,
        nodes=float(np.ceil(run.gpus / run.gpus_per_node)),
        ways=payment_options(paying_run, years),
        owning=owning(paying_run, years),
        utilisation=UTILISATION if use is None else use,
        energy=in_regions(paying_run, regions),
        wait=None if wait is None or ask_next is None else buy_or_wait(paying_run, wait, ask_next),
        **_points(chosen, paying_run.forecast()),
    )


def _points(chosen: Candidate, o: Forecast) -> dict[str, PointWorth | None]:
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
