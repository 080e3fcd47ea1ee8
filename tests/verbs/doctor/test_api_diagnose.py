"""The doctor in Python: the numbers of the command line, from a log, a scenario in any form, or a step time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from samples.measure_logs import LOGS, megatron

import isocost
from isocost.cli import run
from isocost.errors import InputError

RUN: Mapping[str, object] = {
    "model": "llama-3.1-8b", "tokens": "20 B", "on": "h100-sxm5-80gb", "gpus": 8, "stack": "megatron-core",
    "seq_len": 16384, "global_batch": 8, "tp": 2, "pp": 1, "cp": 1, "micro_batch": 1, "recompute": "none",
    "sharding": "zero1",
}  # fmt: skip


def test_the_same_as_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a scenario as file, mapping or record the figures are those that isocost doctor prints."""
    log, toml = tmp_path / "train.log", tmp_path / "run.toml"
    log.write_text("".join(megatron(step, 2.4) for step in range(1, 101)), encoding="utf-8")
    toml.write_text(
        "\n".join(f"{key} = {value if isinstance(value, int) else repr(value)}" for key, value in RUN.items()),
        encoding="utf-8",
    )
    assert run(["doctor", str(log), "--scenario", str(toml), "--format", "json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["measured"]["mfu"] > 0.3
    for scenario in (toml, RUN, isocost.load_scenario(toml)):
        found = json.loads(isocost.doctor(log, scenario=scenario).rendered("json"))
        assert {**found, "input": None} == {**printed, "input": None}
    changed = isocost.doctor(log, scenario=toml, recompute="full").to_dict()
    assert changed["measured"]["predicted_step_s"] > printed["measured"]["predicted_step_s"]


def test_without_a_scenario(tmp_path: Path) -> None:
    """A log alone gives its step time; columns of a table may be a mapping."""
    log, table = tmp_path / "train.log", tmp_path / "own.csv"
    log.write_text(LOGS["torchtitan"][1], encoding="utf-8")
    assert isocost.doctor(log).to_dict()["measured"]["step_s"]["p50"] == pytest.approx(2.0, rel=1e-6)
    table.write_text("it,dt\n" + "".join(f"{step},1500\n" for step in range(1, 40)), encoding="utf-8")
    found = isocost.doctor(table, columns={"step": "it", "step_ms": "dt"}).to_dict()
    assert found["measured"]["step_s"]["p50"] == 1.5


def test_a_step_time_does_instead(tmp_path: Path) -> None:
    """Seconds as a number and as text are the same run; nothing to read at all is an error."""
    number, text = (isocost.doctor(scenario=RUN, step_time=given).to_dict() for given in (2.4, "2.4 s"))
    assert number["measured"]["mfu"] == text["measured"]["mfu"]
    with pytest.raises(InputError, match="nothing to read"):
        isocost.doctor(scenario=RUN)
