"""Quantities as text: what is read, what is refused and why, what is shown."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.errors import InputError
from isocost.units import parse, show, unit_of

DAY = 86400.0


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("80 GB", "B", 80e9),
        ("80GiB", "B", 80 * 2.0**30),
        ("512 bytes", "B", 512.0),
        ("8 Gbit", "B", 1e9),
        ("3.35 TB/s", "B/s", 3.35e12),
        ("400 Gb/s", "B/s", 50e9),
        ("400 Gbps", "B/s", 50e9),
        ("900 GB per s", "B/s", 900e9),
        ("60 d", "s", 60 * DAY),
        ("3 weeks", "s", 21 * DAY),
        ("2 h 30 min", "s", 9000.0),
        ("1d12h", "s", 1.5 * DAY),
        ("1 Days", "s", DAY),
        ("5 µs", "s", 5e-6),
        ("12 ms", "s", 0.012),
        ("1 year", "s", 365.25 * DAY),
        ("3.8e25 FLOP", "flop", 3.8e25),
        ("2 ZFLOP", "flop", 2e21),
        ("989 TFLOP/s", "flop/s", 989e12),
        ("989 TFLOPS", "flop/s", 989e12),
        ("700 W", "W", 700.0),
        ("12 MW", "W", 12e6),
        ("1.5 kWh", "J", 5.4e6),
        ("40 MUSD", "USD", 40e6),
        ("$2.5M", "USD", 2.5e6),
        ("US$ 2.5 million", "USD", 2.5e6),
        ("2 M USD", "USD", 2e6),
        ("$2.5 bn", "USD", 2.5e9),
        ("13.5 kUSD", "USD", 13500.0),
        ("$1,250,000.50", "USD", 1250000.5),
        ("3600 USD/h", "USD/s", 1.0),
        ("2.49 USD/gpu/h", "USD/s", 2.49 / 3600),
        ("$2.49/h", "USD/s", 2.49 / 3600),
        ("$2.49 per GPU-hour", "USD/s", 2.49 / 3600),
        ("0.36 USD/kWh", "USD/J", 1e-7),
        ("360 g/kWh", "kg/J", 1e-7),
        ("2 tonnes", "kg", 2000.0),
        ("16 MUSD/MW", "USD/W", 16.0),
        ("2629.8 USD/kW/month", "USD/W/s", 1e-6),
        ("0.09 USD/GB", "USD/B", 9e-11),
        ("2629.8 USD/GB/month", "USD/B/s", 1e-12),
        ("15 T", "token", 15e12),
        ("15T tokens", "token", 15e12),
        ("1.4e12 tokens", "token", 1.4e12),
        ("300 B", "token", 300e9),
        ("2 trillion tokens", "token", 2e12),
        ("45 %", "1", 0.45),
        ("0.45", "1", 0.45),
        (0.45, "1", 0.45),
        (1, "1", 1.0),
        ("112 %", "ratio", 1.12),
        (1.12, "ratio", 1.12),
        ("0.5 /h", "1/s", 0.5 / 3600),
        ("80\u00a0GB", "B", 80e9),
        ("0 d", "s", 0.0),
    ],
)
def test_parse(text: object, unit: str, expected: float) -> None:
    """Every spelling in use gives the SI value."""
    assert parse(text, unit) == pytest.approx(expected, rel=1e-15, abs=0)


def _message(text: object, unit: str) -> str:
    with pytest.raises(InputError) as caught:
        parse(text, unit, "scenario.field")
    (problem,) = caught.value.problems
    assert problem.path == "scenario.field"
    return str(problem)


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        (60, "s", "60 needs a unit; allowed: a duration, e.g. '60 d'; fix: write e.g. '60 d'"),
        ("60", "s", "'60' needs a unit; allowed: a duration, e.g. '60 d'; fix: write e.g. '60 d'"),
        ("15", "token", "'15' needs a unit; allowed: a number of tokens, e.g. '15 T'; fix: write e.g. '15 T'"),
        (
            15e12,
            "token",
            "15000000000000.0 needs a unit; allowed: a number of tokens, e.g. '15 T'; "
            "fix: write e.g. '15000000000000 token'",
        ),
        ("5 d", "B", "'5 d' is a duration, not a size in bytes; allowed: a size in bytes, e.g. '80 GiB'"),
        ("5 GB", "B/s", "'5 GB' is a size in bytes, not a bandwidth; allowed: a bandwidth, e.g. '3.35 TB/s'"),
        ("-5 d", "s", "'-5 d' is negative; allowed: a duration, e.g. '60 d'"),
        ("\u22125 d", "s", "'\u22125 d' is negative; allowed: a duration, e.g. '60 d'"),
        ("nan d", "s", "'nan d' is not a quantity; allowed: a duration, e.g. '60 d'"),
        (math.nan, "1", "nan is not a finite number; allowed: a fraction between 0 and 1, e.g. '45 %'"),
        (-math.inf, "1", "-inf is not a finite number; allowed: a fraction between 0 and 1, e.g. '45 %'"),
        ("1e999 d", "s", "'1e999 d' is not a finite number; allowed: a duration, e.g. '60 d'"),
        (
            "1e300 GB",
            "B",
            "'1e300 GB' is beyond belief (more than 867 EiB); allowed: a size in bytes, e.g. '80 GiB'; "
            "fix: check the unit",
        ),
        (
            "3 gb/s",
            "B/s",
            "'3 gb/s' has an unknown unit 'gb'; allowed: a bandwidth, e.g. '3.35 TB/s'; did you mean 'GB' or 'Gb'?",
        ),
        ("45", "1", "'45' is more than 1; allowed: a fraction between 0 and 1, e.g. '45 %'; fix: write '45 %'"),
        ("450 %", "1", "'450 %' is more than 1; allowed: a fraction between 0 and 1, e.g. '45 %'"),
        (
            "3 EUR",
            "USD",
            "'3 EUR' is not in US dollars; allowed: an amount of money, e.g. '40 MUSD'; fix: convert it to USD",
        ),
        ("5 GB 3 GB", "B", "'5 GB 3 GB' is more than one quantity; allowed: a size in bytes, e.g. '80 GiB'"),
        ("", "s", "'' is not a quantity; allowed: a duration, e.g. '60 d'"),
        ("d", "s", "'d' is not a quantity; allowed: a duration, e.g. '60 d'"),
        (True, "1", "True is not a quantity; allowed: a fraction between 0 and 1, e.g. '45 %'"),
        (None, "s", "None is not a quantity; allowed: a duration, e.g. '60 d'"),
        ([60], "s", "a list of 1 entry is not a quantity; allowed: a duration, e.g. '60 d'"),
    ],
)
def test_refusals(text: object, unit: str, message: str) -> None:
    """Each wrong quantity is refused in one line that says why, what is expected, and the fix."""
    assert _message(text, unit) == f"scenario.field: {message}"


@pytest.mark.parametrize(
    "text", ["5 USD/node/h", "2,49 USD/h", "2.49 USD", "5-7 USD/h", "1e USD/h", "2..5 USD/h", "3 USD//h"]
)
def test_prices_that_would_be_misread_are_refused(text: str) -> None:
    """A price of a node, with a decimal comma, without time, a range: none is read as a price by GPU-hour."""
    assert "a price by time" in _message(text, "USD/s")


HUGE = {"letters": "x" * 10**7, "digits": "9" * 10**7, "integer": 10**5000, "numbers": "1 " * 10**6}


@pytest.mark.parametrize("kind", HUGE)
def test_huge_input_is_refused_in_a_short_line(kind: str) -> None:
    """A megabyte where a quantity belongs is refused without being read through or printed."""
    assert len(_message(HUGE[kind], "ratio")) < 250


def _parse_or_explain(text: str, unit: str) -> float | str:
    try:
        return parse(text, unit)
    except InputError as error:
        return str(error)


@given(st.text(max_size=40), st.sampled_from(["B", "s", "USD/s", "token", "1"]))
def test_any_text_is_read_or_refused(text: str, unit: str) -> None:
    """No text makes anything but a finite number that is not negative, or a message of one line."""
    outcome = _parse_or_explain(text, unit)
    assert len(outcome.splitlines()) == 1 if isinstance(outcome, str) else 0 <= outcome < math.inf


@given(
    st.text("0123456789.,-+eE kMGTB$/%dhsgpuUSDtoken\n", max_size=20),
    st.sampled_from(["B", "s", "USD/s", "token", "1"]),
)
def test_near_quantities_are_read_or_refused(text: str, unit: str) -> None:
    """The same for text made of the characters of quantities."""
    outcome = _parse_or_explain(text, unit)
    assert len(outcome.splitlines()) == 1 if isinstance(outcome, str) else 0 <= outcome < math.inf


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (23.4 * DAY, "s", "23.4 d"),
        (36 * 3600, "s", "36 h"),
        (5400, "s", "90 min"),
        (90, "s", "90 s"),
        (1.5e-5, "s", "15 µs"),
        (0, "s", "0 s"),
        (1.934e6, "USD", "$1.93M"),
        (40e6, "USD", "$40M"),
        (12.5, "USD", "$12.50"),
        (-1.2e6, "USD", "-$1.2M"),
        (2.5 / 3600, "USD/s", "$2.50/h"),
        (0.08 / 3.6e6, "USD/J", "$0.08/kWh"),
        (71.5 * 2.0**30, "B", "71.5 GiB"),
        (80e9, "B", "74.5 GiB"),
        (3.35e12, "B/s", "3.35 TB/s"),
        (999.6e9, "B/s", "1 TB/s"),
        (989e12, "flop/s", "989 TFLOP/s"),
        (6.3e24, "flop", "6.3 YFLOP"),
        (15e12, "token", "15 T"),
        (700, "W", "700 W"),
        (13e6 * 3600, "J", "13 MWh"),
        (12_345.0, "kg", "12.3 tonnes"),
        (370e-3 / 3.6e6, "kg/J", "370 g/kWh"),
        (7e-8, "USD/W/s", "$184.09/kW/month"),
        (0.4567, "1", "0.457"),
        (0.4567, "%", "45.7 %"),
        (8192, "1", "8,192"),
        (1.5e-9, "s/B", "1.5e-09 s/B"),
        (math.nan, "s", "unknown"),
        (math.inf, "USD", "unlimited"),
    ],
)
def test_show(value: float, unit: str, shown: str) -> None:
    """A value is shown in the unit a reader would choose, with three significant digits."""
    assert show(value, unit) == shown


@given(
    st.floats(1e-6, 1e8),
    st.sampled_from(["B", "B/s", "s", "flop/s", "W", "J", "USD", "USD/s", "token", "flop"]),
)
def test_what_is_shown_can_be_read_back(value: float, unit: str) -> None:
    """Text from show parses to the same value, within the digits shown."""
    text = show(value, unit, digits=6)
    if unit == "token" and value < 1000:
        text += " tokens"
    cent = 0.005 / 3600 if unit == "USD/s" else 0.005
    assert parse(text, unit) == pytest.approx(value, rel=6e-6, abs=cent if unit.startswith("USD") else 0)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("hbm_bytes_per_s", "B/s"),
        ("step_s", "s"),
        ("tp", "1"),
        ("s_per_byte", "s/B"),
        ("bytes_per_param", "B"),
        ("payload_bytes_per_gpu", "B"),
        ("peak_flop_per_s_per_gpu", "flop/s"),
        ("price_usd_per_s", "USD/s"),
        ("colocation_usd_per_w_per_s", "USD/W/s"),
        ("carbon_kg_per_j", "kg/J"),
        ("energy_usd_per_j", "USD/J"),
        ("power_w_per_gpu", "W"),
        ("tokens_per_s", "1/s"),
        ("mfu_frac", "1"),
        ("ranks_per_node", "1"),
        ("s", "1"),
    ],
)
def test_unit_of_a_name(name: str, unit: str) -> None:
    """The suffix of a name is read as its unit; a name without one is a count."""
    assert unit_of(name) == unit
