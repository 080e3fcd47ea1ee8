"""How a workload can be run on a supply: the planner sizes training runs, the arithmetic of a token sizes a service."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from isocost.catalog.records import Accelerator, rates_by_precision
from isocost.catalog.store import Catalog
from isocost.laws.serving import serving_gpus
from isocost.perf.constants import Constant
from isocost.perf.lowering_memory import capacity_bytes
from isocost.search.assumptions import with_batch
from isocost.search.candidates import candidates
from isocost.search.chosen import row_forecast
from isocost.search.evaluator import Index
from isocost.search.plan import Searcher
from isocost.search.pool import Evaluations, best_of_sizes
from isocost.search.question import Candidate, Question
from isocost.verbs.fleet.records import Shape, Supply
from isocost.workload.architecture import Architecture
from isocost.workload.params import parameter_count

BRING_UP = "bring-up"
# Bytes of a parameter as it is served.
BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "mxfp8": 1.0, "nvfp4": 0.5, "mxfp4": 0.5, "int8": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """One training run on so many GPUs, as the planner has it."""

    gpus: int
    first_s: float  # wall clock, from nodes handed over to the last step
    next_s: float  # of a run after it on the same nodes, which need no bring-up
    plan: Candidate


def run_sizes(question: Question, catalog: Catalog, constants: Mapping[str, Constant]) -> tuple[Sized, ...]:
    """Return the fastest layout of each GPU count that fits in memory, fewest GPUs first.

    Lengths are kept with the confidence of the question.
    """
    asked, _ = with_batch(replace(question, deadline_s=None, budget_usd=None, power_w=None, tornado=False))
    searcher = Searcher(catalog, constants)
    pool = searcher.pool(asked)
    best = best_of_sizes(pool)
    if not best.size:
        return ()
    assert asked.conditions is not None, "a fleet is about whole runs"
    known = {**asked.conditions.given, BRING_UP: 0.0}
    again = searcher.pool(replace(asked, conditions=replace(asked.conditions, given=known)))
    first, later = _lengths(pool, best, catalog), _lengths(again, best_of_sizes(again), catalog)
    found = [
        Sized(gpus=plan.gpus, first_s=first[plan.gpus], next_s=later[plan.gpus], plan=plan)
        for plan in candidates(pool, best.tolist())
    ]
    fastest: dict[int, Sized] = {}
    for sized in sorted(found, key=lambda one: one.plan.run_s):
        fastest.setdefault(sized.gpus, sized)
    return tuple(fastest[gpus] for gpus in sorted(fastest))


def _lengths(pool: Evaluations, rows: Index, catalog: Catalog) -> dict[int, float]:
    """Return how long the quickest run of each GPU count takes, with the confidence of the question, as plans do."""
    found: dict[int, float] = {}
    for row in rows.tolist():
        forecast = row_forecast(pool, row, rows, catalog)
        assert forecast is not None, "a fleet is about whole runs"
        length = float(np.quantile(forecast.wall_s, pool.question.confidence))
        found[forecast.gpus] = min(length, found.get(forecast.gpus, math.inf))
    return found


def nodes_for(at_once: int, gpus: int, gpus_per_node: int) -> int:
    """Return the nodes of runs side by side: a small run shares a node with others, a large one has whole nodes."""
    if gpus <= gpus_per_node:
        return math.ceil(at_once / (gpus_per_node // gpus))
    return at_once * math.ceil(gpus / gpus_per_node)


def run_shapes(
    sizes: Sequence[Sized], supply: Supply, number: int, count: int, most_at_once: int | None = None
) -> tuple[Shape, ...]:
    """Return the ways to run ``count`` equal runs on a supply: GPUs of each, so many at once, the rest behind them.

    Left out is what needs more nodes than there are, and what another way does with no more nodes in no more time.
    """
    found = []
    for sized in sizes:
        for waves in sorted({math.ceil(count / at_once) for at_once in range(1, count + 1)}):
            at_once = math.ceil(count / waves)
            if at_once > (most_at_once or count):
                continue
            nodes = nodes_for(at_once, sized.gpus, supply.gpus_per_node)
            if nodes > supply.most_nodes:
                continue
            runs_s = at_once * sized.first_s + (count - at_once) * sized.next_s
            length = sized.first_s + (waves - 1) * sized.next_s
            found.append(
                Shape(
                    supply=number,
                    gpus=sized.gpus,
                    at_once=at_once,
                    nodes=nodes,
                    duration_s=length,
                    useful_gpu_s=runs_s * sized.gpus,
                )
            )
    return not_dominated(found)


def not_dominated(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """Return the shapes that no other beats in both nodes and time."""
    kept: list[Shape] = []
    for shape in sorted(shapes, key=lambda s: (s.nodes, s.duration_s, s.gpus)):
        if not kept or shape.duration_s < kept[-1].duration_s:
            kept.append(shape)
    return tuple(kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What has to be served."""

    architecture: Architecture
    tokens_per_s: float  # read and written, at the peak
    efficiency_frac: float  # of the dense peak
    precision: str


def service_gpus(service: Service, accelerator: Accelerator) -> int | None:
    """Return the accelerators of a service, in whole copies of the model; None where the chip lacks the precision."""
    rate = rates_by_precision(accelerator)[service.precision]
    if rate is None:
        return None
    params = parameter_count(service.architecture)
    weights = params.total * BYTES[service.precision]
    copy = math.ceil(weights / capacity_bytes(accelerator.memory_bytes))
    gpus = serving_gpus(
        tokens_per_s=service.tokens_per_s,
        params=float(params.active),
        served_flop_per_s=rate,
        efficiency_frac=service.efficiency_frac,
        model_gpus=float(copy),
    )
    return int(gpus)


def service_shape(gpus: int, supply: Supply, number: int, length_s: float) -> tuple[Shape, ...]:
    """Return the one way to run a service on a supply: all of it, all the time; none where there are too few nodes."""
    nodes = math.ceil(gpus / supply.gpus_per_node)
    if nodes > supply.most_nodes:
        return ()
    useful = gpus * length_s
    return (Shape(supply=number, gpus=gpus, at_once=1, nodes=nodes, duration_s=length_s, useful_gpu_s=useful),)
