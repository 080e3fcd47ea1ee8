"""A table that is too wide for a line: what it gives up, in which order, until it fits.

Empty columns go first; then long headings take several lines; then words that are the same in every row are said once
under the table; then columns that may be brief show their value without its interval, and those that can be spared are
named only; then long texts are wrapped inside their column; last, what still has no room goes below, as a second table
with the same first column. Figures are never cut.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

GAP = 2  # blanks between two columns
LEAST = 20  # characters that a wrapped text keeps
SAID = 28  # characters of a word that is said once, at most


@dataclass(slots=True, kw_only=True)
class Grid:
    """Headings and cells as text, column by column, and what is the same in every row."""

    heads: list[str]
    left: list[bool]
    spare: list[bool]
    columns: list[list[str]]
    margin: int = 0  # characters in front of every line
    same: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()

    def widths(self) -> list[int]:
        """Characters of each column, its longest line."""
        return [
            max(len(line) for text in (head, *column) for line in (text.split("\n") or [""]))
            for head, column in zip(self.heads, self.columns, strict=True)
        ]

    def width(self) -> int:
        """Characters of a line."""
        return self.margin + sum(self.widths()) + GAP * (len(self.heads) - 1)

    def of(self, places: Sequence[int]) -> Grid:
        """Return a grid of some of the columns."""
        return Grid(
            heads=[self.heads[place] for place in places],
            left=[self.left[place] for place in places],
            spare=[self.spare[place] for place in places],
            columns=[self.columns[place] for place in places],
            margin=self.margin,
        )

    def without(self, places: Sequence[int]) -> None:
        """Drop columns."""
        keep = [place for place in range(len(self.heads)) if place not in places]
        self.heads = [self.heads[place] for place in keep]
        self.left = [self.left[place] for place in keep]
        self.spare = [self.spare[place] for place in keep]
        self.columns = [self.columns[place] for place in keep]


def fit(grid: Grid, width: int, *, last: bool = False) -> bool:
    """Change a grid until it is at most ``width`` wide, with the ``last`` means if need be; return whether it is."""
    if grid.width() > width:
        grid.without([place for place, column in enumerate(grid.columns) if column and not any(column)])
        _wrap_heads(grid, width)
        _say_once(grid, width)
    if last:
        _spare(grid, width)
        _wrap_texts(grid, width)
    return grid.width() <= width


def blocks(grid: Grid, width: int) -> list[Grid]:
    """Return the grid in parts that are at most ``width`` wide where they can be, each with the first column."""
    widths = grid.widths()
    groups: list[list[int]] = [[]]
    used = first = grid.margin + (widths[0] if widths else 0)
    for place in range(1, len(widths)):
        if used + GAP + widths[place] > width and groups[-1]:
            groups.append([])
            used = first
        groups[-1].append(place)
        used += GAP + widths[place]
    return [grid] if len(groups) == 1 else [grid.of([0, *group]) for group in groups]


def _wrap_heads(grid: Grid, width: int) -> None:
    """Break headings at blanks where they are longer than what stands below, the longest excess first."""
    below = [max((len(cell) for cell in column), default=0) for column in grid.columns]
    excess = sorted(range(len(grid.heads)), key=lambda place: below[place] - len(grid.heads[place]))
    for place in excess:
        if grid.width() <= width:
            return
        longest_word = max((len(word) for word in grid.heads[place].split()), default=0)
        room = max(below[place], longest_word)
        if 0 < room < len(grid.heads[place]):
            grid.heads[place] = textwrap.fill(grid.heads[place], room, break_on_hyphens=False)


def _say_once(grid: Grid, width: int) -> None:
    """Take out words that no row differs in, and keep them to be said once."""

    def said(place: int) -> str:
        column = grid.columns[place]
        same = grid.left[place] and column and 0 < len(column[0]) <= SAID and len(set(column)) == 1
        return f"{_one_line(grid.heads[place])} {column[0]}" if same else ""

    grid.same = _take_out(grid, width, said)


def _spare(grid: Grid, width: int) -> None:
    """Take out columns that can be spared, and keep their names."""
    grid.spared = _take_out(grid, width, lambda place: _one_line(grid.heads[place]) if grid.spare[place] else "")


def _take_out(grid: Grid, width: int, said: Callable[[int], str]) -> tuple[str, ...]:
    """Drop columns of which something is ``said``, from the right, while the grid is too wide; return what was.

    The first column names the row and stays.
    """
    taken = []
    for place in range(len(grid.heads) - 1, 0, -1):
        if grid.width() <= width:
            break
        if text := said(place):
            taken.append(text)
            grid.without([place])
    return tuple(reversed(taken))


def _one_line(head: str) -> str:
    return " ".join(head.split())


def _wrap_texts(grid: Grid, width: int) -> None:
    """Wrap the widest text column, again while it helps."""
    for _ in grid.heads:
        over = grid.width() - width
        widths = grid.widths()
        texts = [place for place, left in enumerate(grid.left) if left and widths[place] > LEAST]
        if over <= 0 or not texts:
            return
        widest = max(texts, key=lambda place: widths[place])
        room = max(widths[widest] - over, LEAST)
        grid.columns[widest] = [
            textwrap.fill(cell, room, break_on_hyphens=False, break_long_words=False) for cell in grid.columns[widest]
        ]
