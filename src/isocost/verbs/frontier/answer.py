"""What to train with money, time, data and a market: one model in a sentence, the isocost line, and what binds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from isocost.errors import InputError, Problem
from isocost.render.cells import count
from isocost.render.document import Report, Section, Table
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.scaling.cluster import Reach
from isocost.scenario import Scenario, scenario_tables, scenario_toml
from isocost.scenario.assumed import Assumed
from isocost.scenario.tables import Frontier as FrontierTable
from isocost.search.question import Answer
from isocost.units import DAY_S, show
from isocost.verbs.frontier.candidates import Choice
from isocost.verbs.frontier.chart import chart
from isocost.verbs.frontier.frontier import Frontier
from isocost.verbs.frontier.joint import Joint
from isocost.verbs.frontier.outcome import Outcome, outcome
from isocost.verbs.frontier.rows import (
    ALTERNATIVES,
    BY_LAW,
    LINE,
    MARGINALS,
    SURE,
    alternative_rows,
    apart,
    batch_text,
    chances,
    choice_row,
    marginal_rows,
    nearly,
    serving_text,
    shape_text,
    spread_out,
    sure_rows,
    thinned,
    useful_cluster,
    with_values,
)
from isocost.verbs.scaling.answer import NOT_COMPARABLE
from isocost.verbs.words import layout_text, money

_ALTERNATIVES: Final = 8
MEDIAN: Final = 0.5  # the probability with which limits are kept where none is asked for
NOT_MODELLED: Final = (
    "the mix and quality of the data, the schedule, and loss on tasks",
    "what a plan leaves out: see 'isocost plan'",
    "serving beyond 2 N FLOPs a token at the rent of training's steps times the serving cost",
    "tokens lost to a large batch",
    "sizes away from the chosen one are read between eight that were planned without context parallelism",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrontierResult(Result):
    """The recommended model, the isocost line, other laws beside it, and the plan behind it."""

    found: Frontier
    asked: Scenario
    others: tuple[tuple[str, Choice], ...]
    assumed: tuple[Assumed, ...]
    dropped: tuple[str, ...] = ()  # of a family: what cannot be trained, and why
    top: int = _ALTERNATIVES

    @property
    def joint(self) -> Joint:
        """The answer of the first law."""
        return self.found.joint

    @property
    def plan(self) -> Answer | None:
        """The plan of the recommended model."""
        return self.found.plan

    @property
    def chosen(self) -> Choice | None:
        """The recommended model; with a loss to reach, the cheapest one that does."""
        return self.joint.chosen

    @property
    def feasible(self) -> bool:
        """Whether there is a model to recommend."""
        return self.chosen is not None

    @property
    def outcome(self) -> Outcome | None:
        """Draws of the recommended model: days, bill, loss."""
        if self.chosen is None or self.plan is None or self.plan.forecast is None:
            return None
        return outcome(self.joint, self.chosen, self.plan.forecast)

    @property
    def scenario(self) -> Scenario | None:
        """What 'isocost plan' is asked to get the plan of the recommended model, on its cluster and within its limits.

        Of the budget it has what data and serving leave to the training.
        """
        chosen, limits = self.chosen, self.joint.limits
        if chosen is None:
            return None
        offer = self.found.planner.offer(chosen)
        training = chosen.train_usd / (chosen.train_usd + chosen.serving_usd)
        left_usd = None if self.asked.budget_usd is None else (limits.budget_usd - chosen.data_usd) * training
        return replace(
            self.asked,
            model=None,
            architecture=chosen.architecture,
            tokens=chosen.tokens,
            seq_len=self.found.planner.seq_len,
            on=(offer.option.accelerator.id,),
            gpu_counts=(offer.gpus,),
            precisions=(offer.precision,),
            budget_usd=left_usd,
            frontier=FrontierTable(),
        )

    @property
    def toml(self) -> str:
        """The scenario of the recommended model as a file that 'isocost plan' reads."""
        asked = self.scenario
        if asked is None:
            fix = "relax the limits as the answer says, or write the answer in another format"
            raise InputError([Problem("-o", "has no recommended model to plan", fix=fix)])
        return scenario_toml(asked)

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        chosen, drawn = self.chosen, self.outcome
        if chosen is None:
            limits = self.joint.limits
            given = {"budget": limits.budget_usd, "deadline": limits.deadline_s}
            asked = " and ".join(name for name, limit in given.items() if math.isfinite(limit)) or "question"
            what = f"fits this {asked}" if self.joint.target is None else "reaches this loss in these limits"
            return f"no model {what}; relax: {'; '.join(self.joint.relax)}"
        days, cost, loss = f"{chosen.run_s / DAY_S:.1f} d", show(chosen.train_usd, "USD"), f"{chosen.loss:.3f}"
        if drawn is not None:
            days += f" ({drawn.days.low:.0f} to {drawn.days.high:.0f})"
            usd = drawn.train_usd
            cost = cost if usd is None else money(usd)
            loss += f" ({drawn.loss.low:.3f} to {drawn.loss.high:.3f})" if drawn.loss else ""
        serving = f" to train and {show(chosen.serving_usd, 'USD')} to serve" if chosen.serving_usd else ""
        sure = f", kept with {self.found.planner.confidence:.0%}" if self.found.planner.confidence != MEDIAN else ""
        return (
            f"{chosen.architecture.name} on {count(chosen.tokens)} tokens: {chosen.offer}, {days}, {cost}{serving}; "
            f"loss {loss} by {self.joint.law.id}; bound by {chosen.binds}{sure}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything, unrounded, with a chart of the isocost line over isoloss lines."""
        joint = self.joint
        return {
            "schema_version": SCHEMA_VERSION,
            "sentence": self.sentence,
            "law": joint.law.id,
            "target_loss": joint.target,
            "limits": {
                "budget_usd": joint.limits.budget_usd,
                "deadline_s": joint.limits.deadline_s,
                "confidence_frac": self.found.planner.confidence,
                "unique_tokens": joint.limits.unique_tokens,
                "served_tokens": joint.limits.served_tokens,
                "serving_cost": joint.limits.serving_cost,
            },
            "chosen": None if self.chosen is None else choice_row(self.chosen),
            "outcome": self.outcome,
            "scenario": None if self.scenario is None else scenario_tables(self.scenario),
            "layout": None if self.plan is None or self.plan.chosen is None else layout_text(self.plan.chosen),
            "reach": self._reach(),
            "line": [choice_row(each) for each in joint.line],
            "laws": [{"law": law, **choice_row(each)} for law, each in self.others],
            "alternatives": alternative_rows(joint.alternatives),
            "marginals": marginal_rows(joint),
            "relax": joint.relax,
            "notes": (*joint.notes, *self.dropped),
            "assumptions": self.assumed,
            "not_modelled": NOT_MODELLED,
            "chart": chart(self.found),
        }

    def rows(self) -> Table:
        """Return a row a size."""
        line = self.joint.line
        marked = frozenset(k for k, each in enumerate(line) if each is self.chosen)
        return Table(columns=LINE, rows=tuple(choice_row(each) for each in line), marked=marked)

    def _table(self, line: Sequence[Choice]) -> Table:
        marked = frozenset(k for k, each in enumerate(line) if each is self.chosen)
        rows = tuple(choice_row(each) for each in line)
        return Table(columns=with_values(LINE, rows), rows=rows, marked=marked)

    def _reach(self) -> Reach | None:
        """Return the largest useful cluster of the recommended model on its accelerator, and the floor of its time."""
        if self.plan is None or self.plan.chosen is None:
            return None
        return useful_cluster(self.plan.question, self.plan.chosen)

    def report(self) -> Report:
        """Return the sentence, the line, alternatives, marginal values, the laws side by side, and what to know."""
        joint, sections = self.joint, []
        if self.chosen is not None:
            title = "Isocost line: every size for the same money" if joint.target is None else "Ways to this loss"
            sections.append(Section(title=title, body=(self._table(thinned(joint.line, self.chosen)),)))
        reach = self._reach()
        if self.plan is not None and self.plan.chosen is not None and reach is not None:
            layout = f"{layout_text(self.plan.chosen)}; bound by {self.plan.chosen.binds}"
            batch = batch_text(self.plan.question, self.plan.chosen, reach)
            shape = shape_text(self.plan.question.architecture)
            sections.append(Section(title="Shape, layout and batch", body=(shape, layout, *batch)))
        if self.outcome is not None:
            title = f"How sure: {self.outcome.draws:,} draws"
            sure = Table(columns=SURE, rows=sure_rows(self.outcome))
            sections.append(Section(title=title, body=(sure, *chances(self.outcome, joint.limits))))
        if joint.alternatives:
            near = tuple(alternative_rows(spread_out(joint.alternatives, self.top)))
            table = Table(columns=with_values(ALTERNATIVES, near), rows=near)
            sections.append(Section(title="Nearly as good, smaller", body=(*nearly(joint), table)))
        if joint.marginals:
            more = tuple(marginal_rows(joint))
            table = Table(columns=with_values(MARGINALS, more), rows=more)
            sections.append(Section(title="What a little more buys", body=(table,)))
        if self.others:
            rows = tuple({"law": law, **choice_row(each)} for law, each in self.others)
            said = (apart([each for _, each in self.others]), NOT_COMPARABLE)
            sections.append(Section(title="Laws side by side", body=(Table(columns=BY_LAW, rows=rows), *said)))
        if joint.notes or self.dropped:
            sections.append(Section(title="To know", body=(*joint.notes, *self.dropped)))
        kept = f"limits: kept with a probability of {self.found.planner.confidence:.0%} each"
        said_of = tuple(f"{a.name}: {a.value} [{', '.join(p for p in (a.source, a.as_of) if p)}]" for a in self.assumed)
        body_of = (kept, *serving_text(joint.limits), *said_of)
        sections += [Section(title="Assumptions", body=body_of), Section(title="Not modelled", body=NOT_MODELLED)]
        return Report(lead=self.sentence, sections=tuple(sections))
