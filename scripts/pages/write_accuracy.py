"""Write docs/accuracy.md and the table of the README between its markers: run after anything that moves a prediction.

make pages
"""

from __future__ import annotations

import re
from pathlib import Path

from pages.accuracy_page import page, short
from pages.accuracy_study import study

ROOT = Path(__file__).parents[2]
README, PAGE = ROOT / "README.md", ROOT / "docs" / "accuracy.md"
BEGIN, END = "<!-- accuracy:begin (make pages) -->", "<!-- accuracy:end -->"


def with_table(readme: str, table: str) -> str:
    """Return the README with the table between its markers."""
    block = f"{BEGIN}\n\n{table}\n\n{END}"
    return re.sub(f"<!-- accuracy:begin.*?{re.escape(END)}", lambda _: block, readme, flags=re.DOTALL)


def generated() -> dict[Path, str]:
    """Return both files as they should be."""
    found = study()
    return {PAGE: page(found), README: with_table(README.read_text(encoding="utf-8"), short(found))}


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
