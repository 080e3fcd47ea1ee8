"""Time of a frontier over sixty sizes on three accelerators.

python benchmarks/frontier_speed.py
"""

from __future__ import annotations

import time

import isocost

QUESTION = {"budget": "2 MUSD", "deadline": "60 d", "on": "h100-sxm5-80gb,h200-sxm-141gb,b200-sxm-180gb"}
REPEATS = 5


def main() -> None:
    """Print the time of the first call in a process, which imports and reads all data, and the least of more calls."""
    times = []
    for _ in range(1 + REPEATS):
        start = time.perf_counter()
        found = isocost.frontier(QUESTION, data="3 T")
        times.append(time.perf_counter() - start)
    planner = found.found.planner
    print(f"{len(found.joint.line)} sizes on {len(planner.offers)} offers, the planner asked {planner.asked} times")
    print(f"first call {times[0]:.2f} s; then {min(times[1:]):.2f} s, at best of {REPEATS}")


if __name__ == "__main__":
    main()
