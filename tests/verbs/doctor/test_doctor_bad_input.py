"""isocost doctor on what is no log: one line that says why and code 2, or what can still be read, said as such."""

from __future__ import annotations

import gzip
import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples.measure_logs import LOGS, megatron, megatron_2021, torchtitan
from samples.measure_traces import step_events

from isocost.cli import run

STEPS = "".join(megatron_2021(n, 2.0) for n in range(1, 31))
TRACE = json.dumps({"traceEvents": step_events({"matrix products": 1.0, "host": 0.5})})


def _zeros(size: int) -> bytes:
    return bytes(size)


def _expands(piece: bytes, head: bytes = b"", times: int = 320) -> bytes:
    """Return a gzip file of a few hundred kB that expands to hundreds of MB."""
    return gzip.compress(head + piece * times, 9)


NOTHING: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "blank": (b"\n" * 100, "no line that looks like a training step in 100 lines"),
    "a text": (b"hello world\n" * 50, "no line that looks like a training step in 50 lines"),
    "binary": (random.Random(0).randbytes(1 << 20), "is not text, so it is no log"),
    "zeros": (_zeros(1 << 20), "is not text, so it is no log"),
    "zeros, gzip": (gzip.compress(_zeros(1 << 20)), "is not text, so it is no log"),
    "gzip of nothing": (gzip.compress(b""), "is empty"),
    "head of a gzip": (gzip.compress(STEPS.encode())[:12], "is empty (the gzip file is cut off"),
    "no gzip": (b"\x1f\x8b\x08garbage", "the gzip file is damaged"),
    "gzip bomb": (_expands(b"a" * (1 << 20)), "no line that looks like a training step in its first"),
    "gzip bomb, trace": (_expands(b" " * (1 << 20), b'{"traceEvents": ['), "expands more than 500 times"),
    "json bomb": (b'{"a":' * 200_000, "no line that looks like a training step"),
    "trace bomb": (b'{"traceEvents": [' + b'{"args":' * 200_000, "nested too deeply"),
    "list bomb": (b'{"traceEvents": ' + b"[" * 200_000, "nested too deeply"),
    "trace of nothing": (b'{"traceEvents": []}', "has no trace events"),
    "head of a trace": (b'{"schemaVersion": 1, "traceEvents": [', "has no trace events"),
    "step times of no number": (
        b"".join(b'{"step": %d, "step_time": "soon"}\n' % n for n in range(9)), "no usable step",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_to_read_is_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file in which nothing can be read: exit code 2, nothing on standard output, one line with the file's name."""
    data, said = NOTHING[name]
    path = tmp_path / "train.log"
    path.write_bytes(data)
    assert run(["doctor", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert said in line
    assert "train.log" in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: None, "No such file"),
        (lambda path: path.symlink_to(path), "cannot be read"),
    ],
    ids=["directory", "missing", "link to itself"],
)
def test_what_is_no_file_is_one_line(
    make: Callable[[Path], Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A directory, a missing file and a broken link: one line, code 2."""
    path = tmp_path / "train.log"
    make(path)
    assert run(["doctor", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def _odd_times(value: float) -> str:
    times = [2.0] * 30
    times[9] = value
    return "".join(json.dumps({"step": n, "step_time": t}) + "\n" for n, t in enumerate(times, 1))


def _ranks(number: int) -> bytes:
    """Return the lines of ranks, those of a step in any order."""
    orders = [random.Random(n).sample(range(number), number) for n in range(1, 31)]
    return "".join(torchtitan(n, rank) for n, order in enumerate(orders, 1) for rank in order).encode()


STILL: dict[str, tuple[bytes, int, str]] = {  # what can still be read: data, steps used, what is said
    "cut in a line": (STEPS.encode()[:-260], 29, "cut off or garbled"),
    "gzip cut in the middle": (gzip.compress(STEPS.encode(), 0)[:5000], 0, "the gzip file is cut off"),
    "gzip damaged at its end": (gzip.compress(STEPS.encode())[:-4] + b"\xff\xff\xff\xff", 30, ""),
    "colours": (STEPS.replace("iteration", "\x1b[31miteration\x1b[0m", 1000).encode(), 30, ""),
    "utf-16": (STEPS.encode("utf-16"), 30, ""),
    "utf-16 without a mark": (STEPS.encode("utf-16-be"), 30, ""),
    "a hole before it": (_zeros(1 << 20) + b"\n" + STEPS.encode(), 30, ""),
    "128 ranks": (_ranks(128), 29, "another rank"),
    "1e300": (_odd_times(1e300).encode(), 29, "longer than a day"),
    "NaN": (_odd_times(float("nan")).encode(), 29, "nothing measured in the row"),
    "Infinity": (_odd_times(float("inf")).encode(), 29, "no step time"),
    "negative": (_odd_times(-2.0).encode(), 29, "no step time"),
    "a bomb between its lines": (
        STEPS.encode() + b'{"step":' * 100_000 + b"\n" + megatron_2021(31, 2.0).encode(), 31, "",
    ),
    "another format behind it": (STEPS.encode() + LOGS["maxtext"][1].encode(), 30, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", STILL)
def test_what_can_be_read_is_used_and_said(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is damaged or odd in places: code 0, the steps that are whole, and what was not used, counted."""
    data, used, said = STILL[name]
    path = tmp_path / "train.log"
    path.write_bytes(data)
    assert run(["doctor", str(path), "--format", "json"]) == 0
    given = json.loads(capsys.readouterr().out)["input"]
    assert given["steps_used"] + sum(given["dropped"].values()) == given["steps_seen"]
    assert given["steps_used"] == used or used == 0 < given["steps_used"] < 30
    assert said in json.dumps([given["dropped"], given["notes"]])


def test_a_trace_that_is_cut_is_used_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A trace that ends in the middle of an event gives the events before."""
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(TRACE.encode()[:-60]))
    assert run(["doctor", str(path)]) == 0
    assert "the trace is cut off; the events before the cut were read" in capsys.readouterr().out


def test_a_huge_hole_is_answered_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """100 GB of NUL bytes (a sparse file) are no log, and are not read to their end; a log behind 100 MB of them is."""
    path = tmp_path / "train.log"
    path.touch()
    os.truncate(path, 100 * 10**9)
    started = time.process_time()
    assert run(["doctor", str(path)]) == 2
    assert time.process_time() - started < 5.0  # at 20 GB/s all of it would take as long
    assert "is not text, so it is no log" in capsys.readouterr().err
    os.truncate(path, 10**8)
    with path.open("ab") as stream:
        stream.write(b"\n" + STEPS.encode())
    assert run(["doctor", str(path)]) == 0
    assert "2 s a step" in capsys.readouterr().out


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.sampled_from([*(text for _, text in LOGS.values()), TRACE]),
    edits=st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 40), st.binary(max_size=20)), max_size=5),
    packed=st.booleans(),
)
def test_no_damage_breaks_the_doctor(
    text: str,
    edits: list[tuple[int, int, bytes]],
    packed: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever is cut out of a log or trace and put in: code 0 with counts that add up, or code 2 with one line."""
    data = text.encode()
    for place, length, other in edits:
        at = place % (len(data) + 1)
        data = data[:at] + other + data[at + length :]
    path = tmp_path / "train.log"
    path.write_bytes(gzip.compress(data) if packed else data)
    capsys.readouterr()
    code = run(["doctor", str(path), "--format", "json"])
    captured = capsys.readouterr()
    if code == 2:
        assert (captured.out, len(captured.err.splitlines())) == ("", 1)
        return
    assert code == 0
    found = json.loads(captured.out)
    given, measured = found["input"], found["measured"]
    assert given["steps_used"] + sum(given["dropped"].values()) == given["steps_seen"]
    if "ranks" in measured:
        for rank in measured["ranks"]:
            parts = ("compute_s", "exposed_communication_s", "exposed_copy_s", "idle_s")
            assert sum(rank[name] for name in parts) == pytest.approx(rank["window_s"], rel=1e-9, abs=1e-12)
    elif measured["step_s"] is not None:
        assert 0.0 < measured["step_s"]["p05"] <= measured["step_s"]["p50"] <= measured["step_s"]["p95"]


def test_power_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Megatron's power of a GPU is measured like its throughput."""
    path = tmp_path / "train.log"
    text = "".join(megatron(n, 2.0) for n in range(1, 31))
    path.write_text(text.replace("| learning rate", "| power per GPU (W/GPU): 612.5 | learning rate"))
    assert run(["doctor", str(path), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["measured"]["power_w"] == {"p05": 612.5, "p50": 612.5, "p95": 612.5}
