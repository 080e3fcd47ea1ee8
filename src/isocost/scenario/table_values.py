"""How one value of a table of a scenario is read, beside what ``values`` reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from isocost.errors import InputError, Problem, nearest
from isocost.money.own import BOUNDS
from isocost.reliability.posterior import Event, Posterior, narrow, read_events
from isocost.scenario.values import whole
from isocost.stats.distributions import Distribution, Fixed, Pert, SplitLognormal
from isocost.units import DAY_S, parse, show

AUTO: Final = "auto"
_MAX_COUNT: Final = 1_000_000
_ENDS: Final = ("low", "median", "high")
Read = Callable[[object, str], Any]


def quantity(unit: str, *, above: bool = False, most: float = math.inf) -> Read:
    """Return the reader of a quantity in SI ``unit``; ``above``: 0 is refused."""

    def read(value: object, place: str) -> float:
        # A bare 0 has no unit to be missed; true and false are no numbers.
        number = 0.0 if value == 0 and not isinstance(value, bool) else parse(value, unit, place)
        if above and number == 0:
            raise InputError([Problem(place, "is zero", value, "more than 0")])
        if number > most:
            raise InputError([Problem(place, "is too large", value, f"at most {show(most, unit)}")])
        return number

    return read


def spread(unit: str, *, bounded: bool = False, above: bool = True) -> Read:
    """Return the reader of one value, or of low, median and high: 90 % of the possible lies between the ends."""
    one = quantity(unit, above=above)

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


def one_of(*known: str) -> Read:
    """Return the reader of one of a few names, written as they are known."""
    by_folded = {name.casefold(): name for name in known}

    def read(value: object, place: str) -> str:
        found = by_folded.get(str(value).strip().casefold())
        if found is None:
            raise InputError([Problem(place, "is unknown", value, ", ".join(known), nearest(str(value), known))])
        return found

    return read


def read_file(value: object, place: str) -> str:
    """Return the path of a file."""
    if not isinstance(value, str) or not value.strip():
        raise InputError([Problem(place, "is not the path of a file", value)])
    return value


def read_interval(value: object, place: str) -> float | None:
    """Return seconds between saves; None: those of least loss."""
    if isinstance(value, str) and value.strip().casefold() == AUTO:
        return None
    return float(quantity("s", above=True)(value, place))


def read_stops(value: object, place: str) -> tuple[Event, ...]:
    """Return the user's own stops, from a CSV file."""
    return read_events(read_file(value, place))


def read_pieces(value: object, place: str) -> float:
    """Return how many there are, at least 1."""
    return float(whole(value, place, _MAX_COUNT))


def read_per_thousand(value: object, place: str) -> Distribution | float:
    """Read a rate per 1000 node-days, as it is published, as one per node-day."""
    read = spread("ratio")(value, place)
    if isinstance(read, SplitLognormal):
        return SplitLognormal(low=read.low / 1000, median=read.median / 1000, high=read.high / 1000)
    return (read.value if isinstance(read, Fixed) else float(read)) / 1000


_WATCHED: Final = {"watched_nodes": "watched_nodes", "watched_s": "watched"}  # fields and keys


def posterior_of(found: Mapping[str, Any], place: str) -> Posterior:
    """Return what own events say of the rate of failures: how many nodes were watched for how long counts too."""
    missing = [key for field, key in _WATCHED.items() if field not in found]
    if missing:
        fix = 'add watched_nodes = 64 and watched = "70 d": nodes of 8 GPUs, and for how long'
        raise InputError([Problem(f"{place}.{key}", "is missing: events need it", fix=fix) for key in missing])
    try:
        return narrow(found["events"], nodes=found["watched_nodes"], days=found["watched_s"] / DAY_S)
    except InputError as error:
        shown = {"days": "watched", "nodes": "watched_nodes"}
        raise InputError([replace(p, path=f"{place}.{shown.get(p.path, p.path)}") for p in error.problems]) from None


def read_spares(value: object, place: str) -> float:
    """Return how many spare nodes there are, or 0."""
    return 0.0 if value == 0 and not isinstance(value, bool) else float(whole(value, place, _MAX_COUNT))


def read_lifetime(value: object, place: str) -> float:
    """Return years, from a duration."""
    years = float(quantity("s", above=True)(value, place)) / parse("1 year", "s")
    if not 0.1 <= years <= 30.0:
        raise InputError([Problem(place, "is out of range", value, "0.1 to 30 years")])
    return years


def bounded(unit: str, field: str) -> Read:
    """Return the reader of what the bill of an owner has bounds for, whether or not that is asked for."""

    def read(value: object, place: str) -> float:
        number, bound = parse(value, unit, place), BOUNDS[field]
        if not bound.least <= number <= bound.most:
            raise InputError([Problem(place, "is out of range", value, bound.allowed(), fix=bound.fix)])
        return number

    return read
