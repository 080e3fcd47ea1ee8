"""What binds a fleet, and what would make room: each constraint eased alone, and the packing done again."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from isocost.units import DAY_S
from isocost.verbs.fleet.pack import pack_all
from isocost.verbs.fleet.records import Demand, Packing, Supply

LEAST_SAVING = 5e-3  # of the bill: a constraint that costs less does not bind
MOST_OF_IT = 0.9  # of what doing without a constraint saves: the least easing that brings so much is named
LONGER = 0.25  # of the time that a workload has: a deadline is put off by no more to see whether it binds
_MOST_DAYS = 3653  # ten years: no deadline is put off further to make room
_MOST_NODES = 131_072  # more than any offer has

Reshape = Callable[[Sequence[Supply]], Sequence[Demand]]  # the workloads, with the ways to run them on other supplies


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A constraint, the least easing of it that is worth most, and the bill then."""

    name: str
    instead: str
    cost_usd: float
    saved_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """The least easing of one constraint that makes room for a workload that was left out, and the bill then."""

    workload: str
    name: str
    instead: str
    cost_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Easing:
    """One constraint, and the question with so much less of it, in whole steps up to ``most``."""

    name: str
    most: int
    instead: Callable[[int], str]
    packed: Callable[[int], Packing | None]


def bindings(
    supplies: Sequence[Supply], demands: Sequence[Demand], packing: Packing, reshape: Reshape
) -> tuple[Binding, ...]:
    """Return the constraints that make the bill larger, the dearest first."""
    found = []
    for easing in _easings(supplies, demands, packing, reshape):
        whole = easing.packed(easing.most)
        if whole is None or packing.cost_usd - whole.cost_usd <= LEAST_SAVING * packing.cost_usd:
            continue
        enough = packing.cost_usd - MOST_OF_IT * (packing.cost_usd - whole.cost_usd)
        amount, best = _least(easing, enough)
        cost = (best or whole).cost_usd
        found.append(
            Binding(name=easing.name, instead=easing.instead(amount), cost_usd=cost, saved_usd=packing.cost_usd - cost)
        )
    return tuple(sorted(found, key=lambda b: -b.saved_usd))


def relaxations(
    supplies: Sequence[Supply], packing: Packing, left_out: Demand, reshape: Reshape
) -> tuple[Relaxation, ...]:
    """Return the least easing of each constraint that makes room for what was left out, the cheapest first."""
    demands = [*(p.demand for p in packing.placements), left_out]
    names = {d.name for d in demands}

    def wanted(others: Sequence[Supply]) -> list[Demand]:
        return [d for d in reshape(others) if d.name in names]

    found = []
    for easing in _easings(supplies, demands, packing, wanted, most_days=_MOST_DAYS, most_nodes=_MOST_NODES):
        amount, eased = _least(easing, math.inf)
        if eased is not None:
            said = easing.instead(amount)
            found.append(Relaxation(workload=left_out.name, name=easing.name, instead=said, cost_usd=eased.cost_usd))
    return tuple(sorted(found, key=lambda way: way.cost_usd))


def _easings(
    supplies: Sequence[Supply],
    demands: Sequence[Demand],
    packing: Packing,
    reshape: Reshape,
    *,
    most_days: int | None = None,
    most_nodes: int | None = None,
) -> list[_Easing]:
    """Return what can be eased: deadlines of runs, and the GPUs, hand-over and commitment of every supply."""

    def moved(k: int, days: int) -> Packing | None:
        later = replace(demands[k], until_s=demands[k].until_s + days * DAY_S)
        return pack_all(supplies, [later if at == k else one for at, one in enumerate(demands)], packing.placements)

    def swapped(k: int, other: Supply) -> Packing | None:
        others = [other if place == k else one for place, one in enumerate(supplies)]
        return pack_all(others, reshape(others), packing.placements)

    found = []
    for k, demand in enumerate(demands):
        if demand.kind == "runs":
            found.append(
                _Easing(
                    name=f"{demand.name}: due after {_days(demand.until_s)}",
                    most=most_days or math.ceil(LONGER * (demand.until_s - demand.from_s) / DAY_S),
                    instead=lambda days: f"{days:,} d later",
                    packed=partial(moved, k),
                )
            )
    needed = sum(max((shape.nodes for shape in d.shapes), default=0) for d in demands)
    for k, supply in enumerate(supplies):
        found += _of_supply(supply, most_nodes or max(needed, 1), partial(swapped, k))
    return found


def _of_supply(supply: Supply, most_nodes: int, packed: Callable[[Supply], Packing | None]) -> list[_Easing]:
    node, last = supply.gpus_per_node, supply.steps[-1]
    found = [
        _Easing(
            name=f"{supply.name}: {last[1]:,} GPUs",
            most=most_nodes,
            instead=lambda nodes: f"{nodes * node:,} more",
            packed=lambda nodes: packed(larger(supply, nodes * node)),
        )
    ]
    if last[0] > 0.0:
        first = f"{_days(supply.ready_s)} to " if supply.ready_s < last[0] else ""
        found.append(
            _Easing(
                name=f"{supply.name}: handed over after {first}{_days(last[0])}",
                most=math.ceil(last[0] / DAY_S),
                instead=lambda days: f"{days:,} d sooner",
                packed=lambda days: packed(sooner(supply, days * DAY_S)),
            )
        )
    if supply.commitment_s > supply.increment_s:
        found.append(
            _Easing(
                name=f"{supply.name}: paid for {_days(supply.commitment_s)} at least",
                most=1,
                instead=lambda _: "paid while in use",
                packed=lambda _: packed(replace(supply, commitment_s=0.0)),
            )
        )
    return found


def larger(supply: Supply, gpus: int) -> Supply:
    """Return a supply with more GPUs from each of its dates on."""
    return replace(supply, steps=tuple((begins, held + gpus) for begins, held in supply.steps))


def sooner(supply: Supply, by_s: float) -> Supply:
    """Return a supply with everything handed over sooner."""
    return replace(supply, steps=tuple((max(begins - by_s, 0.0), gpus) for begins, gpus in supply.steps))


def _days(seconds: float) -> str:
    return f"{seconds / DAY_S:,.0f} d"


def _least(easing: _Easing, most_usd: float) -> tuple[int, Packing | None]:
    """Return the least easing whose bill is no more than this, found by doubling and halving; None: there is none."""

    def attempt(amount: int) -> Packing | None:
        packing = easing.packed(amount)
        return packing if packing is not None and packing.cost_usd <= most_usd else None

    fails, tried, packing = 0, 1, attempt(1)
    while packing is None and tried < easing.most:
        fails, tried = tried, min(2 * tried, easing.most)
        packing = attempt(tried)
    while packing is not None and tried - fails > 1:
        middle = (tried + fails) // 2
        found = attempt(middle)
        if found is None:
            fails = middle
        else:
            tried, packing = middle, found
    return (easing.most if packing is None else tried), packing
