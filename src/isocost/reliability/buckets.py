"""Where the time of a run goes: named buckets that sum to the wall clock.

The names are a vocabulary: what a meter reads from the logs of a run belongs into the same buckets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocost.num import Num

BUCKETS: Mapping[str, str] = {
    "useful_s": "steps that are kept, at the speed of a healthy machine",
    "bring_up_s": "before the first step: queue, burn-in, first tuning",
    "start_up_s": "first start and compilation",
    "data_stall_s": "steps that wait for data",
    "checkpoint_stall_s": "steps that wait for a save which is kept",
    "lost_work_s": "steps and saves thrown away by a stop",
    "detection_s": "from a stop until somebody or something knows",
    "diagnosis_s": "from there until it is known what to replace or restart",
    "queue_s": "re-admission: waiting for nodes and the scheduler",
    "restart_s": "starting processes and reading the checkpoint, failed starts included",
    "warm_up_s": "slow first steps after a restart",
    "straggler_s": "waiting for machines that turned slow",
    "throttle_s": "slower clocks: temperature and power",
    "maintenance_s": "planned windows",
    "evaluation_s": "pauses for evaluation",
    "rollback_s": "work repeated after a divergence",
    "facility_s": "outages of power and cooling, and bringing the cluster back",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodputBreakdown:
    """Wall clock of a run by bucket, with the numbers that explain it; every field a number or an array."""

    wall_s: Num  # from a law of its own; the buckets sum to it
    useful_s: Num
    bring_up_s: Num
    start_up_s: Num
    data_stall_s: Num
    checkpoint_stall_s: Num
    lost_work_s: Num
    detection_s: Num
    diagnosis_s: Num
    queue_s: Num
    restart_s: Num
    warm_up_s: Num
    straggler_s: Num
    throttle_s: Num
    maintenance_s: Num
    evaluation_s: Num
    rollback_s: Num
    facility_s: Num
    interruptions: Num  # stops that were not announced, failed starts included
    planned_stops: Num  # stops announced early enough to save first
    mttf_s: Num  # of the job, unannounced stops
    interval_s: Num  # between saves to storage
    young_interval_s: Num
    daly_interval_s: Num
    exact_interval_s: Num  # the one with least loss

    def buckets(self) -> dict[str, Num]:
        """Return the buckets by name, in the order of ``BUCKETS``."""
        return {name: getattr(self, name) for name in BUCKETS}

    @property
    def goodput(self) -> Num:
        """Useful time over wall clock: stragglers, throttling and bring-up count as loss."""
        return np.divide(self.useful_s, self.wall_s)

    @property
    def effective_frac(self) -> Num:
        """Kept steps as they ran over the wall clock since the first start: what papers call effective training time.

        Slow steps count as productive and bring-up is left out, so it is higher than ``goodput``.
        """
        kept_s = self.useful_s + self.data_stall_s + self.straggler_s + self.throttle_s
        return np.divide(kept_s, self.wall_s - self.bring_up_s)

    def residual_frac(self) -> Num:
        """Return what the buckets miss of the wall clock, over the wall clock: zero but for rounding."""
        total = sum((value for value in self.buckets().values()), start=np.float64(0.0))
        return np.abs(np.divide(total, self.wall_s) - 1.0)
