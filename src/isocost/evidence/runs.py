"""Reader of measured training runs in the evidence format.

A file of runs comes from many hands, so the reader never trusts it and never stops at the first fault: each bad row
is reported with its line, column and reason, and the good rows are still used. Only a file that cannot be read as
this format at all (missing, not UTF-8 in its header, required columns absent) is an error.
"""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from isocost.errors import InputError, Problem, nearest, shorten
from isocost.evidence.columns import BY_NAME, COMPLETE_NEEDS, REQUIRED, Column
from isocost.evidence.contradictions import Peaks, contradictions
from isocost.evidence.run import MeasuredRun

MAX_FILE_BYTES = 500_000_000  # a larger file is a log or a mistake, not a table of runs
MAX_LINE_BYTES = 1_000_000  # a row is well under 2 kB; a line this long has no line ends where rows end
MAX_ROWS = 1_000_000  # about 0.8 GB of parsed rows
MAX_COLUMNS = 1000
_MEMO_ENTRIES = 4096  # distinct texts remembered per column: cells repeat, and parsing is the cost
_MEMO_TEXT = 256
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

__all__ = ["InvalidRow", "MeasuredRun", "Peaks", "RunTable", "read_runs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidRow:
    """A row that was not used: where it is, the first bad column, and all reasons."""

    line: int
    id: str
    column: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTable:
    """The rows of a file: those to use, those refused, and what was ignored."""

    path: str
    runs: tuple[MeasuredRun, ...]
    invalid: tuple[InvalidRow, ...]
    columns: tuple[str, ...]
    ignored_columns: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Bad:
    """Parsed form of a cell that cannot be used."""

    reason: str


class _Memo(dict[str, Any]):
    """Text of a cell to its value, parsed once per distinct text and bounded in size."""

    def __init__(self, column: Column) -> None:
        super().__init__()
        self._column = column

    def __missing__(self, text: str) -> Any:
        value = _parse(self._column, text.strip())
        if len(self) < _MEMO_ENTRIES and len(text) <= _MEMO_TEXT:
            self[text] = value
        return value


@dataclass(slots=True)
class _Lines:
    """Decoded lines of the file; remembers those of the row being read, and those that are not text."""

    stream: BinaryIO
    number: int = 0
    pending: list[tuple[int, str]] = field(default_factory=list)
    unreadable: list[tuple[int, str]] = field(default_factory=list)

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        while True:
            raw = self.stream.readline(MAX_LINE_BYTES)
            if not raw:
                raise StopIteration
            self.number += 1
            if len(raw) >= MAX_LINE_BYTES:
                while raw and not raw.endswith(b"\n"):
                    raw = self.stream.readline(MAX_LINE_BYTES)
                self.unreadable.append((self.number, f"the line is longer than {MAX_LINE_BYTES:,} bytes"))
                continue
            if b"\0" in raw:
                self.unreadable.append((self.number, "the line holds a NUL byte, so it is not text"))
                continue
            try:
                text = raw.decode("utf-8-sig" if self.number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                self.unreadable.append((self.number, f"byte {error.start + 1} of the line is not UTF-8"))
                continue
            self.pending.append((self.number, text))
            return text


def read_runs(path: str | os.PathLike[str], *, peaks: Peaks | None = None) -> RunTable:
    """Read a file in the evidence format; see ``docs/evidence-format.md``.

    ``peaks`` maps accelerator to precision to dense peak in FLOP/s; with it, a step faster than the peak is refused.
    """
    place = os.fspath(path)
    with _open(place) as stream:
        lines = _Lines(stream)
        header, warnings = _header(place, lines)
        memos = [_Memo(BY_NAME[name]) if name in BY_NAME else None for name in header]
        runs: list[MeasuredRun] = []
        invalid: list[InvalidRow] = []
        first_line: dict[str, int] = {}
        downgraded: list[int] = []
        for line, cells, fault in _rows(lines, len(header)):
            if len(runs) + len(invalid) >= MAX_ROWS:
                raise _refuse(place, f"more than {MAX_ROWS:,} rows", fix="split the file")
            row = _broken(line, header, cells, fault) if fault else _run(line, header, memos, cells)
            if isinstance(row, MeasuredRun):
                row = _checked(row, first_line, peaks)
            if isinstance(row, InvalidRow):
                invalid.append(row)
                continue
            first_line[row.id] = line
            runs.append(row)
            if not row.complete and _says_complete(header, cells):
                downgraded.append(line)
    if downgraded:
        warnings.append(
            f"{len(downgraded)} rows say complete but lack one of {', '.join(COMPLETE_NEEDS)}; read as not complete"
            f" (first: line {downgraded[0]})"
        )
    return RunTable(
        path=place,
        runs=tuple(runs),
        invalid=tuple(invalid),
        columns=tuple(header),
        ignored_columns=tuple(name for name in header if name not in BY_NAME),
        warnings=tuple(warnings),
    )


def _refuse(place: str, message: str, *, allowed: str = "", fix: str = "") -> InputError:
    return InputError([Problem(place, message, allowed=allowed, fix=fix)])


def _open(place: str) -> BinaryIO:
    """Open a regular file of bounded size, or say why not."""
    target = Path(place)
    try:
        if target.is_dir():
            raise _refuse(place, "is a folder, not a file of runs", fix="name the CSV file in it")
        if target.exists() and not target.is_file():
            raise _refuse(place, "is not a regular file", fix="save the rows to a CSV file first")
        size = target.stat().st_size
        if size > MAX_FILE_BYTES:
            raise _refuse(
                place,
                f"is {size / 1e6:,.0f} MB, too large to be a table of runs",
                allowed=f"at most {MAX_FILE_BYTES / 1e6:,.0f} MB",
                fix="keep one row per configuration, not one per step",
            )
        return target.open("rb")
    except FileNotFoundError:
        raise _refuse(place, "there is no such file", fix="check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _refuse(place, f"cannot be read: {reason}") from None


def _header(place: str, lines: _Lines) -> tuple[list[str], list[str]]:
    """Column names of the file and warnings about them; every missing or repeated column is reported at once."""
    try:
        cells = next(csv.reader(lines, strict=True), None)
    except csv.Error as error:
        raise _refuse(f"{place}:1", f"the header is not CSV: {error}") from None
    if lines.unreadable:
        _, reason = lines.unreadable[0]
        raise _refuse(f"{place}:1", f"the header cannot be read: {reason}", fix="save the file as CSV, UTF-8")
    if not cells:
        raise _refuse(place, "the file is empty", fix="start with a line of column names")
    names = [name.strip() for name in cells]
    delimiter = next((mark for mark in ";\t|" if len(names) == 1 and mark in names[0]), "")
    if delimiter:
        raise _refuse(f"{place}:1", f"cells are separated by {delimiter!r}", fix="save the file with commas")
    if len(names) > MAX_COLUMNS:
        raise _refuse(f"{place}:1", f"has {len(names):,} columns", allowed=f"at most {MAX_COLUMNS:,}")
    problems = _column_problems(f"{place}:1", names)
    if problems:
        raise InputError(problems)
    warnings = []
    for name in names:
        if name not in BY_NAME:
            near = nearest(name, BY_NAME)
            hint = f" (nearest: {near})" if near else ""
            warnings.append(f"column {shorten(name)} is not part of the format and was ignored{hint}")
    lines.pending.clear()
    return names, warnings


def _column_problems(place: str, names: list[str]) -> list[Problem]:
    """Every repeated and every missing column."""
    strangers = [name for name in names if name not in BY_NAME]
    repeated = [
        Problem(place, f"column {shorten(name)} appears {count} times", fix="keep one")
        for name, count in Counter(names).items()
        if name and count > 1
    ]
    missing = [
        Problem(place, f"column {name} is missing", nearest=nearest(name, strangers), fix=f"add the column {name}")
        for name in REQUIRED
        if name not in names
    ]
    return repeated + missing


def _rows(lines: _Lines, width: int) -> Iterator[tuple[int, list[str], str]]:
    """Rows as (line, cells, fault). A quote left open costs its own row, not those after it."""
    reader = csv.reader(lines, strict=True)
    more = True
    while more:
        lines.pending.clear()
        cells: list[str] = []
        fault = ""
        try:
            cells = next(reader)
        except StopIteration:
            more = False
        except csv.Error as error:
            fault = str(error)
        yield from ((line, [], reason) for line, reason in lines.unreadable)
        lines.unreadable.clear()
        if len(cells) == width and not fault:
            yield lines.pending[0][0], cells, ""
        elif fault or cells:
            yield from _salvage(list(lines.pending), width)


def _salvage(pending: list[tuple[int, str]], width: int) -> Iterator[tuple[int, list[str], str]]:
    """Read each line of a broken row on its own."""
    for line, text in pending:
        try:
            cells = next(csv.reader([text], strict=True), [])
        except csv.Error as error:
            open_quote = str(error) == "unexpected end of data"
            yield line, [], "a quote is not closed" if open_quote else f"not CSV: {error}"
            continue
        if not cells:
            continue
        count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
        wrong = "" if len(cells) == width else f"{count} where the header has {width}"
        yield line, cells, wrong


def _run(line: int, header: list[str], memos: list[_Memo | None], cells: list[str]) -> MeasuredRun | InvalidRow:
    """One row, typed; or every cell of it that cannot be read."""
    values = {name: memo[cell] for name, memo, cell in zip(header, memos, cells, strict=True) if memo is not None}
    bad = [(name, value.reason) for name, value in values.items() if type(value) is _Bad]
    if values["id"] is None:
        bad.insert(0, ("id", "is blank"))
    if bad:
        return _invalid(line, str(values.get("id") or ""), bad)
    known = all(values.get(name) is not None for name in COMPLETE_NEEDS)
    width = values.get("ffn_hidden") or values.get("moe_ffn_hidden")
    values["complete"] = values.get("complete") is not False and known and width is not None
    return MeasuredRun(line=line, **values)


def _broken(line: int, header: list[str], cells: list[str], fault: str) -> InvalidRow:
    """Return a row without the right cells: named by its id where that is still in its place."""
    at = header.index("id")
    missing = header[len(cells)] if 0 < len(cells) < len(header) else ""
    return InvalidRow(line=line, id=cells[at].strip() if at < len(cells) else "", column=missing, reason=fault)


def _invalid(line: int, name: str, bad: list[tuple[str, str]]) -> InvalidRow:
    return InvalidRow(
        line=line, id=name, column=bad[0][0], reason="; ".join(f"{column} {reason}" for column, reason in bad)
    )


def _checked(run: MeasuredRun, first_line: Mapping[str, int], peaks: Peaks | None) -> MeasuredRun | InvalidRow:
    """Return the run, or why it contradicts itself or another row."""
    bad = [(c.column, c.reason) for c in contradictions(run, peaks)]
    if run.id in first_line:
        bad.insert(0, ("id", f"is the same as on line {first_line[run.id]}"))
    return _invalid(run.line, run.id, bad) if bad else run


def _says_complete(header: list[str], cells: list[str]) -> bool:
    return "complete" in header and cells[header.index("complete")].strip().lower() == "true"


def _parse(column: Column, text: str) -> Any:
    """Value of a cell; blank is None, and a cell that cannot be used is a reason."""
    if not text:
        return None
    if column.kind == "text":
        return _choice(column, text) if column.closed else text
    if column.kind == "bool":
        flag = {"true": True, "false": False}.get(text.lower())
        return _Bad(f"is {shorten(text)}, not {column.allowed()}") if flag is None else flag
    if not _NUMBER.fullmatch(text):
        return _Bad(f"is {shorten(text)}, not {column.allowed()}")
    number = float(text)
    if not column.low <= number <= column.high or (column.low_open and number == column.low):
        return _Bad(f"is {shorten(text)}, not {column.allowed()}")
    if column.kind == "float":
        return number
    return int(number) if number.is_integer() else _Bad(f"is {shorten(text)}, not {column.allowed()}")


def _choice(column: Column, text: str) -> Any:
    if text in column.values:
        return text
    near = nearest(text, column.values)
    hint = f" (nearest: {near})" if near else ""
    return _Bad(f"is {shorten(text)}, not one of {column.allowed()}{hint}")
