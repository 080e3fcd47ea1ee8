"""isocost doctor on two runs: what changed, with intervals; files of one run are no two runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples.measure_logs import megatron, megatron_2021
from samples.measure_traces import step_events, write_trace
from scipy import stats

from isocost.cli import run
from isocost.measure.logs.change import _binomial_interval, compare_counts, compare_means, compare_values, median_of


def _log(path: Path, median_s: float, noise: float, seed: int, steps: int = 300, head: str = "") -> Path:
    times = median_s * (1.0 + noise * np.random.default_rng(seed).standard_normal(steps))
    path.write_text(head + "".join(megatron_2021(n, time) for n, time in enumerate(times, 1)), encoding="utf-8")
    return path


def _json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(["doctor", *arguments, "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_change_is_found_and_its_interval_holds_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Steps of 2.0 and 1.8 s with 2 % of noise: -10 %, in an interval of less than two points, beyond chance."""
    old, new = _log(tmp_path / "old.log", 2.0, 0.02, 1), _log(tmp_path / "new.log", 1.8, 0.02, 2)
    step = _json([str(old), str(new)], capsys)["changes"][0]
    assert step["name"] == "step time, s"
    assert step["low_frac"] < -0.1 < step["high_frac"] < 0.0
    assert step["high_frac"] - step["low_frac"] < 0.02
    assert (step["verdict"], step["significant"]) == ("less", True)
    turned = _json([str(old), "--against", str(new)], capsys)["changes"][0]
    assert (1.0 + turned["change_frac"]) * (1.0 + step["change_frac"]) == pytest.approx(1.0)


