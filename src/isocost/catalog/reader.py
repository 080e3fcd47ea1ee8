"""Reads one file of facts into records, and refuses what breaks the rules: every problem at once, with its place.

A problem reads ``my.toml: offer[3].price: ...``; entries of an array are counted from 0, as in TOML tools.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from isocost.catalog.records import GRADES, Accelerator, Fabric, Fact, Node, Offer, Rate, Source, Tier, first_day
from isocost.catalog.schema import KINDS, PROVENANCE, RATE_KINDS, TIER, Field
from isocost.errors import DataError, InputError, Problem, nearest
from isocost.units import parse

MAX_BYTES = 10_000_000
_MAX_SHOWN = 50  # problems: more than that is one mistake made often
_MAX_TEXT = 500
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_AS_OF = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
_EXAMPLE = {"source": 'source = "quote of Example Cloud"', "as_of": 'as_of = "2026-05"', "grade": 'grade = "reported"'}


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The records of one file, in file order."""

    accelerators: Mapping[str, Accelerator]
    nodes: Mapping[str, Node]
    fabrics: Mapping[str, Fabric]
    offers: tuple[Offer, ...]
    rates: Mapping[tuple[str, str], Rate]  # by kind and id
    sources: Mapping[str, Source]
    priced_only: frozenset[str]
    places: Mapping[str, str]  # "accelerator.some-id" -> the place a problem shows
    offer_places: tuple[str, ...]


def refuse(problems: list[Problem]) -> None:
    """Raise one DataError with all problems, the tail of a very long list summed up."""
    if problems:
        more = len(problems) - _MAX_SHOWN
        tail = [Problem("", f"and {more:,} more problems")] if more > 0 else []
        raise DataError([*problems[:_MAX_SHOWN], *tail])


def read_file(path: Path, shown: str) -> Content:
    """Return the records of the TOML file at ``path``; ``shown`` is how problems name it."""
    return read_tables(_tables(path, shown), shown)


