"""``isocost validate``: no row is lost, accuracy does not slip, intervals hold what they claim."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from isocost.errors import InputError
from isocost.verbs.validate.answer import Validation
from isocost.verbs.validate.predicted import validated

EVIDENCE = Path(__file__).parents[3] / "evidence" / "training_runs.csv"


@cache
def shipped() -> Validation:
    """The shipped evidence, validated once."""
    return validated()


def lines(quantity: str) -> dict[str, dict[str, object]]:
    """Summary lines of a quantity by label."""
    return {line["label"]: line for line in shipped().to_dict()["summary"] if line["quantity"] == quantity}


def test_no_row_is_lost() -> None:
    """Every row of the file has one entry with a status, and a reason where it was not predicted."""
    rows = shipped().rows
    assert len(rows) == len(EVIDENCE.read_text(encoding="utf-8").splitlines()) - 1
    assert {row.status for row in rows} == {"ok", "unsupported", "invalid"}
    assert all(row.reason for row in rows if row.status != "ok")
    assert all(row.predicted_step_s for row in rows if row.status == "ok")


def test_the_json_has_the_promised_keys() -> None:
    """A row carries prediction, interval, memory, fit and assumptions, all as plain JSON."""
    data = json.loads(json.dumps(shipped().to_dict()))
    assert {"schema_version", "rows", "summary"} <= set(data)
    row = next(row for row in data["rows"] if row["status"] == "ok")
    assert {
        "id", "status", "reason", "predicted_step_s", "predicted_step_s_low", "predicted_step_s_high",
        "predicted_peak_mem_bytes", "fits", "measured_step_s", "assumed",
    } <= set(row)  # fmt: skip
    assert row["predicted_step_s_low"] < row["predicted_step_s"] < row["predicted_step_s_high"]


@pytest.mark.parametrize(
    ("label", "median", "mean"),
    [
        ("all", 0.040, 0.060),
        ("Hagemann et al. 2023, Efficient Parallelization Layouts (arXiv 2311.05610)", 0.045, 0.055),
        ("llm-foundry benchmark table", 0.040, 0.050),
        ("dgxc-benchmarking recipe README", 0.040, 0.050),
        ("Zero Bubble Pipeline Parallelism (ICLR 2024)", 0.020, 0.025),
        ("Korthikanti et al. 2022, Reducing Activation Recomputation (arXiv 2205.05198) Table 5", 0.035, 0.035),
        ("Bang et al. 2024, vTrain (arXiv 2312.12391) measured ground truth", 0.040, 0.062),
        ("Megatron-Bridge performance summary", 0.060, 0.095),
    ],
)
def test_accuracy_does_not_slip(label: str, median: float, mean: float) -> None:
    """The ratchet: errors of the step time by source stay below what was reached."""
    line = lines("step_s")[label]
    assert line["median_abs_error_frac"] < median
    assert line["mean_abs_error_frac"] < mean


def test_intervals_cover_what_they_claim() -> None:
    """The 90 % interval holds 85 to 95 % of all measured steps, at a median half-width of at most 20 %."""
    line = lines("step_s")["all"]
    assert 0.85 <= line["coverage_frac"] <= 0.95
    assert line["half_width_frac"] <= 0.20


def test_memory_and_fit() -> None:
    """Peak memory within 5 % in the mean; fits or not right for 95 % of either kind."""
    assert lines("peak_mem_bytes")["all"]["mean_abs_error_frac"] < 0.05
    assert shipped().scores.fits[0].balanced_accuracy > 0.95


def test_good_rows_are_used_beside_bad_ones(tmp_path: Path) -> None:
    """A sound row, one with a negative step and one of an unknown chip give one prediction and two reasons."""
    head, *rows = EVIDENCE.read_text(encoding="utf-8").splitlines()
    names = head.split(",")
    good = next(row for row in rows if row.startswith("vtrain24-single-0001"))
    cells = good.split(",")
    negative, stranger = cells.copy(), cells.copy()
    negative[names.index("id")], stranger[names.index("id")] = "negative", "stranger"
    step = cells.index("0.37216")
    negative[step] = "-0.37216"
    stranger[cells.index("a100-sxm4-80gb")] = "a100-sxm9"
    file = tmp_path / "mine.csv"
    file.write_text("\n".join([head, good, ",".join(negative), ",".join(stranger)]) + "\n", encoding="utf-8")
    found = {row.id: row for row in validated(file).rows}
    assert {key: row.status for key, row in found.items()} == {
        "vtrain24-single-0001": "ok", "negative": "invalid", "stranger": "unsupported",
    }  # fmt: skip
    assert "line 3" in found["negative"].reason
    assert "step_s" in found["negative"].reason
    assert "a100-sxm9" in found["stranger"].reason


def test_a_file_that_is_no_table_is_one_error(tmp_path: Path) -> None:
    """A missing file and a file without the required columns raise InputError with the place."""
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        validated(tmp_path / "nowhere.csv")
    empty = tmp_path / "empty.csv"
    empty.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match="accelerator"):
        validated(empty)


def test_csv_has_a_line_a_row() -> None:
    """The CSV form holds every row once."""
    assert len(shipped().csv().splitlines()) == len(shipped().rows) + 1


def test_the_tables_fit_a_terminal() -> None:
    """Tables are at most 120 columns wide; step time comes first, sources with most rows first; reasons are grouped."""
    text = shipped().table()
    tables, unused = text.split("Rows without a prediction")
    assert max(len(line) for line in tables.splitlines()) <= 120
    assert text.startswith("Step time\n")
    block = tables.split("\n\n")[1].splitlines()[2:]
    scored = [int(line[36:].split()[1]) for line in block]
    assert block[0].startswith("all ")
    assert scored[1:] == sorted(scored[1:], reverse=True)
    counts = [int(line.split()[0]) for line in unused.splitlines()[1:]]
    assert sum(counts) == sum(row.status != "ok" for row in shipped().rows)
