"""Whether the checkpoints of a model have room in the storage that a scenario gives them."""

from __future__ import annotations

from collections.abc import Mapping

from isocost.errors import InputError, Problem
from isocost.forecast.conditions import Conditions
from isocost.goodput.facts import load_reliability
from isocost.scenario import values
from isocost.scenario.settings import settings
from isocost.scenario.values import Context
from isocost.units import show
from isocost.workload.params import parameter_count


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
