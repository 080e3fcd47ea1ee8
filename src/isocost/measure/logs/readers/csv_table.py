"""CSV: a header line, then a row a step; separators comma, semicolon or tab.

    step,loss,step_time_s,tokens_per_s_per_gpu
    10,2.1,1.234,6640

Names as in readers/columns.py, Lightning's ``metrics.csv`` among them (``device|batches_per_sec``), or mapped with
``columns``.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping

from isocost.measure.logs.readers.base import CUT_OFF, Reader, Rows, rows_of
from isocost.measure.logs.readers.columns import ColumnMap, scaled
from isocost.measure.logs.readers.jsonl import NO_STEP, NO_VALUE

_LONGEST_HEADER = 1 << 16


class CsvTable(Reader):
    """Reads a table with a header."""

    sign = re.compile(r"\A[^\n]*")

    def __init__(self, columns: Mapping[str, str] | None) -> None:
        self._map = ColumnMap(columns)
        self.unknown = self._map.unknown
        self._names: list[tuple[str, float] | None] | None = None
        self._separator = ","

    @classmethod
    def recognises(cls, block: str) -> bool:
        """Return whether the first line is a header with a step and something to measure."""
        known = _known(block, ColumnMap(None))
        return len(known) > 1 and "step" in known

    def read(self, block: str) -> Rows:
        """Return the steps of a block."""
        found: list[tuple[int, dict[str, float]]] = []
        dropped: Counter[str] = Counter()
        place = 0
        for line in block.splitlines(keepends=True):
            start, place = place, place + len(line)
            if not line.strip():
                continue
            if self._names is None:
                self._separator = _separator(line)
                self._names = [self._map.known(name) for name in _cells(line, self._separator)]
                continue
            values = self._values(_cells(line, self._separator))
            if isinstance(values, str):
                dropped[values] += 1
            elif len(values) > 1:
                found.append((start, values))
            elif values:
                dropped[NO_VALUE] += 1
        return rows_of(found, dropped)

    def _values(self, cells: list[str]) -> dict[str, float] | str:
        names = self._names or []
        if len(cells) != len(names):
            return CUT_OFF
        values: dict[str, float] = {}
        for column, cell in zip(names, cells, strict=True):
            if column is not None and cell.strip() and column[0] not in values:
                number = scaled(cell, column)
                if number == number:
                    values[column[0]] = number
        return values if "step" in values or not values else NO_STEP


def _separator(header: str) -> str:
    return max(",;\t", key=header.count)


def _cells(line: str, separator: str) -> list[str]:
    if '"' not in line:
        return line.rstrip("\n").split(separator)
    try:
        return next(csv.reader([line.rstrip("\n")], delimiter=separator))
    except (csv.Error, StopIteration):
        return []


def _known(block: str, columns: ColumnMap) -> set[str]:
    header = block[:_LONGEST_HEADER].lstrip().partition("\n")[0]
    found = [columns.known(name) for name in _cells(header, _separator(header))]
    return {column[0] for column in found if column is not None}
