"""Bounds of what a user may say about money, and one error that lists everything outside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from isocost.errors import InputError, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What a quantity may be, and what to write instead."""

    least: float = 0.0
    most: float = float("inf")
    above: bool = False  # the least itself is refused
    fix: str = ""

    def allowed(self) -> str:
        """The range in words."""
        low = f"above {self.least:g}" if self.above else f"{self.least:g} or more"
        return low if np.isinf(self.most) else f"{low}, at most {self.most:g}"


NOT_NEGATIVE = Bound()
POSITIVE = Bound(above=True)
FRACTION = Bound(most=1.0)
USED = Bound(most=1.0, above=True)


def problems_of(record: Any, bounds: Mapping[str, Bound], place: str) -> list[Problem]:
    """Return one problem for every field of a record that is outside its bound; arrays are checked as a whole."""
    found = []
    for field in fields(record):
        bound = bounds.get(field.name)
        if bound is not None:
            path = f"{place}.{field.name}" if place else field.name
            found += _problem(getattr(record, field.name), bound, path)
    return found


def _problem(value: object, bound: Bound, path: str) -> list[Problem]:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return [Problem(path, "is not a number", value, bound.allowed(), fix=bound.fix)]
    if isinstance(value, (str, bytes, bool)):
        return [Problem(path, "is not a number", value, bound.allowed(), fix=bound.fix)]
    below = array <= bound.least if bound.above else array < bound.least
    for bad, message in (
        (~np.isfinite(array), "is not a finite number"),
        (array < 0, "is negative"),
        (below & (array == 0), "is zero"),
        (below, "is too small"),
        (array > bound.most, "is too large"),
    ):
        if bad.any():
            given = float(array[bad].flat[0]) if array.ndim else float(array)
            return [Problem(path, message, given, bound.allowed(), fix=bound.fix or _percent(given, bound))]
    return []


def _percent(given: float, bound: Bound) -> str:
    """Say how a percentage is written where it was given as a whole number."""
    if bound.most > 1.0 or given <= bound.most:
        return ""
    return f"write {given / 100:g} for {given:g} %" if 2.0 <= given <= 100.0 else "write a share of 1"


def refuse(problems: list[Problem]) -> None:
    """Raise one InputError with all problems, if there are any."""
    if problems:
        raise InputError(problems)
