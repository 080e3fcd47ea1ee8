"""Elementwise helpers: the same bits for a number and for a row, units kept, no warnings."""

import numpy as np
import pint
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.num import ceil_div, safe_div, smooth_max

POSITIVE = st.floats(1e-3, 1e12)


@pytest.mark.parametrize(("a", "b", "expected"), [(80, 8, 10), (81, 8, 11), (0, 4, 0), (1, 16, 1), (7.5, 2.5, 3)])
def test_ceil_div(a: float, b: float, expected: float) -> None:
    """A part of a group counts as a whole group."""
    assert ceil_div(a, b) == expected


@given(st.integers(0, 10**9), st.integers(1, 10**6))
def test_ceil_div_of_whole_numbers_is_exact(a: int, b: int) -> None:
    """Whole numbers divide as integers do."""
    assert ceil_div(a, b) == -(-a // b)


@pytest.mark.parametrize(
    ("a", "b", "expected"), [(6.0, 4.0, 1.5), (0.0, 0.0, 0.0), (3.0, 0.0, 0.0), (np.inf, 0.0, 0.0)]
)
def test_safe_div(a: float, b: float, expected: float) -> None:
    """Division by zero gives zero, without a warning, for a number and for a row."""
    assert safe_div(a, b) == expected
    np.testing.assert_array_equal(safe_div(np.array([a, 1.0]), np.array([b, 2.0])), [expected, 0.5])


def test_safe_div_of_numbers_is_a_number() -> None:
    """Scalars give a scalar, not an array of no dimensions."""
    assert isinstance(safe_div(1.0, 0.0), float)
    assert isinstance(smooth_max(1.0, 0.0, 4.0), float)


def test_smooth_max_by_hand() -> None:
    """3 and 4 with power 2 is the hypotenuse, 5; with power 1, the sum."""
    assert smooth_max(3.0, 4.0, 2.0) == pytest.approx(5.0, rel=1e-15)
    assert smooth_max(3.0, 4.0, 1.0) == pytest.approx(7.0, rel=1e-15)


@given(POSITIVE, POSITIVE, st.floats(1.0, 64.0))
def test_smooth_max_lies_between_maximum_and_sum(a: float, b: float, power: float) -> None:
    """The rounded corner is symmetric, never below the larger and never above the sum."""
    value = smooth_max(a, b, power)
    assert value == smooth_max(b, a, power)
    assert max(a, b) <= value <= (a + b) * (1 + 1e-15)


@pytest.mark.parametrize(("a", "b"), [(1e300, 1e300), (1e-300, 1e300), (0.0, 0.0), (0.0, 2.0), (5e-324, 1.0)])
def test_smooth_max_neither_overflows_nor_warns(a: float, b: float) -> None:
    """Powers of extreme numbers are never formed."""
    with np.errstate(all="raise"):
        assert max(a, b) <= smooth_max(a, b, 8.0) <= 1.1 * max(a, b)


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=1, max_size=9), st.floats(1.0, 16.0))
def test_a_number_and_a_row_give_the_same_bits(pairs: list[tuple[float, float]], power: float) -> None:
    """Each helper gives a scalar exactly what it gives that scalar in a row."""
    a, b = (np.array(column) for column in zip(*pairs, strict=True))
    for function in (ceil_div, safe_div, lambda x, y: smooth_max(x, y, power)):
        assert np.array_equal(function(a, b), [function(x, y) for x, y in pairs])


def test_units_are_kept() -> None:
    """Under Pint a maximum of times is a time and a quotient of times is a number."""
    registry = pint.UnitRegistry(None)
    registry.define("second = [time]")
    a, b = registry.Quantity(np.array([3.0, 0.0]), "second"), registry.Quantity(np.array([4.0, 0.0]), "second")
    assert smooth_max(a, b, 2.0).units == registry.second
    assert safe_div(a, b).dimensionless
    assert ceil_div(b, registry.Quantity(3.0, "second")).magnitude.tolist() == [2.0, 0.0]
