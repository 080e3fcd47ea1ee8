"""What the search assumed, and what it left out."""

from __future__ import annotations

import math
from dataclasses import replace

from isocost.catalog.store import Catalog
from isocost.laws.critical_batch import critical_batch_tokens, expected_loss
from isocost.laws.memory import FIT_SIGMA
from isocost.search.pool import Evaluations
from isocost.search.question import MFU_DEFINITION, OWNED, Assumption, Question
from isocost.units import show
from isocost.workload.params import parameter_count

# Left out where a question has no conditions.
INTERRUPTIONS = (
    "interruptions: failures, restarts, checkpoints and spares",
    "start, evaluation and data loading",
    "minimum terms, storage and traffic out",
)
NOT_MODELLED = (
    "unequal load of experts and ranks",
    "sharding over fewer ranks than dp x cp (hybrid sharding)",
    "instances rented whole; taxes, insurance, research staff and data",
    "a batch or sequence length that changes during the run",
)


def not_modelled(question: Question) -> tuple[str, ...]:
    """Return what the answer to a question leaves out."""
    c = question.conditions
    if c is None:
        return (*INTERRUPTIONS, *NOT_MODELLED)
    programme = (
        ()
        if c.failed_runs or c.exploratory_runs
        else ("failed and exploratory runs in the bill: they stand beside it",)
    )
    return (*NOT_MODELLED, *programme)


def with_batch(question: Question) -> tuple[Question, Assumption | None]:
    """Return the question with a global batch; where it states none, from the critical-batch law."""
    if question.global_batch_seqs is not None:
        return question, None
    count = parameter_count(question.architecture)
    loss = expected_loss(params=float(count.active - count.embedding - count.head), tokens=float(question.tokens))
    tokens = float(critical_batch_tokens(loss=loss))
    # To the nearest power of two, so that it divides over any power of two of ranks.
    seqs = 2 ** max(round(math.log2(tokens / question.seq_len)), 0)
    value = (
        f"{seqs:,} sequences ({seqs * question.seq_len / 1e6:.1f} M tokens): the power of two nearest to the critical "
        f"batch of {tokens / 1e6:.1f} M tokens at an expected loss of {float(loss):.2f}"
    )
    return replace(question, global_batch_seqs=seqs), Assumption(
        name="global batch", value=value, source="kaplan2020, mccandlish2018"
    )


def assumptions(
    question: Question, catalog: Catalog, pool: Evaluations, batch: Assumption | None
) -> tuple[Assumption, ...]:
    """All that the question left open, with sources and dates."""
    notes = [batch] if batch else []
    recipe = question.recipe
    notes.append(Assumption(name="software", value=f"{recipe.title}: {recipe.note}", source=_dated(recipe)))
    notes.append(
        Assumption(
            name="memory",
            value=f"a layout fits when its predicted peak does with probability {question.fit_probability:.0%}, "
            f"given a spread of {FIT_SIGMA:.0%}",
            source="isocost_fit",
        )
    )
    notes.append(Assumption(name="MFU", value=MFU_DEFINITION, source="chowdhery2022"))
    if not pool.priced:
        notes.append(Assumption(name="cost", value="nothing is priced: ranked by accelerator-hours", source="-"))
    if pool.priced and any(o.median_usd_per_s is None for o in question.options):
        notes.append(Assumption(name="cost", value="options without a price are not ranked", source="-"))
    owned = any(o.term == OWNED for o in question.options)
    role = "part of the cost of owned capacity" if owned else "shown beside the cost: rented prices include it"
    draws = dict.fromkeys(o.accelerator.device for o in question.options)
    for kind, name in (("pue", question.pue), ("electricity", question.electricity), *(("draw", d) for d in draws)):
        rate = catalog.rate(kind, name)
        low, median, high = (show(value, rate.unit) for value in (rate.low, rate.median, rate.high))
        source = f"{', '.join(rate.fact.sources)}, {rate.fact.as_of}"
        notes.append(Assumption(name=f"{kind} {name}", value=f"{median} ({low} to {high}), {role}", source=source))
    for option in question.options:
        price, fact = option.median_usd_per_s, option.fact
        if fact is not None and price is not None:
            text = f"{show(price, 'USD/s')} an accelerator, {option.term}; {fact.note}"
            source = f"{', '.join(fact.sources)}, {fact.as_of}"
            notes.append(Assumption(name=f"price of {option.label}", value=text, source=source))
    return tuple(notes)


def _dated(recipe: object) -> str:
    return f"{getattr(recipe, 'source', '')}, {getattr(recipe, 'as_of', '')}"
