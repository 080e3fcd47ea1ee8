"""Goodput inputs of a plan: what the plan knows, and a dated default for everything else."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isocost.catalog.reliability import Reliability, load_reliability
from isocost.errors import InputError, Problem
from isocost.laws import checkpoint, failures, storage, stragglers
from isocost.num import Num
from isocost.reliability import closed_form as engine
from isocost.reliability.causes import Cluster, Draws, causes_of, rate_prior, sigma
from isocost.reliability.facility import Facility, clock_frac, outages_per_s
from isocost.reliability.inputs import GoodputInputs
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


def bring_up(at_reference_s: Num, gpus: Num) -> Num:
    """Bring-up of so many GPUs at a support level's value for a large cluster."""
    return failures.bring_up_s(at_reference_s=at_reference_s, gpus=gpus, reference_gpus=BRING_UP_GPUS)


def from_plan(
    *,
    gpus: Num,
    gpus_per_node: Num,
    step_s: Num,
    tokens: Num,
    tokens_per_step: Num,
    state_bytes: Num,
    facility: Facility | None = None,
    saves: str = "asynchronous",
    interval_s: Num | None = None,
    write_bytes_per_s: Num | None = None,
    read_bytes_per_s: Num | None = None,
    storage_bytes: Num = np.inf,
    checkpoints_kept: Num = 2.0,
    bring_up_s: Num | None = None,
    age_s: Num | None = None,
    lemon_factor: Num = 1.0,
    node_rate: Gamma | None = None,
    exclude: Collection[str] = (),
    draws: int | None = None,
    seed: int = 0,
    take: Draws | None = None,
    overrides: Mapping[str, Num] | None = None,
) -> Planned:
    """Return the goodput inputs of a plan.

    gpus, gpus_per_node, step_s, tokens, tokens_per_step: the plan. state_bytes: of a checkpoint, 13 to 14 a parameter.
    facility: tier, cooling, support, spares. saves: how checkpoints are written; ``interval_s`` None is the best.
    write_bytes_per_s, read_bytes_per_s, storage_bytes: of the storage for this job; None is the vendor's guidance for
    so many GPUs. bring_up_s: None is the one of the support level. age_s: of a new cluster at the first step; None is
    past infant mortality. node_rate: a posterior from own events, over the published prior; exclude: published rates
    left out of the prior. draws: one draw a run of every uncertain default; None takes medians. take: the
    caller's own values of the uncertain defaults. overrides: fields of ``GoodputInputs`` set last.
    """
    facts, place = load_reliability(), facility or Facility()
    sizes = {
        "gpus": gpus, "gpus_per_node": gpus_per_node, "step_s": step_s, "tokens": tokens,
        "tokens_per_step": tokens_per_step,
    }  # fmt: skip
    kept = {"state_bytes": state_bytes, "storage_bytes": storage_bytes, "checkpoints_kept": checkpoints_kept}
    _refuse(place, saves, sizes, kept)
    nodes = np.ceil(np.divide(gpus, gpus_per_node))
    compute_s = np.ceil(np.divide(tokens, tokens_per_step)) * step_s
    rate = node_rate or rate_prior(facts, exclude=exclude)
    write = _rate_of(facts, "write", nodes, gpus) if write_bytes_per_s is None else write_bytes_per_s
    read = _rate_of(facts, "read", nodes, gpus) if read_bytes_per_s is None else read_bytes_per_s
    level = facts.support_level(place.support)

    def build(take: Draws) -> tuple[GoodputInputs, Num]:
        """Return inputs and spares; the intervals between saves follow from them and are set afterwards."""
        cluster = Cluster(
            nodes=nodes, gpus_per_node=gpus_per_node, facility=place, node_rate_per_s=take.rate_per_s(rate),
            early_rate_per_s=0.0 if age_s is None else _early(facts, take, gpus_per_node, age_s, compute_s),
            lemon_factor=lemon_factor,
        )  # fmt: skip
        causes, spares = causes_of(facts, cluster, take)
        fields: dict[str, Num] = {
            "compute_s": compute_s, "nodes": nodes, "interval_s": compute_s, **kept,
            **_saves(facts, take, saves, gpus, state_bytes, write, step_s),
            **_starts(facts, take, state_bytes, read),
            **_slower(facts, take, place, tokens_per_step, step_s, read),
            **_beside(facts, take, place),
            "bring_up_s": bring_up(take.take(level.bring_up), gpus) if bring_up_s is None else bring_up_s,
        }  # fmt: skip
        spread = {
            "detect_sigma": sigma(facts.default("diagnose")), "diagnose_sigma": sigma(facts.default("diagnose")),
            "by_hand_sigma": sigma(facts.default("manual")),
        }  # fmt: skip
        return GoodputInputs(causes=causes, **{**fields, **spread, **(overrides or {})}), spares  # type: ignore[arg-type]

    middle, spares = build(Draws())
    inputs = middle
    if take or draws:
        inputs, spares = build(take or Draws(number=draws, rng=np.random.default_rng(seed)))
    chosen = {**_intervals(inputs, engine.stops(middle), interval_s, step_s), **(overrides or {})}
    inputs = dataclasses.replace(inputs, **chosen)  # type: ignore[arg-type]
    return Planned(inputs=inputs, spares=spares, node_rate=rate, write_bytes_per_s=write, read_bytes_per_s=read)


