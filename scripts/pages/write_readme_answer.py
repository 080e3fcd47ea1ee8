"""Print the examples into README.md and two pages of docs/, between their markers: run when an answer moves.

make pages
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import isocost

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
CALIBRATION = ROOT / "docs" / "calibration.md"
DOCTOR = ROOT / "docs" / "doctor.md"
SCENARIO = "examples/llama-3.1-70b.toml"
BEGIN, END = "<!-- answer:begin (make pages) -->", "<!-- answer:end -->"


def answer() -> str:
    """Return the part of the printed plan that has neither dates nor seconds, as an indented block."""
    os.chdir(ROOT)
    text = isocost.plan(SCENARIO).table()
    lead = text[: text.index("\n\nLayouts\n")]
    sure = text[text.index("\n\nHow sure\n") + 2 : text.index("\n\nAssumptions")]
    return "\n".join(f"    {line}".rstrip() for line in f"{lead}\n\n{sure}".splitlines())


def calibration_answer() -> str:
    """Return what calibrating on the example runs prints, as an indented block."""
    os.chdir(ROOT)
    text = isocost.calibrate("examples/my_runs.csv", name="my_site").table()
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def actual_answer() -> str:
    """Return what comparing the plan of the example run with its log prints, as an indented block."""
    os.chdir(ROOT)
    text = isocost.compare(isocost.plan("examples/run.toml"), "examples/run.log").table()
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def with_answer(page: str, shown: str | None = None) -> str:
    """Return a page with an answer between its markers: that of the README unless another is given."""
    block = f"{BEGIN}\n\n{answer() if shown is None else shown}\n\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: block, page, flags=re.DOTALL)


if __name__ == "__main__":
    README.write_text(with_answer(README.read_text(encoding="utf-8")), encoding="utf-8")
    page = CALIBRATION.read_text(encoding="utf-8")
    CALIBRATION.write_text(with_answer(page, calibration_answer()), encoding="utf-8")
    page = DOCTOR.read_text(encoding="utf-8")
    DOCTOR.write_text(with_answer(page, actual_answer()), encoding="utf-8")
