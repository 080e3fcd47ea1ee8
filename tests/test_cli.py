"""The command line: answers, formats, exit codes, files, and what must never happen."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import isocost
from isocost.cli import output, run

ROOT = Path(__file__).parents[1]
EDGES = ROOT / "tests" / "edges"
SNAPSHOT = runpy.run_path(str(EDGES / "snapshot.py"))
EXPECTED: dict[str, Any] = json.loads((EDGES / "snapshots.json").read_text(encoding="utf-8"))
VERBS = ("plan", "estimate", "explain", "model", "validate", "catalog")
SMALL = ["--model", "llama-3.1-8b", "--tokens", "100 B", "--on", "h100-sxm5-80gb", "--gpus", "64", "--seq-len", "4096"]
SMALL += ["--global-batch", "512", "--stack", "megatron-core"]


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    """Return the JSON of a small plan."""
    buffer = io.StringIO()
    stdout, sys.stdout = sys.stdout, buffer
    try:
        assert run(["plan", *SMALL, "--format", "json"]) == 0
    finally:
        sys.stdout = stdout
    values: dict[str, Any] = json.loads(buffer.getvalue())
    return values


@pytest.mark.parametrize("name", sorted(SNAPSHOT["cases"]()))
def test_malformed_input(name: str) -> None:
    """One line for each problem with place, value and fix; exit code 2; nothing on standard output; no traceback."""
    found = SNAPSHOT["outcome"](SNAPSHOT["cases"]()[name])
    assert found == EXPECTED[name]
    assert found["code"] == 2
    assert found["stdout"] == ""
    assert all(line.startswith("isocost: ") for line in found["stderr"])


def test_no_snapshot_is_left_over() -> None:
    """Every snapshot belongs to a case."""
    assert set(EXPECTED) == set(SNAPSHOT["cases"]())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["pln"], "pln"), (["plan", "--modle", "gpt2"], "--modle"), (["plan", "--model"], "--model"), (["model"], "NAME")],
)
def test_usage_errors_are_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong verb, flag or missing value: exit code 2 and one line that points to the help."""
    assert run(arguments) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "--help" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["-h"],
        *([verb, "--help"] for verb in ("plan", "estimate", "explain", "model", "validate", "catalog")),
    ],
    ids=" ".join,
)
def test_help_teaches(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every verb has a help with an example."""
    assert run(arguments) == 0
    out = capsys.readouterr().out
    assert "Example: isocost" in out or "Start with: isocost plan" in out


def test_help_needs_none_of_the_heavy_libraries() -> None:
    """Help and version come without numpy and pydantic, which take longer to import than all the rest."""
    code = (
        "import sys; from isocost.cli import run; run(['--help']); run(['--version']);"
        "assert not {'numpy', 'pydantic'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert isocost.__version__ in done.stdout


def test_the_answer_comes_in_the_order_of_a_readers_questions(capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, the frontier with the chosen row marked, the rejected, time, memory, assumptions, not modelled."""
    assert run(["plan", *SMALL]) == 0
    text = capsys.readouterr().out
    assert text.startswith("64 x H100 SXM5 80GB at $")
    first, *sections = [part.partition("\n")[0] for part in text.split("\n\n")]
    assert "bound by " in first
    order = ["Frontier", "Near-optimal", "Layouts", "The whole run", "Where its time goes", "The bill", "What moves it"]
    order += ["Beside this bill"]
    order += ["Step time", "Memory", "How sure", "Assumptions", "Not modelled"]
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
    assert run(["plan", *SMALL, "--deadline", tight]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "How sure class: new site (the machines and their network are not among those measured)" in text
    assert "deadline: met as predicted, missed at the far end" in text


def test_estimate_explains_its_constants(capsys: pytest.CaptureFixture[str]) -> None:
    """With --explain: terms, and every constant that moves the step with value, prior, spread and runs."""
    assert run(["estimate", *SMALL, "--explain", "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    explained = values["explanation"]
    assert explained["tree"]["value"] == pytest.approx(values["chosen"]["step_s"], rel=1e-9)
    fitted = next(node for node in explained["tree"]["children"] if node["name"] == "fitted coefficients")
    products = {node["name"]: node["value"] for node in fitted["children"]}
    rows = explained["constants"]
    assert len(rows) > 10
    for name in {row["coefficient"] for row in rows}:
        own = [row for row in rows if row["coefficient"] == name]
        assert [row["level"] == "" for row in own] == [True, *[False] * (len(own) - 1)]
        assert math.prod(row["value"] for row in own) == pytest.approx(products[name], rel=1e-12)
    rate = next(row for row in rows if row["coefficient"] == "sustained_frac")
    assert -1 < rate["step_elasticity"] < -0.3  # a faster matrix rate shortens most of a step
    assert 0 < rate["posterior_sd_ln"] <= rate["prior_sd_ln"]
    assert rate["rows"] > 1000
    assert run(["estimate", *SMALL]) == 0
    assert "Fitted constants" not in capsys.readouterr().out
    assert run(["estimate", *SMALL, "--explain"]) == 0
    assert "Fitted constants of this step" in capsys.readouterr().out


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
    """Exit code 4, a first line that says why and names the nearest way out, and the rest of the report."""
    assert run(arguments) == 4
    text = capsys.readouterr().out
    assert text.startswith(("No plan: ", "No estimate: "))
    assert said in text.partition("\n")[0]
    assert "Not modelled" in text


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


@pytest.mark.parametrize(
    ("topic", "value"), [("step_time", "step_s"), ("memory", "peak_bytes"), ("cost", "cost_usd_median")]
)
def test_explain_gives_the_same_number(
    topic: str, value: str, small: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tree's root is the plan's number, evaluated again from the file; its first parts add up to it."""
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(small), encoding="utf-8")
    assert run(["explain", str(path), topic, "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["tree"]["value"] == pytest.approx(small["chosen"][value], rel=1e-9)
    if topic != "cost":
        unit = values["tree"]["unit"]
        parts = [node["value"] for node in values["tree"]["children"] if node["unit"] == unit]
        assert sum(parts) == pytest.approx(values["tree"]["value"], rel=1e-9)
    assert values["sources"]


def test_explain_shows_formulas_inputs_and_sources(
    small: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The text names the matrix products, their shapes with units, and the bibliography."""
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(small), encoding="utf-8")
    assert run(["explain", str(path)]) == 0
    text = capsys.readouterr().out
    assert "gemm_s of query, key and value, forward = " in text
    assert "gemm_s of the head, gradient of the weights = " in text
    assert "rate_flop_per_s = " in text
    assert "fitted coefficients" in text
    assert "[korthikanti2022] Korthikanti" in text
    assert "latent" not in text  # the model has no latent attention
    assert "grouped_gemm_s" not in text  # and no experts


def test_catalog_check_can_fail_a_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --strict findings are information, with it they are exit code 1."""
    assert run(["catalog", "check", "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("kind,subject,message\n")
    assert run(["catalog", "check", "--strict"]) == 1


@pytest.mark.parametrize("kind", ["accelerators", "nodes", "fabrics", "offers", "rates", "stacks", "models"])
def test_catalog_lists_every_kind_in_every_format(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Text, JSON and CSV have the same number of entries."""
    counts = []
    for form in ("table", "json", "csv"):
        assert run(["catalog", "list", kind, "--format", form]) == 0
        out = capsys.readouterr().out
        counts.append(len(json.loads(out)[kind]) if form == "json" else len(out.splitlines()))
    table, plain, rows = counts
    assert table - 2 == plain == rows - 1 > 0


@pytest.mark.parametrize("name", ["h100-sxm5-80gb", "hgx-h100-8", "ib-400", "pue.air", "megatron-core", "gpt2"])
def test_catalog_shows_provenance(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every entry says as of when it is, how it is known, and where it is from."""
    assert run(["catalog", "show", name]) == 0
    assert "Where it is from\n  as of 20" in capsys.readouterr().out


def test_own_prices_lie_over_the_shipped_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A private quote of another term prices the accelerators of the plan at that quote."""
    quotes = tmp_path / "quotes.toml"
    quotes.write_text(
        '[[offer]]\naccelerator = "h100-sxm5-80gb"\nprovider = "us"\nregion = "any"\ninstance = "8 x H100"\n'
        'gpus_per_instance = 8\nterm = "quote"\nprice = "1 USD/gpu/h"\nsource = "our quote"\nas_of = "2026-05"\n'
        'grade = "reported"\n',
        encoding="utf-8",
    )
    assert run(["plan", *SMALL, "--catalog", str(quotes), "--term", "quote", "--format", "json"]) == 0
    chosen = json.loads(capsys.readouterr().out)["chosen"]
    assert chosen["price_usd_median"] == pytest.approx(chosen["gpu_hours"], rel=1e-9)
    assert chosen["gpu_hours"] < chosen["cost_usd_median"] < 1.2 * chosen["gpu_hours"]  # staff, storage, traffic


def test_model_prints_what_was_promised(capsys: pytest.CaptureFixture[str]) -> None:
    """Parameters, active parameters, layers, FLOPs per token by operator forward and backward, bytes of state."""
    assert run(["model", str(ROOT / "examples/models/llama-3.1-70b/config.json"), "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["params"], values["layers"]) == (70_553_706_496, 80)
    assert values["active_params"] == values["params"]
    forward, backward = (values["flop_per_token"]["causal"][phase] for phase in ("forward", "backward"))
    assert backward["total"] == 2 * forward["total"] > 0
    assert values["state_bytes"]["total"] == 16 * values["params"]


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    """A failed write leaves the old file and no other; a good one replaces it and keeps its permissions."""
    path = tmp_path / "plan.json"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o640)
    with pytest.raises(UnicodeEncodeError):
        output._replace(path, "half \ud800")
    assert path.read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["plan.json"]
    assert run(["model", "gpt2", "-o", str(path)]) == 0
    assert json.loads(path.read_text(encoding="utf-8"))["name"] == "gpt2"
    assert path.stat().st_mode & 0o777 == 0o640


def test_the_name_of_the_file_says_the_format(tmp_path: Path) -> None:
    """Without --format, .csv is CSV; with it, the flag wins."""
    path = tmp_path / "flop.csv"
    assert run(["model", "gpt2", "-o", str(path)]) == 0
    assert path.read_text(encoding="utf-8").startswith("operator,")
    assert run(["model", "gpt2", "-o", str(path), "--format", "md"]) == 0
    assert path.read_text(encoding="utf-8").startswith("**gpt2")


def test_a_link_is_written_through(tmp_path: Path) -> None:
    """Writing to a symbolic link replaces the file it points to, and the link stays."""
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old", encoding="utf-8")
    link.symlink_to(target)
    assert run(["model", "gpt2", "-o", str(link)]) == 0
    assert link.is_symlink()
    assert json.loads(target.read_text(encoding="utf-8"))["name"] == "gpt2"


def test_a_defect_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An unexpected exception is exit code 3 and one line that says how to report it."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr("isocost.api.model_summary", broken)
    monkeypatch.delenv("ISOCOST_DEBUG", raising=False)
    assert run(["model", "gpt2"]) == 3
    err = capsys.readouterr().err
    assert err.startswith("isocost: internal error: ZeroDivisionError: division by zero at test_cli.py:")
    assert "report this line" in err
    assert err.count("\n") == 1


def test_interruption_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C is exit code 130 and a clean line."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("isocost.api.model_summary", interrupted)
    assert run(["model", "gpt2"]) == 130
    assert capsys.readouterr().err.strip() == "isocost: interrupted"


def test_a_signal_leaves_no_traceback() -> None:
    """SIGINT in the middle of a search ends it with 130 and one line."""
    command = [sys.executable, "-m", "isocost", "plan", "examples/llama-3.1-405b.toml", "--gpus", "8..65536"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(1.5)  # under load, imports alone take most of a second
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130)  # 0: the machine was faster than the signal
    assert "Traceback" not in err


def test_a_reader_that_goes_away_is_no_error() -> None:
    """``isocost ... | head -1`` ends quietly."""
    command = f"{sys.executable} -m isocost catalog list offers --format json | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "{\n"
    assert done.stderr == ""


def test_colour_only_on_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line is bold on a terminal, and plain with NO_COLOR, on a dumb terminal, in a pipe, and in JSON."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert output.bold_lead("answer\nrest") == "answer\nrest"
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert output.bold_lead("answer\nrest") == "\033[1manswer\033[0m\nrest"
    assert output.bold_lead("{\n}") == "{\n}"
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.bold_lead("answer\nrest") == "answer\nrest"


def test_the_public_names_are_these() -> None:
    """At most 40 names, each of which exists; a change of the list is a decision."""
    assert len(isocost.__all__) <= 40
    assert {name for name in isocost.__all__ if name != "__version__"} == set(isocost._HOMES)
    assert all(getattr(isocost, name) is not None for name in isocost.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        isocost.nothing  # noqa: B018


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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"precision": "fp7"}, "precision"),
        ({"schedule": None}, "schedule"),
        ({"tp": 0}, "tp"),
        ({"tp": "8"}, "tp"),
        ({"gpus": 10**15}, "gpus"),
        ({"dp": 63}, "tp x pp x cp x dp"),
        ({"sequence_parallel": 1}, "sequence_parallel"),
        ({"fabric": "ib-800"}, "ib-800"),
    ],
    ids=str,
)
def test_a_plan_that_was_edited_is_refused(
    changes: dict[str, object], said: str, small: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plan file whose chosen layout cannot be is one line and exit code 2."""
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(small | {"chosen": small["chosen"] | changes}), encoding="utf-8")
    assert run(["explain", str(path)]) == 2
    assert said in capsys.readouterr().err
