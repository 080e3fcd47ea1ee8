"""Published whole runs beside predictions: the generic estimate is a ratchet, and every miss has its reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages.whole_runs import Estimate, PublishedRun, compare_runs, generic_estimate, read_published, read_reasons

from isocost.catalog import load_catalog
from isocost.errors import DataError, InputError, Problem
from isocost.money.work import dense_training_flop, training_accelerator_s
from isocost.units import HOUR_S

EVIDENCE = Path(__file__).parents[2] / "evidence"
RUNS = read_published(EVIDENCE / "run_costs.csv")
REASONS = read_reasons(EVIDENCE / "run_cost_misses.csv")
HEADER = (EVIDENCE / "run_costs.csv").read_text(encoding="utf-8").splitlines()[0]
GENERIC = compare_runs(RUNS, generic_estimate(load_catalog()), REASONS)


def test_gpt3_by_hand() -> None:
    """GPT-3 is 3.15e23 FLOP: at 312 TFLOP/s, half of it reached and no losses, 560,897 A100-hours."""
    flop = dense_training_flop(active_params=175e9, tokens=300e9)
    assert flop == 3.15e23
    seconds = training_accelerator_s(flop=flop, peak_flop_per_s=312e12, mfu_frac=0.5, goodput_frac=1.0)
    assert seconds / HOUR_S == pytest.approx(560_897.4, rel=1e-6)


def test_all_runs_are_read() -> None:
    """All 50 rows are read; 8 lack hours, tokens or parameters and are named with what they lack."""
    assert len(RUNS) == 50
    assert len(GENERIC.rows) == 42
    assert GENERIC.left_out["Meena 2.6B"] == "tokens_b not published"
    assert GENERIC.left_out["OLMo 2 7B"] == "gpu_hours not published"


def test_generic_estimate_is_off_by_a_quarter() -> None:
    """Knowing nothing of the layout, the median error is at most 23.5 % and nine in ten figures are in the interval."""
    assert GENERIC.median_error_frac <= 0.235
    assert GENERIC.inside_frac == pytest.approx(38 / 42)
    by_model = {row.run.model: row.ratio for row in GENERIC.rows}
    assert by_model["Llama 3.1 405B"] == pytest.approx(1.04, abs=0.02)
    assert by_model["DeepSeek-V3 (pre-training)"] == pytest.approx(1.04, abs=0.02)


def test_every_miss_is_explained() -> None:
    """Each prediction off by more than a quarter has a reason, in the table too, and each reason is of a run."""
    assert GENERIC.unexplained == ()
    assert set(REASONS) <= {run.model for run in RUNS}
    text = GENERIC.markdown()
    assert "not explained" not in text
    assert all(f"* {row.run.model}: {row.why}." in text for row in GENERIC.rows if row.miss)


def test_any_estimator_can_be_scored() -> None:
    """An estimator that knows the answer has no error; one that has none, or refuses, is named with its reason."""

    def knows(run: PublishedRun) -> Estimate | None:
        if run.accelerator.startswith("tpu"):
            raise InputError([Problem("accelerator", "has no measured kernel", run.accelerator)])
        if run.model.startswith("Pythia") or run.gpu_hours is None:
            return None
        seconds = run.gpu_hours * HOUR_S
        return Estimate(low_s=seconds, median_s=seconds, high_s=seconds)

    found = compare_runs(RUNS, knows)
    assert (found.median_error_frac, found.inside_frac, found.unexplained) == (0.0, 1.0, ())
    assert found.left_out["Pythia 12B"] == "the estimator has no prediction"
    assert found.left_out["PaLM 540B"] == "accelerator: 'tpu-v4' has no measured kernel"


def test_a_broken_file_names_every_problem(tmp_path: Path) -> None:
    """Text for a number and a negative one are listed with their lines; a missing column and file are named."""
    broken = tmp_path / "runs.csv"
    row = dict.fromkeys(HEADER.split(","), "")
    lines = [",".join({**row, **change}.values()) for change in ({"gpu_hours": "many"}, {"tokens_b": "-3"})]
    broken.write_text("\n".join([HEADER, *lines]), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_published(broken)
    assert str(caught.value).splitlines() == [
        "runs.csv:2: gpu_hours: 'many' is not a number",
        "runs.csv:3: tokens_b: '-3' is not above zero; fix: leave an unknown blank",
    ]
    broken.write_text(HEADER.replace("tokens_b", "tokens"), encoding="utf-8")
    with pytest.raises(DataError, match="lacks the column tokens_b"):
        read_published(broken)
    with pytest.raises(DataError, match="cannot be read"):
        read_published(tmp_path / "none.csv")
