"""Which workload runs where and when: the packing of least bill that was found, and a bill that none can be below.

The method: workloads are placed one after another, each where it adds least to the bill, in several orders and for
every set of supplies that may be used; the best few results are then improved by moving one workload at a time until no
move helps. The only starts tried are those at which something begins or ends, as the bill is straight in between. That
is no proof of the least bill; ``bound_usd`` says how far from it the result can be, and the tests compare it with an
exact solution.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from isocost.verbs.fleet.bound import bound_usd
from isocost.verbs.fleet.contracts import Use, contracts, cost_usd
from isocost.verbs.fleet.records import Demand, Packing, Placement, Supply
from isocost.verbs.fleet.slots import has_room, starts

MOST_ORDERS = 24  # orders of insertion: all of four workloads
FEW_ORDERS = 6  # where only the effect of a change is wanted
MOST_STARTS = 168  # orders times sets of supplies: all sets of three
FEW_STARTS = 42
PROVED = 1e-3  # a bill so close to the least possible one is not improved
KEPT = 3  # results that are improved further
ROUNDS = 180  # of taking workloads out and putting them back, over the number of workloads
STRAY = 0.1  # of the bill: a place so much dearer than the cheapest is tried now and then
_SEED = 0
_LEAST_GAIN = 1e-9  # of the bill: a smaller one is rounding


Rank = tuple[float, float, int]


@dataclass(slots=True, kw_only=True, eq=False)
class _Board:
    """Placements so far; the bill of every supply is kept, as a move changes that of one or two."""

    supplies: Sequence[Supply]
    placed: dict[str, Placement] = field(default_factory=dict)
    known: dict[tuple[int, tuple[Use, ...]], float] = field(default_factory=dict)

    def uses(self, supply: int, without: str = "") -> tuple[Use, ...]:
        """Return the use of a supply, in order."""
        return tuple(
            sorted(
                (p.start_s, p.end_s, p.shape.nodes)
                for name, p in self.placed.items()
                if p.shape.supply == supply and name != without
            )
        )

    def bill(self, supply: int, uses: tuple[Use, ...]) -> float:
        """Return the bill of a use of a supply; infinity where there is no room for it."""
        key = (supply, uses)
        if key not in self.known:
            offer = self.supplies[supply]
            room = has_room(offer, uses)
            self.known[key] = cost_usd(offer, contracts(offer, supply, uses)) if room else math.inf
        return self.known[key]

    def total(self) -> float:
        """Return the bill of everything."""
        return sum(self.bill(k, self.uses(k)) for k in range(len(self.supplies)))


def _choices(board: _Board, demand: Demand, allowed: frozenset[int]) -> Iterator[tuple[Rank, Placement]]:
    """Yield the places of a workload beside the others: what each adds to the bill, when it ends, its nodes."""
    for number in sorted(allowed):
        supply = board.supplies[number]
        uses = board.uses(number, demand.name)
        before = board.bill(number, uses)
        free = supply.commitment_s == 0.0 and supply.increment_s == 0.0  # then the start does not change the bill
        for shape in demand.shapes:
            if shape.supply != number or shape.duration_s > supply.longest_s:
                continue
            for start in starts(demand, shape, supply, uses):
                more = tuple(sorted((*uses, (start, start + shape.duration_s, shape.nodes))))
                bill = board.bill(number, more)
                if math.isinf(bill):
                    continue
                yield (
                    (bill - before, start + shape.duration_s, shape.nodes),
                    Placement(demand=demand, shape=shape, start_s=start),
                )
                if free:
                    break


def _best(board: _Board, demand: Demand, allowed: frozenset[int]) -> Placement | None:
    """Return the place that adds least to the bill; of equals the one that ends first."""
    found = min(_choices(board, demand, allowed), key=lambda choice: choice[0], default=None)
    return None if found is None else found[1]


def _greedy(board: _Board, order: Sequence[Demand], allowed: frozenset[int], begun: Sequence[Placement] = ()) -> bool:
    """Place workloads one after another beside those that are in their places already; say whether all found room."""
    board.placed = {p.demand.name: p for p in begun}
    for demand in order:
        if demand.name in board.placed:
            continue
        found = _best(board, demand, allowed)
        if found is None:
            return False
        board.placed[demand.name] = found
    return True


def _improve(board: _Board, demands: Sequence[Demand]) -> float:
    """Move one workload at a time until no move helps; return the bill."""
    everything = frozenset(range(len(board.supplies)))
    total = board.total()
    while True:
        for demand in demands:
            found = _best(board, demand, everything)
            assert found is not None, "its own place is always free"
            board.placed[demand.name] = found
        again = board.total()
        if again >= total * (1.0 - _LEAST_GAIN):
            return min(again, total)
        total = again


def _shaken(board: _Board, demands: Sequence[Demand], total: float) -> float:
    """Take some workloads out and put them back, not always where each is cheapest, and keep the least bill seen."""
    rng = np.random.default_rng(_SEED)
    everything = frozenset(range(len(board.supplies)))
    best, kept = total, dict(board.placed)
    for _ in range(ROUNDS // len(demands) if len(demands) > 1 else 0):
        before = dict(board.placed)
        out = [demands[k] for k in rng.permutation(len(demands))[: rng.integers(2, len(demands) + 1)]]
        for demand in out:
            del board.placed[demand.name]
        for demand in out:
            choices = list(_choices(board, demand, everything))
            if not choices:
                break
            least = min(choices, key=lambda choice: choice[0])
            near = [c for c in choices if c[0][0] <= least[0][0] + STRAY * best]
            board.placed[demand.name] = (least if rng.random() < 0.5 else near[rng.integers(len(near))])[1]
        bill = _improve(board, demands) if len(board.placed) == len(demands) else math.inf
        if bill > best * (1.0 + STRAY):
            board.placed = before
        elif bill < best * (1.0 - _LEAST_GAIN):
            best, kept = bill, dict(board.placed)
    board.placed = kept
    return best


def _orders(demands: Sequence[Demand], most: int) -> list[tuple[Demand, ...]]:
    """Return orders of insertion: all of a few workloads, else largest first, soonest due first, and some by chance."""
    if math.factorial(len(demands)) <= most:
        return list(itertools.permutations(demands))
    rng = np.random.default_rng(_SEED)
    size = {d.name: max((s.nodes * s.duration_s for s in d.shapes), default=0.0) for d in demands}
    found = [
        tuple(sorted(demands, key=lambda d: -size[d.name])),
        tuple(sorted(demands, key=lambda d: (d.until_s, d.name))),
        tuple(sorted(demands, key=lambda d: (d.kind != "service", -size[d.name]))),
    ]
    while len(found) < most:
        found.append(tuple(demands[k] for k in rng.permutation(len(demands))))
    return found


def _subsets(count: int, most: int) -> list[frozenset[int]]:
    """Return sets of supplies that may be used: all of them, each alone, then others, the largest first."""
    everything = frozenset(range(count))
    singles = [frozenset({k}) for k in everything] if count > 1 else []
    between = (
        frozenset(some) for size in range(count - 1, 1, -1) for some in itertools.combinations(range(count), size)
    )
    return [everything, *singles, *itertools.islice(between, max(most - 1 - len(singles), 0))]


def pack_all(
    supplies: Sequence[Supply], demands: Sequence[Demand], begun: Sequence[Placement] | None = None
) -> Packing | None:
    """Return the packing of least bill that was found for all workloads; None where none was.

    ``begun`` is a packing of most of them for a question with less room: then fewer orders are tried beside it and
    nothing is shaken, which is enough to see what the room brings.
    """
    thorough = begun is None
    board = _Board(supplies=supplies)
    found: dict[float, dict[str, Placement]] = {}
    orders = _orders(demands, MOST_ORDERS if thorough else FEW_ORDERS)
    allowed_sets = _subsets(len(supplies), (MOST_STARTS if thorough else FEW_STARTS) // len(orders))
    for order in orders:
        for allowed in allowed_sets:
            if _greedy(board, order, allowed):
                found.setdefault(board.total(), dict(board.placed))
    by_name = {demand.name: demand for demand in demands}
    known = [replace(p, demand=by_name[p.demand.name]) for p in begun or ()]
    if known and _greedy(board, demands, allowed_sets[0], known):
        found.setdefault(board.total(), dict(board.placed))
    best: tuple[float, dict[str, Placement]] | None = None
    least = bound_usd(supplies, demands) if found else 0.0
    for bill in sorted(found)[:KEPT]:
        board.placed = dict(found[bill])
        total = _improve(board, demands)
        if thorough and total > least * (1.0 + PROVED):
            total = _shaken(board, demands, total)
        if best is None or total < best[0]:
            best = (total, dict(board.placed))
    if best is None:
        return None
    board.placed = best[1]
    bought = [c for k, supply in enumerate(supplies) for c in contracts(supply, k, board.uses(k))]
    placed = tuple(best[1][demand.name] for demand in demands)
    return Packing(placements=placed, contracts=tuple(bought), cost_usd=best[0])


def pack(supplies: Sequence[Supply], demands: Sequence[Demand]) -> Packing:
    """Return a packing; where not everything can be had, workloads are left out from the least urgent priority on."""
    whole = pack_all(supplies, demands)
    if whole is not None:
        return whole
    served: list[Demand] = []
    packing = Packing(placements=(), contracts=(), cost_usd=0.0)
    for demand in sorted(demands, key=lambda d: d.priority):
        found = pack_all(supplies, [*served, demand])
        if found is not None:
            served.append(demand)
            packing = found
    return replace(packing, left_out=tuple(d for d in demands if d not in served))
