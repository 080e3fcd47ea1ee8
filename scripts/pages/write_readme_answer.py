"""Print the examples into README.md and two pages of docs/, between their markers: run when an answer moves.

make pages
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path

import isocost
from isocost.render.sections import shown
from isocost.render.text import text

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
CALIBRATION = ROOT / "docs" / "calibration.md"
DOCTOR = ROOT / "docs" / "doctor.md"
SCENARIO = "examples/llama-3.1-70b.toml"
COLUMNS = 100  # of the screen in the README
BEGIN, END = "<!-- answer:begin (make pages) -->", "<!-- answer:end -->"


def answer() -> str:
    """Return the screen of a plan, as an indented block."""
    os.chdir(ROOT)
    return _block(text(shown(isocost.plan(SCENARIO).document(), screen=True), COLUMNS))


def _block(printed: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in printed.splitlines())


def calibration_answer() -> str:
    """Return what calibrating on the example runs prints, as an indented block."""
    os.chdir(ROOT)
    return _block(isocost.calibrate("examples/my_runs.csv", name="my_site").table())


def actual_answer() -> str:
    """Return what comparing the plan of the example run with its log prints, as an indented block."""
    os.chdir(ROOT)
    return _block(isocost.compare(isocost.plan("examples/run.toml"), "examples/run.log").table())


def with_answer(page: str, block: str | None = None) -> str:
    """Return a page with an answer between its markers: that of the README unless another is given."""
    told = f"{BEGIN}\n\n{answer() if block is None else block}\n\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: told, page, flags=re.DOTALL)


if __name__ == "__main__":
    os.environ.pop("COLUMNS", None)
    with contextlib.redirect_stdout(io.StringIO()):  # pages are set as where there is no screen, on a terminal too
        README.write_text(with_answer(README.read_text(encoding="utf-8")), encoding="utf-8")
        page = CALIBRATION.read_text(encoding="utf-8")
        CALIBRATION.write_text(with_answer(page, calibration_answer()), encoding="utf-8")
        page = DOCTOR.read_text(encoding="utf-8")
        DOCTOR.write_text(with_answer(page, actual_answer()), encoding="utf-8")
