"""How a fleet is worked out: the planner sizes every workload on every offer, then workloads are packed over time."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from isocost.errors import InputError
from isocost.money.terms import SPOT
from isocost.scenario import read_scenario
from isocost.scenario.keys import MAX_GPUS
from isocost.scenario.question import question_of
from isocost.units import DAY_S
from isocost.verbs.fleet.answered import Answered, Hardware, _hardware
from isocost.verbs.fleet.bound import bound_usd, fitting
from isocost.verbs.fleet.pack import pack
from isocost.verbs.fleet.read import Fleet, read_fleet
from isocost.verbs.fleet.read_offers import FleetOffer
from isocost.verbs.fleet.read_workloads import Workload
from isocost.verbs.fleet.records import Demand, Shape, Supply
from isocost.verbs.fleet.relaxations import Binding, Relaxation, bindings, relaxations
from isocost.verbs.fleet.size import Sized, run_shapes, run_sizes, service_gpus, service_shape
from isocost.verbs.fleet.slots import has_room, starts

# Counts beyond what can be had are sized too, so that it can be said what more GPUs would change.
BEYOND: Final = 4


class _Shaper:
    """Sizes each workload on each kind of hardware once, and shapes it for supplies as they are or might be."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.sized: dict[tuple[int, *Hardware], tuple[Sized, ...]] = {}
        self.refused: dict[int, list[str]] = {}

    def demands(self, supplies: Sequence[Supply]) -> list[Demand]:
        """Return every workload with the ways to run it on these supplies."""
        return [
            Demand(
                name=w.name,
                kind="runs" if w.service is None else "service",
                count=w.count,
                from_s=w.from_s,
                until_s=w.until_s,
                priority=w.priority,
                shapes=tuple(shape for k in w.offers for shape in self._shapes(number, w, k, supplies[k])),
            )
            for number, w in enumerate(self._fleet.workloads)
        ]

    def _shapes(self, number: int, w: Workload, k: int, supply: Supply) -> tuple[Shape, ...]:
        offer = self._fleet.offers[k]
        if w.service is not None:
            gpus = service_gpus(w.service, offer.accelerator)
            if gpus is None:
                self._refuse(number, f"no {w.service.precision} rate is known for {offer.accelerator.id}")
                return ()
            return service_shape(gpus, supply, k, w.until_s - w.from_s)
        key = (number, *_hardware(offer))
        if key not in self.sized:
            self.sized[key] = self._sizes(number, w, offer)
        return run_shapes(self.sized[key], supply, k, w.count, w.at_once)

    def _sizes(self, number: int, w: Workload, offer: FleetOffer) -> tuple[Sized, ...]:
        tables: dict[str, Any] = dict(w.tables or {})
        tables["on"] = [offer.accelerator.id]
        if self._fleet.catalog_files:
            tables["catalog"] = list(self._fleet.catalog_files)
        if offer.fabric is not None:
            tables["fabric"] = offer.fabric.id
        if offer.supply.term == SPOT:
            tables["term"] = SPOT
        tables.setdefault("gpus", list(self._counts(offer)))
        try:
            scenario, _ = read_scenario(tables, today=self._fleet.start)
            question, _ = question_of(scenario, self._fleet.catalog, self._fleet.start)
        except InputError as error:
            raise InputError([replace(p, path=f"workload {w.name}: {p.path}") for p in error.problems]) from None
        constants = question.constants
        found = run_sizes(question, self._fleet.catalog, constants)
        if not found:
            counts = question.gpu_counts
            self._refuse(
                number, f"no layout on {min(counts):,} to {max(counts):,} x {offer.accelerator.id} fits in memory"
            )
        return found

    def _counts(self, offer: FleetOffer) -> tuple[int, ...]:
        """Return the counts to size: doubling from one GPU to several times what there is of this hardware."""
        same = [o.supply.steps[-1][1] for o in self._fleet.offers if _hardware(o) == _hardware(offer)]
        most = min(BEYOND * max(same), MAX_GPUS)
        return tuple(1 << step for step in range(most.bit_length()) if 1 << step <= most)

    def _refuse(self, number: int, reason: str) -> None:
        reasons = self.refused.setdefault(number, [])
        if reason not in reasons:
            reasons.append(reason)


def ask_fleet(given: str | Path | Mapping[str, object], today: datetime.date | None = None) -> Answered:
    """Return which workload of a fleet runs where and when; one InputError lists everything wrong with the question."""
    fleet = read_fleet(given, today or datetime.date.today())
    shaper = _Shaper(fleet)
    supplies = [offer.supply for offer in fleet.offers]
    demands = shaper.demands(supplies)
    packing = pack(supplies, demands)
    served = [p.demand for p in packing.placements]
    bound: tuple[Binding, ...] = ()
    ways: list[Relaxation] = []
    reasons = {}
    if packing.left_out:
        for demand in packing.left_out:
            number = next(k for k, w in enumerate(fleet.workloads) if w.name == demand.name)
            reasons[demand.name] = _reason(fleet, supplies, demand, number, shaper)
            ways += relaxations(supplies, packing, demand, shaper.demands)
    else:
        bound = bindings(supplies, demands, packing, shaper.demands)
    return Answered(
        fleet=fleet,
        packing=packing,
        bound_usd=bound_usd(supplies, served),
        bindings=bound,
        reasons=reasons,
        relaxations=tuple(ways),
        sized=shaper.sized,
    )


def _span(seconds: float) -> str:
    return f"{seconds / DAY_S:,.0f} d"


def _reason(fleet: Fleet, supplies: Sequence[Supply], demand: Demand, number: int, shaper: _Shaper) -> str:
    """Say why a workload was left out, of the first thing that keeps it out."""
    own = fleet.workloads[number].offers
    if any(fitting(supplies[k], demand, k) for k in own):
        return "no room beside the workloads that come first"
    if not demand.shapes:
        if shaper.refused.get(number):
            return "; ".join(shaper.refused[number])
        most = max(supplies[k].steps[-1][1] for k in own)
        least = _least_gpus(fleet, number, shaper)
        return f"needs {least:,} GPUs or more, and no offer has more than {most:,}"
    alone = replace(demand, until_s=math.inf)
    ends = [
        (start + shape.duration_s, shape)
        for shape in demand.shapes
        for start in starts(alone, shape, supplies[shape.supply], ())
        if has_room(supplies[shape.supply], [(start, start + shape.duration_s, shape.nodes)])
    ]
    end, best = min(ends, key=lambda one: one[0])
    supply = supplies[best.supply]
    late = max(end - demand.until_s, 0.0)
    gpus = best.nodes * supply.gpus_per_node
    return f"{_span(late)} late at best, on {gpus:,} GPUs of {supply.name} ({_span(best.duration_s)} on them)"


def _least_gpus(fleet: Fleet, number: int, shaper: _Shaper) -> int:
    w = fleet.workloads[number]
    if w.service is not None:
        found = [service_gpus(w.service, fleet.offers[k].accelerator) for k in w.offers]
        return min(gpus for gpus in found if gpus is not None)
    return min(one.gpus for key, sizes in shaper.sized.items() if key[0] == number for one in sizes)
