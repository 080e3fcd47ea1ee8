"""Every way to pay: prices, commitments, owning, break-even, and what a point is worth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import isocost
from isocost.cli import run
from isocost.errors import InputError
from isocost.report.tco import Tco

LLAMA = Path(__file__).parents[1] / "examples" / "llama-3.1-405b.toml"


@pytest.fixture(scope="module")
def found() -> Tco:
    """Return the ways to pay for the Llama 3.1 405B run."""
    return isocost.tco(LLAMA, years=(1, 3, 5))


def test_every_way_is_there_with_its_spread(found: Tco) -> None:
    """Demand, spot, both reservations, block and owning for each horizon; a useful hour is dearer than a used one."""
    names = [way.name for way in found.ways]
    assert names == [
        "on demand", "spot", "reserved 1y", "reserved 3y", "capacity block", "owned, 1 y", "owned, 3 y", "owned, 5 y",
    ]  # fmt: skip
    for way in found.ways:
        if way.bill_usd is not None:
            assert way.price is not None
            assert way.price[0] <= way.price[1] <= way.price[2]
            assert (way.used_usd_per_hour or 0) < (way.useful_usd_per_hour or 0)


def test_a_reservation_longer_than_the_run_pays_its_end(found: Tco) -> None:
    """The bill of a year is at least a year of all accelerators."""
    year = next(way for way in found.ways if way.name == "reserved 1y")
    assert year.price is not None
    assert year.bill_usd is not None
    assert year.bill_usd > 16384 * 8766 * year.price[1]


def test_break_even_is_where_both_cost_the_same(found: Tco) -> None:
    """On the curve the owned hour at the break-even use costs the rent; longer horizons need less use."""
    curve = found.curve
    assert curve is not None
    assert (np.diff(curve.break_even) < 0).all()
    for k in range(curve.years.size):
        owned = np.interp(1 / curve.break_even[k], 1 / curve.utilisation_frac[::-1], curve.owned_usd_per_s[k][::-1])
        assert owned == pytest.approx(curve.rent_usd_per_s[k, 0], rel=1e-6)


def test_a_point_is_worth_its_share(found: Tco) -> None:
    """One point of MFU at m saves 0.01 / (m + 0.01) of the accelerators' time."""
    assert found.mfu_point is not None
    mfu = found.chosen.mfu or 0.0
    assert float(found.mfu_point.saved_frac) == pytest.approx(0.01 / (mfu + 0.01), rel=1e-12)


def test_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has the ways and the curve; years that are none are refused."""
    assert run(["tco", str(LLAMA), "--years", "2", "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["break_even"]["years"] == [2]
    assert len(values["ways"]) == 6
    assert run(["tco", str(LLAMA), "--years", "soon"]) == 2
    with pytest.raises(InputError, match="out of range"):
        isocost.tco(LLAMA, years=(0,))
