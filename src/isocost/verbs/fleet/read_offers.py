"""How [[offer]] tables of a fleet are read: GPUs that can be had, from when, for how long, at which price."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from isocost.catalog import Catalog, load_catalog
from isocost.catalog.records import TERMS, Accelerator, Fabric
from isocost.errors import InputError, Problem
from isocost.money.terms import CAPACITY_BLOCK, COMMITMENTS
from isocost.scenario import values
from isocost.scenario.keys import MAX_GPUS
from isocost.scenario.values import Context, choice, whole
from isocost.units import parse
from isocost.verbs.fleet.reader import Reader, read_name
from isocost.verbs.fleet.records import Supply

_OFFER: Final = (
    "name",
    "accelerator",
    "term",
    "price",
    "available",
    "lead_time",
    "commitment",
    "resold",
    "fabric",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOffer:
    """One offer as it was given, and as a supply."""

    supply: Supply
    accelerator: Accelerator
    fabric: Fabric | None  # None: that of the chip
    price_from: str
    price_as_of: str


def read_offer(table: Mapping[str, object], place: str, r: Reader) -> FleetOffer | None:
    """Return an offer; None where something is wrong with it, which the reader keeps."""
    before = len(r.problems)
    r.keys(table, _OFFER, place)
    context = r.context()
    catalog = r.catalog or load_catalog()
    chip = r.read(lambda: _one(table, "accelerator", place, context), "")
    term = r.read(lambda: choice(*TERMS)(table.get("term", "on_demand"), f"{place}: term", context), "on_demand")
    fabric = table.get("fabric")
    wired = None if fabric is None else r.read(lambda: values.read_fabric(fabric, f"{place}: fabric", context), "")
    lead = r.read(
        lambda: parse(table.get("lead_time", 0), "s", f"{place}: lead_time") if "lead_time" in table else 0.0, 0.0
    )
    none: tuple[tuple[float, int], ...] = ((0.0, 1),)
    steps = r.read(lambda: _available(table, place, lead, r), none)
    minimum, increment = COMMITMENTS[term]
    if "commitment" in table:
        minimum = r.read(lambda: parse(table["commitment"], "s", f"{place}: commitment"), 0.0)
    resold = r.read(lambda: parse(table.get("resold", 0.0), "1", f"{place}: resold"), 0.0)
    name = read_name(table, place, r)
    if "price" in table:
        r.read(lambda: parse(table["price"], "USD/s", f"{place}: price"), 0.0)
    if len(r.problems) > before:
        return None
    price, source, as_of = r.read(lambda: _price(table, place, catalog, chip, term), (0.0, "", ""))
    accelerator = catalog.accelerator(chip)
    node = catalog.node_of(accelerator).gpus_per_node
    if steps[-1][1] < node:
        allowed = f"at least the {node} GPUs of a node of {chip}"
        r.refuse(f"{place}: available", "is less than one node", steps[-1][1], allowed=allowed)
    if len(r.problems) > before:
        return None
    block = catalog.rate("commitment", "capacity-block").median
    supply = Supply(
        name=name,
        accelerator=chip,
        term=term,
        gpus_per_node=node,
        price_usd_per_s=price,
        steps=steps,
        lead_s=lead,
        commitment_s=minimum,
        increment_s=increment,
        resold_frac=resold,
        longest_s=block if term == CAPACITY_BLOCK else float("inf"),
    )
    return FleetOffer(
        supply=supply,
        accelerator=accelerator,
        fabric=catalog.fabric(wired) if wired else None,
        price_from=source,
        price_as_of=as_of,
    )


def _one(table: Mapping[str, object], key: str, place: str, context: Context) -> str:
    if key not in table:
        raise InputError([Problem(f"{place}: {key}", "is missing", fix=f'write {key} = "h100-sxm5-80gb"')])
    found = values.read_accelerators(table[key], f"{place}: {key}", context)
    if len(found) > 1:
        raise InputError([Problem(f"{place}: {key}", "is more than one", fix="write an [[offer]] for each")])
    return found[0]


def _available(table: Mapping[str, object], place: str, lead_s: float, r: Reader) -> tuple[tuple[float, int], ...]:
    """Read GPUs that can be had: a number, or a list of {gpus, from}; nothing is handed over before the lead time."""
    where = f"{place}: available"
    if "available" not in table:
        raise InputError([Problem(where, "is missing: GPUs that can be had", fix="write available = 512")])
    given = table["available"]
    rows = given if isinstance(given, (list, tuple)) else [{"gpus": given}]
    found: list[tuple[float, int]] = []
    problems: list[Problem] = []
    for row in rows:
        try:
            if not isinstance(row, Mapping) or not set(row) <= {"gpus", "from"} or "gpus" not in row:
                example = 'e.g. [{ gpus = 256 }, { gpus = 1024, from = "8 weeks" }]'
                raise InputError(
                    [Problem(where, "is not a number of GPUs, nor a list of them", fix=f"write {example}")]
                )
            begins = r.moment(row["from"], f"{where}.from") if "from" in row else 0.0
            found.append((max(begins, lead_s), whole(row["gpus"], f"{where}.gpus", MAX_GPUS)))
        except InputError as error:
            problems += error.problems
    if not problems and (not found or any(b < a for a, b in itertools.pairwise(found))):
        problems.append(Problem(where, "is not in the order of time", fix="list the earliest first"))
    if not problems and any(b[1] < a[1] for a, b in itertools.pairwise(found)):
        fix = "GPUs count from all steps together: 256 now and 768 more later are 256, then 1024"
        problems.append(Problem(where, "falls with time", fix=fix))
    if problems:
        raise InputError(problems)
    return tuple(found)


def _price(table: Mapping[str, object], place: str, catalog: Catalog, chip: str, term: str) -> tuple[float, str, str]:
    if "price" in table:
        price = parse(table["price"], "USD/s", f"{place}: price")
        return price, "stated", ""
    offer = catalog.reference_offer(chip, term)
    if offer is None:
        message = f"is missing, and nobody in the catalogue lists a {term} price of {chip}"
        raise InputError([Problem(f"{place}: price", message, fix='write price = "2.50 USD/gpu/h"')])
    return offer.median_usd_per_s, f"{offer.provider}, {', '.join(offer.fact.sources)}", offer.fact.as_of
