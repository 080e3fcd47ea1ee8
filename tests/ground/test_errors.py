"""The messages a user sees when something is wrong."""

import pytest

from isocost.errors import CalibrationError, DataError, InputError, IsocostError, Problem, nearest, shorten


def test_problem_reads_as_one_line_with_place_value_and_fix() -> None:
    """A full problem prints path, value, what is allowed, the nearest spelling and the fix, in that order."""
    problem = Problem("model.layers", "is not a positive integer", -3, "1 to 10,000", "'3'", "write 3")
    assert str(problem) == (
        "model.layers: -3 is not a positive integer; allowed: 1 to 10,000; did you mean '3'?; fix: write 3"
    )


def test_problem_without_a_value_shows_the_message_alone() -> None:
    """A missing field has no given value, while a given None is shown."""
    assert str(Problem("tokens", "is required")) == "tokens: is required"
    assert str(Problem("tokens", "is not a quantity", None)) == "tokens: None is not a quantity"
    assert str(Problem("", "no such file")) == "no such file"


def test_every_problem_is_reported_at_once() -> None:
    """An InputError keeps all problems and prints one line for each."""
    problems = [Problem("a", "is wrong"), Problem("b", "is wrong too")]
    error = InputError(problems)
    assert error.problems == tuple(problems)
    assert str(error) == "a: is wrong\nb: is wrong too"


@pytest.mark.parametrize("kind", [InputError, DataError])
def test_errors_with_problems_are_isocost_errors(kind: type[InputError]) -> None:
    """Whoever catches IsocostError catches each kind."""
    with pytest.raises(IsocostError, match="x: bad"):
        raise kind([Problem("x", "bad")])


def test_calibration_error_is_an_isocost_error() -> None:
    """Whoever catches IsocostError catches a failed fit."""
    assert issubclass(CalibrationError, IsocostError)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x" * 60, repr("x" * 60)),
        ("x" * 61, repr("x" * 60) + "... (61 characters)"),
        ("two\nlines", r"'two\nlines'"),
        (b"\x00" * 1000, repr(b"\x00" * 60) + "... (1,000 bytes)"),
        (10**400, "an integer of 1,329 bits"),
        ({"a": 1}, "a dict of 1 entry"),
        ([[]] * 1000, "a list of 1,000 entries"),
        (float("nan"), "nan"),
        (True, "True"),
        (object(), "a object"),
    ],
)
def test_given_values_are_cut_to_one_line(value: object, shown: str) -> None:
    """Whatever was given, what is printed is short, on one line, and made without formatting all of it."""
    assert shorten(value) == shown


def test_a_huge_text_is_never_printed() -> None:
    """A problem with 100 MB of text prints under 200 characters."""
    assert len(str(Problem("config", "is not JSON", "x" * 10**8))) < 200


def test_an_object_that_cannot_be_printed_is_named_by_type() -> None:
    """A value whose repr raises still gives a message."""

    class _Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    assert str(Problem("x", "is odd", _Broken())) == "x: a _Broken is odd"


@pytest.mark.parametrize(
    ("given", "found"),
    [("h100-sxm", "h100-sxm5-80gb"), ("H100-SXM5-80GB", "h100-sxm5-80gb"), ("tpu-v9", ""), ("x" * 1000, "")],
)
def test_nearest_spelling(given: str, found: str) -> None:
    """The nearest name is found without regard to case, in its own spelling, and nothing far off is suggested."""
    assert nearest(given, ["h100-sxm5-80gb", "mi300x-192gb"]) == found
