"""Scores of predictions and the tables that print them, on cases small enough to work by hand."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.evidence.score import (
    FitScore,
    Regret,
    Scores,
    accuracy,
    comparable,
    fit_scores,
    largest_misses,
    layout_regret,
)
from isocost.verbs.validate.tables import accuracy_dict, accuracy_markdown, accuracy_tables, accuracy_text

NAN = math.nan


def test_errors_of_a_small_table_by_hand() -> None:
    """Errors 10, 20, 40 % give median 20, mean 23.3, p90 36; the bias is the median ratio less one."""
    (total, group) = accuracy(predicted=[1.1, 2.4, 0.6], measured=[1, 2, 1], labels=["a"] * 3)
    assert (total.label, total.rows, total.n) == ("all", 3, 3)
    assert total.median_abs_error_frac == pytest.approx(0.2, rel=1e-12)
    assert total.mean_abs_error_frac == pytest.approx(0.7 / 3, rel=1e-12)
    # ratios 0.6, 1.1, 1.2: the median is 1.1
    assert total.bias_frac == pytest.approx(0.1, rel=1e-12)
    # linear between the 2nd (0.2) and 3rd (0.4) of three at position 0.9 x 2 = 1.8
    assert total.p90_abs_error_frac == pytest.approx(0.36, rel=1e-12)
    assert (total.coverage_frac, total.half_width_frac) == (None, None)
    assert group.to_dict() == total.to_dict() | {"label": "a"}


def test_coverage_counts_only_rows_with_an_interval() -> None:
    """Coverage and half-width are over scored rows with both bounds; a bound itself is inside."""
    (total, _) = accuracy(
        predicted=[10, 10, 10, 10],
        measured=[12, 13, 10, 10],
        low=[8, 8, NAN, 9],
        high=[12, 12, NAN, 15],
        labels=["a"] * 4,
    )
    assert total.coverage_frac == pytest.approx(2 / 3, rel=1e-12)
    assert total.half_width_frac == pytest.approx(0.2, rel=1e-12)  # of 0.2, 0.2, 0.3


def test_every_row_is_counted_once() -> None:
    """Rows are scored, unmeasured, unsupported or invalid, and no statistic reads the last three."""
    rows = accuracy(
        predicted=[1.1, 1.0, 9.0, NAN, NAN],
        measured=[1.0, NAN, 1.0, 1.0, 1.0],
        labels=["a", "a", "b", "b", "b"],
        status=["ok", "ok", "invalid", "unsupported", "ok"],
    )
    counts = [(r.label, r.rows, r.n, r.unmeasured, r.unsupported, r.invalid) for r in rows]
    assert counts == [("all", 5, 1, 2, 1, 1), ("a", 2, 1, 1, 0, 0), ("b", 3, 0, 1, 1, 1)]
    assert rows[0].mean_abs_error_frac == pytest.approx(0.1, rel=1e-12)
    assert rows[2].median_abs_error_frac is None
    assert rows[2].bias_frac is None


@given(st.lists(st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)), min_size=1, max_size=30))
def test_order_of_rows_and_unit_of_time_do_not_matter(pairs: list[tuple[float, float]]) -> None:
    """Reversing the rows, or measuring in milliseconds, leaves median error and bias as they are."""
    got, true = np.array(pairs).T
    (first, _) = accuracy(predicted=got, measured=true, labels=["a"] * len(pairs))
    (second, _) = accuracy(predicted=1000 * got[::-1], measured=1000 * true[::-1], labels=["a"] * len(pairs))
    assert second.median_abs_error_frac == pytest.approx(first.median_abs_error_frac, rel=1e-9, abs=1e-12)
    assert second.bias_frac == pytest.approx(first.bias_frac, rel=1e-9, abs=1e-12)


def test_arrays_of_different_length_are_refused() -> None:
    """A caller that loses a row is told so, instead of scoring shifted rows."""
    with pytest.raises(ValueError, match="differ in shape"):
        accuracy(predicted=[1, 2], measured=[1, 2], labels=["a"])


def test_an_empty_table_has_a_total_of_no_rows() -> None:
    """No rows give one total line of zeros and unknown statistics, without a warning."""
    (total,) = accuracy(predicted=[], measured=[], labels=[])
    assert (total.rows, total.n, total.median_abs_error_frac) == (0, 0, None)
    (none,) = layout_regret(predicted=[], measured=[], keys=[], labels=[])
    assert (none.groups, none.worst_frac, none.within_tolerance_frac) == (0, None, None)


def test_regret_by_hand() -> None:
    """Three groups with first choices 0, 20 and 4 % above the best; a group of one row takes no part."""
    keys = ["x", "x", "y", "y", "z", "z", "alone"]
    total, a, b = layout_regret(
        predicted=[1.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0],
        measured=[5.0, 6.0, 6.0, 5.0, 10.0, 10.4, 1.0],
        keys=keys,
        labels=["a", "a", "b", "b", "b", "b", "b"],
    )
    assert (total.groups, total.rows) == (3, 6)
    assert total.median_frac == pytest.approx(0.04, rel=1e-12)
    assert total.worst_frac == pytest.approx(0.2, rel=1e-12)
    assert total.mean_frac == pytest.approx(0.08, rel=1e-12)
    assert total.within_tolerance_frac == pytest.approx(2 / 3, rel=1e-12)
    assert (a.label, a.groups, a.worst_frac, a.within_tolerance_frac) == ("a", 1, 0.0, 1.0)
    assert (b.label, b.groups, b.within_tolerance_frac) == ("b", 2, 0.5)


def test_a_tie_of_predictions_is_not_rewarded() -> None:
    """A model that predicts the same for all layouts has the regret of a random choice, in either order."""
    for measured in ([1.0, 2.0], [2.0, 1.0]):
        (total, _) = layout_regret(predicted=[3, 3], measured=measured, keys=["k", "k"], labels=["a", "a"])
        assert total.worst_frac == pytest.approx(0.5, rel=1e-12)  # mean of 1 and 2, over 1


def test_rows_without_both_values_do_not_compete() -> None:
    """A layout that was not predicted, or not measured, is neither the choice nor the best."""
    (total, _) = layout_regret(
        predicted=[NAN, 1.0, 2.0, 0.1], measured=[1.0, 4.0, 5.0, NAN], keys=["k"] * 4, labels=["a"] * 4
    )
    assert (total.rows, total.worst_frac) == (2, 0.0)


def test_comparable_rows_share_all_but_the_layout() -> None:
    """Rows compare only with equal source, model, kind and number of GPUs, global batch, sequence and precision."""
    base = {
        "source": "s",
        "model": "m",
        "accelerator": "a",
        "gpus": 8,
        "global_batch_seqs": 4,
        "seq_len": 2048,
        "precision": "bf16",
        "release": "1.0",
    }
    keys = {comparable(**{**base, name: None}) for name in base}  # type: ignore[arg-type]
    assert len(keys) == len(base)
    assert comparable(**base) not in keys  # type: ignore[arg-type]


def test_balanced_accuracy_by_hand() -> None:
    """3 of 4 that ran and 1 of 2 that did not give (0.75 + 0.5) / 2; a row without a prediction is left out."""
    total, *_ = fit_scores(
        predicted=[True, True, True, False, False, True, None],
        ran=[True, True, True, True, False, False, False],
        labels=["a"] * 7,
    )
    assert total == FitScore(label="all", ran=4, ran_right=3, oom=2, oom_right=1, balanced_accuracy=0.625)


def test_balanced_accuracy_needs_both_kinds() -> None:
    """Without a run that ran out of memory there is no balanced accuracy, rather than a flattering one."""
    total, *_ = fit_scores(predicted=[True], ran=[True], labels=["a"])
    assert total.balanced_accuracy is None


def test_misses_are_ordered_by_ratio() -> None:
    """A prediction of a third is a larger miss than one of double, and the largest comes first."""
    first, second = largest_misses(
        ids=["double", "third", "exact", "none"],
        labels=["a"] * 4,
        predicted=[2.0, 1.0, 1.0, NAN],
        measured=[1.0, 3.0, 1.0, 1.0],
        count=2,
    )
    assert (first.id, first.error_frac) == ("third", pytest.approx(-2 / 3, rel=1e-12))
    assert (second.id, second.error_frac) == ("double", 1.0)


@pytest.fixture
def scores() -> Scores:
    """One of each table."""
    return Scores(
        step=accuracy(predicted=[1.1, 1.0], measured=[1.0, NAN], labels=["a|b", "c"]),
        regret=(
            Regret(
                label="all",
                groups=2,
                rows=5,
                median_frac=0.0,
                mean_frac=0.02,
                worst_frac=0.04,
                tolerance_frac=0.05,
                within_tolerance_frac=1.0,
            ),
        ),
        fits=(FitScore(label="all", ran=4, ran_right=3, oom=2, oom_right=1, balanced_accuracy=0.625),),
        misses=largest_misses(ids=["r1"], labels=["a|b"], predicted=[1.1], measured=[1.0]),
    )


def test_text_tables_exactly(scores: Scores) -> None:
    """The fixed-width tables, step time first; unknown is a dash and an empty table is left out."""
    # fmt: off
    assert accuracy_text(scores) == """\
