"""What an answer is before it has a format: one sentence, then sections of tables, charts and lines.

A table is defined once: columns with a heading, a key, a value and a format. The files beside this one set it as text,
Markdown, HTML or CSV; ``formats.py`` lists them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

UNKNOWN: Final = "-"
_SLUG: Final = re.compile(r"[^a-z0-9]+")


def as_text(value: object) -> str:
    """Return a value as a cell: figures with thousands separators, yes and no, a dash for unknown."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return ", ".join(as_text(part) for part in value)
    return " ".join(str(value).split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its heading, its key in CSV and JSON (with the unit), its value in a row, and how a cell shows it."""

    head: str
    key: str
    value: Callable[[Any], object]
    show: Callable[[Any], str] = as_text
    text: Callable[[Any], str] | None = None  # of the row, where the cell shows more than its value
    left: bool = False
    brief: bool = False  # in a table that is too wide, the cell may show its value only
    spare: bool = False  # and the column may be left out of the text

    def cell(self, row: object, *, brief: bool = False) -> str:
        """Return the shown value; unknown is a dash whatever the format."""
        value = self.value(row)
        if value is None:
            return UNKNOWN
        return self.show(value) if self.text is None or (brief and self.brief) else self.text(row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under columns, some of them marked."""

    columns: tuple[Column, ...]
    rows: tuple[Any, ...]
    title: str = ""
    marked: frozenset[int] = field(default_factory=frozenset)

    def cells(self) -> list[list[str]]:
        """Return the shown values, row by row."""
        return [[column.cell(row) for column in self.columns] for row in self.rows]

    def to_dicts(self) -> list[dict[str, object]]:
        """Return the unrounded values by key."""
        return [{column.key: column.value(row) for column in self.columns} for row in self.rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """A chart: a table of which every row ends in a bar. Text draws it with "#", a page as a rectangle."""

    table: Table
    length: Callable[[Any], float]  # of the bar of a row
    characters: int = 30  # of the longest bar, in text
    up: bool = False  # rounded up in text, so that a little is still seen

    def fractions(self) -> list[float]:
        """Return the length of each bar over the longest."""
        lengths = [self.length(row) for row in self.table.rows]
        longest = max(lengths, default=0.0)
        return [length / longest if longest else 0.0 for length in lengths]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of a plot: its heading, and the key of its values as data."""

    title: str
    key: str
    log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A named line through points."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Lines of one kind, drawn alike."""

    lines: tuple[Line, ...]
    dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A point that stands out, with the values that explain it."""

    at: tuple[float, float]
    values: Mapping[str, str | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A chart of lines and points over two axes. A page draws it; text leaves it out."""

    about: str
    x: Axis
    y: Axis
    layers: tuple[Lines, ...]
    marks: tuple[Mark, ...] = ()


Chart: TypeAlias = Bars | Plot
Part: TypeAlias = Table | Chart | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading with tables, charts and lines of text under it."""

    title: str
    body: tuple[Part, ...]
    name: str = ""  # by which it is asked for; empty: the first words of its title

    @property
    def id(self) -> str:
        """The name, or the title up to its first comma, colon or bracket in small letters and hyphens."""
        return self.name or _SLUG.sub("-", re.split(r"[,:(]", self.title)[0].casefold()).strip("-")


def _no_values() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The answer in one sentence, then what stands behind it."""

    lead: str
    sections: tuple[Section, ...] = ()
    screen: tuple[Section, ...] = ()  # what one screen of text holds of it; none: all sections
    foot: str = ""
    table: Table | None = None  # the main one, which CSV holds
    values: Callable[[], Mapping[str, Any]] = _no_values  # which JSON holds; worked out when asked for
