"""Write to tests/golden/explain how the answers to the examples come about: run after anything that moves one.

A change of a law or of a constant then shows in review as the lines of arithmetic that it moved.

python scripts/golden_explanations.py
"""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import isocost

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
GOLDEN = ROOT / "tests" / "golden" / "explain"
TOPICS = ("step_time", "memory", "cost")


def scenarios() -> list[Path]:
    """Return the example scenarios in alphabetical order."""
    return sorted(EXAMPLES.glob("*.toml"))


def explained(scenario: Path) -> str:
    """Return the sentence of the plan, then each of its explanations."""
    plan = isocost.plan(scenario)
    parts = [f"{topic}\n{'=' * len(topic)}\n\n{isocost.explain(plan, topic).table()}" for topic in TOPICS]
    return "\n".join([f"{plan.sentence}\n", *parts])


if __name__ == "__main__":
    os.environ.pop("COLUMNS", None)
    GOLDEN.mkdir(exist_ok=True)
    with contextlib.redirect_stdout(io.StringIO()):  # lines are whole, as where there is no screen
        for scenario in scenarios():
            (GOLDEN / f"{scenario.stem}.txt").write_text(explained(scenario), encoding="utf-8")
