"""The attribute table of the fact files: which keys a record takes, in which unit, within which bounds.

One table drives the reader, the refusals and the list of what may be marked ``from_memory``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from isocost.catalog import records
from isocost.units import HOUR_S, YEAR_S

_MOST_USD_PER_S = 1000.0 / HOUR_S  # 1,000 USD per GPU-hour: fifty times any listed price is a slip of units
_MOST_GPUS = 1_000_000
_MOST_USD_PER_J = 10.0 / 3.6e6  # 10 USD/kWh


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One key of a fact table: its shape, its unit or choices, its bounds, and the attribute it fills."""

    shape: str  # "text", "texts", "count", "flag", "quantity", "range", "choice" or "tiers"
    attribute: str
    unit: str = ""
    choices: tuple[str, ...] = ()
    least: float = 0.0
    most: float = float("inf")
    required: bool = True
    positive: bool = True  # zero is refused: an unknown is left out, not written as 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of record: its fields, its class, and values that do not come from the table."""

    fields: Mapping[str, Field]
    build: Callable[..., Any]
    fixed: Mapping[str, str]


def _quantity(attribute: str, unit: str, *, required: bool = True) -> Field:
    return Field(shape="quantity", attribute=attribute, unit=unit, required=required)


def _text(attribute: str) -> Field:
    return Field(shape="text", attribute=attribute)


def _count(attribute: str, least: int = 1, most: int = _MOST_GPUS, *, required: bool = True) -> Field:
    return Field(shape="count", attribute=attribute, least=least, most=most, required=required)


def _choice(attribute: str, choices: tuple[str, ...], *, required: bool = True) -> Field:
    return Field(shape="choice", attribute=attribute, choices=choices, required=required)


def _rate(kind: str, unit: str, least: float, most: float) -> Kind:
    value = Field(shape="range", attribute="{}", unit=unit, least=least, most=most)
    return Kind(fields={"name": _text("name"), "value": value}, build=records.Rate, fixed={"kind": kind, "unit": unit})


_ACCELERATOR = {
    "name": _text("name"),
    "vendor": _text("vendor"),
    "year": _count("year", 2000, 2100),
    "form": _text("form"),
    **{p: _quantity(f"{p}_flop_per_s", "flop/s", required=False) for p in records.PRECISIONS},
    "memory": _quantity("memory_bytes", "B"),
    "hbm": _quantity("hbm_bytes_per_s", "B/s"),
    "scaleup_link": _text("scaleup_link"),
    "scaleup": _quantity("scaleup_bytes_per_s", "B/s"),
    "scaleup_domain": _count("scaleup_domain"),
    "nic": _quantity("nic_bytes_per_s", "B/s", required=False),
    "tdp": _quantity("tdp_w", "W", required=False),
    "sms": _count("sms", required=False),
    "node": _text("node"),
    "fabric": Field(shape="text", attribute="fabric", required=False),
    "device": _choice("device", records.DEVICES, required=False),
    "generation": Field(shape="text", attribute="generation", required=False),
    "packaging": _choice("packaging", records.PACKAGINGS, required=False),
    "cooling": _choice("cooling", records.COOLINGS, required=False),
    "coherent_host": Field(shape="flag", attribute="coherent_host", required=False),
    "fast_attention": Field(shape="text", attribute="fast_attention", required=False),
    "same_link_as": Field(shape="text", attribute="same_link_as", required=False),
    "low_precision": Field(shape="texts", attribute="low_precision", required=False),
}
_NODE = {
    "name": _text("name"),
    "gpus_per_node": _count("gpus_per_node"),
    "scaleup_domain": _count("scaleup_domain"),
    "topology": _choice("topology", records.TOPOLOGIES),
    "scaleup_latency": _quantity("scaleup_latency_s", "s"),
    "power_over_tdp": Field(shape="quantity", attribute="power_over_tdp", unit="ratio", least=1.0, most=10.0),
    "accelerator_price_frac": _quantity("accelerator_price_frac", "1", required=False),
}
_FABRIC = {
    "name": _text("name"),
    "kind": _choice("kind", records.FABRIC_KINDS),
    "rate": _quantity("bytes_per_s", "B/s"),
    "rail_optimised": Field(shape="flag", attribute="rail_optimised"),
    "in_switch_reduction": Field(shape="flag", attribute="in_switch_reduction"),
    "tiers": Field(shape="tiers", attribute="tiers"),
}
_OFFER = {
    "accelerator": _text("accelerator"),
    "provider": _text("provider"),
    "region": _text("region"),
    "instance": _text("instance"),
    "gpus_per_instance": _count("gpus_per_instance"),
    "term": _choice("term", records.TERMS),
    "price": Field(shape="range", attribute="{}_usd_per_s", unit="USD/s", most=_MOST_USD_PER_S),
    "quotes": _count("quotes", required=False),
}
_SOURCE = {
    "author": _text("author"),
    "title": _text("title"),
    "year": _count("year", 1800, 2100),
    "url": _text("url"),
    "note": Field(shape="text", attribute="note", required=False),
}