def test_equal_runs_differ_in_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two draws of the same run: no row is beyond chance; a log against itself changes by nothing at all."""
    old, new = _log(tmp_path / "old.log", 2.0, 0.02, 1), _log(tmp_path / "new.log", 2.0, 0.02, 2)
    found = _json([str(old), str(new)], capsys)
    assert [change["name"] for change in found["changes"] if change["significant"]] == []
    same = _json([str(old), str(old)], capsys)
    assert [change["change_frac"] for change in same["changes"] if change["change_frac"] is not None] == [0.0, 0.0]


def test_a_change_below_the_noise_between_runs_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One per cent between two quiet runs is beyond chance, and less than two equal runs differ by."""
    old, new = _log(tmp_path / "old.log", 2.0, 0.002, 1), _log(tmp_path / "new.log", 2.02, 0.002, 2)
    assert run(["doctor", str(old), str(new)]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert "beyond chance, but below 2%, by which two equal runs differ" in first


def test_pauses_buckets_and_headers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """More pauses, a restart and another degree in the new run come out in their rows."""
    times = [2.0] * 400
    (tmp_path / "old.log").write_text("".join(megatron_2021(n, t) for n, t in enumerate(times, 1)), encoding="utf-8")
    for place in range(20, 400, 20):
        times[place] = 12.0
    text = "".join(megatron_2021(n, t) for n, t in enumerate(times, 1))
    text += "".join(megatron_2021(n, 2.0) for n in range(391, 500))
    head = "  tensor_model_parallel_size ........ 4\n"
    (tmp_path / "new.log").write_text(head + text, encoding="utf-8")
    found = _json([str(tmp_path / "old.log"), str(tmp_path / "new.log")], capsys)
    changes = {change["name"]: change for change in found["changes"]}
    assert changes["step time, s"]["change_frac"] == 0.0
    assert changes["pauses an hour"]["verdict"] == "more"
    assert changes["stops a day"]["new"] > changes["stops a day"]["old"] == 0.0
    assert changes["stops a day"]["verdict"] == "no change beyond chance"  # one stop is none to speak of
    buckets = {row["bucket"]: row for row in found["buckets"]}
    assert (buckets["unexplained_s"]["old_events"], buckets["unexplained_s"]["new_events"]) == (0, 19)
    assert buckets["lost_work_s"]["new_frac"] == pytest.approx(20.0 / found["measured"]["new"]["wall_s"], rel=1e-6)
    assert found["facts"] == {"tp": {"old": None, "new": 4.0}}
    assert sum(row["new_frac"] for row in found["buckets"]) == pytest.approx(1.0)


def test_few_steps_tell_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Five steps each: the change is shown, without an interval, and what to do is said."""
    old, new = _log(tmp_path / "old.log", 2.0, 0.0, 1, 5), _log(tmp_path / "new.log", 1.0, 0.0, 2, 5)
    assert run(["doctor", str(old), str(new)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("A step took 2 to 1 s, -50.0%: too few steps to tell.")
    assert "record more of them" in out


def test_the_scenario_gives_mfu_and_days(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the scenario of the runs, MFU rises as the step falls, and days are those of the tokens left."""
    head = "using world size: 8,\n"
    old = _log(tmp_path / "old.log", 2.0, 0.01, 1, head=head)
    new = _log(tmp_path / "new.log", 1.6, 0.01, 2, head=head)
    flags = ["--model", "llama-3.2-1b", "--tokens", "1 T", "--on", "h100-sxm5-80gb", "--gpus", "8", "--seq-len", "2048",
             "--global-batch", "8"]  # fmt: skip
    found = _json([str(old), str(new), *flags], capsys)
    mfu = next(change for change in found["changes"] if change["name"] == "MFU, of the scenario")
    step = found["changes"][0]
    assert (1.0 + mfu["change_frac"]) * (1.0 + step["change_frac"]) == pytest.approx(1.0, rel=1e-9)
    days = 1e12 / (8 * 2048) * (step["old"] - step["new"]) / 86400.0
    assert found["days_saved"] == pytest.approx(days, rel=1e-6)


def test_two_traces_are_compared_by_operators(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Traces of the same rank are two runs: attention halves, and nothing else changes but the step."""
    paths = []
    for name, attention_s in (("old", 0.4), ("new", 0.2)):
        events = []
        for n in range(4):
            parts = {"matrix products": 1.0 + 0.01 * (n % 2), "attention": attention_s, "host": 0.1 - 0.01 * (n % 2)}
            events += step_events(parts, begin=2e6 * n, step=n)
        paths.append(write_trace(tmp_path / f"{name}.json", events))
    found = _json([*map(str, paths)], capsys)
    changes = {change["name"]: change for change in found["changes"]}
    assert changes["attention, s"]["change_frac"] == pytest.approx(-0.5)
    assert changes["step, s"]["new"] == pytest.approx(1.3)
    assert {name for name, change in changes.items() if change["significant"]} == {"attention, s", "step, s"}
    assert changes["gemm, s"]["low_frac"] < 0.0 < changes["gemm, s"]["high_frac"]


@pytest.mark.parametrize(
    ("first", "second", "two"),
    [
        (("a.json", 0, 8), ("b.json", 1, 8), False),
        (("a.json", 0, 8), ("b.json", 0, 8), True),
        (("a.json", 0, 8), ("b.json", 1, 16), True),
        (("rank0.json", None, None), ("rank1.json", None, None), False),
        (("rank0.json", None, None), ("old_rank0.json", None, None), True),
        (("old.json", None, None), ("new.json", None, None), True),
    ],
)
def test_ranks_of_a_run_are_not_two_runs(
    first: tuple[str, int | None, int | None],
    second: tuple[str, int | None, int | None],
    two: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Different ranks of as many are one run, by what traces record and else by their names; --against decides."""
    paths = []
    for name, rank, world in (first, second):
        path = write_trace(tmp_path / name, step_events({"matrix products": 1.0}), rank or 0, world or 1)
        if rank is None:
            whole = json.loads(path.read_text())
            del whole["distributedInfo"]
            path.write_text(json.dumps(whole))
        paths.append(str(path))
    assert ("changes" in _json(paths, capsys)) == two
    assert "changes" in _json([paths[1], "--against", paths[0]], capsys)


def test_a_log_of_another_format_is_compared_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The two runs may print in different formats."""
    old = _log(tmp_path / "old.log", 2.0, 0.01, 1)
    new = tmp_path / "new.log"
    new.write_text("".join(megatron(n, 2.0) for n in range(1, 60)), encoding="utf-8")
    found = _json([str(old), str(new)], capsys)
    assert found["changes"][0]["verdict"] == "no change beyond chance"


def test_events_are_of_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--events-out with two runs is refused in one line."""
    old = str(_log(tmp_path / "old.log", 2.0, 0.01, 1))
    assert run(["doctor", old, old, "--events-out", str(tmp_path / "e.csv")]) == 2
    assert "--events-out: needs one run" in capsys.readouterr().err
    assert not (tmp_path / "e.csv").exists()


@pytest.mark.parametrize(("count", "total"), [(0, 5), (3, 10), (10, 10), (40, 100)])
def test_the_interval_of_a_share_is_exact(count: int, total: int) -> None:
    """The interval is that of Clopper and Pearson, by the quantiles of the beta distribution."""
    low = stats.beta.ppf(0.05, count, total - count + 1) if count else 0.0
    high = stats.beta.ppf(0.95, count + 1, total - count) if count < total else 1.0
    assert _binomial_interval(count, total) == pytest.approx((low, high), rel=1e-9)


def test_the_interval_of_few_means_is_that_of_welch() -> None:
    """Six values against four: scipy's confidence interval of the difference, over the old mean."""
    old, new = np.array([2.0, 2.1, 1.9, 2.05, 2.0, 1.95]), np.array([1.8, 1.85, 1.7, 1.9])
    found = compare_means("", old, new)
    said = stats.ttest_ind(new, old, equal_var=False).confidence_interval(0.90)
    assert found.low_frac == pytest.approx(said.low / old.mean(), rel=0.02)  # degrees of freedom are rounded down
    assert found.high_frac == pytest.approx(said.high / old.mean(), rel=0.05)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 200 pairs of runs whose steps hang together, 80 to 97 % of the 90 % intervals hold the change of 3 %."""
    draws, held = np.random.default_rng(0), 0
    for _ in range(200):
        runs = []
        for level in (1.0, 1.03):
            noise = draws.standard_normal(220)
            for place in range(1, 220):
                noise[place] = 0.6 * noise[place - 1] + 0.8 * noise[place]
            runs.append(level * (1.0 + 0.02 * noise[20:]))
        found = compare_values("", runs[0], runs[1], median_of)
        assert found.low_frac is not None
        assert found.high_frac is not None
        held += found.low_frac <= 0.03 <= found.high_frac
    assert 160 <= held <= 194


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_counts_are_symmetric(old: int, new: int) -> None:
    """Turning the runs around turns the verdict around, whatever the counts."""
    there, back = compare_counts("", old, new, 2.0, 3.0), compare_counts("", new, old, 3.0, 2.0)
    assert there.significant == back.significant
    if there.significant:
        assert {there.verdict, back.verdict} == {"more", "less"}
