"""What a reader of one format is, and the two shapes that most formats have: a pattern, and fields between bars."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np

from isocost.measure.logs.alike import numbers_alike
from isocost.measure.logs.figures import figures, rescaled
from isocost.measure.logs.records import Column, Mark

CUT_OFF: Final = "cut off or garbled"
_MOST_SHAPES: Final = 64  # of lines of one format that are remembered


@dataclass(slots=True)
class Rows:
    """Steps of one block: where each begins, its values, and the lines that looked like one."""

    places: list[int] = field(default_factory=list)
    columns: dict[str, Column] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)

    def keep(self, where: Column, reason: str) -> None:
        """Drop the rows outside a mask."""
        lost = int(len(where) - where.sum())
        if lost:
            self.dropped[reason] += lost
            self.places = [place for place, kept in zip(self.places, where.tolist(), strict=True) if kept]
            self.columns = {name: column[where] for name, column in self.columns.items()}


class Reader(ABC):
    """Reads one format, block by block; a new one for every file."""

    sign: ClassVar[re.Pattern[str]]  # found in a file of the format
    notes: Sequence[str] = ()
    unknown: Sequence[str] = ()  # names of values that the reader has no use for, where values have names
    marks: Sequence[Mark] = ()  # evaluations and the like that the format itself records

    @classmethod
    def recognises(cls, block: str) -> bool:
        """Return whether a block, the first or a later one, holds lines of the format."""
        return cls.sign.search(block) is not None

    @abstractmethod
    def read(self, block: str) -> Rows:
        """Return the steps of a block of whole lines."""

    def finish(self) -> Rows:
        """Return steps that only the end of the file completes."""
        return Rows()

    def facts(self) -> Mapping[str, float]:
        """Return what the steps themselves say of the run."""
        return {}


def rows_of(found: Sequence[tuple[int, Mapping[str, float]]], dropped: Counter[str] | None = None) -> Rows:
    """Return rows from values by name, for formats whose lines are few or long."""
    names = {name for _, values in found for name in values}
    columns = {name: np.array([values.get(name, np.nan) for _, values in found]) for name in names}
    return Rows([place for place, _ in found], columns, dropped or Counter())


def _add_nan(columns: dict[str, Column], losses: Column, texts: Sequence[str]) -> None:
    """Count a loss that is printed as NaN as a NaN iteration; a loss that is not printed is only unknown."""
    if np.isnan(losses).any():
        said = np.array([float(text.strip().casefold().startswith("nan")) for text in texts])
        columns["nan"] = np.fmax(columns.get("nan", said), said)


class PatternReader(Reader):
    """A format whose step is one regular expression that starts with a literal.

    A group that does not take part is unknown; without the group ``need`` the line is cut off. Every group has a name.
    """

    word: ClassVar[str]  # that the pattern begins with
    pattern: ClassVar[re.Pattern[str]]
    scales: ClassVar[Mapping[str, tuple[str, float]]]  # group -> column, factor
    need: ClassVar[str]  # the group without which a line is no step

    def read(self, block: str) -> Rows:
        """Return the steps of a block."""
        if (alike := numbers_alike(block, self.pattern, self.word)) is not None:
            columns = {self.scales[group]: values for group, values in alike.items()}
            kept = {
                name: values if factor == 1.0 else rescaled(values, factor)
                for (name, factor), values in columns.items()
            }
            return Rows(self._places(block, block.count("\n")), kept)
        found = self.pattern.findall(block)
        if not found:
            return Rows()
        by_group = dict(zip(self.pattern.groupindex, zip(*found, strict=True), strict=True))
        rows = Rows(self._places(block, len(found)))
        for group, (column, factor) in self.scales.items():
            if any(by_group[group]):
                values = figures(by_group[group])
                rows.columns[column] = values if factor == 1.0 else rescaled(values, factor)
                if column == "loss":
                    _add_nan(rows.columns, values, by_group[group])
        if not all(by_group[self.need]):
            rows.keep(np.array([text != "" for text in by_group[self.need]]), CUT_OFF)
        return rows

    def _places(self, block: str, number: int) -> list[int]:
        """Return where the steps begin; looking for the first word of them is quicker than matching again."""
        if block.count(self.word) != number:
            return [match.start() for match in self.pattern.finditer(block)]
        lengths = np.array([len(part) for part in block.split(self.word)[:-1]], dtype=np.int64)
        places: list[int] = (np.cumsum(lengths) + len(self.word) * np.arange(len(lengths))).tolist()
        return places


class BarReader(Reader):
    """A format whose step is ``<start> | key: value | key: value ...``.

    The order of the keys is learned from a line and becomes one pattern; a line of another shape is learned anew.
    """

    start: ClassVar[re.Pattern[str]]  # up to the first field; its group ``step`` is the step
    fields: ClassVar[Mapping[str, tuple[str, float]]]  # key -> column, factor
    need: ClassVar[frozenset[str]]  # keys of which one must be there

    def __init__(self) -> None:
        self._shapes: list[tuple[re.Pattern[str], tuple[str, ...]]] = []

    def read(self, block: str) -> Rows:
        """Return the steps of a block."""
        dropped: Counter[str] = Counter()
        by_keys: dict[tuple[str, ...], tuple[list[int], list[tuple[str, ...]]]] = {}
        starts = [(match.start(), match.end(), match.group("step")) for match in self.start.finditer(block)]
        if not starts:
            return Rows()
        ends = [place for place, _, _ in starts[1:]] + [len(block)]  # two ranks can share a line
        for (place, after, step), limit in zip(starts, ends, strict=True):
            keys, values = self._values(block, after, limit)
            if not self.need.intersection(keys):
                dropped[CUT_OFF] += 1
                continue
            places, texts = by_keys.setdefault(keys, ([], []))
            places.append(place)
            texts.append((step, *values))
        return self._rows(by_keys, dropped)

    def _values(self, block: str, after: int, limit: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the keys and texts of a line, by a shape that is known or that becomes so."""
        for number, (pattern, keys) in enumerate(self._shapes):
            if found := pattern.match(block, after, limit):
                if number:  # the usual shape is tried first
                    self._shapes.insert(0, self._shapes.pop(number))
                return keys, found.groups()
        end = block.find("\n", after, limit)
        pattern, keys = self._learned(block[after : limit if end < 0 else end])
        self._shapes = [(pattern, keys), *self._shapes[: _MOST_SHAPES - 1]]
        fits = pattern.match(block, after, limit)
        return (keys, fits.groups()) if fits else ((), ())

    def _learned(self, text: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
        pieces, keys = [], []
        for part in text.split("|"):
            key = part.partition(":")[0].strip()
            if key in self.fields and key not in keys:
                keys.append(key)
                pieces.append(rf"\s*{re.escape(key)}:[ \t]*([^|\s\[]+)[^|\n]*")
            else:
                pieces.append(r"[^|\n]*")
        return re.compile(r"\|".join(pieces) + r"$", re.MULTILINE), tuple(keys)

    def _rows(
        self, by_keys: Mapping[tuple[str, ...], tuple[list[int], list[tuple[str, ...]]]], dropped: Counter[str]
    ) -> Rows:
        places = np.array([place for at, _ in by_keys.values() for place in at], dtype=np.int64)
        order = np.argsort(places, kind="stable")
        columns: dict[str, Column] = {}
        begin = 0
        for keys, (at, texts) in by_keys.items():
            for name, column in self._columns(keys, texts).items():
                whole = columns.setdefault(name, np.full(len(places), np.nan))
                whole[begin : begin + len(at)] = column
            begin += len(at)
        return Rows(places[order].tolist(), {name: column[order] for name, column in columns.items()}, dropped)

    def _columns(self, keys: Sequence[str], texts: Sequence[tuple[str, ...]]) -> dict[str, Column]:
        by_key = list(zip(*texts, strict=True))
        columns = {"step": figures(by_key[0])}
        for key, values in zip(keys, by_key[1:], strict=True):
            column, factor = self.fields[key]
            columns[column] = rescaled(figures(values), factor)
            if column == "loss":
                _add_nan(columns, columns[column], values)
        return columns