# What is not a price by the hour: kind -> (unit, least, most). A value outside is a slip of units.
_COST_KINDS = {
    "server": ("USD", 100.0, 1e6),  # an accelerator with its share of the server
    "share": ("1", 0.0, 1.0),
    "interest": ("1", 0.0, 1.0),  # a year
    "trend": ("ratio", 0.01, 100.0),  # a year on, over now
    "lifetime": ("s", 0.1 * YEAR_S, 100 * YEAR_S),
    "commitment": ("s", 1.0, 10 * YEAR_S),
    "limit": ("ratio", 1.0, 1e6),  # of what can be bought at once
    "colocation": ("USD/W/s", 0.0, 1e-6),  # 2,600 USD/kW/month
    "build": ("USD/W", 0.1, 1e3),
    "staffing": ("ratio", 0.0, 1.0),  # people per accelerator
    "salary": ("USD/s", 0.0, 1.0),  # of one person
    "egress": ("USD/B", 0.0, 1e-8),  # 10 USD/GB
    "storage": ("USD/B/s", 0.0, 1e-14),  # 26 USD/GB/month
    "carbon": ("kg/J", 0.0, 1e-6),  # 3,600 g/kWh
    "embodied": ("kg", 1.0, 1e5),
    "density": ("W", 1e3, 1e6),  # of a rack
    "rack": ("ratio", 1.0, 100.0),  # what one holds
}

KINDS: Mapping[str, Kind] = {
    "accelerator": Kind(fields=_ACCELERATOR, build=records.Accelerator, fixed={}),
    "node": Kind(fields=_NODE, build=records.Node, fixed={}),
    "fabric": Kind(fields=_FABRIC, build=records.Fabric, fixed={}),
    "offer": Kind(fields=_OFFER, build=records.Offer, fixed={}),
    "pue": _rate("pue", "ratio", 1.0, 5.0),
    "electricity": _rate("electricity", "USD/J", 0.0, _MOST_USD_PER_J),
    "draw": _rate("draw", "1", 0.0, 1.0),
    **{kind: _rate(kind, unit, least, most) for kind, (unit, least, most) in _COST_KINDS.items()},
    "source": Kind(fields=_SOURCE, build=records.Source, fixed={}),
}
RATE_KINDS = ("pue", "electricity", "draw", *_COST_KINDS)
PROVENANCE = ("source", "as_of", "grade", "from_memory", "disputed", "note")
TIER = {
    "reach": _count("reach_gpus", 1, 10 * _MOST_GPUS, required=False),
    "latency": _quantity("latency_s", "s"),
    "oversubscription": Field(
        shape="quantity", attribute="oversubscription", unit="ratio", least=1.0, most=1000.0, required=False
    ),
}
