"""The forecast against published runs, and the page that reports it."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from isocost.goodput.cases import REASONS, CaseResult, check_cases

ROOT = Path(__file__).parents[1]
CASES = ROOT / "evidence" / "goodput_cases.csv"
PAGE = (ROOT / "docs" / "goodput.md").read_text(encoding="utf-8")


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


def test_simulators_and_projections_are_compared_as_such(results: dict[str, CaseResult]) -> None:
    """What others computed is never counted as measured; all but three agree within 2 % or their rounding."""
    computed = {name: result.verdict for name, result in results.items() if result.kind == "computed"}
    assert len(computed) == 12
    assert {name for name, verdict in computed.items() if verdict != "agrees"} == {
        "rsc1_ettr_12k", "rsc1_ettr_60min", "netcap_llama3",
    }  # fmt: skip
    assert results["rsc1_mttf_1024"].kind == "measured"
    assert results["rsc1_mttf_16384"].kind == "computed"


def test_the_page_shows_these_results(results: dict[str, CaseResult]) -> None:
    """The table of docs/goodput.md has every case with the verdict of today."""
    shown = dict(
        re.findall(r"^\| `([a-z0-9_]+)` \|.*\| (inside|agrees|in sample|explained)[^|]*\|$", PAGE, re.MULTILINE)
    )
    assert shown == {name: result.verdict for name, result in results.items()}


def test_examples_of_the_page_print_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every Python example runs, one after another, and prints the block that follows it."""
    monkeypatch.chdir(tmp_path)
    pairs = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert len(pairs) == PAGE.count("```python") >= 4
    names: dict[str, object] = {}
    for code, shown in pairs:
        exec(compile(code, "example", "exec"), names)
        assert capsys.readouterr().out == shown
