"""Formats of a document: one function each, charts with the same numbers in all, and a new one by one entry."""

from __future__ import annotations

import json
from typing import Any

import pytest

from isocost.errors import InputError
from isocost.render.charts import vega_lite, with_bars
from isocost.render.document import Axis, Bars, Column, Document, Line, Lines, Mark, Plot, Section, Table
from isocost.render.formats import FORMATS
from isocost.render.html import html
from isocost.render.markdown import markdown
from isocost.render.result import Result
from isocost.render.sections import section_names, shown
from isocost.render.text import text

NAME = Column(head="part", key="part", value=lambda row: row[0], left=True)
SIZE = Column(head="s", key="part_s", value=lambda row: row[1])
TABLE = Table(columns=(NAME, SIZE), rows=(("a", 30), ("b", 10), ("<c>", 0)))
PLOT = Plot(
    about="a line",
    x=Axis(title="x", key="params", log=True),
    y=Axis(title="<y>", key="tokens"),
    layers=(Lines(lines=(Line(name="one", points=((1.0, 2.0), (10.0, 4.0))),), dashed=True),),
    marks=(Mark(at=(2.0, 3.0), values={"name": "<m>", "loss": 1.5}),),
)
SECTIONS = (
    Section(title="Where it goes: parts", body=(Bars(table=TABLE, length=lambda row: row[1]), PLOT)),
    Section(title="How sure (9 of 10)", body=("a line",), name="certainty"),
)
DOCUMENT = Document(lead="It takes 40 s", sections=SECTIONS)


class Answer(Result):
    """The least that a verb returns."""

    def to_dict(self) -> dict[str, Any]:
        """Values."""
        return {"step_s": 40}

    def document(self) -> Document:
        """Sentence and sections."""
        return DOCUMENT

    def rows(self) -> Table:
        """The main table."""
        return TABLE


def test_a_new_format_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of a document, under a name, renders every answer."""
    monkeypatch.setitem(FORMATS, "shout", lambda document: document.lead.upper())
    assert Answer().rendered("shout") == "IT TAKES 40 S"


def test_every_format_of_an_answer() -> None:
    """Text, Markdown and a page say the sentence first; CSV is the main table, JSON the values."""
    answer = Answer()
    assert answer.table() == str(answer) == answer.rendered("table")
    assert answer.table().startswith("It takes 40 s\n\nWhere it goes: parts\n")
    assert answer.markdown().startswith("**It takes 40 s**\n\n## Where it goes: parts\n")
    assert answer._repr_html_().startswith("<p><strong>It takes 40 s</strong></p>\n<h4>Where it goes: parts</h4>")
    assert answer.csv() == "part,part_s\na,30\nb,10\n<c>,0\n"
    assert json.loads(answer.rendered("json"))["step_s"] == 40


def test_bars_are_as_long_as_their_numbers() -> None:
    """Text draws the longest with 30 characters, a page with 180 pixels, the others in proportion."""
    lines = text(DOCUMENT).splitlines()
    assert [line.count("#") for line in lines[5:8]] == [30, 10, 0]
    assert "| a | 30 | ############################## |" in markdown(DOCUMENT)
    page = html(DOCUMENT)
    assert 'rect width="180.0"' in page
    assert 'rect width="60.0"' in page
    assert "#" * 10 not in page


def test_a_little_can_be_seen() -> None:
    """Bars that are rounded up show one character for the smallest part; without a length there is none."""
    table = Table(columns=(NAME, SIZE), rows=(("a", 1000), ("b", 1), ("c", 0)))
    bars = with_bars(Bars(table=table, length=lambda row: row[1], characters=4, up=True))
    assert [row[-1] for row in bars.cells()] == ["####", "#", ""]
    none = Table(columns=(NAME, SIZE), rows=(("a", 0),))
    assert with_bars(Bars(table=none, length=lambda row: row[1])).cells() == [["a", "0", ""]]


def test_a_plot_is_drawn_on_a_page_and_left_out_of_text() -> None:
    """A page has every line and point, with nothing in their names run as markup; text has the table only."""
    page = html(DOCUMENT)
    assert page.count("<polyline") == page.count("<circle") == 1
    assert "&lt;y&gt;" in page
    assert "<m>" not in page
    assert "polyline" not in text(DOCUMENT) + markdown(DOCUMENT)


def test_a_plot_carries_its_numbers_as_vega_lite() -> None:
    """Each point of a line is a value with the name of its line; a mark has its own values to tell."""
    line, mark = vega_lite(PLOT)["layer"]
    assert line["data"]["values"][1] == {"params": 10.0, "tokens": 4.0, "line": "one"}
    assert line["encoding"]["x"]["scale"] == {"type": "log"}
    assert mark["data"]["values"] == [{"params": 2.0, "tokens": 3.0, "name": "<m>", "loss": 1.5}]


def test_sections_are_named() -> None:
    """A section has the name it is given, or the first words of its title."""
    assert section_names(DOCUMENT) == ["where-it-goes", "certainty"]


def test_named_sections_come_in_the_order_of_their_names() -> None:
    """What is asked for is shown after the sentence, whatever the order and the case, and nothing else."""
    assert [s.id for s in shown(DOCUMENT, "Certainty, where-it-goes").sections] == ["certainty", "where-it-goes"]
    assert shown(DOCUMENT, "certainty").sections == SECTIONS[1:]
    assert shown(DOCUMENT, "certainty,all") == shown(DOCUMENT, "") == DOCUMENT


def test_one_screen_says_what_it_leaves_out() -> None:
    """Text is the screen of an answer that has one, with the names of all sections below; other formats hold all."""
    screen = (Section(title="In short", body=("a line",)),)
    document = Document(lead="x", sections=SECTIONS, screen=screen)
    short = shown(document, screen=True)
    assert short.sections == screen
    assert text(short).endswith("\n\nmore: --show with any of where-it-goes, certainty; or --show all\n")
    assert shown(document) == document


def test_unknown_sections_are_named_with_the_nearest() -> None:
    """Every unknown name is a problem, with the names that there are."""
    with pytest.raises(InputError) as caught:
        shown(DOCUMENT, "certanty,nothing,certainty")
    first, second = caught.value.problems
    assert (first.given, first.nearest, second.given) == ("certanty", "certainty", "nothing")
    assert first.allowed == "where-it-goes, certainty, all"


@pytest.mark.parametrize("width", [40, 80, 100, 140])
def test_no_line_is_wider_than_the_screen(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentence, titles, lines, prepared text and tables all fit; figures that have no room go below."""
    row = tuple(f"{n}" * 12 for n in range(9))
    columns = tuple(Column(head=f"figure {n}", key=f"f{n}", value=lambda row, n=n: row[n]) for n in range(9))
    body = ("word " * 40, "tree\n    " + "leaf " * 40, Table(columns=columns, rows=(row, row)))
    document = Document(lead="long " * 40, sections=(Section(title="title " * 30, body=body),))
    shown_text = text(document, width)
    assert max(map(len, shown_text.splitlines())) <= width
    assert all(shown_text.count(cell) >= 2 for cell in row)
    monkeypatch.setenv("COLUMNS", str(width))
    assert text(document) == shown_text
