"""The doctor on runs of known truth: logs and traces written for one cause each, and the cause comes out first."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from isocost.cli import run
from isocost.perf.constants import shipped
from isocost.scenario import read_scenario
from isocost.scenario.question import question_of
from isocost.verbs.doctor.run import ExaminedRun, examined_run

SMALL: Mapping[str, object] = {
    "model": "llama-3.2-1b", "tokens": "1 T", "on": "h100-sxm5-80gb", "gpus": 8, "seq_len": 2048, "global_batch": 64,
    "stack": "torchtitan-eager", "micro_batch": 1, "recompute": "none", "tp": 1, "pp": 1, "cp": 1, "sharding": "zero3",
}  # fmt: skip
# Llama 3.1 8B with as much in memory as just fits, and as much as just does not.
FULL: Mapping[str, object] = {
    "model": "llama-3.1-8b", "tokens": "1 T", "on": "h100-sxm5-80gb", "gpus": 64, "seq_len": 8192, "global_batch": 512,
    "stack": "torchtitan-2025", "attention_kernel": "cudnn", "gradient_precision": "bf16", "recompute": "selective",
    "tp": 1, "pp": 1, "cp": 1, "sharding": "zero3",
}  # fmt: skip
STEPS = 40


@cache
def _small() -> ExaminedRun:
    return _predicted(SMALL)


def _predicted(keys: Mapping[str, object]) -> ExaminedRun:
    scenario, catalog = read_scenario(keys)
    question, _ = question_of(scenario, catalog, datetime.date(2026, 1, 1))
    return examined_run(question, catalog, shipped(), 1.0)


def _flags(keys: Mapping[str, object]) -> list[str]:
    return [part for key, value in keys.items() for part in (f"--{key.replace('_', '-')}", str(value))]


def _doctor(capsys: pytest.CaptureFixture[str], arguments: Sequence[object], keys: Mapping[str, object]) -> Any:
    assert run(["doctor", *map(str, arguments), *_flags(keys), "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def _log(path: Path, step_s: float, **more: float) -> Path:
    """Write a log of even steps as JSON Lines."""
    lines = [{"step": step, "step_time": step_s, "loss": 3.0, **more} for step in range(1, STEPS + 1)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def _by_lever(found: Any) -> dict[str, Any]:
    return {lever["levers"][0]: lever for lever in found["levers"]}


def test_data_starvation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A loader that takes as long as the step itself: half of the time is data stalls, and ending them comes first."""
    compute_s = _small().predicted_s
    path = _log(tmp_path / "log.jsonl", 2.0 * compute_s, data_time=compute_s)
    found = _doctor(capsys, [path], SMALL)
    stalls = next(part for part in found["waterfall"] if part["name"] == "data stalls")
    assert stalls["s"] == pytest.approx(compute_s, rel=1e-5)
    first = found["levers"][0]
    assert first["levers"] == ["data_path"]
    assert first["step_s"] == pytest.approx(compute_s, rel=1e-5)
    assert first["gain_probability"] > 0.99
    assert "data_path" in found["best_combination"]["levers"]


def test_data_starvation_that_no_line_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a time of waiting in the log the seconds are unexplained: the data path is worth them at most."""
    compute_s = _small().predicted_s
    found = _doctor(capsys, [_log(tmp_path / "log.jsonl", 1.5 * compute_s)], SMALL)
    assert "data_path" not in _by_lever(found)
    bound = {row["lever"]: row["at_most_s"] for row in found["not_priced"]}
    assert bound["data path and prefetching"] == pytest.approx(0.5 * compute_s, rel=1e-5)
    assert found["not_priced"][0]["at_most_s"] == max(bound.values())


def test_one_slow_rank(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rank 2 computes 150 ms longer than the three that wait for it: it is named, and costs the mean of their wait."""
    paths = []
    for rank in range(4):
        compute = 500_000 if rank == 2 else 350_000
        step = {"ph": "X", "cat": "user_annotation", "name": "ProfilerStep#1", "ts": 0, "dur": 600_000}
        kernel = {"ph": "X", "cat": "kernel", "name": "ampere_sgemm_128x64_nn", "ts": 0, "dur": compute}
        wait = {"ph": "X", "cat": "kernel", "name": "ncclDevKernel_AllGather_RING_LL", "ts": compute}
        events = [step, kernel, wait | {"dur": 600_000 - compute}]
        paths.append(tmp_path / f"rank{rank}.json")
        trace = {"traceEvents": events, "distributedInfo": {"rank": rank, "world_size": 8}}
        paths[-1].write_text(json.dumps(trace), encoding="utf-8")
    found = _doctor(capsys, paths, SMALL)
    lever = _by_lever(found)["slow_rank"]
    assert lever["changes"]["slow_rank"][0].endswith("for rank 2")
    assert lever["step_s"] == pytest.approx(0.6 - 0.75 * 0.15, rel=1e-9)
    assert "slow or unequal ranks" not in {row["lever"] for row in found["not_priced"]}


def test_another_definition_of_mfu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log that divides by the sparse peak prints half the MFU: what it divides by is said, and what is ours."""
    lines, step_s = [], 0.6
    for step in range(1, STEPS + 1):
        at = datetime.datetime(2026, 1, 31, 12) + datetime.timedelta(seconds=step * step_s)
        head = f"[rank0]:[titan] {at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03d} - root - INFO - step: {step:2}  "
        rate = f"tps: {64 * 2048 / step_s / 8:,.0f}  tflops: 224.70  mfu: 11.36%"
        lines.append(f"{head}loss:  3.00000  grad_norm:  1.5000  memory: 24.10GiB(30.45%)  {rate}\n")
    path = tmp_path / "train.log"
    path.write_text("".join(lines), encoding="utf-8")
    found = _doctor(capsys, [path], SMALL)
    assert found["measured"]["mfu"] == pytest.approx(0.227, abs=0.001)
    (said,) = [text for text in found["unknown"] if text.startswith("what the log means by MFU")]
    assert "it prints 11.4%, by the definition above it is 22.7%" in said
    assert "divides by 1,978 TFLOP/s (here 989)" in said


def test_the_edge_of_memory(capsys: pytest.CaptureFixture[str]) -> None:
    """A micro-batch that does not fit is a cliff and in no combination; one on the edge is told to step back."""
    fits, over = (_predicted({**FULL, "micro_batch": size}) for size in (2, 4))
    assert fits.peak_bytes < 0.95 * fits.capacity_bytes < over.peak_bytes
    found = _doctor(capsys, ["--step-time", fits.predicted_s], {**FULL, "micro_batch": 2})
    assert any(text.startswith("micro_batch 4:") for text in found["cliffs"])
    best = found["best_combination"]
    assert best is None or best["memory_frac"] < 0.95
    assert "away from the edge of memory" not in {row["lever"] for row in found["not_priced"]}
    there = _doctor(capsys, ["--step-time", 1.5 * over.predicted_s], {**FULL, "micro_batch": 4})
    edge = {row["lever"]: row for row in there["not_priced"]}["away from the edge of memory"]
    assert edge["at_most_s"] == pytest.approx(0.5 * over.predicted_s, rel=1e-9)
