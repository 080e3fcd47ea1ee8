"""The forecast in closed form: laws applied to ``GoodputInputs``, elementwise over layouts and draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isocost.laws import checkpoint, failures
from isocost.num import Num, safe_div
from isocost.reliability.buckets import GoodputBreakdown
from isocost.reliability.inputs import Cause, GoodputInputs

_NEVER_PER_S = 1e-30  # stands in for a rate of zero where a formula needs a mean time to failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Stops:
    """Rates at which the job stops, per second of running, and the mean time that each kind of handling takes."""

    per_s: Num  # all
    lost_per_s: Num  # that go back to storage
    memory_per_s: Num  # that go back to the memory of peers
    saved_per_s: Num  # announced early enough to save first
    detect_s: Num  # means over all stops
    diagnose_s: Num
    queue_s: Num

    @property
    def handled_s(self) -> Num:
        """Mean time from a stop until the job can start."""
        return self.detect_s + self.diagnose_s + self.queue_s


def cause_rate(run: GoodputInputs, cause: Cause) -> Num:
    """Return the rate at which a cause stops the job."""
    return failures.stops_per_s(
        nodes=run.nodes, node_failures_per_s=cause.node_failures_per_s, job_level_per_s=cause.job_failures_per_s
    )


def memory_frac(run: GoodputInputs, cause: Cause) -> Num:
    """Return the part of a cause's stops that the memory tier serves: none where there is no such tier."""
    return np.where(np.asarray(run.memory_interval_s) > 0, cause.in_memory_frac, 0.0)[()]


def diagnosis_s(cause: Cause) -> Num:
    """Return the mean time of diagnosis, by hand or not."""
    return (1.0 - cause.by_hand_frac) * cause.diagnose_s + cause.by_hand_frac * cause.by_hand_s


def stops(run: GoodputInputs) -> Stops:
    """Return the rates and mean handling times of all causes together."""
    rates = [cause_rate(run, cause) for cause in run.causes]

    def total(part: Callable[[Cause], Num]) -> Num:
        return sum((rate * part(cause) for rate, cause in zip(rates, run.causes, strict=True)), start=np.float64(0.0))

    every = total(lambda cause: 1.0)
    saved, memory = total(lambda cause: cause.saved_frac), total(lambda cause: memory_frac(run, cause))
    return Stops(
        per_s=every,
        lost_per_s=np.maximum(every - saved - memory, 0.0),
        memory_per_s=memory,
        saved_per_s=saved,
        detect_s=safe_div(total(lambda cause: cause.detect_s), every),
        diagnose_s=safe_div(total(diagnosis_s), every),
        queue_s=safe_div(total(lambda cause: cause.queue_s), every),
    )


def running_s(run: GoodputInputs) -> Num:
    """Return the time of all steps as they run: healthy time and everything that makes steps slower or pauses them."""
    slower = (1.0 + run.throttle_excess) * (1.0 + run.straggler_excess) * (1.0 + run.data_stall_excess)
    return run.compute_s * slower * (1.0 + run.evaluation_excess)


def best_interval_s(run: GoodputInputs) -> Num:
    """Return the interval with least loss: the exact optimum, not below the time a save needs to reach storage."""
    return interval_for(run, stops(run))


def interval_for(run: GoodputInputs, expected: Stops) -> Num:
    """Return the interval with least loss under the stops that are expected."""
    lost = np.maximum(expected.lost_per_s, _NEVER_PER_S)
    exact = checkpoint.exact_interval_s(save_s=run.save_s, mttf_s=np.divide(1.0, lost))
    return np.minimum(np.maximum(exact, run.persist_s), running_s(run))


