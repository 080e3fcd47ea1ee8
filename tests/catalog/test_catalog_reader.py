"""What the reader of fact files refuses: every problem at once, each with its place and the fix."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.catalog import load_catalog
from isocost.catalog.reader import MAX_BYTES, read_tables
from isocost.errors import DataError

OFFER: dict[str, object] = {
    "accelerator": "h100-sxm5-80gb",
    "provider": "example",
    "region": "eu",
    "instance": "HGX",
    "gpus_per_instance": 8,
    "term": "quote",
    "price": "1.95 USD/gpu/h",
    "as_of": "2026-11-03",
    "source": "our quote",
    "grade": "reported",
}
FABRIC: dict[str, object] = {
    "name": "ours",
    "kind": "roce",
    "rate": "200 Gb/s",
    "rail_optimised": True,
    "in_switch_reduction": False,
    "tiers": [{"reach": 64, "latency": "5 us"}, {"latency": "7 us", "oversubscription": 3}],
    "as_of": "2026",
    "source": "our network team",
    "grade": "estimate",
}


def _refusals(tables: dict[str, object]) -> list[str]:
    """Return the problems of a file with these tables, its name left out."""
    with pytest.raises(DataError) as caught:
        read_tables(tables, "my.toml")
    return [str(problem).removeprefix("my.toml: ") for problem in caught.value.problems]


def _offer_refusals(**change: object) -> list[str]:
    """Return the problems of an offer with some keys changed; ``None`` drops a key."""
    entry = {key: value for key, value in (OFFER | change).items() if value is not None}
    return _refusals({"offer": [entry]})


def test_the_examples_of_this_file_are_good() -> None:
    """Unchanged, the offer and the fabric are read; so a refusal below is due to its change alone."""
    content = read_tables({"offer": [OFFER], "fabric": {"ours": FABRIC}}, "my.toml")
    assert content.offers[0].median_usd_per_s == pytest.approx(1.95 / 3600, rel=1e-12)
    assert [tier.oversubscription for tier in content.fabrics["ours"].tiers] == [1.0, 3.0]


@pytest.mark.parametrize(
    ("key", "fix"),
    [
        ("source", 'source = "quote of Example Cloud"'),
        ("as_of", 'as_of = "2026-05"'),
        ("grade", 'grade = "reported"'),
    ],
)
def test_a_fact_without_provenance_is_refused(key: str, fix: str) -> None:
    """A fact without source, date or grade is refused, with a line to write."""
    assert _offer_refusals(**{key: None}) == [f"offer[0].{key}: is missing; fix: write e.g. {fix}"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": []}, 'source: is empty; fix: write e.g. source = "quote of Example Cloud"'),
        ({"source": " "}, "source: a list of 1 entry is not a list of texts"),
        ({"source": 7}, "source: 7 is not a list of texts"),
        ({"as_of": "May 2026"}, "as_of: 'May 2026' is not a date; allowed: 2026, 2026-05 or 2026-05-31"),
        ({"as_of": "2026-02-30"}, "as_of: '2026-02-30' is not a date; allowed: 2026, 2026-05 or 2026-05-31"),
        ({"as_of": 2026}, "as_of: 2026 is not a date; allowed: 2026, 2026-05 or 2026-05-31"),
        (
            {"grade": "measurd"},
            "grade: 'measurd' is not a grade; allowed: measured, vendor, derived, estimate, reported; "
            "did you mean measured?",
        ),
        ({"from_memory": ["prize"]}, "from_memory: 'prize' is not a field; did you mean price?"),
        ({"note": 3}, "note: 3 is not text"),
        ({"price": None}, "price: is missing"),
        ({"gpus_per_instance": 0}, "gpus_per_instance: 0 is out of range; allowed: a whole number from 1 to 1000000"),
        (
            {"gpus_per_instance": True},
            "gpus_per_instance: True is out of range; allowed: a whole number from 1 to 1000000",
        ),
        ({"gpus_per_instance": "8"}, "gpus_per_instance: '8' is wrong; allowed: a whole number from 1 to 1000000"),
        ({"provider": ""}, "provider: '' is not a text of 1 to 500 characters"),
        ({"provider": 5}, "provider: 5 is not a text of 1 to 500 characters"),
        ({"pricee": "1 USD/h"}, "pricee: is not a known key; did you mean price?"),
        ({"id": "A B"}, "id: 'A B' is not an id"),
        (
            {"term": "on-demand"},
            "term: 'on-demand' is not a choice; allowed: on_demand, spot, reserved_1y, reserved_3y, capacity_block, "
            "quote, owned; did you mean on_demand?",
        ),
    ],
)
def test_wrong_values(change: dict[str, object], message: str) -> None:
    """Each wrong value is one message with its place, what was given, and what is allowed."""
    assert _offer_refusals(**change) == [f"offer[0].{message}"]


@pytest.mark.parametrize(
    ("price", "part"),
    [
        ("1.95", "'1.95' needs a unit"),
        (1.95, "1.95 needs a unit"),
        ("-1.95 USD/gpu/h", "'-1.95 USD/gpu/h' is negative"),
        (float("nan"), "nan is not a finite number"),
        ("nan USD/gpu/h", "'nan USD/gpu/h' is not a quantity"),
        (float("inf"), "inf is not a finite number"),
        ("1e300 USD/gpu/h", "'1e300 USD/gpu/h' is beyond belief"),
        ("1.95 EUR/gpu/h", "'1.95 EUR/gpu/h' is not in US dollars"),
        ("80 GiB", "'80 GiB' is a size in bytes, not a price by time"),
        ("5000 USD/gpu/h", "'5000 USD/gpu/h' is out of range; allowed: less: check the unit"),
        ("0 USD/gpu/h", "'0 USD/gpu/h' is zero; fix: leave an unknown out"),
        ([1.95], "a list of 1 entry is not a quantity"),
    ],
)
def test_wrong_prices(price: object, part: str) -> None:
    """A price without unit, in another currency or dimension, negative, not finite, zero or absurd is one message."""
    (problem,) = _offer_refusals(price=price)
    assert problem.startswith(f"offer[0].price: {part}")


def test_wrong_ranges() -> None:
    """A range needs low, median and high, in that order of size, and nothing else."""
    one, two = "1 USD/gpu/h", "2 USD/gpu/h"
    assert _offer_refusals(price={"low": one, "median": two}) == ["offer[0].price.high: is missing"]
    disorder = ["offer[0].price: is not ordered; allowed: low <= median <= high"]
    assert _offer_refusals(price={"low": two, "median": one, "high": two}) == disorder
    extra = {"low": one, "median": one, "high": two, "mean": one}
    assert _offer_refusals(price=extra) == ["offer[0].price.mean: is not a known key; did you mean median?"]


def test_all_problems_at_once() -> None:
    """Three bad offers with four problems are one error with four messages."""
    bad = [OFFER | {"price": "nan"}, OFFER | {"term": "x", "grade": "x"}, OFFER | {"as_of": "x"}, OFFER]
    places = [problem.split(":")[0] for problem in _refusals({"offer": bad})]
    assert places == ["offer[0].price", "offer[1].term", "offer[1].grade", "offer[2].as_of"]


def test_a_flood_of_problems_is_summed_up() -> None:
    """A thousand bad offers are fifty messages and a count."""
    problems = _refusals({"offer": [OFFER | {"price": "x"}] * 1000})
    assert len(problems) == 51
    assert problems[-1] == "and 950 more problems"


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"offers": []}, "offers: is not a table of a catalogue; did you mean offer?"),
        ({"offer": {}}, "offer: a dict of 0 entries has the wrong shape; fix: write [[offer]]"),
        ({"node": []}, "node: a list of 0 entries has the wrong shape; fix: write [node.some-id]"),
        ({"node": {"x": 3}}, "node.x: 3 is not a table"),
        ({"offer": ["x"]}, "offer[0]: 'x' is not a table"),
        ({"priced_only": "tpu-v2"}, "priced_only: 'tpu-v2' is not a list of texts"),
        (
            {"node": {"A b": {}}},
            "node.A b: is not an id; allowed: a-z, 0-9, dot, hyphen, underscore; 100 at most",
        ),
        (
            {"offer": [OFFER | {"id": "x"}, OFFER | {"id": "x"}]},
            "offer[1].id: 'x' is the id of my.toml: offer[0] too",
        ),
    ],
)
def test_wrong_shapes(tables: dict[str, object], message: str) -> None:
    """Tables of the wrong name or shape are named with the right one."""
    assert _refusals(tables) == [message]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rail_optimised": "yes"}, "rail_optimised: 'yes' is not a yes or no; allowed: true or false"),
        ({"tiers": []}, 'tiers: a list of 0 entries is not a list of tiers; fix: write [{ latency = "5 us" }]'),
        ({"tiers": [{"reach": 8}]}, "tiers[0].latency: is missing"),
        (
            {"tiers": [{"latency": "5 us"}, {"latency": "7 us"}]},
            "tiers: a list of 2 entries has wrong reaches; allowed: rising, on all but the last tier",
        ),
        (
            {"tiers": [{"latency": "5 us", "oversubscription": 0.5}]},
            "tiers[0].oversubscription: 0.5 is out of range; allowed: at least 1",
        ),
    ],
)
def test_wrong_fabrics(change: dict[str, object], message: str) -> None:
    """Tiers state a latency, rise in reach, and are never wider above than below."""
    assert _refusals({"fabric": {"ours": FABRIC | change}}) == [f"fabric.ours.{message}"]


def test_bounds_of_site_rates() -> None:
    """PUE is at least 1; draw is a fraction; electricity is money by energy."""
    fact = {"name": "x", "source": "x", "as_of": "2026", "grade": "estimate"}
    rates = [("pue", 0.9), ("draw", 1.2), ("electricity", "0.08 USD/h"), ("electricity", "80 USD/kWh")]
    problems = [_refusals({kind: {"x": fact | {"value": value}}})[0] for kind, value in rates]
    assert problems[0] == "pue.x.value: 0.9 is out of range; allowed: at least 1"
    assert problems[1].startswith("draw.x.value: 1.2 is more than 1")
    assert problems[2].startswith("electricity.x.value: '0.08 USD/h' is a price by time, not a price of energy")
    assert problems[3].startswith("electricity.x.value: '80 USD/kWh' is")


def _load_refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_catalog(path)
    (problem,) = caught.value.problems
    return str(problem).removeprefix(f"{path}: ")


def test_files_that_are_no_catalogue(tmp_path: Path) -> None:
    """Not TOML, not UTF-8, too large, too deep, a folder, or absent: one message each, no traceback."""
    path = tmp_path / "my.toml"
    assert _load_refusal(path) == "does not exist, or is not a regular file"
    assert _load_refusal(tmp_path) == "is a directory"
    path.write_bytes(b"price = \n")
    assert _load_refusal(path) == "is not valid TOML: Invalid value (at line 1, column 9)"
    path.write_bytes(b"x = '\xff'")
    assert _load_refusal(path) == "is not UTF-8 text (byte 5); fix: save it as UTF-8"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert _load_refusal(path) == "is larger than 10 MB, the most a catalogue file may be"
    path.write_bytes(b"x = " + b"[" * 20_000)
    assert _load_refusal(path) == "is not valid TOML: nested too deeply"
    path.write_bytes(b"x = " + b"9" * 10_000)
    assert _load_refusal(path).startswith("is not valid TOML: Exceeds the limit")


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    """Files of editors that write a byte-order mark are read."""
    path = tmp_path / "my.toml"
    path.write_bytes(b"\xef\xbb\xbfpriced_only = ['x']")
    assert "x" in load_catalog(path).priced_only


_LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates() | st.datetimes()
_ANYTHING = st.recursive(_LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))


def _paths(tables: dict[str, object]) -> set[str]:
    """Return the places of the problems of a file with these tables; none when it is read."""
    try:
        read_tables(tables, "my.toml")
    except DataError as error:
        return {problem.path for problem in error.problems}
    return set()


@given(st.sampled_from([*OFFER, "id", "note", "from_memory", "disputed", "quotes"]), _ANYTHING)
def test_no_value_of_an_offer_breaks_the_reader(key: str, value: object) -> None:
    """Whatever a key holds, the offer is read or refused with a message at that key."""
    assert all(path.startswith(f"my.toml: offer[0].{key}") for path in _paths({"offer": [OFFER | {key: value}]}))


@given(st.sampled_from([*FABRIC, "tiers", "tiers"]), _ANYTHING)
def test_no_value_of_a_fabric_breaks_the_reader(key: str, value: object) -> None:
    """Whatever a key holds, the fabric is read or refused with a message at that key."""
    paths = _paths({"fabric": {"ours": FABRIC | {key: value}}})
    assert all(path.startswith(f"my.toml: fabric.ours.{key}") for path in paths)
