"""Spot capacity: what pre-emption costs a run, and below which price it pays.

Pre-emption is one more cause of stops, with a rate per node that adds to the others (F16). A notice longer than a save
loses no work. While the group is incomplete the run waits, and the nodes that stay are charged.

Two published rates of pre-emption differ several hundred times, and neither is a mean of the other: a forecast is for
one of two pools by name, a calm one or a contended one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from isocost.catalog.reliability import Spread, load_reliability
from isocost.num import Num, safe_div
from isocost.reliability.buckets import GoodputBreakdown
from isocost.reliability.closed_form import best_interval_s, goodput
from isocost.reliability.inputs import Cause, GoodputInputs
from isocost.units import HOUR_S

PREEMPTION = "preemption"
CALM: Final = "calm"
CONTENDED: Final = "contended"
CALM_RATE: Final = "spot-calm-per-node-hour"
_RATES: Final = {CALM: CALM_RATE, CONTENDED: "spot-per-node-hour"}
_NOTICE: Final = "spot-notice"
_WAIT: Final = "spot-wait"
_RECORDED: Final = "spot-recorded-nodes"
SPOT_FACTS: Final = (*_RATES.values(), _NOTICE, _WAIT, _RECORDED)
# Pre-emptions while a group starts: beyond it nothing ever ends, and the exponential of it leaves the range of numbers.
_MOST_HALTS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotOutcome:
    """A run on spot capacity beside the same run on capacity that stays."""

    spot: GoodputBreakdown
    firm: GoodputBreakdown
    paid_s: Num  # wall clock on spot less the waits, where waiting costs nothing

    @property
    def time_ratio(self) -> Num:
        """Wall clock on spot over wall clock on firm capacity."""
        return np.divide(self.spot.wall_s, self.firm.wall_s)

    @property
    def break_even_price_ratio(self) -> Num:
        """Spot price over firm price below which spot is cheaper for the same result."""
        return np.divide(self.firm.wall_s, self.paid_s)

    def pays(self, price_ratio: Num) -> Num:
        """Return whether spot at this share of the firm price is cheaper for the run."""
        return np.asarray(price_ratio < self.break_even_price_ratio)


def preemption(run: GoodputInputs, *, node_preemptions_per_s: Num, notice_s: Num, wait_s: Num) -> Cause:
    """Return pre-emption as a cause of stops: work is safe where the notice is long enough to save."""
    warned = np.asarray(notice_s) >= np.asarray(run.save_s) + np.asarray(run.persist_s)
    return Cause(
        name=PREEMPTION,
        node_failures_per_s=node_preemptions_per_s,
        queue_s=wait_s,
        saved_frac=np.where(warned, 1.0, 0.0),
    )


def wait_s_of_availability(available_frac: Num, nodes: Num, node_preemptions_per_s: Num) -> Num:
    """Return the mean wait after a pre-emption that makes the whole group available that part of the time."""
    held_s = safe_div(1.0, nodes * node_preemptions_per_s)
    return held_s * (np.divide(1.0, available_frac) - 1.0)


def spot(
    run: GoodputInputs, *, node_preemptions_per_s: Num, notice_s: Num, wait_s: Num, pay_while_waiting: bool = False
) -> SpotOutcome:
    """Return what a run becomes on spot capacity, saves at the interval that is best there.

    node_preemptions_per_s: of one node. notice_s: before a node is taken. wait_s: until the group is complete again.
    """
    cause = preemption(run, node_preemptions_per_s=node_preemptions_per_s, notice_s=notice_s, wait_s=wait_s)
    there = dataclasses.replace(run, causes=(*run.causes, cause))
    there = dataclasses.replace(there, interval_s=best_interval_s(there))
    result = goodput(there)
    halts = result.interruptions + result.planned_stops
    every = sum((_rate(there, one) for one in there.causes), start=np.float64(0.0))
    waits_s = halts * safe_div(_rate(there, cause), every) * wait_s
    paid_s = result.wall_s - (0.0 if pay_while_waiting else waits_s)
    return SpotOutcome(spot=result, firm=goodput(run), paid_s=paid_s)


def _rate(run: GoodputInputs, cause: Cause) -> Num:
    return run.nodes * cause.node_failures_per_s + cause.job_failures_per_s


def spot_facts(pool: str) -> dict[str, Spread]:
    """Return the facts about pre-emption in a pool, by name."""
    facts = load_reliability()
    return {name: facts.default(name) for name in (_RATES[pool], _NOTICE, _WAIT)}


def recorded_nodes() -> float:
    """Return the largest group of spot nodes whose pre-emptions are on record."""
    return load_reliability().default(_RECORDED).median


def preempted(run: GoodputInputs, pool: str, values: Mapping[str, Num]) -> GoodputInputs:
    """Return a run with pre-emption at values of its facts, medians for those not named."""
    at = {name: values.get(name, spread.median) for name, spread in spot_facts(pool).items()}
    exposed = run.restart_s + run.reload_s + run.warm_up_s
    most = _MOST_HALTS / np.maximum(run.nodes * exposed, 1.0)
    cause = preemption(
        run,
        node_preemptions_per_s=np.minimum(at[_RATES[pool]] / HOUR_S, most),
        notice_s=at[_NOTICE],
        wait_s=at[_WAIT],
    )
    return dataclasses.replace(run, causes=(*run.causes, cause))


def spot_interval_s(middle: GoodputInputs, pool: str) -> Num:
    """Return the best time between saves on spot capacity, at the medians: nobody knows the draws."""
    return best_interval_s(preempted(middle, pool, {}))
