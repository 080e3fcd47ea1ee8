"""The short answer: one screen for every example, at every width, and every section by its name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from samples.small_plan import SMALL

import isocost
from isocost.cli import run
from isocost.render.sections import section_names
from isocost.verbs.plan.answer import Plan
from isocost.verbs.plan.one_screen import ROWS, spread

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.toml"))
MOST_LINES = {80: 64, 100: 54, 140: 46}  # by columns; about 45 at 100 where no line wraps


@pytest.fixture(scope="module", params=EXAMPLES)
def plan(request: pytest.FixtureRequest) -> Plan:
    """Return the plan of an example."""
    here = Path.cwd()
    os.chdir(ROOT)
    try:
        return isocost.plan(f"examples/{request.param}")
    finally:
        os.chdir(here)


@pytest.mark.parametrize("width", list(MOST_LINES))
def test_the_answer_is_one_screen(plan: Plan, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example fits the screen in width and length, and says what is left out."""
    monkeypatch.setenv("COLUMNS", str(width))
    lines = plan.table().splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= MOST_LINES[width]
    assert " ".join(lines).startswith(plan.sentence)
    assert " ".join(" ".join(lines).split()).endswith("; or --show all")


@pytest.mark.parametrize("width", list(MOST_LINES))
def test_all_sections_fit_the_screen(plan: Plan, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the whole answer is wider than the screen."""
    monkeypatch.setenv("COLUMNS", str(width))
    assert max(map(len, plan.table(show="all").splitlines())) <= width


def test_every_section_is_reached_by_its_name(plan: Plan) -> None:
    """Each name prints the sentence and its own section; together they are the whole answer."""
    whole = plan.table(show="all").split("\n\n")
    names = section_names(plan.document())
    assert names[0] == "frontier"
    assert {"run", "time", "drivers", "step", "memory", "site", "certainty", "assumptions"} <= set(names)
    parts = [plan.table(show=name).split("\n\n") for name in names]
    assert all(part[0] == plan.sentence for part in parts)
    assert [section.strip() for part in parts for section in part[1:]] == [section.strip() for section in whole[1:]]


@pytest.mark.parametrize(("count", "most", "kept"), [(3, 8, 1), (8, 8, 7), (9, 8, 0), (50, 8, 17), (50, 8, 48)])
def test_some_rows_stand_for_a_long_frontier(count: int, most: int, kept: int) -> None:
    """Rows are spread from first to last, in order, at most so many, with the one that is kept."""
    places = spread(count, most, kept)
    assert len(places) == min(count, most)
    assert places == sorted(set(places))
    assert {0, kept, count - 1} <= set(places)


def test_the_frontier_of_a_screen_is_short_and_marked(capsys: pytest.CaptureFixture[str]) -> None:
    """At most eight rows, the chosen one with its asterisk."""
    assert run(["plan", *SMALL, "--gpus", "8..2048"]) == 0
    section = capsys.readouterr().out.split("\n\n")[1]
    assert section.startswith("Frontier: days against cost (* chosen; in brackets the 90 % interval)")
    rows = [line for line in section.splitlines()[3:] if "h100-sxm5-80gb" in line]
    assert 1 < len(rows) <= ROWS
    assert sum(row.startswith("  * ") for row in rows) == 1


def test_an_unknown_section_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The names are listed, and the nearest is proposed."""
    assert run(["plan", *SMALL, "--show", "memry"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "'memry' is not a section of this answer; allowed: frontier, " in captured.err
    assert "did you mean memory?" in captured.err


def test_named_sections_of_other_formats(capsys: pytest.CaptureFixture[str]) -> None:
    """Markdown of named sections is theirs; formats of programs hold the whole answer, whatever is shown."""
    assert run(["plan", *SMALL, "--show", "bill", "--format", "md"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("## ")] == [
        "## The bill, line by line"
    ]
    assert run(["plan", *SMALL, "--format", "csv"]) == 0
    whole = capsys.readouterr().out
    assert run(["plan", *SMALL, "--show", "bill", "--format", "csv"]) == 0
    assert capsys.readouterr().out == whole


def test_an_estimate_that_is_explained_shows_its_terms(capsys: pytest.CaptureFixture[str]) -> None:
    """What was asked for by --explain is on the screen."""
    assert run(["estimate", *SMALL, "--explain"]) == 0
    text = capsys.readouterr().out
    assert "\n\nTerms\n  step_s = " in text
    assert "Fitted constants of this step" in text


def test_no_plan_is_one_screen_with_the_ways_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing fits, the screen says the nearest way out, which limits are broken and what fills the memory."""
    assert run(["estimate", "--model", "llama-3.1-405b", "--tokens", "1 T", "--on", "l4-24gb", "--gpus", "1"]) == 4
    text = capsys.readouterr().out
    assert "\n\nNearest ways out\n  needs " in text
    assert "\n\nLayouts by the first limit they break\n  memory " in text
    assert "memory of 6.69 TiB of 23.7 GiB: " in text
    assert len(text.splitlines()) < 30


def test_a_saved_plan_shows_what_was_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The screen, one section and a page of a saved plan are those of the plan."""
    path = tmp_path / "plan.json"
    assert run(["plan", *SMALL, "-o", str(path)]) == 0
    for flags in ([], ["--show", "memory,bill"], ["--format", "html"], ["--format", "csv"]):
        assert run(["plan", *SMALL, *flags]) == 0
        computed = capsys.readouterr().out
        assert run(["show", str(path), *flags]) == 0
        assert _timeless(capsys.readouterr().out) == _timeless(computed)
    assert run(["show", str(path), "--format", "json"]) == 0
    assert capsys.readouterr().out == path.read_text(encoding="utf-8")


def _timeless(text: str) -> str:
    """Return an answer without the line on how long the search took."""
    return "\n".join(line for line in text.splitlines() if "layouts evaluated" not in line)


def test_a_name_of_no_section_is_refused_before_the_search(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is planned for a name that no plan has; one that this answer lacks is left out, and the code is 4."""
    asked = ["plan", "--model", "llama-3.1-405b", "--tokens", "1 T", "--gpus", "8", "--on", "l4-24gb"]
    assert run([*asked, "--show", "bill,layouts"]) == 4
    out = capsys.readouterr().out
    assert "first limit they break" in out
    assert "The bill" not in out
    monkeypatch.setattr("isocost.verbs.plan.ask.search", None)
    assert run([*asked, "--show", "bil"]) == 2
    assert "did you mean bill?" in capsys.readouterr().err


def test_every_section_has_its_name_in_the_list() -> None:
    """The names that a plan can have are those of plans and of estimates with their explanation."""
    plans = [
        isocost.plan("examples/gpt2-small.toml"),
        isocost.estimate("examples/gpt2-small.toml", gpus=8, explain=True),
    ]
    assert {section.id for found in plans for section in found.document().sections} <= set(Plan.possible_sections)
