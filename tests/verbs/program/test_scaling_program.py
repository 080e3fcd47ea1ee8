"""The verb of the programme's bill: the page's example, the plan at its centre, and malformed items."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import typer

import isocost
from isocost.cli import run
from isocost.cli.app import app_for
from isocost.errors import InputError
from isocost.scenario.program import read_items
from isocost.units import YEAR_S

ROOT = Path(__file__).parents[3]
SMALL = ["--model", "llama-3.1-8b", "--tokens", "100 B", "--on", "h100-sxm5-80gb", "--gpus", "64"]


def test_items_of_the_page(tmp_path: Path) -> None:
    """The items on the page are read as written."""
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    (block,) = (b for b in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "[[item]]" in b)
    path = tmp_path / "items.toml"
    path.write_text(block, encoding="utf-8")
    ladder, failed, licence = read_items(str(path))
    assert (ladder.unit, ladder.amount.median, ladder.begins) == ("flop", 1e22, -0.5)
    assert (failed.amount.low, failed.amount.median, failed.amount.high) == (0.1, 0.2, 0.4)
    assert (licence.unit, licence.amount.high) == ("usd", 300e3)


def test_the_final_run_is_the_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line of the final run is the plan's cost; an item of one times it doubles the mean."""
    path = tmp_path / "items.toml"
    path.write_text('[[item]]\nname = "again"\nshare = 1.0\n', encoding="utf-8")
    assert run(["plan", *SMALL, "--format", "json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert run(["program", *SMALL, "--items", str(path), "--raised", "1 MUSD", "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    final, again = values["lines"]
    for end in ("median", "low", "high"):
        name = {"low": "p05", "high": "p95"}.get(end, end)
        assert final[f"usd_{name}"] == pytest.approx(plan["chosen"][f"cost_usd_{end}"], rel=1e-12)
    assert again["usd_mean"] == final["usd_mean"]
    assert values["mean_usd"] == pytest.approx(2 * final["usd_mean"], rel=1e-12)
    assert values["share_of_capital"]["median"] == pytest.approx(values["total_usd"]["median"] / 1e6, rel=1e-12)


def test_people_are_paid_for_the_whole_programme(capsys: pytest.CaptureFixture[str]) -> None:
    """Staff are paid from the first item to the end of the last."""
    given = [*SMALL, "--people", "2", "--salary", "100 kUSD", "--format", "json"]
    assert run(["program", *given]) == 0
    lines = {line["name"]: line for line in json.loads(capsys.readouterr().out)["lines"]}
    exploration = lines["sweeps, ablations and the ladder of small runs"]
    days = -exploration["begins_d"]  # of the final run: exploration begins one length before it, and one follows it
    assert lines["staff"]["usd_mean"] == pytest.approx(2 * 100e3 * 3 * days / 365.25, rel=1e-9)
    assert lines["staff"]["begins_d"] == -days


def test_no_plan_no_programme(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no plan meets the question the exit code is 4 and the plan's sentence says why."""
    assert run(["program", *SMALL, "--budget", "10 USD"]) == 4
    assert capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no [[item]] tables"),
        ("[item", "is not TOML"),
        ("[[item]]\nshare = 0.5", "item 1: name: is missing"),
        ('[[item]]\nname = "a"', "has 0 amounts"),
        ('[[item]]\nname = "a"\nshare = 0.5\nflop = 1e20', "has 2 amounts"),
        ('[[item]]\nname = "a"\nshare = [1, 2]', "is not one figure"),
        ('[[item]]\nname = "a"\nshare = "half"', "'half' is not a number"),
        ('[[item]]\nname = "a"\nusd = 5', "needs a unit"),
        ('[[item]]\nname = "a"\nshare = [3, 2, 1]', "low, median and high"),
        ('[[item]]\nname = "a"\nshare = -1.0', "low, median and high"),
        ('[[item]]\nname = "a"\nshare = 0.5\nbegin = 1', "did you mean begins?"),
        ('[[item]]\nname = "a"\nshare = 0.5\nbegins = "soon"', "is not a number of final runs"),
    ],
)
def test_malformed_items(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake in a file of items is one line with its place; exit code 2."""
    path = tmp_path / "items.toml"
    path.write_text(text, encoding="utf-8")
    assert run(["program", *SMALL, "--items", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err


def test_people_need_a_salary(capsys: pytest.CaptureFixture[str]) -> None:
    """People without a salary are an error that names the flag."""
    assert run(["program", *SMALL, "--people", "3"]) == 2
    assert "--salary: is missing" in capsys.readouterr().err


def test_mistakes_have_the_name_that_their_writer_used() -> None:
    """In Python a problem names the argument."""
    given: dict[str, object] = {"model": "llama-3.1-8b", "tokens": "100 B"}
    for own, name in (({"people": "x"}, "people"), ({"people": 2, "salary": 3}, "salary"), ({"raised": "-"}, "raised")):
        with pytest.raises(InputError) as caught:
            isocost.program(given, **own)  # type: ignore[arg-type]
        assert [problem.path for problem in caught.value.problems] == [name]


@pytest.mark.parametrize(
    ("verb", "without"),
    [("program", {"top"}), ("frontier", {"model", "tokens"})],
)
def test_every_flag_of_a_plan(verb: str, without: set[str]) -> None:
    """What a plan can be asked, program and frontier can, but for gates, sections and what they choose themselves."""
    commands = {name: typer.main.get_command(app_for([name])).commands[name] for name in (verb, "plan")}  # type: ignore[attr-defined]
    asked, plan = ({each.name for each in commands[name].params} for name in (verb, "plan"))
    assert plan - asked == {"max_cost", "max_days", "fail_if", "show"} | without


def test_flags_of_the_layout_reach_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    """A programme is built around the layout that is asked for."""
    assert run(["program", *SMALL, "--tp", "4", "--recompute", "full", "--format", "json"]) == 0
    assert "tp 4, dp 16, micro-batch 16, full recompute" in json.loads(capsys.readouterr().out)["plan"]


def test_the_table_of_a_scenario(tmp_path: Path) -> None:
    """[programme] pays the people and replaces the share of failed runs; the line of the final run is without them."""
    tables: dict[str, object] = {"model": "llama-3.1-8b", "tokens": "100 B", "on": "h100-sxm5-80gb", "gpus": 64}
    own = {"people": 2, "salary": "100 kUSD/year", "capital_raised": "1 MUSD", "failed_runs": 1, "exploratory_runs": 0}
    found = isocost.program(tables | {"programme": own})
    alone = isocost.program(tables | {"programme": {"people": 0, "salary": "1 USD/year"}})
    assert found.bill is not None
    assert alone.bill is not None
    lines = {line.name: line for line in found.bill.lines}
    assert lines["final run"].cost_usd == alone.bill.lines[0].cost_usd
    assert lines["runs thrown away"].mean_usd == lines["final run"].mean_usd
    assert "sweeps, ablations and the ladder of small runs" not in lines
    assert lines["staff"].mean_usd == pytest.approx(2 * 100e3 * 2 * found.plan.answer.chosen.run_s / YEAR_S, rel=1e-9)
    share = found.bill.share_of_capital
    assert share is not None
    assert share.median == pytest.approx(found.bill.total_usd.median / 1e6, rel=1e-12)


def test_the_plan_of_a_programme_is_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    """With people to pay, isocost program builds around the plan of isocost plan, from a table or from flags.

    People who wait for a slow run cost more than GPUs: a plan made without them is not the one that a user follows.
    """
    startup = ROOT / "examples" / "startup.toml"
    plan, found = isocost.plan(startup), isocost.program(startup)
    assert found.plan.sentence == plan.sentence
    assert plan.programme is not None
    assert found.bill is not None
    assert found.bill.total_usd == plan.programme.total_usd
    own = {"people": 12, "salary": "300 kUSD/year"}
    tables = {"model": "llama-3.1-8b", "tokens": "100 B", "on": "h100-sxm5-80gb", "gpus": [32, 64]}
    stated = isocost.program(tables, people=12, salary="300 kUSD")
    assert stated.plan.sentence == isocost.plan(tables | {"programme": own}).sentence
    assert stated.bill is not None
    assert [line.name for line in stated.bill.lines].count("staff") == 1


def test_mistakes_of_the_table_are_told_together(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Unknown keys, shares beside a file of items, and people without a salary: each with its place; exit code 2."""
    head = 'model = "llama-3.1-8b"\ntokens = "100 B"\n'
    path = tmp_path / "a.toml"
    for text, said in (
        ('[programme]\npeeple = 3\nsalary = "x"', ["programme.peeple", "did you mean people?", "programme.salary"]),
        ('[programme]\nitems = "i.toml"\nfailed_runs = 1', ["programme.failed_runs: is given beside items"]),
        ("[programme]\npeople = 3", ["programme.salary: is missing"]),
    ):
        path.write_text(head + text, encoding="utf-8")
        assert run(["program", str(path)]) == 2
        err = capsys.readouterr().err
        assert [part for part in said if part not in err] == []
