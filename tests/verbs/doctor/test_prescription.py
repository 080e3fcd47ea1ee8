"""isocost doctor with a scenario: the waterfall adds up, the levers are simulated, and the known stories come out."""

from __future__ import annotations

import datetime
import json
import math
import runpy
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples.measure_logs import LOGS

from isocost.cli import run
from isocost.perf.constants import shipped
from isocost.perf.predict import predict
from isocost.scenario import read_scenario
from isocost.scenario.question import question_of
from isocost.verbs.doctor.describe import WORTH_FRAC
from isocost.verbs.doctor.levers import Doctor, Findings
from isocost.verbs.doctor.neighbourhood import LAYOUT, Neighbourhood, neighbourhood
from isocost.verbs.doctor.run import PARTS, ExaminedRun, calibrate, examined_run, waterfall
from isocost.verbs.doctor.switches import BEYOND
from isocost.verbs.doctor.trial import NOISE_FRAC

FSDP: Mapping[str, object] = {"tp": 1, "pp": 1, "cp": 1, "sharding": "zero3"}
# Llama 3.1 70B on 8 B200: 23.83 % MFU before and 50.20 % after tuning by hand were published, a factor of 2.107.
BEFORE: Mapping[str, object] = {
    "model": "llama-3.1-70b", "tokens": "1 T", "on": "b200-sxm-180gb", "gpus": 8, "seq_len": 8192, "global_batch": 64,
    "stack": "torchtitan-2025", "compiled": False, "tp": 8, "pp": 1, "cp": 1, "micro_batch": 1, "recompute": "full",
    "sharding": "none", "gradient_precision": "fp32",
}  # fmt: skip
AFTER = {**BEFORE, **FSDP, "compiled": True, "micro_batch": 2, "gradient_precision": "bf16"}
HEALTHY: Mapping[str, object] = {
    "model": "llama-3.1-8b", "tokens": "1 T", "on": "h100-sxm5-80gb", "gpus": 64, "seq_len": 8192, "global_batch": 128,
    "stack": "torchtitan-2025", "attention_kernel": "cudnn", "gradient_precision": "bf16", "micro_batch": 1,
    "recompute": "none", **FSDP,
}  # fmt: skip
SMALL: Mapping[str, object] = {
    "model": "llama-3.2-1b", "tokens": "1 T", "on": "h100-sxm5-80gb", "gpus": 8, "seq_len": 2048, "global_batch": 64,
    "stack": "torchtitan-eager", "micro_batch": 1, "recompute": "none", **FSDP,
}  # fmt: skip
RUNS: Mapping[str, Mapping[str, object]] = {"before": BEFORE, "healthy": HEALTHY, "small": SMALL}


@cache
def _measured(name: str, factor: float = 1.0) -> ExaminedRun:
    """A run that takes what the model says, times a factor."""
    return _run(RUNS[name], factor)


def _run(keys: Mapping[str, object], factor: float = 1.0) -> ExaminedRun:
    scenario, catalog = read_scenario(keys)
    question, _ = question_of(scenario, catalog, datetime.date(2026, 1, 1))
    found = examined_run(question, catalog, shipped(), 1.0)
    return replace(found, measured_s=factor * found.predicted_s)


@cache
def _doctor(name: str, factor: float = 1.0) -> tuple[ExaminedRun, Neighbourhood, Findings, Doctor]:
    found = _measured(name, factor)
    fitted = calibrate(found)
    near = neighbourhood(found, fitted, shipped(), 1e12)
    doctor = Doctor(found, fitted, near, 1e12)
    return found, near, doctor.findings(), doctor


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("factor", [0.8, 1.0, 1.3])
def test_the_waterfall_adds_up(name: str, factor: float) -> None:
    """Seconds add up to the measured step, drops to peak less MFU; what the model does not say is unexplained."""
    found = _measured(name, factor)
    ideal, *drops = waterfall(found)
    assert math.fsum(d.s for d in (ideal, *drops)) == pytest.approx(found.measured_s, rel=1e-12)
    assert 1.0 + math.fsum(d.mfu for d in drops) == pytest.approx(found.mfu_at(found.measured_s), rel=1e-12)
    assert drops[-1].name == "unexplained"
    assert drops[-1].s == pytest.approx(found.measured_s - found.predicted_s, abs=1e-9 * found.measured_s)


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.4])
def test_the_calibrated_model_meets_the_run(factor: float) -> None:
    """After calibration the run's own place has the measured step; parts that are less certain moved further."""
    found, near, _, _ = _doctor("small", factor)
    assert near.variants[0].step_s[near.own] == pytest.approx(found.measured_s, rel=1e-12)
    factors = calibrate(found).factors
    assert abs(math.log(factors["host_s"])) >= abs(math.log(factors["gemm_s"]))
    assert set(factors) == set(PARTS)


