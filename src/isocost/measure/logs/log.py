"""Reading a log: format found, text in blocks, steps as columns, everything that was not used counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from isocost.errors import InputError, Problem
from isocost.measure.logs.detect import KINETO, detect, named
from isocost.measure.logs.header import LOOKED_AT, facts_of
from isocost.measure.logs.marks import MOST, marks_of
from isocost.measure.logs.prefix import places_of
from isocost.measure.logs.readers import READERS
from isocost.measure.logs.readers.base import CUT_OFF, Rows
from isocost.measure.logs.records import NO_RANK, Column, Mark, Reading, StepsBuilder
from isocost.measure.logs.source import Source

_MOST_STEP: Final = 2.0**31  # a greater number is no step


def read_log(path: str | Path, format_of: str | None = None, columns: Mapping[str, str] | None = None) -> Reading:
    """Read a log of any known format; raises InputError only when there is no step in it.

    ``format_of`` names the format where it is not to be found out; ``columns`` maps what a step has to the names of a
    table or of JSON Lines: ``{"step": "it", "step_ms": "dt"}``; a file with a map is one of the two.
    """
    path = Path(path)
    if format_of is not None:
        name = named(format_of, READERS)
    elif columns:
        name = "jsonl" if next(Source(path).blocks(), "").lstrip().startswith("{") else "csv"
    else:
        name = detect(Source(path))
        if name == KINETO:
            raise InputError([Problem(str(path), "is a trace, not a log", fix="read it with read_trace")])
    return _read(Source(path), name, columns)


def _read(source: Source, name: str, columns: Mapping[str, str] | None) -> Reading:
    reader = READERS[name](columns)
    builder, dropped, marks = StepsBuilder(), Counter[str](), list[Mark]()
    facts: dict[str, float] = {}
    for block in source.blocks():
        first_line = source.lines - block.count("\n") + 1
        if source.characters - len(block) < LOOKED_AT:
            facts_of(block, facts)
        rows = reader.read(block)
        if len(marks) < MOST and len(rows.places) < block.count("\n"):  # there are lines that are no step
            marks.extend(marks_of(block, first_line))
        _add(builder, dropped, rows, block, first_line)
    _add(builder, dropped, reader.finish(), "", source.lines)
    if not builder.rows and not reader.facts().keys() - {"memory_bytes"}:  # memory tells no step time
        raise InputError([_nothing(source, name, dropped, reader.unknown)])
    return Reading(
        format=name,
        lines=source.lines,
        records=builder.build(),
        dropped=dict(dropped),
        facts=facts | dict(reader.facts()),
        marks=(*marks, *reader.marks),
        notes=(*source.notes, *reader.notes),
        unknown=tuple(reader.unknown),
    )


def _add(builder: StepsBuilder, dropped: Counter[str], rows: Rows, block: str, first_line: int) -> None:
    """Complete rows with line, rank and time, and keep those that have a step number."""
    if rows.places:
        step = rows.columns.get("step", np.full(len(rows.places), np.nan))
        rows.keep(np.isfinite(step) & (np.abs(step) < _MOST_STEP), CUT_OFF)
    dropped.update(rows.dropped)
    if not rows.places:
        return
    values: dict[str, Column] = dict(rows.columns)
    if "line" not in values:
        lines, ranks, times = places_of(block, rows.places)
        values["line"] = first_line + lines
        values.setdefault("rank", ranks)
        if "time_stamp" not in values:
            values["time_stamp"] = times
    values["rank"] = np.nan_to_num(values.get("rank", np.full(len(rows.places), NO_RANK)), nan=NO_RANK)
    if "tflops_per_gpu" in values:  # zero is printed where the FLOPs of the model are not known
        rate = values["tflops_per_gpu"]
        values["tflops_per_gpu"] = np.where(rate == 0.0, np.nan, rate)
    builder.add(values, len(rows.places))


def _nothing(source: Source, name: str, dropped: Counter[str], unknown: Sequence[str]) -> Problem:
    why = "; ".join(f"{count:,} {reason}" for reason, count in dropped.items())
    cut = "; ".join(source.notes)
    more = f" ({'; '.join(part for part in (why, cut) if part)})" if why or cut else ""
    return Problem(
        str(source.path),
        f"has no usable step of the format {name} in {source.lines:,} lines{more}",
        fix=f"name a value with --columns step_s=NAME: {', '.join(unknown)} are not known"
        if unknown
        else "leave --format-of out to have the format found",
    )
