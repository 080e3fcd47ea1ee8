"""How [[workload]] tables of a fleet are read: training runs of a scenario, or tokens to serve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from isocost.errors import InputError, Problem, nearest
from isocost.scenario import values
from isocost.scenario.read import beside, load_tables, read_scenario
from isocost.scenario.record import KEYS, Scenario
from isocost.scenario.values import choice, whole
from isocost.units import parse, show
from isocost.verbs.fleet.reader import Reader, read_name
from isocost.verbs.fleet.size import BYTES, Service

MOST_RUNS: Final = 10_000
# What a scenario says and a fleet does not ask: offers say where and at what price, and the bill is theirs.
ASIDE: Final = ("on", "term", "purchase", "owned", "programme", "frontier", "budget", "power_cap", "top")
_WORKLOAD: Final = ("name", "priority", "on", "from")
_RUNS: Final = (*_WORKLOAD, "scenario", "run", "count", "at_once", "deadline")
_SERVICE: Final = (*_WORKLOAD, "serve", "model", "efficiency", "precision", "until")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One workload as it was given: training runs of a scenario, or a service."""

    name: str
    priority: int
    offers: tuple[int, ...]  # places of the offers that it may use
    from_s: float
    until_s: float
    count: int = 1
    at_once: int | None = None
    tables: Mapping[str, object] | None = None  # of the scenario; None: a service
    service: Service | None = None
    aside: tuple[str, ...] = ()  # keys of its scenario in whose place the fleet's own stand


def read_workload(
    table: Mapping[str, object], place: str, r: Reader, offers: list[str], confidence: object
) -> Workload | None:
    """Return a workload; None where something is wrong with it, which the reader keeps."""
    before = len(r.problems)
    service = "serve" in table
    r.keys(table, _SERVICE if service else _RUNS, place)
    name = read_name(table, place, r)
    priority = r.read(lambda: whole(table.get("priority", 1), f"{place}: priority", 100), 1)
    nothing: tuple[int, ...] = ()
    allowed = r.read(lambda: _allowed(table.get("on"), f"{place}: on", offers), nothing)
    from_s = r.read(lambda: r.moment(table["from"], f"{place}: from") if "from" in table else 0.0, 0.0)
    own: dict[str, Any] = _service(table, place, r) if service else _runs(table, place, r, confidence)
    if len(r.problems) > before:
        return None
    if own["until_s"] <= from_s:
        key = "until" if service else "deadline"
        r.refuse(f"{place}: {key}", f"is not after its beginning ({show(from_s, 's')} from the first day)")
        return None
    return Workload(name=name, priority=priority, offers=allowed, from_s=from_s, **own)


def _allowed(value: object, place: str, offers: list[str]) -> tuple[int, ...]:
    """Read the offers that a workload may use; all, where none is named."""
    if value is None:
        return tuple(range(len(offers)))
    parts = value if isinstance(value, (list, tuple)) else [value]
    unknown = [part for part in parts if part not in offers]
    if unknown or not parts:
        raise InputError(
            [Problem(place, "is not an offer", p, ", ".join(offers), nearest(str(p), offers)) for p in unknown]
            or [Problem(place, "is empty", fix="name an offer, or leave it out")]
        )
    return tuple(dict.fromkeys(offers.index(str(part)) for part in parts))


