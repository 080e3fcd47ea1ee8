"""The frontier: the joint optimum with the planner as evaluator, its verb, and what it refuses."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isocost
from isocost.cli import run
from isocost.scaling.law import loss
from isocost.scaling.shapes import law_params
from isocost.scaling.store import find_law
from isocost.verbs.frontier.answer import FrontierResult
from isocost.verbs.frontier.candidates import Limits
from isocost.verbs.frontier.joint import joint_optimum
from isocost.verbs.frontier.question import ask_frontier

SMALL: dict[str, object] = {"budget": "200 kUSD", "deadline": "60 d", "on": "b200-sxm-180gb", "gpus": "64,128"}


@pytest.fixture(scope="module")
def answer() -> FrontierResult:
    """Return a frontier on two offers, under three laws."""
    return ask_frontier(None, SMALL, laws="besiroglu,hoffmann,llama3", data="3 T")


def test_the_plan_agrees_with_the_choice(answer: FrontierResult) -> None:
    """The plan of the chosen model on its offer takes the time and the money that the frontier says."""
    chosen = answer.chosen
    assert chosen is not None
    assert answer.plan is not None
    plan = answer.plan.chosen
    assert plan is not None
    assert plan.cost_usd is not None
    assert plan.cost_usd.median == chosen.train_usd
    assert plan.run_s == chosen.run_s
    assert plan.mfu == chosen.mfu
    assert answer.plan.question.architecture is chosen.architecture
    assert answer.plan.question.tokens == chosen.tokens
    assert 0.97 * 200e3 < chosen.total_usd <= 200e3
    assert chosen.run_s <= 60 * 86400


def test_nothing_on_the_line_is_better(answer: FrontierResult) -> None:
    """The chosen model has the least loss of the line, and that loss is the law's of its size and tokens."""
    chosen = answer.chosen
    assert chosen is not None
    assert chosen.loss == pytest.approx(min(each.loss for each in answer.joint.line), abs=1e-3)
    assert chosen.params == law_params(chosen.architecture)
    assert chosen.loss == pytest.approx(float(loss(find_law("besiroglu"), chosen.params, chosen.tokens)), rel=1e-12)
    assert len(answer.joint.line) > 40


def test_laws_stand_side_by_side(answer: FrontierResult) -> None:
    """Each law has a choice of its own on the same isocost line; the older one asks for a smaller model."""
    by_law = dict(answer.others)
    assert list(by_law) == ["besiroglu", "hoffmann", "llama3"]
    assert by_law["hoffmann"].params < by_law["besiroglu"].params
    sizes = [each.params for each in by_law.values()]
    assert f"the laws are {max(sizes) / min(sizes):.2f} times apart in parameters" in " ".join(answer.table().split())


def test_serving_asks_for_a_smaller_model(answer: FrontierResult) -> None:
    """With tokens to serve the model is smaller, and training and serving together stay in the budget."""
    served = ask_frontier(None, SMALL, serve="2 T", data="3 T").chosen
    alone = answer.chosen
    assert served is not None
    assert alone is not None
    assert served.params < alone.params
    assert served.serving_usd > 0.0
    assert served.total_usd <= 200e3


def test_the_cheapest_way_to_a_quality() -> None:
    """The cheapest way to the loss of 3 B on 60 B tokens has that loss, and no size of the line is cheaper."""
    found = ask_frontier(None, {k: v for k, v in SMALL.items() if k != "budget"}, loss_of="3 B on 60 B")
    chosen = found.chosen
    assert chosen is not None
    target = float(loss(find_law("besiroglu"), 3e9, 60e9))
    assert float(loss(find_law("besiroglu"), chosen.params, chosen.tokens)) == pytest.approx(target, rel=1e-9)
    assert found.joint.target == target
    assert chosen.total_usd == pytest.approx(min(each.total_usd for each in found.joint.line), rel=0.01)
    assert len({each.params for each in found.joint.line}) == len(found.joint.line)
    assert found.to_dict()["limits"]["budget_usd"] == np.inf


