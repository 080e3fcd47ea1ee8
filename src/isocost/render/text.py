"""Text for a terminal: fixed width, a marked row behind an asterisk, bars of "#"."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from isocost.render.charts import with_bars
from isocost.render.document import Bars, Document, Part, Plot, Table
from isocost.render.fitting import GAP, Grid, blocks, fit

PAGE_WIDTH: Final = 120  # of a table where there is no screen
WIDTH: Final = 116  # of a line of text under a heading, before its indent
MARK: Final = "*"  # of the chosen row, in front of it
_INDENT: Final = "  "
_NARROWEST: Final = 40  # of a screen: on a narrower one, lines run over


def screen_width() -> int | None:
    """Return the columns of the screen: what COLUMNS says, else those of the terminal; None where there is none."""
    said = os.environ.get("COLUMNS", "")
    if said.isdigit() and int(said) > 0:
        return max(int(said), _NARROWEST)
    if not sys.stdout.isatty():
        return None
    try:
        return max(os.get_terminal_size(sys.stdout.fileno()).columns, _NARROWEST)
    except (OSError, ValueError):
        return None


def text(document: Document, width: int | None = None) -> str:
    """Return a document as text: for a screen every line fits, elsewhere the sentence is one line of any length."""
    screen = width or screen_width()
    parts = [] if not document.lead else [document.lead if screen is None else wrapped(document.lead, screen, "")]
    for section in document.sections:
        title = section.title if screen is None else wrapped(section.title, screen, "    ")
        body = (part for part in section.body if not isinstance(part, Plot))
        parts.append("\n".join([title, *(_part(part, screen) for part in body)]))
    parts += [wrapped(document.foot, screen or WIDTH, "    ")] if document.foot else []
    return "\n\n".join(parts) + "\n"


def wrapped(line: str, width: int, indent: str) -> str:
    """Return a line broken at blanks, with an indent before all but its first part."""
    # A hyphen may end a line of a screen only where a word alone is too long for it.
    return textwrap.fill(line, width, subsequent_indent=indent, break_on_hyphens=False)


def _part(part: Part, screen: int | None) -> str:
    """Return what stands under a heading, indented."""
    if isinstance(part, Bars):
        part = with_bars(part)
    if isinstance(part, Table):
        shown = table_text(part, (screen or PAGE_WIDTH) - len(_INDENT))
    else:
        shown = "\n".join(_prose(str(part), screen))
    return "\n".join(f"{_INDENT}{line}".rstrip() for line in shown.splitlines())


def _prose(part: str, screen: int | None) -> Iterator[str]:
    """Yield lines: a long line is wrapped; text of several lines keeps its shape, and on a screen its indents."""
    width = WIDTH if screen is None else min(WIDTH, screen - len(_INDENT))
    if "\n" not in part:
        yield wrapped(part, width, "    ")
        return
    for line in part.splitlines():
        indent = " " * (len(line) - len(line.lstrip()) + 4)
        yield line if screen is None else wrapped(line, screen - len(_INDENT), indent)


def table_text(table: Table, width: int = PAGE_WIDTH - len(_INDENT)) -> str:
    """Return fixed-width text, as wide as that; a marked row starts with an asterisk."""
    grid = _grid(table, brief=False)
    if not fit(grid, width):
        grid = _grid(table, brief=True)
        fit(grid, width, last=True)
    lines = [line for block in blocks(grid, width) for line in _block(block, table)]
    below = [f"in every row: {', '.join(grid.same)}"] if grid.same else []
    below += [f"in CSV and JSON only: {', '.join(grid.spared)}"] if grid.spared else []
    margin = " " * grid.margin
    said = [
        textwrap.fill(line, width, initial_indent=margin, subsequent_indent=f"{margin}    ", break_on_hyphens=False)
        for line in below
    ]
    return "\n".join([*([table.title] if table.title else []), *lines, *said])


def _block(grid: Grid, table: Table) -> Iterator[str]:
    yield from _row(grid, grid.heads, _INDENT)
    yield "-" * grid.width()
    for place in range(len(table.rows)):
        margin = f"{MARK} " if place in table.marked else _INDENT
        yield from _row(grid, [column[place] for column in grid.columns], margin)


def _grid(table: Table, *, brief: bool) -> Grid:
    return Grid(
        heads=[column.head for column in table.columns],
        left=[column.left for column in table.columns],
        spare=[column.spare for column in table.columns],
        columns=[[column.cell(row, brief=brief) for row in table.rows] for column in table.columns],
        margin=len(_INDENT) if table.marked else 0,
    )


def _row(grid: Grid, cells: Sequence[str], margin: str) -> Iterator[str]:
    """Yield a row as lines: a cell of several lines stands beside the first lines of the others."""
    parts = [cell.split("\n") for cell in cells]
    for line in range(max((len(part) for part in parts), default=1)):
        texts = [part[line] if line < len(part) else "" for part in parts]
        sides = zip(grid.left, texts, grid.widths(), strict=True)
        front = (margin if line == 0 else " " * len(margin))[: grid.margin]
        body = (" " * GAP).join(text.ljust(width) if left else text.rjust(width) for left, text, width in sides)
        yield (front + body).rstrip()
