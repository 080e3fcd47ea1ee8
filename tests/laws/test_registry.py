"""Guarantees of every registered formula, generated from the registry: a new term is tested by being registered."""

from __future__ import annotations

import importlib
import pkgutil
import re
import tomllib
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pint
import pytest
from numpy.typing import NDArray

import isocost.laws
import isocost.money
from isocost import units
from isocost.term import TERMS, Term

for package in (isocost.laws, isocost.money):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)

ALL = [TERMS[name] for name in sorted(TERMS)]
every_term = pytest.mark.parametrize("term", ALL, ids=lambda term: term.name)
SOURCES = Path(isocost.laws.__file__).parents[1] / "data" / "sources.toml"

# Typical positive values by unit of the argument; a term narrows them with @term(domain={...}).
RANGES = {
    "B": (1e6, 1e9),
    "B/s": (1e10, 1e12),
    "s": (1e-3, 1e3),
    "flop": (1e12, 1e15),
    "flop/s": (1e14, 1e15),
    "W": (1e2, 1e3),
    "J": (1e3, 1e6),
    "USD": (1e0, 1e4),
    "USD/s": (1e-4, 1e-2),
    "USD/J": (1e-8, 1e-7),
    "USD/W": (1e0, 1e1),
    "USD/W/s": (1e-8, 1e-7),
    "USD/B": (1e-11, 1e-10),
    "USD/B/s": (1e-18, 1e-16),
    "kg": (1e0, 1e3),
    "kg/J": (1e-9, 1e-7),
    "s/B": (1e-12, 1e-10),
}
ROWS = 7  # odd, so that a vectorised loop has a remainder

# A registry of our own: Pint's default one takes a byte for a plain number. A FLOP and a token are counts.
PINT = pint.UnitRegistry(None)
for unit, dimension in {"byte": "information", "second": "time", "joule": "energy", "dollar": "currency"}.items():
    PINT.define(f"{unit} = [{dimension}]")
PINT.define("kilogram = [mass]")
PINT_UNITS = {"B": "byte", "s": "second", "W": "joule / second", "J": "joule", "USD": "dollar", "kg": "kilogram"}

Row = NDArray[np.float64]


def _pint_unit(unit: str) -> pint.Unit:
    top, *below = (f"({PINT_UNITS[part]})" if part in PINT_UNITS else "1" for part in unit.split("/"))
    return PINT.parse_expression(" / ".join([top, *below]) + " * byte / byte").units


def _range(term: Term, argument: str) -> tuple[float, float]:
    if argument in term.domain:
        return term.domain[argument]
    if argument.endswith("_frac"):
        return 0.1, 0.9
    return RANGES.get(units.unit_of(argument), (1.0, 16.0))


def _sample(term: Term, shapes: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, Row]:
    """Draw inputs with a seed of the term's own; counts without a declared domain are whole numbers."""
    rng = np.random.default_rng(zlib.crc32(term.name.encode()))
    drawn = {}
    for argument in term.arguments:
        low, high = _range(term, argument)
        values = rng.uniform(low, high, (shapes or {}).get(argument, (ROWS,)))
        whole = argument not in term.domain and (low, high) == (1.0, 16.0)
        drawn[argument] = np.rint(values) if whole else values
    return drawn


def _parts(result: object) -> list[object]:
    return list(result) if isinstance(result, tuple) else [result]


def _columns(term: Term, inputs: Mapping[str, object]) -> list[Row]:
    return [np.asarray(part, dtype=np.float64) for part in _parts(term.function(**inputs))]


def _equal_bits(a: Row, b: Row) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def test_registry_is_not_empty() -> None:
    """The generated tests below cannot pass for want of terms."""
    assert len(ALL) >= 1


@every_term
def test_scalar_equals_row(term: Term) -> None:
    """A term gives a Python float the same bits as the same float in a row."""
    inputs = _sample(term)
    rows = [np.broadcast_to(column, (ROWS,)) for column in _columns(term, inputs)]
    for index in range(ROWS):
        scalars = _columns(term, {name: float(column[index]) for name, column in inputs.items()})
        for row, scalar in zip(rows, scalars, strict=True):
            assert scalar.shape == ()
            assert _equal_bits(row[index : index + 1], scalar.reshape(1)), f"row {index}: {row[index]!r} != {scalar!r}"


@every_term
def test_shapes_broadcast(term: Term) -> None:
    """Arguments of shape (3, 1) and (4,) give (3, 4), and the values of the same arguments written out in full."""
    shapes = {name: ((3, 1), (4,))[place % 2] for place, name in enumerate(term.arguments)}
    inputs = _sample(term, shapes)
    shape = np.broadcast_shapes(*shapes.values())
    full = _columns(term, {name: np.ascontiguousarray(np.broadcast_to(value, shape)) for name, value in inputs.items()})
    for column, expected in zip(_columns(term, inputs), full, strict=True):
        assert column.shape == shape
        assert _equal_bits(np.ascontiguousarray(column), expected)


@every_term
def test_no_floating_point_warning(term: Term) -> None:
    """Typical positive inputs raise no floating-point flag and give finite results."""
    with np.errstate(all="raise"):
        for column in _columns(term, _sample(term)):
            assert np.isfinite(column).all()


@every_term
def test_inputs_are_left_alone(term: Term) -> None:
    """A term writes to none of its arguments."""
    inputs = _sample(term)
    for column in inputs.values():
        column.flags.writeable = False
    assert _columns(term, inputs)


@every_term
def test_dimension_under_pint(term: Term) -> None:
    """Quantities in, of the units that the argument names carry, give the declared unit and the same value."""
    inputs = _sample(term)
    quantities = {name: _quantity(name, column) for name, column in inputs.items()}
    expected = _pint_unit(term.unit)
    for part, plain in zip(_parts(term.function(**quantities)), _columns(term, inputs), strict=True):
        got = part if isinstance(part, PINT.Quantity) else PINT.Quantity(part, "")
        assert got.dimensionality == expected.dimensionality, f"{term.name}: {got.units}, declared {term.unit}"
        np.testing.assert_allclose(np.asarray(got.to(expected).magnitude, dtype=float), plain, rtol=1e-12)


def _quantity(name: str, column: Row) -> object:
    unit = _pint_unit(units.unit_of(name))
    return column if unit.dimensionless else PINT.Quantity(column, unit)


@every_term
def test_name_carries_the_unit(term: Term) -> None:
    """The suffix of a term's name is the unit it declares."""
    assert _pint_unit(units.unit_of(term.name)) == _pint_unit(term.unit)


@every_term
def test_docstring_starts_with_the_formula(term: Term) -> None:
    """The first line of the docstring is a formula, not a sentence about one."""
    assert re.search(r"[=+*/^(\d]", term.formula), term.formula
    assert not term.formula.startswith("Return")


@every_term
def test_source_is_in_the_bibliography(term: Term) -> None:
    """Every source key of a term is a table of sources.toml."""
    keys = [key.strip() for key in term.source.split(",")]
    assert all(keys)
    known = _bibliography().keys()
    assert [key for key in keys if key not in known] == []


def _bibliography() -> Mapping[str, Mapping[str, object]]:
    assert SOURCES.exists(), f"{SOURCES} is missing: it must hold a table [source.KEY] for each source key"
    return tomllib.loads(SOURCES.read_text(encoding="utf-8"))["source"]


def test_bibliography_is_complete() -> None:
    """Every entry of sources.toml has author, title, year and url."""
    short = [key for key, entry in _bibliography().items() if not {"author", "title", "year", "url"} <= set(entry)]
    assert short == []
