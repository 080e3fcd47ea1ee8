"""The catalog: the shipped facts and the user's own files over them.

A user's file has the same tables as the shipped ones. A table of a known id replaces the shipped record as a whole;
offers are added. Every fact needs ``source``, ``as_of`` and ``grade`` there too, but ``source`` may be plain words
("quote of 3 May") rather than a key of sources.toml, so a private quote needs no bibliography.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from isocost.catalog.reader import Content, read_file, refuse
from isocost.catalog.records import Accelerator, Fabric, Node, Offer, Rate, Source
from isocost.catalog.reference import sum_up
from isocost.errors import InputError, Problem, nearest

_DATA = Path(__file__).parent.parent / "data"
_FILES = tuple(
    f"{name}.toml" for name in ("accelerators", "nodes", "fabrics", "offers", "facilities", "regions", "costs")
)
_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Catalog:
    """Dated facts about hardware, networks, prices and sites, by id."""

    accelerators: Mapping[str, Accelerator]
    nodes: Mapping[str, Node]
    fabrics: Mapping[str, Fabric]
    offers: tuple[Offer, ...]
    rates: Mapping[tuple[str, str], Rate]  # by kind ("pue", "electricity", "carbon", "interest", ...) and id
    own_sources: Mapping[str, Source]  # of the user's files; the shipped ones come from ``load_sources``
    priced_only: frozenset[str]  # accelerators with a price and no record

    def accelerator(self, name: str) -> Accelerator:
        """Return an accelerator by id, or raise an InputError with the nearest spelling."""
        return _look_up("accelerator", name, self.accelerators)

    def node(self, name: str) -> Node:
        """Return a node by id, or raise an InputError with the nearest spelling."""
        return _look_up("node", name, self.nodes)

    def fabric(self, name: str) -> Fabric:
        """Return a fabric by id, or raise an InputError with the nearest spelling."""
        return _look_up("fabric", name, self.fabrics)

    def rate(self, kind: str, name: str) -> Rate:
        """Return a rate by kind ("pue", "electricity", "carbon", ...) and id ("hyperscale", "us", ...)."""
        return _look_up(kind, name, {key: rate for (of, key), rate in self.rates.items() if of == kind})

    def node_of(self, accelerator: Accelerator) -> Node:
        """Return the node an accelerator comes in by default."""
        return self.node(accelerator.node)

    def fabric_of(self, accelerator: Accelerator) -> Fabric:
        """Return the default fabric of an accelerator; an InputError names the missing fact when none is known."""
        if accelerator.fabric is None:
            fix = f'name a fabric, or add fabric = "..." to [accelerator.{accelerator.id}] in your own catalogue file'
            raise InputError([Problem("fabric", f"no network is known for {accelerator.id}", fix=fix)])
        return self.fabric(accelerator.fabric)

    def offers_for(self, name: str, term: str | None = None) -> tuple[Offer, ...]:
        """Return the offers of an accelerator, of one term or of all, in file order."""
        if name not in self.priced_only:
            name = self.accelerator(name).id
        return tuple(o for o in self.offers if o.accelerator == name and term in (None, o.term))

    def reference_offer(self, name: str, term: str = "on_demand") -> Offer | None:
        """Return the market price of an accelerator (see ``reference.sum_up``); ``None`` when nobody lists one."""
        return sum_up(self.offers_for(name, term))

    def source(self, key: str) -> Source | None:
        """Return the bibliography entry of a source key, or ``None`` when the source is plain words."""
        return self.own_sources.get(key) or load_sources().get(key)


def load_catalog(*overlays: str | Path) -> Catalog:
    """Return the shipped catalog with the user's TOML files laid over it, later over earlier.

    A file that breaks the rules raises one DataError with every problem in it.

    Example:
        >>> isocost.load_catalog().accelerators["h100-sxm5-80gb"].memory_bytes
        85899345920.0
    """
    catalog = _shipped()
    for path in overlays:
        content = read_file(Path(path), str(path))
        catalog = _merge(catalog, [content])
        refuse(_dangling(catalog, content))
    return catalog


@functools.cache
def _shipped() -> Catalog:
    empty = Catalog(accelerators={}, nodes={}, fabrics={}, offers=(), rates={}, own_sources={}, priced_only=frozenset())
    return _merge(empty, [read_file(_DATA / name, name) for name in _FILES])


@functools.cache
def load_sources() -> Mapping[str, Source]:
    """Return the shipped bibliography by key."""
    return read_file(_DATA / "sources.toml", "sources.toml").sources


def _merge(base: Catalog, contents: Iterable[Content]) -> Catalog:
    for content in contents:
        base = replace(
            base,
            accelerators={**base.accelerators, **content.accelerators},
            nodes={**base.nodes, **content.nodes},
            fabrics={**base.fabrics, **content.fabrics},
            offers=_with_ids(base.offers, content.offers),
            rates={**base.rates, **content.rates},
            own_sources={**base.own_sources, **content.sources},
            priced_only=base.priced_only | content.priced_only,
        )
    return base


def _with_ids(known: tuple[Offer, ...], more: tuple[Offer, ...]) -> tuple[Offer, ...]:
    """Return all offers, an unnamed one named accelerator:provider:term:date, numbered from the second on.

    An offer with the explicit id of an earlier one replaces it.
    """
    kept = {offer.id: offer for offer in known}
    seen = Counter(_plain_id(offer) for offer in known)
    for offer in more:
        plain = _plain_id(offer)
        seen[plain] += 1
        name = offer.id or (plain if seen[plain] == 1 else f"{plain}:{seen[plain]}")
        kept[name] = replace(offer, id=name)
    return tuple(kept.values())


def _plain_id(offer: Offer) -> str:
    return f"{offer.accelerator}:{offer.provider}:{offer.term}:{offer.fact.as_of}"


def _dangling(catalog: Catalog, content: Content) -> list[Problem]:
    """Return a problem for every reference of a file that points at nothing."""
    problems: list[Problem] = []

    def need(place: str, key: str, name: str, known: Iterable[str]) -> None:
        known = list(known)
        if name not in known:
            problems.append(Problem(f"{place}.{key}", "is not in the catalogue", name, nearest=nearest(name, known)))

    for accelerator in content.accelerators.values():
        place = content.places[f"accelerator.{accelerator.id}"]
        need(place, "node", accelerator.node, catalog.nodes)
        if accelerator.fabric is not None:
            need(place, "fabric", accelerator.fabric, catalog.fabrics)
    for place, offer in zip(content.offer_places, content.offers, strict=True):
        need(place, "accelerator", offer.accelerator, [*catalog.accelerators, *catalog.priced_only])
    return problems


def _look_up(kind: str, name: str, known: Mapping[str, _Record]) -> _Record:
    found = known.get(name) or known.get(name.strip().casefold())
    if found is None:
        fix = f"isocost catalog list, or add [{kind}.{name[:40]}] to your own catalogue file"
        raise InputError([Problem(kind, "is not in the catalogue", name, nearest=nearest(name, known), fix=fix)])
    return found
