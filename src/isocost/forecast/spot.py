"""Runs on spot capacity: pre-emption as one more cause of stops, in a calm pool or a contended one.

Two published rates of pre-emption differ several hundred times, and neither is a mean of the other: a forecast is for
one of two pools by name. The nodes that stay are charged while the group waits for the one that was taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from isocost.catalog.reliability import Spread, load_reliability
from isocost.num import Num
from isocost.reliability.closed_form import best_interval_s
from isocost.reliability.inputs import GoodputInputs
from isocost.reliability.spot import preemption
from isocost.units import HOUR_S

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
    return replace(run, causes=(*run.causes, cause))


def spot_interval_s(middle: GoodputInputs, pool: str) -> Num:
    """Return the best time between saves on spot capacity, at the medians: nobody knows the draws."""
    return best_interval_s(preempted(middle, pool, {}))
