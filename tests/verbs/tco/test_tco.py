"""Every way to pay: prices, commitments, spot, owning, break-even, waiting, energy, and what a point is worth."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

import isocost
from isocost.cli import run
from isocost.errors import InputError
from isocost.verbs.tco.answer import Tco
from isocost.verbs.tco.payment import PaymentOption

EXAMPLES = Path(__file__).parents[3] / "examples"
LLAMA = EXAMPLES / "llama-3.1-405b.toml"
SMALL = {
    "model": "llama-3.1-8b", "tokens": "200 B", "seq_len": 8192, "global_batch": 512, "on": "h100-sxm5-80gb",
    "gpus": 128,
}  # fmt: skip


@pytest.fixture(scope="module")
def found() -> Tco:
    """Return the ways to pay for the Llama 3.1 405B run."""
    return isocost.tco(LLAMA, years=(1, 3, 5))


@pytest.fixture(scope="module")
def small() -> Tco:
    """Return the ways to pay for an 8B run on 16 nodes, with a wait."""
    return isocost.tco(SMALL, years=(3,), wait="6 months", region=["us-tx", "no"])


def _way(answer: Tco, name: str) -> PaymentOption:
    return next(way for way in answer.ways if way.name == name)


def test_every_way_is_there_with_its_spread(found: Tco) -> None:
    """Demand, spot in two pools, both reservations, block and owning; a useful hour is dearer than a used one."""
    names = [way.name for way in found.ways]
    assert names == [
        "on demand", "spot, calm pool", "spot, contended pool", "reserved 1y", "reserved 3y", "capacity block",
        "owned, 1 y", "owned, 3 y", "owned, 5 y",
    ]  # fmt: skip
    for way in found.ways:
        assert way.price is not None
        assert way.price[0] <= way.price[1] <= way.price[2]
        assert way.as_of
        if way.bill is not None:
            assert way.bill[0] < way.bill[1] < way.bill[2]
            assert (way.used_usd_per_hour or 0) < (way.useful_usd_per_hour or 0)
        else:
            assert way.note


def test_a_reservation_longer_than_the_run_pays_its_end(found: Tco) -> None:
    """The bill of a year is at least a year of all accelerators, its idle part is stated, and half of it saves that."""
    year = _way(found, "reserved 1y")
    assert year.price is not None
    assert year.bill is not None
    assert year.bill[1] > 16384 * 8766 * year.price[1]
    used = float(np.median(found.plan.answer.forecast.gpu_hours))  # type: ignore[union-attr]
    assert year.idle_usd == pytest.approx((16384 * 8766 - used) * year.price[1], rel=0.005)
    assert "the whole year of 16,384 GPUs is billed" in year.note
    assert "[purchase] resold = 0.5" in year.note
    resold = isocost.tco(LLAMA, years=(1,), purchase={"resold": "50 %"})
    half = _way(resold, "reserved 1y")
    assert half.bill is not None
    assert half.bill[1] == pytest.approx(year.bill[1] - year.idle_usd / 2, rel=0.002)
    assert "50% of its price coming back ([purchase] resold)" in half.note


def test_a_block_that_nobody_sells_has_no_bill(found: Tco, small: Tco) -> None:
    """2,048 instances are more than a block holds: no bill, and why with the date; 16 for weeks can be had."""
    block = _way(found, "capacity block")
    assert block.bill is None
    assert block.price is not None
    assert block.note.startswith("not to be had for 2,048 instances of 8 for ")
    assert "64 instances (512 GPUs) for 182 d, booked at most 56 d ahead (AWS, 2024-12)" in block.note
    assert _way(small, "capacity block").bill is not None


def test_spot_competes_where_groups_like_it_are_on_record(small: Tco) -> None:
    """On 16 nodes spot in a calm pool leads the sentence with its interval; a contended pool is beside."""
    calm, contended = _way(small, "spot, calm pool"), _way(small, "spot, contended pool")
    firm = _way(small, "on demand")
    assert calm.bill is not None
    assert firm.bill is not None
    assert calm.bill[1] < firm.bill[1]
    assert calm.ends_frac == 1.0
    assert small.sentence.startswith("Cheapest for this run: spot at $")
    assert "while its pool is calm" in small.sentence
    assert "of capacity that stays, owned, 3 y at" in small.sentence
    assert contended.ends_frac < 0.9
    assert contended.bill is None
    assert "cheaper than on demand at any size up to 16,384 nodes" in calm.note
    assert "cheaper than on demand up to " in contended.note


def test_spot_beyond_the_record_does_not_lead(found: Tco, small: Tco) -> None:
    """On 2,048 nodes spot is cheaper by its rate, but the sentence says that no such group is on record."""
    assert _way(found, "spot, calm pool").bill is not None
    assert found.sentence.startswith("Cheapest for this run: owned, 5 y at ")
    assert "no group of more than 16 nodes is on record (this one has 2,048)" in found.sentence
    assert "in a contended one the run does not end" in found.sentence
    assert "does not end" not in small.sentence


def test_a_quote_is_a_way_of_its_own() -> None:
    """A price of [purchase] is the first row, with its host on its bill alone; other rows stay as they were."""
    plain = isocost.tco(SMALL, years=(3,))
    quoted = isocost.tco(SMALL, years=(3,), purchase={"price": "3.90 USD/gpu/h", "host": "1 USD/gpu/h"})
    own = quoted.ways[0]
    assert (own.name, own.as_of) == ("your price, on demand", "yours")
    assert own.price == pytest.approx((3.90, 3.90, 3.90), rel=1e-9)
    assert own.bill is not None
    hours = float(np.median(quoted.plan.answer.forecast.gpu_hours))  # type: ignore[union-attr]
    assert own.bill[1] > 4.90 * hours
    assert quoted.ways[1:] == plain.ways


def test_break_even_is_where_both_cost_the_same(found: Tco) -> None:
    """On the curve the owned hour at the break-even use costs the rent; longer horizons need less use."""
    assert found.owning is not None
    curve = found.owning.curve
    assert curve is not None
    assert (np.diff(curve.break_even) < 0).all()
    for k in range(curve.years.size):
        owned = np.interp(1 / curve.break_even[k], 1 / curve.utilisation_frac[::-1], curve.owned_usd_per_s[k][::-1])
        assert owned == pytest.approx(curve.rent_usd_per_s[k, 0], rel=1e-6)


def test_what_moves_the_break_even(found: Tco, small: Tco) -> None:
    """Dearer rent lowers it; dearer money, servers and maintenance raise it; a better resale lowers it."""
    for answer in (found, small):
        assert answer.owning is not None
        moved = {m.name: m.break_even for m in answer.owning.moved}
        falling = {"rent on demand", "resale value after 3 years"}
        assert len(moved) == 5
        assert {name for name, (low, high) in moved.items() if high < low} == falling
    assert found.owning is not None
    assert found.owning.moved_years == 3.0
    assert found.owning.moved[0].ends == ("$2.29/h", "$11.06/h")


def test_the_owned_hour_of_the_worked_example() -> None:
    """39.5k USD, three years, 30 % resale, 11 % interest, 85 % used: 1.72 + 0.38 + 0.11 USD an hour."""
    owning = isocost.tco(EXAMPLES / "owned-h100.toml", years=(3,)).owning
    assert owning is not None
    rounded = {name: round(usd, 2) for name, usd in owning.lines[3.0].items()}
    assert rounded == {
        "capital": 1.72, "site": 0.38, "energy": 0.11, "staff": 0.0, "maintenance": 0.0, "total": 2.2,
    }  # fmt: skip


def test_owned_inputs_that_cannot_be() -> None:
    """A PUE below 1, a network of most of the capital, and colocation in a building of one's own are errors."""
    for owned, said in (
        ({"pue": 0.9, "network": "60 %"}, ["pue", "network"]),
        ({"site": "build", "colocation": "150 USD/kW/month"}, ["colocation"]),
        ({"interest": "10"}, ["interest"]),
        ({"draw": 1.2, "staff": -1}, ["draw", "staff"]),
    ):
        with pytest.raises(InputError) as caught:
            isocost.tco(SMALL, years=(3,), owned=owned)
        assert sorted(p.path.removeprefix("owned.").removesuffix("_frac") for p in caught.value.problems) == sorted(
            said
        )


