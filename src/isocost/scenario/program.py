"""The terms of a program: the table [programme] of a scenario, and the items of a file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from isocost import units
from isocost.errors import InputError, Problem, nearest
from isocost.forecast.program import (
    UNITS,
    USD,
    Item,
    shipped_items,
)
from isocost.scenario.tables import Program
from isocost.stats.distributions import Fixed, SplitLognormal
from isocost.stats.quantiles import Interval
from isocost.units import YEAR_S

_KEYS: Final = ("name", "begins", "source", *UNITS)


# Keys of [program] that take the place of a shipped share.
_RUNS: Final = {"failed_runs": "failed", "exploratory_runs": "exploration"}


_EXAMPLE: Final = 'write e.g. name = "sweeps", share = [0.2, 0.5, 1.0], begins = -1.0'


_LONGEST_FILE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a program consists of beside its final run."""

    items: tuple[Item, ...]
    people: float | None
    usd_per_year: Interval | None
    raised_usd: float | None

    @property
    def staffed(self) -> bool:
        """Whether the people are a line of their own."""
        return self.people is not None


def terms_of(
    table: Program,
    place: str,
    *,
    items: object = None,
    people: object = None,
    salary: object = None,
    raised: object = None,
) -> Terms:
    """Return the terms of a program from the table [programme] of a scenario and what overrides it.

    Args:
        table: the table; ``place`` is where it was written.
        place: see table.
        items: TOML file of [[item]] tables.
        people: on the program; ``salary`` is of one of them a year.
        salary: see people.
        raised: capital raised.
    """

    def own(name: str, given: object, unit: str) -> float | None:
        return None if given is None else units.parse(given, unit, name)

    number, paid, capital = own("people", people, "ratio"), own("salary", salary, "USD"), own("raised", raised, "USD")
    number = table.people if number is None else number
    pay = _pay(table.salary_usd_per_s) if paid is None else Interval(low=paid, median=paid, high=paid)
    if (number is None) != (pay is None):
        missing, fix = ("people", "people = 10") if number is None else ("salary", "salary = '300 kUSD/year'")
        where = missing if (people is not None or salary is not None) else f"{place}.{missing}"
        raise InputError([Problem(where, "is missing", fix=f"give both: --people 10 --salary '300 kUSD', or {fix}")])
    path = items if items is not None else table.items
    known = {name: runs for key, name in _RUNS.items() if (runs := getattr(table, key)) is not None}
    if path is not None and known:
        doubled = [key for key, name in _RUNS.items() if name in known]
        fix = "make it an [[item]] with a share"
        raise InputError([Problem(f"{place}.{key}", "is given beside items", fix=fix) for key in doubled])
    return Terms(
        items=shipped_items(known) if path is None else read_items(str(path)),
        people=number,
        usd_per_year=pay,
        raised_usd=table.capital_raised_usd if capital is None else capital,
    )


def _pay(salary: Any) -> Interval | None:
    """Return a year's salary from a rate or its distribution."""
    if salary is None:
        return None
    if isinstance(salary, SplitLognormal):
        low, median, high = (end * YEAR_S for end in (salary.low, salary.median, salary.high))
    else:
        low = median = high = YEAR_S * (salary.value if isinstance(salary, Fixed) else salary)
    return Interval(low=low, median=median, high=high)


def read_items(path: str) -> tuple[Item, ...]:
    """Return the items of a TOML file of [[item]] tables; all problems at once."""
    try:
        if Path(path).stat().st_size > _LONGEST_FILE_BYTES:
            raise InputError([Problem(path, "is too large for a programme")])
        entries = tomllib.loads(Path(path).read_text(encoding="utf-8")).get("item")
    except OSError as error:
        raise InputError([Problem(path, f"cannot be read: {error.strerror}", fix="check the path")]) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError([Problem(path, f"is not TOML: {error}", fix=_EXAMPLE)]) from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError([Problem(path, "has no [[item]] tables", fix=_EXAMPLE)])
    problems: list[Problem] = []
    found = [_item(entry, f"{path}: item {k}", problems) for k, entry in enumerate(entries, start=1)]
    if problems:
        raise InputError(problems)
    return tuple(item for item in found if item is not None)


def _item(entry: Mapping[str, Any], place: str, problems: list[Problem]) -> Item | None:
    before = len(problems)
    for key in entry:
        if key not in _KEYS:
            problems.append(Problem(f"{place}: {key}", "is not a key of an item", nearest=nearest(key, _KEYS)))
    given = [unit for unit in UNITS if unit in entry]
    if len(given) != 1:
        problems.append(Problem(place, f"has {len(given)} amounts", allowed=f"one of {', '.join(UNITS)}", fix=_EXAMPLE))
    if not isinstance(entry.get("name"), str) or not entry["name"].strip():
        problems.append(Problem(f"{place}: name", "is missing", fix=_EXAMPLE))
    begins = entry.get("begins", 0.0)
    if isinstance(begins, bool) or not isinstance(begins, (int, float)):
        problems.append(Problem(f"{place}: begins", "is not a number of final runs", str(begins)))
    amounts = _amounts(entry[given[0]], given[0], f"{place}: {given[0]}", problems) if len(given) == 1 else []
    if len(problems) > before:
        return None
    low, median, high = amounts if len(amounts) == 3 else amounts * 3
    return Item(
        name=entry["name"].strip(),
        amount=Interval(low=low, median=median, high=high),
        unit=given[0],
        begins=float(begins),
        source=str(entry.get("source", "yours")),
    )


def _amounts(value: object, unit: str, place: str, problems: list[Problem]) -> list[float]:
    parts = value if isinstance(value, list) else [value]
    if len(parts) not in (1, 3):
        problems.append(Problem(place, "is not one figure, nor low, median and high", allowed="0.5 or [0.2, 0.5, 1.0]"))
        return []
    found = []
    for part in parts:
        try:
            found.append(units.parse(part, "USD", place) if unit == USD else _number(part, place))
        except InputError as error:
            problems.extend(error.problems)
    return found


def _number(part: object, place: str) -> float:
    if isinstance(part, bool) or not isinstance(part, (int, float)):
        raise InputError([Problem(place, "is not a number", part if isinstance(part, str) else str(part))])
    return float(part)
