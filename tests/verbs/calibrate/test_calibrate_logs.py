"""Calibration on logs: a log and the scenario of its run are a row of evidence, as good as one typed by hand."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from samples.measure_logs import megatron, torchtitan

import isocost
from isocost.catalog import load_catalog
from isocost.cli import run
from isocost.errors import InputError
from isocost.evidence.assume import Assumed, assume
from isocost.evidence.rows import run_of, runs_csv
from isocost.evidence.runs import read_runs
from isocost.perf.case import Case
from isocost.perf.constants import shipped
from isocost.perf.predict import step_times
from isocost.scenario import read_scenario
from isocost.scenario.question import question_of
from isocost.verbs.doctor.run import examined_run
from isocost.verbs.run_log import LOST_FRAC

CATALOG = load_catalog()
EXAMPLE = Path(__file__).parents[3] / "examples" / "my_runs.csv"
RUN: Mapping[str, object] = {
    "model": "llama-3.1-8b", "on": "h100-sxm5-80gb", "gpus": 8, "stack": "megatron-core", "precision": "bf16",
    "seq_len": 16384, "global_batch": 8, "tp": 1, "pp": 1, "cp": 1, "micro_batch": 1, "recompute": "none",
    "sharding": "zero1",
}  # fmt: skip


def _toml(path: Path, values: Mapping[str, object]) -> str:
    lines = (f"{key} = {value if isinstance(value, int) else repr(value)}" for key, value in values.items())
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def _log(path: Path, seconds: float) -> str:
    path.write_text("".join(megatron(step, seconds) for step in range(1, 31)), encoding="utf-8")
    return str(path)


def _case(**changes: object) -> Case:
    tables = {"tokens": "1 T", **{key: value for key, value in RUN.items() if key not in changes}, **changes}
    checked, catalog = read_scenario(tables)
    question, _ = question_of(checked, catalog, datetime.date.today())
    return examined_run(question, catalog, shipped(), 1.0).case


def test_a_log_is_a_row(tmp_path: Path) -> None:
    """The row has the steady step of the log, the layout and recipe of the scenario, and where it comes from."""
    log = _log(tmp_path / "train.log", 2.125)
    found = isocost.calibrate(log=log, scenario=RUN)
    (row,) = found.runs
    assert (row.id, row.source, row.step_s) == ("train", "train.log", 2.125)
    assert (row.recipe, row.accelerator, row.gpus, row.dp) == ("megatron-core", "h100-sxm5-80gb", 8, 8)
    assert (row.layers, row.hidden, row.kv_heads, row.seq_len, row.global_batch_seqs) == (32, 4096, 8, 16384, 8)
    assert (row.recompute, row.sharding, row.precision) == ("none", "zero1", "bf16")
    assert row.published_tflops_per_gpu == 71.4
    assert [(check.id, check.measured_s) for check in found.calibration.checks] == [("train", 2.125)]


def test_memory_comes_along(tmp_path: Path) -> None:
    """Peak memory and what it counts are in the row where the log prints them."""
    path = tmp_path / "titan.log"
    tokens = 16384 * 8  # a step of 2 s on 8 GPUs is 8,192 tokens/s/GPU
    lines = [torchtitan(step).replace("1,000", f"{tokens // 16:,}") for step in range(1, 31)]
    path.write_text("".join(lines), encoding="utf-8")
    (row,) = isocost.calibrate(log=path, scenario=RUN).runs
    assert row.peak_mem_gb == pytest.approx(24.1 * 2**30 / 1e9, rel=1e-6)
    assert (row.memory_definition, row.published_mfu) == ("reserved", 0.229)


def test_rows_that_are_kept_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What --rows-out writes is read back as the same runs, and gives the same calibration to the last digit."""
    scenario, rows = _toml(tmp_path / "run.toml", RUN), tmp_path / "rows.csv"
    logs = [_log(tmp_path / f"{name}.log", seconds) for name, seconds in (("a", 2.1), ("b", 2.2))]
    asked = ["calibrate", str(EXAMPLE), "--log", logs[0], "--log", logs[1], "--scenario", scenario]
    assert run([*asked, "--rows-out", str(rows), "-o", str(tmp_path / "one.toml"), "--name", "mine"]) == 0
    assert run(["calibrate", str(rows), "-o", str(tmp_path / "two.toml"), "--name", "mine"]) == 0
    table = read_runs(rows)
    assert [r.id for r in table.runs] == [*(f"run-{k}" for k in range(1, 7)), "a", "b"]
    assert (table.invalid, table.warnings) == ((), ())
    one, two = ((tmp_path / name).read_text("utf-8").replace("my_runs.csv, a.log, b.log", "rows.csv")
                for name in ("one.toml", "two.toml"))  # fmt: skip
    assert one == two
    capsys.readouterr()
    assert run([*asked, "--rows-out", str(rows)]) == 2
    assert "exists, and is left as it is" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model": "gemma-2-9b", "seq_len": 8192},
        {"model": "qwen3-30b-a3b", "ep": 8, "seq_len": 4096, "sharding": "zero3"},
        {"model": "deepseek-v2-lite", "ep": 4, "seq_len": 4096},
        {"stack": "torchtitan", "compiled": False, "gradient_precision": "bf16", "sharding": "zero3"},
        {"cuda_graphs": True, "norm_kernel": "eager", "attention_kernel": "flash3", "tp": 2, "tp_overlap": True},
        {"stack": "maxtext-gpu", "precision": "fp8", "pp": 2, "vp": 1, "schedule": "1f1b", "micro_batch": 2},
    ],
    ids=str,
)
def test_a_row_is_its_case(changes: dict[str, object], tmp_path: Path) -> None:
    """The case that a row is assumed to be predicts the step of the case that it was written from."""
    case = _case(**changes)
    path = tmp_path / "rows.csv"
    path.write_text(runs_csv([run_of(case, id="x", step_s=1.0)]), encoding="utf-8")
    table = read_runs(path)
    assert table.invalid == ()
    found = assume(table.runs[0], CATALOG)
    assert isinstance(found, Assumed)
    again, first = np.asarray(step_times([found.case, case], shipped()).total_s)
    assert again == pytest.approx(first, rel=LOST_FRAC)


