"""Statistics of a run: synthetic runs with one trouble each, whose truth is known."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.measure import Definition, Reading, RunSummary, StepRecord, Steps, read_log, summarise
from isocost.measure.logs.events import _BUCKET_OF_MARK, DRIFT, RESTART, SKIPPED_S, UNEXPLAINED
from isocost.measure.logs.records import DTYPES, Mark, StepsBuilder
from isocost.reliability.buckets import BUCKETS
from isocost.reliability.posterior import narrow, read_events


def _steps(rows: Sequence[dict[str, float]]) -> Steps:
    builder = StepsBuilder()
    names = {name for row in rows for name in row}
    columns = {name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float64) for name in names}
    columns.setdefault("rank", np.full(len(rows), -1.0))
    columns.setdefault("line", np.arange(1.0, len(rows) + 1.0))
    builder.add(columns, len(rows))
    return builder.build()


def _run(rows: Sequence[dict[str, float]], **more: object) -> Reading:
    return Reading(format="csv", lines=len(rows), records=_steps(rows), **more)  # type: ignore[arg-type]


def _rows(times: Sequence[float], **more: float) -> list[dict[str, float]]:
    return [{"step": float(step), "step_s": time, **more} for step, time in enumerate(times, start=1)]


def _p50(summary: RunSummary) -> float:
    assert summary.step_s is not None
    return summary.step_s.median


def test_a_healthy_run_has_nothing_dropped() -> None:
    """A run of equal steps is steady from the first, and all of its time is useful."""
    summary = summarise(_run(_rows([2.0] * 50)))
    assert (summary.steps_used, dict(summary.dropped), summary.events) == (50, {}, ())
    assert dict(summary.buckets) == {"useful_s": 100.0}
    assert (summary.drift_frac, summary.restarts) == (0.0, 0)


def test_warm_up_that_lasts_is_found_to_its_end() -> None:
    """Throughput that rises to step 100 moves the window there, not the answer."""
    times = [2.0 * (1.0 + 0.2 * (1.0 - step / 100.0)) for step in range(100)] + [2.0] * 300
    summary = summarise(_run(_rows(times)))
    assert summary.first_step is not None
    assert 90 <= summary.first_step <= 101
    assert _p50(summary) == 2.0
    assert summary.buckets["start_up_s"] == pytest.approx(sum(times) - 800.0, rel=0.02)


def test_percentiles_weigh_a_line_by_its_iterations() -> None:
    """A line that is the mean of 100 iterations counts a hundred times one of a single iteration."""
    rows = [{"step": float(step), "step_s": 1.0 + 0.01 * (step % 2)} for step in range(1, 21)]
    rows += [{"step": 20.0 + 100.0 * line, "step_s": 1.02} for line in range(1, 6)]
    assert _p50(summarise(_run(rows))) == pytest.approx(1.02, abs=0.002)


def test_impossible_rows_are_dropped_by_physics() -> None:
    """2,400 TFLOP/s on a chip of 459, and an MFU above one, are no measurements."""
    rows = _rows([2.0] * 20, tflops_per_gpu=400.0)
    rows[10]["tflops_per_gpu"] = 2400.0
    rows[12]["mfu"] = 1.2
    assert dict(summarise(_run(rows)).dropped) == {"faster than the GPU can be": 1}
    assert dict(summarise(_run(rows), peak_flop_per_s=459e12).dropped) == {"faster than the GPU can be": 2}


def test_restarts_are_stitched() -> None:
    """Steps run again after a restart are lost work, the first ones after it warm-up, the gap the restart."""
    first = [{"step": float(step), "step_s": 2.0, "time_stamp": 2.0 * step} for step in range(1, 41)]
    again = [
        {
            "step": float(step),
            "step_s": 8.0 if step == 31 else 2.0,
            "time_stamp": 80.0 + 300.0 + 2.0 * (step - 30) + 6.0,
        }
        for step in range(31, 101)
    ]
    summary = summarise(_run([*first, *again]))
    assert (summary.restarts, _p50(summary)) == (1, 2.0)
    assert dict(summary.dropped) == {"thrown away by a restart": 10, "warm-up after a restart": 1}
    assert dict(summary.buckets) == {
        "useful_s": 200.0, "lost_work_s": 20.0, "warm_up_s": 6.0, "restart_s": 300.0,
    }  # fmt: skip
    assert summary.wall_s == sum(summary.buckets.values()) == 526.0


def test_skipped_and_nan_iterations_are_no_steady_steps() -> None:
    """Iterations that loss scaling skips, and those with a NaN, are counted and left out."""
    rows = _rows([2.0] * 40, skipped=0.0, nan=0.0)
    rows[0] |= {"skipped": 1.0, "step_s": 1.5}
    rows[20]["nan"] = 1.0
    summary = summarise(_run(rows))
    assert dict(summary.dropped) == {"skipped iterations": 1, "NaN": 1}
    assert (summary.skipped, summary.nan, summary.buckets["skipped_s"]) == (1.0, 1.0, 2.0)


def test_batch_ramp_up_is_left_out() -> None:
    """Only steps of the last batch count."""
    rows = [
        {"step": float(n), "step_s": b / 64, "global_batch": b} for n, b in enumerate([64.0] * 30 + [128.0] * 30, 1)
    ]
    summary = summarise(_run(rows))
    assert (_p50(summary), dict(summary.dropped)) == (2.0, {"batch ramp-up": 30})
    assert dict(summary.buckets) == {"useful_s": 90.0}  # steps of the small batch took the time of a small batch


def test_a_batch_that_is_never_held_is_no_ramp_up() -> None:
    """Tokens that are not padding differ from step to step: every step counts."""
    rows = [{"step": float(n), "step_s": 2.0, "batch_tokens": 65_000.0 + n % 7} for n in range(1, 41)]
    assert dict(summarise(_run(rows)).dropped) == {}


def test_all_printed_time_is_in_a_bucket() -> None:
    """Compilation in a first line that loss scaling skipped is start-up, a late delay in such a line unexplained."""
    rows = _rows([2.0] * 40, skipped=0.0)
    rows[0] |= {"skipped": 1.0, "step_s": 32.0}
    rows[30] |= {"skipped": 1.0, "step_s": 9.0}
    summary = summarise(_run(rows))
    assert dict(summary.buckets) == {"useful_s": 76.0, "start_up_s": 30.0, "skipped_s": 4.0, "unexplained_s": 7.0}
    assert summary.wall_s == sum(row["step_s"] for row in rows)


def test_the_first_line_stands_for_no_more_steps_than_its_number() -> None:
    """A logger of every tenth step that prints step 1 too has run 41 steps at step 41, not 50."""
    rows = [{"step": float(step), "step_s": 2.0} for step in (1, 11, 21, 31, 41)]
    assert dict(summarise(_run(rows)).buckets) == {"useful_s": 82.0}


@pytest.mark.parametrize(
    ("kinds", "bucket"),
    [
        (["checkpoint"], "checkpoint_stall_s"),
        (["evaluation"], "evaluation_s"),
        (["checkpoint", "evaluation"], "unexplained_s"),
        ([], "unexplained_s"),
    ],
)
def test_pauses_have_the_cause_that_the_log_tells(kinds: list[str], bucket: str) -> None:
    """A pause goes into the bucket of the one mark before it; with none, or with two, it is unexplained."""
    times = [2.0] * 60
    times[29] = 32.0
    marks = tuple(Mark(kind=kind, line=30) for kind in kinds)
    summary = summarise(_run(_rows(times), marks=marks))
    assert dict(summary.dropped) == {"pause in the step": 1}
    assert dict(summary.buckets) == {"useful_s": 120.0, bucket: 30.0}


def test_pauses_between_steps_are_found_by_the_clock() -> None:
    """Time between lines that the printed step times do not fill is a pause, and no step is slow for it."""
    rows = [
        {"step": float(step), "step_s": 2.0, "time_stamp": 1000.0 + 2.0 * step + (45.0 if step > 30 else 0.0)}
        for step in range(1, 61)
    ]
    summary = summarise(_run(rows, marks=(Mark(kind="checkpoint", line=30),)))
    assert dict(summary.dropped) == {}
    assert dict(summary.buckets) == {"useful_s": 120.0, "checkpoint_stall_s": 45.0}
    (event,) = summary.events
    assert (event.step, event.cause, event.time_stamp) == (31, "checkpoint", 1107.0)


def test_a_slow_period_is_a_bucket_of_its_own() -> None:
    """Fifty steps ten per cent slower are a slow period; the steady step time is that of the others."""
    summary = summarise(_run(_rows([2.0] * 100 + [2.2] * 50 + [2.0] * 100)))
    assert dict(summary.dropped) == {"slow period": 50}
    assert (_p50(summary), summary.buckets["straggler_s"]) == (2.0, pytest.approx(10.0))


def test_drift_is_told() -> None:
    """Steps that grow by four per cent over the run drift by about two thirds of that between the outer thirds."""
    summary = summarise(_run(_rows([2.0 + 0.08 * step / 300.0 for step in range(300)])))
    assert summary.drift_frac == pytest.approx(0.04 * 2 / 3, rel=0.1)


def test_coarse_clocks_are_pooled() -> None:
    """A clock of whole seconds under steps of 0.7 s gives 0.7 s, not 0 or 1."""
    rows = [{"step": float(step), "time_stamp": float(int(0.7 * step))} for step in range(1, 401)]
    assert _p50(summarise(_run(rows))) == pytest.approx(0.7, rel=0.02)


def test_times_come_from_rates_where_no_time_is_printed() -> None:
    """Samples per second with the batch, and tokens per second with the tokens of a step, give the step time."""
    by_samples = _run([{"step": float(n), "samples_per_s": 32.0} for n in range(1, 30)], facts={"global_batch": 64.0})
    assert (_p50(summarise(by_samples)), summarise(by_samples).timed_by[:12]) == (2.0, "global batch")
    rows = [{"step": float(n), "tokens_per_s_per_gpu": 1000.0} for n in range(1, 30)]
    by_tokens = _run(rows, facts={"gpus": 8.0})
    assert summarise(by_tokens).step_s is None
    derived = summarise(by_tokens, tokens_per_step=16000.0)
    assert (_p50(derived), derived.derived) == (2.0, True)
    assert derived.timed_by == "tokens of a step over tokens per second, derived"
    assert "what was said of the run, and as right as that" in derived.notes[0]


@pytest.mark.parametrize(("rate", "value"), [("tflops_per_gpu", 400.0), ("mfu", 0.4)])
def test_flops_alone_give_a_step_time_under_a_definition(rate: str, value: float) -> None:
    """TFLOP/s or MFU alone, with FLOPs of a token, tokens and GPUs said: 6e10 x 80,000 / (8 x 4e14) = 1.5 s."""
    said = Definition(model_flop_per_token=6e10, peak_flop_per_s=1e15)
    reading = _run([{"step": float(n), rate: value} for n in range(1, 30)])
    assert summarise(reading).step_s is None
    found = summarise(reading, definition=said, tokens_per_step=80_000.0, gpus=8.0)
    assert (_p50(found), found.derived) == (pytest.approx(1.5, rel=1e-6), True)
    assert found.mfu == pytest.approx(0.4, rel=1e-6)


def test_a_clock_comes_before_what_was_said() -> None:
    """Where lines have times, tokens that somebody says do not change the step time: they may be another run's."""
    rows = [{"step": float(n), "tokens_per_s_per_gpu": 1000.0, "time_stamp": 2.5 * n} for n in range(1, 60)]
    found = summarise(_run(rows), tokens_per_step=16_000.0, gpus=8.0)
    assert (_p50(found), found.derived, found.timed_by) == (2.5, False, "time between lines")


