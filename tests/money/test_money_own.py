"""What an owned hour costs, by hand, and what the engine refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.catalog import load_catalog
from isocost.catalog.prices import owned_inputs
from isocost.errors import InputError
from isocost.money.own import (
    OwnedInputs,
    capital_annuity_usd,
    capital_recovery_factor,
    effective_interest_frac,
    overnight_usd,
    owned_cost,
    resale_frac,
    useful_usd_per_s,
)
from isocost.units import parse

HOUR = 3600.0
CATALOG = load_catalog()
# An H100 at 39.5k USD ready to run: three years, 30 % resale, 11 % interest, 85 % used, colocation and tariff listed.
H100 = OwnedInputs(
    server_usd=39_500.0,
    years=3.0,
    residual_frac=0.30,
    interest_frac=0.11,
    utilisation_frac=0.85,
    power_w=1275.0,  # 10.2 kW for 8
    colocation_usd_per_w_per_s=parse("184.06 USD/kW/month", "USD/W/s"),
    electricity_usd_per_j=parse("0.0826 USD/kWh", "USD/J"),
    pue=1.25,
    draw_frac=0.75,
    idle_draw_frac=0.3,
)


def test_capital_recovery_by_hand() -> None:
    """10 % over 10 years is 0.16275 a year; 100 % over one year repays 2; without interest it is 1 / years."""
    assert capital_recovery_factor(interest_frac=0.10, years=10.0) == pytest.approx(0.1627453949, rel=1e-9)
    assert capital_recovery_factor(interest_frac=1.0, years=1.0) == pytest.approx(2.0, rel=1e-15)
    assert capital_recovery_factor(interest_frac=0.0, years=4.0) == pytest.approx(0.25, rel=1e-15)


@given(st.floats(0.0, 1.0), st.floats(0.5, 30.0))
def test_capital_recovery_repays(interest: float, years: float) -> None:
    """Payments of the factor, discounted, are worth the dollar that was lent, for any rate down to none."""
    factor = float(capital_recovery_factor(interest_frac=interest, years=years))
    annuity = years if interest < 1e-12 else -np.expm1(-years * np.log1p(interest)) / interest
    assert factor * annuity == pytest.approx(1.0, rel=1e-9)


def test_effective_interest_by_hand() -> None:
    """12 % compounded monthly is 12.6825 % a year; compounded once it is itself."""
    assert effective_interest_frac(interest_frac=0.12, interest_periods=12.0) == pytest.approx(0.12682503, rel=1e-8)
    assert effective_interest_frac(interest_frac=0.12, interest_periods=1.0) == pytest.approx(0.12, rel=1e-14)


def test_overnight_and_annuity_by_hand() -> None:
    """30k is 75 % of the hardware, a tenth on top is 44k; 40k at 30 % resale, factor 0.4 and 10 % is 12.4k a year."""
    capital = overnight_usd(server_usd=30e3, network_frac=0.2, storage_frac=0.05, installation_frac=0.1)
    assert capital == pytest.approx(44e3, rel=1e-14)
    yearly = capital_annuity_usd(overnight_usd=40e3, resale_frac=0.3, recovery_frac=0.4, interest_frac=0.1)
    assert yearly == pytest.approx(12_400.0, rel=1e-14)


def test_resale_by_hand() -> None:
    """30 % after three years is 30 % at three, 9 % at six and all of it at once."""
    left = resale_frac(residual_frac=0.3, residual_years=3.0, years=np.array([0.0, 3.0, 6.0]))
    assert left == pytest.approx([1.0, 0.3, 0.09], rel=1e-14)


def test_the_worked_h100() -> None:
    """1.72 of capital, 0.38 of colocation and 0.11 of energy make 2.20 USD a used hour, before staff."""
    cost = owned_cost(H100)
    hourly = {name: round(float(line) * HOUR, 2) for name, line in cost.lines().items()}
    assert hourly == {"capital": 1.72, "site": 0.38, "energy": 0.11, "staff": 0.0, "maintenance": 0.0}
    assert float(cost.total_usd_per_s) * HOUR == pytest.approx(2.20, abs=0.005)


def test_the_worked_h100_at_an_effective_rate() -> None:
    """With 11 % as an effective yearly rate the capital is 1.69: 39.5k x (0.7 x 0.40921 + 0.3 x 0.11) over 7,451 h."""
    yearly = 39_500 * (0.7 * 0.4092131 + 0.3 * 0.11)
    cost = owned_cost(replace(H100, interest_periods=1.0))
    assert float(cost.capital_usd_per_s) * HOUR == pytest.approx(yearly / (8766 * 0.85), rel=1e-6)


def test_parts_add_up_and_useful_hours_cost_more() -> None:
    """The lines sum to the total, and a useful hour costs the total over goodput."""
    cost = owned_cost(owned_inputs(CATALOG, "h100-sxm5-80gb", utilisation_frac=0.85))
    assert sum(map(float, cost.lines().values())) == pytest.approx(float(cost.total_usd_per_s), rel=1e-14)
    assert all(line > 0 for line in cost.lines().values())
    assert cost.useful_usd_per_s(0.8) == pytest.approx(float(cost.total_usd_per_s) / 0.8, rel=1e-15)
    assert useful_usd_per_s(price_usd_per_s=2.0, goodput_frac=0.5) == 4.0


def test_twice_the_price_twice_the_capital() -> None:
    """Capital and maintenance are proportional to the price of the server; the rest does not move."""
    once, twice = owned_cost(H100), owned_cost(replace(H100, server_usd=79_000.0))
    assert twice.capital_usd_per_s == pytest.approx(2 * float(once.capital_usd_per_s), rel=1e-14)
    assert (twice.site_usd_per_s, twice.energy_usd_per_s) == (once.site_usd_per_s, once.energy_usd_per_s)


def test_own_facility_in_place_of_colocation() -> None:
    """16 USD a watt over 15 years without interest is 1.0667 USD a watt and year."""
    built = replace(
        H100,
        colocation_usd_per_w_per_s=0.0,
        build_usd_per_w=16.0,
        build_years=15.0,
        interest_frac=0.0,
        utilisation_frac=1.0,
    )
    assert float(owned_cost(built).site_usd_per_s) * HOUR * 8766 == pytest.approx(1275 * 16 / 15, rel=1e-12)


def test_draws_run_on_the_leading_axis() -> None:
    """An array of prices gives the array of costs, each as if alone."""
    prices = np.array([20e3, 39.5e3, 60e3])
    many = owned_cost(replace(H100, server_usd=prices)).total_usd_per_s
    assert many == pytest.approx([float(owned_cost(replace(H100, server_usd=p)).total_usd_per_s) for p in prices])


def test_bad_inputs_come_out_all_at_once() -> None:
    """Lifetime 0, interest 10 for 10 %, utilisation 1.2, a negative price and a non-number are one error."""
    with pytest.raises(InputError) as caught:
        replace(H100, server_usd=-1.0, years=0.0, interest_frac=10.0, utilisation_frac=1.2, power_w="1 kW")  # type: ignore[arg-type]
    assert str(caught.value).splitlines() == [
        "owned.server_usd: -1.0 is negative; allowed: above 0",
        "owned.years: 0.0 is zero; allowed: 0.1 or more, at most 30; fix: give years, such as 3",
        "owned.interest_frac: 10.0 is too large; allowed: 0 or more, at most 1; fix: write 0.1 for 10 %",
        "owned.utilisation_frac: 1.2 is too large; allowed: above 0, at most 1; fix: write a share of 1",
        "owned.power_w: '1 kW' is not a number; allowed: 0 or more",
    ]


def test_one_bad_draw_is_refused() -> None:
    """An array is refused for one entry out of bounds, which is named."""
    with pytest.raises(InputError, match=r"owned\.utilisation_frac: 1\.5 is too large"):
        replace(H100, utilisation_frac=np.array([0.5, 1.5]))
