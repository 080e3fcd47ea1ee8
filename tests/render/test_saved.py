"""Answers read back from JSON: the same in every format, and damage is one clear error."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from render.test_formats import PLOT

from isocost.errors import InputError
from isocost.render import saved
from isocost.render.document import Bars, Column, Document, Section, Table
from isocost.render.formats import FORMATS
from isocost.render.saved import document_of, json_text, values_of_file
from isocost.render.text import text
from isocost.verbs.show.ask import show

RATE = Column(head="rate", key="rate_frac", value=lambda row: row[1], text=lambda row: f"{row[1]} (0 to 1)", brief=True)
NAME = Column(head="name", key="name", value=lambda row: row[0], left=True)
PEAK = Column(head="peak", key="peak_bytes", value=lambda row: row[2], spare=True)
TABLE = Table(columns=(NAME, RATE, PEAK), rows=(("a|b", 0.1, 3), ("<c>", None, [1, 2])), marked=frozenset({1}))
BARS = Bars(table=TABLE, length=lambda row: row[1] or 0.0, characters=24, up=True)
DOCUMENT = Document(
    lead="A sentence",
    sections=(Section(title="One", body=(TABLE, "text", PLOT), name="first"), Section(title="Two", body=(BARS,))),
    screen=(Section(title="In short", body=("text",)),),
    table=TABLE,
    values=lambda: {"schema_version": 2, "step_s": 0.1, "names": ["a"]},
)


def _kept(**changes: Any) -> dict[str, Any]:
    """Return the values of the document as they are read back, some of its keys changed."""
    values: dict[str, Any] = json.loads(json_text(DOCUMENT))
    values["document"] |= changes
    return values


@pytest.mark.parametrize("style", list(FORMATS))
def test_a_saved_document_renders_as_it_did(style: str) -> None:
    """Text, Markdown, a page, CSV and JSON are byte for byte those of the answer itself."""
    assert FORMATS[style](document_of(_kept(), "x.json")) == FORMATS[style](DOCUMENT)


@pytest.mark.parametrize("width", [40, 60, 120])
def test_a_saved_table_fits_the_screen_it_is_shown_on(width: int) -> None:
    """What a narrow table gives up is not settled by the screen of the one who saved it."""
    assert text(document_of(_kept(), "x.json"), width) == text(DOCUMENT, width)


def test_the_document_is_one_line_behind_the_values() -> None:
    """The values of an answer are set as before, and one key more stands on one line."""
    lines = json_text(DOCUMENT).splitlines()
    assert lines[:5] == ["{", '  "schema_version": 2,', '  "step_s": 0.1,', '  "names": [', '    "a"']
    assert lines[-2].startswith('  "document": {"form":1,')
    assert json.loads(json_text(Document(lead="x")))["document"]["lead"] == "x"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist, or is not a regular file"),
        ("{", "is not JSON"),
        ("[]", "is not a saved answer: it holds no object at the top"),
        ("{}", "holds no 'document' to show: it is no answer of isocost, or one of an older version"),
        ("[" * 100_000, "is nested too deeply for a saved answer"),
        ('{"document": 1}', "lacks 'form'"),
        ('{"document": {"form": 9}}', "is of form 9; this isocost reads form 1"),
    ],
)
def test_what_is_no_answer_is_one_error(content: str | None, said: str, tmp_path: Path) -> None:
    """A file that is missing, is no JSON, or holds something else is refused with the reason and the fix."""
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=said) as caught:
        show(path)
    assert len(caught.value.problems) == 1
    assert "isocost plan ... --format json" in caught.value.problems[0].fix


def test_a_file_has_a_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too large is not read whole."""
    monkeypatch.setattr(saved, "MAX_BYTES", 10)
    (tmp_path / "x.json").write_text(" " * 11, encoding="utf-8")
    with pytest.raises(InputError, match="too large"):
        values_of_file(tmp_path / "x.json")


WRONG = (None, True, "text", -1, 1e400, float("nan"), [], [None], [[1]], {}, {"table": {}}, {"bars": {}}, {"plot": 1})


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every place inside a value, as a container and a key."""
    found: list[tuple[Any, Any]] = []
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    for key in keys:
        found += [(value, key), *_places(value[key])]
    return found


def test_damage_is_an_error_or_harmless() -> None:
    """Whatever stands in whichever place, the document is refused, or renders in every format."""
    dice, refused, rendered = random.Random(1), 0, 0
    for place in range(len(_places(_kept()["document"]))):
        for wrong in dice.sample(WRONG, 4):
            values = _kept()
            holder, key = _places(values["document"])[place]
            holder[key] = wrong
            try:
                document = document_of(values, "x.json")
            except InputError as error:
                refused += len(error.problems)
                continue
            rendered += bool([FORMATS[style](document) for style in FORMATS])
    assert refused > rendered > 0