def test_hfu_counts_the_recompute() -> None:
    """Full recompute runs the forward of every block again: a third more FLOPs, less the head's share."""
    found = _measured("before")
    mfu = found.mfu_at(found.measured_s)
    assert 1.31 < found.hfu / mfu < 4.0 / 3.0 + 0.05
    healthy = _measured("healthy")
    assert healthy.hfu == pytest.approx(healthy.mfu_at(healthy.measured_s), rel=1e-12)


@pytest.mark.parametrize("name", ["before", "small"])
def test_every_figure_is_that_of_a_single_case(name: str) -> None:
    """The best combination, evaluated alone as a case, takes the step and the memory that the table says."""
    found, near, findings, doctor = _doctor(name)
    best = findings.best
    assert best is not None
    place = doctor._best(frozenset())
    assert place is not None
    case = replace(near.variants[place[0]].tables.case, layout=near.layouts.row(place[1]))
    alone = predict([case], near.variants[place[0]].constants)
    assert float(calibrate(found).seconds(alone.step)[0]) == pytest.approx(best.step_s, rel=1e-9)
    assert float(alone.peak_bytes[0]) == pytest.approx(best.peak_bytes, rel=1e-9)
    assert case.gpus == found.case.gpus


@pytest.mark.parametrize("name", ["before", "small"])
def test_the_best_is_the_best_of_all(name: str) -> None:
    """No combination on these chips and precision that fits is faster by more than what pruning gave up."""
    _, near, findings, doctor = _doctor(name)
    assert findings.best is not None
    steps = [
        np.min(v.as_long_s[v.peak_bytes <= doctor.ceiling])
        for v in near.variants
        if not any(lever in v.changes for lever in BEYOND)
    ]
    assert min(steps) <= findings.best.step_s <= min(steps) * (1.0 + WORTH_FRAC) ** len(LAYOUT) * (1.0 + NOISE_FRAC)


@pytest.mark.parametrize("name", ["before", "small"])
def test_shares_add_up_to_what_is_saved(name: str) -> None:
    """Shapley shares are of the changes of the best combination, and sum to the seconds it saves."""
    found, _, findings, _ = _doctor(name)
    best = findings.best
    assert best is not None
    assert set(findings.shares) == set(best.levers)
    assert math.fsum(findings.shares.values()) == pytest.approx(found.measured_s - best.step_s, rel=1e-9)
    saved_s = (found.measured_s - best.step_s) * 1e12 / (found.case.global_batch_seqs * found.case.seq_len)
    assert best.days_saved == pytest.approx(saved_s / 86400.0, rel=1e-12)
    price = found.option.median_usd_per_s
    assert price is not None
    assert best.usd_saved == pytest.approx(saved_s * found.case.gpus * price, rel=1e-12)


def test_the_published_story() -> None:
    """Less TP pays only once memory allows it: alone nothing with it fits, together it is among the best."""
    _, _, findings, _ = _doctor("before")
    singles = {p.levers[0]: p for p in findings.singles}
    assert findings.best is not None
    assert findings.best.gain_frac > 0.4
    assert "tp" in findings.best.levers
    assert "tp" in findings.worthless_alone
    assert singles["compile"].gain_frac == pytest.approx(0.055, abs=0.02)  # published +0.2 %: see docs/doctor.md
    assert singles["compile"].gain_probability < 0.9
    assert any(text.startswith("tp 4:") for text in findings.cliffs)


@cache
def _story() -> dict[str, Any]:
    return runpy.run_path(str(Path(__file__).parents[3] / "scripts" / "pages" / "write_doctor.py"))


