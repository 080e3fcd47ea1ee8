"""Which accelerator, GPU count and layout: ``plan`` searches, ``estimate`` takes what is given.

import isocost
plan = isocost.plan(model="llama-3.1-70b", tokens="15 T", deadline="60 d", on=["h100-sxm5-80gb"])
print(plan.table())
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Unpack

from isocost.catalog import Catalog
from isocost.errors import InputError, Problem
from isocost.perf.constants import Constant
from isocost.scenario import Scenario, read_scenario
from isocost.scenario.assumed import Assumed
from isocost.scenario.given import Changes
from isocost.scenario.question import question_of
from isocost.scenario.written import Given, overridden
from isocost.search.plan import estimate as smallest
from isocost.search.plan import plan as search
from isocost.search.question import Answer, Candidate, Question
from isocost.verbs import options
from isocost.verbs.options import Command
from isocost.verbs.plan.answer import Plan
from isocost.verbs.plan.explanation import explanation
from isocost.verbs.plan.gates import gate
from isocost.verbs.plan.limits import judged, unlimited
from isocost.verbs.plan.program import program_beside
from isocost.verbs.plan.saved import chosen_of_plan

_OPTIONS = (options.WHAT, options.LIMITS, options.TOP, options.WHERE, options.LAYOUT, options.SWITCHES)


@Command(
    "Choose accelerator, GPU count and layout: days, cost, and why the others lost.",
    (*_OPTIONS, options.CONFIDENCE),
    doing="searching",
    gate=gate,
    gate_options=options.GATES,
    sections=Plan.possible_sections,
)
def plan(scenario: Annotated[Given, options.SCENARIO] = None, /, **changes: Unpack[Changes]) -> Plan:
    """Return the best plan, and what it was chosen from, for a scenario.

    Args:
        scenario: a TOML file, a mapping, or a scenario; None: the keyword arguments say it all.
        changes: keys of a scenario, which override those given, as text with its unit ("60 d", "40 MUSD") or as
            numbers in the unit of the key (docs/how-to.md).

    Raises:
        InputError: the scenario is wrong; every problem is listed. A question without a plan is no error: the answer
            is then not ``feasible`` and says what stands in the way.

    Example:
        >>> found = isocost.plan(model="llama-3.1-8b", tokens="1 T", on="h100-sxm5-80gb", gpus=[64, 128])
        >>> found.feasible, found.answer.chosen.gpus
        (True, 64)
    """
    return planned(scenario, changes)


@Command(
    "Say what a given number of GPUs takes and costs; what is left out of the layout is chosen.",
    _OPTIONS,
    doing="searching",
    gate=gate,
    gate_options=options.GATES,
    sections=Plan.possible_sections,
)
def estimate(
    scenario: Annotated[Given, options.SCENARIO] = None,
    /,
    *,
    explain: Annotated[bool, options.EXPLAIN] = False,
    **changes: Unpack[Changes],
) -> Plan:
    """Return what a given number of GPUs takes and costs.

    The layout is the best whatever deadline, budget and power cap; the answer says the chance of each. ``explain`` adds
    the terms of its step time and the fitted constants that they rest on. Arguments and errors are those of ``plan``.

    Example:
        >>> found = isocost.estimate("examples/llama-3.1-70b.toml", gpus=1024, tp=8, pp=4)
        >>> found.answer.chosen.tp, found.answer.chosen.pp
        (8, 4)
    """
    found = estimated(scenario, changes)
    if explain and found.feasible:
        return replace(found, explained=explanation(chosen_of_plan(found), "step_time"))
    return found


def planned(
    scenario: Given,
    changes: Mapping[str, object],
    wrote: Mapping[str, str] | None = None,
    *,
    tornado: bool = True,
    today: datetime.date | None = None,
) -> Plan:
    """Return the best plan of a scenario with changes.

    Args:
        scenario: see ``plan``.
        changes: see ``plan``; None leaves a key as it is.
        wrote: where keys were written that are not of the scenario's file.
        tornado: whether to say what moves the answer most.
        today: when a deadline given as a date starts to count; None for now.
    """
    asked = _read(scenario, changes, wrote, today, tornado=tornado)
    answer = judged(search(asked.question, asked.catalog, asked.constants), asked.question)
    return _plan(asked, answer, "plan")


def estimated(
    scenario: Given,
    changes: Mapping[str, object],
    wrote: Mapping[str, str] | None = None,
    *,
    tornado: bool = True,
    today: datetime.date | None = None,
) -> Plan:
    """Return what a given number of GPUs takes, whatever the limits; arguments are those of ``planned``."""
    asked = _read(scenario, changes, wrote, today, tornado=tornado, counted=True)
    free = unlimited(asked.question)
    answer = judged(search(free, asked.catalog, asked.constants), asked.question)
    misfit = None
    if answer.chosen is None and answer.layouts_considered:
        misfit = smallest(free, asked.catalog, asked.constants)
    return _plan(asked, answer, "estimate", misfit)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Asked:
    """A scenario, read and checked, and the question that follows."""

    scenario: Scenario
    catalog: Catalog
    question: Question
    assumed: tuple[Assumed, ...]
    constants: Mapping[str, Constant]
    today: datetime.date


def _read(
    scenario: Given,
    changes: Mapping[str, object],
    wrote: Mapping[str, str] | None,
    today: datetime.date | None,
    *,
    tornado: bool,
    counted: bool = False,
) -> _Asked:
    """Return the question of a scenario with changes; ``counted``: its number of GPUs must be given."""
    today = today or datetime.date.today()
    tables, places = overridden(scenario, changes)
    if counted and "gpus" not in tables:
        fix = "add gpus = 1024, as a flag --gpus 1024"
        raise InputError([Problem("gpus", "is missing: an estimate is for a given number of GPUs", fix=fix)])
    checked, catalog = read_scenario(tables, places | dict(wrote or {}), today)
    question, assumed = question_of(checked, catalog, today)
    return _Asked(
        scenario=checked,
        catalog=catalog,
        question=replace(question, tornado=tornado),
        assumed=assumed,
        constants=question.constants,
        today=today,
    )


def _plan(asked: _Asked, answer: Answer, verb: str, misfit: Candidate | None = None) -> Plan:
    found = Plan(
        scenario=asked.scenario,
        catalog=asked.catalog,
        answer=answer,
        misfit=misfit,
        assumed=asked.assumed,
        today=asked.today,
        verb=verb,
    )
    return replace(found, programme=program_beside(found))
