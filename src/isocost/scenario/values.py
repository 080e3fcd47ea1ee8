"""How one value of a scenario is read: text with units in, SI numbers and known names out.

Each reader is given the value, the place where it was written and a ``Context`` (catalog, today's date), and raises
an ``InputError`` with all that is wrong with it.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from isocost.catalog import Catalog
from isocost.catalog.stacks import recipe
from isocost.errors import InputError, Problem, nearest
from isocost.perf.site_file import load_calibration
from isocost.scenario.keys import MAX_GPUS, MAX_SEQ_LEN
from isocost.units import DAY_S, parse
from isocost.workload.architecture import Architecture
from isocost.workload.hf import CONFIG_NAME, load_config
from isocost.workload.presets import preset, preset_facts, preset_names
from isocost.workload.table import architecture_from_table

MAX_PLACE: Final = 300  # characters of a place in a message
MAX_LIST: Final = 200  # entries of a list in a scenario

Reader = Callable[[Any, str, "Context"], Any]
Part = TypeVar("Part")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What readers need besides the value."""

    catalog: Catalog | None  # None: the user's catalog file is broken, so names in it are not checked
    today: datetime.date
    places: Mapping[str, str]  # key -> where the user wrote it: "--tokens", "plan.toml: tokens"

    def place(self, key: str) -> str:
        """Return where the value of a key was written, as one short line whatever the key is."""
        place = self.places.get(key, key)[:MAX_PLACE]
        return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model by name or by its configuration file, and where its facts come from."""

    given: str
    architecture: Architecture
    source: str
    as_of: str


def _refuse(place: str, message: str, given: object, allowed: str = "", close: str = "", fix: str = "") -> InputError:
    return InputError([Problem(place, message, given, allowed, close, fix)])


def amount(unit: str) -> Reader:
    """Return the reader of a quantity above zero, in SI ``unit`` once read."""

    def read(value: object, place: str, context: Context) -> float:
        number = parse(value, unit, place)
        if number == 0:
            fix = "" if unit == "token" else "leave it out for no limit"
            raise _refuse(place, "is zero", value, "a quantity above zero", fix=fix)
        return number

    return read


def whole(value: object, place: str, most: int) -> int:
    """Return a whole number from 1 to ``most``, from a number or its digits."""
    allowed = f"a whole number from 1 to {most:,}"
    number = value
    if isinstance(value, str):
        digits = value.strip().replace(",", "").replace("_", "")
        if not digits.lstrip("+-").isdecimal() or len(digits) > len(str(MAX_SEQ_LEN)) + 10:
            raise _refuse(place, "is not a whole number", value, allowed)
        number = int(digits)
    if isinstance(number, float) and number.is_integer():
        raise _refuse(place, "is not a whole number", value, allowed, fix=f"write {int(number)}")
    if isinstance(number, bool) or not isinstance(number, int):
        raise _refuse(place, "is not a whole number", value, allowed)
    if number < 1:
        raise _refuse(place, "is too small" if number else "is zero", value, allowed)
    if number > most:
        raise _refuse(place, "is too large", value, allowed)
    return number


def count(most: int) -> Reader:
    """Return the reader of a whole number from 1 to ``most``."""
    return lambda value, place, context: whole(value, place, most)


def _listed(value: object, place: str) -> list[object]:
    """Return a TOML list, or the parts of a text with commas, without repeats."""
    parts = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if isinstance(parts, tuple):
        parts = list(parts)
    if not isinstance(parts, list):
        parts = [parts]
    if not parts or any(part == "" for part in parts):
        raise _refuse(
            place, "has an empty entry" if parts else "is empty", value, fix="name at least one, or leave out"
        )
    if len(parts) > MAX_LIST:
        raise _refuse(place, "is too long", value, f"at most {MAX_LIST} entries")
    return [part for i, part in enumerate(parts) if part not in parts[:i]]


def _each(value: object, place: str, read: Callable[[object], Any]) -> tuple[Any, ...]:
    """Read every entry of a list, without repeats."""
    return tuple(dict.fromkeys(read_all(_listed(value, place), read)))


def read_all(parts: Iterable[Part], read: Callable[[Part], Any]) -> list[Any]:
    """Read every part and report the problems of all of them."""
    found: list[Any] = []
    problems: list[Problem] = []
    for part in parts:
        try:
            found.append(read(part))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return found


def read_gpus(value: object, place: str, context: Context) -> tuple[int, ...]:
    """Return GPU counts: one, a list, or a range "64..8192" of powers of two times its first figure."""

    def one(part: object) -> tuple[int, ...]:
        if isinstance(part, str) and ".." in part:
            first, _, last = part.partition("..")
            low, high = whole(first, place, MAX_GPUS), whole(last, place, MAX_GPUS)
            if high < low:
                raise _refuse(place, "is a range from more to fewer", part, fix=f"write {high}..{low}")
            return tuple(low << step for step in range((high // low).bit_length()))
        return (whole(part, place, MAX_GPUS),)

    return tuple(sorted({number for numbers in _each(value, place, one) for number in numbers}))


def choice(*names: str) -> Reader:
    """Return the reader of one of a few names."""
    return lambda value, place, context: _chosen(value, place, names)


def choices(*names: str) -> Reader:
    """Return the reader of a list of names out of a few."""
    return lambda value, place, context: _each(value, place, lambda part: _chosen(part, place, names))


def _chosen(value: object, place: str, known: tuple[str, ...]) -> str:
    if isinstance(value, str) and value.strip().casefold() in known:
        return value.strip().casefold()
    close = nearest(value, known) if isinstance(value, str) else ""
    raise _refuse(place, "is not known", value, ", ".join(known), close)


def read_accelerators(value: object, place: str, context: Context) -> tuple[str, ...]:
    """Return catalog ids of accelerators."""

    def one(part: object) -> str:
        if not isinstance(part, str):
            raise _refuse(place, "is not the name of an accelerator", part, fix="isocost catalog list accelerators")
        return _known(place, part, context, "accelerator")

    return _each(value, place, one)


def read_fabric(value: object, place: str, context: Context) -> str:
    """Return the catalog id of a fabric."""
    if not isinstance(value, str):
        raise _refuse(place, "is not the name of a fabric", value, fix="isocost catalog list fabrics")
    return _known(place, value, context, "fabric")


def _known(place: str, name: str, context: Context, kind: str) -> str:
    if context.catalog is None:
        return name
    known = context.catalog.accelerators if kind == "accelerator" else context.catalog.fabrics
    wanted = name.strip().casefold()
    if wanted in known:
        return wanted
    family = sorted(key for key in known if wanted and key.startswith(wanted))  # "h100" is no slip of spelling
    close = ", ".join(family[:4]) or nearest(wanted, known)
    fix = f"isocost catalog list {kind}s, or add [{kind}.{wanted[:40]}] to your own catalogue file (--catalog)"
    raise _refuse(place, f"is not an {kind} of the catalogue".replace("an f", "a f"), name, close=close, fix=fix)


def read_stack(value: object, place: str, context: Context) -> str:
    """Return the id of a shipped recipe of a software stack."""
    try:
        return recipe(value if isinstance(value, str) else "").id
    except InputError as error:
        known, close = error.problems[0].allowed, error.problems[0].nearest
        raise _refuse(place, "is not a software stack", value, known, close) from None


def read_flag(value: object, place: str, context: Context) -> bool:
    """Return yes or no, from a boolean or its word."""
    found = {"true": True, "false": False, "yes": True, "no": False}.get(str(value).strip().casefold())
    if found is None or not isinstance(value, (bool, str)):
        raise _refuse(place, "is neither true nor false", value, "true, false")
    return found


def as_day(value: object) -> datetime.date | None:
    """Return the day that a date, a time or an ISO text names; None where it names none."""
    if isinstance(value, str):
        try:
            return datetime.date.fromisoformat(value.strip())
        except ValueError:
            return None
    day = value.date() if isinstance(value, datetime.datetime) else value
    return day if isinstance(day, datetime.date) else None


def read_deadline(value: object, place: str, context: Context) -> float:
    """Return seconds from a duration ("60 d") or from today to a date ("2027-03-01")."""
    day = as_day(value)
    if day is None:
        seconds = parse(value, "s", place)
        if seconds == 0:
            raise _refuse(place, "is zero", value, "a duration above zero, or a date", fix="leave it out for no limit")
        return seconds
    if day <= context.today:
        past = "is today" if day == context.today else "is in the past"
        fix = f"give a date after {context.today.isoformat()}, or a duration such as '60 d'"
        raise _refuse(place, past, str(value), fix=fix)
    return (day - context.today).days * DAY_S


def read_model(value: object, place: str, context: Context) -> Model:
    """Return a shipped model by name, or the one that a config.json (the file, or its folder) describes."""
    return find_model(value, place, context.today)


def find_model(value: object, place: str, today: datetime.date | None = None) -> Model:
    """Return a model by name or path; ``place`` is where the user wrote it."""
    if not isinstance(value, (str, Path)) or not str(value).strip():
        raise _refuse(place, "is not a name or a path", value, fix="isocost catalog list models")
    name = str(value).strip()
    if name in preset_names():
        facts = preset_facts(name)
        return Model(given=name, architecture=preset(name), source=facts.source, as_of=facts.as_of)
    if not _is_path(name):
        close, fix = nearest(name, preset_names()), "isocost catalog list models, or give the path of a config.json"
        raise _refuse(place, "is not a shipped model", name, close=close, fix=fix)
    as_of = (today or datetime.date.today()).isoformat()
    return Model(given=name, architecture=load_config(name), source=f"the user's {name}", as_of=as_of)


def _is_path(name: str) -> bool:
    try:
        exists = Path(name).exists()
    except (OSError, ValueError):
        return True  # the reader of the file says what is wrong
    return exists or "/" in name or "\\" in name or name.endswith((".json", CONFIG_NAME))


def read_architecture(value: object, place: str, context: Context) -> Architecture:
    """Return the architecture of an [architecture] table."""
    if isinstance(value, Architecture):
        return value
    if not isinstance(value, Mapping):
        raise _refuse(place, "is not a table", value, fix="write [architecture] with hidden, vocab and blocks")
    return architecture_from_table(value, place)


def read_catalogs(value: object, place: str, context: Context) -> tuple[str, ...]:
    """Return the paths of the user's catalog files (loaded before the rest, see ``read``)."""

    def one(part: object) -> str:
        if not isinstance(part, (str, Path)):
            raise _refuse(place, "is not the path of a catalogue file", part)
        return str(part)

    return _each(value, place, one)


def read_calibration(value: object, place: str, context: Context) -> str:
    """Return the path of a calibration (isocost calibrate makes one); a broken one is refused here."""
    if not isinstance(value, (str, Path)) or not str(value).strip():
        raise _refuse(place, "is not the path of a calibration", value)
    load_calibration(str(value))
    return str(value)


def read_confidence(value: object, place: str, context: Context) -> float:
    """Return a probability between 0 and 1, both excluded."""
    share = parse(value, "1", place)
    if not 0.0 < share < 1.0:
        raise _refuse(place, "is no chance", value, "more than 0 %, less than 100 %", fix="write e.g. '90 %'")
    return share


def read_text(value: object, place: str, context: Context) -> str:
    """Return free text."""
    if not isinstance(value, str):
        raise _refuse(place, "is not text", value, fix="write it in quotes")
    return value
