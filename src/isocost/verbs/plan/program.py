"""The whole program beside the bill of a run: what is run before, beside and after it, at dated default shares.

The lines are those of ``isocost program``, from the same shares and the same draws.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from isocost.errors import InputError, Problem
from isocost.forecast import forecast
from isocost.forecast.program import MainRun, ProgramBill, Staff, program_bill
from isocost.laws.scaling import train_6nd_flop
from isocost.scaling.shapes import law_params
from isocost.scenario.program import Terms, terms_of
from isocost.scenario.tables import Program
from isocost.search.forecasts import run_at
from isocost.stats.quantiles import interval
from isocost.verbs.plan.saved import chosen_of_plan

if TYPE_CHECKING:
    from isocost.verbs.plan.answer import Plan


def program_beside(plan: Plan) -> ProgramBill | None:
    """Return the program around a priced plan; None where there is no price."""
    chosen, conditions = plan.answer.chosen, plan.answer.question.conditions
    if chosen is None or chosen.cost_usd is None:
        return None
    table = plan.scenario.programme
    if table == Program() or conditions is None:
        return _bill(plan, terms_of(Program(), "programme"))
    if (table.people is None) != (table.salary_usd_per_s is None):
        # Enough for the people who run the final run, which stay on its bill, not for those of a program.
        table = replace(table, people=None, salary_usd_per_s=None)
    return program_around(plan, terms_of(table, "programme"))


def program_around(plan: Plan, terms: Terms) -> ProgramBill | None:
    """Return the program around a plan: what its lines hold by themselves is taken off the bill of the final run."""
    chosen, conditions = plan.answer.chosen, plan.answer.question.conditions
    if chosen is None or chosen.cost_usd is None or conditions is None:
        return _bill(plan, terms)
    people = 0.0 if terms.staffed else conditions.people
    found = chosen_of_plan(plan)
    run = run_at(found.question, found.option, found.case, found.catalog, chosen.step_s)
    alone = replace(conditions, failed_runs=0.0, exploratory_runs=0.0, people=people)
    paid = forecast(run, alone, plan.catalog, bars=False)
    assert paid.cost_usd is not None
    final = replace(chosen, cost_usd=interval(paid.cost_usd))
    return _bill(replace(plan, answer=replace(plan.answer, chosen=final, forecast=paid)), terms)


def _bill(plan: Plan, terms: Terms) -> ProgramBill | None:
    """Return the bill of the program around a plan; None where there is no plan."""
    chosen = plan.answer.chosen
    if chosen is None:
        return None
    if chosen.cost_usd is None:
        raise InputError([Problem("on", "has no price", fix="choose another accelerator, or give a quote")])
    question = plan.answer.question
    main = MainRun(
        cost_usd=chosen.cost_usd,
        drawn_usd=None if plan.answer.forecast is None else plan.answer.forecast.cost_usd,
        gpu_hours=chosen.gpu_hours,
        flop=float(train_6nd_flop(params=law_params(question.architecture), tokens=question.tokens)),
        run_s=chosen.run_s,
    )
    return program_bill(main, terms.items, _staff(terms, main), terms.raised_usd)


def _staff(terms: Terms, main: MainRun) -> Staff | None:
    """Return the people, from the first item to the end of the final run, or of what follows for as long again."""
    if not terms.people or terms.usd_per_year is None:
        return None
    ends = [item.begins for item in terms.items]
    length = max(max(ends, default=0.0) + 1.0, 1.0) - min(min(ends, default=0.0), 0.0)
    return Staff(people=terms.people, usd_per_year=terms.usd_per_year, length_s=length * main.run_s)
