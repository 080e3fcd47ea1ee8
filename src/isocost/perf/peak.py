"""Peak memory of many configurations at once: ``block_peak`` on the block axis, ``peak_memory`` on the layout axis.

Both read the same columns as the step time, and ``MemoryPolicy`` for what the stack, the kernels and the recompute
policy hold. A stage holds its blocks in the proportions of the whole model; ``stage_blocks`` counts them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from isocost.laws.block_memory import block_memory
from isocost.laws.memory import MemoryBreakdown, stage_memory
from isocost.laws.pipeline import in_flight
from isocost.num import Num, ceil_div
from isocost.perf.columns import Kinds, Model, Split, Tail


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockPolicy:
    """What one block keeps and replays; names are those of ``block_memory``, values of ``block_coefficients``."""

    value_bytes: Num
    norm_extra_bytes: Num
    dropout_mask_bytes: Num
    plain_ffn_bytes: Num
    gated_ffn_bytes: Num
    gathered_input_bytes: Num
    score_bytes: Num
    score_dropout_bytes: Num
    lse_bytes: Num
    expand_kv: Num
    gradient_values: Num
    input_saving_bytes: Num
    out_copy_bytes: Num
    routed_values: Num
    recompute_share: Num
    keep_stream: Num
    keep_query: Num
    keep_key: Num
    keep_value: Num
    keep_out: Num
    keep_scores: Num
    keep_lse: Num
    keep_ffn: Num
    keep_routed: Num
    keep_up: Num
    stash_stream: Num
    stash_ffn: Num
    imbalance: Num  # tokens of the most loaded expert rank over the mean


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StagePolicy:
    """What a rank holds besides its blocks' activations; names are those of ``stage_memory``."""

    sharded_weights: Num
    sharded_gradients: Num
    sharded_optimizer: Num
    weight_bytes: Num
    gradient_bytes: Num
    optimizer_bytes: Num
    step_bytes: Num
    value_bytes: Num
    pad_multiple: Num
    dropout_mask_bytes: Num
    head_norm_bytes: Num
    stage_output_bytes: Num
    gathered_head_bytes: Num
    logit_bytes: Num
    shard_logit_bytes: Num
    logits_sharded: Num
    gathered_blocks: Num
    gathered_weight_bytes: Num
    gathered_gradient_bytes: Num
    buffer_values: Num
    fixed_bytes: Num
    allocator_factor: Num


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemoryPolicy:
    """Choices of the memory recipe as numbers. ``block`` lies on the block axis, ``stage`` on the layout axis."""

    block: BlockPolicy  # recompute policy, attention and norm kernel
    stage: StagePolicy  # sharding, bytes of state, loss, allocator


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockPeak:
    """What the layout axis needs to know of the blocks on one rank; per block, the mean over the model's blocks."""

    saved_bytes: Num  # kept per micro-batch in flight
    working_bytes: Num  # of the largest kind of block: once a stage
    dense_params: Num
    expert_params: Num


def block_peak(kinds: Kinds, model: Model, split: Split, policy: MemoryPolicy) -> BlockPeak:
    """Memory of the blocks of every row: kinds are averaged by count, working bytes are those of the largest kind."""
    memory = block_memory(
        tokens=split.micro_batch * model.seq_len / split.cp, seq_len=model.seq_len, hidden=model.hidden,
        heads=kinds.heads, kv_heads=kinds.kv_heads, head_dim=kinds.head_dim, v_head_dim=kinds.v_head_dim,
        ffn_hidden=kinds.ffn_hidden, ffn_gated=kinds.ffn_matrices - 2.0, tp=split.tp,
        sequence_parallel=split.sequence_parallel, q_lora_rank=kinds.q_lora_rank, kv_lora_rank=kinds.kv_lora_rank,
        qk_rope_head_dim=kinds.rope_head_dim, experts=kinds.experts, experts_topk=kinds.experts_topk,
        moe_ffn_hidden=kinds.moe_ffn_hidden, shared_ffn_hidden=kinds.shared_ffn_hidden,
        # Two norms; a LayerNorm has a bias beside its weight.
        replicated_params=2.0 * model.hidden * (1.0 + model.layer_norm),
        ep=split.ep, expert_tp=split.expert_tp, dropout=model.dropout,
        parallel_residual=2.0 - model.collectives_per_block, **_values(policy.block),
    )  # fmt: skip

    def mean(part: Num) -> Num:
        whole: Num = np.sum(kinds.count * part, axis=0)
        return whole / model.layers

    return BlockPeak(
        saved_bytes=mean(memory.saved_bytes),
        working_bytes=np.max(np.where(kinds.count > 0, memory.working_bytes, 0.0), axis=0),
        dense_params=mean(memory.dense_params),
        expert_params=mean(memory.expert_params),
    )


