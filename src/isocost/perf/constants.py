"""The fitted constants: shipped values with their spread, and their product for a row.

A coefficient is its base constant times the constants named ``coefficient|level=value`` for the levels of the row.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """One fitted number: where the prior stood, where the evidence moved it, how sure we are, who carries it."""

    value: float
    prior: float
    sd: float  # of the logarithm, prior
    posterior_sd: float  # of the logarithm, after the fit
    rows: int
    unit: str = "1"
    meaning: str = "multiplier"

    @property
    def z_score(self) -> float:
        """Distance the evidence moved the constant, in prior standard deviations."""
        from math import log

        return log(self.value / self.prior) / self.sd


def names_of(coefficient: str, levels: Mapping[str, str], known: Mapping[str, object]) -> list[str]:
    """Names of the constants whose product is ``coefficient`` for a row with these levels."""
    keys = [coefficient, *(f"{coefficient}|{level}={value}" for level, value in levels.items())]
    return [key for key in keys if key in known]


def product(coefficient: str, levels: Mapping[str, str], constants: Mapping[str, Constant]) -> float:
    """Value of a coefficient for a row with these levels."""
    value = 1.0
    for name in names_of(coefficient, levels, constants):
        value *= constants[name].value
    return value


@cache
def shipped() -> dict[str, Constant]:
    """Constants shipped with the package."""
    text = resources.files("isocost.data").joinpath("constants.toml").read_text("utf-8")
    return {name: Constant(**row) for name, row in tomllib.loads(text)["constant"].items()}
