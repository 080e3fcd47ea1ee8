"""The whole programme beside the bill of a run: what is run before, beside and after it, at dated default shares.

The lines are those of ``isocost program``, from the same shares and the same draws.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from isocost.forecast import outlook_of
from isocost.forecast.program import Programme
from isocost.scenario.program import Terms, terms_of
from isocost.scenario.tables import Program
from isocost.search.forecasts import run_at
from isocost.search.question import Spread
from isocost.verbs.plan.saved import chosen_of_plan
from isocost.verbs.program.answer import ProgramResult, program_of

if TYPE_CHECKING:
    from isocost.verbs.plan.answer import Plan


def programme_beside(plan: Plan) -> Programme | None:
    """Return the programme around a priced plan; None where there is no price."""
    chosen, conditions = plan.answer.chosen, plan.answer.question.conditions
    if chosen is None or chosen.cost_usd is None:
        return None
    table = plan.scenario.programme
    if table == Program() or conditions is None:
        return program_of(plan, terms_of(Program(), "programme")).bill
    if (table.people is None) != (table.salary_usd_per_s is None):
        # Enough for the people who run the final run, which stay on its bill, not for those of a programme.
        table = replace(table, people=None, salary_usd_per_s=None)
    return programme_around(plan, terms_of(table, "programme")).bill


def programme_around(plan: Plan, terms: Terms) -> ProgramResult:
    """Return the programme around a plan: what its lines hold by themselves is taken off the bill of the final run."""
    chosen, conditions = plan.answer.chosen, plan.answer.question.conditions
    if chosen is None or chosen.cost_usd is None or conditions is None:
        return program_of(plan, terms)
    people = 0.0 if terms.staffed else conditions.people
    found = chosen_of_plan(plan)
    run = run_at(found.question, found.option, found.case, found.catalog, chosen.step_s)
    alone = replace(conditions, failed_runs=0.0, exploratory_runs=0.0, people=people)
    outlook = outlook_of(run, alone, plan.catalog, bars=False)
    assert outlook.cost_usd is not None
    low, median, high = np.quantile(outlook.cost_usd, (0.05, 0.5, 0.95)).tolist()
    final = replace(chosen, cost_usd=Spread(low=low, median=median, high=high))
    around = program_of(replace(plan, answer=replace(plan.answer, chosen=final, outlook=outlook)), terms)
    return replace(around, plan=plan)
