"""From published facts to the causes of one run: rates, who sees a stop, who fixes it, what it waits for."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from isocost.catalog.reliability import CauseFact, Reliability, Spread, Support
from isocost.laws import failures
from isocost.num import Num
from isocost.reliability.facility import Facility
from isocost.reliability.inputs import Cause
from isocost.reliability.spares import spares_needed, wait_for_repair_s
from isocost.stats.gamma import Gamma, fit_gamma
from isocost.units import DAY_S

_Z90 = 1.2815515655446004
_USUAL_GPUS_PER_NODE = 8.0  # of the nodes behind the published rates
_NODES_OF_REQUEUE = 128.0  # of the measured scheduling time


def rate_prior(facts: Reliability, *, exclude: Collection[str] = (), regime: str = "job-stopping") -> Gamma:
    """Return the prior of the total rate from the published ones of a regime; ``exclude`` names rates to leave out."""
    rates = [rate.per_node_day for rate in facts.rates if rate.regime == regime and rate.id not in exclude]
    return fit_gamma(rates)


def sigma(spread: Spread) -> float:
    """Return the sigma of the log-normal through the tenth and ninetieth percentile."""
    return math.log(spread.high / spread.low) / (2.0 * _Z90)


def mean_of(spread: Spread) -> float:
    """Return the mean of the log-normal with that median and sigma."""
    return spread.median * math.exp(sigma(spread) ** 2 / 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What the causes of a run depend on besides the facts."""

    nodes: Num
    gpus_per_node: Num
    facility: Facility
    node_rate_per_s: Num  # all causes together, of a node of 8 GPUs
    early_rate_per_s: Num = 0.0  # infant mortality on top, of one node
    lemon_factor: Num = 1.0


def causes_of(facts: Reliability, cluster: Cluster, at: Mapping[str, Num]) -> tuple[tuple[Cause, ...], Num]:
    """Return the causes of a run at values of the facts by name, and the spare nodes that are assumed."""
    level = facts.support_level(cluster.facility.support)
    events = sum(fact.events for fact in facts.causes)
    rates = [cluster.node_rate_per_s * _rate_share(fact, events, cluster) for fact in facts.causes]
    gpu = next(place for place, fact in enumerate(facts.causes) if fact.id == "gpu")
    rates[gpu] = rates[gpu] + cluster.early_rate_per_s
    out_per_s = sum(
        (rate * fact.takes_node * fact.nodes_taken for rate, fact in zip(rates, facts.causes, strict=True)),
        start=np.float64(0.0),
    )
    repair_s = at["repair"]
    mean_out = failures.nodes_in_repair(nodes=cluster.nodes, node_failures_per_s=out_per_s, repair_s=repair_s)
    spares = spares_needed(mean_out) if cluster.facility.spares is None else cluster.facility.spares
    wait_s = wait_for_repair_s(mean_out, spares, repair_s)
    queue_s = _queue_s(facts, cluster, at)
    by_hand, response_s = at["by-hand"], at["response"]
    causes = [
        Cause(
            name=fact.id,
            node_failures_per_s=rate,
            detect_s=level.inspected * fact.detect_inspected_s + (1.0 - level.inspected) * fact.detect_timeout_s,
            diagnose_s=_diagnose_s(facts, fact, level),
            by_hand_frac=np.minimum(by_hand, 1.0),
            by_hand_s=response_s + _by_hand_s(facts, fact),
            queue_s=queue_s + fact.takes_node * wait_s,
            in_memory_frac=fact.in_memory,
            node_frac=fact.takes_node,
            nodes_taken=fact.nodes_taken,
        )
        for fact, rate in zip(facts.causes, rates, strict=True)
    ]
    people = at["operator"] / DAY_S
    causes.append(Cause(name="operator", job_failures_per_s=people, queue_s=queue_s, saved_frac=1.0))
    return tuple(causes), spares


def _rate_share(fact: CauseFact, events: float, cluster: Cluster) -> Num:
    """Share of a cause in the rate of a node of 8, scaled to the accelerators of the node where they are the cause."""
    per_gpu = np.divide(cluster.gpus_per_node, _USUAL_GPUS_PER_NODE)
    return fact.events / events * (1.0 - fact.gpu_share + fact.gpu_share * per_gpu) * cluster.lemon_factor


def _queue_s(facts: Reliability, cluster: Cluster, at: Mapping[str, Num]) -> Num:
    """Time until the scheduler has the nodes together again; it grows with the logarithm of their number."""
    if cluster.facility.standby == "warm":
        return at["warm-standby"]
    doublings = np.log2(np.divide(cluster.nodes, _NODES_OF_REQUEUE))
    least = facts.default("warm-standby").median  # small jobs are not scheduled faster than one node is swapped
    more = facts.default("requeue-per-doubling").median * doublings
    return np.maximum(facts.default("requeue").median + more, least)


def _diagnose_s(facts: Reliability, fact: CauseFact, level: Support) -> float:
    return level.inspected * fact.diagnose_inspected_s + (1.0 - level.inspected) * mean_of(facts.default("diagnose"))


def _by_hand_s(facts: Reliability, fact: CauseFact) -> float:
    manual = facts.default("manual")
    return mean_of(manual) * (1.0 if fact.manual_s is None else fact.manual_s / manual.median)
