"""Speed of the goodput engine: Monte Carlo of 10,000 runs of 54 days on 16,384 GPUs, forecast of a plan, closed forms.

    python benchmarks/goodput_speed.py [--check]

``--check`` exits with 1 when the Monte Carlo takes 2 s or more, or the forecast of a plan 1 s or more: 1,000 draws of
every input and of the stops, the luck alone, and the tornadoes of days and cost.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from isocost.catalog import load_catalog
from isocost.forecast import forecast
from isocost.reliability import (
    Conditions,
    Facility,
    Planned,
    RunShape,
    goodput,
    inputs_of,
    simulate,
    uncertain,
)
from isocost.stats.distributions import draw
from isocost.units import HOUR_S

MOST_S = 2.0
MOST_FORECAST_S = 1.0
RUNS = 10_000
LAYOUTS = 100_000
REPEAT = 5


def seconds(work: Callable[[], object]) -> float:
    """Median time of a few runs, after one that warms up."""
    work()
    times = []
    for _ in range(REPEAT):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def forecasting() -> float:
    """Seconds of the forecast of a plan of 16,384 GPUs."""
    run = RunShape(
        chip="h100-sxm5-80gb", gpus=16384.0, gpus_per_node=8.0, step_s=5.44, steps=929_833.0, tokens=15.6e12,
        params=405e9, band=(0.8, 1.3), term="on_demand",
        price_usd_per_s=(2 / HOUR_S, 3 / HOUR_S, 6 / HOUR_S), tdp_w=700.0,
    )  # fmt: skip
    conditions, catalog = Conditions(facility=Facility(support="expert", standby="warm")), load_catalog()
    return seconds(lambda: forecast(run, conditions, catalog))


def main() -> int:
    plan = RunShape(
        chip="h100-sxm5-80gb", gpus=16384, gpus_per_node=8, step_s=10.0, steps=400_000, tokens=400_000 * 16e6,
        params=4e11, param_state_bytes=13.25,
    )  # fmt: skip
    conditions = Conditions(facility=Facility(support="expert", standby="warm"))

    def drawing() -> Planned:
        return inputs_of(plan, conditions, draw(uncertain(plan, conditions), RUNS))

    drawn, preparing = drawing(), seconds(drawing)
    running = seconds(lambda: simulate(drawn.inputs, RUNS))
    layouts = replace(plan, step_s=np.linspace(5.0, 20.0, LAYOUTS), gpus=np.linspace(64, 16384, LAYOUTS))
    many = inputs_of(layouts, conditions, {}).inputs
    closed = seconds(lambda: goodput(many))
    stops = simulate(drawn.inputs, RUNS).mean("interruptions")
    planning = forecasting()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"Monte Carlo, {RUNS:,} runs of 16,384 GPUs, {stops:.0f} stops each: {running:.2f} s")
    print(f"drawing the inputs of {RUNS:,} runs: {preparing:.2f} s")
    print(f"forecast of a plan, 1,000 draws with luck and tornadoes: {planning:.2f} s")
    print(f"closed form: {LAYOUTS / closed / 1e6:.2f} M layouts a second")
    slow = running >= MOST_S or planning >= MOST_FORECAST_S
    return 1 if "--check" in sys.argv[1:] and slow else 0


if __name__ == "__main__":
    sys.exit(main())
