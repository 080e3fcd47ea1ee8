"""The catalog in tables: what it holds, one entry in full, and what to check in it."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from isocost.catalog import Accelerator, Catalog, Fact, Finding, Offer, Tier, check
from isocost.catalog.stacks import Recipe, recipes
from isocost.errors import InputError, Problem, nearest
from isocost.render.document import Column, Document, Section, Table, as_text
from isocost.render.formats import TABLE
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.render.text import PAGE_WIDTH, screen_width, table_text
from isocost.units import show, unit_of
from isocost.verbs.catalog.stacks import StackEntry, cite, stack_entry
from isocost.workload.params import parameter_count
from isocost.workload.presets import preset, preset_facts, preset_names


def shown_as(unit: str) -> Callable[[Any], str]:
    """Return the format of a quantity in SI ``unit``."""
    return lambda value: show(float(value), unit)


def _get(name: str, head: str = "", unit: str = "", left: bool = False, spare: bool = False) -> Column:
    form = shown_as(unit) if unit else as_text
    return Column(head=head or name, key=name, value=lambda row: getattr(row, name), show=form, left=left, spare=spare)


def _fact(name: str, spare: bool = False) -> Column:
    head = name.replace("_", " ")
    return Column(head=head, key=name, value=lambda row: getattr(row.fact, name), spare=spare)


def _end(name: str) -> Column:
    """Return the column of one end of a rate, in the unit of its row."""
    return Column(
        head=name, key=name, value=lambda row: getattr(row, name), text=lambda row: show(getattr(row, name), row.unit)
    )


ACCELERATORS = (
    _get("id", left=True),
    _get("memory_bytes", "memory", "B"),
    _get("hbm_bytes_per_s", "HBM", "B/s"),
    _get("bf16_flop_per_s", "bf16 dense", "flop/s"),
    _get("fp8_flop_per_s", "fp8 dense", "flop/s"),
    _get("scaleup_bytes_per_s", "scale-up", "B/s"),
    _get("scaleup_domain", "domain"),
    _get("tdp_w", "TDP", "W"),
    _fact("as_of"),
    _fact("grade"),
)
NODES = (
    _get("id", left=True),
    _get("name", left=True),
    _get("gpus_per_node", "GPUs"),
    _get("scaleup_domain", "domain"),
    _get("topology"),
    _fact("as_of"),
    _fact("grade"),
)
FABRICS = (
    _get("id", left=True),
    _get("name", left=True),
    _get("bytes_per_s", "per GPU", "B/s"),
    _fact("as_of"),
    _fact("grade"),
)
OFFERS = (
    _get("id", left=True),
    _get("provider", left=True, spare=True),  # as term and date: the id names them
    _get("region", left=True, spare=True),
    _get("term", left=True, spare=True),
    _get("low_usd_per_s", "low", "USD/s"),
    _get("median_usd_per_s", "median", "USD/s"),
    _get("high_usd_per_s", "high", "USD/s"),
    _fact("as_of", spare=True),
    _fact("grade", spare=True),
)
RATES = (
    _get("kind", left=True),
    _get("id", left=True),
    _get("unit", spare=True),  # every cell shows it
    _end("low"),
    _end("median"),
    _end("high"),
    _fact("as_of", spare=True),
    _fact("grade", spare=True),
)
STACKS = (
    _get("id", left=True),
    _get("title", left=True),
    _get("attention_kernel", "attention", left=True),
    _get("norm_kernel", "norm", left=True),
    _get("gradient_bytes", "gradient B"),
    _get("compiled"),
    _get("cuda_graphs", "graphs"),
    _get("as_of", "as of"),
)
MODELS = (
    Column(head="id", key="id", value=lambda row: row.name, left=True),
    Column(head="type", key="model_type", value=lambda row: row.architecture.model_type, left=True),
    Column(head="params", key="params", value=lambda row: row.params, show=lambda x: show(float(x), "token")),
    Column(head="active", key="active_params", value=lambda row: row.active, show=lambda x: show(float(x), "token")),
    Column(head="layers", key="layers", value=lambda row: row.architecture.layers),
    Column(head="hidden", key="hidden", value=lambda row: row.architecture.hidden),
    Column(head="as of", key="as_of", value=lambda row: row.as_of),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shipped:
    """A row of the list of models."""

    name: str
    architecture: Any
    params: int
    active: int
    as_of: str


def _models(catalog: Catalog) -> Iterable[_Shipped]:
    for name in preset_names():
        architecture = preset(name)
        count = parameter_count(architecture)
        yield _Shipped(
            name=name,
            architecture=architecture,
            params=count.total,
            active=count.active,
            as_of=preset_facts(name).as_of,
        )


KINDS: Mapping[str, tuple[tuple[Column, ...], Callable[[Catalog], Iterable[Any]]]] = {
    "accelerators": (ACCELERATORS, lambda catalog: catalog.accelerators.values()),
    "nodes": (NODES, lambda catalog: catalog.nodes.values()),
    "fabrics": (FABRICS, lambda catalog: catalog.fabrics.values()),
    "offers": (OFFERS, lambda catalog: catalog.offers),
    "rates": (RATES, lambda catalog: catalog.rates.values()),
    "stacks": (STACKS, lambda catalog: recipes().values()),
    "recipes": (STACKS, lambda catalog: recipes().values()),
    "models": (MODELS, _models),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Listing(Result):
    """All entries of one kind."""

    kind: str
    entries: Table

    def rows(self) -> Table:
        """Return the entries."""
        return self.entries

    def document(self) -> Document:
        """Return the entries under their number."""
        count = len(self.entries.rows)
        return Document(lead=f"{count:,} {self.kind}", sections=(Section(title="", body=(self.entries,)),))

    def rendered(self, style: str, show: str = "") -> str:
        """Return the entries in a format; as text they come without a sentence before them."""
        if style != TABLE:
            return Result.rendered(self, style, show)
        return table_text(self.entries, screen_width() or PAGE_WIDTH) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return every field of the entries."""
        values = [row if self.kind != "models" else _model_row(row) for row in self.entries.rows]
        return {"schema_version": SCHEMA_VERSION, "kind": self.kind, self.kind: values}


