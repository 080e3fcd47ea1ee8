"""The table of errors on unseen rows: its counts, its two coverages, and its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isocost.calibration.left_out import band, kinds, left_out_csv, left_out_lines, quantile, read_left_out
from isocost.calibration.publish import intervals_text
from isocost.catalog.store import load_catalog
from isocost.evidence.measured import Evidence, measured
from isocost.evidence.runs import read_runs

EVIDENCE = Path(__file__).parents[2] / "evidence" / "training_runs.csv"


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """Return 8 Korthikanti, 48 Zero Bubble and some Megatron-Bridge rows: dense and mixture of experts."""
    runs = [
        run
        for run in read_runs(EVIDENCE).runs
        if (run.source or "").startswith(("Korthikanti", "Zero Bubble", "Megatron-Bridge"))
    ]
    return measured(runs, load_catalog())


def test_every_row_is_counted_once_under_its_class(evidence: Evidence) -> None:
    """The groups of a class and kind add up to its line over all rows, and the kinds to all rows that have an error."""
    error = np.linspace(-0.2, 0.2, len(evidence.runs))
    error[3] = np.nan
    lines = left_out_lines(evidence, {"new stack": error, "known": error})
    for name in ("new stack", "known"):
        mine = [line for line in lines if line.left_out == name]
        assert sum(line.n for line in mine if line.group == "all") == len(evidence.runs) - 1
        for kind in ("dense", "moe"):
            total, *groups = [line for line in mine if line.kind == kind]
            assert total.group == "all"
            assert sum(line.n for line in groups) == total.n
    assert {line.group for line in lines if line.left_out == "new stack"} >= {"megatron-zb", "megatron-lm-2021"}
    assert any(line.group.startswith("Zero Bubble") for line in lines if line.left_out == "known")


def test_a_group_unlike_all_others_is_not_covered_by_their_band(evidence: Evidence) -> None:
    """The shipped band knows an odd group, the band of the others does not: the honest coverage of that group is 0."""
    odd = np.array([case.recipe.id == "megatron-zb" for case in evidence.cases])
    error = np.where(odd, np.linspace(0.3, 0.5, odd.size), np.linspace(-0.02, 0.02, odd.size))
    lines = left_out_lines(evidence, {"new stack": error})
    found = {line.group: line for line in lines if line.kind == "dense"}
    assert (found["megatron-zb"].coverage_frac or 0.0) > 0.8
    assert found["megatron-zb"].held_coverage_frac == 0.0
    middle = np.median(error[odd])  # measured so much slower than predicted: the prediction is a third too fast
    assert found["megatron-zb"].median_frac == pytest.approx(1 - np.exp(-middle), rel=1e-3)
    assert found["megatron-zb"].bias_frac == pytest.approx(np.exp(-middle) - 1, rel=1e-3)


def test_equal_errors_leave_the_choice_of_layout_alone(evidence: Evidence) -> None:
    """An error common to all rows makes no layout regretted."""
    lines = left_out_lines(evidence, {"known": np.full(len(evidence.runs), 0.1)})
    with_layouts = [line for line in lines if line.layouts]
    assert {line.group for line in with_layouts} >= {"all"}
    assert {line.layouts_within_frac for line in with_layouts} == {1.0}
    assert {line.worst_regret_frac for line in with_layouts} == {0.0}


def test_the_file_reads_back(evidence: Evidence) -> None:
    """What is written is read back, to the digits that are printed."""
    lines = left_out_lines(evidence, {"new chip": np.linspace(-0.2, 0.3, len(evidence.runs))})
    text = left_out_csv(lines)
    assert left_out_csv(read_left_out(text)) == text
    assert [line.group for line in read_left_out(text)] == [line.group for line in lines]


def test_intervals_are_the_bands_of_the_same_errors(evidence: Evidence) -> None:
    """intervals.toml holds the quantiles of the errors that left_out.csv is judged by."""
    error = np.linspace(-0.2, 0.2, len(evidence.runs))
    text = intervals_text(evidence, {"known": error})
    assert text.count("[class.") == 2
    dense = kinds(evidence)["dense"]
    assert f"rows = {int(dense.sum())}\n" in text


def test_quantiles_follow_the_weights() -> None:
    """A value that weighs nothing does not move a quantile; equal weights give the plain middle."""
    assert quantile(np.array([3.0, 1.0, 2.0]), np.ones(3), 0.5) == 2.0
    assert quantile(np.array([1.0, 2.0, 99.0]), np.array([1.0, 1.0, 0.0]), 0.5) == 1.5
    low, middle, high = band(np.linspace(0.0, 1.0, 101), np.ones(101))
    assert (low, middle, high) == pytest.approx((0.05, 0.5, 0.95), abs=0.006)
