"""The forecast against published runs, and the page that reports it."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path

import pytest
from pages.goodput_cases import REASONS, CaseResult, check_cases

from isocost.reliability import Conditions, Facility, RunShape, inputs_of, simulate, uncertain
from isocost.stats.distributions import draw
from isocost.stats.gamma import Gamma

ROOT = Path(__file__).parents[2]
CASES = ROOT / "evidence" / "goodput_cases.csv"
PAGE = (ROOT / "docs" / "goodput.md").read_text(encoding="utf-8")
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "pages" / "write_goodput.py"))


@pytest.fixture(scope="module")
def results() -> dict[str, CaseResult]:
    """Return the verdict on every case."""
    return {result.case_id: result for result in check_cases(CASES)}


def test_every_case_is_judged_and_none_is_missed(results: dict[str, CaseResult]) -> None:
    """Every row has a verdict; outside the interval stands only what has its reason."""
    with CASES.open(encoding="utf-8", newline="") as file:
        assert [row["case_id"] for row in csv.DictReader(file)] == list(results)
    assert [name for name, result in results.items() if result.verdict == "missed"] == []
    explained = {name for name, result in results.items() if result.verdict == "explained"}
    assert explained == REASONS.keys()  # a reason nobody needs is removed


def test_measured_goodput_is_inside_its_interval(results: dict[str, CaseResult]) -> None:
    """Every measured effective training time and count of interruptions of a run lies in its 80 % interval."""
    names = {
        "llama3_interruptions", "llama3_all_interruptions", "llama3_ett", "rsc1_mttf_8", "rsc1_mttf_1024",
        "rsc1_ettr_2048_4096", "megascale_ettr", "byterobust_1000gpu", "bloom_108d", "bloom_41d",
    }  # fmt: skip
    assert {name for name in names if results[name].verdict == "inside"} == names


@pytest.mark.parametrize(
    ("gpus", "days", "per_node_day", "saves", "published"),
    [(9600, 85, 1.44e-3, "in-memory", (0.97, 0.97)), (16384, 48, 3.79e-3, "asynchronous", (0.90, 1.0))],
    ids=["byterobust", "llama3"],
)
def test_recovery_at_the_published_rate(
    gpus: float, days: float, per_node_day: float, saves: str, published: tuple[float, float]
) -> None:
    """Given a run's own rate of failures, its effective training time is in the 80 % interval of expert recovery."""
    shape = RunShape(
        chip="any", gpus=gpus, gpus_per_node=8.0, step_s=10.0, steps=days * 8640, tokens=1e12, params=405e9,
        param_state_bytes=13.1,
    )  # fmt: skip
    conditions = Conditions(
        facility=Facility(support="expert", standby="warm"), saves=saves, given={"bring-up": 0.0},
        node_rate=Gamma(shape=1e4, node_days=1e4 / per_node_day),
    )  # fmt: skip
    planned = inputs_of(shape, conditions, draw(uncertain(shape, conditions), 4000))
    found = simulate(planned.inputs, 4000, seed=1)
    low, middle, high = (found.quantile("effective_frac", share) for share in (0.1, 0.5, 0.9))
    assert low <= published[1]
    assert published[0] <= high
    assert middle == pytest.approx(published[0], abs=0.015)


def test_simulators_and_projections_are_compared_as_such(results: dict[str, CaseResult]) -> None:
    """What others computed is never counted as measured; all but three agree within 2 % or their rounding."""
    computed = {name: result.verdict for name, result in results.items() if result.kind == "computed"}
    assert len(computed) == 12
    assert {name for name, verdict in computed.items() if verdict != "agrees"} == {
        "rsc1_ettr_12k", "rsc1_ettr_60min", "netcap_llama3",
    }  # fmt: skip
    assert results["rsc1_mttf_1024"].kind == "measured"
    assert results["rsc1_mttf_16384"].kind == "computed"


def test_the_page_is_current(results: dict[str, CaseResult]) -> None:
    """Every example of docs/goodput.md prints what is shown, and the table has every case with its figures of today."""
    assert PAGE.count("```python") == len(SCRIPT["EXAMPLE"].findall(PAGE)) >= 4
    assert all(f"| `{name}` |" in PAGE for name in results)
    assert SCRIPT["page"](PAGE) == PAGE
