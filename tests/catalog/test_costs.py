"""Facts of cost: dated, with spreads, and the inputs and distributions made of them."""

from __future__ import annotations

import pytest

from isocost.catalog import load_catalog
from isocost.catalog.prices import (
    block_limits,
    distribution_of,
    owned_distributions,
    owned_facts,
    owned_inputs,
    price_of,
    region,
)
from isocost.catalog.schema import RATE_KINDS
from isocost.errors import InputError
from isocost.money.own import OwnedInputs, owned_cost
from isocost.stats.distributions import Fixed, Pert, SplitLognormal, draw, tornado
from isocost.stats.quantiles import interval
from isocost.units import DAY_S, HOUR_S, YEAR_S, parse

CATALOG = load_catalog()


def test_every_kind_of_fact_is_there() -> None:
    """No kind of cost is declared and left without a fact, and every source of one is in the bibliography."""
    assert {kind for kind, _ in CATALOG.rates} == set(RATE_KINDS)
    sources = {source for rate in CATALOG.rates.values() for source in rate.fact.sources}
    assert [source for source in sources if CATALOG.source(source) is None] == []


def test_figures_people_check_first() -> None:
    """A DGX H100 at 270k USD, colocation at 184.06 USD a kW-month, debt at 11 %, the US grid at 369.5 g/kWh."""
    assert CATALOG.rate("server", "h100-sxm5-80gb").median * 8 == 270e3
    assert CATALOG.rate("colocation", "us").median == pytest.approx(184.06e-3 / (YEAR_S / 12), rel=1e-12)
    assert CATALOG.rate("interest", "gpu-debt").median == 0.11
    assert CATALOG.rate("carbon", "us").median == pytest.approx(369.5e-3 / 3.6e6, rel=1e-12)
    assert sum(kind == "carbon" for kind, _ in CATALOG.rates) == 37


def test_owned_inputs_are_the_medians() -> None:
    """Each field is the median of its fact; what the caller knows replaces it."""
    found = owned_inputs(CATALOG, "h100-sxm5-80gb", utilisation_frac=0.85, interest_frac=0.06)
    assert (found.years, found.residual_frac, found.interest_frac) == (5.0, 0.30, 0.06)
    assert found.power_w == pytest.approx(700 * 1.82, rel=1e-12)
    with pytest.raises(InputError, match="the catalogue"):
        owned_inputs(CATALOG, "gb300-nvl72", utilisation_frac=0.85)


def test_a_facility_of_ones_own_replaces_colocation() -> None:
    """With site "build" the building is paid for and the colocation is not; another site is refused."""
    facts = owned_facts(CATALOG, "h100-sxm5-80gb", site="build")
    found = owned_inputs(CATALOG, "h100-sxm5-80gb", utilisation_frac=0.85, facts=facts)
    assert (found.colocation_usd_per_w_per_s, found.build_usd_per_w, found.build_years) == (0.0, 16.0, 15.0)
    with pytest.raises(InputError, match="allowed: colocation, build; did you mean build"):
        owned_facts(CATALOG, "h100-sxm5-80gb", site="built")


def test_owned_hour_of_an_h100_with_its_spread() -> None:
    """At 85 % use an H100 hour costs its owner 2 to 3.6 USD, and the price of the server moves it most."""
    inputs = owned_distributions(CATALOG, "h100-sxm5-80gb", utilisation_frac=0.85)
    found = tornado(lambda x: owned_cost(OwnedInputs(**x)).total_usd_per_s * HOUR_S, inputs, n=1000)
    assert found.bars[0].name == "server_usd"
    assert found.answer.low == pytest.approx(2.0, abs=0.1)
    assert found.answer.median == pytest.approx(2.48, abs=0.1)
    assert found.answer.high == pytest.approx(3.25, abs=0.2)


def test_distribution_of_a_fact() -> None:
    """A share stays between its ends, a price has them for p05 and p95, a lone figure is fixed."""
    assert isinstance(distribution_of(CATALOG.rate("share", "residual")), Pert)
    assert isinstance(distribution_of(CATALOG.rate("electricity", "us")), Fixed)
    price = distribution_of(CATALOG.rate("colocation", "us"))
    assert isinstance(price, SplitLognormal)
    assert price.low == parse("120 USD/kW/month", "USD/W/s")


def test_a_price_has_its_date_and_spread() -> None:
    """The market price of an H100 says low, median and high, quotes, term and date; draws keep to them."""
    price = price_of(CATALOG, "h100-sxm5-80gb")
    assert price is not None
    text = str(price)
    assert text.startswith(f"${price.median_usd_per_s * HOUR_S:.2f}/h (2.29 to ")
    assert text.endswith(f", on_demand, as of {price.fact.as_of})")
    assert f"{price.quotes} quotes" in text
    found = interval(draw({"price": price.distribution}, 50_000)["price"])
    assert found.low == pytest.approx(price.low_usd_per_s, rel=0.02)
    assert found.high == pytest.approx(price.high_usd_per_s, rel=0.03)
    assert price_of(CATALOG, "h100-sxm-96gb-hbm2e-500w") is None


def test_regions() -> None:
    """A state has its own tariff and the grid of its country; a name without either lists those that have both."""
    texas, norway = region(CATALOG, "us-tx"), region(CATALOG, "NO")
    assert (texas.electricity.id, texas.carbon.id) == ("us-tx", "us")
    assert norway.carbon.median * 3.6e9 == pytest.approx(30.1, rel=1e-12)
    assert (norway.carbon.fact.as_of, norway.carbon.fact.sources) == ("2023", ("codecarbon",))
    with pytest.raises(InputError, match="region: 'gcp-us-west1' has no electricity fact"):
        region(CATALOG, "gcp-us-west1")


def test_what_a_capacity_block_holds() -> None:
    """64 instances of 8 H100 or of 16 Trainium for 182 days, booked eight weeks ahead, with the date."""
    found = block_limits(CATALOG, "h100-sxm5-80gb")
    assert (found.gpus, found.longest_s, found.lead_s) == (512, 182 * DAY_S, 56 * DAY_S)
    assert block_limits(CATALOG, "trainium1").gpus == 1024
    assert str(found).endswith("(512 GPUs) for 182 d, booked at most 56 d ahead (AWS, 2024-12)")
