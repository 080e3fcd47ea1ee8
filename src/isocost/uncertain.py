"""How far a prediction may be off: the class a case is in, and the errors that class showed on rows no fit had seen."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocost.cases import Case

# From the widest surprise to none; a case is in the first class that fits it.
NEW_STACK, NEW_SITE, NEW_CHIP, NEW_SCALE, KNOWN = "new stack", "new site", "new chip", "new scale", "known"
MEANING = {
    NEW_STACK: "no run of this software stack was measured",
    NEW_SITE: "no run of this lab's machines was measured",
    NEW_CHIP: "no training run on this accelerator was measured",
    NEW_SCALE: "more than twice the accelerators of any measured run of this stack on this chip",
    KNOWN: "runs of this stack on this chip were measured",
}
NARROWED_BY = {
    NEW_STACK: "five step times of this stack",
    NEW_SITE: "two multi-node step times on this fabric",
    NEW_CHIP: "three single-node step times on this accelerator",
    NEW_SCALE: "one step time at a quarter of this scale",
    KNOWN: "step times of your own model and layout",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A 90 % interval of measured over predicted, as factors."""

    low: float
    high: float


@cache
def _facts() -> dict[str, Any]:
    return tomllib.loads(resources.files("isocost").joinpath("data/intervals.toml").read_text(encoding="utf-8"))


def class_of(case: Case, facts: Mapping[str, Any] | None = None) -> str:
    """The class of a case: what about it no measured run of the fit has."""
    facts = _facts() if facts is None else facts
    known, most = facts["known"], facts["most_gpus"]
    if case.recipe.id not in known["recipes"]:
        return NEW_STACK
    if case.accelerator.id not in known["chips"]:
        return NEW_CHIP
    if case.site and case.site not in known["sites"]:
        return NEW_SITE
    seen = most.get(f"{case.recipe.id}@{case.accelerator.id}")
    if seen is None:
        return NEW_CHIP
    return NEW_SCALE if case.gpus > 2 * seen else KNOWN


def band_of(case: Case) -> Band:
    """The interval of a case's step time around its prediction."""
    kind = "moe" if any(block.experts for block in case.architecture.blocks) else "dense"
    entry = _facts()["class"][class_of(case)][kind]
    return Band(low=float(np.exp(entry["low"])), high=float(np.exp(entry["high"])))


def bands(cases: Sequence[Case]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper factors of many cases."""
    found = [band_of(case) for case in cases]
    return np.array([b.low for b in found]), np.array([b.high for b in found])
