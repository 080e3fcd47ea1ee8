"""Tables that are too wide for a line."""

from __future__ import annotations

from typing import Any

from isocost.render.document import Column, Table
from isocost.render.text import PAGE_WIDTH, table_text

WIDTH = PAGE_WIDTH - 2  # under a heading


def _table(heads: tuple[str, ...], rows: tuple[tuple[str, ...], ...], left: tuple[bool, ...]) -> Table:
    def column(place: int) -> Column:
        def value(row: Any) -> object:
            return row[place]

        return Column(head=heads[place], key=f"c{place}", value=value, left=left[place])

    return Table(columns=tuple(column(place) for place in range(len(heads))), rows=rows, marked=frozenset({1}))


def test_a_table_that_fits_is_left_as_it_is() -> None:
    """Nothing is dropped, wrapped or said once where there is room, empty columns included."""
    table = _table(("name", "kind", "empty"), (("a", "x", ""), ("b", "x", "")), (True, True, True))
    assert table_text(table) == "  name  kind  empty\n-------------------\n  a     x\n* b     x"


def test_words_that_no_row_differs_in_are_said_once() -> None:
    """Columns of equal words leave from the right, only as many as needed, and stand under the table in their order."""
    row = ("r" * 70, "one", "w" * 24, "v" * 24)
    text = table_text(_table(("name", "first", "second", "third"), (row, ("s", *row[1:])), (True,) * 4)).splitlines()
    assert text[-1] == f"  in every row: third {'v' * 24}"
    assert text[0].split() == ["name", "first", "second"]
    assert max(map(len, text)) <= WIDTH


def test_long_headings_take_several_lines_before_words_go() -> None:
    """A heading wider than its figures is broken at its blanks; figures and their columns stay."""
    heads = tuple(f"a long heading of figure number {n}" for n in range(5))
    text = table_text(_table(heads, (("1",) * 5, ("22",) * 5), (False,) * 5)).splitlines()
    assert max(map(len, text)) <= WIDTH
    assert "in every row" not in text[-1]
    assert text[-1].split() == ["*", *["22"] * 5]
    assert sum(line.count("heading") for line in text) == 5


def test_a_long_text_is_wrapped_inside_its_column() -> None:
    """Every word of a long cell is shown, under its own heading, and the line keeps the limit."""
    words = " ".join(f"word{n}" for n in range(40))
    lines = table_text(_table(("id", "note"), (("a", words), ("b", "short")), (True, True))).splitlines()
    assert max(map(len, lines)) <= WIDTH
    shown = [line[6:] for line in lines[2:-1]]
    assert " ".join(" ".join(shown).split()) == words
    assert lines[-1] == "* b   short"


def test_figures_lose_their_intervals_and_spare_columns_are_named_before_texts_wrap() -> None:
    """Where words said once do not suffice, brief cells show their value alone and a spare column is named below."""

    def value(row: object) -> object:
        return row

    columns = (
        Column(head="name", key="name", value=value, left=True),
        Column(head="rate", key="rate", value=value, text=lambda row: f"{row} ({row} to {row})", brief=True),
        Column(head="kept", key="kept", value=value, text=lambda row: f"{row} ({row} to {row})"),
        Column(head="peak", key="peak", value=value, spare=True),
    )
    lines = table_text(Table(columns=columns, rows=("x" * 20, "y" * 20))).splitlines()
    assert lines[0].split() == ["name", "rate", "kept"]
    assert lines[-1] == "in CSV and JSON only: peak"
    assert lines[2].count("(") == 1  # of the column that is not brief
    assert max(map(len, lines)) <= WIDTH
