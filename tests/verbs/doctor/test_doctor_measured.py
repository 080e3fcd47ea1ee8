"""isocost doctor with files and a scenario: terms beside the model's, a measured waterfall, other runs' scenarios."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from samples.cases import varied
from samples.measure_logs import LOGS, megatron
from samples.measure_traces import step_events, write_trace

from isocost.cli import run
from isocost.measure import Collective, read_trace
from isocost.measure.traces.collectives import Group
from isocost.perf.constants import shipped
from isocost.scenario import read_scenario
from isocost.scenario.question import question_of
from isocost.verbs.doctor.measured_parts import (
    DATA,
    HOST,
    IMBALANCE,
    MATRIX,
    TRAFFIC,
    UNKNOWN,
    compare_terms,
    measured_parts,
    measured_waterfall,
    predicted_parts,
    replayed,
)
from isocost.verbs.doctor.run import ExaminedRun, examined_run, waterfall
from isocost.verbs.doctor.traffic import CP, DP, EP, PP, TP, parallelism

KEYS: Mapping[str, object] = {
    "model": "llama-3.1-8b", "tokens": "1 T", "on": "h100-sxm5-80gb", "gpus": 8, "seq_len": 8192, "global_batch": 16,
    "stack": "torchtitan-2025", "tp": 2, "pp": 1, "cp": 1, "micro_batch": 1, "recompute": "full", "sharding": "zero3",
}  # fmt: skip
SENT = {"Collective name": "_allgather_base", "In msg nelems": 4, "Out msg nelems": 8, "dtype": "BFloat16"}
GROUPS: Mapping[str, Mapping[str, Any]] = {
    TRAFFIC[TP]: SENT | {"Group size": 2, "Process Group Description": "mesh_tp"},
    TRAFFIC[DP]: SENT | {"Group size": 4, "Process Group Description": "mesh_dp_shard"},
    UNKNOWN: SENT | {"Group size": 3},
}


def _flags(keys: Mapping[str, object]) -> list[str]:
    return [part for key, value in keys.items() for part in (f"--{key.replace('_', '-')}", str(value))]


@cache
def _run() -> ExaminedRun:
    scenario, catalog = read_scenario(KEYS)
    question, _ = question_of(scenario, catalog, datetime.date(2026, 1, 1))
    found = examined_run(question, catalog, shipped(), 1.0)
    return replace(found, measured_s=found.predicted_s)


@cache
def _predicted() -> Mapping[str, float]:
    return predicted_parts(_run(), replayed(_run(), shipped()))


def _traced(folder: Path, *ranks: Mapping[str, float], steps: int = 2) -> tuple[ExaminedRun, list[Path]]:
    """Write a trace a rank, each step of the parts given, and return the run that took as long, and the files."""
    paths = []
    for rank, parts in enumerate(ranks):
        step_s = math.fsum(parts.values())
        events = [event for n in range(steps) for event in step_events(parts, GROUPS, n * step_s * 1e6, n)]
        paths.append(write_trace(folder / f"rank{rank}.json", events, rank))
    return replace(_run(), measured_s=math.fsum(ranks[0].values())), paths


def test_the_parts_of_the_model_are_its_step() -> None:
    """The model's step by the parts of a trace is the whole step, what is recomputed in the part that runs it."""
    again = replayed(_run(), shipped())
    assert math.fsum(again.values()) == pytest.approx(float(_run().time.recompute_s), rel=1e-12)
    assert again["gemm_s"] > again["attention_s"] > 0.0
    assert math.fsum(_predicted().values()) == pytest.approx(_run().predicted_s, rel=1e-12)


def test_a_trace_as_predicted_differs_in_nothing(tmp_path: Path) -> None:
    """A trace of the very parts that the model predicts gives those parts, and the model's own waterfall."""
    run_, paths = _traced(tmp_path, _predicted())
    parts, again = measured_parts(run_, read_trace(paths)), replayed(run_, shipped())
    for term in compare_terms(run_, parts, again):
        assert term.measured_s == pytest.approx(term.predicted_s, rel=1e-6, abs=1e-9)
        assert term.suggests == ""
    inferred = {drop.name: drop.s for drop in waterfall(run_)}
    inferred["host"] += inferred.pop("jitter")
    replay_of_others = again["host_s"] + again["tp_s"] + again["cp_s"] + again["ep_s"]
    for drop in measured_waterfall(run_, parts, again):
        if drop.name not in ("recompute", "exposed tensor-parallel traffic", "host"):
            assert drop.s == pytest.approx(inferred.get(drop.name, 0.0), rel=1e-5, abs=1e-6)
        elif drop.name == "recompute":  # its traffic and its launches are in their own parts where they are measured
            assert drop.s == pytest.approx(inferred["recompute"] - replay_of_others, rel=1e-6)