def test_a_server_of_ones_own() -> None:
    """A chip that no server is listed of is owned at the stated price; without one its row says what to give."""
    asked = SMALL | {"on": "h800-sxm5-80gb"}
    unpriced, own = isocost.tco(asked, years=(3,)), isocost.tco(asked, years=(3,), owned={"server": "35 kUSD"})
    assert _way(unpriced, "owned, 3 y").note == "nobody lists a server of h800-sxm5-80gb: give [owned] server"
    assert unpriced.owning is None
    assert _way(own, "owned, 3 y").as_of == "yours"
    assert own.sentence.startswith("Cheapest for this run: owned, 3 y at $")


def test_a_point_is_worth_its_share(found: Tco) -> None:
    """One point of MFU at m saves 0.01 / (m + 0.01) of the accelerators' time."""
    assert found.mfu_point is not None
    mfu = found.chosen.mfu or 0.0
    assert float(found.mfu_point.saved_frac) == pytest.approx(0.01 / (mfu + 0.01), rel=1e-12)


def test_energy_in_regions(small: Tco) -> None:
    """The same energy costs the tariff of each region and emits its grid's carbon: 369.5 and 30.1 g a kWh."""
    texas, norway = small.energy
    assert float(texas.used.energy_j) == float(norway.used.energy_j) > 0
    for place, grams in ((texas, 369.5), (norway, 30.1)):
        kwh = float(place.used.energy_j) / 3.6e6
        assert float(place.used.carbon_kg) == pytest.approx(kwh * grams / 1000, rel=1e-9)
        assert float(place.used.energy_usd) == pytest.approx(float(place.used.energy_j) * place.usd_per_j[1], rel=1e-12)
    with pytest.raises(InputError, match="region: 'mars' has no electricity fact") as caught:
        isocost.tco(SMALL, region=["mars", "us-tx", "moon"])
    assert [problem.given for problem in caught.value.problems] == ["mars", "moon"]


def test_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has the ways and the curve; years that are none are refused, and lengths without a wait."""
    assert run(["tco", str(LLAMA), "--years", "2", "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["break_even"]["years"] == [2]
    assert len(values["ways"]) == 7
    assert values["wait"] is None
    assert run(["tco", str(LLAMA), "--years", "2", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(rows[0][f"bill_usd{end}"]) for end in ("_p05", "", "_p95")] == [
        values["ways"][0][f"bill_usd{end}"] for end in ("_p05", "", "_p95")
    ]
    assert rows[5]["way"] == "capacity block"
    assert rows[5]["note"].startswith("not to be had")
    assert run(["tco", str(LLAMA), "--years", "soon"]) == 2
    assert run(["tco", str(LLAMA), "--late", "1 year", "--next-chip", "b200"]) == 2
    said = capsys.readouterr().err
    assert "--late: is for --wait, which is missing" in said
    assert "--next-chip: is for --wait, which is missing" in said
    with pytest.raises(InputError, match="out of range"):
        isocost.tco(LLAMA, years=(0,))