def _intervals(run: GoodputInputs, expected: engine.Stops, asked_s: Num | None, step_s: Num) -> dict[str, Num]:
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


def _refuse(place: Facility, saves: str, sizes: Mapping[str, Num], kept: Mapping[str, Num]) -> None:
    """Raise every problem of a plan's inputs at once."""
    problems = place.problems()
    problems += [problem for name, value in sizes.items() for problem in _not_positive(name, value)]
    if saves not in SAVES:
        problems.append(Problem("saves", "is unknown", saves, ", ".join(SAVES)))
    if problems:
        raise InputError([*problems, *_too_large(kept)])


def _not_positive(name: str, value: Num) -> list[Problem]:
    try:
        column = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return [Problem(name, "is not a number", value, "more than 0, in SI units")]
    if not np.all(np.isfinite(column)) or not np.all(column > 0):
        return [Problem(name, "is not positive", float(np.min(column)), "more than 0")]
    return []


def _too_large(kept: Mapping[str, Any]) -> list[Problem]:
    """Return the complaint of ``GoodputInputs`` about storage, for the report that lists everything."""
    try:
        GoodputInputs(compute_s=1.0, nodes=1.0, interval_s=1.0, **kept)
    except InputError as error:
        return list(error.problems)
    return []


def _rate_of(facts: Reliability, way: str, nodes: Num, gpus: Num) -> Num:
    return storage.storage_bytes_per_s(
        nodes=nodes,
        node_bytes_per_s=facts.default(f"node-{way}").median,
        file_system_bytes_per_s=facts.default(f"file-system-{way}").median * gpus,
    )


def _early(facts: Reliability, take: Draws, gpus_per_node: Num, age_s: Num, run_s: Num) -> Num:
    return failures.early_life_failures_per_s(
        early_failure_frac=take.take(facts.default("early-failure")), gpus_per_node=gpus_per_node, age_s=age_s,
        run_s=run_s, decay_s=take.take(facts.default("early-decay")),
    )  # fmt: skip


def _saves(
    facts: Reliability, take: Draws, saves: str, gpus: Num, state_bytes: Num, write: Num, step_s: Num
) -> dict[str, Num]:
    write_s = storage.transfer_s(payload_bytes=state_bytes, bytes_per_s=write)
    if saves == "synchronous":
        return {"save_s": write_s}
    stall_s = checkpoint.copy_s(
        state_bytes=state_bytes, gpus=gpus, copy_bytes_per_s=take.take(facts.default("copy-rate")),
        start_s=take.take(facts.default("copy-start")),
    )  # fmt: skip
    fields: dict[str, Num] = {"save_s": stall_s, "persist_s": write_s}
    if saves == "in-memory":
        fields |= {"memory_interval_s": step_s, "memory_save_s": take.take(facts.default("memory-save"))}
    return fields


def _starts(facts: Reliability, take: Draws, state_bytes: Num, read: Num) -> dict[str, Num]:
    restart_s = take.take(facts.default("restart"))
    return {
        "restart_s": restart_s,
        "start_up_s": restart_s,
        "reload_s": storage.transfer_s(payload_bytes=state_bytes, bytes_per_s=read),
        "warm_up_s": take.take(facts.default("warm-up")),
    }


def _slower(
    facts: Reliability, take: Draws, place: Facility, tokens_per_step: Num, step_s: Num, read: Num
) -> dict[str, Num]:
    needed = storage.training_read_bytes_per_s(
        tokens_per_s=np.divide(tokens_per_step, step_s), token_bytes=facts.default("token-bytes").median
    )
    heat = take.take(facts.default("throttle-air" if place.cooling == "air" else "throttle-liquid"))
    capped = stragglers.throttle_excess(compute_frac=1.0, slow_clock_frac=clock_frac(place.power_frac))
    return {
        "data_stall_excess": storage.data_stall_excess(needed_bytes_per_s=needed, available_bytes_per_s=read),
        "throttle_excess": np.divide(heat, 1.0 - heat) + capped,
        "straggler_excess": take.take(facts.default("straggler")),
        "evaluation_excess": take.take(facts.default("evaluation")),
    }


def _beside(facts: Reliability, take: Draws, place: Facility) -> dict[str, Num]:
    asked = place.maintenance_s_per_month
    outage_s = take.take(facts.default("outage"))
    return {
        "maintenance_per_s": 1.0 / _MONTH_S,
        "maintenance_s": take.take(facts.default("maintenance")) if asked is None else asked,
        "rollbacks_per_s": take.take(facts.default("rollback")) / DAY_S,
        "rollback_s": take.take(facts.default("rollback-time")),
        "outages_per_s": outages_per_s(place.available_frac(), outage_s),
        "outage_s": outage_s + take.take(facts.default("outage-recovery")),
    }
