"""How sure a plan is: what nobody has measured about it, how far such predictions were off, what would narrow it."""

from __future__ import annotations

from typing import Any

from isocost.perf.intervals import CALIBRATED, Certainty
from isocost.render.document import Section
from isocost.search.question import Answer, Candidate, Question
from isocost.units import show
from isocost.verbs.words import between

_KINDS = {"dense": "dense models", "moe": "mixtures of experts"}


def how_sure(c: Candidate, answer: Answer) -> Section:
    """Return the section on the chosen layout."""
    return Section(title="How sure", body=(*_lines(c, answer.question), *on_lines_only(answer)))


def _lines(c: Candidate, question: Question) -> list[str]:
    band, certainty = c.certainty.band, c.certainty
    pairs = zip(certainty.classes, certainty.meaning, strict=True)
    low, high = (f"{factor - 1:+.0%}" for factor in (band.low, band.high))
    lines = [
        f"class: {'; '.join(f'{name} ({meaning})' for name, meaning in pairs)}",
        f"step time {low} to {high} in 9 cases of 10: {_because(certainty)}",
        f"would narrow it: {'; '.join(certainty.narrowed_by)}",
    ]
    peak = f"peak memory {between(c.intervals['peak_bytes'], 'B')}: the spread of its predictions"
    if question.recipe_assumed:
        peak += (
            ", and the other memory recipes of these stacks, as none was named; the probability of fitting is that of "
            f"{question.recipe.id}"
        )
    lines.append(peak)
    if c.cost_usd is not None:
        lines.append(
            "days and cost: draws of step time, rates of failure, recovery, bring-up and prices, each on its own; the "
            "chosen plan with the luck of its stops"
            if question.conditions is not None
            else "cost: the range of prices and the interval of the step time, as independent factors"
        )
    lines += broken_at_the_end(c, question)
    return lines


def _because(certainty: Certainty) -> str:
    if CALIBRATED in certainty.classes:
        return f"what {certainty.rows:,} runs of your own leave open about this layout"
    return (
        f"as far as predictions of {_KINDS[certainty.kind]} of this class were off, on {certainty.rows:,} runs that "
        "the fit had not seen"
    )


def broken_at_the_end(c: Candidate, question: Question) -> list[str]:
    """Return the limits that the predicted run meets and the far end of its interval does not."""
    found = []
    run = c.intervals["run_s"]
    if question.deadline_s is not None and c.run_s <= question.deadline_s < run.high:
        found.append(f"deadline: met as predicted, missed at the far end ({show(run.high, 's')})")
    if question.budget_usd is not None and c.cost_usd and c.cost_usd.median <= question.budget_usd < c.cost_usd.high:
        found.append(f"budget: met as predicted, exceeded at the far end ({show(c.cost_usd.high, 'USD')})")
    return found


def on_lines_only(answer: Answer) -> list[str]:
    """Return the limits that the chosen plan keeps where the search compared it, and its own forecast does not."""
    q, forecast, held = answer.question, answer.forecast, answer.held
    if held is None or forecast is None:
        return []
    limits = (
        ("deadline", held[0], q.deadline_s, forecast.deadline_chance),
        ("budget", held[1], q.budget_usd, forecast.budget_chance),
    )
    return [
        f"{name}: kept with a probability of {chance:.1%}, not the {q.confidence:.0%} asked for: the search compared "
        "straight lines through two evaluations of a whole run, without the noise of single runs"
        for name, value, most, chance in limits
        if most is not None and chance is not None and value <= most and chance < q.confidence
    ]


def certainty_dict(c: Candidate, question: Question) -> dict[str, Any]:
    """Return the same as plain values."""
    certainty = c.certainty
    return {
        "classes": [
            {"name": name, "meaning": meaning, "narrowed_by": narrowed_by}
            for name, meaning, narrowed_by in zip(
                certainty.classes, certainty.meaning, certainty.narrowed_by, strict=True
            )
        ],
        "kind": certainty.kind,
        "rows": certainty.rows,
        "interval_frac": 0.9,
        "step_s_low_ratio": certainty.band.low,
        "step_s_high_ratio": certainty.band.high,
        "memory_recipe_assumed": question.recipe_assumed,
        "missed_at_the_far_end": broken_at_the_end(c, question),
    }