def test_mfu_and_hfu_are_those_of_the_definition() -> None:
    """MFU is tokens times FLOPs over the peak; a printed one is converted by the FLOPs and the peak it counted."""
    ours = Definition(model_flop_per_token=6e10, peak_flop_per_s=1e15, hardware_flop_per_token=8e10, name="ours")
    summary = summarise(_run(_rows([2.0] * 20, tokens_per_s_per_gpu=5000.0)), definition=ours)
    assert (summary.mfu, summary.hfu, summary.definition) == (0.3, 0.4, "ours")
    theirs = Definition(model_flop_per_token=8e10, peak_flop_per_s=2e15)
    assert ours.converted(theirs.mfu(5000.0), theirs) == pytest.approx(ours.mfu(5000.0), rel=1e-12)


def test_buckets_are_the_vocabulary_of_goodput() -> None:
    """Every bucket of an event is one of goodput's, or says that it is not."""
    text = (Path(__file__).parents[2] / "src/isocost/measure/logs/events.py").read_text(encoding="utf-8")
    used = set(re.findall(r'"([a-z_]+_s)"', text))
    ours = {"useful_s", "start_up_s", "warm_up_s", "straggler_s", "lost_work_s", RESTART, *_BUCKET_OF_MARK.values()}
    others = {SKIPPED_S, UNEXPLAINED}
    assert ours <= set(BUCKETS)
    assert used == ours | others | {"duration_s"}


