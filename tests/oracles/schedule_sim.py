"""Event simulation of pipeline schedules, the oracle of the closed forms; used by tests only.

A schedule is, for each rank, an ordered list of operations on (virtual stage, micro-batch). An operation starts when
the rank is free and its inputs have arrived; nothing else is assumed. The orders are those of the papers and of the
reference implementations: GPipe, 1F1B and interleaved (Megatron-LM), ZB-H1, ZB-H2 and ZB-V (Qi et al.), DualPipe
(DeepSeek-AI).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

F, B, W = "F", "B", "W"  # forward, gradient of the input, gradient of the weights


@dataclass(frozen=True, slots=True)
class Part:
    """One pass (F, B or W) of one micro-batch through one virtual stage."""

    kind: str
    stage: int
    micro_batch: int


Op = tuple[Part, ...]  # parts run back to back and send their results together when the last one is done
Orders = list[list[Op]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Longest span of a rank, time until the last rank ends, and the largest number of stashed chunks by rank.

    The span runs from the first operation of a rank to its last: what a step costs when ranks may start the next one at
    different times (zero bubble without a barrier in the optimizer). ``makespan_s`` is a step with a barrier.
    """

    span_s: float
    makespan_s: float
    peak_chunks: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The orders of a schedule, the rank of each virtual stage, and the stages each micro-batch visits."""

    orders: Orders
    stages: int
    rank_of: Callable[[int], int]
    path: Callable[[int], Sequence[int]]


def plan(name: str, pp: int, m: int, vp: int = 1) -> Plan:
    """Return the plan of a schedule by its name in ``isocost.laws.pipeline.SCHEDULES``."""
    plain: dict[str, Callable[[], Orders]] = {
        "gpipe": lambda: gpipe(pp, m),
        "1f1b": lambda: one_f_one_b(pp, m),
        "interleaved": lambda: interleaved(pp, vp, m),
        "zb-h1": lambda: zero_bubble(pp, m, depth=1),
        "zb-h2": lambda: zero_bubble(pp, m, depth=2),
    }
    if name in plain:
        return Plan(orders=plain[name](), stages=pp * vp, rank_of=lambda s: s % pp, path=lambda k: range(pp * vp))
    folded = {"stages": 2 * pp, "rank_of": lambda s: min(s, 2 * pp - 1 - s)}
    if name == "zb-v":
        return Plan(orders=zero_bubble_v(pp, m), path=lambda k: range(2 * pp), **folded)
    return Plan(orders=dual_pipe(pp, m), path=lambda k: range(pp) if k % 2 == 0 else range(pp, 2 * pp), **folded)


def simulate(
    what: Plan,
    *,
    forward_s: Sequence[float],
    input_s: Sequence[float],
    weight_s: Sequence[float],
    latency_s: float = 0.0,
) -> Result:
    """Run every rank's operations in their order; seconds are by virtual stage, ``latency_s`` is that of a send."""
    orders, path, rank_of = what.orders, what.path, what.rank_of
    seconds = {F: forward_s, B: input_s, W: weight_s}
    done: dict[Part, float] = {}
    before = {
        mb: {s: i for i, s in enumerate(path(mb))} for mb in {p.micro_batch for o in orders for op in o for p in op}
    }
    free = [0.0] * len(orders)
    begin = [math.inf] * len(orders)
    at = [0] * len(orders)
    stashed = [0] * len(orders)
    peak = [0] * len(orders)

    def inputs(part: Part) -> list[Part]:
        route, place = path(part.micro_batch), before[part.micro_batch][part.stage]
        if part.kind == F:
            return [Part(F, route[place - 1], part.micro_batch)] if place else []
        if part.kind == W:
            return [Part(B, part.stage, part.micro_batch)]
        own = [Part(F, part.stage, part.micro_batch)]
        return own + ([Part(B, route[place + 1], part.micro_batch)] if place + 1 < len(route) else [])

    def arrival(source: Part, rank: int) -> float:
        return done[source] + (latency_s if rank_of(source.stage) != rank else 0.0)

    moved = True
    while moved:
        moved = False
        for rank, order in enumerate(orders):
            while at[rank] < len(order):
                op = order[at[rank]]
                needs = [n for part in op for n in inputs(part) if n not in op]
                if any(n not in done for n in needs):
                    break
                start = max([free[rank], *(arrival(n, rank) for n in needs)])
                begin[rank] = min(begin[rank], start)
                free[rank] = start + sum(seconds[part.kind][part.stage] for part in op)
                for part in op:
                    done[part] = free[rank]
                    stashed[rank] += {F: 1, B: 0, W: -1}[part.kind]
                    peak[rank] = max(peak[rank], stashed[rank])
                at[rank] += 1
                moved = True
    stuck = [rank for rank, order in enumerate(orders) if at[rank] < len(order)]
    assert not stuck, f"deadlock on ranks {stuck}"
    spans = [end - start for start, end in zip(begin, free, strict=True)]
    return Result(span_s=max(spans), makespan_s=max(free), peak_chunks=tuple(peak))


def _one(kind: str, stage: int, mb: int) -> Op:
    return (Part(kind, stage, mb),)


def _full_backward(stage: int, mb: int) -> Op:
    return (Part(B, stage, mb), Part(W, stage, mb))


def gpipe(pp: int, m: int) -> Orders:
    """All forwards, then all backwards."""
    return [[_one(F, i, k) for k in range(m)] + [_full_backward(i, k) for k in range(m)] for i in range(pp)]


def one_f_one_b(pp: int, m: int) -> Orders:
    """PipeDream-flush: rank i runs pp - 1 - i forwards ahead."""
    orders: Orders = []
    for i in range(pp):
        ahead = pp - 1 - i
        order = [_one(F, i, k) for k in range(min(ahead, m))]
        for k in range(m):
            if k + ahead < m:
                order.append(_one(F, i, k + ahead))
            order.append(_full_backward(i, k))
        orders.append(order)
    return orders