def _model_row(row: _Shipped) -> dict[str, object]:
    return Table(columns=MODELS, rows=(row,)).to_dicts()[0]


def listing(catalog: Catalog, kind: str) -> Listing:
    """Return the entries of a kind; an unknown kind is an error that names the nearest."""
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise InputError([Problem("kind", "is not a kind of the catalogue", kind, known, nearest(kind, KINDS))])
    columns, entries = KINDS[kind]
    return Listing(kind=kind, entries=Table(columns=columns, rows=tuple(entries(catalog))))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry(Result):
    """One entry in full, with its provenance and, for an accelerator, its prices."""

    kind: str
    name: str
    values: Mapping[str, object]
    fact: Fact | None
    offers: tuple[Offer, ...] = ()
    citations: tuple[str, ...] = ()

    def rows(self) -> Table:
        """Return the fields."""
        columns = (
            Column(head="field", key="field", value=lambda row: row[0], left=True),
            Column(head="value", key="value", value=lambda row: row[1], show=str, left=True),
        )
        return Table(columns=columns, rows=tuple((name, _shown(name, value)) for name, value in self.values.items()))

    def document(self) -> Document:
        """Return the fields, the provenance, and the prices."""
        sections = [Section(title="Fields", body=(self.rows(),))]
        if self.fact is not None:
            weak = [f"not read in a source: {', '.join(self.fact.from_memory)}"] if self.fact.from_memory else []
            lines = [f"as of {self.fact.as_of}, {self.fact.grade}", *self.citations, *weak]
            lines += [f"disputed: {dispute}" for dispute in self.fact.disputed]
            sections.append(Section(title="Where it is from", body=(*lines, *filter(None, [self.fact.note]))))
        if self.offers:
            sections.append(Section(title="Prices", body=(Table(columns=OFFERS, rows=self.offers),)))
        return Document(lead=f"{self.name} ({self.kind})", sections=tuple(sections))

    def to_dict(self) -> dict[str, Any]:
        """Return every field, unrounded, with provenance and prices."""
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": self.kind,
            "id": self.name,
            **self.values,
            "fact": self.fact,
            "offers": self.offers,
        }


