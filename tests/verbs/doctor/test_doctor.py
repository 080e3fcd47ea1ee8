"""isocost doctor without a scenario: what it answers, in which keys; and the page about it, all of it."""

from __future__ import annotations

import gzip
import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples.measure_logs import LOGS, megatron_2021
from samples.measure_traces import step_events, write_trace

from isocost.cli import run

PAGE = Path(__file__).parents[3] / "docs" / "doctor.md"
KEYS = ["schema_version", "input", "measured", "waterfall", "levers", "best_combination", "unknown", "document"]


def _json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(["doctor", *arguments, "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the log of the page: 2021's Megatron, 30 steps of 2 s, the first of 6 s."""
    path = tmp_path / "train.log"
    path.write_text(LOGS["megatron_2021"][1], encoding="utf-8")
    return path


def test_the_keys_of_the_json(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A program finds input, measured, and null for what needs a scenario, with the reason in unknown."""
    found = _json([str(log)], capsys)
    assert list(found) == KEYS
    assert {name: found["input"][name] for name in ("format", "lines", "steps_seen", "steps_used", "dropped")} == {
        "format": "megatron", "lines": 30, "steps_seen": 30, "steps_used": 29, "dropped": {"warm-up": 1},
    }  # fmt: skip
    assert found["measured"]["step_s"] == {"p05": 2.0, "p50": 2.0, "p95": 2.0}
    assert (found["waterfall"], found["levers"], found["best_combination"]) == (None, None, None)
    assert "--scenario run.toml" in found["unknown"][-1]


@pytest.mark.parametrize("name", sorted(LOGS))
@pytest.mark.parametrize("form", ["table", "csv", "md", "html"])
def test_every_format_is_shown_in_every_form(
    name: str, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each log is answered in each output format."""
    path = tmp_path / "train.log"
    path.write_text(LOGS[name][1], encoding="utf-8")
    assert run(["doctor", str(path), "--format", form]) == 0
    out = capsys.readouterr().out
    assert LOGS[name][0] in out or form == "csv"
    assert "step time" in out


def test_a_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A trace is known as one, whatever its name, and answers in the same keys."""
    step = {"ph": "X", "cat": "user_annotation", "name": "ProfilerStep#1", "ts": 0, "dur": 1000}
    kernel = {"ph": "X", "cat": "kernel", "name": "ampere_sgemm_128x64_nn", "ts": 100, "dur": 400}
    path = tmp_path / "rank0.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"traceEvents": [step, kernel]}).encode()))
    found = _json([str(path)], capsys)
    assert list(found) == KEYS
    assert (found["input"]["format"], found["input"]["steps_used"]) == ("kineto", 1)
    assert found["measured"]["step_s"] == {"p05": 0.001, "p50": 0.001, "p95": 0.001}
    assert found["measured"]["ranks"][0]["compute_s"] == pytest.approx(4e-4, rel=1e-12)
    other = tmp_path / "rank1.json.gz"
    other.write_bytes(path.read_bytes())
    assert run(["doctor", str(path), str(other)]) == 0
    assert "40.0% compute" in capsys.readouterr().out


def test_what_is_readable_is_used_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cut file is answered, with a note and exit code 0."""
    data = gzip.compress("".join(megatron_2021(step, 2.0 + step % 7 / 1e3) for step in range(1, 2001)).encode())
    path = tmp_path / "cut.gz"
    path.write_bytes(data[: len(data) // 2])
    assert run(["doctor", str(path)]) == 0
    assert "the gzip file is cut off" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.log"], "cannot be read"),
        (["empty.log"], "is empty"),
        (["noise.log"], "no line that looks like a training step"),
        (["train.log", "--format-of", "megtron"], "did you mean megatron?"),
        (["train.log", "--columns", "step"], "is not KEY=NAME"),
        (["train.log", "train.log", "train.log"], "one log too many"),
        (["train.log", "--against", "rank0.json"], "is a log where the other run has a trace, or the reverse"),
        (["rank0.json", "rank0.json", "rank0.json"], "is no other rank of the same run"),
        (["."], "is a directory"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_what_is_not_is_one_line_and_code_2(
    arguments: list[str], said: str, log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unreadable input is one message on standard error, exit code 2, nothing on standard output."""
    monkeypatch.chdir(log.parent)
    Path("empty.log").touch()
    Path("noise.log").write_text("hello\n" * 20)
    write_trace(Path("rank0.json"), step_events({"matrix products": 1.0}))
    assert run(["doctor", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert len(captured.err.splitlines()) == 1


def test_events_are_written(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--events-out writes what was no healthy step, as CSV."""
    out = log.parent / "events.csv"
    assert run(["doctor", str(log), "--events-out", str(out), "--quiet"]) == 0
    assert out.read_text().splitlines() == [
        "start,end,node,cause,bucket,what,step,duration_s,line",
        "1970-01-01T00:00:02,1970-01-01T00:00:06,,,start_up_s,first steps and compilation,1,4.0,1",
    ]
    assert capsys.readouterr().err == ""


# A step of the page's run, one of two ranks, with a data loader that is too slow.
PARTS = {
    "matrix products": 32.0, "attention": 4.0, "norms and elementwise": 5.0, "optimizer": 0.1, "tp": 14.0,
    "data stalls": 6.0, "host": 0.5,
}  # fmt: skip
TENSOR = {"Collective name": "allreduce", "In msg nelems": 8, "Group size": 8, "dtype": "BFloat16",
          "Process Group Description": "mesh_tp"}  # fmt: skip


def _page_files(folder: Path) -> None:
    """Write the files that the page speaks of."""
    (folder / "own.csv").write_text("it,dt\n" + "".join(f"{step},2000\n" for step in range(1, 20)))
    draws = np.random.default_rng(0)
    for name, mean in (("run", 58.0), ("old", 60.0), ("new", 54.0)):
        times = mean * (1.0 + (0.0 if name == "run" else 0.02) * draws.standard_normal(200))
        if name == "new":
            times[20::20] += 120.0
        text = "".join(megatron_2021(step, time) for step, time in enumerate(times, 1))
        (folder / f"{name}.log").write_text(text.replace("size:     8", "size:    64"), encoding="utf-8")
    (folder / "stops.log").write_text("".join(megatron_2021(n, 20.0) for n in (*range(1, 801), *range(751, 1601))))
    slow = PARTS | {"matrix products": 34.0, "tp": 12.0}
    for name, parts, rank in (("rank0", PARTS, 0), ("rank1", slow, 1), ("before", PARTS | {"host": 9.0}, 0)):
        events = [
            event for n in range(3) for event in step_events(parts, {"tp": TENSOR}, 1e6 * n * sum(parts.values()), n)
        ]
        write_trace(folder / f"{name}.json", events, rank, 8, "NVIDIA B200")


def test_the_page(log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command of the page runs on the files it describes, Python examples too; the shown answers are theirs."""
    monkeypatch.chdir(log.parent)
    (log.parent / "examples").symlink_to(PAGE.parents[1] / "examples")
    _page_files(log.parent)
    text = PAGE.read_text(encoding="utf-8")
    (scenario,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (log.parent / "run.toml").write_text(scenario, encoding="utf-8")
    commands = [
        line.strip() for line in text.splitlines() if line.strip().startswith(("isocost doctor", "isocost good"))
    ]
    assert len(commands) >= 4
    answers = {}
    for command in commands:
        assert run(shlex.split(command)[1:]) == 0, command
        answers[command] = capsys.readouterr().out
    shown = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    assert answers["isocost doctor train.log"] == shown[0]
    assert answers["isocost doctor old.log new.log"] in shown
    traced = answers["isocost doctor rank0.json rank1.json --scenario run.toml"].split("\n\n")
    assert next(part for part in traced if part.startswith("The trace beside the model")) + "\n" in shown
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "example", "exec"), {})
        assert capsys.readouterr().out
    assert [name for name in {form for form, _ in LOGS.values()} if f"`{name}`" not in text] == []
