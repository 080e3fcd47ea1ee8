"""The bill of the whole program around a plan: small runs, failed runs, post-training, people."""

from __future__ import annotations

from typing import Annotated, Unpack

from isocost.scenario import read_scenario
from isocost.scenario.given import Changes
from isocost.scenario.program import terms_of
from isocost.scenario.written import Given, overridden, table_of
from isocost.verbs import options
from isocost.verbs.options import Command, Option
from isocost.verbs.plan.ask import planned
from isocost.verbs.plan.program import program_around
from isocost.verbs.program.answer import ProgramResult

_ITEMS = Option(metavar="FILE.toml", about="Your own [[item]] tables; left out: shipped.")
_PEOPLE = Option(metavar="N", about="People on the programme.")
_SALARY = Option(metavar="MONEY", about="Cost of one of them a year: '300 kUSD'.")
_RAISED = Option(metavar="MONEY", about="Capital raised: '50 MUSD'.")


@Command(
    "Show the bill of the whole programme around a plan: small runs, failed runs, post-training, people.",
    (
        options.WHAT,
        options.LIMITS,
        options.CONFIDENCE,
        options.WHERE,
        options.LAYOUT,
        options.SWITCHES,
    ),
    doing="searching",
)
def program(
    scenario: Annotated[Given, options.SCENARIO] = None,
    /,
    *,
    items: Annotated[str | None, _ITEMS] = None,
    people: Annotated[float | str | None, _PEOPLE] = None,
    salary: Annotated[str | None, _SALARY] = None,
    raised: Annotated[str | None, _RAISED] = None,
    **changes: Unpack[Changes],
) -> ProgramResult:
    """Return the bill of the whole program around a plan: small runs, failed runs, post-training, people.

    Args:
        scenario: a TOML file, a mapping, or a scenario; its table [programme] holds what is left out here.
        items: TOML file of [[item]] tables; None for the shipped shares.
        people: on the program; salary: of one of them a year.
        salary: see people.
        raised: capital raised.
        changes: other keys of the scenario.

    Raises:
        InputError: the scenario, the items or a value is wrong; every problem is listed.

    Example:
        >>> isocost.program("examples/startup.toml", people=8, salary="300 kUSD").bill.total_usd.median > 1e6
        True
    """
    given, wrote = overridden(scenario, changes)
    checked, _ = read_scenario(given, wrote)
    terms = terms_of(
        checked.programme, wrote.get("programme", "programme"), items=items, people=people, salary=salary, raised=raised
    )
    # The plan is that of isocost plan, people and failed runs in; on the bill they are then lines of their own.
    stated: dict[str, object] = {}
    if terms.usd_per_year is not None and people is not None:
        stated["people"] = terms.people
    if terms.usd_per_year is not None and salary is not None:
        stated["salary"] = f"{terms.usd_per_year.median!r} USD/year"
    if stated:
        given["programme"] = {**table_of(given, "programme"), **stated}
    plan = planned(given, {}, wrote, tornado=False)
    return ProgramResult(plan=plan, bill=program_around(plan, terms))