def test_the_70b_story_in_shares() -> None:
    """Most of the published 2.107 is predicted, most of that by removing TP; with selective recompute nearly all."""
    script = _story()
    full, everything = script["shares"](script["TUNED"]), script["shares"](frozenset(script["STORY"]))
    assert math.exp(float(full.whole)) == pytest.approx(1.65, abs=0.08)
    assert math.exp(float(everything.whole)) == pytest.approx(1.87, abs=0.1)
    assert math.fsum(float(share) for share in full.shares.values()) == pytest.approx(float(full.whole), rel=1e-9)
    assert max(full.shares, key=full.shares.__getitem__) == "TP 8 to 1 and FSDP"
    assert float(full.shares["TP 8 to 1 and FSDP"]) > 0.7 * float(full.whole)
    assert 1.0 <= math.exp(float(full.shares["gradients in bf16"])) < 1.0 + NOISE_FRAC
    run, near = script["baseline"]()
    assert run.mfu_at(run.predicted_s) == pytest.approx(script["BEFORE"], rel=0.2)
    assert run.mfu_at(script["step_s"](script["TUNED"])) == pytest.approx(script["AFTER"], rel=0.2)
    # A scenario with all of the changes, evaluated as it is, takes as long: its stack's overlap is its own.
    assert _run(AFTER).predicted_s == pytest.approx(script["step_s"](script["TUNED"]), rel=0.01)
    variant, row = script["place"](script["TUNED"])
    assert near.variants[variant].peak_bytes[row] > run.ceiling_bytes


def test_the_published_tuned_run_cannot_have_recomputed_all() -> None:
    """At 50.2 % MFU with full recompute, bf16 products would run faster in the step than alone on a B200."""
    sustained, alone = _story()["products_flop_per_s"]()
    assert alone == pytest.approx(1.65e15, rel=0.01)
    assert alone < sustained < 1.8e15


def test_a_healthy_run_is_left_alone() -> None:
    """Where no layout and no switch wins 2 %, the answer is that, and what else would help."""
    _, _, findings, _ = _doctor("healthy")
    assert findings.best is None
    assert findings.shares == {}
    assert findings.verdict.startswith("nothing to gain above noise (2%)")
    assert findings.verdict.endswith("only kernels or precision help")
    assert [p.levers for p in findings.beyond] == [("precision",)]
    assert [p.levers for p in findings.try_first] == [("precision",)]


def test_what_is_unexplained_is_not_called_compute() -> None:
    """A healthy layout at twice its predicted step is not compute-bound: what nothing explains is to be found first."""
    _, _, findings, _ = _doctor("healthy", 2.0)
    assert findings.best is None
    assert findings.verdict.endswith("50% of the step is unexplained: look there first")
    assert findings.unpriced[0].at_most_s == pytest.approx(_measured("healthy").predicted_s, rel=1e-9)


def test_a_small_model_needs_larger_micro_batches() -> None:
    """A small model at micro-batch 1 waits for its host and its gathers: the micro-batch is the largest share."""
    found, _, findings, _ = _doctor("small")
    host = next(d for d in waterfall(found) if d.name == "host")
    assert -host.mfu > 0.05
    assert next(iter(findings.shares)) == "micro_batch"
    assert findings.best is not None
    assert findings.best.gain_frac > 0.5


def test_a_slow_fabric_is_named() -> None:
    """On a fabric of a tenth the speed, twice the NIC is worth more than noise, and has no price here."""
    found = _run(HEALTHY | {"model": "llama-3.1-8b", "global_batch": 64})
    slow = replace(found.case, nic_bytes_per_s=found.case.nic_bytes_per_s / 10.0)
    time = predict([slow], shipped()).step
    here = replace(found, case=slow, time=type(time)(**{p: float(np.ravel(getattr(time, p))[0]) for p in PARTS}))
    here = replace(here, measured_s=here.predicted_s)
    fitted = calibrate(here)
    findings = Doctor(here, fitted, neighbourhood(here, fitted, shipped(), 1e12), 1e12).findings()
    fabric = next(p for p in findings.singles if p.levers == ("fabric",))
    assert fabric.gain_frac > 0.2
    assert fabric.gain_probability > 0.9
    assert fabric.usd_saved is None
    assert fabric.trial is None
    assert fabric not in findings.try_first


