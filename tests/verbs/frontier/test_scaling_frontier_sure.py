"""How sure a frontier is, and that nothing a scenario says is left aside: draws, confidence, families, serving."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import isocost
from isocost.cli import run
from isocost.errors import InputError
from isocost.scaling.law import drawn
from isocost.scaling.optimum import optimum
from isocost.scenario.tables import Frontier
from isocost.verbs.frontier.answer import FrontierResult

ROOT = Path(__file__).parents[3]
SMALL: dict[str, object] = {"budget": "200 kUSD", "deadline": "60 d", "on": "b200-sxm-180gb", "gpus": "64,128"}
FLAGS = [part for key, value in SMALL.items() for part in (f"--{key}", str(value))]


@pytest.fixture(scope="module")
def answer() -> FrontierResult:
    """Return a frontier on two offers."""
    return isocost.frontier(SMALL)


def test_a_thousand_draws_of_the_chosen_point(answer: FrontierResult) -> None:
    """Days and bill are the draws of the plan, the loss is that of the law's own draws, at the chosen point."""
    got, plan, chosen = answer.outcome, answer.plan, answer.chosen
    assert got is not None
    assert got.train_usd is not None
    assert got.loss is not None
    assert plan is not None
    assert plan.forecast is not None
    assert chosen is not None
    assert got.draws == 1000
    ends = [5.0, 50.0, 95.0]
    assert [got.days.low, got.days.median, got.days.high] == np.percentile(plan.forecast.days, ends).tolist()
    assert got.train_usd.median == chosen.train_usd
    assert got.days.median * 86400.0 == pytest.approx(chosen.run_s, rel=1e-12)
    surface = drawn(answer.joint.law, 1000)
    assert surface is not None
    losses = np.percentile(np.asarray(surface.loss(chosen.params, chosen.tokens)), ends)
    assert [got.loss.low, got.loss.median, got.loss.high] == pytest.approx(losses.tolist(), rel=1e-3)
    assert got.total_usd == got.train_usd
    assert got.budget_chance is not None
    assert 0.5 <= got.budget_chance < 0.56


def test_confidence_buys_fewer_tokens(answer: FrontierResult) -> None:
    """Limits that are to be kept in nine draws of ten leave fewer tokens, as many as keep them, and this is said."""
    sure = isocost.frontier(SMALL, confidence="90 %")
    assert sure.outcome is not None
    assert sure.chosen is not None
    assert answer.chosen is not None
    assert sure.outcome.budget_chance is not None
    assert 0.9 <= sure.outcome.budget_chance < 0.93
    assert sure.chosen.tokens < 0.8 * answer.chosen.tokens
    assert sure.sentence.endswith("bound by budget, kept with 90%")
    assert sure.to_dict()["limits"]["confidence_frac"] == 0.9


def test_a_deadline_is_kept_with_confidence() -> None:
    """Where time binds, nine draws of ten end in time."""
    found = isocost.frontier(SMALL, confidence="90 %", deadline="20 d", budget="2 MUSD")
    assert found.chosen is not None
    assert found.outcome is not None
    assert found.chosen.binds == "deadline"
    assert found.outcome.deadline_chance is not None
    assert 0.9 <= found.outcome.deadline_chance < 0.93


def test_a_law_without_covariance_has_no_interval() -> None:
    """The uncertainty of a law that publishes none is left out, and that is said."""
    found = isocost.frontier(SMALL, laws="hoffmann", gpus=64)
    assert found.outcome is not None
    assert found.outcome.loss is None
    assert "loss: no interval, as the covariance of" in " ".join(found.table().split())