def stage_blocks(layers: Num, pp: Num, vp: Num, folded: Num) -> tuple[Num, Num, Num]:
    """Blocks of the first, of an inner and of the last rank of a pipeline.

    Equal where they divide; where they would with the embedding or the head (or both) counted as a block, the ends
    carry one fewer (``account_for_embedding_in_pipeline_split``); otherwise whole blocks, rounded up, and the last rank
    has the rest. ``folded`` is 1 where both ends of the model lie on the first rank (ZB-V, DualPipe).
    """
    chunks = np.where(pp > 1, pp * vp, 1.0)
    even, both, head = (np.remainder(layers + ends, chunks) == 0 for ends in (0.0, 2.0, 1.0))
    padded = layers + np.where(even, 0.0, np.where(both, 2.0, np.where(head, 1.0, 0.0)))
    per = ceil_div(padded, chunks) * chunks / pp
    fewer_first = np.where(~even & both, 1.0, 0.0)
    fewer_last = np.where(~even & both, 1.0, per * pp - layers)
    folds = folded * np.where(pp > 1, 1.0, 0.0)
    first = per - fewer_first - folds * fewer_last
    last = per - (1.0 - folds) * fewer_last
    # Of two ranks none is inner, and of one: the last stands for it.
    return np.maximum(first, 0.0), np.where(pp > 2, per, np.maximum(last, 1.0)), np.maximum(last, 1.0)


def paced_blocks(layers: Num, pp: Num, vp: Num) -> tuple[Num, Num]:
    """Blocks of the fullest rank and of the one with the head, which pace a pipeline between them."""
    first, inner, last = stage_blocks(layers, pp, vp, 0.0)
    return np.maximum(first, inner), last


def peak_memory(
    block: BlockPeak,
    model: Model,
    split: Split,
    tail: Tail,
    policy: MemoryPolicy,
    stages: tuple[Num, Num, Num] | None = None,
) -> MemoryBreakdown:
    """Peak by part of the fullest rank of every row, from its block memory (already gathered to the layout axis).

    ``stages`` is the ``stage_blocks`` of the rows, for callers that have them already.
    """
    first, inner, last = stages or stage_blocks(model.layers, tail.pp, tail.vp, tail.head_on_first)

    def held(rank: Num) -> Num:
        return in_flight(
            stage=rank, pp=tail.pp, vp=tail.vp, micro_batches=tail.micro_batches, vp_split=tail.vp_split,
            in_flight_const=tail.in_flight_const, in_flight_per_pp=tail.in_flight_per_pp,
            in_flight_per_stage=tail.in_flight_per_stage, in_flight_per_micro_batch=tail.in_flight_per_micro_batch,
        )  # fmt: skip

    second = held(np.minimum(1.0, tail.pp - 1.0))
    trained = model.trainable_frac
    stage = _values(policy.stage)
    # Frozen weights (LoRA) have neither gradients nor optimizer states.
    stage |= {name: stage[name] * trained for name in ("gradient_bytes", "optimizer_bytes", "step_bytes")}
    return stage_memory(
        tokens=split.micro_batch * model.seq_len / split.cp, hidden=model.hidden, vocab=model.vocab,
        tied_embeddings=model.tied_embeddings, tp=split.tp, sequence_parallel=split.sequence_parallel, pp=tail.pp,
        layers_first=first, layers_inner=inner, layers_last=last,
        in_flight_first=held(0.0), in_flight_inner=second, in_flight_last=held(tail.pp - 1.0),
        saved_bytes=block.saved_bytes, working_bytes=block.working_bytes,
        dense_params=block.dense_params, expert_params=block.expert_params, shard_group=tail.shard_group,
        # The ranks that share states, in groups that hold the same experts.
        expert_shard_group=np.maximum(tail.shard_group * split.tp / (split.ep * split.expert_tp), 1.0),
        head_on_first=tail.head_on_first, stage_copies=tail.model_copies, extra_params=model.position_params,
        dropout=model.dropout, **stage,
    )  # fmt: skip


def _values(record: BlockPolicy | StagePolicy) -> dict[str, Any]:
    return {f.name: getattr(record, f.name) for f in fields(record)}
