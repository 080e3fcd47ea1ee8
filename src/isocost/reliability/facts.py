"""Which facts a run reads, by name: with their spread to draw from, and at values of them.

A name keeps its draws when other facts come or go, so that two plans drawn with one seed see the same futures.
"""

from __future__ import annotations

from collections.abc import Mapping

from isocost.catalog.reliability import Reliability, Spread, load_reliability
from isocost.money.terms import SPOT
from isocost.num import Num
from isocost.reliability.causes import rate_prior
from isocost.reliability.conditions import Conditions
from isocost.reliability.shape import RunShape
from isocost.reliability.spot import SPOT_FACTS, spot_facts
from isocost.stats.distributions import Distribution, SplitLognormal
from isocost.stats.gamma import Gamma

FAILURES = "failures per node-day"
# Facts that are taken at their median always, and those whose spread is that of single stops.
_NOT_DRAWN = (
    "checkpoint-param",
    "power-exponent",
    "token-bytes",
    "node-write",
    "node-read",
    "file-system-write",
    "file-system-read",
    "diagnose",
    "manual",
)
_BY_SAVES = {"memory-save": "in-memory"}
_LEVEL = {"by-hand": "by_hand", "response": "response", "bring-up": "bring_up"}  # of the support level


def named_facts(conditions: Conditions) -> dict[str, Spread]:
    """Return the facts of reliability that a run under these conditions reads, by name."""
    place = conditions.facility
    unread = {*_NOT_DRAWN, *SPOT_FACTS}
    unread |= {name for name, saves in _BY_SAVES.items() if saves != conditions.saves}
    unread |= {"warm-standby"} if place.standby == "cold" else set()
    unread |= {"throttle-liquid" if place.cooling == "air" else "throttle-air"}
    unread |= set() if place.maintenance_s_per_month is None else {"maintenance"}
    unread |= set() if conditions.age_s is not None else {"early-failure", "early-decay"}
    unread |= {"copy-rate", "copy-start"} if conditions.saves == "synchronous" else set()
    return {name: spread for name, spread in _facts(load_reliability(), conditions).items() if name not in unread}


def _facts(facts: Reliability, conditions: Conditions) -> dict[str, Spread]:
    level = facts.support_level(conditions.facility.support)
    return {**facts.defaults, **{name: getattr(level, attribute) for name, attribute in _LEVEL.items()}}


def node_rate(conditions: Conditions) -> Gamma:
    """Return the rate of failures of a node of 8 GPUs, per day."""
    return conditions.node_rate or rate_prior(load_reliability())


def uncertain(shape: RunShape, conditions: Conditions) -> dict[str, Distribution | float]:
    """Return every uncertain input of the wall clock of a run by name, those that the user stated as stated."""
    found: dict[str, Distribution | float] = {}
    low, high = shape.band
    if low < high:
        found[shape.step_name] = SplitLognormal(low=min(low, 1.0), median=1.0, high=max(high, 1.0))
    named = named_facts(conditions) | (spot_facts(shape.pool) if shape.term == SPOT else {})
    found |= {name: spread for name, spread in named.items() if spread.low < spread.high}
    found[FAILURES] = node_rate(conditions)
    return found | {name: value for name, value in conditions.given.items() if name in found}


def medians(conditions: Conditions) -> dict[str, Num]:
    """Return every fact at its median."""
    found = {name: spread.median for name, spread in _facts(load_reliability(), conditions).items()}
    return {**found, FAILURES: node_rate(conditions).quantile(0.5)}


def stated(conditions: Conditions, values: Mapping[str, Num]) -> dict[str, Num]:
    """Return the values of facts that are not at their median: single figures of the user, and those asked for."""
    figures = {name: value for name, value in conditions.given.items() if isinstance(value, (int, float))}
    return {**figures, **values}