def test_a_drift_is_time_lost_to_slow_machines() -> None:
    """Where steps grow slower, a healthy step is one of the first third; what the others take more is a straggler."""
    times = [2.0] * 100 + [2.02] * 100 + [2.06] * 100
    summary = summarise(_run(_rows(times)))
    assert summary.drift_frac == pytest.approx(0.03)
    assert dict(summary.buckets) == {"useful_s": 600.0, "straggler_s": pytest.approx(8.0)}
    assert [(event.cause, event.step) for event in summary.events] == [(DRIFT, 300)]


def test_events_are_evidence_for_goodput(tmp_path: Path) -> None:
    """The file of events has every pause with its date; goodput reads the restarts of it as stops and nothing else."""
    rows = [{"step": float(n), "step_s": 2.0, "time_stamp": 1e9 + 2.0 * n} for n in range(1, 41)]
    rows += [{"step": float(n), "step_s": 2.0, "time_stamp": 1e9 + 2.0 * n + 320.0} for n in range(31, 101)]
    text = summarise(_run(rows, marks=())).events_csv()
    assert next(csv.DictReader(io.StringIO(text))) == {
        "start": "2001-09-09T01:47:40", "end": "2001-09-09T01:48:00", "node": "", "cause": "",
        "bucket": "lost_work_s", "what": "steps run again after a restart", "step": "40", "duration_s": "20.0",
        "line": "40",
    }  # fmt: skip
    path = tmp_path / "events.csv"
    path.write_text(text)
    (stop,) = read_events(path)
    assert (stop.start, stop.end) == (datetime(2001, 9, 9, 1, 48), datetime(2001, 9, 9, 1, 53))
    found = narrow(read_events(path), nodes=64, days=30)
    assert (found.events, found.mean_recovery_s) == (1, 300.0)


