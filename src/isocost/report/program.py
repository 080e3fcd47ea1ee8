"""The bill of a whole programme around a plan: lines with intervals, when each begins, and the share of the capital."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from isocost import units
from isocost.draws import Fixed, SplitLognormal
from isocost.errors import InputError, Problem, nearest
from isocost.laws.scaling import train_6nd_flop
from isocost.report.cells import keyed
from isocost.report.plans import Plan
from isocost.report.result import SCHEMA_VERSION, Result
from isocost.report.table import Report, Section, Table
from isocost.scaling.program import (
    UNITS,
    USD,
    YEAR_S,
    Amount,
    Item,
    MainRun,
    Programme,
    Staff,
    programme,
    shipped_items,
)
from isocost.scaling.shapes import law_params
from isocost.scenario.settings import Settings
from isocost.units import show

DAY_S: Final = 86400.0
_KEYS: Final = ("name", "begins", "source", *UNITS)
# Keys of [programme] that take the place of a shipped share.
_RUNS: Final = {"failed_runs": "failed", "exploratory_runs": "exploration"}
_EXAMPLE: Final = 'write e.g. name = "sweeps", share = [0.2, 0.5, 1.0], begins = -1.0'
_LONGEST_FILE_BYTES: Final = 1 << 20


def _usd(value: float) -> str:
    return show(value, "USD")


LINES = (
    keyed("line", "name", left=True),
    keyed("p05", "usd_p05", _usd),
    keyed("median", "usd_median", _usd),
    keyed("p95", "usd_p95", _usd),
    keyed("mean", "usd_mean", _usd),
    keyed("share", "share_frac", lambda x: f"{x:.1%}"),
    keyed("begins, day", "begins_d", lambda x: f"{x:+.0f}"),
    keyed("from", "source", left=True),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProgramResult(Result):
    """A programme and the plan at its centre; ``bill`` is ``None`` where the question has no plan."""

    plan: Plan
    bill: Programme | None

    @property
    def feasible(self) -> bool:
        """Whether there is a plan to build a programme around."""
        return self.bill is not None

    @property
    def sentence(self) -> str:
        """The total in one sentence."""
        if self.bill is None:
            return self.plan.sentence
        total, final = self.bill.total_usd, self.bill.lines[0]
        share = self.bill.share_of_capital
        raised = f"; {share.median:.0%} of the capital ({share.low:.0%} to {share.high:.0%})" if share else ""
        return (
            f"the programme costs {_usd(total.median)} ({_usd(total.low)} to {_usd(total.high)}), "
            f"{total.median / final.cost_usd.median:.1f} times its final run of {_usd(final.cost_usd.median)}{raised}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the lines, the total, and the plan's sentence."""
        return {
            "schema_version": SCHEMA_VERSION,
            "sentence": self.sentence,
            "plan": self.plan.sentence,
            "total_usd": None if self.bill is None else self.bill.total_usd,
            "mean_usd": None if self.bill is None else self.bill.mean_usd,
            "share_of_capital": None if self.bill is None else self.bill.share_of_capital,
            "lines": self.rows().to_dicts(),
        }

    def rows(self) -> Table:
        """Return a row a line."""
        rows = tuple(
            {
                "name": line.name,
                "usd_p05": line.cost_usd.low,
                "usd_median": line.cost_usd.median,
                "usd_p95": line.cost_usd.high,
                "usd_mean": line.mean_usd,
                "share_frac": line.share_frac,
                "begins_d": line.begins_s / DAY_S,
                "source": line.source,
            }
            for line in (self.bill.lines if self.bill is not None else ())
        )
        return Table(columns=LINES, rows=rows)

    def report(self) -> Report:
        """Return the sentence, the lines, and the plan."""
        said = "means add up, percentiles do not; days count from the start of the final run"
        sections = (Section(title="Lines", body=(self.rows(), said)),) if self.bill is not None else ()
        return Report(lead=self.sentence, sections=(*sections, Section(title="Plan", body=(self.plan.sentence,))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a programme consists of beside its final run."""

    items: tuple[Item, ...]
    people: float | None
    usd_per_year: Amount | None
    raised_usd: float | None

    @property
    def staffed(self) -> bool:
        """Whether the people are a line of their own."""
        return self.people is not None


def terms_of(
    table: Settings | None,
    place: str,
    places: Mapping[str, str] | None = None,
    *,
    items: object = None,
    people: object = None,
    salary: object = None,
    raised: object = None,
) -> Terms:
    """Return the terms of a programme from the table [programme] of a scenario and what overrides it.

    Args:
        table: the table; ``place`` is where it was written.
        place: see table.
        places: where the user wrote what overrides it, by name.
        items: TOML file of [[item]] tables.
        people: on the programme; ``salary`` is of one of them a year.
        salary: see people.
        raised: capital raised.
    """
    wrote = dict(places or {})

    def own(name: str, given: object, unit: str) -> float | None:
        return None if given is None else units.parse(given, unit, wrote.get(name, name))

    said = table or Settings(given={}, values={})
    number, paid, capital = own("people", people, "ratio"), own("salary", salary, "USD"), own("raised", raised, "USD")
    number = said.get("people") if number is None else number
    pay = _pay(said.get("salary")) if paid is None else Amount(low=paid, median=paid, high=paid)
    if (number is None) != (pay is None):
        missing, fix = ("people", "people = 10") if number is None else ("salary", "salary = '300 kUSD/year'")
        flag = wrote.get(missing, missing) if (people is not None or salary is not None) else f"{place}.{missing}"
        raise InputError([Problem(flag, "is missing", fix=f"give both: --people 10 --salary '300 kUSD', or {fix}")])
    path = items if items is not None else said.get("items")
    known = {name: said.get(key) for key, name in _RUNS.items() if said.get(key) is not None}
    if path is not None and known:
        doubled = [key for key, name in _RUNS.items() if name in known]
        fix = "make it an [[item]] with a share"
        raise InputError([Problem(f"{place}.{key}", "is given beside items", fix=fix) for key in doubled])
    return Terms(
        items=shipped_items(known) if path is None else read_items(str(path)),
        people=number,
        usd_per_year=pay,
        raised_usd=said.get("capital_raised") if capital is None else capital,
    )


def _pay(salary: Any) -> Amount | None:
    """Return a year's salary from a rate or its distribution."""
    if salary is None:
        return None
    if isinstance(salary, SplitLognormal):
        low, median, high = (end * YEAR_S for end in (salary.low, salary.median, salary.high))
    else:
        low = median = high = YEAR_S * (salary.value if isinstance(salary, Fixed) else salary)
    return Amount(low=low, median=median, high=high)


def program_of(plan: Plan, terms: Terms) -> ProgramResult:
    """Return the bill of the programme around a plan."""
    chosen = plan.answer.chosen
    if chosen is None:
        return ProgramResult(plan=plan, bill=None)
    if chosen.cost_usd is None:
        raise InputError([Problem("on", "has no price", fix="choose another accelerator, or give a quote")])
    question = plan.answer.question
    cost = chosen.cost_usd
    main = MainRun(
        cost_usd=Amount(low=cost.low, median=cost.median, high=cost.high),
        drawn_usd=None if plan.answer.outlook is None else plan.answer.outlook.cost_usd,
        gpu_hours=chosen.gpu_hours,
        flop=float(train_6nd_flop(params=law_params(question.architecture), tokens=question.tokens)),
        run_s=chosen.run_s,
    )
    return ProgramResult(plan=plan, bill=programme(main, terms.items, _staff(terms, main), terms.raised_usd))


def _staff(terms: Terms, main: MainRun) -> Staff | None:
    """Return the people, from the first item to the end of the final run, or of what follows for as long again."""
    if not terms.people or terms.usd_per_year is None:
        return None
    ends = [item.begins for item in terms.items]
    length = max(max(ends, default=0.0) + 1.0, 1.0) - min(min(ends, default=0.0), 0.0)
    return Staff(people=terms.people, usd_per_year=terms.usd_per_year, length_s=length * main.run_s)


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
        amount=Amount(low=low, median=median, high=high),
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
