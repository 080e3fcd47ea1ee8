"""Write data/lever_pairs.toml and its table in docs/doctor.md: how far the doctor was tested on each lever.

python scripts/lever_pairs.py
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from isocost.calibrate.evidence import measured
from isocost.calibrate.runs import read_runs
from isocost.catalog.store import load_catalog
from isocost.constants import shipped
from isocost.doctor.pairs import ALL, SEVERAL, Tested, as_toml, study
from isocost.doctor.trial import NOISE_FRAC
from isocost.validation import shipped_runs

ROOT = Path(__file__).parents[1]
FILE, PAGE = ROOT / "src" / "isocost" / "data" / "lever_pairs.toml", ROOT / "docs" / "doctor.md"
_BLOCK = re.compile(
    r"(<!-- generated:begin \(python scripts/lever_pairs.py\) -->\n).*?(<!-- generated:end -->)", re.DOTALL
)
NAMES = {ALL: "any one of them", SEVERAL: "more than one at once"}


@cache
def found() -> Mapping[str, Tested]:
    """Return the figures by lever."""
    return study(measured(read_runs(shipped_runs()).runs, load_catalog()), shipped(), NOISE_FRAC)


def generated() -> str:
    """Return the file."""
    return as_toml(found())


def page(text: str) -> str:
    """Return the page with the table of now."""
    rows = [
        "| lever | pairs | on | median error | direction right | inside the 90 % interval | widened |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    for name, row in found().items():
        chips = ", ".join(f"{chip} {count:,}" for chip, count in row.generations.items())
        right = "-" if row.sign_right_frac is None else f"{row.sign_right_frac:.0%}"
        rows.append(
            f"| {NAMES.get(name, f'`{name}`')} | {row.pairs:,} | {chips} | {row.median_error_frac:.1%} | {right} | "
            f"{row.within_frac:.0%} | {row.widen:.2f} |"
        )
    table = "\n".join(rows)
    return _BLOCK.sub(lambda match: f"{match[1]}{table}\n{match[2]}", text)


if __name__ == "__main__":
    FILE.write_text(generated(), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
