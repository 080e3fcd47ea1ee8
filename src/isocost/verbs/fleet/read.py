"""The question about a fleet: a TOML file of [[workload]] and [[offer]] tables, all its problems at once."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from isocost.catalog import Catalog, load_catalog
from isocost.errors import InputError, Problem
from isocost.scenario import values
from isocost.scenario.read import load_tables
from isocost.units import show
from isocost.verbs.fleet.read_offers import FleetOffer, read_offer
from isocost.verbs.fleet.read_workloads import Workload, read_workload
from isocost.verbs.fleet.reader import Reader

MOST_TABLES: Final = 50
_FLEET: Final = ("title", "start", "confidence", "catalog", "workload", "offer")
_SOME: Final = '[[workload]] with name and scenario = "run.toml", [[offer]] with accelerator and available = 512'


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fleet:
    """The whole question."""

    title: str
    start: datetime.date
    catalog: Catalog
    catalog_files: tuple[str, ...]  # the user's own, which the catalog holds already
    offers: tuple[FleetOffer, ...]
    workloads: tuple[Workload, ...]


def read_fleet(given: str | Path | Mapping[str, object], today: datetime.date) -> Fleet:
    """Return the fleet of a TOML file or a mapping; one InputError lists everything wrong with it."""
    tables: Mapping[str, Any] = dict(given) if isinstance(given, Mapping) else load_tables(given)
    where = "" if isinstance(given, Mapping) else f"{given}: "
    r = Reader(Path() if isinstance(given, Mapping) else Path(given).parent, today)
    r.keys(tables, _FLEET, where.rstrip(": ") or "fleet")
    if "start" in tables:
        r.start = r.read(lambda: _day(tables["start"], f"{where}start"), today)
    title = r.read(lambda: values.read_text(tables.get("title", ""), f"{where}title", r.context()), "")
    empty: tuple[str, ...] = ()
    files = r.read(lambda: _files(tables.get("catalog"), f"{where}catalog", r), empty)
    r.catalog = r.read(lambda: load_catalog(*files), load_catalog())
    confidence = tables.get("confidence")
    if confidence is not None:
        r.read(lambda: values.read_confidence(confidence, f"{where}confidence", r.context()), 0.5)
    offer_rows, workload_rows = (_tables(tables, key, where, r) for key in ("offer", "workload"))
    names = [str(row.get("name", "")).strip() for row in offer_rows]
    offers = [read_offer(row, f"{where}offer {_named(row, k)}", r) for k, row in enumerate(offer_rows)]
    workloads = [
        read_workload(row, f"{where}workload {_named(row, k)}", r, names, confidence)
        for k, row in enumerate(workload_rows)
    ]
    _twice(names, "offer", where, r)
    _twice([str(row.get("name", "")).strip() for row in workload_rows], "workload", where, r)
    _late(workloads, offers, where, r)
    if r.problems:
        raise InputError(r.problems)
    return Fleet(
        title=title,
        start=r.start,
        catalog=r.catalog,
        catalog_files=files,
        offers=tuple(offer for offer in offers if offer is not None),
        workloads=tuple(workload for workload in workloads if workload is not None),
    )


def _named(table: Mapping[str, object], k: int) -> str:
    name = table.get("name")
    return f"{k + 1} ({name[:40]})" if isinstance(name, str) else str(k + 1)


def _day(value: object, place: str) -> datetime.date:
    day = values.as_day(value)
    if day is None:
        raise InputError([Problem(place, "is not a date", str(value), fix="write start = 2027-01-04")])
    return day


def _files(value: object, place: str, r: Reader) -> tuple[str, ...]:
    return () if value is None else tuple(values.read_catalogs(value, place, r.context()))


def _tables(tables: Mapping[str, object], key: str, where: str, r: Reader) -> list[Mapping[str, object]]:
    rows = tables.get(key)
    if not isinstance(rows, (list, tuple)) or not rows or not all(isinstance(row, Mapping) for row in rows):
        r.refuse(f"{where}{key}", f"is missing, or is no list of tables [[{key}]]", fix=f"write {_SOME}")
        return []
    if len(rows) > MOST_TABLES:
        r.refuse(f"{where}{key}", "is too long", allowed=f"at most {MOST_TABLES} tables")
        return []
    return list(rows)


def _twice(names: list[str], kind: str, where: str, r: Reader) -> None:
    for name in dict.fromkeys(names):
        if name and names.count(name) > 1:
            r.refuse(f"{where}{kind} {name}", "is a name twice", fix=f"give each [[{kind}]] a name of its own")


def _late(workloads: Sequence[Workload | None], offers: Sequence[FleetOffer | None], where: str, r: Reader) -> None:
    """Refuse offers that come after all is over, and workloads that end before anything is handed over.

    What has problems of its own is left aside.
    """
    known = [w for w in workloads if w is not None]
    end = max((w.until_s for w in known), default=math.inf)
    for offer in offers:
        if offer is not None and offer.supply.ready_s >= end and len(known) == len(workloads):
            key = "lead_time" if offer.supply.lead_s else "available"
            message = f"is longer than every deadline: handed over after {show(offer.supply.ready_s, 's')}"
            fix = "leave the offer out, or give more time"
            place = f"{where}offer {offer.supply.name}: {key}"
            r.refuse(place, message, allowed=f"less than {show(end, 's')}", fix=fix)
    for w in known:
        own = [found for k in w.offers if (found := offers[k]) is not None]
        if len(own) < len(w.offers):
            continue
        first = min(offer.supply.ready_s for offer in own)
        due = w.from_s if w.service is not None else w.until_s
        if first > due or first >= w.until_s:
            key = "deadline" if w.service is None else "from" if first < w.until_s else "until"
            message = f"is before anything is handed over: {show(first, 's')} from the first day"
            fix = "give more time, or add an offer that comes sooner"
            r.refuse(f"{where}workload {w.name}: {key}", message, fix=fix)
