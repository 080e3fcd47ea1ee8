"""The dated facts: entries of a kind, one entry, and what is stale, disputed or missing."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from isocost.catalog import Catalog, load_catalog
from isocost.verbs import options
from isocost.verbs.catalog.answer import Check, Entry, Listing, checked, entry, listing
from isocost.verbs.catalog.stacks import StackEntry
from isocost.verbs.options import Argument, Command, Option

Facts = Catalog | str | None  # a catalog, or files over the shipped one
_KIND = Argument(metavar="KIND", about="accelerators, nodes, fabrics, offers, rates, stacks or models.", kind=str)
_ID = Argument(metavar="[KIND] ID", about="Any id that 'isocost catalog list' shows.", kind=list[str])
_FILES: Option = options.WHERE["catalog"]
_STRICT = Option(about="Leave with exit code 1 if there is a finding.", kind=bool)


def _facts(given: Facts) -> Catalog:
    if isinstance(given, Catalog):
        return given
    return load_catalog(*(part.strip() for part in (given or "").split(",") if part.strip()))


def _strict(given: Mapping[str, Any]) -> Callable[[Check], Sequence[str] | None]:
    """Return the check that --strict asks for; the findings are the answer, so no more is said of them."""
    return lambda answer: () if given["strict"] and answer.findings else None


@Command()
def catalog_list(kind: Annotated[str, _KIND], /, catalog: Annotated[Facts, _FILES] = None) -> Listing:
    """Return all entries of a kind: accelerators, nodes, fabrics, offers, rates, stacks (or recipes), or models.

    Raises:
        InputError: there is no such kind.

    Example:
        >>> "h100-sxm5-80gb" in isocost.catalog_list("accelerators").csv()
        True
    """
    return listing(_facts(catalog), kind)


@Command()
def catalog_show(*name: Annotated[str, _ID], catalog: Annotated[Facts, _FILES] = None) -> Entry | StackEntry:
    """Return one entry of the catalog in full, with its sources and prices; a kind may stand before its name.

    Raises:
        InputError: there is no such entry, or two kinds have it.

    Example:
        >>> print(isocost.catalog_show("h100-sxm5-80gb").table().splitlines()[0])
        h100-sxm5-80gb (accelerator)
    """
    return entry(_facts(catalog), " ".join(name))


@Command(gate=_strict, gate_options={"strict": _STRICT})
def catalog_check(catalog: Annotated[Facts, _FILES] = None, *, today: datetime.date | None = None) -> Check:
    """Return the facts that are stale, disputed, recalled from memory, missing or without a price.

    Args:
        catalog: None for the shipped one. today: the day of the check; None for now.
        today: see catalog.

    Example:
        >>> found = isocost.catalog_check(today=datetime.date(2027, 1, 1)).findings
        >>> any(finding.kind == "stale" for finding in found)
        True
    """
    return checked(_facts(catalog), today or datetime.date.today())
