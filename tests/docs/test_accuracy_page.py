"""The pages of accuracy and of constants: they are those generated now, causes hold, and every row is accounted for."""

from __future__ import annotations

import dataclasses
import runpy
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from pages.accuracy_goals import Goal, goals
from pages.accuracy_page import MISSES, MISSES_A_SOURCE, page, short
from pages.accuracy_study import Study, peers, study
from pages.constants import carriers, constants_page
from pages.misses import CHECKS, Predicted, causes, causes_of

from isocost.calibration.priors import PRIORS
from isocost.evidence.run import MeasuredRun
from isocost.perf.columns import Coefficients
from isocost.perf.constants import shipped

ROOT = Path(__file__).parents[2]
RUN = MeasuredRun(
    line=2, id="a", source="Bang et al.", gpus=8, micro_batch=1, global_batch_seqs=16, dp=2, pp=1, step_s=1.0,
    outcome="ran", complete=True,
)  # fmt: skip
AS_EXPECTED = Predicted(error_frac=-0.3, peak_bytes=10e9, memory_bytes=80e9, fits=True)


@pytest.fixture(scope="module")
def found() -> Study:
    """Return the study of the shipped runs."""
    return study()


@pytest.mark.parametrize("name", ["README.md", "docs/accuracy.md"])
def test_the_pages_are_current(name: str, found: Study) -> None:
    """What is committed is what is generated now (make pages writes it)."""
    script = runpy.run_path(str(ROOT / "scripts" / "pages" / "write_accuracy.py"))
    text = (ROOT / name).read_text(encoding="utf-8")
    wanted = page(found) if name.startswith("docs") else script["with_table"](text, short(found))
    assert text == wanted, f"{name} is stale: run make pages"


def test_the_page_begins_with_the_misses(found: Study) -> None:
    """The first table holds the largest misses, a few of each source, largest first."""
    text = page(found)
    assert text.index("## Misses first") < text.index("## In sample")
    rows = [line for line in text.split("### ")[1].splitlines() if line.startswith("| `")]
    assert len(rows) == MISSES
    sources = [line.split("(")[-1].split(")")[0] for line in rows]
    assert max(sources.count(source) for source in sources) <= MISSES_A_SOURCE


def test_rows_of_a_view_add_up(found: Study) -> None:
    """Every scored run is in exactly one line of a view."""
    total, *lines = found.summaries(lambda run, case: run.source or "")
    assert total.step.n == sum(line.step.n for line in lines) == len(found.runs)


def _named(changes: Mapping[str, object], predicted: Predicted = AS_EXPECTED) -> str | None:
    run = dataclasses.replace(RUN, **changes)  # type: ignore[arg-type]
    cause = causes_of([RUN, run], {run.id: predicted}).get(run.id)
    return cause.name if cause else None


def test_a_cause_needs_what_the_rows_show() -> None:
    """Each check finds its rows, and nothing else does."""
    quick = {"id": "b", "micro_batch": 2, "step_s": 0.45}  # half as many micro-batches, each faster than one of 1
    assert _named(quick) == "micro-batch not monotone"
    assert _named({**quick, "step_s": 0.6}) is None
    assert _named({**quick, "tp": 2}) is None
    assert _named({**quick, "source": "Another"}) is None
    slow = {"id": "b", "stack_version": "2", "step_s": 1.2}
    assert _named(slow) == "releases disagree"
    assert _named({**slow, "step_s": 1.05}) is None
    assert _named({"id": "b", "notes": "x: an early recipe"}) == "early release"
    full = dataclasses.replace(AS_EXPECTED, peak_bytes=75e9)
    assert _named({"id": "b", "seq_len": 1}, full) == "near the memory limit"
    assert _named({"id": "b", "seq_len": 1}, dataclasses.replace(full, error_frac=0.3)) is None
    assert _named({"id": "b", "seq_len": 1}, dataclasses.replace(full, fits=False)) == "input missing"


def test_a_series_that_grows_with_the_micro_batch_is_found() -> None:
    """The row with the larger micro-batch and the longer step is named; the smaller one is not."""
    runs = [
        dataclasses.replace(RUN, source="Hagemann et al.", id=str(b), micro_batch=b, step_s=s)
        for b, s in ((1, 1.0), (2, 1.1))
    ]
    named = causes_of(runs, dict.fromkeys("12", AS_EXPECTED))
    assert {key: cause.name for key, cause in named.items()} == {"2": "micro-batch in one series"}


def test_every_cause_is_used_and_can_be_checked(found: Study) -> None:
    """Each shipped cause names a known check and explains at least one run of the evidence."""
    assert {cause.check for cause in causes()} - {""} == set(CHECKS)
    assert {cause.text for cause in found.causes.values()} == {cause.text for cause in causes()}
    ids = {run.id for run in found.runs}
    assert [i for cause in causes() for i in cause.ids if i not in ids] == []


def test_other_tools_are_compared_on_rows_that_exist(found: Study) -> None:
    """Every figure of another tool is on rows of a source of the evidence, and says how it was obtained."""
    for peer in peers():
        assert any((run.source or "").startswith(peer.rows) for run in found.runs)
        assert peer.note
        assert 0 < peer.mean_frac < 1


def test_the_page_of_constants_is_current(found: Study) -> None:
    """What is committed is what is generated now (make pages writes it)."""
    text = (ROOT / "docs" / "constants.md").read_text(encoding="utf-8")
    assert text == constants_page(found), "docs/constants.md is stale: run make pages"


def test_the_constants_are_of_this_evidence(found: Study) -> None:
    """constants.toml was fitted on the runs that are scored now: equal in number, all told and constant by constant."""
    file = tomllib.loads((ROOT / "src" / "isocost" / "data" / "constants.toml").read_text(encoding="utf-8"))
    assert file["rows"] == len(found.runs), "run make calibrate"
    counted = {name: sum(counts.values()) for name, counts in carriers(found, shipped()).items()}
    assert counted == {name: constant.rows for name, constant in shipped().items()}, "run make calibrate"


def test_every_constant_is_known_by_its_prior() -> None:
    """Each constant is a coefficient of the laws, at a level that its prior lets move, with the prior's spread."""
    coefficients = {field.name for field in dataclasses.fields(Coefficients)}
    assert set(PRIORS) == coefficients
    for name, constant in shipped().items():
        coefficient, _, key = name.partition("|")
        prior = PRIORS[coefficient]
        assert constant.sd == pytest.approx(prior.levels[key.split("=")[0]] if key else prior.sd), name
        assert constant.prior == pytest.approx(prior.centres.get(key, 1.0) if key else prior.value), name
        assert 0 < constant.posterior_sd <= constant.sd * 1.001, name
    assert set(PRIORS) <= set(shipped())


def test_a_goal_that_is_missed_says_so(found: Study) -> None:
    """Every goal is on the page with a yes or a no that follows from its figures."""
    assert Goal(what="x", on="y", goal=0.05, reached=0.06).met is False
    assert Goal(what="x", on="y", goal=0.95, reached=0.96, at_least=True).met is True
    assert Goal(what="x", on="y", goal=0.95, reached=None).met is None
    section = page(found).split("### Goals")[1].split("## ")[0]
    for goal in goals(found):
        assert goal.reached is not None, goal
        assert f"| {goal.what} | {goal.on} |" in section
    assert section.count("| no |") == sum(goal.met is False for goal in goals(found))
