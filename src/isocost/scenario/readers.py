"""The reader of each kind of key: ``Key.kind`` names it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from isocost.catalog.records import TERMS, TRAINING_PRECISIONS
from isocost.catalog.reliability import load_reliability
from isocost.catalog.stacks import ATTENTION_KERNELS
from isocost.errors import DataError, InputError, Problem, nearest
from isocost.laws.pipeline import SCHEDULES
from isocost.money.own import BOUNDS
from isocost.perf.layout import RECOMPUTES, SHARDINGS
from isocost.reliability.conditions import OWNED_SITES
from isocost.reliability.defaults import SAVES
from isocost.reliability.facility import COOLING, STANDBY, availability_frac
from isocost.scenario import table_values, training, values
from isocost.scenario.keys import Key, keys_of
from isocost.scenario.record import TABLES
from isocost.scenario.tables import Table
from isocost.scenario.values import MAX_PLACE, Context, Reader
from isocost.units import show

NORM_KERNELS: Final = ("fused", "eager", "compiled")
GRADIENT_PRECISIONS: Final = ("bf16", "fp16", "fp32")

T = TypeVar("T", bound=Table)
Names = Callable[[], Iterable[str]]

# Kinds that are one of a few names: of a scenario, and of its tables.
_NAMES: Final[Mapping[str, Names]] = {
    "term": lambda: TERMS,
    "recompute": lambda: RECOMPUTES,
    "sharding": lambda: SHARDINGS,
    "schedule": lambda: SCHEDULES,
    "attention_kernel": lambda: ATTENTION_KERNELS,
    "norm_kernel": lambda: NORM_KERNELS,
    "gradient_precision": lambda: GRADIENT_PRECISIONS,
}
_NAMES_IN_TABLES: Final[Mapping[str, Names]] = {
    "tier": lambda: load_reliability().tiers,
    "cooling": lambda: COOLING,
    "saves": lambda: SAVES,
    "level": lambda: load_reliability().support,
    "standby": lambda: STANDBY,
    "site": lambda: OWNED_SITES,
}
_READERS: Final[Mapping[str, Reader]] = {
    "text": values.read_text,
    "model": values.read_model,
    "architecture": values.read_architecture,
    "deadline": values.read_deadline,
    "accelerators": values.read_accelerators,
    "gpus": values.read_gpus,
    "fabric": values.read_fabric,
    "stack": values.read_stack,
    "precisions": values.choices(*TRAINING_PRECISIONS),
    "flag": values.read_flag,
    "catalogs": values.read_catalogs,
    "calibration": values.read_calibration,
    "confidence": values.read_confidence,
}
_READERS_IN_TABLES: Final[Mapping[str, table_values.Read]] = {
    "availability": availability_frac,
    "per_thousand": table_values.read_per_thousand,
    "events": table_values.read_stops,
    "interval": table_values.read_interval,
    "file": table_values.read_file,
    "pieces": table_values.read_pieces,
    "spares": table_values.read_spares,
    "lifetime": table_values.read_lifetime,
    "laws": training.read_laws,
    "family": training.read_family,
    "experts": training.read_experts,
    "per_billion": training.read_price,
    "quality": training.read_quality,
}
# Kinds whose reader depends on unit and bounds of the key.
_OF_A_KEY: Final[Mapping[str, Callable[[Key], table_values.Read]]] = {
    "quantity": lambda key: table_values.quantity(key.unit, above=key.above, most=key.most),
    "spread": lambda key: table_values.spread(key.unit),
    "bounded_spread": lambda key: table_values.spread(key.unit, bounded=True),
    "bounded": lambda key: table_values.bounded(key.unit, key.field),
}


def reader_of(key: Key) -> Reader:
    """Return the reader of the values of a key."""
    kind = key.kind
    if kind == "table":
        return table_reader(TABLES[key.name], key.name)
    if kind == "amount":
        return values.amount(key.unit)
    if kind == "count":
        return values.count(int(key.most))
    if kind in _READERS:
        return _READERS[kind]
    if kind in _NAMES:
        return values.choice(*_NAMES[kind]())
    read = _of_a_table(key)
    return lambda value, place, context: read(value, place)


def _of_a_table(key: Key) -> table_values.Read:
    """Return the reader of a value that needs neither catalog nor date."""
    if key.kind in _READERS_IN_TABLES:
        return _READERS_IN_TABLES[key.kind]
    if key.kind in _NAMES_IN_TABLES:
        return table_values.one_of(*_NAMES_IN_TABLES[key.kind]())
    return _OF_A_KEY[key.kind](key)


def names_of(key: Key) -> tuple[str, ...]:
    """Return the names that a key takes; none where it takes anything else."""
    if key.kind == "precisions":
        return tuple(TRAINING_PRECISIONS)
    names = {**_NAMES, **_NAMES_IN_TABLES}.get(key.kind)
    return () if names is None else tuple(names())


def table_reader(record: type[T], name: str) -> Callable[[Any, str, Context], T]:
    """Return the reader of a whole table: one error lists everything that is wrong with it."""
    keys = keys_of(record)

    def read(value: Any, place: str, context: Context) -> T:
        if isinstance(value, record):
            return value
        if not isinstance(value, Mapping):
            raise InputError([Problem(place, "is not a table", value, fix=f"write [{name}] with keys under it")])
        found, problems = read_values(
            keys,
            value.items(),
            context,
            lambda key: f"{place}.{key}"[:MAX_PLACE],
            lambda where, key: Problem(
                where, f"is not a key of [{name}]", allowed=", ".join(keys), nearest=nearest(key, keys)
            ),
        )
        if "events" in found:
            try:
                found["posterior"] = table_values.posterior_of(found, place)
            except InputError as error:
                problems += error.problems
        if problems:
            raise InputError(problems)
        return record(given=dict(value), **found)

    return read


def read_values(
    keys: Mapping[str, Key],
    given: Iterable[tuple[Any, object]],
    context: Context,
    place_of: Callable[[str], str],
    unknown: Callable[[str, str], Problem],
) -> tuple[dict[str, Any], list[Problem]]:
    """Return the values that can be read, by field, and the problems of the others, in the order given."""
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in given:
        place = place_of(str(name))
        if name not in keys:
            problems.append(unknown(place, str(name)))
            continue
        try:
            found[keys[name].field] = reader_of(keys[name])(value, place, context)
        except (InputError, DataError) as error:
            problems += error.problems
    return found, problems


_BOUNDS: Final[Mapping[str, str]] = {
    "flag": "true, false",
    "deadline": "more than 0, or a date to come",
    "amount": "more than 0",
    "confidence": "more than 0 %, less than 100 %",
    "availability": "more than 0",
    "spread": "one, or low, median, high",
    "bounded_spread": "one, or low, median, high",
    "per_thousand": "one, or low, median, high",
    "lifetime": "0.1 to 30 years",
    "interval": "auto, or more than 0",
    "pieces": "1 or more",
    "spares": "0 or more",
}


def bounds_of(key: Key) -> str:
    """Return what values a key takes, as short text; nothing where a name, a file or any amount will do."""
    if names := names_of(key):
        return ", ".join(names)
    if key.kind == "count":
        return f"1 to {key.most:,.0f}"
    if key.kind == "bounded":
        return BOUNDS[key.field].allowed()
    if key.kind == "quantity":
        most = "" if key.most == math.inf else f"at most {show(key.most, key.unit)}"
        return ", ".join(part for part in ("more than 0" if key.above else "", most) if part)
    return _BOUNDS.get(key.kind, "")
