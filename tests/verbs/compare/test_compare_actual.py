"""A plan against the log of its run: figures of the plan's own JSON, time that adds up, and a forecast from here on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples.measure_logs import LOGS, megatron, megatron_2021

import isocost
from isocost.cli import run
from isocost.errors import InputError
from isocost.reliability.buckets import BUCKETS
from isocost.verbs.meter.answer import BEFORE, PARTS, PlanAgainstActual
from isocost.verbs.plan.answer import Plan

RUN: Mapping[str, object] = {
    "model": "llama-3.1-8b", "tokens": "1 B", "on": "h100-sxm5-80gb", "gpus": 8, "stack": "megatron-core",
    "seq_len": 16384, "global_batch": 8, "tp": 2, "deadline": "14 h",
}  # fmt: skip


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Return the plan of a small run: 7,630 steps."""
    return isocost.plan(dict(RUN))


@pytest.fixture(scope="module")
def saved(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the JSON of the plan."""
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    path.write_text(json.dumps(plan.to_dict()), encoding="utf-8")
    return path


def _log(path: Path, first: int = 1, last: int = 200, seconds: float = 2.4, head: str = "") -> Path:
    path.write_text(head + "".join(megatron_2021(step, seconds) for step in range(first, last + 1)), encoding="utf-8")
    return path


def _against(plan: object, log: Path) -> PlanAgainstActual:
    found = isocost.compare(plan, log)
    assert isinstance(found, PlanAgainstActual)
    return found


def test_every_bucket_has_its_row() -> None:
    """The parts are all buckets of the goodput vocabulary but bring-up, each once, and two that only a log has."""
    names = [name for part in PARTS.values() for name in part]
    assert len(names) == len(set(names))
    assert set(names) == set(BUCKETS) - {BEFORE} | {"skipped_s", "unexplained_s"}


def test_the_step_is_judged_by_the_interval(plan: Plan, tmp_path: Path) -> None:
    """Measured over predicted, MFU in proportion, and whether the measured step lies in the plan's interval."""
    chosen = plan.answer.chosen
    assert chosen is not None
    assert chosen.mfu is not None
    for seconds, inside in ((chosen.step_s, True), (2.0 * chosen.step_s, False)):
        found = _against(plan, _log(tmp_path / "train.log", seconds=seconds))
        values = found.to_dict()
        assert found.ratio == pytest.approx(
            seconds / chosen.step_s, rel=1e-4
        )  # Megatron prints tenths of a millisecond
        assert values["step_s"]["inside_interval"] is inside
        assert values["mfu"]["measured_frac"] == pytest.approx(chosen.mfu / found.ratio, rel=1e-12)
        assert (" inside " if inside else " outside ") in found.sentence


def test_time_adds_up(plan: Plan, tmp_path: Path) -> None:
    """The parts add up to the planned time of as many steps and to all that the log accounts for."""
    head = "".join(megatron_2021(step, seconds) for step, seconds in ((1, 30.0), (2, 2.4)))
    found = _against(plan, _log(tmp_path / "train.log", first=3, head=head))
    buckets = plan.to_dict()["whole_run"]["buckets"]
    assert (found.progress.before, found.progress.logged, found.progress.done) == (0, 200, 200)
    share = 200 / found.progress.steps
    once = buckets["start_up_s"]
    rest = sum(buckets.values()) - buckets["bring_up_s"] - once
    planned, actual = found.logged_s
    assert planned == pytest.approx(once + share * rest, rel=1e-12)
    assert actual == pytest.approx(199 * 2.4 + 30.0, rel=1e-9)
    by_name = {part.name: part.actual_s for part in found.parts}
    assert by_name["first start and compilation"] == pytest.approx(30.0 - 2.4, rel=1e-9)
    assert by_name["steps that are kept, at their usual speed"] == pytest.approx(200 * 2.4, rel=1e-9)


def test_a_run_as_predicted_keeps_its_plan(plan: Plan, tmp_path: Path) -> None:
    """With the predicted step and nothing lost, the forecast is close to the plan, and narrower: the step is known."""
    chosen = plan.answer.chosen
    assert chosen is not None
    found = _against(plan, _log(tmp_path / "train.log", seconds=chosen.step_s))
    low, middle, high = found.days()
    whole = plan.to_dict()["whole_run"]["quantiles"]["days"]
    assert middle == pytest.approx(chosen.days, rel=0.05)
    assert high - low < whole["p95"] - whole["p05"]


def test_slower_steps_take_longer_and_cost_more(plan: Plan, tmp_path: Path) -> None:
    """Each day and dollar left scales with the measured step; so far is bring-up and the time of the log."""
    one, two = (_against(plan, _log(tmp_path / "train.log", seconds=seconds)) for seconds in (2.0, 3.0))
    assert one.behind_s == pytest.approx(one.bring_up_s + 400.0, rel=1e-12)
    assert two.behind_s == pytest.approx(two.bring_up_s + 600.0, rel=1e-12)
    price = one.chosen.option.median_usd_per_s
    assert price is not None
    assert one.behind_usd == pytest.approx(price * 8 * one.behind_s, rel=1e-12)
    assert one.forecast is not None
    assert two.forecast is not None
    ratio = np.median(two.forecast.useful_s) / np.median(one.forecast.useful_s)
    assert ratio == pytest.approx(1.5, rel=1e-9)
    first, second = one.cost_usd(), two.cost_usd()
    assert first is not None
    assert second is not None
    longer_s = 200.0 + float(np.median(two.forecast.useful_s) - np.median(one.forecast.useful_s))
    assert second[1] - first[1] == pytest.approx(price * 8 * longer_s, rel=0.15)  # people and lost time beside it
    assert one.deadline_chance is not None
    assert two.deadline_chance is not None
    assert two.deadline_chance < one.deadline_chance


def test_a_log_from_the_middle(plan: Plan, tmp_path: Path) -> None:
    """Steps before the log are taken at its pace; tokens left are those after its last step."""
    found = _against(plan, _log(tmp_path / "train.log", first=1001, last=1200))
    p = found.progress
    assert (p.before, p.logged, p.done) == (1000, 200, 1200)
    assert p.tokens_left == (p.steps - 1200) * 8 * 16384
    assert found.behind_s == pytest.approx(found.bring_up_s + 1200 * 2.4, rel=1e-9)
    assert "1,000 steps before the log" in found.table()


def test_a_line_of_ten_steps_counts_ten(plan: Plan, tmp_path: Path) -> None:
    """A log that prints every tenth step has as many steps as it says."""
    path = tmp_path / "train.log"
    path.write_text("".join(megatron(step, 2.4) for step in range(10, 510, 10)), encoding="utf-8")
    found = _against(plan, path)
    assert (found.progress.before, found.progress.logged) == (0, 500)


def test_a_run_that_is_through(plan: Plan, tmp_path: Path) -> None:
    """Nothing is left to forecast: the days are those of the log and the bring-up."""
    steps = plan.to_dict()["chosen"]["steps"]
    found = _against(plan, _log(tmp_path / "train.log", first=steps - 199, last=steps))
    assert found.forecast is None
    assert found.progress.left == 0
    assert found.days() == pytest.approx((found.behind_s / 86400.0,) * 3, rel=1e-12)


def test_command_line_and_python_agree(plan: Plan, saved: Path, tmp_path: Path, capsys: Any) -> None:
    """The verb, the Python call on the file and on the plan in hand give the same figures, in every format."""
    log = _log(tmp_path / "train.log")
    assert run(["compare", str(saved), str(log), "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values.pop("document")["lead"]
    assert values == json.loads(json.dumps(_against(saved, log).to_dict()))
    in_hand = _against(plan, log).to_dict()
    assert values["days"]["p50"] == pytest.approx(in_hand["days"]["p50"], rel=1e-9)
    for form in ("table", "csv", "md", "html"):
        assert run(["compare", str(saved), str(log), "--format", form]) == 0
        assert "first start and compilation" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("  num_layers ................ 80\n", "is of another run: layers is 80 in it and 32 in"),
        ("using world size: 64\n", "is of another run: gpus is 64 in it and 8 in"),
    ],
    ids=["model", "GPUs"],
)
def test_a_log_of_another_run(head: str, said: str, saved: Path, tmp_path: Path, capsys: Any) -> None:
    """A log that says another model or another cluster than the plan is refused, with both figures."""
    assert run(["compare", str(saved), str(_log(tmp_path / "train.log", head=head))]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_every_format_can_be_compared(plan: Plan, tmp_path: Path) -> None:
    """Thirty steps are thirty steps in every format that prints no rate of tokens; the mean of a run does, too."""
    for name in ("megatron", "nemo", "dlll", "deepspeed", "nanogpt", "lightning", "trainer_state"):
        path = tmp_path / name
        path.write_text(LOGS[name][1], encoding="utf-8")
        found = _against(plan, path)
        assert (found.progress.before, found.progress.logged) == (0, 30), name
        assert found.log.step_s.median == pytest.approx(2.0 if name != "trainer_state" else 64.0 / 30, rel=1e-3), name


def test_a_log_without_a_line_of_a_step(plan: Plan, tmp_path: Path) -> None:
    """The last line of a run alone says how fast it was, not how far it is: one clear line."""
    path = tmp_path / "train.log"
    path.write_text(
        "{'train_runtime': 640.0, 'train_samples_per_second': 0.4, 'train_steps_per_second': 0.047}\n", "utf-8"
    )
    with pytest.raises(InputError, match=r"train\.log: "):
        isocost.compare(plan, path)


def test_what_is_no_plan_or_no_log(saved: Path, tmp_path: Path, capsys: Any) -> None:
    """A trace, a plan of another version or without a layout, the wrong order: one line that says what to do."""
    log, trace, old, none, toml = (
        tmp_path / name for name in ("train.log", "trace.json", "old.json", "no.json", "a.toml")
    )
    _log(log)
    trace.write_text('{"traceEvents": [{"ph": "X", "cat": "kernel", "ts": 1, "dur": 2}]}', encoding="utf-8")
    values = json.loads(saved.read_text("utf-8"))
    old.write_text(json.dumps(values | {"schema_version": 1}), encoding="utf-8")
    none.write_text(json.dumps(values | {"chosen": None}), encoding="utf-8")
    cut = tmp_path / "cut.json"
    short = {key: value for key, value in values["chosen"].items() if key not in ("days_low", "cost_usd_high")}
    cut.write_text(json.dumps(values | {"chosen": short}), encoding="utf-8")
    toml.write_text('model = "gpt2"\n', encoding="utf-8")
    for a, b, said in (
        (saved, trace, "trace.json: is a trace, not a log; fix: give the run's log"),
        (old, log, "has schema_version 1; this isocost reads 2"),
        (none, log, "is null: no layout met the question"),
        (cut, log, "chosen: has no usable value for days_low, cost_usd_high"),
        (toml, log, "train.log: is not a scenario"),
        (log, saved, "plan.json: is not a scenario"),
        (saved, tmp_path / "nothing.log", "nothing.log"),
    ):
        assert run(["compare", str(a), str(b)]) == 2, said
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1
