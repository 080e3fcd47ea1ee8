"""Columns and formats of cells that several tables share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isocost.render.document import UNKNOWN, Column
from isocost.units import show as in_units


def keyed(head: str, key: str, show: Callable[[Any], str] = str, left: bool = False) -> Column:
    """Return a column of rows that are mappings: the value of a key, and nothing where a row lacks it."""
    return Column(head=head, key=key, value=lambda row: row.get(key), show=show, left=left)


def count(value: float) -> str:
    """Return tokens or parameters in words, such as "1.5 T"."""
    return in_units(float(value), "token")


def percent(value: float | None) -> str:
    """Return a share as a percentage with one decimal."""
    return UNKNOWN if value is None else f"{100 * value:.1f} %"


def signed(value: float | None) -> str:
    """Return an error as a percentage with its sign."""
    return UNKNOWN if value is None else f"{100 * value:+.1f} %"
