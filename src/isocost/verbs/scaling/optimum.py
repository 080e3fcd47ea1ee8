"""What the laws say to train on an amount of arithmetic: each law's optimum, serving, a shape, batch and rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from isocost import units
from isocost.errors import InputError, Problem
from isocost.render.cells import count, keyed
from isocost.render.document import Document, Section, Table
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.scaling.cluster import BatchAdvice, batch_advice
from isocost.scaling.optimum import Optimum, optimum, spread
from isocost.scaling.serving import Serving, serving_optimum
from isocost.scaling.shapes import law_params, shape
from isocost.scaling.store import DEFAULT_LAW, find_law
from isocost.units import show
from isocost.verbs.scaling.answer import NOT_COMPARABLE
from isocost.workload.architecture import Architecture
from isocost.workload.params import parameter_count

OPTIMA = (
    keyed("law", "law", left=True),
    keyed("parameters", "params", count),
    keyed("p05", "params_p05", count),
    keyed("p95", "params_p95", count),
    keyed("tokens", "tokens", count),
    keyed("p05", "tokens_p05", count),
    keyed("p95", "tokens_p95", count),
    keyed("tokens/param", "tokens_per_param", lambda x: f"{x:,.1f}"),
    keyed("epochs", "epochs", lambda x: f"{x:,.1f}"),
    keyed("its own loss", "loss", lambda x: f"{x:.3f}"),
    keyed("p05", "loss_p05", lambda x: f"{x:.3f}"),
    keyed("p95", "loss_p95", lambda x: f"{x:.3f}"),
)
SERVED = (
    keyed("law", "law", left=True),
    keyed("parameters", "params", count),
    keyed("tokens", "tokens", count),
    keyed("FLOP, training and serving", "flop", lambda x: show(x, "flop")),
    keyed("least training", "train_params", count),
    keyed("its tokens", "train_tokens", count),
    keyed("saved", "saved_frac", lambda x: f"{x:.1%}"),
)
BATCHES = (
    keyed("law", "law", left=True),
    keyed("batch, tokens", "batch_tokens", count),
    keyed("peak learning rate", "rate", lambda x: f"{x:.3g}"),
    keyed("note", "note", left=True),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OptimumResult(Result):
    """What each law says to train; the first is the one that the sentence is about."""

    optima: tuple[Optimum, ...]
    served: tuple[Serving, ...]
    batches: tuple[BatchAdvice, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return every law's optimum, serving optimum, and batch and learning rate at the first."""
        first = self.optima[0]
        size_spread, tokens_spread = spread(self.optima)
        return {
            "schema_version": SCHEMA_VERSION,
            "flop": first.flop,
            "unique_tokens": first.unique_tokens,
            **{key: value for key, value in _optimum_row(first).items() if key in ("law", "params", "tokens", "loss")},
            "optima": [{**_optimum_row(each), "notes": each.notes} for each in self.optima],
            "params_spread": size_spread,
            "tokens_spread": tokens_spread,
            "serving": [_served_row(each) for each in self.served],
            "shape": _shape_values(first),
            "batch": [
                {"law": b.law, "batch_tokens": b.batch_tokens, "rate": b.rate, "note": b.note} for b in self.batches
            ],
            "losses": NOT_COMPARABLE,
        }

    def rows(self) -> Table:
        """Return a row a law."""
        return Table(columns=OPTIMA, rows=tuple(_optimum_row(each) for each in self.optima))

    def document(self) -> Document:
        """Return the sentence, the laws side by side, serving, a shape, batches, and what to know."""
        first = self.optima[0]
        loss = f", loss {first.loss:.3f} on {first.law.corpus}" if first.loss is not None else ""
        lead = (
            f"{first.law.id}: {count(first.params)} parameters on {count(first.tokens)} tokens for "
            f"{first.flop:.3g} FLOP{loss}"
        )
        size_spread, tokens_spread = spread(self.optima)
        body: tuple[Table | str, ...] = (self.rows(),)
        if len(self.optima) > 1:
            apart = f"the laws are {size_spread:.2f} times apart in parameters, {tokens_spread:.2f} times in tokens"
            body = (*body, apart, NOT_COMPARABLE)
        unsure = ", ".join(each.law.id for each in self.optima if each.params_interval is None)
        if unsure:
            body = (*body, f"no interval: the covariance of {unsure} is not published, and not guessed")
        sections = [Section(title="What to train", body=body)]
        if self.served:
            rows = tuple(_served_row(each) for each in self.served)
            sections.append(
                Section(title="Served: least FLOP to the same loss", body=(Table(columns=SERVED, rows=rows),))
            )
        values = _shape_values(first)
        if values:
            sections.append(Section(title="A shape of that size", body=(_shape_line(values),)))
        rows = tuple(
            {"law": b.law, "batch_tokens": b.batch_tokens, "rate": b.rate, "note": b.note} for b in self.batches
        )
        sections.append(Section(title="Batch and learning rate", body=(Table(columns=BATCHES, rows=rows),)))
        notes = tuple(f"{each.law.id}: {note}" for each in self.optima for note in each.notes)
        notes += tuple(f"{each.law.id}, served: {note}" for each in self.served for note in each.notes)
        if notes:
            sections.append(Section(title="To know", body=notes))
        return Document(lead=lead, sections=tuple(sections))


