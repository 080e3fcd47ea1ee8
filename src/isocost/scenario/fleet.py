"""The question about a fleet: a TOML file of [[workload]] and [[offer]] tables, all its problems at once."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from isocost.catalog import Catalog, load_catalog
from isocost.errors import InputError, Problem
from isocost.scenario import values
from isocost.scenario.fleet_offers import FleetOffer, read_offer
from isocost.scenario.fleet_reader import Reader
from isocost.scenario.fleet_workloads import Workload, read_workload
from isocost.scenario.record import load_tables
from isocost.units import show

MOST_TABLES: Final = 50
_FLEET: Final = ("title", "start", "confidence", "catalog", "workload", "offer")
_SOME: Final = '[[workload]] with name and scenario = "run.toml", [[offer]] with accelerator and available = 512'


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fleet:
    """The whole question."""

    title: str
    start: datetime.date
    catalog: Catalog
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
    r.catalog = r.read(lambda: _catalog(tables.get("catalog"), f"{where}catalog", r), load_catalog())
    confidence = tables.get("confidence")
    if confidence is not None:
        r.read(lambda: values.read_confidence(confidence, f"{where}confidence", r.context()), 0.5)
    offers = [
        read_offer(table, f"{where}offer {_named(table, k)}", r)
        for k, table in enumerate(_tables(tables, "offer", where, r))
    ]
    names = [offer.supply.name for offer in offers if offer is not None]
    rows = _tables(tables, "workload", where, r)
    workloads = [
        read_workload(table, f"{where}workload {_named(table, k)}", r, names, confidence)
        for k, table in enumerate(rows)
    ]
    _twice(names, "offer", where, r)
    _twice([w.name for w in workloads if w is not None], "workload", where, r)
    fleet = Fleet(
        title=str(tables.get("title", "")),
        start=r.start,
        catalog=r.catalog,
        offers=tuple(offer for offer in offers if offer is not None),
        workloads=tuple(workload for workload in workloads if workload is not None),
    )
    if not r.problems:
        _late(fleet, where, r)
    if r.problems:
        raise InputError(r.problems)
    return fleet


def _named(table: Mapping[str, object], k: int) -> str:
    name = table.get("name")
    return f"{k + 1} ({name[:40]})" if isinstance(name, str) else str(k + 1)


def _day(value: object, place: str) -> datetime.date:
    day = value.date() if isinstance(value, datetime.datetime) else value
    if isinstance(value, str):
        try:
            day = datetime.date.fromisoformat(value.strip())
        except ValueError:
            day = None
    if not isinstance(day, datetime.date):
        raise InputError([Problem(place, "is not a date", str(value), fix="write start = 2027-01-04")])
    return day


def _catalog(value: object, place: str, r: Reader) -> Catalog:
    if value is None:
        return load_catalog()
    return load_catalog(*values.read_catalogs(value, place, r.context()))


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
        if names.count(name) > 1:
            r.refuse(f"{where}{kind} {name}", "is a name twice", fix=f"give each [[{kind}]] a name of its own")


def _late(fleet: Fleet, where: str, r: Reader) -> None:
    """Refuse offers that come after all is over, and workloads that end before anything is handed over."""
    end = max(w.until_s for w in fleet.workloads)
    for offer in fleet.offers:
        if offer.supply.ready_s >= end:
            message = f"is longer than every deadline: handed over after {show(offer.supply.ready_s, 's')}"
            fix = "leave the offer out, or give more time"
            key = "lead_time" if offer.supply.lead_s else "available"
            r.refuse(
                f"{where}offer {offer.supply.name}: {key}", message, allowed=f"less than {show(end, 's')}", fix=fix
            )
    for w in fleet.workloads:
        first = min(fleet.offers[k].supply.ready_s for k in w.offers)
        begin = w.from_s if w.service is not None else 0.0
        if first >= w.until_s or (w.service is not None and first > begin):
            key = "from" if w.service is not None and first < w.until_s else ("until" if w.service else "deadline")
            message = f"is before anything is handed over: {show(first, 's')} from the first day"
            r.refuse(
                f"{where}workload {w.name}: {key}", message, fix="give more time, or add an offer that comes sooner"
            )
