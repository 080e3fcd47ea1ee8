"""What can be had, and when: the GPUs that an offer has and its lead time, keys of [purchase].

A deadline counts from today, a run from the day on which the cluster is handed over: the lead time lies between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from isocost.catalog.reliability import load_reliability
from isocost.errors import Problem
from isocost.forecast.conditions import Conditions
from isocost.scenario.tables import Purchase
from isocost.scenario.values import Context
from isocost.units import show
from isocost.workload.params import parameter_count

Note = Callable[[str, str, str, str, str], None]


def supply_problems(known: Mapping[str, Any], context: Context) -> list[Problem]:
    """Return what in [purchase] leaves nothing to plan; ``known`` holds fields as read, or their defaults."""
    if not {"purchase", "deadline_s", "gpu_counts"} <= known.keys():
        return []
    purchase, due, counts = known["purchase"], known["deadline_s"], known["gpu_counts"]
    place, lead, there = context.place("purchase"), purchase.lead_time_s, purchase.available
    problems = []
    if lead is not None and due is not None and lead >= due:
        message = f"is no shorter than the deadline of {show(due, 's')}: nothing is handed over before it"
        fix = "give more time, or name an offer that comes sooner"
        problems.append(Problem(f"{place}.lead_time", message, show(lead, "s"), fix=fix))
    if there is not None and counts and there < min(counts):
        message = f"is fewer than every count of gpus, from {min(counts):,} on"
        problems.append(Problem(f"{place}.available", message, int(there), fix=f"ask for gpus = {int(there)}"))
    return problems


def supplied(
    purchase: Purchase, counts: tuple[int, ...], deadline_s: float | None, note: Note
) -> tuple[tuple[int, ...], float | None]:
    """Return the GPU counts that can be had, and the time from hand-over to the deadline."""
    lead, there = purchase.lead_time_s, purchase.available
    if there is not None:
        counts = tuple(count for count in counts if count <= there) or (int(there),)
        note("available", f"{int(there):,} GPUs: larger counts are left out", "yours", "", "")
    if lead:
        value = f"{show(lead, 's')} until the cluster is handed over, which is when a run begins"
        if deadline_s is not None:
            deadline_s -= lead
            value += f": {show(deadline_s, 's')} are left to the deadline"
        note("lead time", value, "yours", "", "")
    return counts, deadline_s


def room_problems(known: Mapping[str, Any], context: Context) -> list[Problem]:
    """Return the problem of storage that holds too few checkpoints; ``known`` is as for ``supply_problems``."""
    if not {"storage", "checkpoint", "model", "architecture"} <= known.keys():
        return []
    room, model = known["storage"].capacity_bytes, known["model"]
    shape = known["architecture"] if model is None else model.architecture
    if room is None or shape is None:
        return []
    each = parameter_count(shape).total * load_reliability().default("checkpoint-param").high  # of any stack
    kept = known["checkpoint"].kept
    wanted = each * ((Conditions().checkpoints_kept if kept is None else kept) + 1.0)
    if wanted <= room:
        return []
    message = (
        f"is less than the checkpoints need: {show(each, 'B')} each, {show(wanted, 'B')} with those kept and the one "
        "being written"
    )
    fix = "give more storage, or keep fewer checkpoints ([checkpoint] kept)"
    return [Problem(f"{context.place('storage')}.capacity", message, show(room, "B"), fix=fix)]
