"""What binds a fleet, and what would make room: each constraint taken away alone, and the packing done again."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from isocost.fleet.pack import pack_all
from isocost.fleet.records import Demand, Packing, Supply

LEAST_SAVING = 5e-3  # of the bill: a smaller one does not bind
MOST_OF_IT = 0.9  # of what doing without a constraint saves: the least easing that brings so much is named
LONGER = 1.25  # a deadline is tried with up to so much of its time
_MOST_DAYS = 3653.0  # ten years: no deadline is put off further
_DAY_S = 86_400.0


def _packed(supplies: Sequence[Supply], demands: Sequence[Demand]) -> Packing | None:
    return pack_all(supplies, demands, thorough=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A constraint, and the bill without it."""

    name: str
    instead: str
    cost_usd: float
    saved_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WayOut:
    """The least change of one thing that makes room for a workload that was left out."""

    workload: str
    text: str
    cost_usd: float  # of everything, once it is changed


def larger(supply: Supply, gpus: int) -> Supply:
    """Return a supply with more GPUs from each of its dates on."""
    return replace(supply, steps=tuple((begins, held + gpus) for begins, held in supply.steps))


def sooner(supply: Supply, by_s: float) -> Supply:
    """Return a supply with everything handed over sooner."""
    return replace(supply, steps=tuple((max(begins - by_s, 0.0), gpus) for begins, gpus in supply.steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Easing:
    """One constraint, and the question with ``amount`` more of what it lacks, in whole steps up to ``most``."""

    name: str
    most: int
    instead: Callable[[int], str]
    packed: Callable[[int], Packing | None]


def bindings(
    supplies: Sequence[Supply],
    demands: Sequence[Demand],
    packing: Packing,
    reshape: Callable[[Sequence[Supply]], Sequence[Demand]],
    show: Callable[[float], str],
) -> tuple[Binding, ...]:
    """Return the constraints that make the bill larger, the dearest first, with the least change that is worth most.

    ``reshape`` gives the workloads for other supplies; ``show`` a time in words.
    """

    def swapped(k: int, other: Supply) -> Packing | None:
        others = [other if place == k else one for place, one in enumerate(supplies)]
        return _packed(others, reshape(others))

    def moved(k: int, later: Demand) -> Packing | None:
        return _packed(supplies, [later if place == k else one for place, one in enumerate(demands)])

    easings = [easing for k, supply in enumerate(supplies) for easing in _of_supply(k, supply, demands, swapped, show)]
    easings += [_of_deadline(k, demand, moved, show) for k, demand in enumerate(demands) if demand.kind == "runs"]
    found = (_binding(easing, packing.cost_usd) for easing in easings)
    return tuple(sorted((b for b in found if b is not None), key=lambda b: -b.saved_usd))


def _binding(easing: _Easing, cost_usd: float) -> Binding | None:
    """Return what a constraint costs, and the least easing that brings most of it."""
    whole = easing.packed(easing.most)
    if whole is None or cost_usd - whole.cost_usd <= LEAST_SAVING * cost_usd:
        return None
    enough = cost_usd - MOST_OF_IT * (cost_usd - whole.cost_usd)

    def attempt(amount: float) -> Packing | None:
        packing = easing.packed(int(amount))
        return packing if packing is not None and packing.cost_usd <= enough else None

    amount, packing = _least(attempt, 1.0, float(easing.most))
    best = packing or whole
    saved = cost_usd - best.cost_usd
    return Binding(name=easing.name, instead=easing.instead(int(amount)), cost_usd=best.cost_usd, saved_usd=saved)


def _of_supply(
    k: int,
    supply: Supply,
    demands: Sequence[Demand],
    swapped: Callable[[int, Supply], Packing | None],
    show: Callable[[float], str],
) -> list[_Easing]:
    most, node = supply.steps[-1][1], supply.gpus_per_node
    needed = sum(max((shape.nodes for shape in d.shapes), default=0) for d in demands)
    found = [
        _Easing(
            name=f"{supply.name}: {most:,} GPUs",
            most=max(needed, 1),
            instead=lambda nodes: f"{most + nodes * node:,} GPUs",
            packed=lambda nodes: swapped(k, larger(supply, nodes * node)),
        )
    ]
    if supply.ready_s > 0.0:
        found.append(
            _Easing(
                name=f"{supply.name}: handed over after {show(supply.ready_s)}",
                most=math.ceil(supply.ready_s / _DAY_S),
                instead=lambda days: f"after {show(max(supply.ready_s - days * _DAY_S, 0.0))}",
                packed=lambda days: swapped(k, sooner(supply, days * _DAY_S)),
            )
        )
    if supply.commitment_s > 0.0 and supply.commitment_s > supply.increment_s:
        found.append(
            _Easing(
                name=f"{supply.name}: paid for at least {show(supply.commitment_s)}",
                most=1,
                instead=lambda _: "paid while in use",
                packed=lambda _: swapped(k, replace(supply, commitment_s=0.0)),
            )
        )
    return found


def _of_deadline(
    k: int, demand: Demand, moved: Callable[[int, Demand], Packing | None], show: Callable[[float], str]
) -> _Easing:
    def later(days: int) -> Demand:
        return replace(demand, until_s=demand.until_s + days * _DAY_S)

    return _Easing(
        name=f"{demand.name}: deadline of {show(demand.until_s)}",
        most=math.ceil((LONGER - 1.0) * (demand.until_s - demand.from_s) / _DAY_S),
        instead=lambda days: show(later(days).until_s),
        packed=lambda days: moved(k, later(days)),
    )


def ways_out(
    supplies: Sequence[Supply],
    served: Sequence[Demand],
    left_out: Demand,
    reshape: Callable[[Sequence[Supply]], Sequence[Demand]],
    show: Callable[[float], str],
) -> tuple[WayOut, ...]:
    """Return the least change of each single thing with which a workload that was left out finds its place."""
    found = []
    names = {d.name for d in served} | {left_out.name}

    def wanted(others: Sequence[Supply]) -> list[Demand]:
        return [d for d in reshape(others) if d.name in names]

    if left_out.kind == "runs":

        def later(days: float) -> Packing | None:
            moved = replace(left_out, until_s=left_out.until_s + days * _DAY_S)
            return _packed(supplies, [*served, moved])

        days, packing = _least(later, 1.0, _MOST_DAYS)
        if packing is not None:
            text = f"deadline + {days:,.0f} d ({show(left_out.until_s + days * _DAY_S)})"
            found.append(WayOut(workload=left_out.name, text=text, cost_usd=packing.cost_usd))
    for k, supply in enumerate(supplies):
        node = supply.gpus_per_node

        def swapped(other: Supply, k: int = k) -> Packing | None:
            others = [other if place == k else one for place, one in enumerate(supplies)]
            return _packed(others, wanted(others))

        def more(nodes: float, supply: Supply = supply) -> Packing | None:
            return swapped(larger(supply, math.ceil(nodes) * supply.gpus_per_node))

        nodes, packing = _least(more, 1.0, 131_072.0)
        if packing is not None:
            text = f"{supply.name} + {nodes * node:,.0f} GPUs ({supply.steps[-1][1] + nodes * node:,.0f})"
            found.append(WayOut(workload=left_out.name, text=text, cost_usd=packing.cost_usd))
        if supply.ready_s > 0.0:

            def faster(days: float, supply: Supply = supply) -> Packing | None:
                return swapped(sooner(supply, days * _DAY_S))

            days, packing = _least(faster, 1.0, math.ceil(supply.ready_s / _DAY_S))
            if packing is not None:
                text = f"{supply.name} handed over {days:,.0f} d sooner"
                found.append(WayOut(workload=left_out.name, text=text, cost_usd=packing.cost_usd))
    return tuple(found)


def _least(attempt: Callable[[float], Packing | None], low: float, high: float) -> tuple[float, Packing | None]:
    """Return the least whole number with which an attempt succeeds, found by doubling and halving; none: no packing."""
    tried, packing = low, attempt(low)
    fails = 0.0
    while packing is None and tried < high:
        fails, tried = tried, min(2.0 * tried, high)
        packing = attempt(tried)
    if packing is None:
        return tried, None
    while tried - fails > 1.0:
        middle = math.floor((tried + fails) / 2.0)
        if middle <= fails:
            break
        found = attempt(middle)
        if found is None:
            fails = middle
        else:
            tried, packing = middle, found
    return tried, packing
