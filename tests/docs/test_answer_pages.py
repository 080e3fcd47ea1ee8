"""The pages on capacity, budget and prices show what is printed now."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "pages" / "write_answers.py"))


@pytest.mark.parametrize("page", SCRIPT["PAGES"], ids=lambda path: path.stem)
def test_a_page_shows_what_is_printed(page: Path) -> None:
    """Every command of the page is run; its output is the one that is shown (make pages)."""
    text = page.read_text(encoding="utf-8")
    assert "```sh\nisocost " in text
    assert SCRIPT["with_output"](text) == text


def test_the_page_of_prices_is_current() -> None:
    """Forecasts of published runs are those of the page (make pages), every miss explained."""
    script = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "pages" / "write_prices.py"))
    text = script["PAGE"].read_text(encoding="utf-8")
    assert script["page"]() == text
    assert "not explained" not in text