def _tables(path: Path, shown: str) -> dict[str, Any]:
    """Return the parsed TOML; whatever is wrong with the file as a file is one DataError."""

    def fail(message: str, fix: str = "") -> DataError:
        return DataError([Problem(shown, message, fix=fix)])

    try:
        if not path.is_file():
            raise fail("is a directory" if path.is_dir() else "does not exist, or is not a regular file")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise fail(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > MAX_BYTES:
        raise fail(f"is larger than {MAX_BYTES // 10**6} MB, the most a catalogue file may be")
    try:
        tables = tomllib.loads(raw.decode("utf-8-sig"))
        if not tables:
            raise fail("has no facts in it", "add an [[offer]] or an [accelerator.*] table, or leave the file out")
        return tables
    except UnicodeDecodeError as error:
        raise fail(f"is not UTF-8 text (byte {error.start:,})", "save it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise fail(f"is not valid TOML: {reason}") from None


def read_tables(tables: Mapping[str, Any], shown: str) -> Content:
    """Return the records of parsed TOML, or raise one DataError that lists every problem."""
    problems: list[Problem] = []
    found: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    places: dict[str, str] = {}
    offer_places: list[str] = []
    for name, entries in tables.items():
        if name in KINDS:
            for key, place, entry in _entries(name, entries, shown, problems):
                record = _record(name, key, entry, place, problems)
                if record is not None:
                    found[name].append(record)
                    places[f"{name}.{key}"] = place
                    offer_places += [place] if name == "offer" else []
        elif name != "priced_only":
            known = [*KINDS, "priced_only"]
            problems.append(Problem(f"{shown}: {name}", "is not a table of a catalogue", nearest=nearest(name, known)))
    problems += _repeated(found["offer"], offer_places)
    priced_only = _texts(tables.get("priced_only", []), f"{shown}: priced_only", problems)
    refuse(problems)
    return Content(
        accelerators={record.id: record for record in found["accelerator"]},
        nodes={record.id: record for record in found["node"]},
        fabrics={record.id: record for record in found["fabric"]},
        offers=tuple(found["offer"]),
        rates={(record.kind, record.id): record for kind in RATE_KINDS for record in found[kind]},
        sources={record.key: record for record in found["source"]},
        priced_only=frozenset(priced_only),
        places=places,
        offer_places=tuple(offer_places),
    )


def _repeated(offers: list[Offer], places: list[str]) -> list[Problem]:
    """Return a problem for every explicit offer id that an earlier offer of the file has."""
    first: dict[str, str] = {}
    problems = []
    for offer, place in zip(offers, places, strict=True):
        if offer.id and first.setdefault(offer.id, place) != place:
            problems.append(Problem(f"{place}.id", f"is the id of {first[offer.id]} too", offer.id))
    return problems


def _entries(
    name: str, entries: object, shown: str, problems: list[Problem]
) -> list[tuple[str, str, Mapping[str, object]]]:
    """Return (id, place, table) of every entry; offers are an array, all else is a table of tables by id."""
    wanted = list if name == "offer" else dict
    if not isinstance(entries, wanted):
        header = "[[offer]]" if name == "offer" else f"[{name}.some-id]"
        problems.append(Problem(f"{shown}: {name}", "has the wrong shape", entries, fix=f"write {header}"))
        return []
    pairs = enumerate(entries) if isinstance(entries, list) else entries.items()
    rows: list[tuple[str, str, Mapping[str, object]]] = []
    for key, entry in pairs:
        place = f"{shown}: {name}[{key}]" if name == "offer" else f"{shown}: {name}.{key}"
        if not isinstance(entry, dict):
            problems.append(Problem(place, "is not a table", entry))
        elif name != "offer" and not _ID.fullmatch(str(key)):
            problems.append(Problem(place, "is not an id", allowed="a-z, 0-9, dot, hyphen, underscore; 100 at most"))
        else:
            rows.append((str(key), place, entry))
    return rows


def _record(name: str, key: str, entry: Mapping[str, object], place: str, problems: list[Problem]) -> Any:
    """Return one record, or ``None`` when the table had problems (all of them are added)."""
    kind, before = KINDS[name], len(problems)
    dated = name != "source"
    known = [*kind.fields, *(PROVENANCE if dated else ()), *(("id",) if name == "offer" else ())]
    _unknown_keys(entry, known, place, problems)
    values = _values(entry, kind.fields, place, problems)
    if dated:
        values["fact"] = _fact(entry, tuple(kind.fields), place, problems)
    if name == "offer":
        values.setdefault("quotes", 1)
        given = entry.get("id", "offer")
        if not isinstance(given, str) or not _ID.fullmatch(given):
            problems.append(Problem(f"{place}.id", "is not an id", given))
        key = f"{given}" if "id" in entry else ""
    if len(problems) > before:
        return None
    return kind.build(**{"key" if name == "source" else "id": key}, **kind.fixed, **values)


def _unknown_keys(entry: Mapping[str, object], known: list[str], place: str, problems: list[Problem]) -> None:
    for key in entry:
        if key not in known:
            problems.append(Problem(f"{place}.{key}", "is not a known key", nearest=nearest(key, known)))


def _values(
    entry: Mapping[str, object], fields: Mapping[str, Field], place: str, problems: list[Problem]
) -> dict[str, Any]:
    """Return the attributes read from a table by its fields; a missing optional one is left to the record's default."""
    values: dict[str, Any] = {}
    for key, wanted in fields.items():
        if key not in entry:
            if wanted.required:
                problems.append(Problem(f"{place}.{key}", "is missing"))
            continue
        try:
            values |= _READERS[wanted.shape](entry[key], wanted, f"{place}.{key}")
        except InputError as error:
            problems.extend(error.problems)
    return values


def _fact(entry: Mapping[str, object], fields: tuple[str, ...], place: str, problems: list[Problem]) -> Fact | None:
    """Return the provenance of a record; a fact without source, date or grade is refused."""
    before = len(problems)
    for key in ("source", "as_of", "grade"):
        if key not in entry:
            problems.append(Problem(f"{place}.{key}", "is missing", fix=f"write e.g. {_EXAMPLE[key]}"))
    source = entry.get("source", "-")
    sources = _texts([source] if isinstance(source, str) else source, f"{place}.source", problems)
    if not sources and len(problems) == before:
        problems.append(Problem(f"{place}.source", "is empty", fix=f"write e.g. {_EXAMPLE['source']}"))
    as_of = _as_of(entry.get("as_of", "2000"), f"{place}.as_of", problems)
    grade = entry.get("grade", GRADES[0])
    if grade not in GRADES:
        close = nearest(grade, GRADES) if isinstance(grade, str) else ""
        problems.append(Problem(f"{place}.grade", "is not a grade", grade, ", ".join(GRADES), close))
    from_memory = _texts(entry.get("from_memory", []), f"{place}.from_memory", problems)
    for name in from_memory:
        if name not in fields:
            problems.append(Problem(f"{place}.from_memory", "is not a field", name, nearest=nearest(name, fields)))
    disputed = _texts(entry.get("disputed", []), f"{place}.disputed", problems)
    note = entry.get("note", "")
    if not isinstance(note, str):
        problems.append(Problem(f"{place}.note", "is not text", note))
    if len(problems) > before:
        return None
    return Fact(
        sources=sources, as_of=as_of, grade=str(grade), from_memory=from_memory, disputed=disputed, note=str(note)
    )


def _as_of(value: object, place: str, problems: list[Problem]) -> str:
    text = value.isoformat()[:10] if isinstance(value, datetime.date) else value
    try:
        if isinstance(text, str) and _AS_OF.fullmatch(text):
            first_day(text)
            return text
    except ValueError:
        pass
    problems.append(Problem(place, "is not a date", value, "2026, 2026-05 or 2026-05-31"))
    return ""


def _texts(value: object, place: str, problems: list[Problem]) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(item, str) and 0 < len(item.strip()) <= _MAX_TEXT for item in value):
        return tuple(value)
    problems.append(Problem(place, "is not a list of texts", value))
    return ()


def _read_text(value: object, wanted: Field, place: str) -> dict[str, Any]:
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_TEXT:
        raise InputError([Problem(place, f"is not a text of 1 to {_MAX_TEXT} characters", value)])
    return {wanted.attribute: value}


def _read_texts(value: object, wanted: Field, place: str) -> dict[str, Any]:
    problems: list[Problem] = []
    texts = _texts(value, place, problems)
    if problems:
        raise InputError(problems)
    return {wanted.attribute: texts}


def _read_count(value: object, wanted: Field, place: str) -> dict[str, Any]:
    if isinstance(value, bool) or not isinstance(value, int) or not wanted.least <= value <= wanted.most:
        allowed = f"a whole number from {wanted.least:.0f} to {wanted.most:.0f}"
        raise InputError([Problem(place, "is out of range" if isinstance(value, int) else "is wrong", value, allowed)])
    return {wanted.attribute: value}


def _read_flag(value: object, wanted: Field, place: str) -> dict[str, Any]:
    if not isinstance(value, bool):
        raise InputError([Problem(place, "is not a yes or no", value, "true or false")])
    return {wanted.attribute: value}


def _read_choice(value: object, wanted: Field, place: str) -> dict[str, Any]:
    if value not in wanted.choices:
        close = nearest(value, wanted.choices) if isinstance(value, str) else ""
        raise InputError([Problem(place, "is not a choice", value, ", ".join(wanted.choices), close)])
    return {wanted.attribute: value}


def _amount(value: object, wanted: Field, place: str) -> float:
    """Return a positive quantity within the bounds of its field, in SI."""
    amount = parse(value, wanted.unit, place)
    if wanted.positive and amount == 0:
        raise InputError([Problem(place, "is zero", value, fix="leave an unknown out")])
    if not wanted.least <= amount <= wanted.most:
        bound = f"at least {wanted.least:g}" if amount < wanted.least else "less: check the unit"
        raise InputError([Problem(place, "is out of range", value, bound)])
    return amount


def _read_quantity(value: object, wanted: Field, place: str) -> dict[str, Any]:
    return {wanted.attribute: _amount(value, wanted, place)}


def _read_range(value: object, wanted: Field, place: str) -> dict[str, Any]:
    """Read one figure, or a table of low, median and high in that order of size."""
    names = ("low", "median", "high")
    if not isinstance(value, dict):
        amount = _amount(value, wanted, place)
        return {wanted.attribute.format(name): amount for name in names}
    problems: list[Problem] = []
    _unknown_keys(value, list(names), place, problems)
    amounts = _values(
        value, {name: replace(wanted, shape="quantity", attribute=name) for name in names}, place, problems
    )
    if not problems and not amounts["low"] <= amounts["median"] <= amounts["high"]:
        problems.append(Problem(place, "is not ordered", allowed="low <= median <= high"))
    if problems:
        raise InputError(problems)
    return {wanted.attribute.format(name): amounts[name] for name in names}


def _read_tiers(value: object, wanted: Field, place: str) -> dict[str, Any]:
    """Read the levels of a fabric, nearest first; all but the last state their reach."""
    if not isinstance(value, list) or not value or not all(isinstance(entry, dict) for entry in value):
        raise InputError([Problem(place, "is not a list of tiers", value, fix='write [{ latency = "5 us" }]')])
    problems: list[Problem] = []
    rows: list[dict[str, Any]] = []
    for index, entry in enumerate(value):
        _unknown_keys(entry, list(TIER), f"{place}[{index}]", problems)
        rows.append(_values(entry, TIER, f"{place}[{index}]", problems))
    reaches = [row.get("reach_gpus") for row in rows]
    near = [reach for reach in reaches[:-1] if reach is not None]
    if not problems and (len(near) < len(rows) - 1 or near != sorted(set(near)) or reaches[-1] is not None):
        problems.append(Problem(place, "has wrong reaches", reaches, "rising, on all but the last tier"))
    if problems:
        raise InputError(problems)
    return {wanted.attribute: tuple(Tier(**{"reach_gpus": None} | row) for row in rows)}


_READERS: Mapping[str, Callable[[object, Field, str], dict[str, Any]]] = {
    "text": _read_text,
    "texts": _read_texts,
    "count": _read_count,
    "flag": _read_flag,
    "choice": _read_choice,
    "quantity": _read_quantity,
    "range": _read_range,
    "tiers": _read_tiers,
}