def interleaved(pp: int, vp: int, m: int) -> Orders:
    """Megatron-LM: groups of pp micro-batches through the vp local chunks; m not a multiple of pp deadlocks."""
    assert m % pp == 0
    forwards = [(c, k) for g in range(0, m, pp) for c in range(vp) for k in range(g, g + pp)]
    backwards = [(vp - 1 - c, k) for c, k in forwards]
    orders: Orders = []
    for i in range(pp):
        ahead = min(2 * (pp - 1 - i) + (vp - 1) * pp, m * vp)
        order = [_one(F, c * pp + i, k) for c, k in forwards[:ahead]]
        for n, (c, k) in enumerate(backwards):
            if n + ahead < m * vp:
                order.append(_one(F, forwards[n + ahead][0] * pp + i, forwards[n + ahead][1]))
            order.append(_full_backward(c * pp + i, k))
        orders.append(order)
    return orders


def zero_bubble(pp: int, m: int, *, depth: int) -> Orders:
    """ZB-H1 (depth 1), ZB-H2 (depth 2): rank i runs depth (pp - 1 - i) forwards ahead, holds depth i W back."""
    orders: Orders = []
    for i in range(pp):
        ahead, behind = depth * (pp - 1 - i), depth * i
        order = [_one(F, i, k) for k in range(min(ahead, m))]
        for k in range(m):
            if k + ahead < m:
                order.append(_one(F, i, k + ahead))
            order.append(_one(B, i, k))
            if k >= behind:
                order.append(_one(W, i, k - behind))
        order += [_one(W, i, k) for k in range(max(m - behind, 0), m)]
        orders.append(order)
    return orders


def zero_bubble_v(pp: int, m: int) -> Orders:
    """ZB-V: rank i holds virtual stages i and 2 pp - 1 - i; needs m >= 2 pp - 1."""
    assert m >= 2 * pp - 1
    orders: Orders = []
    for i in range(pp):
        stage = (i, 2 * pp - 1 - i)
        count = {(kind, c): 0 for kind in (F, B, W) for c in (0, 1)}
        order: list[Op] = []

        def run(kind: str, c: int) -> None:
            order.append(_one(kind, stage[c], count[kind, c]))  # noqa: B023 - used in this iteration only
            count[kind, c] += 1  # noqa: B023

        for _ in range(2 * (pp - i) - 1):
            run(F, 0)
        for _ in range(i):
            run(F, 1), run(F, 0)
        for _ in range(pp - i):
            run(F, 1), run(B, 1), run(W, 1)
        while count[F, 1] < count[F, 0] or count[F, 0] < m:
            if count[F, 0] < m:
                run(F, 0)
            run(B, 0), run(W, 0), run(F, 1), run(B, 1), run(W, 1)
        for _ in range(i):
            run(B, 0), run(B, 1)
        for _ in range(pp - i):
            run(B, 0), run(W, 0)
        for c in (1, 0):
            while count[W, c] < count[B, c]:
                run(W, c)
        orders.append(order)
    return orders


def dual_pipe(pp: int, m: int) -> Orders:
    """DualPipe: half of the micro-batches enter at each end; ranks s and pp - 1 - s both hold stage s of the model.

    Virtual stage d pp + s is model stage s of direction d; needs even pp and m, m >= 2 pp. An overlapped forward and
    backward is one operation that takes the sum of the two.
    """
    assert (pp % 2, m % 2) == (0, 0)
    assert m >= 2 * pp
    half, orders = pp // 2, []
    for rank in range(pp):
        near, second = min(rank, pp - 1 - rank), rank >= half
        ahead = half - near - 1
        count = {(kind, d): 0 for kind in (F, B) for d in (0, 1)}
        kept: list[Part] = []
        order: list[Op] = []

        def part(kind: str, phase: int) -> Part:
            d = phase ^ second  # noqa: B023
            k = count[kind, d]  # noqa: B023
            count[kind, d] += 1  # noqa: B023
            return Part(kind, d * pp + (rank if d == 0 else pp - 1 - rank), 2 * k + d)  # noqa: B023

        def forward(phase: int) -> None:
            order.append((part(F, phase),))  # noqa: B023

        def backward(phase: int, *, split: bool = False) -> None:
            grad = part(B, phase)
            weight = Part(W, grad.stage, grad.micro_batch)
            order.append((grad,) if split else (grad, weight))  # noqa: B023
            if split:
                kept.append(weight)  # noqa: B023

        def both(ahead_phase: int, back_phase: int) -> None:
            ahead_part, grad = part(F, ahead_phase), part(B, back_phase)
            order.append((ahead_part, grad, Part(W, grad.stage, grad.micro_batch)))  # noqa: B023

        def weight() -> None:
            order.append((kept.pop(0),))  # noqa: B023

        for _ in range(2 * ahead):
            forward(0)
        for _ in range(near + 1):
            forward(0), forward(1)
        for _ in range(ahead):
            backward(1, split=True), weight(), forward(1)
        for n in range(m // 2 - pp + near + 1):
            if n == 0 and near == half - 1:
                forward(0), backward(1)
            else:
                both(0, 1)
            both(1, 0)
        for _ in range(ahead):
            backward(1), both(1, 0)
        split = False
        for n in range(near + 1):
            split = split or (n == (near + 1) // 2 and near % 2 == 1)
            backward(1, split=split)
            split = split or (n == (near + 1) // 2 and near % 2 == 0)
            backward(0, split=split)
        for _ in range(ahead):
            weight(), backward(0, split=True)
        while kept:
            weight()
        orders.append(order)
    return orders
