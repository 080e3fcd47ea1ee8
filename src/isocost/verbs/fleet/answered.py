"""A fleet as it was answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isocost.money.terms import SPOT
from isocost.verbs.fleet.read import Fleet
from isocost.verbs.fleet.read_offers import FleetOffer
from isocost.verbs.fleet.records import Packing
from isocost.verbs.fleet.relaxations import Binding, Relaxation
from isocost.verbs.fleet.size import Sized

Hardware = tuple[str, str | None, str | None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answered:
    """A fleet, packed; with what binds it, or what was left out and why."""

    fleet: Fleet
    packing: Packing
    bound_usd: float  # of what was served
    bindings: tuple[Binding, ...]
    reasons: Mapping[str, str]  # of what was left out
    relaxations: tuple[Relaxation, ...]
    sized: Mapping[tuple[int, *Hardware], tuple[Sized, ...]]  # by workload and hardware

    def plan_of(self, name: str) -> Sized | None:
        """Return what the planner says of one run of a workload as it was placed; None for a service."""
        number = next(k for k, w in enumerate(self.fleet.workloads) if w.name == name)
        placed = next(p for p in self.packing.placements if p.demand.name == name)
        if placed.demand.kind != "runs":
            return None
        sizes = self.sized[(number, *_hardware(self.fleet.offers[placed.shape.supply]))]
        return next(one for one in sizes if one.gpus == placed.shape.gpus)


def _hardware(offer: FleetOffer) -> Hardware:
    """Return what the length of a run depends on: chip, network, and whether it is spot capacity."""
    fabric = offer.fabric.id if offer.fabric else None
    return offer.accelerator.id, fabric, SPOT if offer.supply.term == SPOT else None
