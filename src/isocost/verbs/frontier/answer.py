"""What to train with money, time, data and a market: one model in a sentence, the isocost line, and what binds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from isocost.errors import InputError, Problem
from isocost.laws.critical_batch import critical_batch_tokens, expected_loss
from isocost.render.cells import count, keyed
from isocost.render.charts import vega_lite
from isocost.render.document import Column, Document, Section, Table
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.scaling.cluster import Reach, largest_useful
from isocost.scaling.shapes import law_params
from isocost.scenario import Scenario, scenario_tables, scenario_toml
from isocost.scenario.assumed import Assumed
from isocost.scenario.tables import Frontier as FrontierTable
from isocost.search.question import Answer, Candidate, Question
from isocost.stats.quantiles import Interval
from isocost.units import DAY_S, show
from isocost.verbs.frontier.candidates import Choice, Limits
from isocost.verbs.frontier.chart import chart
from isocost.verbs.frontier.frontier import Frontier
from isocost.verbs.frontier.joint import NEAR_NATS, NEAR_USD, Alternative, Joint
from isocost.verbs.frontier.outcome import Outcome, outcome
from isocost.verbs.scaling.answer import NOT_COMPARABLE
from isocost.verbs.words import layout_text, money
from isocost.workload.architecture import Architecture
from isocost.workload.params import parameter_count

_LEAST_USD: Final = 1.0
_SHOWN: Final = 12  # points of the line in the table; all of them are in CSV and JSON


def _usd(value: float) -> str:
    return show(value, "USD")


LINE: Final = (
    keyed("model", "name", left=True),
    keyed("tokens", "tokens", count),
    keyed("tokens/param", "tokens_per_param", lambda x: f"{x:,.0f}"),
    keyed("on", "offer", left=True),
    keyed("days", "days", lambda x: f"{x:,.1f}"),
    keyed("training", "train_usd", _usd),
    keyed("data", "data_usd", _usd),
    keyed("serving", "serving_usd", _usd),
    keyed("total", "total_usd", _usd),
    keyed("loss", "loss", lambda x: f"{x:.4f}"),
    keyed("binds", "binds", left=True),
)
BY_LAW: Final = (
    keyed("law", "law", left=True),
    *LINE[:6],
    keyed("total", "total_usd", _usd),
    keyed("its own loss", "loss", lambda x: f"{x:.3f}"),
)
MARGINALS: Final = (
    keyed("more", "more", left=True),
    keyed("loss, nats", "change", lambda x: f"{x:+.4f}"),
    keyed("cost", "change_usd", lambda x: f"{'-' if x < 0 else '+'}{_usd(abs(x))}"),
    keyed("then", "name", left=True),
    keyed("tokens", "tokens", count),
    keyed("on", "offer", left=True),
)
ALTERNATIVES: Final = (
    keyed("model", "name", left=True),
    keyed("of its size", "size_frac", lambda x: f"{x:.2f}"),
    keyed("tokens", "tokens", count),
    keyed("of its tokens", "tokens_frac", lambda x: f"{x:.2f}"),
    keyed("loss, nats", "change", lambda x: f"{x:+.4f}"),
    keyed("cost", "change_usd", lambda x: f"{'-' if x < 0 else '+'}{_usd(abs(x))}"),
    keyed("to serve a token", "serving_frac", lambda x: f"{x:.2f}"),
)
SURE: Final = (
    keyed("figure", "figure", left=True),
    keyed("p05", "p05", left=False),
    keyed("p50", "p50"),
    keyed("p95", "p95"),
)


def with_values(columns: Sequence[Column], rows: Sequence[dict[str, Any]]) -> tuple[Column, ...]:
    """Return the columns that have a value in any row."""
    return tuple(column for column in columns if any(row.get(column.key) is not None for row in rows))


def choice_row(choice: Choice) -> dict[str, Any]:
    """Return a choice as plain values."""
    made = parameter_count(choice.architecture)
    return {
        "name": choice.architecture.name,
        "params": choice.params,
        "params_total": float(made.total),
        "tokens": choice.tokens,
        "tokens_per_param": choice.tokens / choice.params,
        "offer": choice.offer,
        "days": choice.run_s / DAY_S,
        "train_usd": choice.train_usd,
        "data_usd": choice.data_usd or None,
        "serving_usd": choice.serving_usd or None,
        "total_usd": choice.total_usd,
        "loss": choice.loss,
        "mfu": choice.mfu,
        "binds": choice.binds,
        "hidden": choice.architecture.hidden,
        "layers": choice.architecture.layers,
    }


def _change(usd: float) -> float | None:
    """Return a change of money; none where it is the rounding of a number."""
    return usd if abs(usd) >= _LEAST_USD else None


def alternative_rows(found: Sequence[Alternative]) -> list[dict[str, Any]]:
    """Return models that are nearly as good, each beside the chosen one."""
    return [
        {
            **choice_row(each.choice),
            "change": each.loss,
            "change_usd": _change(each.usd),
            "size_frac": each.size_frac,
            "tokens_frac": each.tokens_frac,
            "serving_frac": each.serving_frac,
        }
        for each in found
    ]


def marginal_rows(joint: Joint) -> list[dict[str, Any]]:
    """Return what a little more of each thing buys."""
    return [
        {**choice_row(m.choice), "more": m.more, "change": m.loss, "change_usd": _change(m.usd)}
        for m in joint.marginals
    ]


def nearly(joint: Joint) -> tuple[str, ...]:
    """Return the alternative of half the size, or the nearest to it, in a sentence."""
    chosen = joint.chosen
    if chosen is None or not joint.alternatives:
        return ()
    each = min(joint.alternatives, key=lambda a: abs(np.log(2.0 * a.size_frac)))
    paid = f"{each.loss:+.4f} nats" if joint.target is None else f"{each.usd / chosen.total_usd:+.1%} of the cost"
    limit = f"{NEAR_NATS:g} nats" if joint.target is None else f"{NEAR_USD:.0%} of the cost"
    return (
        f"{each.choice.architecture.name}: {each.size_frac:.2f} of the size, {each.tokens_frac:.2f} times the tokens, "
        f"{paid}, a token served for {each.serving_frac:.2f} of the cost; shown: within {limit}",
    )


def apart(chosen: Sequence[Choice]) -> str:
    """Return how far the choices of several laws are apart."""
    size, tokens = ([getattr(each, name) for each in chosen] for name in ("params", "tokens"))
    return (
        f"the laws are {max(size) / min(size):.2f} times apart in parameters, {max(tokens) / min(tokens):.2f} times in "
        "tokens"
    )


def spread_out(found: Sequence[Any], most: int) -> list[Any]:
    """Return at most so many of a row of things, evenly spaced, both ends in."""
    if len(found) <= most:
        return list(found)
    return [found[int(k)] for k in np.unique(np.linspace(0, len(found) - 1, most).round())]


def thinned(line: Sequence[Choice], chosen: Choice) -> list[Choice]:
    """Return some of the line, and always the chosen point."""
    kept = {id(each) for each in spread_out(line, _SHOWN)} | {id(chosen)}
    return [each for each in line if id(each) in kept]


def sure_rows(drawn: Outcome) -> tuple[dict[str, str], ...]:
    """Return the percentiles of the draws, a row a figure."""
    figures: tuple[tuple[str, Interval | None, Any], ...] = (
        ("days", drawn.days, lambda x: f"{x:,.1f}"),
        ("bill of the training", drawn.train_usd, _usd),
        ("with data and serving", drawn.total_usd if drawn.total_usd != drawn.train_usd else None, _usd),
        ("loss", drawn.loss, lambda x: f"{x:.4f}"),
        ("best size, if the law is another draw", drawn.best_params, count),
        ("its tokens", drawn.best_tokens, count),
    )
    return tuple(
        {"figure": name} | {end: text(value) for end, value in each.percentiles().items()}
        for name, each, text in figures
        if each is not None
    )


def chances(drawn: Outcome, limits: Limits) -> tuple[str, ...]:
    """Return how likely the limits are kept, and what is not drawn."""
    said = []
    if drawn.deadline_chance is not None:
        said.append(f"{drawn.deadline_chance:.0%} of the draws end within {limits.deadline_s / DAY_S:,.0f} d")
    if drawn.budget_chance is not None:
        said.append(f"{drawn.budget_chance:.0%} stay within {_usd(limits.budget_usd)}")
    if drawn.loss is None:
        said.append("loss: no interval, as the covariance of this law is not published, and not guessed")
    return ("; ".join(said),) if said else ()


def shape_text(made: Architecture) -> str:
    """Return what is to be built: depth, widths, heads, experts, vocabulary."""
    block = made.blocks[0]
    gated = "gated " if block.ffn_gated else ""
    inner = f"{gated}feed-forward of {block.ffn_hidden:,}"
    if block.experts:
        shared = f", shared of {block.shared_ffn_hidden:,}" if block.shared_ffn_hidden else ""
        inner = f"{block.experts_topk} of {block.experts} {gated}experts of {block.moe_ffn_hidden:,}{shared}"
    return (
        f"{made.layers} layers of width {made.hidden:,}, {block.heads} heads of {block.head_dim}, {block.kv_heads} "
        f"key-value heads, {inner}, vocabulary {made.vocab:,}" + (", tied embeddings" if made.tied_embeddings else "")
    )


def useful_cluster(asked: Question, plan: Candidate) -> Reach:
    """Return the largest cluster that still shortens the run of a plan, and the floor of its time."""
    params = law_params(asked.architecture, "non_embedding")
    batch_tokens = plan.global_batch_seqs * asked.seq_len
    return largest_useful(
        params=params,
        tokens=asked.tokens,
        critical_tokens=float(critical_batch_tokens(loss=expected_loss(params=params, tokens=asked.tokens))),
        seq_len=asked.seq_len,
        replica_gpus=plan.gpus // plan.layout.dp,
        replica_flop_per_s=6.0 * params * batch_tokens / plan.step_s / plan.layout.dp,
        micro_batch=plan.layout.micro_batch,
    )


def batch_text(asked: Question, plan: Candidate, reach: Reach) -> tuple[str, ...]:
    """Return the batch of a plan, and how large a cluster is of use to it."""
    batch = plan.global_batch_seqs * asked.seq_len
    return (
        f"batch of {count(batch)} tokens, {batch / reach.critical_tokens:.2f} of the critical one (kaplan2020, "
        f"mccandlish2018): by that law {1.0 + batch / reach.critical_tokens:.2f} times the tokens of a small batch, in "
        f"{1.0 + reach.critical_tokens / batch:.2f} times the steps of a large one; not added, as laws of loss hold "
        "the batches of their own runs",
        f"largest useful cluster at 20 % of tokens wasted: {reach.gpus:,} accelerators, {reach.run_s / DAY_S:,.1f} d "
        f"of steps; no cluster of these takes less than {reach.floor_s / DAY_S:,.1f} d",
    )


def serving_text(limits: Limits) -> tuple[str, ...]:
    """Return what serving is taken to cost."""
    if not limits.served_tokens:
        return ()
    return (
        f"serving: {count(limits.served_tokens)} tokens at 2 N FLOPs each, a FLOP at {limits.serving_cost:g} times the "
        "rent of one of training's steps",
    )


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
        joint, plot = self.joint, chart(self.found)
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
            "chart": None if plot is None else vega_lite(plot),
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

    def document(self) -> Document:
        """Return the sentence, the line, alternatives, marginal values, the laws side by side, and what to know."""
        joint, sections = self.joint, []
        if self.chosen is not None:
            title = "Isocost line: every size for the same money" if joint.target is None else "Ways to this loss"
            table, plot = self._table(thinned(joint.line, self.chosen)), chart(self.found)
            sections.append(Section(title=title, body=(table,) if plot is None else (table, plot)))
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
        return Document(lead=self.sentence, sections=tuple(sections))
