"""Gates of a plan: what may be asked, what is refused, and why a plan fails."""

from __future__ import annotations

import pytest

import isocost
from isocost.cli import run
from isocost.errors import InputError
from isocost.verbs.plan.gates import failures, read_gates

SMALL = ["--model", "llama-3.1-8b", "--tokens", "100 B", "--on", "h100-sxm5-80gb", "--gpus", "64"]


@pytest.fixture(scope="module")
def plan() -> isocost.Plan:
    """Return a small plan."""
    return isocost.plan(model="llama-3.1-8b", tokens="100 B", on="h100-sxm5-80gb", gpus=64)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("days.p50 > 0", True),
        ("days.p95 < days.p50", False),
        ("cost_usd.p90 >= cost_usd.p50 and not goodput_frac.p50 > 1", True),
        ("gpus == 64", True),
        ("0 < goodput_frac.p05 < goodput_frac.p95 < 1", True),
        ("cost_usd.p50 / gpu_hours.p50 > 100 or mfu > 1", False),
        ("-days.p50 + 2 * days.p50 == days.p50", True),
    ],
)
def test_a_condition_is_evaluated_as_written(plan: isocost.Plan, text: str, holds: bool) -> None:
    """A condition that holds fails the plan with its figures, one that does not passes."""
    found = failures(read_gates(None, None, [text]), plan)
    assert bool(found) == holds
    assert all("--fail-if" in reason for reason in found)


def test_a_figure_that_is_not_known_fails(plan: isocost.Plan) -> None:
    """A chance without a deadline is not known, which is no pass."""
    assert failures(read_gates(None, None, ["deadline_chance < 0.5"]), plan) == (
        "deadline_chance < 0.5: deadline_chance is not known of this plan (--fail-if)",
    )


def test_everything_wrong_is_one_message() -> None:
    """Limits without units, unknown figures, quantiles, calls and numbers for conditions: all at once."""
    bad = [
        "__import__('os').system('x')",
        "cost.p90 > 1",
        "days.p99 > 1",
        "days > 1",
        "1 + 1",
        "days.p50 >",
        "mfu > 'a'",
    ]
    with pytest.raises(InputError) as caught:
        read_gates("2", "-5", bad)
    said = [str(problem) for problem in caught.value.problems]
    assert len(said) == 9
    assert "needs a unit" in said[0]
    assert "is negative" in said[1]
    assert "may not hold __import__('os').system('x')" in said[2]
    assert "did you mean cost_usd?" in said[3]
    assert "'p99' is not a quantile" in said[4]
    assert "write days.p50" in said[5]
    assert "is a number, not a condition" in said[6]
    assert "is not an expression" in said[7]
    assert "may not hold 'a'" in said[8]


@pytest.mark.parametrize(
    "text", ["(" * 1000 + "1" + ")" * 1000 + " > 0", "+".join(["1"] * 200) + " > 0", "1 > " + "9" * 600]
)
def test_long_conditions_are_refused(text: str) -> None:
    """Depth and length have limits."""
    with pytest.raises(InputError):
        read_gates(None, None, [text])


def test_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing fails: 0; a gate fails: 1 with the reason after the answer; wrong gates: 2 before any work."""
    assert run(["plan", *SMALL, "--max-cost", "1 BUSD", "--max-days", "5000"]) == 0
    assert run(["plan", *SMALL, "--max-cost", "1 USD", "--max-days", "1 h", "--fail-if", "gpus > 1"]) == 1
    err = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in err] == ["failed"] * 3
    assert "more than 0.0 (--max-days)" in err[0]
    assert "more than $1.00 (--max-cost)" in err[1]
    assert err[2] == "isocost: failed: gpus > 1: gpus = 64 (--fail-if)"
    assert run(["plan", *SMALL, "--fail-if", "gpus"]) == 2
