"""From a file or tables to a scenario: every problem at once, each with the place where it was written."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from isocost.catalog import Catalog, load_catalog
from isocost.errors import DataError, InputError, Problem, nearest
from isocost.scenario import values
from isocost.scenario.consistency import room_problems, supply_problems
from isocost.scenario.keys import Key, keys_of
from isocost.scenario.readers import read_values
from isocost.scenario.record import DEFAULTS, KEYS, TABLES, Scenario
from isocost.scenario.values import Context

MAX_BYTES: Final = 1_000_000
_NEEDS_MODEL: Final = (
    "name a shipped model (isocost catalog list models), the path of a config.json, or write an [architecture] table"
)


def load_tables(path: str | Path) -> dict[str, Any]:
    """Return the tables of a scenario file, its relative paths resolved against its folder; not yet checked."""
    file = Path(path)
    text = _text(file)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError([Problem(str(path), f"is not valid TOML: {error}", fix="correct the file")]) from None
    except RecursionError:
        raise InputError([Problem(str(path), "is nested too deeply", fix="correct the file")]) from None
    for name, record in TABLES.items():
        if isinstance(inner := tables.get(name), dict):
            tables[name] = _beside(file, inner, keys_of(record))
    return _beside(file, tables, KEYS)


def _beside(file: Path, given: Mapping[str, Any], keys: Mapping[str, Key]) -> dict[str, Any]:
    """Return the values of a table, paths among them as ones that can be opened."""
    return {
        name: beside(file, _listed(value) if keys[name].kind in ("laws", "family") else value)
        if name in keys and keys[name].path
        else value
        for name, value in given.items()
    }


def _listed(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _text(file: Path) -> str:
    place = str(file)
    try:
        if not file.is_file():
            why = "is a directory" if file.is_dir() else "does not exist, or is not a regular file"
            raise InputError([Problem(place, why, fix="give the path of a scenario in TOML, such as examples/*.toml")])
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            limit = f"at most {MAX_BYTES // 10**6} MB"
            raise InputError([Problem(place, "is too large for a scenario", allowed=limit)])
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            [Problem(place, f"is not UTF-8 text (byte {error.start:,})", fix="save it as UTF-8")]
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError([Problem(place, f"cannot be read: {reason}")]) from None


def beside(file: Path, value: object) -> object:
    """Return a path relative to the scenario's folder as one that can be opened; names of models stay."""
    if isinstance(value, list):
        return [beside(file, part) for part in value]
    if not isinstance(value, str) or "\0" in value or len(value) > 4096:
        return value
    path = file.parent / value
    return str(path) if "/" in value or path.exists() else value


def read_scenario(
    tables: Mapping[str, object],
    places: Mapping[str, str] | None = None,
    today: datetime.date | None = None,
) -> tuple[Scenario, Catalog]:
    """Return the scenario that ``tables`` describe and its catalog; one InputError lists every problem.

    ``places`` says where the user wrote each key, and ``today`` is when a deadline given as a date starts to count.
    """
    given = {key: value for key, value in tables.items() if value is not None}
    problems: list[Problem] = []
    place = dict(places or {})
    catalog = _catalog(given, place, problems)
    context = Context(catalog=catalog, today=today or datetime.date.today(), places=place)
    found, wrong = _read(given, context)
    problems += wrong
    if ("model" in given) == ("architecture" in given):
        message = "is given twice: by name and by [architecture]" if "model" in given else "is missing"
        fix = "keep one of the two" if "model" in given else _NEEDS_MODEL
        problems.append(Problem(context.place("model"), message, fix=fix))
    if "confidence" in given and not {"deadline", "budget"} & given.keys():
        fix = "add a deadline or a budget, or leave it out"
        problems.append(Problem(context.place("confidence"), "has no limit to keep", given["confidence"], fix=fix))
    known = {key.field: getattr(DEFAULTS, key.field) for name, key in KEYS.items() if name not in given} | found
    problems += room_problems(known, context) + supply_problems(known, context)
    if problems:
        raise InputError(problems)
    scenario = Scenario(**found)
    if problems := _position_problems(scenario, context):
        raise InputError(problems)
    assert catalog is not None
    return scenario, catalog


def _read(given: Mapping[str, object], context: Context) -> tuple[dict[str, Any], list[Problem]]:
    """Return the values that can be read, by field, and what is wrong with the others."""
    places = list(KEYS)
    known = sorted(KEYS)
    in_order = sorted(given.items(), key=lambda item: places.index(item[0]) if item[0] in KEYS else len(places))

    def unknown(place: str, key: str) -> Problem:
        fix = f"use one of {', '.join(known)}"
        return Problem(place, "is not a key of a scenario", nearest=nearest(key, known), fix=fix)

    found, problems = read_values(KEYS, in_order, context, context.place, unknown)
    if "tokens" not in given:
        missing = Problem(context.place("tokens"), "is missing", fix="add tokens = '15 T', as a flag --tokens '15 T'")
        problems.insert(0, missing)
    return found, problems


def _position_problems(scenario: Scenario, context: Context) -> list[Problem]:
    """Return the problem of a sequence that is longer than the learned positions of the model; others extrapolate."""
    shape, asked = scenario.shape, scenario.seq_len
    if asked is None or not shape.position_params or not 0 < shape.max_seq_len < asked:
        return []
    message = f"is beyond the {shape.max_seq_len:,} learned positions of {shape.name}"
    fix = f"ask for {shape.max_seq_len:,} tokens at most, or write an [architecture] with more positions"
    return [Problem(context.place("seq_len"), message, asked, fix=fix)]


def _catalog(given: Mapping[str, object], places: Mapping[str, str], problems: list[Problem]) -> Catalog | None:
    """Return the catalog with the user's files over it; ``None`` when one of them is broken."""
    try:
        context = Context(catalog=None, today=datetime.date.min, places=places)
        paths = values.read_catalogs(given["catalog"], context.place("catalog"), context) if "catalog" in given else ()
    except InputError:
        return None  # reported by the validation of the key
    try:
        return load_catalog(*paths)
    except DataError as error:
        problems += error.problems
        return None


def load_scenario(path: str | Path, today: datetime.date | None = None, **changes: object) -> Scenario:
    """Return the scenario in a TOML file; ``changes`` override its keys, as flags do on the command line.

    ``today`` is the day that a deadline given as a date counts from; None for now. Quantities of the result are in SI
    units and US dollars. An InputError lists every problem of the file and the changes.

    Example:
        >>> isocost.load_scenario("examples/llama-3.1-70b.toml", deadline="45 d").deadline_s
        3888000.0
    """
    tables = load_tables(path)
    places = {key: f"{path}: {key}" for key in tables}
    return read_scenario({**tables, **changes}, {**places, **{key: key for key in changes}}, today)[0]
