"""Print the example plan into README.md, between its markers: run after anything that moves an answer.

python scripts/readme_answer.py
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import isocost

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
SCENARIO = "examples/llama-3.1-70b.toml"
BEGIN, END = "<!-- answer:begin (python scripts/readme_answer.py) -->", "<!-- answer:end -->"


def answer() -> str:
    """Return the part of the printed plan that has neither dates nor seconds, as an indented block."""
    os.chdir(ROOT)
    text = isocost.plan(SCENARIO).table()
    lead = text[: text.index("\n\nLayouts\n")]
    sure = text[text.index("\n\nHow sure\n") + 2 : text.index("\n\nAssumptions")]
    return "\n".join(f"    {line}".rstrip() for line in f"{lead}\n\n{sure}".splitlines())


def with_answer(readme: str) -> str:
    """Return the README with the answer between its markers."""
    block = f"{BEGIN}\n\n{answer()}\n\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: block, readme, flags=re.DOTALL)


if __name__ == "__main__":
    README.write_text(with_answer(README.read_text(encoding="utf-8")), encoding="utf-8")
