"""The market price of an accelerator: what a plan uses when the user names a chip and no provider."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from isocost.catalog.records import Fact, Offer

_WINDOW = datetime.timedelta(days=365)  # older than the newest quote by more than this is another market


def sum_up(offers: Sequence[Offer]) -> Offer | None:
    """Return one offer that sums up the offers of one accelerator and term; ``None`` when there are none to use.

    Per provider, the median of the medians of its latest date. Over providers: the median of those, low the cheapest
    provider, high the dearest; a single provider keeps its own range over zones. Host and network are included, as in
    every offer. Disputed offers are left out; so are those more than a year older than the newest, and those recalled
    from memory where any was read in a source.
    """
    by_provider = _latest(offers)
    if not by_provider:
        return None
    used = [offer for own in by_provider.values() for offer in own]
    medians = [_median([offer.median_usd_per_s for offer in own]) for own in by_provider.values()]
    first, dates = used[0], sorted({offer.fact.as_of for offer in used})
    count = len(by_provider)
    providers = f"{count} provider{'s' if count > 1 else ''}"
    return Offer(
        id=f"{first.accelerator}:market:{first.term}",
        accelerator=first.accelerator,
        provider=f"market ({providers})",
        region="any",
        instance="any",
        gpus_per_instance=1,
        term=first.term,
        low_usd_per_s=min(medians) if count > 1 else min(offer.low_usd_per_s for offer in used),
        median_usd_per_s=_median(medians),
        high_usd_per_s=max(medians) if count > 1 else max(offer.high_usd_per_s for offer in used),
        quotes=sum(offer.quotes for offer in used),
        contributors=tuple(offer.id for offer in used),
        fact=Fact(
            sources=tuple(sorted({source for offer in used for source in offer.fact.sources})),
            as_of=max(dates, key=lambda as_of: next(o.fact.day for o in used if o.fact.as_of == as_of)),
            grade="derived",
            from_memory=("price",) if any(offer.fact.from_memory for offer in used) else (),
            note=f"median over {providers}, quotes of {dates[0]} to {dates[-1]}",
        ),
    )


def _latest(offers: Sequence[Offer]) -> dict[str, list[Offer]]:
    """Return the usable offers of each provider's latest date, providers in alphabetical order."""
    usable = [offer for offer in offers if not offer.fact.disputed]
    usable = [offer for offer in usable if not offer.fact.from_memory] or usable
    newest = max((offer.fact.day for offer in usable), default=datetime.date.min)
    recent = [offer for offer in usable if newest - offer.fact.day <= _WINDOW]
    by_provider: dict[str, list[Offer]] = {}
    for provider in sorted({offer.provider for offer in recent}):
        own = [offer for offer in recent if offer.provider == provider]
        latest = max(offer.fact.day for offer in own)
        by_provider[provider] = [offer for offer in own if offer.fact.day == latest]
    return by_provider


def _median(values: Sequence[float]) -> float:
    """Return the median. The standard module costs more to import than the catalog takes to load."""
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2
