"""How the answers to the example scenarios come about, as recorded by scripts/golden_explanations.py."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "golden_explanations.py"))
GOLDEN: Path = SCRIPT["GOLDEN"]


@pytest.mark.parametrize("scenario", SCRIPT["scenarios"](), ids=lambda path: path.stem)
def test_an_explanation_is_the_recorded_one(scenario: Path) -> None:
    """Every term, value, source and fitted constant is as recorded: what moved an answer is seen in review."""
    assert SCRIPT["explained"](scenario) == (GOLDEN / f"{scenario.stem}.txt").read_text(encoding="utf-8")


def test_no_explanation_is_left_over() -> None:
    """Every recorded explanation belongs to an example."""
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {path.stem for path in SCRIPT["scenarios"]()}
