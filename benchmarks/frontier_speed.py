"""Time of a frontier over sixty sizes on three accelerators, and of the draws of its chosen point.

python benchmarks/frontier_speed.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import isocost
from isocost.scaling.law import drawn
from isocost.verbs.frontier.outcome import outcome

QUESTION = {"budget": "2 MUSD", "deadline": "60 d", "on": "h100-sxm5-80gb,h200-sxm-141gb,b200-sxm-180gb"}
COMMAND = [part for key, value in QUESTION.items() for part in (f"--{key}", value)]
REPEATS = 7


def processor_s() -> float:
    """Return the processor time of this process, its threads and the commands that it ran."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def least_s(work: Callable[[], object]) -> tuple[float, float]:
    """Return the least time of some work, on the wall and of processors: other work on the machine lengthens both."""
    walls, processors = [], []
    for _ in range(REPEATS):
        wall, spent = time.perf_counter(), processor_s()
        work()
        walls.append(time.perf_counter() - wall)
        processors.append(processor_s() - spent)
    return min(walls), min(processors)


def main() -> None:
    """Print the time of the command, of a call in a process that has read its data, and of a thousand draws."""
    found = isocost.frontier(QUESTION, data="3 T")
    planner, joint, chosen = found.found.planner, found.joint, found.chosen
    assert chosen is not None
    print(f"{len(joint.line)} sizes on {len(planner.offers)} offers, the planner asked {planner.asked} times")

    def draws() -> None:
        plan = planner.plan(chosen)
        surface = drawn(joint.law, 1000)
        assert plan.forecast is not None
        assert surface is not None
        surface.loss(chosen.params, chosen.tokens)
        outcome(joint, chosen, plan.forecast)

    command = [sys.executable, "-m", "isocost", "frontier", *COMMAND, "--data", "3 T", "--quiet"]
    # An installed package has its bytecode; a tree that may not write any is compiled again at every start.
    cache = tempfile.TemporaryDirectory()
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    compiled["PYTHONPYCACHEPREFIX"] = cache.name

    def shell(environment: dict[str, str]) -> None:
        subprocess.run(command, check=True, capture_output=True, env=environment)

    shell(compiled)
    for name, work in (
        ("the command, from the shell", lambda: shell(compiled)),
        ("the same without bytecode", lambda: shell({**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})),
        ("a frontier in a process that has read its data", lambda: isocost.frontier(QUESTION, data="3 T")),
        ("plan and 1,000 draws of the chosen point: days, bill, loss", draws),
    ):
        wall, processors = least_s(work)
        print(f"{name}: {wall:.2f} s, {processors:.2f} s of processors, at best of {REPEATS}")
    cache.cleanup()


if __name__ == "__main__":
    main()
