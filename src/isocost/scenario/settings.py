"""The tables of a scenario about the conditions of a run: [facility], [reliability], ... [frontier].

Each table is read as a whole: its values in SI units, the text kept for writing it again, and one error that lists
everything wrong with it. Every key has a dated default, so that a table holds only what its writer knows better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from isocost.catalog.reliability import load_reliability
from isocost.errors import InputError, Problem, nearest
from isocost.money.own import BOUNDS
from isocost.reliability.conditions import OWNED_SITES
from isocost.reliability.defaults import SAVES
from isocost.reliability.facility import COOLING, STANDBY, availability_frac
from isocost.reliability.posterior import Event, Posterior, narrow, read_events
from isocost.scenario.training import read_experts, read_family, read_laws, read_price, read_quality
from isocost.scenario.values import MAX_PLACE, Context, Reader, whole
from isocost.stats.distributions import Distribution, Fixed, Pert, SplitLognormal
from isocost.units import DAY_S, parse, show

AUTO: Final = "auto"
_MAX_COUNT: Final = 1_000_000
_MOST_RUNS: Final = 100.0  # failed or exploratory runs over the final one
_ENDS: Final = ("low", "median", "high")
Read = Callable[[object, str], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One table: what was written, and what it says."""

    given: Mapping[str, object]
    values: Mapping[str, Any]

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, or a default."""
        return self.values.get(key, default)


def _quantity(unit: str, *, above: bool = False, most: float = math.inf) -> Read:
    def read(value: object, place: str) -> float:
        # A bare 0 has no unit to be missed; true and false are no numbers.
        number = 0.0 if value == 0 and not isinstance(value, bool) else parse(value, unit, place)
        if above and number == 0:
            raise InputError([Problem(place, "is zero", value, "more than 0")])
        if number > most:
            raise InputError([Problem(place, "is too large", value, f"at most {show(most, unit)}")])
        return number

    return read


def _spread(unit: str, *, bounded: bool = False, above: bool = True) -> Read:
    """Return the reader of one value, or of low, median and high: 90 % of the possible lies between the ends."""
    one = _quantity(unit, above=above)

    def read(value: object, place: str) -> Distribution | float:
        if not isinstance(value, Mapping):
            return float(one(value, place))
        problems = [Problem(place, f"has no {end}", allowed="low, median, high") for end in _ENDS if end not in value]
        odd = sorted(str(key) for key in value if key not in _ENDS)
        problems += [Problem(f"{place}.{key}", "is unknown", allowed="low, median, high") for key in odd]
        ends = []
        for end in _ENDS:
            try:
                ends += [float(one(value[end], f"{place}.{end}"))] if end in value else []
            except InputError as error:
                problems += error.problems
        if not problems and not ends[0] <= ends[1] <= ends[2]:
            problems.append(Problem(place, "is not in order", allowed="low <= median <= high"))
        if problems:
            raise InputError(problems)
        low, median, high = ends
        if low == high or low == 0:
            return Fixed(value=median)
        return Pert(low=low, mode=median, high=high) if bounded else SplitLognormal(low=low, median=median, high=high)

    return read


def _choice(*known: str) -> Read:
    by_folded = {name.casefold(): name for name in known}

    def read(value: object, place: str) -> str:
        found = by_folded.get(str(value).strip().casefold())
        if found is None:
            raise InputError([Problem(place, "is unknown", value, ", ".join(known), nearest(str(value), known))])
        return found

    return read


def _text(value: object, place: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError([Problem(place, "is not the path of a file", value)])
    return value


def _interval(value: object, place: str) -> float | None:
    if isinstance(value, str) and value.strip().casefold() == AUTO:
        return None
    return float(_quantity("s", above=True)(value, place))


def _events(value: object, place: str) -> tuple[Event, ...]:
    return read_events(_text(value, place))


def _kept(value: object, place: str) -> float:
    return float(whole(value, place, _MAX_COUNT))


def _per_thousand(value: object, place: str) -> Distribution | float:
    """Read a rate per 1000 node-days, as it is published, as one per node-day."""
    read = _spread("ratio")(value, place)
    if isinstance(read, SplitLognormal):
        return SplitLognormal(low=read.low / 1000, median=read.median / 1000, high=read.high / 1000)
    return (read.value if isinstance(read, Fixed) else float(read)) / 1000


def _posterior(found: Mapping[str, Any], place: str) -> Posterior:
    """Return what own events say of the rate of failures: how many nodes were watched for how long counts too."""
    missing = [key for key in ("watched_nodes", "watched") if key not in found]
    if missing:
        fix = 'add watched_nodes = 64 and watched = "70 d": nodes of 8 GPUs, and for how long'
        raise InputError([Problem(f"{place}.{key}", "is missing: events need it", fix=fix) for key in missing])
    try:
        return narrow(found["events"], nodes=found["watched_nodes"], days=found["watched"] / DAY_S)
    except InputError as error:
        shown = {"days": "watched", "nodes": "watched_nodes"}
        raise InputError([replace(p, path=f"{place}.{shown.get(p.path, p.path)}") for p in error.problems]) from None


def _spares(value: object, place: str) -> float:
    return 0.0 if value == 0 and not isinstance(value, bool) else float(whole(value, place, _MAX_COUNT))


def _lifetime(value: object, place: str) -> float:
    years = float(_quantity("s", above=True)(value, place)) / parse("1 year", "s")
    if not 0.1 <= years <= 30.0:
        raise InputError([Problem(place, "is out of range", value, "0.1 to 30 years")])
    return years


def _owned(unit: str, field: str) -> Read:
    """Return the reader of what the bill of an owner has bounds for, whether or not that is asked for."""

    def read(value: object, place: str) -> float:
        number, bound = parse(value, unit, place), BOUNDS[field]
        if not bound.least <= number <= bound.most:
            raise InputError([Problem(place, "is out of range", value, bound.allowed(), fix=bound.fix)])
        return number

    return read


def _used(value: object, place: str) -> float:
    return float(_quantity("1", above=True)(value, place))


_PERCENT: Final = _quantity("1")
_SPECS: Final[Mapping[str, Callable[[], Mapping[str, Read]]]] = {
    "facility": lambda: {
        "tier": _choice(*load_reliability().tiers), "availability": availability_frac, "cooling": _choice(*COOLING),
        "power": _quantity("1", above=True), "maintenance": _quantity("s", most=parse("1 month", "s")),
        "throttle": _spread("1", bounded=True),
    },
    "reliability": lambda: {
        "failures": _per_thousand, "events": _events, "watched_nodes": _quantity("ratio", above=True),
        "watched": _quantity("s", above=True), "age": _quantity("s"), "lemon_factor": _quantity("ratio", above=True),
        "straggler": _spread("1"),
    },
    "checkpoint": lambda: {
        "saves": _choice(*SAVES), "interval": _interval, "kept": _kept,
    },
    "storage": lambda: {
        "write": _quantity("B/s", above=True), "read": _quantity("B/s", above=True),
        "capacity": _quantity("B", above=True), "price": _spread("USD/B/s"),
    },
    "support": lambda: {
        "level": _choice(*load_reliability().support), "standby": _choice(*STANDBY), "spares": _spares,
        "bring_up": _spread("s"), "response": _spread("s"), "by_hand": _spread("1", bounded=True), "fee": _PERCENT,
    },
    "purchase": lambda: {
        "price": _spread("USD/s"), "resold": _PERCENT, "host": _quantity("USD/s"), "available": _kept,
        "lead_time": _quantity("s"),
    },
    "owned": lambda: {
        "server": _spread("USD"), "lifetime": _lifetime, "interest": _PERCENT, "residual": _PERCENT,
        "utilisation": _used, "site": _choice(*OWNED_SITES), "maintenance": _PERCENT,
        "network": _owned("1", "network_frac"), "storage": _owned("1", "storage_frac"), "installation": _PERCENT,
        "staff": _quantity("ratio"), "colocation": _quantity("USD/W/s"),
        "electricity": _quantity("USD/J"), "pue": _owned("ratio", "pue"), "draw": _PERCENT,
    },
    "programme": lambda: {
        "failed_runs": _quantity("ratio", most=_MOST_RUNS), "exploratory_runs": _quantity("ratio", most=_MOST_RUNS),
        "people": _quantity("ratio"), "salary": _spread("USD/s"), "capital_raised": _quantity("USD", above=True),
        "value_of_time": _quantity("USD/s"), "items": _text,
    },
    "frontier": lambda: {
        "data": _quantity("token", above=True), "serve": _quantity("token"), "laws": read_laws, "family": read_family,
        "serving_cost": _quantity("ratio", above=True), "token_price": read_price, "experts": read_experts,
        "loss_of": read_quality, "licence": _quantity("USD"),
    },
    "tuning": lambda: {"mfu": _used},
}  # fmt: skip
TABLES: Final = tuple(_SPECS)


def keys_of(table: str) -> tuple[str, ...]:
    """Return the keys of a table."""
    return tuple(_SPECS[table]())


def settings(table: str) -> Reader:
    """Return the reader of a table of a scenario."""

    def read(value: object, place: str, context: Context) -> Settings:
        if isinstance(value, Settings):
            return value
        if not isinstance(value, Mapping):
            raise InputError([Problem(place, "is not a table", value, fix=f"write [{table}] with keys under it")])
        spec = _SPECS[table]()
        problems: list[Problem] = []
        found: dict[str, Any] = {}
        for key, given in value.items():
            where = f"{place}.{key}"[:MAX_PLACE]
            if key not in spec:
                close = nearest(str(key), spec)
                problems.append(Problem(where, f"is not a key of [{table}]", allowed=", ".join(spec), nearest=close))
                continue
            try:
                found[key] = spec[key](given, where)
            except InputError as error:
                problems += error.problems
        if "events" in found:
            try:
                found["posterior"] = _posterior(found, place)
            except InputError as error:
                problems += error.problems
        if problems:
            raise InputError(problems)
        return Settings(given=dict(value), values=found)

    return read
