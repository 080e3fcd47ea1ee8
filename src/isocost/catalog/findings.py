"""What a reader of the catalog should know before relying on it: stale, disputed, recalled, missing."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

from isocost.catalog.records import Fact
from isocost.catalog.store import Catalog

FINDING_KINDS = ("stale", "disputed", "from_memory", "unpriced", "missing", "future")
# Days after which a fact should be looked up again. Prices move within months; data sheets and buildings do not.
MAX_AGE_DAYS = {
    "offer": 180,
    "electricity": 730,
    "pue": 1460,
    "draw": 1460,
    "accelerator": 1460,
    "node": 1460,
    "fabric": 1460,
    **dict.fromkeys(("server", "trend", "interest"), 365),
    **dict.fromkeys(("colocation", "carbon", "salary", "egress", "storage", "build"), 730),
    **dict.fromkeys(("share", "lifetime", "commitment", "limit", "staffing", "embodied"), 1460),
    **dict.fromkeys(("density", "rack"), 1460),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to check in the catalog: its kind, the record it is about, and what is wrong."""

    kind: str  # one of FINDING_KINDS
    subject: str  # such as "offer h100-sxm5-80gb:aws:spot:2026"
    message: str


def check(catalog: Catalog, today: datetime.date) -> list[Finding]:
    """Return every stale, disputed, recalled, unpriced, missing or future fact, in the order of FINDING_KINDS."""
    found = [finding for table, name, fact in _facts(catalog) for finding in _of_fact(table, name, fact, today)]
    found += _unpriced(catalog)
    found += _missing(catalog)
    return sorted(found, key=lambda finding: FINDING_KINDS.index(finding.kind))


def _facts(catalog: Catalog) -> Iterator[tuple[str, str, Fact]]:
    for accelerator in catalog.accelerators.values():
        yield "accelerator", accelerator.id, accelerator.fact
    for node in catalog.nodes.values():
        yield "node", node.id, node.fact
    for fabric in catalog.fabrics.values():
        yield "fabric", fabric.id, fabric.fact
    for offer in catalog.offers:
        yield "offer", offer.id, offer.fact
    for rate in catalog.rates.values():
        yield rate.kind, rate.id, rate.fact


def _of_fact(table: str, name: str, fact: Fact, today: datetime.date) -> Iterator[Finding]:
    subject = f"{table} {name}"
    age, limit = (today - fact.day).days, MAX_AGE_DAYS[table]
    if age > limit:
        message = f"as of {fact.as_of}, {age} days old (more than {limit})"
        yield Finding(kind="stale", subject=subject, message=message)
    if age < 0:
        yield Finding(kind="future", subject=subject, message=f"as of {fact.as_of}, after today ({today.isoformat()})")
    for dispute in fact.disputed:
        yield Finding(kind="disputed", subject=subject, message=dispute)
    if fact.from_memory:
        message = f"not read in a source: {', '.join(fact.from_memory)}"
        yield Finding(kind="from_memory", subject=subject, message=message)


def _unpriced(catalog: Catalog) -> Iterator[Finding]:
    priced = {offer.accelerator for offer in catalog.offers}
    for name in catalog.accelerators:
        if name not in priced:
            message = "no offer: plans on it are not priced; add an [[offer]] to your own catalogue file"
            yield Finding(kind="unpriced", subject=f"accelerator {name}", message=message)
    for name in sorted(catalog.priced_only - set(catalog.accelerators)):
        yield Finding(kind="missing", subject=f"accelerator {name}", message="priced, but has no [accelerator] table")


def _missing(catalog: Catalog) -> Iterator[Finding]:
    for accelerator in catalog.accelerators.values():
        gaps = {"tdp": accelerator.tdp_w, "nic": accelerator.nic_bytes_per_s, "fabric": accelerator.fabric}
        unknown = [name for name, value in gaps.items() if value is None]
        if unknown:
            message = f"unknown: {', '.join(unknown)}"
            yield Finding(kind="missing", subject=f"accelerator {accelerator.id}", message=message)
