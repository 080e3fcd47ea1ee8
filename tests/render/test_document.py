"""Tables and reports: one definition, the same values in every format."""

from __future__ import annotations

import csv
import datetime
import io
import json
import math

import numpy as np
import pytest

from isocost.cli import output
from isocost.render.delimited import table_csv
from isocost.render.document import Column, Document, Section, Table, as_text
from isocost.render.html import table_html
from isocost.render.markdown import table_markdown
from isocost.render.plain import plain, to_json
from isocost.render.text import table_text, text

NAME = Column(head="name", key="name", value=lambda row: row[0], left=True)
SIZE = Column(head="size", key="size_bytes", value=lambda row: row[1], show=lambda x: f"{x:,.0f} B")
TABLE = Table(columns=(NAME, SIZE), rows=(("a|b", 1234.5), ("<c>", None)), marked=frozenset({1}))


def test_text_is_aligned_and_marks_rows() -> None:
    """Text columns are set left, figures right; unknown is a dash; a marked row starts with an asterisk."""
    assert table_text(TABLE).splitlines() == [
        "  name     size",
        "---------------",
        "  a|b   1,234 B",
        "* <c>         -",
    ]


def test_markdown_escapes_and_marks() -> None:
    """A pipe in a cell does not break the row, and a marked row is bold."""
    assert table_markdown(TABLE).splitlines() == [
        "| name | size |",
        "| --- | ---: |",
        "| a\\|b | 1,234 B |",
        "| **<c>** | **-** |",
    ]


def test_html_escapes_and_marks() -> None:
    """Markup in a cell is shown, not run."""
    page = table_html(TABLE)
    assert "&lt;c&gt;" in page
    assert "<c>" not in page
    assert page.count("font-weight:bold") == 1


def test_csv_and_dicts_are_unrounded() -> None:
    """Keys carry the unit, values keep their digits, unknown is empty."""
    rows = list(csv.DictReader(io.StringIO(table_csv(TABLE))))
    assert rows == [{"name": "a|b", "size_bytes": "1234.5"}, {"name": "<c>", "size_bytes": ""}]
    assert TABLE.to_dicts() == [{"name": "a|b", "size_bytes": 1234.5}, {"name": "<c>", "size_bytes": None}]


def test_an_empty_table_has_a_head() -> None:
    """No rows is no error in any format."""
    empty = Table(columns=(NAME, SIZE), rows=())
    assert table_text(empty) == "name  size\n----------"
    assert table_csv(empty) == "name,size_bytes\n"


def test_long_lines_are_wrapped_and_prepared_text_is_not() -> None:
    """A long sentence is wrapped under its heading; text of several lines keeps its shape."""
    lines = text(
        Document(lead="x", sections=(Section(title="T", body=("word " * 60, f"a\n{'b' * 200}")),))
    ).splitlines()
    assert lines[:3] == ["x", "", "T"]
    assert max(len(line) for line in lines[3:6]) <= 118
    assert lines[-1] == "  " + "b" * 200


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (math.nan, "-"),
        (True, "yes"),
        (1234567, "1,234,567"),
        (["a", 1], "a, 1"),
        ("two\nlines", "two lines"),
    ],
)
def test_cells(value: object, shown: str) -> None:
    """A cell is one line, whatever is in it."""
    assert as_text(value) == shown


def test_json_holds_no_infinity() -> None:
    """Arrays, records, dates and sets become plain values; what is not a number is null."""
    values = {
        "a": np.float64(1.5),
        "b": np.array([1, 2]),
        "c": math.inf,
        "d": datetime.date(2026, 6, 1),
        "e": (math.nan,),
    }
    assert plain(values) == {"a": 1.5, "b": [1, 2], "c": None, "d": "2026-06-01", "e": [None]}
    assert json.loads(to_json(values))["e"] == [None]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("terminal", "quiet", "said"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_progress_is_for_patient_people_at_terminals(
    terminal: bool, quiet: bool, said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A word about progress comes only on a terminal, only when it takes long, and is wiped after."""
    stream = _Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(output, "_PATIENCE_S", 0.01)
    waiting = output.threading.Event()
    with output.progress("searching", quiet=quiet):
        waiting.wait(0.2)
    assert stream.getvalue() == ("isocost: searching ...\r\033[K" if said else "")
