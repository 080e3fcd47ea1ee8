"""Where an option runs: its watts and tariffs, and what a run of given length is charged there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocost.catalog.store import Catalog
from isocost.money.bill import BillInputs, bill
from isocost.money.rent import energy_j, energy_usd, facility_power_w
from isocost.money.terms import ON_DEMAND, Terms
from isocost.num import Num
from isocost.search.question import OWNED, Option, Question
from isocost.stats.quantiles import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """What a run draws at the meter, and its price."""

    energy_j: Interval
    energy_usd: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where an option runs: power of one accelerator at the meter, and what a joule costs. ``None``: TDP not known."""

    full_w: float | None  # at full draw, at the median PUE: what the site has to provide
    mean_w: Interval | None  # while training
    electricity_usd_per_j: Interval

    def energy(self, gpus: int, run_s: float) -> Energy | None:
        """Return the energy of a run; None where the power of the chip is not known."""
        if self.mean_w is None:
            return None
        joules = energy_j(power_w=gpus * _ends(self.mean_w), run_s=run_s)
        usd = energy_usd(energy_j=joules, electricity_usd_per_j=_ends(self.electricity_usd_per_j))
        return Energy(energy_j=_interval(joules), energy_usd=_interval(usd))


def _ends(known: Interval) -> NDArray[np.float64]:
    return np.array([known.low, known.median, known.high])


def _interval(ends: Num) -> Interval:
    low, median, high = np.asarray(ends).tolist()
    return Interval(low=low, median=median, high=high)


def site(question: Question, option: Option, catalog: Catalog) -> Site:
    """Look up node, PUE, draw and electricity for an option."""
    node = catalog.node_of(option.accelerator)
    pue = catalog.rate("pue", question.pue)
    draw = catalog.rate("draw", option.accelerator.device)
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


def rent_of(option: Option, gpus: int, run_s: float) -> Interval | None:
    """Return the rent of a run at the low, the median and the high price: a bill of one line; None: not priced."""
    if option.median_usd_per_s is None:
        return None
    median, low, high = option.median_usd_per_s, option.low_usd_per_s, option.high_usd_per_s
    prices = np.array([median if low is None else low, median, median if high is None else high])
    return _interval(
        bill(BillInputs(terms=Terms(term=ON_DEMAND, price_usd_per_s=prices), gpus=gpus, useful_s=run_s)).total_usd
    )


def charged(option: Option, rent: Interval | None, energy: Energy | None) -> Interval | None:
    """Return what is paid of rent and energy: both where the accelerators are owned; None where it is not known."""
    if option.term != OWNED or rent is None:
        return rent
    if energy is None:
        return None
    used = energy.energy_usd
    return Interval(low=rent.low + used.low, median=rent.median + used.median, high=rent.high + used.high)


def cost_usd_per_s(option: Option, place: Site) -> float:
    """Return the median cost of an accelerator-second; nan where it is not known."""
    cost = charged(option, rent_of(option, 1, 1.0), place.energy(1, 1.0))
    return float("nan") if cost is None else cost.median
