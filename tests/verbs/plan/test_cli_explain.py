"""Explanations on the command line: the same number again, term by term, from the file of a plan."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from samples.small_plan import SMALL, small_plan

from isocost.cli import run


@pytest.fixture
def small() -> dict[str, Any]:
    """Return the JSON of a small plan."""
    return small_plan()


def test_estimate_explains_its_constants(capsys: pytest.CaptureFixture[str]) -> None:
    """With --explain: terms, and every constant that moves the step with value, prior, spread and runs."""
    assert run(["estimate", *SMALL, "--explain", "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    explained = values["explanation"]
    assert explained["tree"]["value"] == pytest.approx(values["chosen"]["step_s"], rel=1e-9)
    fitted = next(node for node in explained["tree"]["children"] if node["name"] == "fitted coefficients")
    products = {node["name"]: node["value"] for node in fitted["children"]}
    rows = explained["constants"]
    assert len(rows) > 10
    for name in {row["coefficient"] for row in rows}:
        own = [row for row in rows if row["coefficient"] == name]
        assert [row["level"] == "" for row in own] == [True, *[False] * (len(own) - 1)]
        assert math.prod(row["value"] for row in own) == pytest.approx(products[name], rel=1e-12)
    rate = next(row for row in rows if row["coefficient"] == "sustained_frac")
    assert -1 < rate["step_elasticity"] < -0.3  # a faster matrix rate shortens most of a step
    assert 0 < rate["posterior_sd_ln"] <= rate["prior_sd_ln"]
    assert rate["rows"] > 1000
    assert run(["estimate", *SMALL]) == 0
    assert "Fitted constants" not in capsys.readouterr().out
    assert run(["estimate", *SMALL, "--explain"]) == 0
    assert "Fitted constants of this step" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("topic", "value"), [("step_time", "step_s"), ("memory", "peak_bytes"), ("cost", "cost_usd_median")]
)
def test_explain_gives_the_same_number(
    topic: str, value: str, small: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tree's root is the plan's number, evaluated again from the file; its first parts add up to it."""
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(small), encoding="utf-8")
    assert run(["explain", str(path), topic, "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["tree"]["value"] == pytest.approx(small["chosen"][value], rel=1e-9)
    if topic != "cost":
        unit = values["tree"]["unit"]
        parts = [node["value"] for node in values["tree"]["children"] if node["unit"] == unit]
        assert sum(parts) == pytest.approx(values["tree"]["value"], rel=1e-9)
    assert values["sources"]


def test_explain_shows_formulas_inputs_and_sources(
    small: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The text names the matrix products, their shapes with units, and the bibliography."""
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(small), encoding="utf-8")
    assert run(["explain", str(path)]) == 0
    text = capsys.readouterr().out
    assert "gemm_s of query, key and value, forward = " in text
    assert "gemm_s of the head, gradient of the weights = " in text
    assert "rate_flop_per_s = " in text
    assert "fitted coefficients" in text
    assert "[korthikanti2022] Korthikanti" in text
    assert "latent" not in text  # the model has no latent attention
    assert "grouped_gemm_s" not in text  # and no experts


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"precision": "fp7"}, "precision"),
        ({"schedule": None}, "schedule"),
        ({"tp": 0}, "tp"),
        ({"tp": "8"}, "tp"),
        ({"gpus": 10**15}, "gpus"),
        ({"dp": 63}, "tp x pp x cp x dp"),
        ({"sequence_parallel": 1}, "sequence_parallel"),
        ({"fabric": "ib-800"}, "ib-800"),
    ],
    ids=str,
)
def test_a_plan_that_was_edited_is_refused(
    changes: dict[str, object], said: str, small: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plan file whose chosen layout cannot be is one line and exit code 2."""
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(small | {"chosen": small["chosen"] | changes}), encoding="utf-8")
    assert run(["explain", str(path)]) == 2
    assert said in capsys.readouterr().err
