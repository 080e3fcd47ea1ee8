"""Packing a fleet: contracts, shapes and places, against an exact solution."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from isocost.catalog import load_catalog
from isocost.verbs.fleet.bound import bound_usd
from isocost.verbs.fleet.contracts import contracts, cost_usd, levels
from isocost.verbs.fleet.pack import pack, pack_all
from isocost.verbs.fleet.records import Demand, Packing, Shape, Supply
from isocost.verbs.fleet.relaxations import bindings, relaxations
from isocost.verbs.fleet.size import Service, nodes_for, not_dominated, service_gpus
from isocost.verbs.fleet.slots import has_room
from isocost.workload.presets import preset

DAY = 86_400.0
MOVING = (8, 37)  # draws in which the exact solution lets a run change nodes, which a packing never does


def supply(**changes: object) -> Supply:
    """Return an offer of 100 nodes of one GPU at a dollar a GPU-day."""
    plain = Supply(
        name="plain", accelerator="h100-sxm5-80gb", term="on_demand", gpus_per_node=1, price_usd_per_s=1.0 / DAY,
        steps=((0.0, 100),),
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def demand(
    name: str, shapes: Sequence[tuple[int, int, float]], begins: float, ends: float, priority: int = 1
) -> Demand:
    """Return a workload of shapes (supply, nodes, days) between two days."""
    made = tuple(
        Shape(supply=k, gpus=n, at_once=1, nodes=n, duration_s=d * DAY, useful_gpu_s=n * d * DAY) for k, n, d in shapes
    )
    return Demand(
        name=name, kind="runs", count=1, from_s=begins * DAY, until_s=ends * DAY, priority=priority, shapes=made
    )  # fmt: skip


def test_use_is_counted_at_every_time() -> None:
    """Two uses that overlap add up while they do; a gap is no level."""
    assert levels([(0.0, 10.0, 3), (5.0, 20.0, 2), (30.0, 40.0, 1)]) == [
        (0.0, 5.0, 3), (5.0, 10.0, 5), (10.0, 20.0, 2), (30.0, 40.0, 1),
    ]  # fmt: skip


def test_hours_that_are_sold_singly_are_paid_while_in_use() -> None:
    """Without a commitment the bill is the use, gaps left out."""
    offer = supply()
    assert cost_usd(offer, contracts(offer, 0, [(0.0, DAY, 3), (9 * DAY, 11 * DAY, 2)])) == pytest.approx(7.0)


def test_a_commitment_is_paid_to_its_end_and_shared_by_what_follows() -> None:
    """Ten days are paid for two of use; a second use within them is free; resale brings its share back."""
    offer = supply(commitment_s=10 * DAY)
    once = [(0.0, 2 * DAY, 4)]
    assert cost_usd(offer, contracts(offer, 0, once)) == pytest.approx(40.0)
    assert cost_usd(offer, contracts(offer, 0, [*once, (5 * DAY, 9 * DAY, 4)])) == pytest.approx(40.0)
    half = replace(offer, resold_frac=0.5)
    assert cost_usd(half, contracts(half, 0, once)) == pytest.approx(4 * (2 + 0.5 * 8))


def test_a_long_gap_ends_a_contract_and_a_short_one_is_paid_through() -> None:
    """Two uses 30 days apart are two commitments of 10; two uses 12 days apart are one contract of 14."""
    offer = supply(commitment_s=10 * DAY)
    far = contracts(offer, 0, [(0.0, 2 * DAY, 1), (32 * DAY, 34 * DAY, 1)])
    assert [(c.from_s / DAY, c.until_s / DAY) for c in far] == [(0.0, 10.0), (32.0, 42.0)]
    near = contracts(offer, 0, [(0.0, 2 * DAY, 1), (12 * DAY, 14 * DAY, 1)])
    assert [(c.from_s / DAY, c.until_s / DAY, c.used_s / DAY) for c in near] == [(0.0, 14.0, 4.0)]


def test_whole_days_are_sold() -> None:
    """With an increment of a day, 36 hours are two days."""
    offer = supply(increment_s=DAY, commitment_s=DAY)
    assert cost_usd(offer, contracts(offer, 0, [(0.0, 1.5 * DAY, 1)])) == pytest.approx(2.0)


def test_a_long_block_is_sold_by_the_week() -> None:
    """A capacity block of 13.5 days is paid for 14, one of 14.5 for 21; another offer by the day for 15."""
    block = supply(term="capacity_block", increment_s=DAY, commitment_s=DAY)
    for offer, days, paid in ((block, 13.5, 14.0), (block, 14.5, 21.0), (replace(block, term="quote"), 14.5, 15.0)):
        assert cost_usd(offer, contracts(offer, 0, [(0.0, days * DAY, 1)])) == pytest.approx(paid)


def test_nodes_appear_with_time() -> None:
    """What can be held grows at each date: a use before it has to do with less."""
    offer = supply(steps=((5 * DAY, 10), (20 * DAY, 30)))
    assert not has_room(offer, [(0.0, 6 * DAY, 1)])
    assert has_room(offer, [(5 * DAY, 30 * DAY, 10)])
    assert not has_room(offer, [(5 * DAY, 30 * DAY, 11)])
    assert has_room(offer, [(20 * DAY, 30 * DAY, 30)])


def test_a_block_has_a_longest_length() -> None:
    """A run of 20 days has no place on blocks of 10, one of 10 days has."""
    block = supply(longest_s=10 * DAY, commitment_s=DAY, increment_s=DAY)
    assert pack_all([block], [demand("long", [(0, 1, 20)], 0, 40)]) is None
    assert pack_all([block], [demand("short", [(0, 1, 10)], 0, 40)]) is not None


def test_small_runs_share_a_node_and_large_ones_have_whole_nodes() -> None:
    """Runs of 3 GPUs fit twice on a node of 8; a run of 12 GPUs takes two nodes."""
    assert [nodes_for(5, 1, 8), nodes_for(5, 3, 8), nodes_for(5, 8, 8), nodes_for(5, 12, 8)] == [1, 3, 5, 10]


def test_only_shapes_that_nothing_beats_are_kept() -> None:
    """A shape with no fewer nodes and no less time than another is left out."""
    made = demand("a", [(0, 4, 10), (0, 8, 5), (0, 8, 6), (0, 16, 5)], 0, 99).shapes
    assert [(s.nodes, s.duration_s / DAY) for s in not_dominated(made)] == [(4, 10.0), (8, 5.0)]


def test_a_service_is_two_flop_a_parameter_and_token_in_whole_copies() -> None:
    """70.6 B parameters at 200,000 tokens/s and 15 % of 989 TFLOP/s are 190.2 GPUs: 191, or 192 in copies of two."""
    chip = load_catalog().accelerator("h100-sxm5-80gb")
    service = Service(
        architecture=preset("llama-3.1-70b"), tokens_per_s=2e5, efficiency_frac=0.15, precision="bf16"
    )  # fmt: skip
    needed = 2.0 * 70.554e9 * 2e5 / (0.15 * 989.4e12)
    assert needed == pytest.approx(190.2, abs=0.1)
    assert service_gpus(service, chip) == 192  # 141 GB of weights: copies of two
    eight = replace(service, precision="fp8")
    assert service_gpus(eight, chip) == math.ceil(needed / 2)
    assert service_gpus(replace(service, precision="nvfp4"), chip) is None


def test_what_follows_on_the_same_nodes_makes_a_commitment_pay() -> None:
    """Each workload alone is cheaper by the day; one behind the other they are cheaper on committed nodes."""
    dear, cheap = supply(), supply(name="committed", price_usd_per_s=0.5 / DAY, commitment_s=30 * DAY)
    first = demand("first", [(0, 10, 12), (1, 10, 12)], 0, 40)
    second = demand("second", [(0, 10, 12), (1, 10, 12)], 0, 40)
    alone = pack([dear, cheap], [first])
    assert [p.shape.supply for p in alone.placements] == [0]
    assert alone.cost_usd == pytest.approx(120.0)
    both = pack([dear, cheap], [first, second])
    assert [p.shape.supply for p in both.placements] == [1, 1]
    assert both.cost_usd == pytest.approx(0.5 * 10 * 30)


def test_the_least_urgent_is_left_out_where_not_everything_has_room() -> None:
    """Two workloads want all nodes at once: the one of priority 1 is served, whatever the order in the file."""
    offers = [supply()]
    urgent, other = demand("urgent", [(0, 100, 10)], 0, 12, 1), demand("other", [(0, 60, 10)], 0, 12, 2)
    for order in itertools.permutations([urgent, other]):
        found = pack(offers, order)
        assert [p.demand.name for p in found.placements] == ["urgent"]
        assert [d.name for d in found.left_out] == ["other"]


def test_the_bound_holds_for_many_workloads_on_shared_commitments() -> None:
    """Twelve workloads one behind the other on the same committed nodes cost one commitment: the bound is no more."""
    offers = [
        supply(name=f"offer {k}", price_usd_per_s=(1.0 if k else 0.1) / DAY, commitment_s=0.0 if k else 24 * DAY)
        for k in range(3)
    ]
    many = [demand(f"run {k}", [(n, 10, 2) for n in range(3)], 2 * k, 2 * k + 2) for k in range(12)]
    found = pack_all(offers, many)
    assert found is not None
    assert found.cost_usd == pytest.approx(24.0)
    assert bound_usd(offers, many) == pytest.approx(24.0)


def test_ways_out_make_room_and_less_does_not() -> None:
    """A workload that does not fit beside another fits with each change named, and not with a step less."""
    offers = [supply(steps=((4 * DAY, 100),))]
    urgent, other = demand("urgent", [(0, 100, 10)], 0, 16, 1), demand("other", [(0, 60, 5)], 0, 16, 2)
    found = pack(offers, [urgent, other])
    assert [d.name for d in found.left_out] == ["other"]
    ways = {way.name: way.instead for way in relaxations(offers, found, other, lambda _: [urgent, other])}
    assert ways == {
        "other: due after 16 d": "3 d later",
        "urgent: due after 16 d": "3 d later",
        "plain: 100 GPUs": "60 more",
        "plain: handed over after 4 d": "3 d sooner",
    }


def test_a_constraint_binds_when_the_bill_is_larger_for_it() -> None:
    """Cheap nodes that come too late for a run bind by their hand-over and by its deadline; nothing else does."""
    offers = [supply(), supply(name="cheap", price_usd_per_s=0.5 / DAY, steps=((10 * DAY, 100),))]
    run = demand("run", [(0, 10, 20), (1, 10, 20)], 0, 28)
    packing = pack(offers, [run])
    assert packing.cost_usd == pytest.approx(200.0)
    found = bindings(offers, [run], packing, lambda _: [run])
    assert [(b.name, b.instead) for b in found] == [
        ("run: due after 28 d", "2 d later"),
        ("cheap: handed over after 10 d", "2 d sooner"),
    ]
    assert [b.saved_usd for b in found] == pytest.approx([100.0, 100.0])


def _exact(supplies: list[Supply], demands: list[Demand], days: int) -> float:
    """Return the least bill by mixed-integer programming, by the day: any contract, not only those in layers."""
    costs: list[float] = []
    columns: list[tuple[str, int, int, int, int]] = []  # kind, demand or supply, start, length, nodes
    for number, d in enumerate(demands):
        for k, shape in enumerate(d.shapes):
            length = round(shape.duration_s / DAY)
            for start in range(round(d.from_s / DAY), round(d.until_s / DAY) - length + 1):
                columns.append(("place", number, start, length, k))
                costs.append(0.0)
    for number, offer in enumerate(supplies):
        least = max(round(offer.commitment_s / DAY), 1)
        for start in range(days):
            for length in range(least, max(least, days - start) + 1):
                columns.append(("buy", number, start, length, 1))
                costs.append(length * offer.price_usd_per_s * DAY)
    rows, low, high = [], [], []
    for number in range(len(demands)):
        rows.append([1.0 if c[0] == "place" and c[1] == number else 0.0 for c in columns])
        low.append(1.0)
        high.append(1.0)
    for number, offer in enumerate(supplies):
        for day in range(days):
            used, held = np.zeros(len(columns)), np.zeros(len(columns))
            for k, (kind, of, start, length, shape_number) in enumerate(columns):
                if not start <= day < start + length:
                    continue
                if kind == "buy" and of == number:
                    held[k] = 1.0
                if kind == "place" and demands[of].shapes[shape_number].supply == number:
                    used[k] = demands[of].shapes[shape_number].nodes
            rows += [(held - used).tolist(), used.tolist()]
            low += [0.0, 0.0]
            high += [np.inf, float(offer.nodes_at(day * DAY))]
    whole = [1.0 if c[0] == "place" else np.inf for c in columns]
    limits, integers = LinearConstraint(np.array(rows), low, high), np.ones(len(columns), int)
    found = milp(np.array(costs), constraints=limits, integrality=integers, bounds=Bounds(0.0, whole))
    return float(found.fun) if found.success else math.inf


def _drawn(seed: int) -> tuple[list[Supply], list[Demand]]:
    """Return two offers and three workloads by chance, in whole days."""
    rng = np.random.default_rng(seed)
    lead, commitment = int(rng.integers(1, 6)), int(rng.integers(8, 20))
    offers = [
        supply(steps=((0.0, int(rng.integers(4, 9))),)),
        supply(
            name="committed", price_usd_per_s=float(rng.uniform(0.3, 0.8)) / DAY, steps=((lead * DAY, 12),),
            commitment_s=commitment * DAY,
        ),
    ]  # fmt: skip
    demands = []
    for name in ("a", "b", "c"):
        work, begins = int(rng.integers(8, 40)), int(rng.integers(0, 6))
        shapes = [(k, n, math.ceil(work / n)) for k in (0, 1) for n in (2, 4, 8)]
        demands.append(demand(name, shapes, begins, begins + int(rng.integers(10, 20))))
    return offers, demands


@pytest.mark.parametrize("seed", [1, 7, 8, 11, 13, 14, 17, 20, 22, 37])
def test_packings_are_as_cheap_as_the_exact_solution(seed: int) -> None:
    """The bill is the exact least one, but where that moves a run to other nodes (at most 5 %); the bound is below.

    Where the exact solution says that there is no packing, none is found.
    """
    offers, demands = _drawn(seed)
    exact = _exact(offers, demands, 26)
    found = pack_all(offers, demands)
    if math.isinf(exact):
        assert found is None
        return
    assert found is not None
    assert bound_usd(offers, demands) <= exact * (1 + 1e-9)
    assert exact * (1 - 1e-9) <= found.cost_usd <= (1.05 if seed in MOVING else 1 + 1e-9) * exact
    _check(offers, demands, found)


def _check(offers: list[Supply], demands: list[Demand], found: Packing) -> None:
    """Every workload is in its window and has room, contracts cover all use, and the bill is that of the contracts."""
    assert [p.demand.name for p in found.placements] == [d.name for d in demands]
    assert all(d.from_s <= p.start_s and p.end_s <= d.until_s for p, d in zip(found.placements, demands, strict=True))
    for number, offer in enumerate(offers):
        uses = [(p.start_s, p.end_s, p.shape.nodes) for p in found.placements if p.shape.supply == number]
        assert has_room(offer, uses)
        bought = [c for c in found.contracts if c.supply == number]
        for begins, _, nodes in levels(uses):
            assert sum(c.nodes for c in bought if c.from_s <= begins < c.until_s) >= nodes
        assert all(c.paid_s >= offer.commitment_s for c in bought)
    assert found.cost_usd == pytest.approx(
        sum(cost_usd(offer, [c for c in found.contracts if c.supply == k]) for k, offer in enumerate(offers))
    )
