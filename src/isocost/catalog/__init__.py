"""Dated facts about accelerators, nodes, fabrics, prices and sites, and their sources."""

from isocost.catalog.findings import Finding, check
from isocost.catalog.records import (
    Accelerator,
    Fabric,
    Fact,
    Node,
    Offer,
    Rate,
    Source,
    Tier,
    peak,
    rates_by_precision,
)
from isocost.catalog.store import Catalog, load_catalog, load_sources

__all__ = [
    "Accelerator",
    "Catalog",
    "Fabric",
    "Fact",
    "Finding",
    "Node",
    "Offer",
    "Rate",
    "Source",
    "Tier",
    "check",
    "load_catalog",
    "load_sources",
    "peak",
    "rates_by_precision",
]