def test_a_restart_without_a_clock_is_a_stop_all_the_same(tmp_path: Path) -> None:
    """Where no line has a time, a stop is dated by the steps before it, has no length, and counts."""
    rows = [{"step": float(n), "step_s": 2.0} for n in (*range(1, 41), *range(31, 61))]
    summary = summarise(_run(rows))
    assert dict(summary.buckets) == {"useful_s": 120.0, "lost_work_s": 20.0}
    path = tmp_path / "events.csv"
    path.write_text(summary.events_csv())
    (stop,) = read_events(path)
    assert (stop.start, stop.end) == (datetime(1970, 1, 1, 0, 1, 20),) * 2


@pytest.mark.parametrize("odd", [1e300, float("nan"), float("inf"), 0.0, -2.0, 1e-300])
def test_impossible_step_times_do_not_count(odd: float) -> None:
    """A step time that is no time is dropped with a reason; nothing else changes, and no bucket is infinite."""
    times = [2.0] * 40
    times[20] = odd
    summary = summarise(_run(_rows(times)))
    assert _p50(summary) == 2.0
    reason = {1e300: "longer than a day", 1e-300: None}.get(odd, "no step time on or between the lines")
    assert dict(summary.dropped) == ({} if reason is None else {reason: 1})
    assert sum(summary.buckets.values()) == pytest.approx(80.0)


def test_records_behave_as_a_sequence() -> None:
    """Columns give back records: what a line lacks is None, and slices are columns again."""
    steps = _steps([{"step": 1.0, "mfu": 0.1}, {"step": 2.0}])
    assert steps[0] == StepRecord(step=1, mfu=0.1, line=1)
    assert list(steps[1:]) == [StepRecord(step=2, line=2)]
    assert set(DTYPES) == set(StepRecord.__slots__)


@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=60))
def test_every_row_has_one_fate(times: list[float]) -> None:
    """Used and dropped rows add up to the rows seen, and the percentiles are in order and among the times."""
    summary = summarise(_run(_rows(times)))
    assert summary.steps_used + sum(summary.dropped.values()) == summary.steps_seen == len(times)
    assert summary.step_s is not None
    assert min(times) <= summary.step_s.low <= summary.step_s.median <= summary.step_s.high <= max(times)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=80))
def test_any_order_of_steps_is_accepted(numbers: list[int]) -> None:
    """Whatever steps a log prints in whatever order, nothing fails and every row is accounted for."""
    summary = summarise(
        _run([{"step": float(n), "step_s": 1.0, "time_stamp": float(k)} for k, n in enumerate(numbers)])
    )
    assert summary.steps_used + sum(summary.dropped.values()) == len(numbers)


def test_megatron_pauses_end_to_end(tmp_path: Path) -> None:
    """An evaluation line between steps of a real format puts the pause into its bucket."""
    line = (
        " [2026-01-31 12:{0:02}:{1:02}] iteration {2:8d}/ 100 | elapsed time per iteration (ms): 2000.0 | lm "
        "loss: 2.0E+00 |"
    )
    text = ""
    for step in range(1, 21):
        clock = 2 * step + (30 if step > 10 else 0)
        text += line.format(clock // 60, clock % 60, step) + "\n"
        text += " validation loss at iteration 10 | lm loss value: 2.0 |\n" if step == 10 else ""
    path = tmp_path / "a.log"
    path.write_text(text)
    assert dict(summarise(read_log(path)).buckets) == {"useful_s": 40.0, "evaluation_s": 30.0}
