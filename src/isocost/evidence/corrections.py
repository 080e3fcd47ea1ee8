"""Labels of the evidence that cannot be right: what is used instead, and why (data/corrections.toml)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

from isocost.evidence.run import MeasuredRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One wrong label of the rows of one source."""

    source: str  # beginning of the source
    fabric: str
    column: str
    stated: str
    used: str
    reason: str
    source_of_reason: str
    as_of: str
    grade: str

    def fits(self, run: MeasuredRun) -> bool:
        """Whether the correction concerns this run."""
        here = (run.source or "").startswith(self.source) and (run.fabric or "") == self.fabric
        return here and getattr(run, self.column) == self.stated


@cache
def corrections() -> tuple[Correction, ...]:
    """All shipped corrections."""
    text = resources.files("isocost").joinpath("data/corrections.toml").read_text("utf-8")
    return tuple(Correction(**row) for row in tomllib.loads(text)["correction"])


def corrected(run: MeasuredRun) -> tuple[MeasuredRun, dict[str, str]]:
    """Return the run with wrong labels replaced, and for each what was replaced and where the reason stands."""
    notes: dict[str, str] = {}
    for c in corrections():
        if c.fits(run):
            run = replace(run, **{c.column: c.used})  # type: ignore[arg-type]
            notes[c.column] = f"{c.used} (the row says {c.stated}: see corrections.toml)"
    return run, notes