def test_the_measured_waterfall_adds_up(tmp_path: Path) -> None:
    """Seconds add up to the step and drops to one less the MFU, exactly; measured and inferred are told apart."""
    parts = {**_predicted(), "exposed copies": 0.02, DATA: 0.3, UNKNOWN: 0.01}
    run_, paths = _traced(tmp_path, parts)
    found = measured_parts(run_, read_trace(paths))
    ideal, *drops = measured_waterfall(run_, found, replayed(run_, shipped()))
    assert math.fsum(drop.s for drop in (ideal, *drops)) == pytest.approx(run_.measured_s, rel=1e-12)
    assert 1.0 + math.fsum(drop.mfu for drop in drops) == pytest.approx(run_.mfu_at(run_.measured_s), rel=1e-12)
    by_name = {drop.name: drop for drop in drops}
    assert by_name[DATA].s == pytest.approx(0.3, rel=1e-6)
    assert by_name[UNKNOWN].s == pytest.approx(0.01, rel=1e-6)
    assert {drop.how for drop in drops} == {"measured", "inferred", "measured, recompute inferred"}
    assert by_name["recompute"].how == "inferred"


@pytest.mark.parametrize("name", [MATRIX, TRAFFIC[DP], "norms and elementwise"])
def test_a_slower_part_is_found_in_its_row(name: str, tmp_path: Path) -> None:
    """Half a second more in one part of the trace is half a second in that row, with a suggestion, and in no other."""
    run_, paths = _traced(tmp_path, {**_predicted(), name: _predicted()[name] + 0.5})
    terms = compare_terms(run_, measured_parts(run_, read_trace(paths)), replayed(run_, shipped()))
    for term in terms:
        assert term.difference_s == pytest.approx(0.5 if term.name == name else 0.0, abs=1e-6)
        assert (term.suggests != "") == (term.name == name)
    assert math.fsum(term.difference_s for term in terms) == pytest.approx(run_.measured_s - run_.predicted_s)


def test_one_slow_rank_is_imbalance(tmp_path: Path) -> None:
    """Where one of four ranks computes 0.4 s more and the others wait, 0.3 s a step is imbalance, no traffic."""
    fast = {**_predicted(), TRAFFIC[DP]: _predicted()[TRAFFIC[DP]] + 0.4}
    slow = {**_predicted(), MATRIX: _predicted()[MATRIX] + 0.4}
    run_, paths = _traced(tmp_path, fast, fast, slow, fast)
    trace = read_trace(paths)
    assert trace.slow_rank == 2
    parts = measured_parts(run_, trace)
    assert parts[IMBALANCE] == pytest.approx(0.3, rel=1e-5)
    assert parts[MATRIX] == pytest.approx(_predicted()[MATRIX] + 0.1, rel=1e-5)
    assert math.fsum(parts.values()) == pytest.approx(run_.measured_s, rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "group", "expected"),
    [
        ("all_gather", Group(description="mesh_dp_shard_cp"), DP),
        ("reduce_scatter", Group(description="EXPERT_DATA_PARALLEL_GROUP"), DP),
        ("all_reduce", Group(description="TENSOR_MODEL_PARALLEL_GROUP"), TP),
        ("all_to_all", Group(description="EXPERT_MODEL_PARALLEL_GROUP"), EP),
        ("send_recv", Group(description="default_pg", size=64), PP),
        ("all_to_all", Group(), EP),
        ("all_gather", Group(size=2, stride=1), TP),
        ("all_gather", Group(size=4, stride=4), DP),
        ("all_gather", Group(size=2, stride=2), CP),
        ("all_gather", Group(size=4), DP),
        ("all_gather", Group(size=2), None),
        ("all_gather", Group(), None),
    ],
    ids=str,
)
def test_whose_traffic_it_is(kind: str, group: Group, expected: str | None) -> None:
    """The group's name comes first, then its ranks, its kind, its size; what stays open is None."""
    case = varied(_run().case, tp=2, cp=2, ep=2, pp=4, dp=4, shard_group=4)
    found = Collective(kind=kind, group=group, number=1, kernel_s=1.0, exposed_s=1.0)
    assert parallelism(found, case) == expected


