"""Memory of one transformer block on one rank, from its shape, its parallel degrees and the choices of its recipe.

Results depend on the block axis only (block kind, tp, cp, ep, micro-batch, sequence parallelism, recompute, recipe):
compute them once per combination and gather them to the layout axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isocost.laws import activations as act
from isocost.num import Num
from isocost.perf.columns import MemoryColumns, micro_batch_tokens

ROUTER_BYTES = 4.0  # logits of the router are kept in 32 bits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockMemory:
    """What one block holds on one rank: activations that stay, the extra peak of its backward pass, and parameters."""

    saved_bytes: Num  # per micro-batch in flight
    working_bytes: Num  # once a stage: replayed values and gradients of one block, on top of what is saved
    dense_params: Num  # sharded over the dense data-parallel group
    expert_params: Num  # sharded over the experts' data-parallel group


def block_memory(x: MemoryColumns) -> BlockMemory:
    """Return what a block of every kind holds: what it saves whole, and what is left of that where it is recomputed."""
    kinds, p = x.kinds, x.memory.block
    stream, stash = _stream_bytes(x), _stash_bytes(x)
    ffn_bytes = np.where(kinds.ffn_matrices > 2.0, p.gated_ffn_bytes, p.plain_ffn_bytes)
    up = np.where(kinds.kv_lora_rank > 0, p.keep_up, 1.0)
    whole = stream + _qkv_bytes(x, 1.0, 1.0, 1.0, 1.0) + _score_bytes(x, 1.0, 1.0) + _ffn_bytes(x, ffn_bytes, 1.0)
    kept = (
        p.keep_stream * stream
        + p.stash_stream * stash
        + _qkv_bytes(x, p.keep_query * up, p.keep_key * up, p.keep_value * up, p.keep_out)
        + _score_bytes(x, p.keep_scores, p.keep_lse)
        + _ffn_bytes(x, p.keep_ffn * ffn_bytes + p.stash_ffn * p.value_bytes, p.keep_routed)
    )
    gradients = p.gradient_values * (stash + _ffn_bytes(x, p.value_bytes, 1.0 / p.routed_values))
    replayed = np.where(p.recompute_share > 0, np.maximum(whole - kept, 0.0), 0.0)
    return BlockMemory(
        saved_bytes=whole + p.recompute_share * (kept - whole),
        working_bytes=replayed + gradients,
        dense_params=_dense_params(x),
        expert_params=act.expert_params(
            hidden=x.model.hidden,
            experts=kinds.experts,
            moe_ffn_hidden=kinds.moe_ffn_hidden,
            ffn_gated=kinds.ffn_matrices - 2.0,
            ep=x.split.ep,
            expert_tp=x.split.expert_tp,
        ),
    )


def _stream_bytes(x: MemoryColumns) -> Num:
    """Return what is kept of stream width: inputs of norms and of linear layers, dropout masks, latents."""
    kinds, model, split, p = x.kinds, x.model, x.split, x.memory.block
    norms = model.collectives_per_block  # a parallel residual reads one norm for both halves, and sums once
    norm_bytes = 2.0 * p.value_bytes - p.input_saving_bytes + p.norm_extra_bytes / 2.0  # its input, and its output
    stream_bytes = norms * norm_bytes + model.dropout * p.dropout_mask_bytes
    gathered_bytes = split.sequence_parallel * p.gathered_input_bytes
    return act.residual_saved_bytes(
        tokens=micro_batch_tokens(x),
        hidden=model.hidden,
        tp=split.tp,
        sequence_parallel=split.sequence_parallel,
        input_bytes=stream_bytes - gathered_bytes,
        gathered_input_bytes=gathered_bytes,
    ) + act.latent_saved_bytes(
        tokens=micro_batch_tokens(x),
        q_lora_rank=kinds.q_lora_rank,
        kv_lora_rank=kinds.kv_lora_rank,
        qk_rope_head_dim=kinds.rope_head_dim,
        latent_bytes=p.value_bytes,
    )


def _stash_bytes(x: MemoryColumns) -> Num:
    """Return one value of stream width."""
    p = x.memory.block
    return act.residual_saved_bytes(
        tokens=micro_batch_tokens(x),
        hidden=x.model.hidden,
        tp=x.split.tp,
        sequence_parallel=x.split.sequence_parallel,
        input_bytes=p.value_bytes,
        gathered_input_bytes=0.0 * p.value_bytes,
    )


def _qkv_bytes(x: MemoryColumns, query: Num, key: Num, value: Num, out: Num) -> Num:
    """Return these shares of query, key, value and attention output."""
    kinds, p = x.kinds, x.memory.block
    return act.qkv_saved_bytes(
        tokens=micro_batch_tokens(x),
        heads=kinds.heads,
        kv_heads=np.where((kinds.kv_lora_rank > 0) | (p.expand_kv > 0), kinds.heads, kinds.kv_heads),
        head_dim=kinds.head_dim,
        v_head_dim=kinds.v_head_dim,
        tp=x.split.tp,
        query_bytes=query * p.value_bytes,
        key_bytes=key * p.value_bytes,
        value_bytes=value * p.value_bytes,
        out_bytes=out * (p.value_bytes + p.out_copy_bytes),
    )


def _score_bytes(x: MemoryColumns, scores: Num, lse: Num) -> Num:
    """Return these shares of the attention map and of its log-sum-exp."""
    p = x.memory.block
    return act.score_saved_bytes(
        tokens=micro_batch_tokens(x),
        seq_len=x.model.seq_len,
        heads=x.kinds.heads,
        tp=x.split.tp,
        score_bytes=scores * (p.score_bytes + x.model.dropout * p.score_dropout_bytes),
        lse_bytes=lse * p.lse_bytes,
    )


def _ffn_bytes(x: MemoryColumns, kept_bytes: Num, routed: Num) -> Num:
    """Return the feed-forward at these bytes a value of its width, and a share of what goes to experts and back."""
    kinds, split, p, tokens = x.kinds, x.split, x.memory.block, micro_batch_tokens(x)
    dense = act.ffn_saved_bytes(tokens=tokens, ffn_hidden=_dense_width(x), tp=split.tp, ffn_bytes=kept_bytes)
    return dense + act.expert_saved_bytes(
        tokens=tokens,
        hidden=x.model.hidden,
        experts=kinds.experts,
        experts_topk=kinds.experts_topk,
        moe_ffn_hidden=kinds.moe_ffn_hidden,
        tp=split.tp,
        expert_tp=split.expert_tp,
        imbalance=p.imbalance,
        routed_bytes=routed * (p.routed_values * p.value_bytes - p.input_saving_bytes),
        ffn_bytes=kept_bytes,
        router_bytes=routed * ROUTER_BYTES,
    )


def _dense_width(x: MemoryColumns) -> Num:
    return x.kinds.ffn_hidden + x.kinds.shared_ffn_hidden


def _dense_params(x: MemoryColumns) -> Num:
    """Return the parameters of a block on a rank but for its routed experts; norms are held whole by every tp rank."""
    kinds, hidden, tp = x.kinds, x.model.hidden, x.split.tp
    attention = act.attention_params(
        hidden=hidden,
        heads=kinds.heads,
        kv_heads=kinds.kv_heads,
        head_dim=kinds.head_dim,
        v_head_dim=kinds.v_head_dim,
        q_lora_rank=kinds.q_lora_rank,
        kv_lora_rank=kinds.kv_lora_rank,
        qk_rope_head_dim=kinds.rope_head_dim,
        tp=tp,
    )
    ffn = act.ffn_params(hidden=hidden, ffn_hidden=_dense_width(x), ffn_gated=kinds.ffn_matrices - 2.0, tp=tp)
    norms = 2.0 * hidden * (1.0 + x.model.layer_norm)  # two; a LayerNorm has a bias beside its weight
    return attention + ffn + hidden * kinds.experts + norms
