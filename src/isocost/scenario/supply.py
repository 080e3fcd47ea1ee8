"""What can be had, and when: the GPUs that an offer has and its lead time, keys of [purchase].

A deadline counts from today, a run from the day on which the cluster is handed over: the lead time lies between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from isocost.catalog.prices import BlockLimits
from isocost.errors import InputError, Problem
from isocost.money.terms import SPOT
from isocost.reliability.spot import CALM, CALM_RATE, recorded_nodes, spot_facts
from isocost.scenario.assumed import Assumed, looked_up, yours
from isocost.scenario.facts import Facts
from isocost.scenario.record import Scenario
from isocost.units import show

_MONTH_H: Final = 730.5  # hours
_SPOT_WORDS: Final = {"spot-notice": "notice before it", "spot-wait": "until another node is there"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """The GPU counts that can be had, and the time from hand-over to the deadline."""

    gpu_counts: tuple[int, ...]
    deadline_s: float | None
    notes: tuple[Assumed, ...]


def supplied(scenario: Scenario, facts: Facts, counts: tuple[int, ...]) -> Supply:
    """Return what the market or a contract lets a run have of the GPU counts and the deadline that are asked for."""
    purchase, deadline_s = scenario.purchase, scenario.deadline_s
    notes = list(_notes_on_spot()) if scenario.term == SPOT else []
    lead, there = purchase.lead_time_s, purchase.available
    if there is not None:
        counts = tuple(count for count in counts if count <= there) or (int(there),)
        notes.append(yours("available", f"{int(there):,} GPUs: larger counts are left out"))
    if lead:
        value = f"{show(lead, 's')} until the cluster is handed over, which is when a run begins"
        if deadline_s is not None:
            deadline_s -= lead
            value += f": {show(deadline_s, 's')} are left to the deadline"
        notes.append(yours("lead time", value))
    if facts.block is not None:
        counts, deadline_s = _within(facts.block, counts, deadline_s)
        value = f"{facts.block}: taken as a limit on GPUs and as a deadline"
        source, as_of = "ec2_capacity_blocks", facts.block.as_of
        notes.append(Assumed(name="capacity block", value=value, source=source, as_of=as_of, grade="estimate"))
    return Supply(gpu_counts=counts, deadline_s=deadline_s, notes=tuple(notes))


def _within(
    limits: BlockLimits, gpu_counts: tuple[int, ...], deadline_s: float | None
) -> tuple[tuple[int, ...], float]:
    """Return the GPU counts that a capacity block holds and the deadline that its length sets; none is an error."""
    counts = tuple(count for count in gpu_counts if count <= limits.gpus)
    if not counts:
        fix = "choose another term, or fewer GPUs"
        raise InputError([Problem("gpus", f"is more than can be bought: {limits}", min(gpu_counts), fix=fix)])
    return counts, limits.longest_s if deadline_s is None else min(deadline_s, limits.longest_s)


def _notes_on_spot() -> Iterator[Assumed]:
    """State what a run on spot capacity is taken to meet, with source and date."""
    for name, spread in spot_facts(CALM).items():
        ends = (spread.low, spread.median, spread.high)
        if name == CALM_RATE:
            low, middle, high = (f"{-np.expm1(-rate * _MONTH_H):.0%}" for rate in ends)
            value = (
                f"{middle} ({low} to {high}) of nodes a month, as in a calm pool (isocost tco has a contended one); no "
                f"group of more than {recorded_nodes():.0f} nodes is on record"
            )
        else:
            low, middle, high = (show(end, "s") for end in ends)
            value = f"{middle} ({low} to {high}), {_SPOT_WORDS[name]}"
        yield looked_up("pre-emption", value, spread.fact)