def _shown(name: str, value: object) -> str:
    if value is None:
        return "unknown"
    if name in ("year", "since", "until"):
        return str(value)
    if isinstance(value, tuple) and value and isinstance(value[0], Tier):
        return "; ".join(_tier(tier) for tier in value)
    unit = unit_of(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and unit != "1":
        return show(float(value), unit)
    return as_text(value)


def _tier(tier: Tier) -> str:
    reach = "beyond" if tier.reach_gpus is None else f"to {tier.reach_gpus:,} GPUs"
    thinner = f", {tier.oversubscription:g}:1" if tier.oversubscription != 1 else ""
    return f"{reach} {show(tier.latency_s, 's')}{thinner}"


# Words for a kind in front of a name, as in "recipe torchtitan".
_FAMILY_SHOWN = 4  # names of a family that a message suggests
_KIND_WORDS = {
    "recipe": "stack",
    "stack": "stack",
    "accelerator": "accelerator",
    "node": "node",
    "fabric": "fabric",
    "offer": "offer",
    "rate": "rate",
    "model": "model",
}


def entry(catalog: Catalog, name: str) -> Entry | StackEntry:
    """Return the entry called ``name``, of whatever kind; an unknown name is an error that names the nearest.

    A kind may stand before the name: "recipe torchtitan".
    """
    first, _, rest = name.strip().partition(" ")
    only = _KIND_WORDS.get(first.casefold().removesuffix("s"), "") if rest.strip() else ""
    name = rest.strip() if only else name
    of_kind: dict[str, Mapping[str, Any]] = {
        "accelerator": catalog.accelerators,
        "node": catalog.nodes,
        "fabric": catalog.fabrics,
        "offer": {offer.id: offer for offer in catalog.offers},
        "rate": {f"{rate.kind}.{rate.id}": rate for rate in catalog.rates.values()},
        "stack": recipes(),
    }
    wanted = name.strip().casefold()
    of_kind = {kind: entries for kind, entries in of_kind.items() if only in ("", kind)}
    for kind, entries in of_kind.items():
        found = entries.get(name) or entries.get(wanted)
        if isinstance(found, Recipe):
            return stack_entry(catalog, found)
        if found is not None:
            return _entry(catalog, kind, found)
    models = preset_names() if only in ("", "model") else ()
    if wanted in models:
        facts = preset_facts(wanted)
        values = {"note": facts.note, **{key: value for key, value in facts.config.items() if key != "id"}}
        fact = Fact(sources=(facts.source,), as_of=facts.as_of, grade=facts.grade)
        return Entry(kind="model", name=wanted, values=values, fact=fact, citations=(facts.source,))
    known = [*models, *(key for entries in of_kind.values() for key in entries)]
    kinds = f"{only}s" if only else "accelerators | nodes | fabrics | offers | rates | stacks | models"
    fix = f"isocost catalog list {kinds}"
    # "h100" is no slip of spelling; the ids of offers and rates only repeat their accelerator.
    family = sorted(key for key in known if wanted and key.startswith(wanted) and ":" not in key)
    close = ", ".join(family[:_FAMILY_SHOWN]) or nearest(wanted, known)
    raise InputError([Problem("name", "is not in the catalogue", name, nearest=close, fix=fix)])


def _entry(catalog: Catalog, kind: str, found: Any) -> Entry:
    values = {f.name: getattr(found, f.name) for f in dataclasses.fields(found) if f.name not in ("id", "fact")}
    fact = found.fact
    offers = catalog.offers_for(found.id) if isinstance(found, Accelerator) else ()
    citations = tuple(cite(catalog, key) for key in fact.sources)
    name = f"{found.kind}.{found.id}" if kind == "rate" else found.id
    return Entry(kind=kind, name=name, values=values, fact=fact, offers=offers, citations=citations)


FINDINGS = (
    _get("kind", left=True),
    _get("subject", left=True),
    _get("message", left=True),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Check(Result):
    """What to look at in the catalog before relying on it."""

    findings: tuple[Finding, ...]
    today: datetime.date

    def rows(self) -> Table:
        """Return the findings."""
        return Table(columns=FINDINGS, rows=self.findings)

    def counts(self) -> dict[str, int]:
        """Return the number of findings by kind."""
        kinds = [finding.kind for finding in self.findings]
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}

    def document(self) -> Document:
        """Return the findings under their numbers."""
        counted = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in self.counts().items())
        lead = f"{len(self.findings):,} facts to check on {self.today.isoformat()}"
        return Document(
            lead=f"{lead}: {counted}" if counted else lead,
            sections=(Section(title="Findings", body=(self.rows(),)),) if self.findings else (),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the findings and their numbers."""
        return {
            "schema_version": SCHEMA_VERSION,
            "today": self.today,
            "counts": self.counts(),
            "findings": self.findings,
        }


def checked(catalog: Catalog, today: datetime.date) -> Check:
    """Return what ``check`` finds in the catalog as of ``today``."""
    return Check(findings=tuple(check(catalog, today)), today=today)
