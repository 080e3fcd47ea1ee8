"""Answers kept as JSON: the values for programs, and in one more key the document, to be set again in any format.

The key ``document`` holds what people read as data: sentences, cells as shown, lengths of bars, points of plots.
Nothing is computed again when it is read, and no width is settled: a table fits itself to the screen it is shown on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from isocost.errors import InputError, Problem
from isocost.render.document import Axis, Bars, Column, Document, Line, Lines, Mark, Part, Plot, Section, Table
from isocost.render.plain import plain, to_json

KEY: Final = "document"
MAX_BYTES: Final = 50_000_000
_MOST: Final = 1e300  # of a number: beyond it nothing can be drawn
_LONGEST: Final = 200  # characters of a bar
_FORM: Final = 1  # of the document, raised when it can no longer be read as before
_MAKE: Final = "make one with: isocost plan ... --format json -o plan.json"
_Kept = TypeVar("_Kept")


def json_text(document: Document) -> str:
    """Return the values of an answer as indented JSON, and the document in one line of it."""
    values = to_json({key: value for key, value in document.values().items() if key != KEY})
    kept = json.dumps(plain(document_data(document)), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    body = values.rstrip().removesuffix("}").rstrip()
    return f'{body}{"" if body == "{" else ","}\n  "{KEY}": {kept}\n}}\n'


def document_data(document: Document) -> dict[str, Any]:
    """Return a document as plain values."""
    main = document.table
    return {
        "form": _FORM,
        "lead": document.lead,
        "sections": [_section_data(section) for section in document.sections],
        "screen": [_section_data(section) for section in document.screen],
        "table": None
        if main is None
        else {
            "keys": [column.key for column in main.columns],
            "rows": [[column.value(row) for column in main.columns] for row in main.rows],
        },
    }


def _section_data(section: Section) -> dict[str, Any]:
    return {"title": section.title, "name": section.name, "body": [_part_data(part) for part in section.body]}


def _part_data(part: Part) -> Any:
    if isinstance(part, Table):
        return {"table": _table_data(part)}
    if isinstance(part, Bars):
        lengths = [part.length(row) for row in part.table.rows]
        return {"bars": {"table": _table_data(part.table), "lengths": lengths, "of": part.characters, "up": part.up}}
    if isinstance(part, Plot):
        return {"plot": _plot_data(part)}
    return part


def _table_data(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "columns": [
            {"head": c.head, "key": c.key, **{name: True for name in _TRAITS if getattr(c, name)}}
            | ({"briefly": [c.cell(row, brief=True) for row in table.rows]} if c.brief else {})
            for c in table.columns
        ],
        "rows": table.cells(),
        "marked": sorted(table.marked),
    }


def _plot_data(plot: Plot) -> dict[str, Any]:
    return {
        "about": plot.about,
        "axes": [{"title": axis.title, "key": axis.key, "log": axis.log} for axis in (plot.x, plot.y)],
        "layers": [
            {"dashed": layer.dashed, "lines": [{"name": line.name, "points": line.points} for line in layer.lines]}
            for layer in plot.layers
        ],
        "marks": [{"at": mark.at, "values": mark.values} for mark in plot.marks],
    }


_TRAITS: Final = ("left", "brief", "spare")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """One row of a table that was kept: its cells as shown, in full and in brief."""

    full: tuple[str, ...]
    brief: Mapping[int, str] = field(default_factory=dict)
    length: float = 0.0  # of its bar


class _Damaged(Exception):
    """The document is not of the form that is written; the message says where."""


def values_of_file(path: str | Path, kind: str = "saved answer", fix: str = _MAKE) -> dict[str, Any]:
    """Return the plain values of a JSON file with an object at the top; ``kind`` is what errors call it."""
    file, place = Path(path), str(path)

    def refuse(message: str, where: str = place) -> InputError:
        return InputError([Problem(where, message, fix=fix)])

    try:
        if not file.is_file():
            raise refuse("is a directory" if file.is_dir() else "does not exist, or is not a regular file")
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise refuse(f"is larger than {MAX_BYTES // 10**6} MB, too large for a {kind}")
        values = json.loads(raw)
    except json.JSONDecodeError as error:
        raise refuse(f"is not JSON ({error.msg})", f"{place}:{error.lineno}:{error.colno}") from None
    except UnicodeDecodeError:
        raise refuse("is not UTF-8 text") from None
    except RecursionError:
        raise refuse(f"is nested too deeply for a {kind}") from None
    except (OSError, ValueError) as error:
        raise refuse(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not isinstance(values, dict):
        raise refuse(f"is not a {kind}: it holds no object at the top")
    return values


def document_of(values: Mapping[str, Any], place: str) -> Document:
    """Return the document that the values of an answer hold; ``place`` is where they are from."""
    kept = values.get(KEY)
    if kept is None:
        message = f"holds no {KEY!r} to show: it is no answer of isocost, or one of an older version"
        raise InputError([Problem(place, message, fix=_MAKE)])
    try:
        if _of(kept, "form", int) != _FORM:
            raise _Damaged(f"is of form {kept['form']}; this isocost reads form {_FORM}")
        return Document(
            lead=_of(kept, "lead", str),
            sections=_each(kept, "sections", _section),
            screen=_each(kept, "screen", _section),
            table=None if kept.get("table") is None else _main(kept["table"]),
            values=lambda: {key: value for key, value in values.items() if key != KEY},
        )
    except _Damaged as error:
        raise InputError([Problem(f"{place}: {KEY}", str(error), fix=_MAKE)]) from None


def _of(values: Any, key: str, kind: type[_Kept]) -> _Kept:
    """Return the value of a key, if there is one of that kind."""
    if not isinstance(values, dict) or key not in values:
        raise _Damaged(f"lacks {key!r}")
    found = values[key]
    if not isinstance(found, kind) or (kind is not bool and isinstance(found, bool)):
        raise _Damaged(f"has no usable {key!r}")
    return found


def _each(values: Any, key: str, read: Callable[[Any], _Kept]) -> tuple[_Kept, ...]:
    """Return what each entry of a list is read as."""
    return tuple(read(entry) for entry in _of(values, key, list))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Damaged("has something else where text belongs")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _MOST:
        raise _Damaged("has something else where a number belongs")
    return float(value)


def _row(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _Damaged("has something else where a row belongs")
    return tuple(value)


def _value(value: Any) -> str | float:
    return value if isinstance(value, str) else _number(value)


def _pair(value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise _Damaged("has something else where a point belongs")
    return _number(value[0]), _number(value[1])


def _section(kept: Any) -> Section:
    return Section(title=_of(kept, "title", str), name=_of(kept, "name", str), body=_each(kept, "body", _part))


def _part(kept: Any) -> Part:
    if isinstance(kept, str):
        return kept
    for kind, read in (("table", _table), ("bars", _bars), ("plot", _plot)):
        if isinstance(kept, dict) and kind in kept:
            return read(kept[kind])
    raise _Damaged("has a part that is no text, table or chart")


def _main(kept: Any) -> Table:
    """Return the main table: values, not cells."""
    keys, rows = _each(kept, "keys", _text), _each(kept, "rows", _row)
    if any(len(row) != len(keys) for row in rows):
        raise _Damaged("has rows of another length than their heading")

    def column(place: int) -> Column:
        return Column(head=keys[place], key=keys[place], value=lambda row: row[place])

    return Table(columns=tuple(column(place) for place in range(len(keys))), rows=rows)


def _table(kept: Any, lengths: Sequence[float] | None = None) -> Table:
    columns, rows = _of(kept, "columns", list), _each(kept, "rows", lambda row: tuple(map(_text, _row(row))))
    brief = {k: _each(c, "briefly", _text) for k, c in enumerate(columns) if isinstance(c, dict) and c.get("brief")}
    sizes = {len(row) for row in rows} - {len(columns)}
    sizes |= {len(cells) for cells in (*brief.values(), *([] if lengths is None else [lengths]))} - {len(rows)}
    if sizes:
        raise _Damaged("has a table that is not rectangular")
    found = tuple(
        _Cells(
            full=row,
            brief={k: cells[place] for k, cells in brief.items()},
            length=0.0 if lengths is None else lengths[place],
        )
        for place, row in enumerate(rows)
    )
    return Table(
        title=_of(kept, "title", str),
        columns=tuple(_column(column, place) for place, column in enumerate(columns)),
        rows=found,
        marked=frozenset(int(_number(place)) for place in _of(kept, "marked", list)),
    )


def _column(kept: Any, place: int) -> Column:
    """Return a column of cells as they were shown."""

    def full(row: _Cells) -> str:
        return row.full[place]

    head, key = _of(kept, "head", str), _of(kept, "key", str)
    left, brief, spare = (kept.get(name) is True for name in _TRAITS)
    plainly = Column(head=head, key=key, value=full, show=str, left=left, spare=spare)
    return replace(plainly, value=lambda row: row.brief[place], text=full, brief=True) if brief else plainly


def _bars(kept: Any) -> Bars:
    table = _table(_of(kept, "table", dict), _each(kept, "lengths", _number))
    characters = _of(kept, "of", int)
    if not 0 < characters <= _LONGEST:
        raise _Damaged("has bars of no usable length")
    return Bars(table=table, length=lambda row: row.length, characters=characters, up=_of(kept, "up", bool))


def _plot(kept: Any) -> Plot:
    axes = _each(kept, "axes", _axis)
    if len(axes) != 2:
        raise _Damaged("has a plot without two axes")
    layers, marks = _each(kept, "layers", _lines), _each(kept, "marks", _mark)
    points = [point for layer in layers for line in layer.lines for point in line.points] + [mark.at for mark in marks]
    if any(axis.log and point[side] <= 0 for side, axis in enumerate(axes) for point in points):
        raise _Damaged("has a plot with a point that no logarithm has")
    return Plot(about=_of(kept, "about", str), x=axes[0], y=axes[1], layers=layers, marks=marks)


def _mark(kept: Any) -> Mark:
    values = {_text(key): _value(value) for key, value in _of(kept, "values", dict).items()}
    return Mark(at=_pair(_of(kept, "at", list)), values=values)


def _axis(kept: Any) -> Axis:
    return Axis(title=_of(kept, "title", str), key=_of(kept, "key", str), log=_of(kept, "log", bool))


def _lines(kept: Any) -> Lines:
    return Lines(dashed=_of(kept, "dashed", bool), lines=_each(kept, "lines", _line))


def _line(kept: Any) -> Line:
    return Line(name=_of(kept, "name", str), points=_each(kept, "points", _pair))
