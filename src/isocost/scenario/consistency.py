"""What in a scenario leaves nothing to plan, though each of its values can be read.

``known`` holds the fields as read, or their defaults; what could not be read is reported elsewhere and not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isocost.catalog.reliability import load_reliability
from isocost.errors import Problem
from isocost.reliability.conditions import Conditions
from isocost.scenario.values import Context
from isocost.units import show
from isocost.workload.params import parameter_count


def supply_problems(known: Mapping[str, Any], context: Context) -> list[Problem]:
    """Return what in [purchase] leaves nothing to plan."""
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


def room_problems(known: Mapping[str, Any], context: Context) -> list[Problem]:
    """Return the problem of storage that holds too few checkpoints."""
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
