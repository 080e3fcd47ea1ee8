"""Plans and estimates on the command line: what an answer says, in every format, feasible or not."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from samples.small_plan import SMALL, small_plan

import isocost
from isocost.cli import run


@pytest.fixture
def small() -> dict[str, Any]:
    """Return the JSON of a small plan."""
    return small_plan()


def test_the_answer_comes_in_the_order_of_a_readers_questions(capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, the frontier with the chosen row marked, days and bill, the other choices, why, assumptions."""
    assert run(["plan", *SMALL, "--show", "all"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("64 x H100 SXM5 80GB at $")
    first, *sections = [part.partition("\n")[0] for part in text.split("\n\n")]
    assert "bound by " in first
    order = ["Frontier", "The whole run", "Near-optimal", "Layouts", "Where its time goes", "The bill", "What moves it"]
    order += ["Beside this bill"]
    order += ["Step time", "Memory", "What it needs", "How sure", "Assumptions", "Not modelled"]
    assert [next(k for k in order if section.startswith(k)) for section in sections] == order
    assert sum(line.startswith("  * h100-sxm5-80gb") for line in text.splitlines()) == 1
    assert "interruptions" in text


def test_json_has_the_promised_keys(small: dict[str, Any]) -> None:
    """All keys that programs rely on are there, with units in their names."""
    promised = {"schema_version", "inputs", "chosen", "frontier", "alternatives", "rejected", "search", "assumptions"}
    assert promised | {"not_modelled"} <= set(small)
    assert set(small["search"]) >= {"layouts_evaluated", "seconds"}
    assert small["inputs"]["tokens"] == 1e11
    assert all({"name", "value", "source", "as_of"} <= set(note) for note in small["assumptions"])
    assert sum(small["rejected"].values()) <= small["search"]["layouts_considered"]


def test_parts_add_up(small: dict[str, Any]) -> None:
    """The waterfall sums to the step, the memory stack to the peak, and days follow from steps."""
    chosen = small["chosen"]
    assert sum(chosen["step_time"].values()) == pytest.approx(chosen["step_s"], rel=1e-9)
    assert sum(chosen["memory"].values()) == pytest.approx(chosen["peak_bytes"], rel=1e-9)
    assert chosen["steps"] * chosen["step_s"] == pytest.approx(chosen["compute_s"], rel=1e-12)
    whole = small["whole_run"]
    assert sum(whole["buckets"].values()) == pytest.approx(chosen["run_s"], rel=1e-9)
    assert sum(whole["bill"].values()) == pytest.approx(chosen["cost_usd_median"], rel=1e-9)
    assert whole["quantiles"]["days"]["p50"] == pytest.approx(chosen["days"], rel=1e-9)
    assert chosen["gpus"] == chosen["tp"] * chosen["pp"] * chosen["cp"] * chosen["dp"] == 64


def test_every_figure_has_its_interval(small: dict[str, Any]) -> None:
    """Every figure that rests on step time or memory lies inside its interval, in the plan and on the frontier."""
    figures = ("step_s", "run_s", "days", "gpu_hours", "tokens_per_s_per_gpu", "mfu", "mfu_16bit", "peak_bytes")
    for plan in (small["chosen"], *small["frontier"], *(row["plan"] for row in small["alternatives"])):
        for name in (*figures, "energy_j"):
            assert plan[f"{name}_low"] < plan[name] < plan[f"{name}_high"], name
        for name in ("price_usd", "cost_usd", "energy_usd"):
            assert plan[f"{name}_low"] < plan[f"{name}_median"] < plan[f"{name}_high"], name
        assert plan["step_s_high"] / plan["step_s"] == pytest.approx(plan["certainty"]["step_s_high_ratio"], rel=1e-12)
        assert plan["days_high"] / plan["days"] > plan["certainty"]["step_s_high_ratio"]  # interruptions add to it
        assert plan["mfu"] / plan["mfu_low"] == pytest.approx(plan["certainty"]["step_s_high_ratio"], rel=1e-12)


def test_the_answer_says_how_sure_it_is(small: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Class, runs behind its errors and what narrows it, in text and JSON; a limit missed at the far end is named."""
    sure = small["how_sure"]
    assert [row["name"] for row in sure["classes"]] == small["chosen"]["certainty"]["classes"] == ["new site"]
    assert sure["classes"][0]["narrowed_by"] == "two multi-node step times on this fabric"
    assert sure["rows"] > 1000
    assert (sure["memory_recipe_assumed"], sure["missed_at_the_far_end"]) == (False, [])
    tight = f"{small['chosen']['run_s'] * 1.01 / 3600:.4f} h"
    assert run(["plan", *SMALL, "--deadline", tight, "--show", "certainty"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "How sure class: new site (the machines and their network are not among those measured)" in text
    assert "deadline: met as predicted, missed at the far end" in text


def test_flags_override_the_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key given in both places is taken from the flag."""
    scenario = tmp_path / "s.toml"
    scenario.write_text('model = "gpt2"\ntokens = "1 B"\ngpus = 8\nseq_len = 512\n', encoding="utf-8")
    assert run(["plan", str(scenario), *SMALL, "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["inputs"]["gpu_counts"] == [64]
    assert values["inputs"]["scenario"]["architecture"]["name"] == "llama-3.1-8b"


def test_csv_is_the_frontier(small: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """CSV has one row a plan of the frontier, unrounded, with units in the header."""
    assert run(["plan", *SMALL, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == len(small["frontier"])
    assert float(rows[0]["step_s"]) == small["frontier"][0]["step_s"]
    assert float(rows[0]["cost_usd_median"]) == small["frontier"][0]["cost_usd_median"]


@pytest.mark.parametrize(("form", "start"), [("md", "**64 x H100"), ("html", "<p><strong>64 x H100")])
def test_markdown_and_html_start_with_the_answer(form: str, start: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every format says the sentence first."""
    assert run(["plan", *SMALL, "--format", form]) == 0
    assert capsys.readouterr().out.startswith(start)


def test_estimate_is_for_the_layout_given(capsys: pytest.CaptureFixture[str]) -> None:
    """An estimate keeps what was given, whatever the deadline."""
    assert run(["estimate", *SMALL, "--tp", "2", "--pp", "2", "--micro-batch", "1", "--format", "json"]) == 0
    chosen = json.loads(capsys.readouterr().out)["chosen"]
    assert (chosen["tp"], chosen["pp"], chosen["micro_batch"]) == (2, 2, 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", *SMALL, "--deadline", "1 min"], "deadline +"),
        (["plan", *SMALL, "--budget", "1 USD"], "budget +"),
        (["plan", "--model", "llama-3.1-405b", "--tokens", "1 T", "--on", "l4-24gb", "--gpus", "1"], "needs "),
        (["estimate", *SMALL, "--tp", "7"], "leave tp open"),
        (["plan", *SMALL, "--gpus", "67"], "GPUs"),
    ],
    ids=["deadline", "budget", "memory", "illegal", "prime"],
)
def test_infeasible_is_an_answer(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 4, a first line that says why and names the nearest way out, and where the rest is."""
    assert run(arguments) == 4
    text = capsys.readouterr().out
    assert text.startswith(("No plan: ", "No estimate: "))
    assert said in text.partition("\n")[0]
    assert "\n\nmore: --show with any of " in text


def test_infeasible_says_so_on_the_terminal_when_the_answer_goes_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With -o the file holds the answer, and one line on standard error says that there is no plan."""
    path = tmp_path / "plan.json"
    assert run(["plan", *SMALL, "--deadline", "1 min", "-o", str(path)]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("isocost: No plan: ")
    values = json.loads(path.read_text(encoding="utf-8"))
    assert values["chosen"] is None
    assert values["relaxations"]
    assert run(["explain", str(path)]) == 2


def test_a_prime_number_of_gpus_works_where_the_batch_divides(capsys: pytest.CaptureFixture[str]) -> None:
    """97 GPUs train a small model on a batch of 97."""
    assert run(["plan", *SMALL, "--gpus", "97", "--global-batch", "97", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["chosen"]["dp"] == 97


def test_python_and_command_line_agree(small: dict[str, Any]) -> None:
    """The same question in Python gives the same plan, and shows itself in a notebook."""
    plan = isocost.plan(
        model="llama-3.1-8b", tokens="100 B", on=["h100-sxm5-80gb"], gpus=64, seq_len=4096, global_batch=512,
        stack="megatron-core",
    )  # fmt: skip
    assert plan.to_dict()["chosen"] == small["chosen"]
    assert plan._repr_html_().startswith("<p><strong>64 x H100")
    assert isocost.explain(plan).to_dict()["tree"]["value"] == pytest.approx(small["chosen"]["step_s"], rel=1e-9)
    assert plan.scenario.gpu_counts == (64,)
