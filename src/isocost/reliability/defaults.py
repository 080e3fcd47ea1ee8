"""Goodput inputs of a plan: what the plan knows, and a dated default for everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isocost.catalog.reliability import load_reliability
from isocost.errors import InputError, Problem
from isocost.laws import checkpoint, failures, storage, stragglers
from isocost.money.terms import SPOT
from isocost.num import Num
from isocost.reliability import closed_form as engine
from isocost.reliability.causes import Cluster, causes_of, sigma
from isocost.reliability.conditions import Conditions
from isocost.reliability.facility import Facility, clock_frac, outages_per_s
from isocost.reliability.facts import FAILURES, medians, node_rate, stated
from isocost.reliability.inputs import GoodputInputs
from isocost.reliability.shape import RunShape
from isocost.reliability.spot import preempted, spot_interval_s
from isocost.stats.gamma import Gamma
from isocost.units import DAY_S

SAVES = ("synchronous", "asynchronous", "in-memory")
_MONTH_S = 30.0 * DAY_S
# The bring-ups of the support levels are those of clusters like the two of 8,192 GPUs that the facility facts tell of.
BRING_UP_GPUS = 8192.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The inputs of a plan, and what was assumed for them beyond ``GoodputInputs``."""

    inputs: GoodputInputs
    spares: Num
    node_rate: Gamma  # of a node of 8 GPUs
    write_bytes_per_s: Num
    read_bytes_per_s: Num


def bring_up(at: Mapping[str, Num], gpus: Num) -> Num:
    """Return the bring-up of so many GPUs, from a support level's value for a large cluster."""
    return failures.bring_up_s(at_reference_s=at["bring-up"], gpus=gpus, reference_gpus=BRING_UP_GPUS)


def inputs_of(shape: RunShape, conditions: Conditions, values: Mapping[str, Num]) -> Planned:
    """Return the goodput inputs of a plan at values of its uncertain inputs, medians for those not named."""
    if shape.term != SPOT:
        return _steady(shape, conditions, values)
    c = conditions
    if c.interval_s is None:
        c = replace(c, interval_s=spot_interval_s(_steady(shape, c, {}).inputs, shape.pool))
    steady = _steady(shape, c, values)
    return replace(steady, inputs=preempted(steady.inputs, shape.pool, values))


