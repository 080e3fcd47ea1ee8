"""The choices that decide memory (recipe, recompute, kernels, sharding, what is counted) as rows of numbers."""

from __future__ import annotations

import dataclasses
from functools import cache

from isocost.catalog.memory_recipes import (
    FSDP_UNIT_BLOCKS,
    NORM_EXTRA_BYTES,
    SHARDING,
    AttentionMemory,
    MemoryRecipe,
    Recompute,
    _look_up,
    attention_memory,
)
from isocost.laws.memory import USABLE_FRAC
from isocost.perf.columns import BlockPolicy, StagePolicy

# Beside what the framework's allocator holds: runtime, libraries, communicators. Where a recipe is known only by what
# its allocator reports, a job is taken to need what the device-counted recipes do.
CONTEXT_BYTES = 5e9
# Reserved over allocated where a recipe knows allocated bytes only.
RESERVED_OVER_ALLOCATED = 1.05
# Published runs balance the load of their experts or drop tokens; a run without either needs more.
BALANCED = 1.0


def capacity_bytes(memory_bytes: float) -> float:
    """Bytes a program can use of a chip of the catalog.

    The catalog writes memory in binary gigabytes already (a card sold as 80 GB as 80 GiB; see ``accelerators.toml``),
    so only the driver's share is taken off here.
    """
    return memory_bytes * USABLE_FRAC


def counted(recipe: MemoryRecipe, definition: str) -> MemoryRecipe:
    """Return the recipe as a definition counts: allocated, reserved or in-use (all the chip holds); "" is its own."""
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
) -> BlockPolicy:
    """Return the policy of a block, from names; ``norm_kernel`` where it is not the stack's own."""
    norm = {"compiled": "fused"}.get(norm_kernel, norm_kernel)  # a compiled norm keeps its input only
    quantised = precision not in ("bf16", "fp16", "tf32", "fp32")
    attention = attention_memory(attention_kernel)
    return block_policy(recipe, recipe.recompute(recompute), attention, norm, quantised)


@cache
def stage_choices(recipe: MemoryRecipe, sharding: str, definition: str = "in-use") -> StagePolicy:
    """Return the policy of a stage, from names."""
    return stage_policy(counted(recipe, definition), sharding)


VALUE_BYTES = 2.0  # activations are kept in 16 bit, also under fp8


MASK_BYTES = 2.0  # two dropout masks of one byte a value in a block


def block_policy(
    recipe: MemoryRecipe,
    recompute: Recompute,
    attention: AttentionMemory,
    norm_kernel: str = "",
    quantised: bool = False,
) -> BlockPolicy:
    """Return what a block keeps; ``norm_kernel`` where a run states another than its stack's.

    ``quantised``: linear layers compute in 8 bits or fewer. A stack that then keeps their inputs as quantised keeps one
    byte a value instead of two.
    """
    saving = VALUE_BYTES / 2.0 if quantised and recipe.fp8_inputs else 0.0
    return BlockPolicy(
        value_bytes=VALUE_BYTES,
        norm_extra_bytes=_look_up(NORM_EXTRA_BYTES, norm_kernel or recipe.norm_kernel, "norm_kernel"),
        dropout_mask_bytes=MASK_BYTES,
        plain_ffn_bytes=recipe.plain_ffn - saving,
        gated_ffn_bytes=recipe.gated_ffn - saving,
        input_saving_bytes=saving,
        out_copy_bytes=saving,
        routed_values=recipe.routed,
        gathered_input_bytes=2.0 * VALUE_BYTES * recipe.gathered_inputs_kept,
        score_bytes=attention.score_bytes,
        score_dropout_bytes=attention.score_dropout_bytes,
        lse_bytes=attention.lse_bytes,
        expand_kv=attention.expand_kv,
        gradient_values=recipe.gradient_values,
        recompute_share=recompute.share,
        keep_stream=recompute.stream,
        keep_query=recompute.query,
        keep_key=recompute.key,
        keep_value=recompute.value,
        keep_out=recompute.out,
        keep_scores=recompute.scores,
        keep_lse=recompute.lse,
        keep_ffn=recompute.ffn,
        keep_routed=recompute.routed,
        keep_up=recompute.up,
        stash_stream=recompute.stash_stream,
        stash_ffn=recompute.stash_ffn,
        imbalance=BALANCED,
    )


def stage_policy(recipe: MemoryRecipe, sharding: str) -> StagePolicy:
    """Return what a stage holds under a way to shard (a key of ``SHARDING``)."""
    # FSDP has no ZeRO-2 proper: it shards everything and keeps the gathered model from forward to backward.
    whole_model = recipe.fsdp and sharding == "zero2"
    split = _look_up(SHARDING, "zero3" if whole_model else sharding, "sharding")
    return StagePolicy(
        sharded_weights=split.weights,
        sharded_gradients=split.gradients,
        sharded_optimizer=split.optimizer,
        weight_bytes=recipe.weight,
        gradient_bytes=recipe.gradient,
        optimizer_bytes=recipe.optimizer,
        step_bytes=recipe.step,
        value_bytes=VALUE_BYTES,
        pad_multiple=recipe.pad_multiple,
        dropout_mask_bytes=MASK_BYTES,
        head_norm_bytes=2.0 * VALUE_BYTES,
        stage_output_bytes=VALUE_BYTES * recipe.stage_output_kept,
        gathered_head_bytes=VALUE_BYTES * recipe.gathered_inputs_kept,
        logit_bytes=recipe.logit,
        shard_logit_bytes=recipe.shard_logit,
        logits_sharded=float(recipe.logits_sharded),
        gathered_blocks=FSDP_UNIT_BLOCKS["model" if whole_model else recipe.fsdp_unit],
        gathered_weight_bytes=recipe.gathered_weight,
        gathered_gradient_bytes=recipe.gathered_gradient,
        buffer_values=recipe.buffer_values,
        fixed_bytes=recipe.fixed,
        allocator_factor=recipe.allocator,
    )
