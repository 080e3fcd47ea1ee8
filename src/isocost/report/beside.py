"""The whole programme beside the bill of a run: what is run before, beside and after it, at dated default shares.

The lines are those of ``isocost program``, from the same shares and the same draws; here stands their sum.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from isocost.errors import InputError
from isocost.forecast import Conditions, outlook_of
from isocost.report.plans import Plan
from isocost.report.program import program_of, terms_of
from isocost.report.saved import chosen_of_plan
from isocost.scaling.program import Programme
from isocost.search.question import Spread
from isocost.search.whole import run_at
from isocost.units import show


def programme_beside(plan: Plan) -> Programme | None:
    """Return the programme around a priced plan; None where there is no price, or [programme] is not complete."""
    chosen = plan.answer.chosen
    if chosen is None or chosen.cost_usd is None:
        return None
    table = plan.scenario.programme
    try:
        terms = terms_of(table, "programme")
    except InputError:
        return None  # people without a salary: enough for the bill of the run, not for that of a programme
    conditions = plan.answer.question.conditions
    if table is None or conditions is None:
        return program_of(plan, terms).bill
    alone = replace(conditions, failed_runs=0.0, exploratory_runs=0.0, people=0.0 if terms.staffed else None)
    return program_of(_at(plan, alone), terms).bill


def _at(plan: Plan, conditions: Conditions) -> Plan:
    """Return the plan with the bill of its final run alone."""
    found, chosen = chosen_of_plan(plan), plan.answer.chosen
    assert chosen is not None
    run = run_at(found.question, found.option, found.case, found.catalog, chosen.step_s)
    outlook = outlook_of(run, conditions, plan.catalog, bars=False)
    assert outlook.cost_usd is not None
    low, median, high = np.quantile(outlook.cost_usd, (0.05, 0.5, 0.95)).tolist()
    alone = replace(chosen, cost_usd=Spread(low=low, median=median, high=high))
    return replace(plan, answer=replace(plan.answer, chosen=alone, outlook=outlook))


def programme_text(found: Programme) -> str:
    """Return the programme as one line."""
    total, final = found.total_usd, found.lines[0].cost_usd
    parts = [f"{line.name} {show(line.cost_usd.median, 'USD')}" for line in found.lines[1:]]
    share = found.share_of_capital
    raised = "" if share is None else f"; {share.median:.0%} of the capital raised"
    return (
        f"the whole programme around it: {show(total.median, 'USD')} ({show(total.low, 'USD')} to "
        f"{show(total.high, 'USD')}), {total.median / final.median:.1f} times the final run{raised}: "
        f"{', '.join(parts)} (medians of dated shares of the run, not part of its bill; isocost program has the lines)"
    )


def programme_dict(found: Programme | None) -> dict[str, Any] | None:
    """Return the total and the medians of the lines as plain values."""
    if found is None:
        return None
    return {
        "total_usd": {"p05": found.total_usd.low, "p50": found.total_usd.median, "p95": found.total_usd.high},
        "share_of_capital_frac": None if found.share_of_capital is None else found.share_of_capital.median,
        "lines": [{"name": line.name, "usd_p50": line.cost_usd.median, "source": line.source} for line in found.lines],
    }
