"""The fit finds what it should, exactly and always the same; labels that cannot be right are corrected and named."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from isocost.calibration.fit import Problem, fit, index, pruned, weights
from isocost.calibration.holdout import errors, left_out
from isocost.calibration.left_out import quantile
from isocost.calibration.priors import PRIORS
from isocost.catalog import load_catalog
from isocost.evidence.assume import Assumed, Unsupported, assume
from isocost.evidence.corrections import corrected, corrections
from isocost.evidence.measured import Evidence, measured, ready
from isocost.evidence.run import MeasuredRun
from isocost.evidence.runs import read_runs
from isocost.perf.columns import Coefficients
from isocost.perf.constants import names_of, shipped
from isocost.perf.predict import step_of

SHIPPED = Path(__file__).parents[2] / "evidence" / "training_runs.csv"


@cache
def runs() -> tuple[MeasuredRun, ...]:
    """The shipped runs."""
    return read_runs(SHIPPED).runs


@cache
def small() -> Evidence:
    """Eighty measured rows of four sources."""
    names = ("Hagemann", "InternEvo", "TorchTitan (", "Zero Bubble")
    chosen = [run for name in names for run in runs() if run.complete and (run.source or "").startswith(name)]
    return measured(chosen[::4], load_catalog())


def test_the_fit_recovers_constants_it_was_not_told() -> None:
    """Steps made by known constants are explained to a percent, though the fit starts at the priors."""
    evidence = small()
    idx = index(evidence.cases)
    truth = idx.prior + 0.5 * idx.sd * np.cos(np.arange(idx.prior.size))
    made = step_of(evidence.columns, idx.coefficients(truth)).total_s
    found = fit(evidence.columns, made, 100.0 * np.ones(made.size), idx)
    again = step_of(evidence.columns, idx.coefficients(found)).total_s
    assert np.max(np.abs(again / made - 1)) < 0.01


def test_the_fit_is_deterministic() -> None:
    """Two fits of the same rows agree bit for bit."""
    evidence = small()
    idx = index(evidence.cases)
    first, second = (
        fit(evidence.columns, evidence.measured_s, weights(evidence.groups), idx, steps=5) for _ in range(2)
    )
    assert first.tobytes() == second.tobytes()


def test_the_jacobian_is_the_slope_of_the_residuals() -> None:
    """The derivative by constants, assembled from one evaluation a coefficient, equals central differences."""
    evidence = small()
    idx = index(evidence.cases)
    problem = Problem(
        columns=evidence.columns, measured_s=evidence.measured_s, weight=weights(evidence.groups), idx=idx
    )
    exact = problem.jacobian(idx.prior)
    for j in (0, idx.prior.size // 3, idx.prior.size // 2):
        step = np.zeros(idx.prior.size)
        step[j] = 1e-5
        slope = (problem.residuals(idx.prior + step) - problem.residuals(idx.prior - step)) / 2e-5
        np.testing.assert_allclose(exact[:, j], slope, rtol=2e-2, atol=2e-3)


def test_dropping_constants_that_are_one_changes_nothing() -> None:
    """A pruned index predicts as the whole one does with the dropped multipliers at 1."""
    evidence = small()
    idx = index(evidence.cases)
    keep = [name for name in idx.names if "|" not in name]
    fewer = pruned(idx, keep)
    whole = np.array([0.0 if "|" in name else prior for name, prior in zip(idx.names, idx.prior, strict=True)])
    one = step_of(evidence.columns, fewer.coefficients(fewer.prior)).total_s
    other = step_of(evidence.columns, idx.coefficients(whole)).total_s
    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_rows_of_a_group_share_its_weight() -> None:
    """A group of n rows weighs min(n, 60)^0.75 in all, however many rows it has."""
    weight = weights(["a"] * 4 + ["b"] * 240)
    assert weight[:4].sum() == pytest.approx(4**0.75)
    assert weight[4:].sum() == pytest.approx(60**0.75)


def test_a_left_out_group_is_predicted_by_the_others_alone() -> None:
    """Halving the measured steps of left-out rows moves their error by log 2 exactly: the fit did not see them."""
    evidence = small()
    idx = index(evidence.cases)
    held = np.array([run.stack == "internevo" for run in evidence.runs])

    def error(data: Evidence) -> np.ndarray:
        return left_out(data, lambda run, case: run.stack or "", (idx, idx.prior), only=["internevo"])[held]

    faster = [replace(r, step_s=r.step_s / 2) if h else r for r, h in zip(evidence.runs, held, strict=True)]
    np.testing.assert_allclose(error(ready(faster, evidence.cases)) - error(evidence), np.log(2.0), rtol=1e-6)


def test_shipped_constants_explain_their_own_rows() -> None:
    """The shipped constants, applied through the fit's own path, give the accuracy that validate prints."""
    evidence = measured(runs(), load_catalog())
    logs = {name: float(np.log(constant.value)) for name, constant in shipped().items()}
    error = np.abs(np.expm1(errors(evidence, logs)))
    assert np.median(error) < 0.04
    assert np.mean(error) < 0.06


def test_every_coefficient_has_a_prior_and_a_constant() -> None:
    """What the laws read, what the priors name and what is shipped are the same set of base constants."""
    assert set(PRIORS) == set(Coefficients.__dataclass_fields__)
    assert {name for name in shipped() if "|" not in name} == set(PRIORS)
    assert names_of("pointwise", {"stack": "nobody's"}, shipped()) == ["pointwise"]


def test_weighted_quantile_by_hand() -> None:
    """Equal weights give the usual median; a heavy value pulls it."""
    values = np.array([3.0, 1.0, 2.0])
    assert quantile(values, np.ones(3), 0.5) == 2.0
    assert quantile(values, np.array([10.0, 1.0, 1.0]), 0.5) > 2.5


def test_corrections_touch_only_their_rows() -> None:
    """vTrain's single-node rows lose the recompute label, with a note; nothing else changes."""
    touched = [run for run in runs() if corrected(run)[1]]
    assert {run.source for run in touched} == {"Bang et al. 2024, vTrain (arXiv 2312.12391) measured ground truth"}
    assert len(touched) == 1440
    run, notes = corrected(touched[0])
    assert (run.recompute, list(notes)) == ("none", ["recompute"])
    multi_node = replace(touched[0], fabric="8 x 200 Gb/s InfiniBand")
    assert corrected(multi_node) == (multi_node, {})
    assert all(c.reason for c in corrections())


def test_blanks_are_filled_by_named_rules() -> None:
    """Every assumption of a row is listed with its rule; a row that is complete has none."""
    nemo = next(run for run in runs() if run.source == "NeMo performance summary 24.07" and run.recompute is None)
    found = assume(nemo, load_catalog())
    assert isinstance(found, Assumed)
    assert found.assumed["recompute"].endswith("(the fastest that fits)")
    assert "norm_kernel" in found.assumed


def test_what_has_no_law_is_unsupported_with_a_reason() -> None:
    """State-space blocks, unknown chips and missing columns are refused by name."""
    run = next(run for run in runs() if run.complete and run.attention == "hybrid-mamba")
    known = next(run for run in runs() if run.complete and run.attention == "full")
    cases = {
        run: "state-space (Mamba) blocks have no law yet",
        replace(known, accelerator="h100-sxm6"): "accelerator h100-sxm6 is not in the catalogue",
        replace(known, layers=None, seq_len=None): "unknown layers, seq_len",
    }
    for wrong, reason in cases.items():
        assert assume(wrong, load_catalog()) == Unsupported(reason=reason)
