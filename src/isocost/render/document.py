"""A table defined once (columns with a heading, a key, a value and a format) and rendered as text, Markdown, CSV,
HTML or plain rows; and a report: one sentence, then sections of tables and lines.
"""

from __future__ import annotations

import csv
import html
import io
import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from isocost.render.fitting import GAP, Grid, fit

UNKNOWN = "-"
WIDTH = 116  # of a line of text
TABLE_WIDTH = 118  # of a line of a table, before the indent of a section
MARK = "*"  # of the chosen row, in front of it


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

    def text(self) -> str:
        """Return fixed-width text of at most ``TABLE_WIDTH`` where it can be; a marked row starts with an asterisk."""
        grid = self._grid(brief=False)
        if not fit(grid, TABLE_WIDTH):
            grid = self._grid(brief=True)
            fit(grid, TABLE_WIDTH, last=True)
        rows = [[column[row] for column in grid.columns] for row in range(len(self.rows))]
        margins = [f"{MARK} " if row in self.marked else "  " for row in range(len(rows))]
        lines = _lines(grid, grid.heads, "  ")
        lines.append("-" * grid.width())
        for row, margin in zip(rows, margins, strict=True):
            lines += _lines(grid, row, margin)
        below = [f"in every row: {', '.join(grid.same)}"] if grid.same else []
        below += [f"in CSV and JSON only: {', '.join(grid.spared)}"] if grid.spared else []
        return "\n".join([*([self.title] if self.title else []), *lines, *(" " * grid.margin + line for line in below)])

    def _grid(self, *, brief: bool) -> Grid:
        return Grid(
            heads=[column.head for column in self.columns],
            left=[column.left for column in self.columns],
            spare=[column.spare for column in self.columns],
            columns=[[column.cell(row, brief=brief) for row in self.rows] for column in self.columns],
            margin=2 if self.marked else 0,
        )

    def markdown(self) -> str:
        """Return a pipe table; a marked row is bold."""
        rule = ["---" if column.left else "---:" for column in self.columns]
        lines = [[column.head for column in self.columns], rule]
        for place, cells in enumerate(self.cells()):
            escaped = [cell.replace("\\", "\\\\").replace("|", "\\|") for cell in cells]
            lines.append([f"**{cell}**" if cell and place in self.marked else cell for cell in escaped])
        shown = ["| " + " | ".join(line) + " |" for line in lines]
        return "\n".join([*([f"*{self.title}*", ""] if self.title else []), *shown])

    def csv(self) -> str:
        """Return every value unrounded under its key; unknown is an empty cell."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([column.key for column in self.columns])
        for row in self.to_dicts():
            writer.writerow(["" if value is None else _flat(value) for value in row.values()])
        return out.getvalue()

    def html(self) -> str:
        """Return a table element; a marked row is bold."""
        head = "".join(f"<th>{html.escape(column.head)}</th>" for column in self.columns)
        rows = []
        for place, cells in enumerate(self.cells()):
            style = ' style="font-weight:bold"' if place in self.marked else ""
            shown = "".join(
                f'<td style="text-align:{"left" if column.left else "right"}">{html.escape(cell)}</td>'
                for column, cell in zip(self.columns, cells, strict=True)
            )
            rows.append(f"<tr{style}>{shown}</tr>")
        caption = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _lines(grid: Grid, cells: Sequence[str], margin: str) -> list[str]:
    """Return a row as lines: a cell of several lines stands beside the first lines of the others."""
    parts = [cell.split("\n") for cell in cells]
    shown = []
    for line in range(max((len(part) for part in parts), default=1)):
        texts = [part[line] if line < len(part) else "" for part in parts]
        sides = zip(grid.left, texts, grid.widths(), strict=True)
        front = (margin if line == 0 else " " * len(margin))[: grid.margin]
        body = (" " * GAP).join(text.ljust(width) if left else text.rjust(width) for left, text, width in sides)
        shown.append((front + body).rstrip())
    return shown


def _flat(value: object) -> object:
    return ";".join(str(part) for part in value) if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading with tables and lines of text under it."""

    title: str
    body: tuple[Table | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The answer in one sentence, then what stands behind it."""

    lead: str
    sections: tuple[Section, ...] = ()

    def text(self) -> str:
        """Return plain text."""
        parts = [self.lead]
        for section in self.sections:
            parts.append("\n".join([section.title, *_indented(section.body)]))
        return "\n\n".join(parts) + "\n"

    def markdown(self) -> str:
        """Return Markdown."""
        parts = [f"**{self.lead}**"]
        for section in self.sections:
            parts.append(f"## {section.title}")
            parts += _listed([part if isinstance(part, str) else part.markdown() for part in section.body])
        return "\n\n".join(parts) + "\n"

    def html(self) -> str:
        """Return a fragment of HTML."""
        parts = [f"<p><strong>{html.escape(self.lead)}</strong></p>"]
        for section in self.sections:
            parts.append(f"<h4>{html.escape(section.title)}</h4>")
            parts += [f"<p>{html.escape(part)}</p>" if isinstance(part, str) else part.html() for part in section.body]
        return "\n".join(parts)


def _indented(parts: Iterable[Table | str]) -> list[str]:
    """Return tables and lines under a heading; a long line is wrapped, text of several lines is left as it is."""
    shown = []
    for part in parts:
        text = part if isinstance(part, str) else part.text()
        wrap = isinstance(part, str) and "\n" not in part
        lines = (
            textwrap.wrap(text, WIDTH, subsequent_indent="    ", break_on_hyphens=False) if wrap else text.splitlines()
        )
        shown.append("\n".join(f"  {line}".rstrip() for line in lines))
    return shown


def _listed(parts: Sequence[str]) -> list[str]:
    """Return lines of text as one list each run, tables as they are."""
    grouped: list[str] = []
    for part in parts:
        item = part if part.startswith("|") or part.startswith("*") else f"- {part}"
        if item.startswith("- ") and grouped and grouped[-1].startswith("- "):
            grouped[-1] += f"\n{item}"
        else:
            grouped.append(item)
    return grouped
