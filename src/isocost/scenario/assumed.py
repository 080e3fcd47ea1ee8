"""What a question left open, and how it was filled: told with every answer."""

from __future__ import annotations

from dataclasses import dataclass

from isocost.catalog.records import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """Something the question left open: how it was filled, from which source, as of when."""

    name: str
    value: str
    source: str
    as_of: str
    grade: str = ""


def looked_up(name: str, value: str, fact: Fact) -> Assumed:
    """Return an assumption that rests on a dated fact."""
    return Assumed(name=name, value=value, source=", ".join(fact.sources), as_of=fact.as_of, grade=fact.grade)


def yours(name: str, value: str) -> Assumed:
    """Return what the user said, and what follows from it."""
    return Assumed(name=name, value=value, source="yours", as_of="")
