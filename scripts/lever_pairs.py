"""Write data/lever_pairs.toml: how far the doctor was tested on each lever, over pairs of measured runs.

python scripts/lever_pairs.py
"""

from __future__ import annotations

from pathlib import Path

from isocost.calibrate.evidence import measured
from isocost.calibrate.runs import read_runs
from isocost.catalog.store import load_catalog
from isocost.constants import shipped
from isocost.doctor.pairs import as_toml, study
from isocost.doctor.trial import NOISE_FRAC
from isocost.validation import shipped_runs

FILE = Path(__file__).parents[1] / "src" / "isocost" / "data" / "lever_pairs.toml"


def generated() -> str:
    """Return the file."""
    evidence = measured(read_runs(shipped_runs()).runs, load_catalog())
    return as_toml(study(evidence, shipped(), NOISE_FRAC))


if __name__ == "__main__":
    FILE.write_text(generated(), encoding="utf-8")
