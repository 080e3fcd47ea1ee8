"""Columns, rows and phrases of a frontier's answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from isocost.laws.critical_batch import critical_batch_tokens, expected_loss
from isocost.render.cells import count, keyed
from isocost.render.document import Column
from isocost.scaling.cluster import Reach, largest_useful
from isocost.scaling.shapes import law_params
from isocost.search.question import Candidate, Question
from isocost.stats.quantiles import Interval
from isocost.units import DAY_S, show
from isocost.verbs.frontier.candidates import Choice, Limits
from isocost.verbs.frontier.joint import NEAR_NATS, NEAR_USD, Alternative, Joint
from isocost.verbs.frontier.outcome import Outcome
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
