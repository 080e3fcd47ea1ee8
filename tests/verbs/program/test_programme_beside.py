"""The whole programme beside the bill of a run: the figures of ``isocost program``, and the run's bill unchanged."""

from __future__ import annotations

import json

import pytest

import isocost
from isocost.cli import run

SMALL = {"model": "llama-3.1-8b", "tokens": "100 B", "seq_len": 8192, "on": "h100-sxm5-80gb", "gpus": 64}


def test_it_is_what_isocost_program_says() -> None:
    """Beside a plan without [programme] stands the total of isocost program, line by line, to the last digit."""
    plan, programme = isocost.plan(SMALL), isocost.program(SMALL)
    assert plan.programme is not None
    assert programme.bill is not None
    assert plan.programme.total_usd == programme.bill.total_usd
    assert [line.cost_usd for line in plan.programme.lines] == [line.cost_usd for line in programme.bill.lines]


def test_the_bill_of_the_run_is_its_own() -> None:
    """The line of the final run is the plan's bill; its shares come from dated sources."""
    plan = isocost.plan(SMALL)
    assert plan.programme is not None
    assert plan.answer.chosen is not None
    assert plan.answer.chosen.cost_usd is not None
    final, exploration = plan.programme.lines[:2]
    assert final.cost_usd.median == pytest.approx(plan.answer.chosen.cost_usd.median, rel=1e-12)
    assert exploration.source == "cottier2024, morrison2025, opt2022, luccioni2022, 2025"


def test_what_the_user_counts_is_not_counted_twice() -> None:
    """Failed runs and people on the plan's bill leave the final run: their lines are the stated share and salary."""
    own = {"failed_runs": 0.25, "people": 3, "salary": "300 kUSD/year", "capital_raised": "1 MUSD"}
    plan = isocost.plan(SMALL, programme=own)
    alone = isocost.plan(SMALL, programme={"people": 0})
    assert plan.programme is not None
    assert alone.answer.forecast is not None
    lines = {line.name: line for line in plan.programme.lines}
    final = alone.answer.forecast.quantiles()["cost_usd"]["p50"]
    assert lines["final run"].cost_usd.median == pytest.approx(final, rel=1e-9)
    assert lines["runs thrown away"].cost_usd.median == pytest.approx(0.25 * final, rel=1e-9)
    assert "staff" in lines
    assert plan.programme.share_of_capital is not None


def test_people_without_a_salary_stay_on_the_bill_of_the_run() -> None:
    """The people of a plan need no salary; the programme around it then has no line for them."""
    plan = isocost.plan(SMALL, programme={"people": 3})
    assert plan.programme is not None
    assert plan.answer.chosen is not None
    assert plan.answer.chosen.cost_usd is not None
    assert "staff" not in [line.name for line in plan.programme.lines]
    assert plan.programme.lines[0].cost_usd.median == pytest.approx(plan.answer.chosen.cost_usd.median, rel=1e-9)


def test_a_salary_may_have_a_spread() -> None:
    """A salary with low, median and high gives the staff an interval."""
    spread = {"low": "200 kUSD/year", "median": "300 kUSD/year", "high": "500 kUSD/year"}
    found = isocost.program(SMALL, programme={"people": 3, "salary": spread})
    assert found.bill is not None
    staff = next(line for line in found.bill.lines if line.name == "staff")
    assert staff.cost_usd.low < staff.cost_usd.median < staff.cost_usd.high


def test_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Plan and tco print it beside the bill, and the JSON of a plan has its lines; without a price there is none."""
    given = ["--model", "llama-3.1-8b", "--tokens", "100 B", "--seq-len", "8192", "--gpus", "64", "--on"]
    assert run(["plan", *given, "h100-sxm5-80gb"]) == 0
    assert "Beside this bill: the whole programme around the run" in capsys.readouterr().out
    assert run(["plan", *given, "h100-sxm5-80gb", "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)["programme"]
    assert values["total_usd"]["p05"] < values["total_usd"]["p50"] < values["total_usd"]["p95"]
    assert values["lines"][0]["name"] == "final run"
    assert run(["tco", "examples/owned-h100.toml", "--years", "3"]) == 0
    assert "the whole programme around it: $" in capsys.readouterr().out
    assert isocost.plan(SMALL, on="v100-sxm2-32gb", precision="fp16").programme is None
