"""The answer about a fleet: who runs where and when, GPUs by week, what is bought, what binds, what was left out."""

from __future__ import annotations

import datetime
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

from isocost.money.terms import CAPACITY_BLOCK
from isocost.render.document import Bars, Column, Document, Section, Table
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.units import DAY_S, HOUR_S, show
from isocost.verbs.fleet.answered import Answered
from isocost.verbs.fleet.contracts import cost_usd
from isocost.verbs.fleet.pack import PROVED
from isocost.verbs.fleet.records import Contract, Placement, Supply
from isocost.verbs.words import layout_text

WEEK_S: Final = 7 * DAY_S
_BAR: Final = 24  # characters of the longest bar
NOT_MODELLED: Final = (
    "a workload stays on one offer, its runs side by side until it is done: give two [[workload]] to spread one",
    "runs of different workloads do not share a node; a contract is held for whole nodes",
    "the bill is of accelerators alone: storage, people, traffic and failed runs are in isocost plan and program",
    "a service is provisioned for its peak all the time; its key-value cache and batching are in the efficiency",
    "each run keeps its length with the confidence asked for, on its own: among many at once one may still be late",
)


_EASED: Final = (
    Column(head="constraint", key="name", value=lambda row: row.name, left=True),
    Column(head="instead", key="instead", value=lambda row: row.instead, left=True),
    Column(head="bill then", key="cost_usd", value=lambda row: row.cost_usd, show=lambda x: show(x, "USD")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """One week: the most GPUs that each workload uses in it, those that are paid for, and the idle ones at the end."""

    number: int
    used: Mapping[str, int]  # by workload
    paid: int

    @property
    def need(self) -> int:
        """GPUs in use."""
        return sum(self.used.values())


@dataclass(frozen=True, kw_only=True, eq=False)
class FleetResult(Result):
    """What ``isocost fleet`` returns."""

    answered: Answered

    @property
    def feasible(self) -> bool:
        """Whether every workload has a place."""
        return not self.answered.packing.left_out

    @property
    def supplies(self) -> tuple[Supply, ...]:
        """The offers."""
        return tuple(offer.supply for offer in self.answered.fleet.offers)

    def _gpus(self, p: Placement) -> int:
        return p.shape.nodes * self.supplies[p.shape.supply].gpus_per_node

    @cached_property
    def weeks(self) -> tuple[Week, ...]:
        """GPUs by week, from the first day until nothing is in use any more."""
        packing = self.answered.packing
        end = max((p.end_s for p in packing.placements), default=0.0)
        found = []
        for number in range(math.ceil(end / WEEK_S)):
            begins, ends = number * WEEK_S, (number + 1) * WEEK_S
            used = {p.demand.name: self._gpus(p) for p in packing.placements if p.start_s < ends and p.end_s > begins}
            paid = _most(
                [(c.from_s, c.until_s, c.nodes * self.supplies[c.supply].gpus_per_node) for c in packing.contracts],
                begins,
                ends,
            )
            found.append(Week(number=number + 1, used=used, paid=paid))
        return tuple(found)

    @property
    def peak_gpus(self) -> int:
        """The most GPUs in use at a time."""
        uses = [(p.start_s, p.end_s, self._gpus(p)) for p in self.answered.packing.placements]
        return _most(uses, 0.0, math.inf)

    @property
    def paid_gpu_s(self) -> float:
        """Accelerator-seconds that are paid for."""
        return sum(c.nodes * self.supplies[c.supply].gpus_per_node * c.paid_s for c in self.answered.packing.contracts)

    @property
    def useful_gpu_s(self) -> float:
        """Accelerator-seconds of the runs and services themselves."""
        return sum(p.shape.useful_gpu_s for p in self.answered.packing.placements)

    @property
    def idle_frac(self) -> float:
        """Share of what is paid for that runs nothing."""
        return 1.0 - self.useful_gpu_s / self.paid_gpu_s if self.paid_gpu_s else 0.0

    @property
    def gap_frac(self) -> float:
        """How far the bill is above one that no packing can be below, over that one."""
        bound = self.answered.bound_usd
        return self.answered.packing.cost_usd / bound - 1.0 if bound else 0.0

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        packing = self.answered.packing
        left = ", ".join(d.name for d in packing.left_out)
        if not packing.placements:
            return f"No fleet: nothing finds a place ({left})"
        bought = []
        for number, supply in enumerate(self.supplies):
            most = _most(
                [(c.from_s, c.until_s, c.nodes) for c in packing.contracts if c.supply == number], 0.0, math.inf
            )
            if most:
                bought.append(f"{most:,} {'node' if most == 1 else 'nodes'} of {supply.name}")
        lead = (
            f"{' and '.join(bought)}: {self.peak_gpus:,} GPUs in use at the peak, {show(packing.cost_usd, 'USD')}, "
            f"{self.idle_frac:.0%} of the GPU-hours paid for are idle"
        )
        return lead if self.feasible else f"No place for {left}; the others take {lead}"

    def rows(self) -> Table:
        """Return who runs where and when."""
        return Table(columns=self._who(), rows=self.answered.packing.placements)

    def _who(self) -> tuple[Column, ...]:
        names = [supply.name for supply in self.supplies]
        return (
            Column(head="workload", key="workload", value=lambda p: p.demand.name, left=True),
            Column(head="offer", key="offer", value=lambda p: names[p.shape.supply], left=True),
            Column(head="runs", key="runs", value=lambda p: p.demand.count, text=_runs),
            Column(head="nodes", key="nodes", value=lambda p: p.shape.nodes),
            Column(head="GPUs", key="gpus", value=self._gpus),
            Column(head="from", key="from", value=lambda p: self._day(p.start_s)),
            Column(head="until", key="until", value=lambda p: self._day(p.end_s)),
            Column(head="due", key="due", value=lambda p: self._day(p.demand.until_s)),
            Column(
                head="GPU-hours",
                key="gpu_hours",
                value=lambda p: p.shape.useful_gpu_s / HOUR_S,
                show=lambda x: f"{x:,.0f}",
            ),
        )

    def _day(self, seconds: float) -> str:
        day = self.answered.fleet.start + datetime.timedelta(days=math.floor(seconds / DAY_S + 1e-6))
        return day.isoformat()

    def bought(self) -> Table:
        """Return the contracts."""
        supplies = self.supplies

        def gpus(c: Contract) -> int:
            return c.nodes * supplies[c.supply].gpus_per_node

        return Table(
            columns=(
                Column(head="offer", key="offer", value=lambda c: supplies[c.supply].name, left=True),
                Column(head="nodes", key="nodes", value=lambda c: c.nodes),
                Column(head="GPUs", key="gpus", value=gpus),
                Column(head="paid from", key="from", value=lambda c: self._day(c.from_s)),
                Column(head="until", key="until", value=lambda c: self._day(c.until_s)),
                Column(
                    head="a GPU-hour",
                    key="price_usd_per_gpu_s",
                    value=lambda c: supplies[c.supply].price_usd_per_s,
                    show=lambda x: show(x, "USD/s"),
                ),
                Column(
                    head="GPU-hours paid",
                    key="paid_gpu_hours",
                    value=lambda c: gpus(c) * c.paid_s / HOUR_S,
                    show=lambda x: f"{x:,.0f}",
                ),
                Column(
                    head="held idle",
                    key="idle_frac",
                    value=lambda c: 1.0 - c.used_s / c.paid_s,
                    show=lambda x: f"{x:.0%}",
                ),
                Column(
                    head="USD",
                    key="cost_usd",
                    value=lambda c: cost_usd(supplies[c.supply], [c]),
                    show=lambda x: show(x, "USD"),
                ),
            ),
            rows=self.answered.packing.contracts,
        )

    def timeline(self) -> Bars:
        """Return GPUs by week; weeks that are alike in one row."""
        names = [p.demand.name for p in self.answered.packing.placements]
        groups = [list(group) for _, group in itertools.groupby(self.weeks, key=lambda w: (dict(w.used), w.paid))]

        def span(group: Sequence[Week]) -> str:
            first, last = group[0].number, group[-1].number
            return f"{first}" if first == last else f"{first} to {last}"

        table = Table(
            columns=(
                Column(head="weeks", key="weeks", value=span),
                Column(head="from", key="from", value=lambda g: self._day((g[0].number - 1) * WEEK_S)),
                *(_used(name) for name in names),
                Column(head="in use", key="gpus", value=lambda g: g[0].need),
                Column(head="paid for", key="paid_gpus", value=lambda g: g[0].paid),
            ),
            rows=tuple(groups),
        )
        return Bars(table=table, length=lambda group: float(group[0].need), characters=_BAR, up=True)

    def document(self) -> Document:
        """Return the sentence, the places, the weeks, the contracts, and what binds or is missing."""
        a, sections = self.answered, []
        if a.packing.left_out:
            lines = tuple(f"{name}: {reason}" for name, reason in a.reasons.items())
            sections.append(Section(title="Left out, and why", body=lines))
            sections.append(Section(title="Nearest ways out: any one of", body=self._ways()))
        if a.packing.placements:
            sections.append(Section(title="Who runs where and when", body=(self.rows(), *self._plans())))
            said = "the most GPUs in use at a time within a week, and those paid for"
            sections.append(Section(title="GPUs by week", body=(self.timeline(), said)))
            sections.append(Section(title="What is bought", body=(self.bought(), *self._bill())))
        if not a.packing.left_out:
            sections.append(
                Section(title="What binds, and the least easing that brings most of what it costs", body=self._binds())
            )
        sections.append(Section(title="Assumptions", body=tuple(self._assumed())))
        sections.append(Section(title="Not modelled", body=NOT_MODELLED))
        return Document(lead=self.sentence, sections=tuple(sections))

    def _plans(self) -> list[str]:
        found = []
        for p in self.answered.packing.placements:
            sized = self.answered.plan_of(p.demand.name)
            if sized is None:
                continue
            after = "" if p.demand.count == 1 else f", {show(sized.next_s, 's')} for one after it on the same nodes"
            found.append(
                f"{p.demand.name}: {show(sized.first_s, 's')} a run of {sized.gpus:,} GPUs, bring-up in{after}; "
                f"{layout_text(sized.plan)}"
            )
        return found

    def _bill(self) -> list[str]:
        a = self.answered
        useful, paid = self.useful_gpu_s / HOUR_S, self.paid_gpu_s / HOUR_S
        per_hour = show(a.packing.cost_usd / self.useful_gpu_s, "USD/s")
        return [
            f"{show(a.packing.cost_usd, 'USD')} for {paid:,.0f} GPU-hours, {useful:,.0f} of them at work: {per_hour} "
            "for one at work",
            self._proved(),
        ]

    def _proved(self) -> str:
        """Say how far from the least bill this one can be."""
        least = f"no packing of these workloads costs less than {show(self.answered.bound_usd, 'USD')}"
        if self.gap_frac < PROVED:
            return f"{least}, to {PROVED:.1%}: this is the best"
        return f"{least}: this one is at most {self.gap_frac:.1%} above the best"

    def _binds(self) -> tuple[Table | str, ...]:
        if not self.answered.bindings:
            return ("nothing: no offer, lead time, commitment or deadline alone makes the bill larger",)
        saves = Column(head="saves", key="saved_usd", value=lambda b: b.saved_usd, show=lambda x: show(x, "USD"))
        return (Table(columns=(*_EASED, saves), rows=self.answered.bindings),)

    def _ways(self) -> tuple[Table | str, ...]:
        if not self.answered.relaxations:
            return ("no single change makes room: relax several, or leave the workload out",)
        workload = Column(head="makes room for", key="workload", value=lambda w: w.workload, left=True)
        return (Table(columns=(workload, *_EASED), rows=self.answered.relaxations),)

    def _assumed(self) -> list[str]:
        fleet = self.answered.fleet
        found = [
            f"times count from {fleet.start.isoformat()}; a lead time ends with GPUs handed over, bring-up follows"
        ]
        for offer in fleet.offers:
            s = offer.supply
            steps = ", ".join(f"{gpus:,} GPUs from {self._day(begins)}" for begins, gpus in s.steps)
            least = f", paid for at least {show(s.commitment_s, 's')}" if s.commitment_s else ""
            least += ", by the week beyond 14 d" if s.term == CAPACITY_BLOCK else ""
            dated = f", {offer.price_as_of}" if offer.price_as_of else ""
            found.append(
                f"{s.name}: {steps}; {show(s.price_usd_per_s, 'USD/s')} [{offer.price_from}{dated}], "
                f"{s.term.replace('_', ' ')}{least}"
            )
        for w in fleet.workloads:
            if w.aside:
                found.append(f"{w.name}: left aside of its scenario, as the offers say it: {', '.join(w.aside)}")
            if w.service is not None:
                found.append(
                    f"{w.name}: {w.service.tokens_per_s:,.0f} tokens/s at 2 FLOP a token and active parameter, "
                    f"{w.service.efficiency_frac:.0%} of the dense {w.service.precision} peak, in whole copies of it"
                )
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, units in the keys."""
        a = self.answered
        return {
            "schema_version": SCHEMA_VERSION,
            "verb": "fleet",
            "summary": self.sentence,
            "start": a.fleet.start,
            "feasible": self.feasible,
            "cost_usd": a.packing.cost_usd,
            "bound_usd": a.bound_usd,
            "peak_gpus": self.peak_gpus,
            "paid_gpu_hours": self.paid_gpu_s / HOUR_S,
            "useful_gpu_hours": self.useful_gpu_s / HOUR_S,
            "idle_frac": self.idle_frac,
            "workloads": [self._placed(p) for p in a.packing.placements],
            "contracts": self.bought().to_dicts(),
            "weeks": [
                {"week": w.number, "gpus": w.need, "paid_gpus": w.paid, "by_workload": dict(w.used)} for w in self.weeks
            ],
            "bindings": [asdict(b) for b in a.bindings],
            "left_out": dict(a.reasons),
            "ways_out": [asdict(w) for w in a.relaxations],
            "assumptions": self._assumed(),
            "not_modelled": list(NOT_MODELLED),
        }

    def _placed(self, p: Placement) -> dict[str, Any]:
        row = next(r for r in self.rows().to_dicts() if r["workload"] == p.demand.name)
        sized = self.answered.plan_of(p.demand.name)
        return {
            **row,
            "gpus_of_a_run": p.shape.gpus,
            "runs_at_once": p.shape.at_once,
            "start_s": p.start_s,
            "duration_s": p.shape.duration_s,
            "run_s": None if sized is None else sized.first_s,
            "next_run_s": None if sized is None else sized.next_s,
            "layout": None if sized is None else layout_text(sized.plan),
        }


def _used(name: str) -> Column:
    return Column(head=name, key=f"{name}_gpus", value=lambda group: group[0].used.get(name))


def _runs(p: Placement) -> str:
    if p.demand.kind == "service":
        return "service"
    if p.demand.count == 1:
        return "1"
    return f"{p.demand.count:,}, {p.shape.at_once:,} at once on {p.shape.gpus:,}"


def _most(uses: Sequence[tuple[float, float, int]], begins: float, ends: float) -> int:
    """Return the most in use at a time between two times."""
    inside = [(max(first, begins), last, n) for first, last, n in uses if first < ends and last > begins]
    return max((sum(n for f, last, n in inside if f <= time < last) for time, _, _ in inside), default=0)
