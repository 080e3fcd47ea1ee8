"""The bill of a whole programme around a plan: lines with intervals, when each begins, and the share of the capital."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from isocost import units
from isocost.errors import InputError, Problem, nearest
from isocost.laws.scaling import train_6nd_flop
from isocost.report.plans import Plan
from isocost.report.result import SCHEMA_VERSION, Result
from isocost.report.table import Column, Report, Section, Table
from isocost.scaling.program import UNITS, USD, Amount, Item, MainRun, Programme, Staff, programme, shipped_items
from isocost.scaling.shapes import law_params
from isocost.units import show

DAY_S: Final = 86400.0
_KEYS: Final = ("name", "begins", "source", *UNITS)
_EXAMPLE: Final = 'write e.g. name = "sweeps", share = [0.2, 0.5, 1.0], begins = -1.0'
_LONGEST_FILE_BYTES: Final = 1 << 20


def _column(head: str, key: str, show: Any = str, left: bool = False) -> Column:
    return Column(head=head, key=key, value=lambda row: row.get(key), show=show, left=left)


def _usd(value: float) -> str:
    return show(value, "USD")


LINES = (
    _column("line", "name", left=True),
    _column("p05", "usd_p05", _usd),
    _column("median", "usd_median", _usd),
    _column("p95", "usd_p95", _usd),
    _column("mean", "usd_mean", _usd),
    _column("share", "share_frac", lambda x: f"{x:.1%}"),
    _column("begins, day", "begins_d", lambda x: f"{x:+.0f}"),
    _column("from", "source", left=True),
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


def program_of(
    plan: Plan, lines: tuple[Item, ...], *, people: object = None, salary: object = None, raised: object = None
) -> ProgramResult:
    """Return the bill of the programme around a plan."""
    raised_usd = None if raised is None else units.parse(raised, "USD", "--raised")
    chosen = plan.answer.chosen
    if chosen is None:
        return ProgramResult(plan=plan, bill=None)
    if chosen.cost_usd is None:
        raise InputError([Problem("on", "has no price", fix="choose another accelerator, or give a quote")])
    question = plan.answer.question
    cost = chosen.cost_usd
    main = MainRun(
        cost_usd=Amount(low=cost.low, median=cost.median, high=cost.high),
        gpu_hours=chosen.gpu_hours,
        flop=float(train_6nd_flop(params=law_params(question.architecture), tokens=question.tokens)),
        run_s=chosen.run_s,
    )
    bill = programme(main, lines, _staff(people, salary, lines, main), raised_usd)
    return ProgramResult(plan=plan, bill=bill)


def _staff(people: object, salary: object, items: tuple[Item, ...], main: MainRun) -> Staff | None:
    """Return the people, from the first item to the end of the final run, or of what follows for as long again."""
    if people is None and salary is None:
        return None
    if people is None or salary is None:
        missing = "--people" if people is None else "--salary"
        raise InputError([Problem(missing, "is missing", fix="give both: --people 10 --salary '300 kUSD'")])
    usd = units.parse(salary, "USD", "--salary")
    ends = [item.begins for item in items]
    length = max(max(ends, default=0.0) + 1.0, 1.0) - min(min(ends, default=0.0), 0.0)
    return Staff(
        people=units.parse(people, "ratio", "--people"),
        usd_per_year=Amount(low=usd, median=usd, high=usd),
        length_s=length * main.run_s,
    )


def items_of(path: str | None) -> tuple[Item, ...]:
    """Return the items of a file, or the shipped ones."""
    return shipped_items() if path is None else read_items(path)


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