def test_everything_that_is_missing_at_once(tmp_path: Path) -> None:
    """A scenario that leaves the run open is refused, with each of the open keys and what to write."""
    log = _log(tmp_path / "train.log", 2.0)
    with pytest.raises(InputError) as caught:
        isocost.calibrate(
            log=log, scenario={"model": "qwen3-30b-a3b", "on": "h100-sxm5-80gb", "gpus": [8, 16], "pp": 2}
        )
    wrong = {problem.path.removeprefix("scenario: "): problem.message for problem in caught.value.problems}
    missing = ("stack", "precision", "seq_len", "global_batch", "tp", "cp", "micro_batch", "recompute", "sharding",
               "vp", "schedule", "ep")  # fmt: skip
    assert wrong == {
        "gpus": "has 2 values: a run has one",
        **dict.fromkeys(missing, "is missing: evidence is of one run, whole"),
    }


def test_a_log_of_another_run_is_refused(tmp_path: Path) -> None:
    """Where log and scenario differ in what both say, the two figures are named."""
    log = tmp_path / "train.log"
    head = "using world size: 16\n  num_layers ................ 80\n"
    log.write_text(head + "".join(megatron(step, 2.0) for step in range(1, 31)), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        isocost.calibrate(log=log, scenario=RUN)
    assert [problem.message for problem in caught.value.problems] == [
        "is of another run: gpus is 16 in it and 8 in scenario",
        "is of another run: layers is 80 in it and 32 in scenario",
    ]


def test_a_step_faster_than_the_chip_is_refused(tmp_path: Path) -> None:
    """A step time that the peak of the chip does not allow is no evidence."""
    with pytest.raises(InputError, match=r"fast\.log: step_s is 0\.2 s"):
        isocost.calibrate(log=_log(tmp_path / "fast.log", 0.2), scenario=RUN)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "there is nothing to calibrate on"),
        (["--scenario", "run.toml"], "has no log"),
        (
            ["--log", "a", "--log", "b", "--log", "c", "--scenario", "x", "--scenario", "y"],
            "is given 2 times for 3 logs",
        ),
        (["--log", "a"], "is given 0 times for 1 log"),
    ],
    ids=str,
)
def test_logs_and_scenarios_go_in_pairs(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A log without a scenario, or the other way round, is one line and exit code 2."""
    assert run(["calibrate", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_two_logs_of_one_name_are_two_rows(tmp_path: Path) -> None:
    """Rows keep an id of their own."""
    (tmp_path / "x").mkdir()
    logs = [_log(tmp_path / "train.log", 2.0), _log(tmp_path / "x" / "train.log", 2.1)]
    found = isocost.calibrate(log=logs, scenario=RUN)
    assert [(row.id, row.step_s) for row in found.runs] == [("train", 2.0), ("train-2", 2.1)]


def test_what_the_format_cannot_hold_is_said(tmp_path: Path) -> None:
    """A model with something that no column holds is calibrated on, with a note of what its row is off by."""
    case = _case()
    block = dataclasses.replace(case.architecture.blocks[0], v_head_dim=256)
    table = {**dataclasses.asdict(case.architecture), "blocks": [dataclasses.asdict(block)]}
    scenario = {key: value for key, value in RUN.items() if key != "model"} | {"architecture": table}
    found = isocost.calibrate(log=_log(tmp_path / "train.log", 2.1), scenario=scenario)
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith(
        "train: the evidence format has no column for something of llama-3.1-8b: its row"
    )
