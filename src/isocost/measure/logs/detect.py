"""Which format a log has, by the signs of the formats in its blocks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from isocost.errors import InputError, Problem, nearest
from isocost.measure.logs.readers import READERS
from isocost.measure.logs.readers.base import Reader
from isocost.measure.logs.source import Source

_LOOKED_AT: Final = 1 << 26  # characters; a scheduler's noise before the first step is megabytes
_ODD_FRAC: Final = 0.05  # of characters that no text has: a binary file
_TABLES: Final = ("csv",)  # recognized by their first line only
KINETO: Final = "kineto"
_TRACE: Final = '"traceEvents"'
_EVENT: Final = re.compile(r"\s*\[\s*\{[^{}]*\"ph\"\s*:")  # a bare list of events


def detect(source: Source) -> str:
    """Return the format of a file; its first 64 MiB are read until a block has the sign of one."""
    kinds = {name: _kind(name) for name in READERS}
    first = True
    for block in source.blocks():
        if first and (_TRACE in block or _EVENT.match(block)):
            return KINETO
        for name, kind in kinds.items():
            if (first or name not in _TABLES) and kind.recognises(block):
                return name
        first = False
        if source.characters > _LOOKED_AT:
            raise InputError([_unknown(source, f"its first {source.characters / 1e6:,.0f} MB")])
    raise InputError([_unknown(source, f"{source.lines:,} lines")])


def _kind(name: str) -> type[Reader]:
    return type(READERS[name](None))


def named(name: str, formats: Iterable[str]) -> str:
    """Return a format by name."""
    wanted = name.strip().casefold().replace("-", "_")
    formats = tuple(formats)
    if wanted in formats:
        return wanted
    close = nearest(wanted, formats)
    raise InputError([Problem("format_of", "is not a format that is read", name, ", ".join(formats), close)])


def _unknown(source: Source, looked_at: str) -> Problem:
    path = str(source.path)
    cut = f" ({'; '.join(source.notes)})" if source.notes else ""
    if source.characters == 0 and source.odd == 0:
        return Problem(path, f"is empty{cut}")
    if source.odd > _ODD_FRAC * (source.characters + source.odd):
        return Problem(path, f"is not text, so it is no log{cut}", fix="a trace or a log, plain or gzip, can be read")
    return Problem(
        path,
        f"has no line that looks like a training step in {looked_at}{cut}",
        allowed=", ".join([*READERS, KINETO]),
        fix="name the format with --format-of, or the columns of a table with --columns",
    )
