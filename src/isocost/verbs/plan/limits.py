"""The limits of a question beside an answer that was not chosen by them: what an estimate says of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from isocost.render.document import Section
from isocost.search.question import Answer, Question
from isocost.units import DAY_S, show
from isocost.verbs.plan.forecast import money


def unlimited(question: Question) -> Question:
    """Return the question without its limits: an estimate is of one layout, whatever they are."""
    return replace(question, deadline_s=None, budget_usd=None, power_w=None)


def judged(answer: Answer, asked: Question) -> Answer:
    """Return the answer with the limits of the question that was asked, for its chances to say."""
    late, dear = asked.deadline_s, asked.budget_usd
    question = replace(answer.question, deadline_s=late, budget_usd=dear, power_w=asked.power_w)
    forecast = answer.forecast and replace(answer.forecast, deadline_s=late, budget_usd=dear)
    return replace(answer, question=question, forecast=forecast)


def limits_dict(answer: Answer) -> dict[str, Any]:
    """Return the chances of deadline and budget, and whether the power cap holds; None where it cannot be said."""
    chosen, cap, o = answer.chosen, answer.question.power_w, answer.forecast
    power = None if chosen is None else chosen.power_w
    return {
        "deadline_chance_frac": None if o is None else o.deadline_chance,
        "budget_chance_frac": None if o is None else o.budget_chance,
        "power_cap_holds": None if cap is None or power is None else power <= cap,
    }


def limits_section(answer: Answer) -> tuple[Section, ...]:
    """Return the limits of the scenario that an estimate did not keep, but judges."""
    q, chosen, found = answer.question, answer.chosen, limits_dict(answer)
    if chosen is None:
        return ()
    lines = []
    if q.deadline_s is not None:
        lines.append(f"deadline of {show(q.deadline_s, 's')}: {_chance(found['deadline_chance_frac'], _late(answer))}")
    if q.budget_usd is not None:
        lines.append(f"budget of {money(q.budget_usd)}: {_chance(found['budget_chance_frac'], _dear(answer))}")
    if q.power_w is not None:
        holds = found["power_cap_holds"]
        power = (
            "not known for this accelerator" if chosen.power_w is None else f"{show(chosen.power_w, 'W')} at full draw"
        )
        word = "cannot be judged" if holds is None else "holds" if holds else "does not hold"
        lines.append(f"power cap of {show(q.power_w, 'W')}: {word}, {power}")
    if not lines:
        return ()
    return (Section(title="Limits of the scenario (an estimate is judged by them, not chosen)", body=tuple(lines)),)


def _chance(share: float | None, figure: str) -> str:
    return "cannot be judged, nothing is priced" if share is None else f"kept with a chance of {share:.0%}, {figure}"


def _late(answer: Answer) -> str:
    return "" if answer.chosen is None else f"{answer.chosen.run_s / DAY_S:,.1f} d in the middle"


def _dear(answer: Answer) -> str:
    cost = None if answer.chosen is None else answer.chosen.cost_usd
    return "" if cost is None else f"{money(cost.median)} in the middle"
