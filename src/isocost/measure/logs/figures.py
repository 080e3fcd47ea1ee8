"""Printed numbers as floats: thousands separators, percent, human suffixes, N/A."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from isocost.measure.logs.records import Column

_SUFFIX: Final = {"K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12}


def figure(text: str | None) -> float:
    """Return the number a text says, NaN where it says none: "1,234", "20.5K", "37.1%" (37.1), "N/A"."""
    if not text:
        return math.nan
    text = text.strip().replace(",", "")
    scale = 1.0
    if text[-1:] == "%":
        text = text[:-1]
    elif text[-1:].upper() in _SUFFIX:
        scale = _SUFFIX[text[-1].upper()]
        text = text[:-1]
    try:
        return float(text) * scale
    except ValueError:
        return math.nan


def figures(texts: Iterable[str | None]) -> Column:
    """Return many numbers at once."""
    texts = list(texts)
    try:
        try:
            return np.array(list(map(float, texts)))  # type: ignore[arg-type]
        except ValueError:
            plain = "\n".join(texts).replace(",", "").split("\n")  # type: ignore[arg-type]
            return np.array(list(map(float, plain)))
    except (TypeError, ValueError):
        return np.array([figure(text) for text in texts])


def rescaled(values: Column, factor: float) -> Column:
    """Return values times a factor; one below one is a division, which rounds as people do (144,915.6 ms)."""
    return values / round(1.0 / factor) if 1e-9 < factor < 1.0 else values * factor
