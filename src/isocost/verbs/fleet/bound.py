"""A bill that no packing can be below, so that it can be said how far from the best a packing may be."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from isocost.verbs.fleet.records import SLACK_S, Demand, Shape, Supply
from isocost.verbs.fleet.slots import has_room, starts

MOST_CHOICES = 20_000  # of a supply for each workload, all together; beyond it the use of each is bounded alone


@dataclass(frozen=True, slots=True, kw_only=True)
class _Least:
    """The least that a workload takes on one supply: node-seconds, and nodes. Two shapes may give them."""

    node_s: float
    nodes: int


def fitting(supply: Supply, demand: Demand, number: int) -> list[Shape]:
    """Return the shapes with which a workload finds a place on one supply that nobody else uses."""
    own = [s for s in demand.shapes if s.supply == number and s.duration_s <= supply.longest_s]
    return [
        shape
        for shape in own
        if any(
            has_room(supply, [(start, start + shape.duration_s, shape.nodes)])
            for start in starts(demand, shape, supply, ())
        )
    ]


def bound_usd(supplies: Sequence[Supply], demands: Sequence[Demand]) -> float:
    """Return a bill that no packing of these workloads can be below: the least over every choice of supplies.

    On a supply, what is paid is no less than what its workloads use, and no less than the nodes of the largest of them
    for a whole commitment. A node is in use for no longer than from its hand-over to the last deadline: where that is
    shorter than a commitment, the rest of the commitment is paid on top of the use.
    """
    least = [_by_supply(supplies, demand) for demand in demands]
    if not all(least):
        return math.inf
    end = max((d.until_s for d in demands), default=0.0)
    if math.prod(len(one) for one in least) > MOST_CHOICES:
        alone = [{k: _Least(node_s=some.node_s, nodes=0) for k, some in one.items()} for one in least]
        return sum(min(_paid_usd(supplies[k], [some], end) for k, some in one.items()) for one in alone)
    bills = []
    for choice in itertools.product(*(one for one in least)):
        on: dict[int, list[_Least]] = {}
        for known, number in zip(least, choice, strict=True):
            on.setdefault(number, []).append(known[number])
        bills.append(sum(_paid_usd(supplies[k], some, end) for k, some in on.items()))
    return min(bills)


def _by_supply(supplies: Sequence[Supply], demand: Demand) -> dict[int, _Least]:
    found = {}
    for number, supply in enumerate(supplies):
        shapes = fitting(supply, demand, number)
        if shapes:
            work = min(shape.nodes * shape.duration_s for shape in shapes)
            found[number] = _Least(node_s=work, nodes=min(shape.nodes for shape in shapes))
    return found


def _paid_usd(supply: Supply, some: Sequence[_Least], end_s: float) -> float:
    used = sum(one.node_s for one in some)
    committed = max(one.nodes for one in some) * supply.commitment_s
    share = max(supply.commitment_s / max(end_s - supply.ready_s, SLACK_S), 1.0)
    paid = max(used * share, committed)
    kept = 1.0 - supply.resold_frac
    return supply.gpus_per_node * supply.price_usd_per_s * (kept * paid + supply.resold_frac * used)