def _optimum_row(found: Optimum) -> dict[str, Any]:
    row: dict[str, Any] = {
        "law": found.law.id,
        "params": found.params,
        "tokens": found.tokens,
        "tokens_per_param": found.tokens / found.params,
        "epochs": found.epochs,
        "effective_tokens": found.effective_tokens,
        "loss": found.loss,
    }
    for name in ("params", "tokens", "loss"):
        ends = getattr(found, f"{name}_interval")
        row[f"{name}_p05"], row[f"{name}_p95"] = (None, None) if ends is None else (ends.low, ends.high)
    return row


def _served_row(found: Serving) -> dict[str, Any]:
    names = ("loss", "served_tokens", "serving_cost", "params", "tokens", "flop", "train_params", "train_tokens")
    return {"law": found.law.id, **{name: getattr(found, name) for name in names}, "saved_frac": found.saved_frac}


def _made(found: Optimum) -> Architecture | None:
    """Return a shape of the size of an optimum; none where the vocabulary alone is larger, or it is beyond all."""
    try:
        return shape(found.params, counts=found.law.counts)
    except InputError:
        return None


def _in_blocks(found: Optimum) -> float:
    """Return the parameters without embedding and head, which the laws of batch and rate count."""
    made = _made(found)
    return found.params if made is None else law_params(made, "non_embedding")


def _shape_values(found: Optimum) -> dict[str, Any]:
    made = _made(found)
    if made is None:
        return {}
    block = made.blocks[0]
    return {
        "name": made.name,
        "params": law_params(made, found.law.counts),
        "params_total": float(parameter_count(made).total),
        "hidden": made.hidden,
        "layers": block.count,
        "heads": block.heads,
        "kv_heads": block.kv_heads,
        "head_dim": block.head_dim,
        "ffn_hidden": block.ffn_hidden,
        "vocab": made.vocab,
        "tied_embeddings": made.tied_embeddings,
    }


def _shape_line(values: dict[str, Any]) -> str:
    tied = ", tied embeddings" if values["tied_embeddings"] else ""
    return (
        f"{values['layers']} layers of width {values['hidden']:,}, {values['heads']} heads of {values['head_dim']}, "
        f"{values['kv_heads']} key-value heads, gated feed-forward of {values['ffn_hidden']:,}, vocabulary "
        f"{values['vocab']:,}{tied}: {count(values['params_total'])} parameters, every width divides over 8 ranks"
    )


def best(
    flop: object,
    law: str = DEFAULT_LAW,
    data: object = None,
    serve: object = None,
    serving_cost: object = None,
) -> OptimumResult:
    """Return what each of the laws says to train on an amount of arithmetic, within data, and when served."""
    try:
        return _best(flop, law, data, serve, serving_cost)
    except InputError as error:
        named = {"served_tokens": "serve"}
        raise InputError([replace(p, path=named.get(p.path, p.path)) for p in error.problems]) from None


def _best(flop: object, law: str, data: object, serve: object, serving_cost: object) -> OptimumResult:
    amount = _flop(flop)
    unique = None if data is None else units.parse(data, "token", "data")
    served_tokens = None if serve is None else units.parse(serve, "token", "serve")
    if serve is None and serving_cost is not None:
        fix = "say how many tokens are served (serve), or leave it out"
        raise InputError([Problem("serving_cost", "has no use without tokens to serve", str(serving_cost), fix=fix)])
    cost = 1.0 if serving_cost is None else units.parse(serving_cost, "ratio", "serving_cost")
    names = [name.strip() for name in law.split(",") if name.strip()]
    if not names:
        raise InputError([Problem("law", "names no law", law, fix="see 'isocost scaling list'")])
    found = tuple(optimum(find_law(name), amount, unique) for name in dict.fromkeys(names))
    served = () if served_tokens is None else _served(found, served_tokens, cost)
    first = found[0]
    return OptimumResult(optima=found, served=served, batches=batch_advice(_in_blocks(first), first.tokens))


def _served(found: Sequence[Optimum], tokens: float, cost: float) -> tuple[Serving, ...]:
    return tuple(
        serving_optimum(each.law, each.loss, tokens, cost, each.unique_tokens)
        for each in found
        if each.law.has_surface and each.loss is not None
    )


def _flop(given: object) -> float:
    """Read an amount of arithmetic: a bare number is one too, since that is how papers write it."""
    text = str(given).strip()
    try:
        float(text)
    except ValueError:
        return units.parse(given, "flop", "flop")
    return units.parse(f"{text} flop", "flop", "flop")
