"""Scaling laws in tables: the list, one law, a fit to the user's runs, and what to train on a budget of FLOPs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from isocost import units
from isocost.errors import InputError, Problem
from isocost.report.result import SCHEMA_VERSION, Result
from isocost.report.table import Column, Report, Section, Table
from isocost.scaling.cluster import BatchAdvice, batch_advice
from isocost.scaling.fit import Fit, fit
from isocost.scaling.law import Law
from isocost.scaling.optimum import Optimum, optimum, spread
from isocost.scaling.runs import read_runs
from isocost.scaling.serving import Serving, serving_optimum
from isocost.scaling.shapes import law_params, shape
from isocost.scaling.store import DEFAULT_LAW, find_law, law_text, laws
from isocost.units import show
from isocost.workload.architecture import Architecture
from isocost.workload.params import parameter_count

NOT_COMPARABLE: Final = "losses of different laws are of different text and tokenizers: compare what the laws advise"


def _count(value: float) -> str:
    return show(float(value), "token")


def _column(head: str, key: str, show: Any = str, left: bool = False) -> Column:
    return Column(head=head, key=key, value=lambda row: row.get(key), show=show, left=left)


LISTED = (
    _column("law", "id", left=True),
    _column("form", "form", left=True),
    _column("chooses", "chooses", left=True),
    _column("parameters up to", "params_most", _count),
    _column("tokens up to", "tokens_most", _count),
    _column("grade", "grade", left=True),
    _column("as of", "as_of", left=True),
    _column("what", "title", left=True),
)
PARAMETERS = (
    _column("parameter", "parameter", left=True),
    _column("value", "value", lambda x: f"{x:.6g}"),
    _column("sd", "sd", lambda x: f"{x:.3g}"),
    _column("2.5 %", "low", lambda x: f"{x:.4g}"),
    _column("97.5 %", "high", lambda x: f"{x:.4g}"),
)
OPTIMA = (
    _column("law", "law", left=True),
    _column("parameters", "params", _count),
    _column("p05", "params_p05", _count),
    _column("p95", "params_p95", _count),
    _column("tokens", "tokens", _count),
    _column("p05", "tokens_p05", _count),
    _column("p95", "tokens_p95", _count),
    _column("tokens/param", "tokens_per_param", lambda x: f"{x:,.1f}"),
    _column("epochs", "epochs", lambda x: f"{x:,.1f}"),
    _column("its own loss", "loss", lambda x: f"{x:.3f}"),
    _column("p05", "loss_p05", lambda x: f"{x:.3f}"),
    _column("p95", "loss_p95", lambda x: f"{x:.3f}"),
)
SERVED = (
    _column("law", "law", left=True),
    _column("parameters", "params", _count),
    _column("tokens", "tokens", _count),
    _column("FLOP, training and serving", "flop", lambda x: show(x, "flop")),
    _column("least training", "train_params", _count),
    _column("its tokens", "train_tokens", _count),
    _column("saved", "saved_frac", lambda x: f"{x:.1%}"),
)
BATCHES = (
    _column("law", "law", left=True),
    _column("batch, tokens", "batch_tokens", _count),
    _column("peak learning rate", "rate", lambda x: f"{x:.3g}"),
    _column("note", "note", left=True),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LawList(Result):
    """All shipped laws."""

    found: tuple[Law, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return every law in full."""
        return {
            "schema_version": SCHEMA_VERSION,
            "default": DEFAULT_LAW,
            "laws": [law_values(each) for each in self.found],
        }

    def rows(self) -> Table:
        """Return a row a law."""
        rows = tuple(
            {
                "id": each.id,
                "form": each.form,
                "chooses": "yes" if each.allocation else "no",
                "params_most": each.params_range and each.params_range[1],
                "tokens_most": each.tokens_range and each.tokens_range[1],
                "grade": each.grade + (", from memory" if each.from_memory else ""),
                "as_of": each.as_of,
                "title": each.title,
            }
            for each in self.found
        )
        return Table(columns=LISTED, rows=rows)

    def report(self) -> Report:
        """Return the table."""
        lead = f"{len(self.found)} scaling laws; the default is {DEFAULT_LAW}"
        section = Section(title="Laws", body=(self.rows(), NOT_COMPARABLE))
        return Report(lead=lead, sections=(section,))


def law_values(law: Law) -> dict[str, Any]:
    """Return a law as plain values."""
    parameters = {
        name: {key: getattr(p, key) for key in ("value", "sd", "low", "high")} for name, p in law.parameters.items()
    }
    names = ("id", "title", "form", "counts", "corpus", "params_range", "tokens_range", "flop_range", "source")
    return {
        **{name: getattr(law, name) for name in names},
        **{name: getattr(law, name) for name in ("as_of", "grade", "from_memory", "allocation", "note")},
        "parameters": parameters,
        "covariance": law.covariance,
    }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LawEntry(Result):
    """One law in full."""

    law: Law

    def to_dict(self) -> dict[str, Any]:
        """Return all of it."""
        return {"schema_version": SCHEMA_VERSION, **law_values(self.law)}

    def rows(self) -> Table:
        """Return a row a parameter."""
        return parameter_table(self.law)

    def report(self) -> Report:
        """Return its origin, its reach and its parameters."""
        law = self.law
        lines = [
            f"N counts: {law.counts.replace('_', '-')} parameters; corpus: {law.corpus}",
            *(f"runs from {_span(law, name)}" for name in ("params", "tokens", "flop") if _span(law, name)),
            f"source: {law.source}, {law.as_of}, {law.grade}" + (", from memory" if law.from_memory else ""),
            *([f"note: {law.note}"] if law.note else []),
        ]
        body = (self.rows(),) if law.parameters else ("none",)
        sections = (Section(title="About", body=tuple(lines)), Section(title="Parameters", body=body))
        return Report(lead=f"{law.id}: {law.title}", sections=sections)


