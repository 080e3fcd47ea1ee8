"""Break-even of rent and own, worth of a point, premium, and waiting, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.catalog import load_catalog
from isocost.catalog.prices import owned_inputs
from isocost.errors import InputError
from isocost.money.breakeven import (
    Offered,
    break_even_curve,
    break_even_utilisation,
    point_worth,
    premium,
    saved_frac,
)
from isocost.money.own import owned_cost
from isocost.money.wait import WaitInputs, future_price_usd_per_s, wait_or_train
from isocost.units import DAY_S, HOUR_S, YEAR_S

OWNED = owned_inputs(load_catalog(), "h100-sxm5-80gb", utilisation_frac=0.85)
YEARS = np.array([1.0, 2.0, 3.0, 5.0])
USE = np.array([0.2, 0.5, 0.85, 1.0])
WAIT = WaitInputs(
    accelerator_s=1e6 * HOUR_S,
    gpus=1000.0,
    price_usd_per_s=2.0 / HOUR_S,
    wait_s=YEAR_S,
    speedup=2.0,
    new_price_ratio=1.5,
    late_s=YEAR_S,
    yearly_price_ratio={"falls": 0.7, "rises": 1.2},
)


def test_break_even_by_hand() -> None:
    """Fixed cost 1 an hour against rent 2 and running cost 0.1: used 1 / 1.9 of the time; idle draw adds."""
    plain = break_even_utilisation(
        owned_fixed_usd_per_s=1.0, rent_usd_per_s=2.0, owned_running_usd_per_s=0.1, owned_idle_usd_per_s=0.0
    )
    assert plain == pytest.approx(1 / 1.9, rel=1e-15)
    idle = break_even_utilisation(
        owned_fixed_usd_per_s=1.0, rent_usd_per_s=2.0, owned_running_usd_per_s=0.1, owned_idle_usd_per_s=0.05
    )
    assert idle == pytest.approx(1.05 / 1.95, rel=1e-15)


@pytest.mark.parametrize("rent", [2.2, 2.95, 6.0])
def test_at_break_even_both_cost_the_same(rent: float) -> None:
    """Owning at the utilisation of break-even costs the rent, for every horizon where it is a share."""
    curve = break_even_curve(OWNED, rent / HOUR_S, YEARS, USE)
    checked = 0
    for years, needed in zip(YEARS, curve.break_even, strict=True):
        if 0 < needed <= 1:
            cost = owned_cost(replace(OWNED, years=years, utilisation_frac=float(needed)))
            assert float(cost.total_usd_per_s) * HOUR_S == pytest.approx(rent, rel=1e-12)
            checked += 1
    assert checked >= 1


def test_curve_falls_with_years_and_use() -> None:
    """A longer horizon needs less use, more use costs less an hour, and dearer rent makes owning pay sooner."""
    curve = break_even_curve(OWNED, 2.95 / HOUR_S, YEARS, USE)
    assert curve.break_even.shape == (4,)
    assert curve.owned_usd_per_s.shape == curve.saved_by_owning_frac.shape == (4, 4)
    assert (np.diff(curve.break_even) < 0).all()
    assert (np.diff(curve.owned_usd_per_s, axis=1) < 0).all()
    dear = break_even_curve(OWNED, 6.0 / HOUR_S, YEARS, USE)
    assert (dear.break_even < curve.break_even).all()
    assert dear.years_to_break_even(0.85) < curve.years_to_break_even(0.85)
    assert np.isinf(break_even_curve(OWNED, 0.5 / HOUR_S, YEARS, USE).years_to_break_even(0.85))


def test_curve_takes_draws() -> None:
    """Draws of a price, shape (n, 1, 1), stay on the leading axis."""
    prices = np.array([30e3, 40e3, 50e3])[:, None, None]
    curve = break_even_curve(replace(OWNED, server_usd=prices), 2.95 / HOUR_S, YEARS, USE)
    assert (curve.break_even.shape, curve.owned_usd_per_s.shape) == ((3, 4), (3, 4, 4))
    middle = break_even_curve(replace(OWNED, server_usd=40e3), 2.95 / HOUR_S, YEARS, USE)
    assert curve.break_even[1] == pytest.approx(middle.break_even, rel=1e-14)
    assert curve.years_to_break_even(0.85).shape == (3,)


def test_a_point_by_hand() -> None:
    """One point on 38 % MFU saves 1/39 of a 39 MUSD run of 78 days: 1 MUSD and 2 days."""
    worth = point_worth(share_frac=0.38, scaling_usd=39e6, run_s=78 * DAY_S)
    assert worth.saved_frac == pytest.approx(1 / 39, rel=1e-14)
    assert worth.saved_usd == pytest.approx(1e6, rel=1e-14)
    assert worth.saved_s == pytest.approx(2 * DAY_S, rel=1e-14)


def test_the_tuning_story() -> None:
    """From 23.83 % to 50.20 % MFU, time and bill are 0.4747 times what they were: 52.5 % saved."""
    assert 1 - saved_frac(share_frac=0.2383, gain_frac=0.2637) == pytest.approx(0.4747, abs=5e-5)


def test_points_that_cannot_be() -> None:
    """An MFU given in percent, and one that ends above 1, are refused together with the rest."""
    with pytest.raises(InputError) as caught:
        point_worth(share_frac=38.0, scaling_usd=-1.0, run_s=0.0)
    assert [problem.path for problem in caught.value.problems] == [
        "mfu.share_frac",
        "mfu.scaling_usd",
        "mfu.run_s",
        "mfu.after",
    ]
    assert caught.value.problems[0].fix == "write 0.38 for 38 %"


def test_premium_by_hand() -> None:
    """1.5 M against 1 M GPU-hours at 2 USD: the better may cost 3; at 2.50 it has 0.50 to spare, at 3.50 it has not."""
    plain = Offered(price_usd_per_s=2.0 / HOUR_S, accelerator_s=1.5e6 * HOUR_S)
    better = Offered(price_usd_per_s=2.5 / HOUR_S, accelerator_s=1e6 * HOUR_S)
    found = premium(plain, better)
    assert float(found.break_even_usd_per_s) * HOUR_S == pytest.approx(3.0, rel=1e-14)
    assert float(found.premium_usd_per_s) * HOUR_S == pytest.approx(1.0, rel=1e-14)
    assert float(found.margin_usd_per_s) * HOUR_S == pytest.approx(0.5, rel=1e-14)
    assert not found.commodity_is_fine
    assert premium(plain, replace(better, price_usd_per_s=3.5 / HOUR_S)).commodity_is_fine


@given(st.floats(0.5, 10.0), st.floats(1e3, 1e9), st.floats(1e3, 1e9), st.floats(0, 1e6), st.floats(0, 1e6))
def test_at_the_break_even_price_results_cost_the_same(
    price: float, plain_s: float, better_s: float, other: float, better_other: float
) -> None:
    """Paying the break-even price on the better offer gives the bill of the plain one."""
    plain = Offered(price_usd_per_s=price, accelerator_s=plain_s, other_usd=other)
    better = Offered(price_usd_per_s=0.0, accelerator_s=better_s, other_usd=better_other)
    even = replace(better, price_usd_per_s=premium(plain, better).break_even_usd_per_s)
    assert even.total_usd == pytest.approx(plain.total_usd, rel=1e-9)


def test_future_price_by_hand() -> None:
    """A fall of 30 % a year leaves 49 % after two."""
    later = future_price_usd_per_s(price_usd_per_s=1.0, yearly_ratio=0.7, years=2.0)
    assert later == pytest.approx(0.49, rel=1e-14)


def test_waiting_by_hand() -> None:
    """2 MUSD now; in a year half the hours at 1.5 x 0.7 x 2 USD are 1.05 MUSD; late by a year 0.735; rising 1.8."""
    answer = wait_or_train(WAIT)
    assert (answer.now_usd, answer.now_done_s) == (2e6, 1000 * HOUR_S)
    bills = {(s.prices, s.chip): float(s.bill_usd) for s in answer.scenarios}
    assert bills == pytest.approx(
        {
            ("falls", "next chip on time"): 1.05e6,
            ("falls", "next chip late"): 0.735e6,
            ("falls", "same chip"): 1.4e6,
            ("rises", "next chip on time"): 1.8e6,
            ("rises", "next chip late"): 2.16e6,
            ("rises", "same chip"): 2.4e6,
        },
        rel=1e-12,
    )
    assert answer.verdict == (
        "waiting pays in 4 of 6 scenarios: falls and next chip on time, falls and next chip late, "
        "falls and same chip, rises and next chip on time"
    )


def test_the_value_of_time_decides() -> None:
    """At the value of time of a tie, waiting and training now cost the same; with a higher one training now wins."""
    first = wait_or_train(WAIT).scenarios[0]
    tied = wait_or_train(replace(WAIT, delay_usd_per_s=float(first.tie_delay_usd_per_s))).scenarios[0]
    assert float(tied.saved_usd) == pytest.approx(0.0, abs=1e-3)
    assert wait_or_train(replace(WAIT, delay_usd_per_s=1.0)).verdict.startswith("train now")
    assert first.tie_delay_usd_per_s == pytest.approx(0.95e6 / (YEAR_S - 500 * HOUR_S), rel=1e-12)


def test_one_sided_futures_are_refused() -> None:
    """A forecast that only falls is refused, with every other problem."""
    with pytest.raises(InputError) as caught:
        replace(WAIT, speedup=0.0, wait_s=-1.0, yearly_price_ratio={"falls": 0.7, "halves": 0.5})
    assert [problem.path for problem in caught.value.problems] == [
        "wait.wait_s",
        "wait.speedup",
        "wait.yearly_price_ratio",
    ]
    with pytest.raises(InputError, match="ratio that is not above 0"):
        replace(WAIT, yearly_price_ratio={"falls": -0.3, "rises": 1.3})


def test_the_next_chip_has_prices_of_its_own() -> None:
    """Its trend moves its price and not that of today's chip; sold today it is a future without waiting."""
    own = replace(WAIT, new_yearly_price_ratio={"falls": 0.5, "rises": 3.0}, sold_today=True)
    answer = wait_or_train(own)
    bills = {(s.prices, s.chip): float(s.bill_usd) for s in answer.scenarios}
    assert bills["falls", "next chip on time"] == pytest.approx(1e6 * 1.5 * 0.5, rel=1e-12)
    assert bills["rises", "next chip late"] == pytest.approx(1e6 * 1.5 * 9.0, rel=1e-12)
    assert bills["falls", "same chip"] == pytest.approx(1.4e6, rel=1e-12)
    assert answer.today is not None
    assert (float(answer.today.bill_usd), float(answer.today.saved_usd)) == pytest.approx((1.5e6, 0.5e6), rel=1e-12)
    assert wait_or_train(WAIT).today is None
    with pytest.raises(InputError, match=r"wait\.new_yearly_price_ratio: 'falls' has other scenarios"):
        replace(WAIT, new_yearly_price_ratio={"falls": 0.5})


def test_the_change_of_price_that_ties() -> None:
    """1.5 MUSD after a year against 2 now: a rise by a third; where the delay alone costs more there is none."""
    first = wait_or_train(WAIT).scenarios[0]
    assert float(first.tie_yearly_ratio) == pytest.approx(2.0 / 1.5, rel=1e-12)
    late = wait_or_train(WAIT).scenarios[1]  # two years
    assert float(late.tie_yearly_ratio) == pytest.approx((2.0 / 1.5) ** 0.5, rel=1e-12)
    dear = wait_or_train(replace(WAIT, delay_usd_per_s=1.0)).scenarios[0]
    assert np.isnan(dear.tie_yearly_ratio)
