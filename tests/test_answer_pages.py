"""The pages on capacity and budget show what their commands print now."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "answer_pages.py"))


@pytest.mark.parametrize("page", SCRIPT["PAGES"], ids=lambda path: path.stem)
def test_a_page_shows_what_is_printed(page: Path) -> None:
    """Every command of the page is run; its output is the one that is shown (python scripts/answer_pages.py)."""
    text = page.read_text(encoding="utf-8")
    assert "```sh\nisocost " in text
    assert SCRIPT["with_output"](text) == text
