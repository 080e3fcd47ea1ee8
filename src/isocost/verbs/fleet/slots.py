"""Where a workload finds a place on a supply: the starts worth trying, and whether there is room."""

from __future__ import annotations

from collections.abc import Sequence

from isocost.verbs.fleet.contracts import Use, levels
from isocost.verbs.fleet.records import SLACK_S, Demand, Shape, Supply


def starts(demand: Demand, shape: Shape, supply: Supply, uses: Sequence[Use]) -> list[float]:
    """Return the starts worth trying, earliest first."""
    length = shape.duration_s
    first, last = max(demand.from_s, supply.ready_s), demand.until_s - length
    found = {first, last, *(begins for begins, _ in supply.steps)}
    for begins, ends, _ in uses:
        found |= {begins, ends, begins - length, ends - length}
        if supply.commitment_s > 0.0:
            found |= {begins + supply.commitment_s - length, ends - supply.commitment_s}
    return sorted(start for start in found if first - SLACK_S <= start <= last + SLACK_S)


def has_room(supply: Supply, uses: Sequence[Use]) -> bool:
    """Say whether a use of a supply keeps within what can be held, at every time."""
    return all(nodes <= supply.nodes_at(begins) for begins, _, nodes in levels(uses))
