"""What has to be bought of one supply for a given use of it, and what that costs.

Nodes are bought in layers: the first node is in use whenever any is, the second whenever two are, and so on. Of each
layer the times of use are joined to contracts so that the least is paid: a commitment is paid to its end, a gap is
either paid through or ends one contract before the next. That is exact for a layer; the layers keep contracts long.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

from isocost.money.terms import step_s
from isocost.verbs.fleet.records import SLACK_S, Contract, Supply

Use = tuple[float, float, int]  # from, until, nodes
Span = tuple[float, float]


def levels(uses: Sequence[Use]) -> list[tuple[float, float, int]]:
    """Return the nodes in use from time to time: (from, until, nodes), without gaps of no use."""
    times = sorted({time for use in uses for time in use[:2]})
    found = []
    for begins, ends in itertools.pairwise(times):
        nodes = sum(n for first, last, n in uses if first <= begins and ends <= last)
        if nodes and ends - begins > SLACK_S:
            found.append((begins, ends, nodes))
    return found


def contracts(supply: Supply, number: int, uses: Sequence[Use]) -> list[Contract]:
    """Return the contracts of least cost for a use of a supply; ``number`` is its place among the supplies."""
    found = []
    steps = levels(uses)
    below = 0
    for level in sorted({nodes for _, _, nodes in steps}):
        spans = _joined([(begins, ends) for begins, ends, nodes in steps if nodes >= level])
        for group in _grouped(supply, tuple(spans)):
            begins, used = group[0][0], sum(ends - first for first, ends in group)
            until = begins + paid_s(supply, group[-1][1] - begins)
            found.append(Contract(supply=number, nodes=level - below, from_s=begins, until_s=until, used_s=used))
        below = level
    return found


def cost_usd(supply: Supply, bought: Sequence[Contract]) -> float:
    """Return the bill of contracts: hours in use at the price, idle ones less what resale brings back."""
    node = supply.gpus_per_node * supply.price_usd_per_s
    kept = 1.0 - supply.resold_frac
    return sum(c.nodes * node * (c.used_s + (c.paid_s - c.used_s) * kept) for c in bought)


def paid_s(supply: Supply, span_s: float) -> float:
    """Return what is paid for when nodes are held for a span: no less than the commitment, in whole steps."""
    stepped = span_s
    if supply.increment_s > 0.0:
        step = float(step_s(supply.term, supply.increment_s, span_s - SLACK_S))
        stepped = math.ceil((span_s - SLACK_S) / step) * step
    return max(supply.commitment_s, stepped, span_s)


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Join spans that touch."""
    found: list[Span] = []
    for begins, ends in spans:
        if found and begins - found[-1][1] <= SLACK_S:
            found[-1] = (found[-1][0], ends)
        else:
            found.append((begins, ends))
    return found


@functools.lru_cache(maxsize=100_000)
def _grouped(supply: Supply, spans: tuple[Span, ...]) -> tuple[tuple[Span, ...], ...]:
    """Return spans of use grouped into contracts so that the least time is paid for: all partitions, from the end."""
    best: list[tuple[float, tuple[tuple[Span, ...], ...]]] = [(0.0, ())]
    for first in range(len(spans) - 1, -1, -1):
        ways = []
        for size in range(1, len(spans) - first + 1):
            rest_s, rest = best[size - 1]
            group = spans[first : first + size]
            ways.append((paid_s(supply, group[-1][1] - group[0][0]) + rest_s, (group, *rest)))
        best.insert(0, min(ways, key=lambda way: way[0]))
    return best[0][1]
