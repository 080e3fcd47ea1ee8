"""Speed of the goodput engine: Monte Carlo of 10,000 runs of 54 days on 16,384 GPUs, and closed forms a second.

    python benchmarks/goodput_speed.py [--check]

``--check`` exits with 1 when the Monte Carlo takes 2 s or more.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from isocost.goodput import Facility, from_plan, goodput, simulate

MOST_S = 2.0
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


def main() -> int:
    plan = {
        "gpus": 16384, "gpus_per_node": 8, "step_s": 10.0, "tokens": 400_000 * 16e6, "tokens_per_step": 16e6,
        "state_bytes": 5.3e12, "facility": Facility(support="expert", standby="warm"),
    }  # fmt: skip
    drawn = from_plan(**plan, draws=RUNS)  # type: ignore[arg-type]
    preparing = seconds(lambda: from_plan(**plan, draws=RUNS))  # type: ignore[arg-type]
    running = seconds(lambda: simulate(drawn.inputs, RUNS))
    layouts = {"step_s": np.linspace(5.0, 20.0, LAYOUTS), "gpus": np.linspace(64, 16384, LAYOUTS)}
    many = from_plan(**{**plan, **layouts}).inputs  # type: ignore[arg-type]
    closed = seconds(lambda: goodput(many))
    stops = simulate(drawn.inputs, RUNS).mean("interruptions")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"Monte Carlo, {RUNS:,} runs of 16,384 GPUs, {stops:.0f} stops each: {running:.2f} s")
    print(f"drawing the inputs of {RUNS:,} runs: {preparing:.2f} s")
    print(f"closed form: {LAYOUTS / closed / 1e6:.2f} M layouts a second")
    return 1 if "--check" in sys.argv[1:] and running >= MOST_S else 0


if __name__ == "__main__":
    sys.exit(main())
