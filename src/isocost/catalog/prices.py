"""Facts of cost from the catalog, as the inputs of ``isocost.money`` and as distributions around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isocost.catalog.records import Fact, Offer, Rate
from isocost.catalog.store import Catalog
from isocost.errors import InputError, Problem, nearest
from isocost.money.own import OwnedInputs
from isocost.stats.distributions import Distribution, Pert, spanning
from isocost.stats.quantiles import Interval
from isocost.units import DAY_S, HOUR_S, YEAR_S

COLOCATION, BUILD = "colocation", "build"
_BOUNDED = ("share", "draw", "interest", "lifetime", "pue")  # kinds of facts that lie between two bounds
_YEARS = ("years", "build_years")  # fields that count years
_SITES = (COLOCATION, BUILD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A price with its date and its spread; it is never shown without them."""

    low_usd_per_s: float
    median_usd_per_s: float
    high_usd_per_s: float
    quotes: int
    provider: str
    term: str
    fact: Fact

    @property
    def distribution(self) -> Distribution:
        """Draws of the price: the low and the high seen are taken for its p05 and p95."""
        ends = Interval(low=self.low_usd_per_s, median=self.median_usd_per_s, high=self.high_usd_per_s)
        return spanning(ends)

    def __str__(self) -> str:
        """Return the price as a line: "$2.95/h (2.29 to 12.29, 14 quotes, market of 9 providers, as of 2026-05)"."""
        low, median, high = (v * HOUR_S for v in (self.low_usd_per_s, self.median_usd_per_s, self.high_usd_per_s))
        spread = f"{low:.2f} to {high:.2f}" if low < high else "no spread known"
        quotes = f"{self.quotes} quote{'s' if self.quotes != 1 else ''}"
        return f"${median:.2f}/h ({spread}, {quotes}, {self.provider}, {self.term}, as of {self.fact.as_of})"


def price_of(catalog: Catalog, accelerator: str, term: str = "on_demand") -> Price | None:
    """Return the market price of an accelerator on a term; ``None`` where nobody lists one."""
    offer = catalog.reference_offer(accelerator, term)
    return None if offer is None else price_of_offer(offer)


