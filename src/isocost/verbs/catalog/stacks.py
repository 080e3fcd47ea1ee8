"""A software stack in full: its switches in time and in memory, and which of them a scenario can change."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isocost.catalog import Catalog
from isocost.catalog.memory_recipes import memory_recipe
from isocost.catalog.stacks import GRADIENT_BYTES, Recipe
from isocost.render.document import Column, Document, Section, Table, as_text
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.scenario.switches import SWITCHES

# What each switch of a recipe says; bytes are of one value.
MEANING = {
    "attention_kernel": "attention kernel",
    "norm_kernel": "normalisation kernel",
    "gradient_bytes": "bytes of a gradient in the data-parallel reduction",
    "gather_bytes": "bytes of a parameter in the data-parallel gather",
    "compiled": "blocks compiled (torch.compile, XLA)",
    "cuda_graphs": "CUDA graphs",
    "deduplicated_dispatch": "a token goes to the experts of a node once",
    "grouped_experts": "one kernel for the products of all experts of a rank",
    "tp_overlap": "tensor-parallel traffic overlapped with its products",
}
_PROVENANCE = ("id", "title", "note", "source", "as_of", "grade")
_KEYS = {field: key for key, (field, _) in SWITCHES.items() if field}


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One switch, its value, and the key of a scenario that changes it ("" for none)."""

    name: str
    value: object
    key: str
    meaning: str


SWITCH = (
    Column(head="switch", key="switch", value=lambda row: row.name, left=True),
    Column(head="value", key="value", value=lambda row: row.value, show=lambda value: _short(value), left=True),
    Column(head="key in a scenario", key="scenario_key", value=lambda row: row.key or None, left=True),
    Column(head="what it is", key="meaning", value=lambda row: row.meaning, left=True),
)
# The same of a memory recipe; bytes are of a parameter, a value or a logit.
MEMORY_MEANING = {
    "weight": "bytes of a parameter before sharding",
    "gradient": "bytes of its gradient",
    "optimizer": "bytes of its master copy and optimizer states",
    "step": "bytes more inside the optimizer step",
    "norm_kernel": "what norms keep: fused, eager (32-bit copies) or composite",
    "plain_ffn": "bytes kept of a value of plain feed-forward width",
    "gated_ffn": "bytes kept of a value of gated feed-forward width",
    "routed": "values of stream width kept of a routed token",
    "fp8_inputs": "inputs of 8-bit products kept as quantised",
    "logit": "bytes of a logit at the peak of the loss",
    "shard_logit": "the same in the kernel that works on shards",
    "logits_sharded": "the loss is computed on shards of the vocabulary",
    "pad_multiple": "rows of the vocabulary a rank's share is rounded up to",
    "fsdp": "zero2 keeps the gathered model from forward to backward",
    "fsdp_unit": "gathered at a time under zero3",
    "gathered_weight": "bytes of a gathered parameter",
    "gathered_gradient": "bytes of a gradient before it is scattered",
    "selective": "what selective recompute is here",
    "stage_output_kept": "stages keep the tensor they send",
    "gathered_inputs_kept": "inputs gathered over tensor-parallel ranks are kept",
    "gradient_values": "gradients alive in a block, in values of its width",
    "buffer_values": "values of stream width in communication buffers",
    "allocator": "reserved over allocated",
    "fixed": "bytes of context, communicators, libraries",
    "memory_definition": "what its peak counts",
}
MEMORY = (
    Column(head="switch", key="switch", value=lambda row: row[0], left=True),
    Column(head="value", key="value", value=lambda row: row[1], show=lambda value: _short(value), left=True),
    Column(head="what it is", key="meaning", value=lambda row: MEMORY_MEANING[row[0]], left=True),
)


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else as_text(value)


def switches(recipe: Recipe) -> tuple[Switch, ...]:
    """Return the switches of a stack that decide time."""
    overlap = {"tp_overlap": False}  # of no recipe: stacks leave it off unless told
    values = {name: getattr(recipe, name, overlap.get(name)) for name in MEANING}
    return tuple(
        Switch(name=name, value=value, key=_KEYS.get(name, name if name in SWITCHES else ""), meaning=MEANING[name])
        for name, value in values.items()
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StackEntry(Result):
    """One recipe with its memory recipe and where both are from."""

    recipe: Recipe
    citations: tuple[str, ...]
    memory_citations: tuple[str, ...]

    def rows(self) -> Table:
        """Return the switches that decide time."""
        return Table(columns=SWITCH, rows=switches(self.recipe))

    def _memory(self) -> Mapping[str, object]:
        values = dataclasses.asdict(memory_recipe(self.recipe.memory))
        return {name: value for name, value in values.items() if name not in _PROVENANCE}

    def document(self) -> Document:
        """Return what the stack runs, what it holds in memory, and the sources."""
        r, m = self.recipe, memory_recipe(self.recipe.memory)
        match = f"rows of evidence whose stack_version begins with {', '.join(r.match)}" if r.match else ""
        lines = (f"{r.since} to {r.until}; {r.note}", *filter(None, [match]))
        kernels = f"gradient_precision: {', '.join(f'{k} ({v:g} bytes)' for k, v in GRADIENT_BYTES.items())}"
        return Document(
            lead=f"{r.id} (stack): {r.title}",
            sections=(
                Section(title="What it is", body=lines),
                Section(title="Switches", body=(self.rows(), kernels)),
                Section(
                    title=f"In memory: recipe {m.id}",
                    body=(f"{m.title}; {m.note}", Table(columns=MEMORY, rows=tuple(self._memory().items()))),
                ),
                Section(
                    title="Where it is from",
                    body=(
                        f"as of {r.as_of}, {r.grade}",
                        *self.citations,
                        f"memory: as of {m.as_of}, {m.grade}",
                        *self.memory_citations,
                    ),
                ),
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return every field of both recipes, and the keys of a scenario that change them."""
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "stack",
            "id": self.recipe.id,
            **{f.name: getattr(self.recipe, f.name) for f in dataclasses.fields(self.recipe) if f.name != "id"},
            "memory_switches": dict(self._memory()),
            "scenario_keys": {switch.name: switch.key for switch in switches(self.recipe) if switch.key},
            "fact": {
                "sources": (self.recipe.source,),
                "as_of": self.recipe.as_of,
                "grade": self.recipe.grade,
            },
            "offers": (),
        }


def stack_entry(catalog: Catalog, recipe: Recipe) -> StackEntry:
    """Return the entry of a recipe."""
    memory = memory_recipe(recipe.memory)
    return StackEntry(
        recipe=recipe,
        citations=(cite(catalog, recipe.source),),
        memory_citations=tuple(cite(catalog, key) for key in memory.source.split(", ")),
    )


def cite(catalog: Catalog, key: str) -> str:
    """Return a source as one line; a source in plain words is its own citation."""
    source = catalog.source(key)
    return key if source is None else f"{source.author}: {source.title} ({source.year}), {source.url}"