def _flags(keys: Mapping[str, object]) -> list[str]:
    return [part for key, value in keys.items() for part in (f"--{key.replace('_', '-')}", str(value))]


def test_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With a step time and flags alone, every key is there."""
    assert run(["doctor", "--step-time", "0.6", *_flags(SMALL), "--tokens-left", "0.5 T", "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    for key in ("schema_version", "input", "measured", "waterfall", "levers", "best_combination", "unknown"):
        assert found[key]
    assert found["measured"]["step_s"] == {"p05": 0.6, "p50": 0.6, "p95": 0.6}
    assert found["measured"]["tokens_per_s_per_gpu"]["p50"] == pytest.approx(64 * 2048 / 0.6 / 8, rel=1e-12)
    assert sum(part["s"] for part in found["waterfall"]) == pytest.approx(0.6, rel=1e-9)
    best = found["best_combination"]
    assert best["days_saved"] == pytest.approx((0.6 - best["step_s"]) * 0.5e12 / (64 * 2048) / 86400, rel=1e-9)
    assert found["combinations"] > 1000


def test_a_log_and_a_scenario_that_disagree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tokens a step that differ by per cents are said; a log of another run is answered without the scenario."""
    path = tmp_path / "train.log"
    path.write_text(LOGS["torchtitan"][1].replace("tps: 1,000", "tps: 8,600"), encoding="utf-8")
    assert run(["doctor", str(path), *_flags(SMALL)]) == 0
    assert "which is right: the log has 137,600 tokens a step, the scenario 131,072" in capsys.readouterr().out
    path.write_text(LOGS["torchtitan"][1], encoding="utf-8")
    assert run(["doctor", str(path), *_flags(SMALL)]) == 0
    out = capsys.readouterr().out
    assert "was not used: the log has 16,000 tokens a step, the scenario 131,072" in out
    assert "From peak to MFU" not in out


def test_a_trace_and_a_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A trace gives the step time; what it says of the ranks stays beside the waterfall."""
    step = {"ph": "X", "cat": "user_annotation", "name": "ProfilerStep#1", "ts": 0, "dur": 600_000}
    kernel = {"ph": "X", "cat": "kernel", "name": "ampere_sgemm_128x64_nn", "ts": 100, "dur": 400_000}
    path = tmp_path / "rank0.json"
    path.write_text(json.dumps({"traceEvents": [step, kernel]}), encoding="utf-8")
    assert run(["doctor", str(path), *_flags(SMALL), "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["input"]["format"] == "kineto"
    assert found["measured"]["ranks"][0]["compute_s"] == pytest.approx(0.4, rel=1e-9)
    assert sum(part["s"] for part in found["waterfall"]) == pytest.approx(0.6, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "there is nothing to read"),
        (["--step-time", "0", *_flags(SMALL)], "is zero"),
        (["--step-time", "1", *_flags({**SMALL, "gpus": "8,16"})], "gpus: has 2 values"),
        (["--step-time", "0.1", *_flags(SMALL)], "more than the chip can do"),
        (["--step-time", "1", *_flags({**SMALL, "tp": 7})], "not legal"),
        (["--step-time", "1", "--on", "h100-sxm5-80gb"], "model: is missing"),
    ],
    ids=["nothing", "zero", "counts", "too-fast", "illegal", "no-model"],
)
def test_bad_questions(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be answered leaves with 2 and one message."""
    assert run(["doctor", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err


def test_what_changes_the_numerics_must_be_worth_it() -> None:
    """A change of the numerics that would win less than the noise is not in the best combination."""
    _, near, findings, doctor = _doctor("small")
    place = doctor._best(frozenset())
    assert findings.best is not None
    assert place is not None
    assert "gradient_precision" not in findings.best.levers
    here = near.variants[place[0]]
    wanted = {**here.changes, "gradient_precision": ("fp32", "bf16")}
    (more,) = [v for v in near.variants if v.changes == wanted]
    assert 1.0 < here.step_s[place[1]] / more.step_s[place[1]] < 1.0 + NOISE_FRAC