def test_mixtures_of_experts() -> None:
    """With experts every candidate is a mixture, counted by what a token uses."""
    found = ask_frontier(None, {**SMALL, "gpus": "64"}, experts="8/64+1")
    assert found.chosen is not None
    block = found.chosen.architecture.blocks[0]
    assert (block.experts_topk, block.experts, block.shared_ffn_hidden > 0) == (8, 64, True)


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON has the choice, the line, the marginal values, and a chart whose isocost line is the line."""
    arguments = [part for key, value in SMALL.items() for part in (f"--{key}", str(value))]
    assert run(["frontier", *arguments, "--format", "json"]) == 0
    values: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert values["chosen"]["params"] > 1e9
    assert {each["more"] for each in values["marginals"]} == {"10 % more money", "10 more days", "5 points more MFU"}
    isoloss, isocost, point = values["chart"]["layer"]
    assert {row["line"] for row in isocost["data"]["values"]} == {f"isocost ${x}k" for x in (100, 200, 400)}
    whole = [row for row in isocost["data"]["values"] if row["line"] == "isocost $200k"]
    assert [row["params"] for row in whole] == [each["params"] for each in values["line"]]
    assert len({row["line"] for row in isoloss["data"]["values"]}) == 5
    assert point["data"]["values"][0]["tokens"] == values["chosen"]["tokens"]
    assert values["limits"]["unique_tokens"] is None


def test_nothing_fits(capsys: pytest.CaptureFixture[str]) -> None:
    """A budget that no model fits: exit code 4, and by how much to relax it."""
    assert run(["frontier", "--budget", "500 USD", "--deadline", "1 d", "--on", "b200-sxm-180gb", "--gpus", "512"]) == 4
    out = capsys.readouterr().out
    assert "no model fits this budget and deadline" in out
    assert "fewer accelerators" in out
    assert run(["frontier", "--budget", "500 USD", "--on", "b200-sxm-180gb", "--gpus", "512"]) == 4
    assert capsys.readouterr().out.startswith("no model fits this budget; relax: budget")


@pytest.mark.parametrize("deadline", ["1 min", "60 d"])
def test_a_very_small_question_has_an_answer(deadline: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is taken before the first token is never for nothing: 200 USD buy no run on 64 accelerators or more."""
    assert run(["frontier", "--budget", "200 USD", "--deadline", deadline]) == 4
    out = capsys.readouterr().out
    (short,) = re.findall(r"budget \+ [\d,]+ % \(\$([\d,]+)\)", out)
    assert int(short.replace(",", "")) > 5e3  # a day of bring-up on 64 accelerators at 3.90 USD
    assert ("deadline + " in out) == (deadline == "1 min")


def test_sizes_are_placed_by_time_where_it_is_scarce(capsys: pytest.CaptureFixture[str]) -> None:
    """With more money than a deadline lets be spent, the best size is inside of those tried; no time is no budget."""
    found = isocost.frontier(SMALL, budget="2 BUSD", deadline="20 d")
    assert found.chosen is not None
    assert found.chosen.binds == "deadline"
    assert not any("widen" in note for note in found.joint.notes)
    assert run(["frontier", "--budget", "1 MUSD", "--deadline", "1 s", "--gpus", "64", "--on", "b200-sxm-180gb"]) == 4
    assert "relax: deadline + " in capsys.readouterr().out


