"""Documentation: every example is run, what is printed is what is shown, and every word has its meaning."""

from __future__ import annotations

import dataclasses
import os
import re
import runpy
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from isocost.catalog import load_catalog
from isocost.cli import run
from isocost.scenario import KEYS, read_scenario
from isocost.search.question import Candidate
from isocost.term import TERMS
from isocost.verbs.plan.layouts import LAYOUT
from isocost.verbs.words import MEMORY_PARTS, STEP_PARTS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("how-to", "intervals", "calibration"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))
NEEDS_A_FILE_OF_YOUR_OWN = "my-quotes.toml"


def _commands() -> list[str]:
    """Return every isocost command of the pages, in order, each once."""
    lines = [line.strip() for page in PAGES for line in page.read_text(encoding="utf-8").splitlines()]
    found = [line for line in lines if line.startswith("isocost ") and NEEDS_A_FILE_OF_YOUR_OWN not in line]
    return list(dict.fromkeys(found))


def _blocks(language: str) -> list[Any]:
    return [
        pytest.param(block, id=f"{page.stem}-{place}")
        for page in PAGES
        for place, block in enumerate(
            re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
        )
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that has the examples, as the working directory."""
    os.symlink(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command of the README and the how-to succeeds, in order: later ones read what earlier ones wrote."""
    commands = _commands()
    assert len(commands) > 15
    for command in commands:
        assert run(shlex.split(command)[1:]) == 0, command
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("block", _blocks("python"))
def test_every_python_example_runs(block: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every Python example runs and prints something."""
    exec(compile(block, "example", "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize("block", _blocks("toml"))
def test_every_toml_example_is_valid(block: str, folder: Path) -> None:
    """Every TOML example is a scenario, or a catalogue file."""
    tables = tomllib.loads(block)
    if "offer" in tables:
        (folder / "my.toml").write_text(block, encoding="utf-8")
        assert len(load_catalog(folder / "my.toml").offers) == len(load_catalog().offers) + len(tables["offer"])
    else:
        assert read_scenario(tables)[0].tokens > 0


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_has_a_plan(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every scenario in examples/ has a plan, and says in its header how to run it."""
    assert f"isocost plan examples/{path.name}" in path.read_text(encoding="utf-8")
    assert run(["plan", str(path)]) == 0
    assert capsys.readouterr().out


def test_the_readme_shows_what_is_printed() -> None:
    """The answer in the README is the one printed now (make pages writes it)."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    here = os.getcwd()
    try:
        assert (
            runpy.run_path(str(ROOT / "scripts" / "pages" / "write_readme_answer.py"))["with_answer"](readme) == readme
        )
    finally:
        os.chdir(here)


def test_the_calibration_page_shows_what_is_printed() -> None:
    """The calibration on that page is the one printed now (make pages writes it)."""
    page = (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8")
    script = runpy.run_path(str(ROOT / "scripts" / "pages" / "write_readme_answer.py"))
    here = os.getcwd()
    try:
        assert script["with_answer"](page, script["calibration_answer"]()) == page
    finally:
        os.chdir(here)


def test_the_doctor_page_shows_what_is_printed() -> None:
    """Plan against actual on that page is what is printed now (make pages writes it)."""
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    script = runpy.run_path(str(ROOT / "scripts" / "pages" / "write_readme_answer.py"))
    here = os.getcwd()
    try:
        assert script["with_answer"](page, script["actual_answer"]()) == page
    finally:
        os.chdir(here)


def test_links_of_the_pages_lead_somewhere() -> None:
    """Every relative link points at a file of the project."""
    for page in [*PAGES, ROOT / "docs" / "glossary.md"]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_key_is_in_the_how_to() -> None:
    """Every key of a scenario is in the table of keys."""
    text = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
    assert [key for key in KEYS if f"`{key}`" not in text] == []


def test_every_word_is_in_the_glossary() -> None:
    """Every key of a scenario, figure of a plan, part of a step or of memory, and formula has its meaning."""
    runpy.run_path(str(ROOT / "scripts" / "pages" / "write_glossary.py"))["generated"]()  # imports every formula
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    ours = {name for name, term in TERMS.items() if term.function.__module__.startswith("isocost.")}
    figures = {field.name for field in dataclasses.fields(Candidate)} - {"option", "layout", "time", "memory", "gpu_s"}
    words = {*KEYS, *LAYOUT, *STEP_PARTS, *MEMORY_PARTS, *figures, *ours}
    assert sorted(word for word in words if f"`{word}`" not in text) == []
