"""What a goodput forecast is made from: a run, what stops it, how it saves, and what slows it.

Every quantity is a number or an array; arrays broadcast, so one call evaluates many layouts, or many draws of uncertain
inputs on the leading axis. Times are seconds, rates per second. "Excess" is extra time per second of healthy work.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from isocost.errors import InputError, Problem
from isocost.num import Num
from isocost.units import show


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One reason for which a job stops, and what a stop costs until the job can start again (means, seconds)."""

    name: str
    node_failures_per_s: Num = 0.0  # of one node
    job_failures_per_s: Num = 0.0  # of the job, whatever its size
    detect_s: Num = 0.0
    diagnose_s: Num = 0.0  # found automatically
    by_hand_frac: Num = 0.0  # stops that need a person
    by_hand_s: Num = 0.0  # diagnosis then, the wait for the person included
    queue_s: Num = 0.0  # until nodes are there again
    in_memory_frac: Num = 0.0  # stops after which a save in the memory of peers can be used, where there is one
    saved_frac: Num = 0.0  # stops announced early enough to save first: no work is lost
    node_frac: Num = 0.0  # stops that take a node out for repair
    nodes_taken: Num = 1.0  # nodes that one such stop takes


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodputInputs:
    """A run and everything that makes it longer than its steps."""

    compute_s: Num  # all steps at healthy speed: the useful time
    nodes: Num
    causes: tuple[Cause, ...] = ()
    # --- saves
    interval_s: Num  # seconds of steps between saves to storage
    save_s: Num = 0.0  # blocking part of a save
    persist_s: Num = 0.0  # after the blocking part, until the save can be relied on
    memory_interval_s: Num = 0.0  # between saves in the memory of peers; 0: there are none
    memory_save_s: Num = 0.0
    state_bytes: Num = 0.0  # of a checkpoint
    checkpoints_kept: Num = 1.0
    storage_bytes: Num = np.inf  # room for checkpoints
    # --- every start
    restart_s: Num = 0.0
    reload_s: Num = 0.0
    warm_up_s: Num = 0.0
    # --- once
    bring_up_s: Num = 0.0  # queue, burn-in and first tuning
    start_up_s: Num = 0.0
    # --- slower steps
    data_stall_excess: Num = 0.0
    throttle_excess: Num = 0.0
    straggler_excess: Num = 0.0
    evaluation_excess: Num = 0.0
    # --- beside failures, per second in service
    maintenance_per_s: Num = 0.0
    maintenance_s: Num = 0.0  # of one window
    rollbacks_per_s: Num = 0.0
    rollback_s: Num = 0.0  # work repeated, and the restart
    outages_per_s: Num = 0.0
    outage_s: Num = 0.0  # downtime of the facility, and bringing the cluster back
    # --- spread of one stop around its mean: sigma of a log-normal, for the simulation
    detect_sigma: float = 0.0
    diagnose_sigma: float = 0.0
    by_hand_sigma: float = 0.0
    queue_sigma: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be, all of it at once."""
        problems = [*_slips(self, "goodput"), *_whole(self)]
        for place, cause in enumerate(self.causes):
            problems += _slips(cause, f"goodput.causes[{place}] ({cause.name})")
        if problems:
            raise InputError(problems)


_POSITIVE = {"compute_s", "nodes", "interval_s"}
_UNBOUNDED = {"storage_bytes"}
_FIX = {
    "failures_per_s": "give a rate of 0 or more, per second",
    "per_s": "give a rate of 0 or more, per second",
    "_frac": "write a fraction: 0.25 for 25 %",
    "_excess": "write extra time over healthy time: 0.1 for 10 % longer",
}


def _slips(record: GoodputInputs | Cause, path: str) -> Iterator[Problem]:
    for field in dataclasses.fields(record):
        if field.name in ("causes", "name"):
            continue
        value = getattr(record, field.name)
        where = f"{path}.{field.name}"
        fix = next((text for suffix, text in _FIX.items() if field.name.endswith(suffix)), "")
        try:
            bad, top = _ends(value)
        except (TypeError, ValueError):
            yield Problem(where, "is not a number", value, fix=fix or "give SI units without text")
            continue
        if np.isnan(bad) or (np.isinf(top) and field.name not in _UNBOUNDED):
            yield Problem(where, "is not a finite number", fix=fix)
        elif bad < 0:
            yield Problem(where, "is negative", bad, fix=fix)
        elif bad == 0 and field.name in _POSITIVE:
            yield Problem(where, "is zero", allowed="more than 0")
        elif top > 1 and field.name.endswith("_frac"):
            yield Problem(where, "is more than 1", top, allowed="0 to 1", fix=fix)


def _ends(value: Any) -> tuple[float, float]:
    """Return the least and the largest value of a number or array; not a number where any is none."""
    if type(value) is float:
        return value, value
    column = np.asarray(value, dtype=np.float64)
    return float(column.min(initial=np.inf)), float(column.max(initial=-np.inf))


def _whole(run: GoodputInputs) -> Iterator[Problem]:
    """Yield what only shows when fields are read together."""
    try:
        wanted = np.asarray(run.state_bytes, dtype=float) * (np.asarray(run.checkpoints_kept, dtype=float) + 1.0)
        room = np.asarray(run.storage_bytes, dtype=float)
        starts = np.asarray(run.restart_s, dtype=float)
    except (TypeError, ValueError):
        return  # already reported, field by field
    if np.any(wanted > room):
        each = show(float(np.max(np.asarray(run.state_bytes, dtype=float))), "B")
        yield Problem(
            "goodput.storage_bytes",
            f"is less than the checkpoints need: {each} each, {show(float(np.max(wanted)), 'B')} with those kept and "
            "the one being written",
            float(np.min(room)),
            fix="give more storage, or keep fewer checkpoints",
        )
    for cause in run.causes:
        try:
            several = np.asarray(cause.in_memory_frac, dtype=float) + np.asarray(cause.saved_frac, dtype=float)
        except (TypeError, ValueError):
            continue
        if np.all(starts >= 0) and np.any(several > 1):
            where = f"goodput.causes ({cause.name})"
            yield Problem(where, "has in_memory_frac and saved_frac of more than 1 together", float(np.max(several)))