def test_serving_does_not_pay_for_staff_and_failed_runs() -> None:
    """A token is served at the rent of a training step: people and failed runs on the bill do not make it dearer."""
    plain = isocost.frontier(SMALL, serve="1 T", gpus=64)
    staffed = {"programme": {"people": 50, "salary": "300 kUSD/year", "failed_runs": 1}}
    found = isocost.frontier({**SMALL, **staffed}, serve="1 T", gpus=64)
    usual, own = plain.chosen, found.chosen
    assert usual is not None
    assert own is not None
    assert own.tokens < usual.tokens
    assert own.serving_usd / own.params == pytest.approx(usual.serving_usd / usual.params, rel=0.1)
    chip_s = 2.0 * usual.params * 1e12 / (usual.mfu or 0.0) / 2.25e15  # at training's MFU of a B200's dense bf16
    assert usual.serving_usd == pytest.approx(chip_s / 3600.0 * 7.07, rel=0.2)


def test_power_is_a_limit(capsys: pytest.CaptureFixture[str]) -> None:
    """An offer that draws more than the cap is never chosen; where none draws less, the answer names the offers."""
    capped = isocost.frontier(SMALL, power_cap="150 kW", budget="2 MUSD")
    free = isocost.frontier(SMALL, budget="2 MUSD")
    assert {each.offer[:3] for each in capped.joint.line} == {"64 "}
    assert "128" in {each.offer[:3] for each in free.joint.line}
    assert run(["frontier", *FLAGS, "--power-cap", "1 kW"]) == 4
    assert "relax: the offers" in capsys.readouterr().out


def test_what_is_fixed_of_the_layout_is_kept() -> None:
    """A degree that the user fixes is that of the plan behind the answer."""
    found = isocost.frontier(SMALL, gpus=64, tp=4, recompute="full")
    assert found.plan is not None
    assert found.plan.chosen is not None
    assert (found.plan.chosen.tp, found.plan.chosen.recompute) == (4, "full")


def test_models_with_too_few_positions_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A model whose positions end before the sequence does is named and left out; with none left, it is an error."""
    family = {**SMALL, "gpus": 64, "frontier": {"family": ["gpt2", "llama-3.1-8b"]}}
    found = isocost.frontier(family, seq_len=4096)
    assert [each.architecture.name for each in found.joint.line] == ["llama-3.1-8b"]
    assert found.dropped == ("gpt2: left out, its positions end at 1,024, before the sequence of 4,096 tokens does",)
    assert found.dropped[0] in " ".join(found.table().split())
    assert run(["frontier", "--budget", "1 MUSD", "--family", "gpt2", "--seq-len", "4096"]) == 2
    assert "isocost: --family: gpt2: left out" in capsys.readouterr().err


def test_a_family_as_text_with_commas(tmp_path: Path) -> None:
    """In a scenario a family may be text with commas, its paths from the folder of the scenario."""
    for name in ("llama-3.1-8b", "llama-3.1-70b"):
        (tmp_path / name).mkdir()
        text = (ROOT / "examples" / "models" / name / "config.json").read_text(encoding="utf-8")
        (tmp_path / name / "config.json").write_text(text, encoding="utf-8")
    path = tmp_path / "a.toml"
    family = "llama-3.1-8b/config.json, llama-3.1-70b/config.json"
    path.write_text(f'budget = "2 MUSD"\non = "b200-sxm-180gb"\n[frontier]\nfamily = "{family}"\n', encoding="utf-8")
    found = isocost.frontier(path, gpus=128)
    assert [round(each.params / 1e9) for each in found.joint.line] == [8, 71]


@pytest.mark.parametrize(
    ("given", "flags", "name"),
    [
        ({"data": "-3 T"}, ["--data", "-3 T"], "data"),
        ({"serve": "-1 T"}, ["--serve", "-1 T"], "serve"),
        ({"laws": "none"}, ["--law", "none"], "law"),
        ({"loss_of": 1.2}, ["--loss-of", "1.2"], "loss-of"),
        ({"budget": "1 USD"}, ["--budget", "1 USD"], "budget"),
        ({"family": "gpt2", "experts": "8/64"}, ["--family", "gpt2", "--experts", "8/64"], "experts"),
    ],
)
def test_mistakes_have_the_name_that_their_writer_used(
    given: dict[str, object], flags: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In Python a problem names the argument, on the command line the flag."""
    with pytest.raises(InputError) as caught:
        isocost.frontier({"budget": "1 MUSD"} if "budget" not in given else None, **given)
    argument = "laws" if name == "law" else name.replace("-", "_")
    assert [problem.path for problem in caught.value.problems] == [argument]
    assert run(["frontier", *([] if "--budget" in flags else ["--budget", "1 MUSD"]), *flags]) == 2
    assert capsys.readouterr().err.startswith(f"isocost: --{name}: ")


