"""Scaling laws in tables: the list, one law, and a fit to the user's runs."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from isocost.errors import InputError, Problem
from isocost.render.cells import count, keyed
from isocost.render.document import Document, Section, Table
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.scaling.fit import Fit, fit
from isocost.scaling.law import Law
from isocost.scaling.runs import read_runs
from isocost.scaling.store import DEFAULT_LAW, find_law, law_text, laws
from isocost.units import show

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
NOT_COMPARABLE: Final = "losses of different laws are of different text and tokenizers: compare what the laws advise"


LISTED = (
    keyed("law", "id", left=True),
    keyed("form", "form", left=True),
    keyed("chooses", "chooses", left=True),
    keyed("parameters up to", "params_most", count),
    keyed("tokens up to", "tokens_most", count),
    keyed("grade", "grade", left=True),
    keyed("as of", "as_of", left=True),
    keyed("what", "title", left=True),
)
PARAMETERS = (
    keyed("parameter", "parameter", left=True),
    keyed("value", "value", lambda x: f"{x:.6g}"),
    keyed("sd", "sd", lambda x: f"{x:.3g}"),
    keyed("2.5 %", "low", lambda x: f"{x:.4g}"),
    keyed("97.5 %", "high", lambda x: f"{x:.4g}"),
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

    def document(self) -> Document:
        """Return the table."""
        lead = f"{len(self.found)} scaling laws; the default is {DEFAULT_LAW}"
        section = Section(title="Laws", body=(self.rows(), NOT_COMPARABLE))
        return Document(lead=lead, sections=(section,))


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

    def document(self) -> Document:
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
        return Document(lead=f"{law.id}: {law.title}", sections=sections)


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

    def document(self) -> Document:
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
        return Document(lead=lead, sections=tuple(sections))


def listing() -> LawList:
    """Return all shipped laws."""
    return LawList(found=tuple(laws().values()))


def entry(name: str) -> LawEntry:
    """Return one law: a shipped one, or that of a file."""
    return LawEntry(law=find_law(name))


def fitted(runs: str | Path, name: str = "my_law") -> FitResult:
    """Return the law fitted to the runs of a CSV file."""
    if not _NAME.fullmatch(name):
        raise InputError([Problem("name", "is not a name of a law", name, "letters, digits, '-' and '_'")])
    return FitResult(fit=fit(read_runs(runs), name=name))