Step time

rows of  rows  scored  no step  refused  median    mean     bias     p90  coverage  half-width
----------------------------------------------------------------------------------------------
all         2       1        1        0  10.0 %  10.0 %  +10.0 %  10.0 %         -           -
a|b         1       1        0        0  10.0 %  10.0 %  +10.0 %  10.0 %         -           -
c           1       0        1        0       -       -        -       -         -           -

Largest misses

row    error  predicted  measured   of
--------------------------------------
r1   +10.0 %        1.1         1  a|b

Layout choice: regret of the first choice over the measured best

groups of  groups  rows  median   mean  worst  within 5 %
---------------------------------------------------------
all             2     5   0.0 %  2.0 %  4.0 %     100.0 %

Fits in memory or not

rows of  ran  said fits  out of memory  said too large  balanced accuracy
-------------------------------------------------------------------------
all        4          3              2               1             62.5 %
"""
    # fmt: on


def test_markdown_rows_have_the_cells_of_the_text(scores: Scores) -> None:
    """Every markdown row has as many cells as its heading, with pipes in labels escaped."""
    page = accuracy_markdown(scores)
    assert "| r1 | +10.0 % | 1.1 | 1 | a\\|b |" in page.splitlines()
    for table in accuracy_tables(scores):
        for line in table.markdown().splitlines()[2:]:
            assert line.replace("\\|", "").count("|") == len(table.head) + 1


def test_the_dict_is_json_without_nan(scores: Scores) -> None:
    """The dict is plain JSON: unknown is null, and it survives a round trip."""
    plain = accuracy_dict(scores)
    assert json.loads(json.dumps(plain, allow_nan=False)) == json.loads(json.dumps(plain))
    assert set(plain) == {"step", "memory", "regret", "fits", "misses"}
    assert plain["step"][2]["median_abs_error_frac"] is None


def test_long_sources_are_cut_to_one_line() -> None:
    """A label longer than 34 characters is cut with dots in print, and whole in the dict."""
    scores = Scores(step=accuracy(predicted=[1.0], measured=[1.0], labels=["s" * 90]))
    assert "s" * 31 + "..." in accuracy_text(scores)
    assert "s" * 32 not in accuracy_text(scores)
    assert accuracy_dict(scores)["step"][-1]["label"] == "s" * 90
