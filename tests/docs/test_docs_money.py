"""The page on money: every block is run, and what it prints is what is shown."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "money.md").read_text(encoding="utf-8")


def test_the_page_shows_what_is_printed() -> None:
    """Running the blocks again changes nothing (make pages writes their output)."""
    assert runpy.run_path(str(ROOT / "scripts" / "pages" / "write_money.py"))["with_output"](PAGE) == PAGE


def test_every_block_has_its_output() -> None:
    """No Python block stands without what it prints, so none goes unrun."""
    blocks = re.findall(r"```python\n.*?```\n\n(.*)", PAGE, re.DOTALL)
    outputs = PAGE.count("```text\n") + PAGE.count("<!-- printed -->\n")
    assert PAGE.count("```python\n") == outputs >= 12
    assert blocks
    assert "@@" not in PAGE