def price_of_offer(offer: Offer) -> Price:
    """Return the price of one offer."""
    return Price(
        low_usd_per_s=offer.low_usd_per_s,
        median_usd_per_s=offer.median_usd_per_s,
        high_usd_per_s=offer.high_usd_per_s,
        quotes=offer.quotes,
        provider=offer.provider,
        term=offer.term,
        fact=offer.fact,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLimits:
    """The most that one capacity block holds."""

    instances: float
    gpus_per_instance: int
    longest_s: float
    lead_s: float
    as_of: str

    @property
    def gpus(self) -> float:
        """Accelerators of the largest block."""
        return self.instances * self.gpus_per_instance

    def __str__(self) -> str:
        """Return the limits as a line."""
        return (
            f"a capacity block holds at most {self.instances:,.0f} instances ({self.gpus:,.0f} GPUs) for "
            f"{self.longest_s / DAY_S:,.0f} d, booked at most {self.lead_s / DAY_S:,.0f} d ahead (AWS, {self.as_of})"
        )


def block_limits(catalog: Catalog, accelerator: str) -> BlockLimits:
    """Return the limits of capacity blocks of an accelerator; the largest instance that is offered counts."""
    instances, longest = catalog.rate("limit", "capacity-block-instances"), catalog.rate("commitment", "capacity-block")
    sizes = [offer.gpus_per_instance for offer in catalog.offers_for(accelerator, "capacity_block")]
    return BlockLimits(
        instances=instances.median,
        gpus_per_instance=max(sizes, default=catalog.node_of(catalog.accelerator(accelerator)).gpus_per_node),
        longest_s=longest.median,
        lead_s=catalog.rate("commitment", "capacity-block-lead").median,
        as_of=longest.fact.as_of,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Where a run takes place: the price of its electricity and the carbon of its grid, each with source and year."""

    id: str
    electricity: Rate
    carbon: Rate


def region(catalog: Catalog, name: str) -> Region:
    """Return a region such as "us-tx", "de" or "no"; a state has the carbon of its country's grid."""
    carbon = {key for kind, key in catalog.rates if kind == "carbon"}
    tariffs = {key for kind, key in catalog.rates if kind == "electricity"}
    wanted = name.strip().casefold()
    grid = wanted if wanted in carbon else wanted.partition("-")[0]
    if wanted not in tariffs or grid not in carbon:
        both = sorted(key for key in tariffs if key in carbon or key.partition("-")[0] in carbon)
        missing = "electricity" if wanted not in tariffs else "carbon"
        fix = f"use one of {', '.join(both)}, or add [{missing}.{wanted[:40]}] to your own catalogue file"
        raise InputError([Problem("region", f"has no {missing} fact", name, nearest=nearest(wanted, both), fix=fix)])
    return Region(id=wanted, electricity=catalog.rate("electricity", wanted), carbon=catalog.rate("carbon", grid))


def distribution_of(rate: Rate, scale: float = 1.0) -> Distribution:
    """Return draws of a fact times ``scale``: fixed where no spread is known.

    What has bounds (shares, lifetimes, PUE) stays between low and high; a price has a long upper tail.
    """
    known = Interval(low=rate.low, median=rate.median, high=rate.high).times(scale)
    if rate.kind in _BOUNDED and known.low < known.high:
        return Pert(low=known.low, mode=known.median, high=known.high)
    return spanning(known)


def owned_facts(
    catalog: Catalog,
    accelerator: str,
    *,
    site: str = COLOCATION,
    interest: str = "gpu-debt",
    electricity: str = "us",
    server: bool = True,
) -> dict[str, Rate]:
    """Return the fact behind each field of ``OwnedInputs``, where there is one; ``server`` False: not its price."""
    if site not in _SITES:
        raise InputError([Problem("owned.site", "is not a site", site, ", ".join(_SITES), nearest(site, _SITES))])
    named = {
        "server_usd": ("server", catalog.accelerator(accelerator).id),
        "network_frac": ("share", "network"),
        "storage_frac": ("share", "storage"),
        "installation_frac": ("share", "installation"),
        "years": ("lifetime", "server"),
        "residual_frac": ("share", "residual"),
        "interest_frac": ("interest", interest),
        "pue": ("pue", "colocation" if site == COLOCATION else "liquid"),
        "draw_frac": ("draw", "gpu"),
        "idle_draw_frac": ("draw", "gpu-idle"),
        "electricity_usd_per_j": ("electricity", electricity),
        "staff_per_gpu": ("staffing", "infrastructure"),
        "salary_usd_per_s": ("salary", "infrastructure"),
        "maintenance_frac": ("share", "maintenance"),
    }
    if not server:
        del named["server_usd"]
    if site == COLOCATION:
        named["colocation_usd_per_w_per_s"] = ("colocation", "us")
    else:
        named |= {"build_usd_per_w": ("build", "ai-hall"), "build_years": ("lifetime", "facility")}
    return {field: catalog.rate(kind, name) for field, (kind, name) in named.items()}


def _power_w(catalog: Catalog, accelerator: str) -> float:
    chip = catalog.accelerator(accelerator)
    if chip.tdp_w is None:
        fix = f"add tdp to [accelerator.{chip.id}] in your own catalogue file"
        raise InputError([Problem("owned.power_w", f"the TDP of {chip.id} is not known", fix=fix)])
    return chip.tdp_w * catalog.node_of(chip).power_over_tdp


def owned_inputs(
    catalog: Catalog,
    accelerator: str,
    *,
    utilisation_frac: float,
    facts: Mapping[str, Rate] | None = None,
    **known: Any,
) -> OwnedInputs:
    """Return what owning an accelerator takes, at the medians of the facts; ``known`` replaces any field."""
    facts = owned_facts(catalog, accelerator) if facts is None else facts
    values: dict[str, Any] = {
        field: rate.median / YEAR_S if field in _YEARS else rate.median for field, rate in facts.items()
    }
    values |= {"power_w": _power_w(catalog, accelerator), "utilisation_frac": utilisation_frac}
    return OwnedInputs(**(values | known))


def owned_distributions(
    catalog: Catalog,
    accelerator: str,
    *,
    utilisation_frac: Distribution | float,
    facts: Mapping[str, Rate] | None = None,
    **known: Distribution | float,
) -> dict[str, Distribution | float]:
    """Return a distribution for every field of ``OwnedInputs``: draw it, then ``OwnedInputs(**draws)``."""
    facts = owned_facts(catalog, accelerator) if facts is None else facts
    found: dict[str, Distribution | float] = {
        field: distribution_of(rate, 1.0 / YEAR_S if field in _YEARS else 1.0) for field, rate in facts.items()
    }
    found |= {"power_w": _power_w(catalog, accelerator), "utilisation_frac": utilisation_frac}
    return found | known