def goodput(run: GoodputInputs) -> GoodputBreakdown:
    """Return the expected wall clock of a run, bucket by bucket."""
    stop = stops(run)
    save_s = checkpoint.asynchronous_stall_s(copy_s=run.save_s, persist_s=run.persist_s, interval_s=run.interval_s)
    has_memory = np.asarray(run.memory_interval_s) > 0
    memory_interval_s = np.where(has_memory, run.memory_interval_s, run.interval_s)[()]
    memory_save_s = np.where(has_memory, run.memory_save_s, 0.0)[()]
    kept = failures.running_kept_frac(
        lost_stops_per_s=stop.lost_per_s,
        interval_s=run.interval_s,
        save_s=save_s,
        persist_s=run.persist_s,
        memory_stops_per_s=stop.memory_per_s,
        memory_interval_s=memory_interval_s,
        memory_save_s=memory_save_s,
    )
    exposed_s = run.restart_s + run.reload_s + run.warm_up_s
    stretch = failures.wall_per_running(failures_per_s=stop.per_s, handled_s=stop.handled_s, exposed_s=exposed_s)
    steps_s = running_s(run)
    clock_s = np.divide(steps_s, kept)  # the running clock: kept steps, saves and lost work
    service_s = clock_s * stretch
    beside = (
        run.maintenance_per_s * run.maintenance_s
        + run.rollbacks_per_s * run.rollback_s
        + run.outages_per_s * run.outage_s
    )
    wall_s = run.bring_up_s + run.start_up_s + service_s * (1.0 + beside)

    started = np.exp(stop.per_s * exposed_s)  # starts that one stop of the running clock takes, failed ones included
    halts = stop.per_s * clock_s * started
    starting_s, warming_s = _starts(stop.per_s, run.restart_s + run.reload_s, exposed_s)
    throttle_s = run.compute_s * run.throttle_excess
    straggler_s = (run.compute_s + throttle_s) * run.straggler_excess
    slow_s = run.compute_s + throttle_s + straggler_s
    stall_s = slow_s * run.data_stall_excess
    saves_s = steps_s * (np.divide(save_s, run.interval_s) + np.divide(memory_save_s, memory_interval_s))
    lost = np.maximum(stop.lost_per_s, _NEVER_PER_S)
    interval = {"save_s": run.save_s, "mttf_s": np.divide(1.0, lost)}
    saved_share = safe_div(stop.saved_per_s, stop.per_s)
    return GoodputBreakdown(
        wall_s=wall_s,
        useful_s=run.compute_s * 1.0,
        bring_up_s=run.bring_up_s,
        start_up_s=run.start_up_s,
        data_stall_s=stall_s,
        checkpoint_stall_s=saves_s,
        lost_work_s=clock_s - steps_s - saves_s,
        detection_s=halts * stop.detect_s,
        diagnosis_s=halts * stop.diagnose_s,
        queue_s=halts * stop.queue_s,
        restart_s=clock_s * starting_s,
        warm_up_s=clock_s * warming_s,
        straggler_s=straggler_s,
        throttle_s=throttle_s,
        maintenance_s=service_s * run.maintenance_per_s * run.maintenance_s,
        evaluation_s=(slow_s + stall_s) * run.evaluation_excess,
        rollback_s=service_s * run.rollbacks_per_s * run.rollback_s,
        facility_s=service_s * run.outages_per_s * run.outage_s,
        interruptions=halts * (1.0 - saved_share),
        planned_stops=halts * saved_share,
        mttf_s=np.divide(1.0, np.maximum(stop.per_s - stop.saved_per_s, _NEVER_PER_S)),
        interval_s=run.interval_s,
        young_interval_s=checkpoint.young_interval_s(**interval),
        daly_interval_s=checkpoint.daly_interval_s(**interval),
        exact_interval_s=checkpoint.exact_interval_s(**interval),
    )


def _starts(per_s: Num, starting_s: Num, exposed_s: Num) -> tuple[Num, Num]:
    """Return the time in starting and in warming up, per second of the running clock.

    A start runs through both phases unless a stop strikes; the mean time in a phase of an attempt, times the attempts.
    """
    begun = -np.expm1(-per_s * starting_s)
    whole = -np.expm1(-per_s * exposed_s)
    attempts = np.exp(per_s * exposed_s)
    return begun * attempts, (whole - begun) * attempts
