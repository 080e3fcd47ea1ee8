"""The choices that decide memory (recipe, recompute, kernels, sharding, what is counted) as rows of numbers."""

from __future__ import annotations

import dataclasses
from functools import cache

from isocost.laws.memory import USABLE_FRAC
from isocost.memory_recipes import (
    MemoryRecipe,
    attention_memory,
    block_coefficients,
    stage_coefficients,
)

# Beside what the framework's allocator holds: runtime, libraries, communicators. Where a recipe is known only by what
# its allocator reports, a job is taken to need what the device-counted recipes do.
CONTEXT_BYTES = 5e9
# Reserved over allocated where a recipe knows allocated bytes only.
RESERVED_OVER_ALLOCATED = 1.05
# Published runs balance the load of their experts or drop tokens; a run without either needs more.
BALANCED = 1.0


def capacity_bytes(memory_bytes: float) -> float:
    """Bytes a program can use of a chip of the catalogue.

    The catalogue writes memory in binary gigabytes already (a card sold as 80 GB as 80 GiB; see ``accelerators.toml``),
    so only the driver's share is taken off here; ``laws.memory.usable_bytes`` is for the marketed number.
    """
    return memory_bytes * USABLE_FRAC


def counted(recipe: MemoryRecipe, definition: str) -> MemoryRecipe:
    """The recipe as a definition counts: allocated, reserved or in-use (all that the chip holds); "" is its own."""
    definition = {"in-use": "device"}.get(definition, definition)
    if not definition or definition == recipe.memory_definition:
        return recipe
    reserved = recipe.allocator if recipe.memory_definition != "allocated" else RESERVED_OVER_ALLOCATED
    fixed = recipe.fixed if recipe.memory_definition == "device" else CONTEXT_BYTES
    allocator = 1.0 if definition == "allocated" else reserved
    return dataclasses.replace(recipe, allocator=allocator, fixed=fixed if definition == "device" else 0.0)


@cache
def block_choices(
    recipe: MemoryRecipe, recompute: str, attention_kernel: str, norm_kernel: str = "", precision: str = "bf16"
) -> dict[str, float]:
    """A row of ``BlockPolicy``; ``norm_kernel`` where it is not the stack's own."""
    norm = {"compiled": "fused"}.get(norm_kernel, norm_kernel)  # a compiled norm keeps its input only
    quantised = precision not in ("bf16", "fp16", "tf32", "fp32")
    attention = attention_memory(attention_kernel)
    values = block_coefficients(recipe, recipe.recompute(recompute), attention, norm, quantised)
    return {**values, "imbalance": BALANCED}


@cache
def stage_choices(recipe: MemoryRecipe, sharding: str, definition: str = "in-use") -> dict[str, float]:
    """A row of ``StagePolicy``."""
    return stage_coefficients(counted(recipe, definition), sharding)
