"""Calibration on a user's own runs: what it may move, that it never makes things worse, and how it treats bad files."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from samples.cases import varied

import isocost
from isocost.calibration.next_runs import candidates, next_runs
from isocost.calibration.refit import left_out_groups, spread_rows
from isocost.calibration.site import calibrate_site, fit_rows
from isocost.catalog import load_catalog
from isocost.cli import run
from isocost.errors import InputError
from isocost.evidence.measured import Evidence, measured
from isocost.evidence.runs import read_runs
from isocost.perf.constants import Constant, shipped
from isocost.perf.predict import step_times
from isocost.perf.site import USER, SiteCalibration, user_index
from isocost.perf.site_file import calibration_toml, load_calibration

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "my_runs.csv"


def _rows() -> list[dict[str, str]]:
    with EXAMPLE.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def own() -> SiteCalibration:
    """Return the calibration of the example."""
    return calibrate_site(read_runs(EXAMPLE).runs, load_catalog(), shipped(), name="mine", source="my_runs.csv")


def _simulated(factors: Mapping[str, float]) -> tuple[Evidence, dict[str, Constant]]:
    """Return the example runs with the step times that a site with these multipliers would have measured."""
    evidence = measured(read_runs(EXAMPLE).runs, load_catalog())
    cases = [replace(case, user="true") for case in evidence.cases]
    names = user_index(cases, shipped()).names
    true = {
        name: Constant(value=factors.get(name.split("|")[0], 1.0), prior=1.0, sd=1.0, posterior_sd=1.0, rows=1)
        for name in names
    }
    return replace(evidence, measured_s=np.asarray(step_times(cases, {**shipped(), **true}).total_s)), true


def test_runs_that_agree_move_nothing() -> None:
    """Runs that measured what is predicted leave every multiplier at 1."""
    evidence, _ = _simulated({})
    found = fit_rows(evidence.runs, evidence.cases, evidence.measured_s, shipped())
    assert max(abs(math.log(constant.value)) for constant in found.constants.values()) < 1e-6
    assert found.before.mean_frac < 1e-9


def test_a_slow_fabric_is_found() -> None:
    """Where only the fabric is slower, the fabric moves most and the error left out falls by more than half."""
    evidence, _ = _simulated({"fabric": 0.6})
    found = fit_rows(evidence.runs, evidence.cases, evidence.measured_s, shipped())
    moves = {name.split("|")[0]: abs(math.log(constant.value)) for name, constant in found.constants.items()}
    assert max(moves, key=lambda name: moves[name]) == "fabric"
    assert found.constants["fabric|user_chip=mine@a100-sxm4-80gb"].value < 0.9
    assert found.left_out is not None
    assert found.left_out.mean_frac < 0.5 * found.before.mean_frac


def test_more_runs_leave_less_open(own: SiteCalibration) -> None:
    """No multiplier is less sure after the fit than before, and those that no run carries are exactly as they were."""
    for name, constant in own.constants.items():
        assert constant.posterior_sd <= constant.sd * (1 + 1e-9), name
        if name.startswith(("pp_exposed", "fsdp_interference")):
            assert constant.rows == 0
            assert constant.value == pytest.approx(1.0, abs=1e-3)


def test_one_run_is_enough_and_moves_with_caution() -> None:
    """One row calibrates: it comes nearer to that row, not all the way, and says that the gain cannot be checked."""
    runs = read_runs(EXAMPLE).runs[:1]
    one = calibrate_site(runs, load_catalog(), shipped())
    assert (one.row_count, one.layout_count, one.left_out) == (1, 1, None)
    assert 0 < one.after.mean_frac < one.before.mean_frac
    assert "cannot be checked" in one.notes[0]


def test_repeats_of_one_layout_are_one_layout() -> None:
    """Six measurements of one configuration do not vouch for each other: nothing is left out."""
    first = read_runs(EXAMPLE).runs[0]
    runs = [replace(first, id=f"r{i}", step_s=(first.step_s or 0) * (1 + 0.01 * i)) for i in range(6)]
    same = calibrate_site(runs, load_catalog(), shipped())
    assert (same.row_count, same.layout_count, same.left_out) == (6, 1, None)
    assert "one layout" in same.notes[0]


def test_noise_is_not_fitted() -> None:
    """Where the errors of the runs have no pattern, left-out layouts show it and the calibration does no harm there."""
    evidence, _ = _simulated({})
    noisy = evidence.measured_s * np.array([1.3, 0.8, 1.2, 0.75, 1.25, 0.8])
    found = fit_rows(evidence.runs, evidence.cases, noisy, shipped())
    assert found.left_out is not None
    assert found.left_out.mean_frac <= found.before.mean_frac
    assert found.strength < 1


def test_bad_rows_are_named_and_the_good_ones_used(tmp_path: Path) -> None:
    """Each bad row is reported with line, column and reason; the calibration is that of the good rows alone."""
    rows = _rows()
    bad = [
        {**rows[0], "id": "layout", "gpus": "12"},
        {**rows[1], "id": rows[0]["id"]},
        {**rows[1], "id": "chip", "accelerator": "h9000"},
        {**rows[1], "id": "fast", "step_s": "0.01"},
        {**rows[1], "id": "unit", "step_s": "4400"},
        {**rows[1], "id": "none", "step_s": ""},
        {**rows[1], "id": "unsure", "complete": "false"},
    ]
    mixed = isocost.calibrate(_write(tmp_path / "mixed.csv", [*rows, *bad]), name="x")
    good = isocost.calibrate(EXAMPLE, name="x")
    found = {row.id: (row.line, row.column) for row in mixed.calibration.unused}
    assert found == {
        "layout": (8, "gpus"), rows[0]["id"]: (9, "id"), "chip": (10, "accelerator"), "fast": (11, "step_s"),
        "unit": (12, "step_s"), "none": (13, "step_s"), "unsure": (14, "complete"),
    }  # fmt: skip
    assert all(row.reason for row in mixed.calibration.unused)
    for name, constant in good.calibration.constants.items():
        assert mixed.calibration.constants[name].value == pytest.approx(constant.value, rel=1e-12)


@pytest.mark.parametrize("rows", [[], [{"accelerator": "h9000"}], [{"gpus": "12"}]])
def test_nothing_to_use_writes_nothing(
    rows: list[dict[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file without a row that can be used is an error of one line a row, and no file appears."""
    path = _write(tmp_path / "runs.csv", _rows()[:1])
    header = path.read_text(encoding="utf-8").splitlines()[0] + "\n"
    path.write_text(header, encoding="utf-8")
    if rows:
        _write(path, [{**_rows()[0], **row} for row in rows])
    assert run(["calibrate", str(path), "-o", str(tmp_path / "site.toml")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "site.toml").exists()


def test_only_a_calibration_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A calibration is replaced by a new one; any other file in its place is left as it is."""
    target = tmp_path / "site.toml"
    assert run(["calibrate", str(EXAMPLE), "-o", str(target), "-q"]) == 0
    first = target.read_bytes()
    assert run(["calibrate", str(EXAMPLE), "-o", str(target), "-q"]) == 0
    assert target.read_bytes() == first
    target.write_text("tokens = '1 T'\n", encoding="utf-8")
    assert run(["calibrate", str(EXAMPLE), "-o", str(target)]) == 2
    assert target.read_text(encoding="utf-8") == "tokens = '1 T'\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site.toml"]
    assert "not a calibration" in capsys.readouterr().err


def test_a_file_reads_back(own: SiteCalibration, tmp_path: Path) -> None:
    """What is written reads back to the same text, and to the same intervals to six digits."""
    path = tmp_path / "mine.toml"
    path.write_text(calibration_toml(own), encoding="utf-8")
    back = load_calibration(path)
    assert calibration_toml(back) == calibration_toml(own)
    assert back.log_spread(own.cases, shipped()) == pytest.approx(own.log_spread(own.cases, shipped()), rel=1e-4)


def test_every_problem_of_a_file_at_once(own: SiteCalibration, tmp_path: Path) -> None:
    """A calibration with several faults is refused with all of them."""
    path = tmp_path / "mine.toml"
    text = calibration_toml(own).replace("rows = 6\nlayouts", "rows = true\nlayouts").replace("spread = ", "spread = -")
    text = text.replace('"pointwise|user', '"pointwize|user').replace("low = 0.", "low = 3.")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_calibration(path)
    places = [problem.path.removeprefix(f"{path}: ") for problem in caught.value.problems]
    assert places[:3] == ["rows", "spread", "band"]
    assert places[3].startswith("constant.pointwize|user=")
    assert caught.value.problems[3].nearest == "pointwise"


NAMED = "kind = 'isocost calibration'"


@pytest.mark.parametrize("text", ["", "kind = 3", NAMED, "= 1", f"{NAMED}\nschema_version = 9"])
def test_other_files_are_no_calibration(text: str, tmp_path: Path) -> None:
    """Empty, foreign, broken and future files are refused by name."""
    path = tmp_path / "other.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"other\.toml"):
        load_calibration(path)


def test_a_plan_is_narrower_with_it(own: SiteCalibration, tmp_path: Path) -> None:
    """The same question with a calibration has the class calibrated, a narrower interval and the user's step time."""
    path = tmp_path / "mine.toml"
    path.write_text(calibration_toml(own), encoding="utf-8")
    asked = {"model": "llama-3.1-8b", "tokens": "1 T", "on": "a100-sxm4-80gb", "gpus": 64, "stack": "internevo"}
    plain = isocost.plan(asked).answer.chosen
    mine = isocost.plan(asked, calibration=str(path))
    chosen = mine.answer.chosen
    assert plain is not None
    assert chosen is not None
    assert chosen.certainty.classes == ("calibrated",)
    assert chosen.certainty.band.high / chosen.certainty.band.low < plain.certainty.band.high / plain.certainty.band.low
    assert f"{chosen.step_s:.3g}" in isocost.explain(mine, "step_time").lead
    assert chosen.step_s != plain.step_s


def test_a_plan_of_another_stack_and_chip_refuses_it(own: SiteCalibration, tmp_path: Path) -> None:
    """A calibration of which nothing applies is an error that names what it was made on."""
    path = tmp_path / "mine.toml"
    path.write_text(calibration_toml(own), encoding="utf-8")
    with pytest.raises(InputError, match="internevo on a100-sxm4-80gb"):
        isocost.plan(model="llama-3.1-8b", tokens="1 T", on="h100-sxm5-80gb", stack="torchtitan", calibration=str(path))


def test_multipliers_stay_where_they_belong(own: SiteCalibration) -> None:
    """Another chip keeps the stack's multipliers and drops the chip's; the levels of USER say which is which."""
    chip = load_catalog().accelerators["h100-sxm5-80gb"]
    there = [replace(case, accelerator=chip, user="mine") for case in own.cases]
    kept = set(user_index(there, shipped()).names) & set(own.constants)
    assert {name.split("|")[0] for name in kept} == {
        name for name, (level, _) in USER.items() if level == "user" and f"{name}|user=mine:internevo" in own.constants
    }


def test_proposals_narrow_the_plan(own: SiteCalibration) -> None:
    """Each proposal is smaller than the plan, legal, named, and leaves less open than the one before."""
    plan = max(own.cases, key=lambda case: case.gpus)
    slow = varied(plan, seq_len=4 * plan.seq_len, tp=4, dp=plan.layout.dp // 2, shard_group=0)
    now, found = next_runs(own, slow, shipped())
    assert found
    widths = [now, *(proposal.half_width_frac for proposal in found)]
    assert all(after < before for before, after in itertools.pairwise(widths))
    for proposal in found:
        case, layout = proposal.case, proposal.case.layout
        assert proposal.gpus <= slow.gpus
        assert layout.tp == slow.layout.tp
        assert case.global_batch_seqs % (layout.dp * layout.micro_batch) == 0
        assert layout.gpus == proposal.gpus
        assert proposal.differs


def test_a_run_told_of_tells_what_was_promised(own: SiteCalibration) -> None:
    """Measuring a proposal narrows the plan as promised: the linear forecast and the fit with the run agree."""
    evidence, _ = _simulated({})
    base = fit_rows(evidence.runs, evidence.cases, evidence.measured_s, shipped(), name="mine")
    plan = replace(max(base.cases, key=lambda case: case.gpus), seq_len=8192)
    (first, *_) = next_runs(base, plan, shipped())[1]
    cases = [*evidence.cases, replace(first.case, user="")]
    steps = np.append(evidence.measured_s, step_times([first.case], shipped()).total_s)
    runs = [*evidence.runs, replace(evidence.runs[0], id="new", step_s=float(steps[-1]))]
    after = fit_rows(runs, cases, steps, shipped(), name="mine")
    log_half = 1.645 * math.sqrt(after.log_spread([plan], shipped())[0] ** 2 - after.spread**2 + base.spread**2)
    assert math.sinh(log_half) == pytest.approx(first.half_width_frac, rel=0.02)


def test_candidates_are_distinct(own: SiteCalibration) -> None:
    """No candidate is proposed twice, nor is the plan itself."""
    plan = own.cases[-1]
    found = [repr(case) for case in candidates(plan)]
    assert len(found) == len(set(found)) > 20
    assert repr(plan) not in found


def test_spread_rows_differ() -> None:
    """A draw takes one row of each layout before a second of any, and is the same for the same seed."""
    runs = read_runs(EXAMPLE).runs
    twice = [*runs, *runs]
    picked = spread_rows(twice, 6, seed=1)
    assert len({(twice[i].gpus, twice[i].tp) for i in picked}) == 6
    assert picked == spread_rows(twice, 6, seed=1)


def test_refits_say_that_scipy_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where scipy is not installed, as after a plain install, leaving out is a message with the fix, not a defect."""
    monkeypatch.setattr("isocost.calibration.refit.find_spec", lambda name: None)
    every = measured(read_runs(ROOT / "examples" / "my_runs.csv").runs, load_catalog())
    with pytest.raises(InputError, match=r"^--leave-out: .* needs scipy, .*; fix: .*pip install scipy"):
        next(left_out_groups(every, "stack", shipped()))


def test_never_a_point_worse_on_a_stack_left_out() -> None:
    """Stacks that the fit has not seen, calibrated on five of their rows, are not a point worse on their others."""
    every = measured(read_runs(ROOT / "evidence" / "training_runs.csv").runs, load_catalog())
    stacks = ("internevo", "nemo-2023")
    mine = np.array([case.recipe.id in stacks for case in every.cases])
    # One in twenty of the other rows carries the constants well enough for this; the whole is what validate runs.
    few = every.rows(mine | (np.arange(mine.size) % 20 == 0))
    found = list(left_out_groups(few, "stack", shipped(), only=stacks, calibrated=5))
    assert [group.calibrated_rows for group in found] == [5, 5]
    for group in found:
        assert group.worst_change_frac is not None
        assert group.worst_change_frac < 0.01, group.group


def test_unknown_groups_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A group that is not one, or that the runs do not have, is named with the nearest."""
    assert run(["validate", "--leave-out", "stak"]) == 2
    assert "did you mean stack?" in capsys.readouterr().err
    assert run(["validate", "--runs", str(EXAMPLE), "--leave-out", "stack", "--only", "internevoo"]) == 2
    assert "did you mean internevo?" in capsys.readouterr().err


def test_every_format() -> None:
    """The answer has every format."""
    answer = isocost.calibrate(EXAMPLE)
    for form in ("table", "json", "csv", "md", "html"):
        assert "run-1" in answer.rendered(form), form