def test_the_answer_with_a_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table, the waterfall and the JSON hold the measured parts; a trace is no longer asked for."""
    _, paths = _traced(tmp_path, {**_predicted(), DATA: 0.5})
    assert run(["doctor", *map(str, paths), *_flags(KEYS)]) == 0
    out = capsys.readouterr().out
    assert "The trace beside the model, seconds of a step" in out
    assert "a data loader that is too slow" in out
    assert "a profiler trace of one rank would tell" not in out
    assert max(map(len, out.splitlines()[1:])) <= 120
    assert run(["doctor", *map(str, paths), *_flags(KEYS), "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    parts = {part["name"]: part for part in found["waterfall"]}
    assert parts[DATA]["s"] == pytest.approx(0.5, rel=1e-6)
    assert parts[DATA]["how"] == "measured"
    terms = {term["name"]: term for term in found["terms"]}
    assert terms[HOST]["difference_s"] == pytest.approx(0.0, abs=1e-6)
    assert math.fsum(part["s"] for part in found["waterfall"]) == pytest.approx(found["measured"]["step_s"]["p50"])


def test_a_log_and_a_trace_of_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The step time is the log's, the parts are the trace's shares of it; what profiling costs is said."""
    run_, paths = _traced(tmp_path, _predicted())
    path = tmp_path / "train.log"
    slower = 1.25 * run_.measured_s
    path.write_text("".join(megatron(n, slower) for n in range(1, 31)).replace("size:     8", "size:    16"))
    assert run(["doctor", str(path), *map(str, paths), *_flags(KEYS), "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["measured"]["step_s"]["p50"] == pytest.approx(slower, abs=1e-4)
    terms = {term["name"]: term for term in found["terms"]}
    assert terms[MATRIX]["measured_s"] == pytest.approx(1.25 * _predicted()[MATRIX], rel=1e-4)
    assert run(["doctor", str(path), *map(str, paths)]) == 0
    assert "-20.0% from the log" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("world", "device", "said"),
    [
        (64, "NVIDIA H100 80GB HBM3", "the trace is of 64 GPUs, the scenario of 8"),
        (8, "NVIDIA A100-SXM4-80GB", "the trace is of NVIDIA A100-SXM4-80GB, the scenario of H100 SXM5 80GB"),
        (8, "NVIDIA H100 80GB HBM3", ""),
        (8, "Some Device", ""),
    ],
)
def test_a_trace_of_another_machine(
    world: int, device: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """GPUs in another number or of another name: one message, the trace is answered, the scenario is not used."""
    events = step_events({MATRIX: 2.0, HOST: 1.0})
    path = write_trace(tmp_path / "a.json", events, 0, world, device)
    assert run(["doctor", str(path), *_flags(KEYS), "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["input"]["scenario_refused"] == ([said] if said else [])
    assert (found["waterfall"] is None) == (said != "")
    assert found["measured"]["ranks"][0]["compute_s"] == pytest.approx(2.0)
    if said:
        assert run(["doctor", str(path), *_flags(KEYS)]) == 0
        assert f"was not used: {said}." in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("Model llama3 70B size: 70,553,706,496 total parameters\n", "of a model of 70.6 B parameters"),
        ("  num_layers ...................... 80\n", "of a model with layers 80, the scenario's has 32"),
        ("  global_batch_size ............... 256\n", "the log has 2,097,152 tokens a step, the scenario 131,072"),
        ("  micro_batch_size ........ 2\n", "the log is of micro_batch 2, the scenario of 1"),
        ("  tensor_model_parallel_size ........ 4\n", "the log is of tp 4, the scenario of 2"),
        ("Model llama3 8B size: 8,030,261,248 total parameters\n", ""),
    ],
)
def test_a_log_of_another_model(head: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Parameters, layers, layout or tokens that disagree: one message, steps are answered, the scenario is not used."""
    path = tmp_path / "train.log"
    text = "".join(megatron(n, 4.0) for n in range(1, 31))
    path.write_text(head + text.replace(" global batch size:     8 |", ""), encoding="utf-8")
    assert run(["doctor", str(path), *_flags(KEYS), "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [said in text for text in found["input"]["scenario_refused"]] == ([True] if said else [])
    assert (found["waterfall"] is None) == (said != "")
    assert found["measured"]["step_s"]["p50"] == 4.0
    assert found["measured"]["buckets"]["useful_s"] == 120.0


def test_a_log_faster_than_the_chip_of_the_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log that prints more TFLOP/s than the scenario's chip has is of another chip; its steps are answered."""
    path = tmp_path / "train.log"
    text = "".join(megatron(n, 4.0) for n in range(1, 31)).replace("GPU): 71.4", "GPU): 1800.0")
    path.write_text(text.replace(" global batch size:     8 |", ""), encoding="utf-8")
    assert run(["doctor", str(path), *_flags(KEYS), "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    (why,) = found["input"]["scenario_refused"]
    assert why.startswith("the log prints 1,800 TFLOP/s a GPU, more than the peak of the scenario's H100")
    assert found["measured"]["step_s"]["p50"] == 4.0


def test_what_only_the_log_says_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Layout and batch that the scenario leaves open come from the header of the log, and are named."""
    path = tmp_path / "train.log"
    head = "  tensor_model_parallel_size ........ 4\n  micro_batch_size ........ 1\n"
    path.write_text(head + "".join(megatron(n, 4.0) for n in range(1, 31)), encoding="utf-8")
    open_keys = {key: value for key, value in KEYS.items() if key not in ("tp", "global_batch")}
    assert run(["doctor", str(path), *_flags(open_keys), "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["input"]["told_by_log"] == {"global_batch": 8, "tp": 4}
    assert run(["doctor", str(path), *_flags(open_keys)]) == 0
    assert "as the scenario does not say it: global_batch 8, tp 4" in capsys.readouterr().out


def test_tokens_that_maxtext_prints_are_not_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The weights of a step, fewer where there is padding, neither refuse the scenario nor become its batch."""
    path = tmp_path / "train.log"
    step = "completed step: {}, seconds: 4.0, TFLOP/s/device: 90, Tokens/s/device: 4096, total_weights: {}, loss: 3"
    path.write_text("".join(step.format(n, 131_072 - n) + "\n" for n in range(30)), encoding="utf-8")
    assert run(["doctor", str(path), *_flags(KEYS), "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["input"]["scenario_refused"], found["input"]["steps_used"]) == ([], 30)
    assert "global_batch" not in found["input"].get("told_by_log", {})


@pytest.mark.parametrize(
    ("line", "expected_s", "by"),
    [
        ("step: {0}  loss: 3.0  tps: 4,096\n", 4.0, "tokens of a step over tokens per second, derived"),
        ('{{"step": {0}, "tflops": 400.0}}\n', None, "model FLOPs of a step over TFLOP/s, derived"),
    ],
)
def test_a_log_of_rates_alone(
    line: str, expected_s: float | None, by: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """16 x 8,192 tokens at 8 x 4,096 a second are 4 s; TFLOP/s give that of the model's FLOPs; both are marked."""
    path = tmp_path / "train.log"
    path.write_text("".join(line.format(n) for n in range(1, 31)), encoding="utf-8")
    flop_s = _run().mfu_at(1.0) * _run().peak_flop_per_s / 400e12
    assert run(["doctor", str(path), *_flags(KEYS), "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["measured"]["step_s"]["p50"] == pytest.approx(expected_s or flop_s, rel=1e-6)
    assert (found["measured"]["timed_by"], found["measured"]["derived"]) == (by, True)
    assert run(["doctor", str(path), *_flags(KEYS)]) == 0
    assert "no line has a step time: it is derived" in capsys.readouterr().out


def test_waits_for_data_that_a_log_prints_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """OLMo-core prints what a step waits for data: that part of the waterfall is measured, and comes off the rest."""
    path = tmp_path / "train.log"
    text = LOGS["olmo_core"][1].replace(
        "    throughput/device/TPS=1,000\n", "    throughput/device/data loading (s)=0.75\n"
    )
    path.write_text(text.replace("BPS=0.5\n", "BPS=0.25\n"), encoding="utf-8")
    assert run(["doctor", str(path), *_flags(KEYS), "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    parts = {part["name"]: part for part in found["waterfall"]}
    assert (parts[DATA]["s"], parts[DATA]["how"]) == (0.75, "measured")
    assert math.fsum(part["s"] for part in found["waterfall"]) == pytest.approx(4.0, rel=1e-12)
    assert parts["unexplained"]["s"] == pytest.approx(4.0 - 0.75 - _run().predicted_s, rel=1e-6)
