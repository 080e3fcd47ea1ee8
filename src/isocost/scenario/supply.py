"""What can be had, and when: the GPUs that an offer has and its lead time, keys of [purchase].

A deadline counts from today, a run from the day on which the cluster is handed over: the lead time lies between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from isocost.catalog.reliability import load_reliability
from isocost.errors import InputError, Problem
from isocost.reliability.conditions import Conditions
from isocost.scenario import values
from isocost.scenario.settings import Settings, settings
from isocost.scenario.values import Context, read_deadline, read_gpus
from isocost.units import show
from isocost.workload.params import parameter_count

Note = Callable[[str, str, str, str, str], None]


def supply_problems(given: Mapping[str, object], context: Context) -> list[Problem]:
    """Return what in [purchase] leaves nothing to plan; what cannot be read is reported elsewhere."""
    if "purchase" not in given:
        return []
    try:
        purchase = settings("purchase")(given["purchase"], "", context)
        due = read_deadline(given["deadline"], "", context) if "deadline" in given else None
        counts = read_gpus(given["gpus"], "", context) if "gpus" in given else ()
    except InputError:
        return []
    place, lead, there = context.place("purchase"), purchase.get("lead_time"), purchase.get("available")
    found = []
    if lead is not None and due is not None and lead >= due:
        message = f"is no shorter than the deadline of {show(due, 's')}: nothing is handed over before it"
        fix = "give more time, or name an offer that comes sooner"
        found.append(Problem(f"{place}.lead_time", message, show(lead, "s"), fix=fix))
    if there is not None and counts and there < min(counts):
        message = f"is fewer than every count of gpus, from {min(counts):,} on"
        found.append(Problem(f"{place}.available", message, int(there), fix=f"ask for gpus = {int(there)}"))
    return found


def supplied(
    purchase: Settings | None, counts: tuple[int, ...], deadline_s: float | None, note: Note
) -> tuple[tuple[int, ...], float | None]:
    """Return the GPU counts that can be had, and the time from hand-over to the deadline."""
    if purchase is None:
        return counts, deadline_s
    lead, there = purchase.get("lead_time"), purchase.get("available")
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


def room_problems(given: Mapping[str, object], context: Context) -> list[Problem]:
    """Return the problem, if both model and storage can be read; other problems of theirs are reported elsewhere."""
    if "storage" not in given:
        return []
    try:
        storage = settings("storage")(given["storage"], "", context)
        checkpoint = settings("checkpoint")(given.get("checkpoint", {}), "", context)
        if "model" in given:
            shape = values.read_model(given["model"], "", context).architecture
        else:
            shape = values.read_architecture(given.get("architecture"), "", context)
    except InputError:
        return []
    room = storage.get("capacity")
    each = parameter_count(shape).total * load_reliability().default("checkpoint-param").high  # of any stack
    wanted = each * (checkpoint.get("kept", Conditions().checkpoints_kept) + 1.0)
    if room is None or wanted <= room:
        return []
    message = (
        f"is less than the checkpoints need: {show(each, 'B')} each, {show(wanted, 'B')} with those kept and the one "
        "being written"
    )
    fix = "give more storage, or keep fewer checkpoints ([checkpoint] kept)"
    return [Problem(f"{context.place('storage')}.capacity", message, show(room, "B"), fix=fix)]
