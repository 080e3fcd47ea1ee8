"""Named memory recipes of software stacks, and the tables that turn choices into the coefficients of the memory laws.

A choice (how to recompute, which attention kernel, which sharding, which stack) becomes a row of numbers here; the laws
never see its name.
``perf.lowering_memory`` makes the columns of them that the peak is made of.
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TypeVar

from isocost.errors import DataError, InputError, Problem, nearest
from isocost.num import Num

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recompute:
    """A recompute policy: the share of each group of values that a block still keeps, and what it keeps instead."""

    share: float  # of blocks it applies to
    stream: float  # norm inputs, inputs of linear layers, masks, latents
    query: float
    key: float
    value: float
    out: float
    scores: float
    lse: float
    ffn: float
    routed: float  # inputs (and outputs) of experts
    up: float = 1.0  # of query, key and value where latent attention projects them up
    stash_stream: float = 0.0  # values of stream width kept instead
    stash_ffn: float = 0.0  # values of feed-forward width kept instead
    replay_frac: float = 0.0  # of the forward that the backward pass runs again
    replay_attention_frac: float = 0.0  # of attention, where that is more

    def every(self, share: float) -> Recompute:
        """Return this policy on a share of the blocks (every n-th: 1 / n)."""
        return dataclasses.replace(self, share=share)


_KEPT = {"query": 1.0, "key": 1.0, "value": 1.0, "out": 1.0, "ffn": 1.0, "routed": 1.0, "stream": 1.0}
_GONE = dict.fromkeys(_KEPT, 0.0)

# core-attention: Megatron's "selective" (korthikanti2022, section 5). op: torchtitan's default, every second matrix
# product and the attention output are kept: of q, k, v, out, gate, up, down the first, third, fifth and seventh.
# modules: norms, activation function and the up-projections of latent attention (Megatron-Core, --recompute-modules
# layernorm moe_act mla_up_proj). offload: kept in host memory, nothing recomputed; a block's values come back for it.
RECOMPUTE = {
    "none": Recompute(share=0.0, scores=1.0, lse=1.0, **_KEPT),
    "core-attention": Recompute(share=1.0, scores=0.0, lse=0.0, replay_attention_frac=1.0, **_KEPT),
    "op": Recompute(
        share=1.0,
        scores=1.0,
        lse=1.0,
        stash_stream=2.0,
        stash_ffn=1.0,
        replay_frac=0.5,
        **(_GONE | {"query": 1.0, "value": 1.0, "out": 1.0}),
    ),
    "modules": Recompute(
        share=1.0,
        scores=1.0,
        lse=1.0,
        up=0.0,
        stash_stream=2.0,
        stash_ffn=2.0,
        replay_attention_frac=1.0,  # as core-attention: no run was measured that tells the two apart
        **(_KEPT | {"stream": 0.0, "ffn": 0.0}),
    ),
    "full": Recompute(
        share=1.0, scores=0.0, lse=0.0, stash_stream=1.0, replay_frac=1.0, replay_attention_frac=1.0, **_GONE
    ),
    "offload": Recompute(share=1.0, scores=0.0, lse=0.0, up=0.0, **_GONE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionMemory:
    """What an attention kernel keeps per score and per row, and whether it repeats grouped key heads."""

    score_bytes: float
    score_dropout_bytes: float
    lse_bytes: float
    expand_kv: float


_FLASH = AttentionMemory(score_bytes=0.0, score_dropout_bytes=0.0, lse_bytes=4.0, expand_kv=0.0)
# unfused: a softmax in 32 bit keeps its 4-byte result and the 2-byte copy; dropout adds a mask and its result
# (korthikanti2022, section 4.1).
ATTENTION = {
    "unfused": AttentionMemory(score_bytes=6.0, score_dropout_bytes=3.0, lse_bytes=0.0, expand_kv=1.0),
    "fused-softmax": AttentionMemory(score_bytes=2.0, score_dropout_bytes=3.0, lse_bytes=0.0, expand_kv=1.0),
    **dict.fromkeys(("flash", "flash1", "flash2", "flash2-alibi", "flash3", "cudnn", "splash"), _FLASH),
}

NORM_EXTRA_BYTES = {"fused": 0.0, "eager": 8.0, "composite": 12.0}  # per value of the stream, both norms of a block
# Blocks gathered at a time: one computed, one prefetched. A module is at most a third of a block (4 h^2 of 12 h^2).
FSDP_UNIT_BLOCKS = {"module": 2.0 / 3.0, "block": 2.0, "model": math.inf}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharding:
    """Which parts of the training state are divided over the data-parallel ranks, 1 or 0; or a column of several."""

    weights: Num
    gradients: Num
    optimizer: Num


SHARDING = {
    "none": Sharding(weights=0.0, gradients=0.0, optimizer=0.0),
    "zero1": Sharding(weights=0.0, gradients=0.0, optimizer=1.0),
    "zero2": Sharding(weights=0.0, gradients=1.0, optimizer=1.0),
    "zero3": Sharding(weights=1.0, gradients=1.0, optimizer=1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRecipe:
    """What a stack holds in memory, as switches; the fields are explained at the top of ``memory_recipes.toml``."""

    id: str
    title: str
    weight: float
    gradient: float
    optimizer: float
    step: float
    norm_kernel: str
    plain_ffn: float
    gated_ffn: float
    routed: float
    fp8_inputs: bool
    logit: float
    shard_logit: float
    logits_sharded: bool
    pad_multiple: float
    fsdp: bool
    fsdp_unit: str
    gathered_weight: float
    gathered_gradient: float
    selective: str
    stage_output_kept: bool
    gathered_inputs_kept: bool
    gradient_values: float
    buffer_values: float
    allocator: float
    fixed: float
    memory_definition: str
    note: str
    source: str
    as_of: str
    grade: str

    def recompute(self, name: str) -> Recompute:
        """Return the policy that none, selective, full or a key of ``RECOMPUTE`` means in this stack."""
        return _look_up(RECOMPUTE, self.selective if name == "selective" else name, "recompute")


def attention_memory(kernel: str) -> AttentionMemory:
    """Return the row of ``ATTENTION`` called ``kernel``; raises ``InputError`` with the nearest spelling."""
    return _look_up(ATTENTION, kernel, "attention_kernel")


@cache
def memory_recipes() -> dict[str, MemoryRecipe]:
    """All shipped memory recipes by id; raises ``DataError`` with every fault of the file."""
    text = resources.files("isocost.data").joinpath("memory_recipes.toml").read_text("utf-8")
    return parse_memory_recipes(text)


def parse_memory_recipes(text: str) -> dict[str, MemoryRecipe]:
    """Read recipes from TOML text; raises ``DataError`` naming every missing, unknown or ill-valued field."""
    fields = {field.name: str(field.type) for field in dataclasses.fields(MemoryRecipe)}
    found: dict[str, MemoryRecipe] = {}
    problems: list[Problem] = []
    for number, row in enumerate(tomllib.loads(text)["recipe"], start=1):
        place = f"memory_recipes.toml: recipe {row.get('id', number)}"
        faults = [Problem(place, f"field {name} is missing") for name in fields if name not in row]
        faults += [
            Problem(place, "no such field", given=name, nearest=nearest(name, list(fields)))
            for name in row
            if name not in fields
        ]
        faults += [
            fault for name, kind in fields.items() if name in row for fault in _faults(place, name, kind, row[name])
        ]
        if row.get("id") in found:
            faults.append(Problem(place, "id is used twice"))
        if not faults:
            numbers = {name: float(row[name]) for name, kind in fields.items() if kind == "float"}
            found[row["id"]] = MemoryRecipe(**(row | numbers))
        problems += faults
    if problems:
        raise DataError(problems)
    return found


_CHOICES = {
    "norm_kernel": tuple(NORM_EXTRA_BYTES),
    "fsdp_unit": tuple(FSDP_UNIT_BLOCKS),
    "selective": tuple(RECOMPUTE),
    "memory_definition": ("allocated", "reserved", "device"),
    "grade": ("measured", "vendor", "derived", "estimate", "reported"),
}


def _faults(place: str, name: str, kind: str, value: object) -> list[Problem]:
    expected = {"float": (int, float), "bool": (bool,), "str": (str,)}[kind]
    is_bool = isinstance(value, bool)
    if not isinstance(value, expected) or (is_bool and kind != "bool"):
        return [Problem(f"{place}: {name}", f"must be a {kind}", given=value)]
    if kind == "float" and not (math.isfinite(value) and value >= 0):  # type: ignore[arg-type, operator]
        return [Problem(f"{place}: {name}", "must be finite and not negative", given=value)]
    choices = _CHOICES.get(name)
    if choices and value not in choices:
        return [Problem(f"{place}: {name}", "no such choice", given=value, allowed=", ".join(choices))]
    if kind == "str" and not value:
        return [Problem(f"{place}: {name}", "must not be empty", given=value)]
    return []


def memory_recipe(name: str) -> MemoryRecipe:
    """Return the memory recipe called ``name``; raises ``InputError`` with the nearest spelling."""
    return _look_up(memory_recipes(), name, "memory recipe")


def _look_up(table: dict[str, T], name: str, path: str) -> T:
    if name not in table:
        problem = Problem(
            path, "no such choice", given=name, allowed=", ".join(table), nearest=nearest(name, list(table))
        )
        raise InputError([problem])
    return table[name]