def _steady(shape: RunShape, c: Conditions, values: Mapping[str, Num]) -> Planned:
    """Return the inputs on capacity that stays."""
    state_bytes = shape.state_bytes
    _refuse(shape, c, state_bytes)
    own = stated(c, values)
    run = replace(
        shape,
        gpus_per_node=np.minimum(shape.gpus_per_node, shape.gpus),
        step_s=shape.step_s * own.get(shape.step_name, 1.0),
    )
    kept = _storage(run, c, state_bytes)
    middle = medians(c)
    expected, _ = _inputs_at(run, c, kept, middle, own)
    inputs, spares = _inputs_at(run, c, kept, {**middle, **own}, own)
    inputs = replace(inputs, **_intervals(inputs, engine.stops(expected), c.interval_s, run.step_s))
    return Planned(
        inputs=inputs,
        spares=spares,
        node_rate=node_rate(c),
        write_bytes_per_s=kept.write_bytes_per_s,
        read_bytes_per_s=kept.read_bytes_per_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Storage:
    """How large a checkpoint is, and how fast it goes to storage and comes back."""

    state_bytes: float
    write_bytes_per_s: Num
    read_bytes_per_s: Num


def _storage(run: RunShape, c: Conditions, state_bytes: float) -> _Storage:
    """Return the storage of a run: where its speed is not stated, the vendor's guidance for so many GPUs."""
    write, read = c.write_bytes_per_s, c.read_bytes_per_s
    return _Storage(
        state_bytes=state_bytes,
        write_bytes_per_s=_rate_of("write", run) if write is None else write,
        read_bytes_per_s=_rate_of("read", run) if read is None else read,
    )


def _inputs_at(
    run: RunShape, c: Conditions, kept: _Storage, at: Mapping[str, Num], own: Mapping[str, Num]
) -> tuple[GoodputInputs, Num]:
    """Return inputs and spares at values of the facts; the intervals between saves follow from them, and come later."""
    facts = load_reliability()
    compute_s = run.steps * run.step_s
    cluster = Cluster(
        nodes=run.nodes,
        gpus_per_node=run.gpus_per_node,
        facility=c.facility,
        node_rate_per_s=at[FAILURES] / DAY_S,
        early_rate_per_s=0.0 if c.age_s is None else _early(at, run.gpus_per_node, c.age_s, compute_s),
        lemon_factor=c.lemon_factor,
    )
    causes, spares = causes_of(facts, cluster, at)
    fields: dict[str, Any] = {
        "compute_s": compute_s,
        "nodes": run.nodes,
        "interval_s": compute_s,
        "state_bytes": kept.state_bytes,
        "storage_bytes": c.storage_bytes,
        "checkpoints_kept": c.checkpoints_kept,
        **_saves(run, c.saves, kept, at),
        **_starts(kept, at),
        **_slower(run, c.facility, kept, at),
        **_beside(c.facility, at),
        # A stated bring-up is of this cluster; the default is of a large one.
        "bring_up_s": own["bring-up"] if "bring-up" in c.given and "bring-up" in own else bring_up(at, run.gpus),
    }
    diagnose, by_hand = sigma(facts.default("diagnose")), sigma(facts.default("manual"))
    return GoodputInputs(
        causes=causes, detect_sigma=diagnose, diagnose_sigma=diagnose, by_hand_sigma=by_hand, **fields
    ), spares


def _intervals(run: GoodputInputs, expected: engine.Stops, asked_s: Num | None, step_s: Num) -> dict[str, Any]:
    """Return the intervals between saves, those asked for or the best.

    How long a save takes shows after the first one; how often the run will stop, nobody knows: the median is expected.
    """
    best_s = np.maximum(engine.interval_for(run, expected), step_s) if asked_s is None else asked_s
    best_s = np.minimum(best_s, run.compute_s)  # a run shorter than that saves once, at its end
    if not np.any(np.asarray(run.memory_interval_s) > 0):
        return {"interval_s": best_s}
    memory_s = np.divide(1.0, np.maximum(expected.memory_per_s, 1e-30))
    memory = checkpoint.exact_interval_s(save_s=run.memory_save_s, mttf_s=memory_s)
    return {"interval_s": best_s, "memory_interval_s": np.clip(memory, step_s, run.compute_s)}


def _refuse(shape: RunShape, c: Conditions, state_bytes: float) -> None:
    """Raise every problem of a plan's inputs at once."""
    problems = c.facility.problems()
    for name in ("gpus", "gpus_per_node", "step_s", "steps", "tokens"):
        problems += _not_positive(name, getattr(shape, name))
    if c.saves not in SAVES:
        problems.append(Problem("saves", "is unknown", c.saves, ", ".join(SAVES)))
    if problems:
        raise InputError([*problems, *_too_large(c, state_bytes)])


def _not_positive(name: str, value: Num) -> list[Problem]:
    try:
        column = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return [Problem(name, "is not a number", value, "more than 0, in SI units")]
    if not np.all(np.isfinite(column)) or not np.all(column > 0):
        return [Problem(name, "is not positive", float(np.min(column)), "more than 0")]
    return []


def _too_large(c: Conditions, state_bytes: float) -> list[Problem]:
    """Return the complaint of ``GoodputInputs`` about storage, for the report that lists everything."""
    try:
        GoodputInputs(
            compute_s=1.0,
            nodes=1.0,
            interval_s=1.0,
            state_bytes=state_bytes,
            storage_bytes=c.storage_bytes,
            checkpoints_kept=c.checkpoints_kept,
        )
    except InputError as error:
        return list(error.problems)
    return []


def _rate_of(way: str, run: RunShape) -> Num:
    facts = load_reliability()
    return storage.storage_bytes_per_s(
        nodes=run.nodes,
        node_bytes_per_s=facts.default(f"node-{way}").median,
        file_system_bytes_per_s=facts.default(f"file-system-{way}").median * run.gpus,
    )


def _early(at: Mapping[str, Num], gpus_per_node: Num, age_s: Num, run_s: Num) -> Num:
    return failures.early_life_failures_per_s(
        early_failure_frac=at["early-failure"],
        gpus_per_node=gpus_per_node,
        age_s=age_s,
        run_s=run_s,
        decay_s=at["early-decay"],
    )


def _saves(run: RunShape, saves: str, kept: _Storage, at: Mapping[str, Num]) -> dict[str, Num]:
    write_s = storage.transfer_s(payload_bytes=kept.state_bytes, bytes_per_s=kept.write_bytes_per_s)
    if saves == "synchronous":
        return {"save_s": write_s}
    stall_s = checkpoint.copy_s(
        state_bytes=kept.state_bytes, gpus=run.gpus, copy_bytes_per_s=at["copy-rate"], start_s=at["copy-start"]
    )
    fields: dict[str, Num] = {"save_s": stall_s, "persist_s": write_s}
    if saves == "in-memory":
        fields |= {"memory_interval_s": run.step_s, "memory_save_s": at["memory-save"]}
    return fields


def _starts(kept: _Storage, at: Mapping[str, Num]) -> dict[str, Num]:
    return {
        "restart_s": at["restart"],
        "start_up_s": at["restart"],
        "reload_s": storage.transfer_s(payload_bytes=kept.state_bytes, bytes_per_s=kept.read_bytes_per_s),
        "warm_up_s": at["warm-up"],
    }


def _slower(run: RunShape, place: Facility, kept: _Storage, at: Mapping[str, Num]) -> dict[str, Num]:
    needed = storage.training_read_bytes_per_s(
        tokens_per_s=np.divide(run.tokens_per_step, run.step_s),
        token_bytes=load_reliability().default("token-bytes").median,
    )
    heat = at["throttle-air" if place.cooling == "air" else "throttle-liquid"]
    capped = stragglers.throttle_excess(compute_frac=1.0, slow_clock_frac=clock_frac(place.power_frac))
    read = kept.read_bytes_per_s
    return {
        "data_stall_excess": storage.data_stall_excess(needed_bytes_per_s=needed, available_bytes_per_s=read),
        "throttle_excess": np.divide(heat, 1.0 - heat) + capped,
        "straggler_excess": at["straggler"],
        "evaluation_excess": at["evaluation"],
    }


def _beside(place: Facility, at: Mapping[str, Num]) -> dict[str, Num]:
    asked = place.maintenance_s_per_month
    return {
        "maintenance_per_s": 1.0 / _MONTH_S,
        "maintenance_s": at["maintenance"] if asked is None else asked,
        "rollbacks_per_s": at["rollback"] / DAY_S,
        "rollback_s": at["rollback-time"],
        "outages_per_s": outages_per_s(place.available_frac(), at["outage"]),
        "outage_s": at["outage"] + at["outage-recovery"],
    }