def test_the_chart_is_one_of_lines_that_can_be_drawn(answer: FrontierResult) -> None:
    """Every encoded field is in every row, positive where its scale is a logarithm, and once at each size of a line.

    The whole was valid against the schema of Vega-Lite 5.20 on 2026-11-22.
    """
    made = answer.to_dict()["chart"]
    assert made["$schema"] == "https://vega.github.io/schema/vega-lite/v5.json"
    for layer in made["layer"]:
        rows, encoded = layer["data"]["values"], layer["encoding"]
        assert rows
        for channel in (each for name, each in encoded.items() if name != "tooltip"):
            assert all(channel["field"] in row for row in rows)
            if channel.get("scale") == {"type": "log"}:
                assert min(row[channel["field"]] for row in rows) > 0.0
        keys = [(row.get("line"), row["params"]) for row in rows]
        assert len(set(keys)) == len(keys)
    assert {layer["mark"]["type"] for layer in made["layer"]} == {"line", "point"}


def test_isoloss_lines_have_their_loss(answer: FrontierResult) -> None:
    """Each point of a contour has the loss that its label says."""
    law, rows = answer.joint.law, answer.to_dict()["chart"]["layer"][0]["data"]["values"]
    for row in rows[::17]:
        said = float(re.findall(r"[\d.]+", row["line"])[0])
        value = law.value("E") + law.value("A") / row["params"] ** law.value("alpha")
        assert value + law.value("B") / row["tokens"] ** law.value("beta") == pytest.approx(said, abs=6e-4)


def test_marginal_values_are_those_of_a_second_question(answer: FrontierResult) -> None:
    """What ten per cent more money is said to buy is what it buys when asked for."""
    (more,) = [each for each in answer.joint.marginals if each.more == "10 % more money"]
    again = isocost.frontier(SMALL, budget="220 kUSD").chosen
    assert again is not None
    assert answer.chosen is not None
    assert more.loss < 0.0
    assert more.loss == pytest.approx(again.loss - answer.chosen.loss, abs=1.5e-3)
    assert more.choice.total_usd == pytest.approx(220e3, rel=1e-9)


def test_a_scarce_set_of_data_is_worth_something() -> None:
    """With few unique tokens more of them lower the loss; a token price and a licence are lines of the bill."""
    given = {"data": "10 B", "token_price": "500 USD", "licence": "20 kUSD"}
    found = isocost.frontier(SMALL, gpus=64, **given)
    assert found.chosen is not None
    worth = {each.more: each.loss for each in found.joint.marginals}
    assert worth["10 % more data"] < -1e-3
    assert found.chosen.data_usd == pytest.approx(10 * 500 + 20e3, rel=1e-9)
    assert found.chosen.total_usd <= 200e3
    assert any("epochs over 10 B unique tokens" in note for note in found.joint.notes)


def test_the_calibration_of_a_user_is_used(tmp_path: Path) -> None:
    """With the multipliers of a user's own runs the steps of the plan are those of a plan with them."""
    path = tmp_path / "site.toml"
    assert run(["calibrate", str(ROOT / "examples" / "my_runs.csv"), "-o", str(path), "--quiet"]) == 0
    asked = {"budget": "100 kUSD", "on": "a100-sxm4-80gb", "gpus": 64, "stack": "internevo"}
    plain, own = isocost.frontier(asked), isocost.frontier(asked, calibration=str(path))
    assert own.chosen is not None
    assert plain.chosen is not None
    assert own.chosen.mfu != pytest.approx(plain.chosen.mfu, rel=0.02)
    assert own.plan is not None
    assert own.plan.question.calibration is not None