def _runs(table: Mapping[str, object], place: str, r: Reader, confidence: object) -> dict[str, Any]:
    count = r.read(lambda: whole(table.get("count", 1), f"{place}: count", MOST_RUNS), 1)
    at_once = table.get("at_once")
    most = None if at_once is None else r.read(lambda: whole(at_once, f"{place}: at_once", MOST_RUNS), 1)
    empty: tuple[dict[str, object], dict[str, str]] = ({}, {})
    tables, places = r.read(lambda: _scenario(table, place, r), empty)
    if tables and confidence is not None:
        tables = {"confidence": confidence, **tables}
    due = table.get("deadline", tables.get("deadline"))
    if due is None:
        r.refuse(f"{place}: deadline", "is missing", fix='write deadline = "12 weeks", from the first day, or a date')
    until = 0.0 if due is None else r.read(lambda: r.moment(due, f"{place}: deadline"), 0.0)
    aside = tuple(key for key in ASIDE if key in tables)
    tables = {key: value for key, value in tables.items() if key not in ("deadline", *ASIDE)}
    if "catalog" in tables:
        fix = "name the file at the top of the fleet: one catalogue holds for all of it"
        r.refuse(f"{place}: catalog", "is of one scenario alone", fix=fix)
        del tables["catalog"]
    if tables and until > 0.0:
        tables["deadline"] = f"{until:.0f} s"
        r.read(lambda: _checked(tables, places, r), None)
    return {"count": count, "at_once": most, "tables": tables, "until_s": until, "aside": aside}


def _scenario(table: Mapping[str, object], place: str, r: Reader) -> tuple[dict[str, object], dict[str, str]]:
    """Return the tables of a workload's scenario, from its file or as they stand, and where each key was written."""
    if ("scenario" in table) == ("run" in table):
        message = "is given twice: as a file and as it stands" if "run" in table else "is missing"
        fix = 'write scenario = "run.toml", or [workload.run] with model and tokens'
        raise InputError([Problem(f"{place}: scenario", message, fix=fix)])
    if "scenario" in table:
        path = table["scenario"]
        if not isinstance(path, (str, Path)) or not str(path).strip():
            raise InputError([Problem(f"{place}: scenario", "is not the path of a scenario", path)])
        file = str(beside(r.file, str(path)))
        try:
            found = load_tables(file)
        except InputError as error:
            raise InputError([replace(p, path=f"{place}: scenario: {p.path}") for p in error.problems]) from None
        return found, {key: f"{file}: {key}" for key in found}
    run = table["run"]
    if not isinstance(run, Mapping):
        raise InputError([Problem(f"{place}: run", "is not a table", fix="write [workload.run] with model and tokens")])
    inner = {key: beside(r.file, value) if key in ("model", "calibration") else value for key, value in run.items()}
    return inner, {key: f"{place}: run.{key}" for key in (*KEYS, *map(str, run))}


def _checked(tables: Mapping[str, object], places: Mapping[str, str], r: Reader) -> Scenario | None:
    """Check a scenario."""
    return read_scenario(tables, places, r.start)[0]


def _service(table: Mapping[str, object], place: str, r: Reader) -> dict[str, Any]:
    context = r.context()
    rate = r.read(lambda: parse(table["serve"], "token/s", f"{place}: serve"), 1.0)
    if rate == 0.0:
        r.refuse(f"{place}: serve", "is zero", table["serve"], allowed="more than 0")
    model = beside(r.file, table.get("model"))
    found = r.read(lambda: values.find_model(model, f"{place}: model", r.start), None)
    if "efficiency" in table:
        share = r.read(lambda: parse(table["efficiency"], "1", f"{place}: efficiency"), 1.0)
        if share == 0.0:
            r.refuse(f"{place}: efficiency", "is zero", table["efficiency"], allowed="more than 0 %, up to 100 %")
    else:
        fix = "write efficiency = '25 %': the share of the dense peak that your serving reaches"
        r.refuse(f"{place}: efficiency", "is missing", fix=fix)
        share = 1.0
    precision = r.read(lambda: choice(*BYTES)(table.get("precision", "bf16"), f"{place}: precision", context), "bf16")
    if "until" not in table:
        r.refuse(f"{place}: until", "is missing", fix='write until = "52 weeks", from the first day, or a date')
    until = r.read(lambda: r.moment(table["until"], f"{place}: until") if "until" in table else 0.0, 0.0)
    service = None
    if found is not None:
        service = Service(
            architecture=found.architecture, tokens_per_s=rate, efficiency_frac=share, precision=precision
        )
    return {"service": service, "until_s": until}
