"""How far a prediction may be off: the class a case is in, and the errors that class showed on rows no fit had seen."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from isocost.perf.case import Case

# From the widest surprise to none; a case is of the first class that fits it.
CALIBRATED = "calibrated"
NEW_STACK, NEW_CHIP, NEW_SITE, NEW_SCALE, KNOWN = "new stack", "new chip", "new site", "new scale", "known"
MEANING = {
    NEW_STACK: "no run of this software stack was measured",
    NEW_CHIP: "no run of this software stack was measured on this accelerator",
    NEW_SITE: "the machines and their network are not among those measured",
    NEW_SCALE: "more than twice the accelerators of any measured run of this stack on this chip",
    KNOWN: "runs of this stack on this chip were measured",
    CALIBRATED: "runs of your own on this stack and chip were measured",
}
NARROWED_BY = {
    NEW_STACK: "five step times of this stack",
    NEW_CHIP: "three single-node step times on this accelerator",
    NEW_SITE: "two multi-node step times on this fabric",
    NEW_SCALE: "one step time at a quarter of this scale",
    KNOWN: "step times of your own model and layout",
    CALIBRATED: "the runs that isocost calibrate --plan proposes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A 90 % interval of measured over predicted, as factors."""

    low: float
    high: float


class OwnRuns(Protocol):
    """What a calibration on the user's own runs says of an interval."""

    @property
    def row_count(self) -> int:
        """Runs of the user."""
        ...

    def interval(self, case: Case, low: float, high: float) -> tuple[float, float] | None:
        """Factors of the 90 % interval of a case, given those without own runs; None where the runs say nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """How far a prediction may be off, and why: everything about a case that no measured run had."""

    classes: tuple[str, ...]  # all that fit, the widest first; the first names the case
    kind: str  # dense or moe
    rows: int  # left-out rows on which the errors of the first class were seen
    band: Band

    @property
    def meaning(self) -> tuple[str, ...]:
        """What each class says."""
        return tuple(MEANING[name] for name in self.classes)

    @property
    def narrowed_by(self) -> tuple[str, ...]:
        """What to measure, by class."""
        return tuple(NARROWED_BY[name] for name in self.classes)


@cache
def _facts() -> dict[str, Any]:
    return tomllib.loads(resources.files("isocost").joinpath("data/intervals.toml").read_text(encoding="utf-8"))


def classes_of(case: Case, facts: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """Every class that fits a case, the widest surprise first.

    A case without a site is on machines that nobody measured as soon as it leaves one scale-up domain. Within one there
    is no network between servers to be surprised by, and servers with the same chip are alike.
    """
    facts = _facts() if facts is None else facts
    known = facts["known"]
    seen = facts["most_gpus"].get(f"{case.recipe.id}@{case.accelerator.id}")
    new_stack = case.recipe.id not in known["recipes"]
    new_chip = case.accelerator.id not in known["chips"] or (seen is None and not new_stack)
    beyond = case.gpus > max(case.accelerator.scaleup_domain, 1)
    new_site = case.site not in known["sites"] if case.site else beyond
    found = (
        *([NEW_STACK] if new_stack else []),
        *([NEW_CHIP] if new_chip else []),
        *([NEW_SITE] if new_site else []),
        *([NEW_SCALE] if seen is not None and case.gpus > 2 * seen else []),
    )
    return found or (KNOWN,)


def class_of(case: Case, facts: Mapping[str, Any] | None = None) -> str:
    """Return the class of a case: the widest thing about it that no measured run of the fit has."""
    return classes_of(case, facts)[0]


def certainty_of(case: Case, calibration: OwnRuns | None = None) -> Certainty:
    """Return the classes of a case and the interval of its step: the widest of theirs, so that no surprise narrows it.

    With a calibration on the same stack and chip it is the user's own: from how far the runs left the multipliers open.
    """
    plain = _uncalibrated(case)
    own = None if calibration is None else calibration.interval(case, plain.band.low, plain.band.high)
    if calibration is None or own is None:
        return plain
    return Certainty(
        classes=(CALIBRATED,), kind=plain.kind, rows=calibration.row_count, band=Band(low=own[0], high=own[1])
    )


def _uncalibrated(case: Case) -> Certainty:
    classes = classes_of(case)
    kind = "moe" if any(block.experts for block in case.architecture.blocks) else "dense"
    entries = [_facts()["class"][name][kind] for name in {*classes, KNOWN}]
    band = Band(
        low=float(np.exp(min(entry["low"] for entry in entries))),
        high=float(np.exp(max(entry["high"] for entry in entries))),
    )
    return Certainty(classes=classes, kind=kind, rows=_facts()["class"][classes[0]][kind]["rows"], band=band)


def band_of(case: Case) -> Band:
    """Return the interval of a case's step time around its prediction."""
    return certainty_of(case).band


def bands(cases: Sequence[Case]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper factors of many cases."""
    found = [band_of(case) for case in cases]
    return np.array([b.low for b in found]), np.array([b.high for b in found])