def test_the_best_size_is_uncertain_as_the_law_is(answer: FrontierResult) -> None:
    """Draws of the law spread the best size, about as they spread the optimum of the law alone."""
    got, chosen = answer.outcome, answer.chosen
    assert got is not None
    assert got.best_params is not None
    assert chosen is not None
    alone = optimum(answer.joint.law, 6.0 * chosen.params * chosen.tokens).params_interval
    assert alone is not None
    assert got.best_params.low < chosen.params < got.best_params.high
    ratio = alone.high / alone.low
    assert 0.6 * ratio < got.best_params.high / got.best_params.low < 1.7 * ratio


@pytest.mark.parametrize("more", [{}, {"serve": "2 T", "token_price": "20 USD"}, {"loss_of": 2.3, "experts": "8/64+1"}])
def test_the_recommended_model_has_a_plan_within_the_limits(more: dict[str, object]) -> None:
    """The scenario of an answer, asked of the planner, has the days and the bill of the answer, limits and all."""
    answer = isocost.frontier(dict(SMALL, frontier=more))
    chosen, tables = answer.chosen, answer.to_dict()["scenario"]
    assert chosen is not None
    assert ("serve" in more) == (chosen.serving_usd > 0.0)
    plan = isocost.plan(tables).answer
    assert plan.chosen is not None, plan.relaxations
    assert plan.chosen.cost_usd is not None
    assert plan.chosen.run_s == pytest.approx(chosen.run_s, rel=1e-12)
    assert plan.chosen.cost_usd.median == pytest.approx(chosen.train_usd, rel=1e-12)
    assert (plan.question.deadline_s, plan.question.seq_len) == (60 * 86400.0, 8192)


def test_the_recommended_model_is_written_as_a_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """'-o next.toml' writes what 'isocost plan next.toml' reads, and prints the answer with the shape to build."""
    target = tmp_path / "next.toml"
    assert run(["frontier", *FLAGS, "-o", str(target)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"\d+ layers of width [\d,]+, \d+ heads of 128, 8 key-value heads, gated feed-forward of", printed)
    asked = isocost.load_scenario(target)
    assert (asked.on, asked.precisions, asked.frontier) == (("b200-sxm-180gb",), ("bf16",), Frontier())
    assert asked.architecture is not None
    assert printed.startswith(f"{asked.architecture.name} on ")
    assert run(["plan", str(target)]) == 0
    days = re.search(r"[\d.]+ d \(", printed)
    assert days is not None
    assert days[0] in capsys.readouterr().out


def test_no_recommendation_is_no_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no model fits no file is written; the answer says what to relax, once; exit code 4."""
    target = tmp_path / "next.toml"
    assert run(["frontier", "--budget", "50 USD", "--on", "b200-sxm-180gb", "--gpus", "64", "-o", str(target)]) == 4
    printed = capsys.readouterr()
    assert printed.out.count("no model fits") == 1
    assert printed.err == ""
    assert not target.exists()


def test_the_recommended_point_is_one_point_everywhere(answer: FrontierResult) -> None:
    """Where more of something buys nothing, and as the first law's choice, the model is on the recommended tokens."""
    assert answer.chosen is not None
    free = [each for each in answer.joint.marginals if each.loss == 0.0]
    assert [each.choice for each in free] == [answer.chosen] * len(free)
    assert free
    beside = isocost.frontier(SMALL, laws="besiroglu,hoffmann")
    assert beside.others[0] == ("besiroglu", beside.chosen)


def test_eight_sizes_are_enough(answer: FrontierResult, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planning all sixty sizes with every layout recommends the same model, or one as good to 0.0001 nats."""
    monkeypatch.setattr("isocost.verbs.frontier.frontier.ANCHORS", 60)
    monkeypatch.setattr("isocost.verbs.frontier.frontier.COARSE", {})
    every = isocost.frontier(SMALL)
    assert answer.chosen is not None
    assert every.chosen is not None
    assert every.found.planner.asked >= 60 > 4 * answer.found.planner.asked
    assert answer.chosen.loss == pytest.approx(every.chosen.loss, abs=1e-4)