def _span(law: Law, name: str) -> str:
    ends = getattr(law, f"{name}_range")
    word = {"params": "parameters", "tokens": "tokens", "flop": ""}[name]
    if ends is None:
        return ""
    return f"{show(ends[0], 'flop' if name == 'flop' else 'token')} to " + (
        f"{show(ends[1], 'flop' if name == 'flop' else 'token')} {word}".rstrip()
    )


def parameter_table(law: Law) -> Table:
    """Return a row a parameter, with its uncertainty where it is known."""
    rows = tuple(
        {"parameter": name, "value": p.value, "sd": p.sd, "low": p.low, "high": p.high}
        for name, p in law.parameters.items()
    )
    return Table(columns=PARAMETERS, rows=rows)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitResult(Result):
    """A law fitted to the user's runs; ``toml`` is the file that ``optimum --law`` reads."""

    fit: Fit

    @property
    def toml(self) -> str:
        """The law as a file."""
        return law_text(self.fit.law)

    def to_dict(self) -> dict[str, Any]:
        """Return the law, and how well it fits."""
        values = {field.name: getattr(self.fit, field.name) for field in fields(self.fit) if field.name != "law"}
        return {"schema_version": SCHEMA_VERSION, **values, "law": law_values(self.fit.law)}

    def rows(self) -> Table:
        """Return a row a parameter."""
        return parameter_table(self.fit.law)

    def report(self) -> Report:
        """Return parameters with intervals, the quality of the fit, and warnings."""
        f = self.fit
        lead = (
            f"{f.law.title}: N ~ C^{f.allocation_power:.3f} ({f.allocation_sd:.3f}), irreducible loss "
            f"{f.law.value('E'):.3f}; median error {f.median_error_frac:.2%}, worst {f.worst_error_frac:.1%}"
        )
        quality = (
            f"{f.starts_at_best} of {f.starts} starts end at this minimum; sum of Huber losses {f.objective:.6g}",
            f"intervals from {f.draws} resamplings; {f.excluded} runs excluded",
        )
        sections = [Section(title="Parameters", body=(self.rows(),)), Section(title="Fit", body=quality)]
        if f.warnings:
            sections.append(Section(title="Warnings", body=f.warnings))
        return Report(lead=lead, sections=tuple(sections))


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

    def report(self) -> Report:
        """Return the sentence, the laws side by side, serving, a shape, batches, and what to know."""
        first = self.optima[0]
        loss = f", loss {first.loss:.3f} on {first.law.corpus}" if first.loss is not None else ""
        lead = (
            f"{first.law.id}: {_count(first.params)} parameters on {_count(first.tokens)} tokens for "
            f"{first.flop:.3g} FLOP{loss}"
        )
        size_spread, tokens_spread = spread(self.optima)
        body: tuple[Table | str, ...] = (self.rows(),)
        if len(self.optima) > 1:
            apart = f"the laws are {size_spread:.2f} times apart in parameters, {tokens_spread:.2f} times in tokens"
            body = (*body, apart, NOT_COMPARABLE)
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
        return Report(lead=lead, sections=tuple(sections))


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
        f"{values['vocab']:,}{tied}: {_count(values['params_total'])} parameters, every width divides over 8 ranks"
    )


def listing() -> LawList:
    """Return all shipped laws."""
    return LawList(found=tuple(laws().values()))


def entry(name: str) -> LawEntry:
    """Return one law: a shipped one, or that of a file."""
    return LawEntry(law=find_law(name))


def fitted(runs: str | Path, name: str = "my_law") -> FitResult:
    """Return the law fitted to the runs of a CSV file."""
    return FitResult(fit=fit(read_runs(runs), name=name))


def best(
    flop: object, law: str = DEFAULT_LAW, data: object = None, serve: object = None, serving_cost: object = None
) -> OptimumResult:
    """Return what each of the laws says to train on an amount of arithmetic, within data, and when served."""
    amount = _flop(flop)
    unique = None if data is None else units.parse(data, "token", "--data")
    served_tokens = None if serve is None else units.parse(serve, "token", "--serve")
    cost = 1.0 if serving_cost is None else units.parse(serving_cost, "ratio", "--serving-cost")
    names = [name.strip() for name in law.split(",") if name.strip()]
    if not names:
        raise InputError([Problem("--law", "names no law", law, fix="see 'isocost scaling list'")])
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
        return units.parse(given, "flop", "--flop")
    return units.parse(f"{text} flop", "flop", "--flop")
