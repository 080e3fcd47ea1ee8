"""Keys of a scenario: each is declared once, and what is made of the declarations is complete."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import write_keys

from isocost.scenario import KEYS, read_scenario, scenario_tables
from isocost.scenario.given import Changes
from isocost.scenario.keys import Key, keys_of
from isocost.scenario.readers import reader_of
from isocost.scenario.record import DEFAULTS, TABLES, Scenario
from isocost.units import parse

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to.md"
INNER = {f"{name}.{key.name}": key for name, record in TABLES.items() for key in keys_of(record).values()}
EVERY = pytest.mark.parametrize("key", [*KEYS.values(), *INNER.values()], ids=[*KEYS, *INNER])


def test_every_field_is_a_key() -> None:
    """Fields and keys are one to one, in a scenario and in its tables; only what is worked out has no key."""
    assert [key.field for key in KEYS.values()] == [field.name for field in dataclasses.fields(Scenario)]
    for record in TABLES.values():
        rest = {field.name for field in dataclasses.fields(record)} - {key.field for key in keys_of(record).values()}
        assert rest <= {"given", "posterior"}


@EVERY
def test_a_key_says_what_it_is(key: Key) -> None:
    """A key has a reader, a meaning and, where it is an option, all of its texts."""
    assert callable(reader_of(key))
    assert key.meaning
    assert not key.meaning.endswith(".")
    assert bool(key.help) == bool(key.metavar) == bool(key.flag)
    assert re.fullmatch(r"(--[a-z]+(-[a-z]+)*)?", key.flag)
    if key.unit:
        parse("0 s" if key.unit == "s" else f"0 {key.unit}" if key.has_dimension else "0", key.unit)


def test_every_key_can_be_given_by_name() -> None:
    """The keyword arguments of the public functions are the keys."""
    assert list(Changes.__annotations__) == list(KEYS)
    assert not Changes.__required_keys__


def test_the_page_has_every_key() -> None:
    """The tables of the how-to are those of the declarations."""
    page = HOW_TO.read_text(encoding="utf-8")
    assert page == write_keys.with_tables(page), "make pages"


def test_the_glossary_has_every_key() -> None:
    """Every key is in the glossary with the meaning that it is declared with."""
    page = (HOW_TO.parent / "glossary.md").read_text(encoding="utf-8")
    rows = [f"| `{name}` | {key.meaning} |" for name, key in {**KEYS, **INNER}.items()]
    assert [row for row in rows if row not in page] == [], "make pages"


def test_keys_come_without_the_heavy_libraries() -> None:
    """Options of the command line can be made of the keys without numpy and the catalogue."""
    code = (
        "import sys; from isocost.scenario import KEYS;"
        "assert KEYS['tokens'].help; assert not {'numpy', 'isocost.catalog'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_empty_table_says_nothing() -> None:
    """A table without keys is as if it were left out."""
    base = {"model": "llama-3.1-8b", "tokens": "1 T"}
    scenario, _ = read_scenario(base | {name: {} for name in TABLES})
    assert scenario_tables(scenario) == base
    assert all(getattr(scenario, name) == getattr(DEFAULTS, name) for name in TABLES)
