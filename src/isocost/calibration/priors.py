"""The constants of the step-time laws before any measured step is seen (data/priors.toml).

A coefficient of a row is a product: the base constant, times one multiplier for each level (chip, stack, site,
attention kernel, ...) that has a constant of that name. Priors are log-normal: ``sd`` is the spread of the logarithm.
A level that never moved in the evidence has no constant, so its multiplier is 1 and the interval carries the spread.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from importlib import resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """A base constant, its spread, and the spread of the multiplier at each level that may move it."""

    value: float
    sd: float
    unit: str
    meaning: str
    levels: dict[str, float] = field(default_factory=dict)
    centres: dict[str, float] = field(default_factory=dict)  # multipliers that are known not to be 1 beforehand


def _priors() -> dict[str, Prior]:
    text = resources.files("isocost").joinpath("data/priors.toml").read_text("utf-8")
    return {name: Prior(**entry) for name, entry in tomllib.loads(text).items() if isinstance(entry, dict)}


PRIORS = _priors()
