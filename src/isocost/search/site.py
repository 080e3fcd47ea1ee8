"""What a run on an option costs and draws."""

from __future__ import annotations

from dataclasses import dataclass

from isocost.catalog.store import Catalog
from isocost.money.rent import accelerator_s, energy_j, energy_usd, facility_power_w, rent_usd, run_s
from isocost.search.question import OWNED, Option, Question
from isocost.stats.quantiles import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where an option runs: power of one accelerator at the meter, and what a joule costs. ``None``: TDP not known."""

    full_w: float | None  # at full draw, at the median PUE: what the site has to provide
    mean_w: Interval | None  # while training
    electricity_usd_per_j: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a run of given length costs."""

    price_usd: Interval | None
    energy_j: Interval | None
    energy_usd: Interval | None
    cost_usd: Interval | None


def site(question: Question, option: Option, catalog: Catalog) -> Site:
    """Look up node, PUE, draw and electricity for an option."""
    node = catalog.node_of(option.accelerator)
    pue = catalog.rate("pue", question.pue)
    draw = catalog.rate("draw", "tpu" if option.accelerator.id.startswith("tpu") else "gpu")
    power = catalog.rate("electricity", question.electricity)
    tdp = option.accelerator.tdp_w
    electricity = Interval(low=power.low, median=power.median, high=power.high)
    if tdp is None:
        return Site(full_w=None, mean_w=None, electricity_usd_per_j=electricity)

    def watts(site_pue: float, draw_frac: float) -> float:
        return float(
            facility_power_w(gpus=1.0, tdp_w=tdp, power_over_tdp=node.power_over_tdp, pue=site_pue, draw_frac=draw_frac)
        )

    mean = Interval(
        low=watts(pue.low, draw.low), median=watts(pue.median, draw.median), high=watts(pue.high, draw.high)
    )
    return Site(full_w=watts(pue.median, 1.0), mean_w=mean, electricity_usd_per_j=electricity)


def bill(option: Option, place: Site, gpus: int, steps: int, step_s: float) -> Bill:
    """Price, energy and their sum where both are paid."""
    seconds = run_s(steps=float(steps), step_s=step_s)
    held = accelerator_s(gpus=float(gpus), run_s=seconds)
    price = None
    if option.median_usd_per_s is not None:
        median, low, high = option.median_usd_per_s, option.low_usd_per_s, option.high_usd_per_s
        rates = (median if low is None else low, median, median if high is None else high)
        price = Interval(
            **{
                name: float(rent_usd(accelerator_s=held, price_usd_per_s=rate))
                for name, rate in zip(("low", "median", "high"), rates, strict=True)
            }
        )
    if place.mean_w is None:
        return Bill(price_usd=price, energy_j=None, energy_usd=None, cost_usd=None if option.term == OWNED else price)
    mean, tariff = place.mean_w, place.electricity_usd_per_j
    joules = {name: energy_j(power_w=gpus * getattr(mean, name), run_s=seconds) for name in ("low", "median", "high")}
    energy = Interval(
        **{
            name: float(energy_usd(energy_j=drawn, electricity_usd_per_j=getattr(tariff, name)))
            for name, drawn in joules.items()
        }
    )
    cost = price
    if price is not None and option.term == OWNED:
        cost = Interval(low=price.low + energy.low, median=price.median + energy.median, high=price.high + energy.high)
    return Bill(
        price_usd=price,
        energy_j=Interval(**{name: float(drawn) for name, drawn in joules.items()}),
        energy_usd=energy,
        cost_usd=cost,
    )


def cost_usd_per_s(option: Option, place: Site) -> float:
    """Median cost of an accelerator-second as in ``bill``; nan where it is not known."""
    cost = bill(option, place, 1, 1, 1.0).cost_usd
    return float("nan") if cost is None else cost.median