@pytest.mark.parametrize("budget_usd", [0.25, 0.5, 0.9])
def test_what_is_to_be_relaxed_is_enough(budget_usd: float, answer: FrontierResult) -> None:
    """With the budget that the sentence asks for there is a model; serving is part of it."""
    table, law = answer.found.table, find_law("besiroglu")
    limits = Limits(budget_usd=budget_usd * 5e3, served_tokens=1e12)
    (said,) = re.findall(r"budget \+ .* % \(\$([\d,]+)\)", joint_optimum(table, limits, law).relax[0])
    needed = float(said.replace(",", ""))
    assert joint_optimum(table, replace(limits, budget_usd=needed), law).chosen is not None
    assert joint_optimum(table, replace(limits, budget_usd=0.999 * needed), law).chosen is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "budget: is missing; fix: give budget = '2 MUSD', as a flag --budget"),
        (["--budget", "1 USD"], "--budget: 1.0 is less than an hour of one accelerator"),
        (["--loss-of", "2.1", "--confidence", "90 %"], "--confidence: '90 %' has no limit to keep"),
        (["--budget", "1 MUSD", "--licence", "3"], "--licence"),
        (["--budget", "-2 MUSD"], "--budget"),
        (["--budget", "2 MUSD", "--data", "-1 T"], "--data"),
        (["--budget", "2 MUSD", "--law", "llama3"], "does not begin with a law that has a loss"),
        (["--budget", "2 MUSD", "--law", "kaplan"], "does not begin with a law that has a loss"),
        (["--budget", "2 MUSD", "--experts", "8"], "--experts"),
        (["--budget", "2 MUSD", "--experts", "9/8"], "is not a mixture of experts"),
        (["--loss-of", "70 B"], "--loss-of: '70 B' is not a model on tokens"),
        (["--loss-of", "70 B on -1 T"], "--loss-of"),
        (["--loss-of", "70 B on 0 T"], "--loss-of"),
        (["--loss-of", "1.8"], "--loss-of: 1.8 is not above the irreducible loss of besiroglu, 1.8172"),
        (["--loss-of", "1.8173"], "--loss-of: 1.8173 is that of a model of 1.13e+20 parameters or so, larger than"),
        (["--loss-of", "9"], "parameters or so, smaller than any that has a shape; fix: ask for a lower loss"),
        (["--budget", "2 MUSD", "--data", "1 M"], "smaller than any that has a shape; fix: give more of what limits"),
        (["--budget", "2 MUSD", "--serving-cost", "2"], "--serving-cost: has no use without tokens to serve"),
        (["--budget", "2 MUSD", "--family", "gpt2,llama-3.1-8"], "did you mean llama-3.1-8b?"),
        (["--budget", "2 MUSD", "--family", "gpt2", "--experts", "8/64"], "--experts: has no use with a family"),
        (["--budget", "2 MUSD", "--law", "besirogl"], "did you mean besiroglu?"),
        (["--budget", "2 MUSD", "--on", "h1000"], "h1000"),
    ],
)
def test_malformed(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake is one line with its place; exit code 2."""
    assert run(["frontier", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err


def test_a_family_of_models() -> None:
    """The candidates are the models of the family, each asked for, and the best of them is the best of its line."""
    found = isocost.frontier({**SMALL, "frontier": {"family": ["llama-3.1-70b", "llama-3.1-8b", "gpt2"]}})
    assert [each.architecture.name for each in found.joint.line] == ["gpt2", "llama-3.1-8b", "llama-3.1-70b"]
    assert found.chosen is not None
    assert found.chosen.architecture.name == "llama-3.1-70b"
    assert found.found.planner.asked >= len(found.joint.line)


def test_the_scenario_and_the_flags_agree(capsys: pytest.CaptureFixture[str]) -> None:
    """A key of [frontier] is the flag of its name, and a flag overrides it."""
    table = {**SMALL, "frontier": {"data": "3 T", "serve": "2 T", "laws": ["hoffmann"]}}
    by_flag = isocost.frontier(SMALL, data="3 T", serve="2 T", laws="hoffmann")
    assert isocost.frontier(table).to_dict() == by_flag.to_dict()
    assert isocost.frontier(table, laws="besiroglu", serve="0 T").joint.law.id == "besiroglu"


def test_mistakes_of_the_table_are_told_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every mistake of the table in one answer, with its place in the file and the nearest spelling."""
    path = tmp_path / "a.toml"
    path.write_text('budget = "1 MUSD"\n[frontier]\ndate = "3 T"\nserve = -1\nlaws = ["bes"]\n', encoding="utf-8")
    assert run(["frontier", str(path), "--data", "none"]) == 2
    err = capsys.readouterr().err
    for said in ("frontier.date", "did you mean data?", "frontier.serve", "'bes'", "--data"):
        assert said in err


def test_a_quality_out_of_reach_says_by_how_much(capsys: pytest.CaptureFixture[str]) -> None:
    """A deadline too short for a loss: exit code 4, and a deadline longer by what is said is enough."""
    asked = ["frontier", "--loss-of", "3 B on 60 B", "--on", "b200-sxm-180gb", "--gpus", "64,128"]
    assert run([*asked, "--deadline", "0.5 d"]) == 4
    (more,) = re.findall(r"deadline \+ ([\d.]+) d", capsys.readouterr().out)
    assert run([*asked, "--deadline", f"{0.5 + float(more) - 0.2} d"]) == 4
    assert run([*asked, "--deadline", f"{0.5 + float(more)} d"]) == 0
    capsys.readouterr()
    assert run([*asked, "--budget", "2 kUSD"]) == 4
    assert "relax: budget + " in capsys.readouterr().out
