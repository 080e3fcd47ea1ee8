"""How the values of a fleet are read: one by one, and what is wrong with any of them is kept for one error."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from isocost.catalog import Catalog
from isocost.errors import DataError, InputError, Problem, nearest
from isocost.scenario.values import Context, as_day
from isocost.units import DAY_S, parse

T = TypeVar("T")


class Reader:
    """Reads values one by one and keeps what is wrong with each."""

    def __init__(self, folder: Path, today: datetime.date) -> None:
        self.file = folder / "fleet.toml"
        self.start = today
        self.problems: list[Problem] = []
        self.catalog: Catalog | None = None

    def read(self, reader: Callable[[], T], default: T) -> T:
        """Return a value, or the default and a problem."""
        try:
            return reader()
        except (InputError, DataError) as error:
            self.problems += error.problems
            return default

    def refuse(self, place: str, message: str, given: object = None, **more: str) -> None:
        """Keep a problem."""
        self.problems.append(
            Problem(place, message, **more) if given is None else Problem(place, message, given, **more)
        )

    def keys(self, table: Mapping[str, object], known: tuple[str, ...], place: str) -> None:
        """Refuse keys that nobody reads."""
        for key in table:
            if key not in known:
                close = nearest(str(key), known)
                self.refuse(f"{place}: {key}"[:300], "is not a key here", allowed=", ".join(known), nearest=close)

    def context(self) -> Context:
        """Return what the readers of a scenario need."""
        return Context(catalog=self.catalog, today=self.start, places={})

    def moment(self, value: object, place: str) -> float:
        """Return seconds from the first day to a date, or a duration."""
        day = as_day(value)
        if day is None:
            return parse(value, "s", place)
        if day < self.start:
            fix = f"give a day from {self.start.isoformat()} on (start), or a duration such as '6 weeks'"
            raise InputError([Problem(place, "is before the first day", str(value), fix=fix)])
        return (day - self.start).days * DAY_S


def read_name(table: Mapping[str, object], place: str, r: Reader) -> str:
    """Return the name of a table, which is short text."""
    name = table.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > 60:
        r.refuse(f"{place}: name", "is missing, or not a short text", fix='write name = "sweep"')
        return ""
    return name.strip()
