"""Memory of one transformer block on one rank, from its shape, its parallel degrees and the coefficients of a recipe.

Results depend on the block axis only (block kind, tp, cp, ep, micro-batch, sequence parallelism, recompute, recipe):
compute them once per combination and gather them to the layout axis. See ``isocost.laws.memory`` for an example.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isocost.laws import activations as act
from isocost.num import Num

ROUTER_BYTES = 4.0  # logits of the router are kept in 32 bits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockMemory:
    """What one block holds on one rank: activations that stay, the extra peak of its backward pass, and parameters."""

    saved_bytes: Num  # per micro-batch in flight
    working_bytes: Num  # once a stage: replayed values and gradients of one block, on top of what is saved
    dense_params: Num  # sharded over the dense data-parallel group
    expert_params: Num  # sharded over the experts' data-parallel group


def block_memory(
    *,
    tokens: Num,
    seq_len: Num,
    hidden: Num,
    heads: Num,
    kv_heads: Num,
    head_dim: Num,
    v_head_dim: Num,
    ffn_hidden: Num,
    ffn_gated: Num,
    tp: Num,
    sequence_parallel: Num,
    q_lora_rank: Num = 0.0,
    kv_lora_rank: Num = 0.0,
    qk_rope_head_dim: Num = 0.0,
    experts: Num = 0.0,
    experts_topk: Num = 0.0,
    moe_ffn_hidden: Num = 0.0,
    shared_ffn_hidden: Num = 0.0,
    replicated_params: Num = 0.0,
    ep: Num = 1.0,
    expert_tp: Num = 1.0,
    imbalance: Num = 1.0,
    dropout: Num = 0.0,
    parallel_residual: Num = 0.0,
    value_bytes: Num,
    norm_extra_bytes: Num,
    dropout_mask_bytes: Num,
    plain_ffn_bytes: Num,
    gated_ffn_bytes: Num,
    gathered_input_bytes: Num,
    score_bytes: Num,
    score_dropout_bytes: Num,
    lse_bytes: Num,
    expand_kv: Num,
    gradient_values: Num,
    input_saving_bytes: Num = 0.0,
    out_copy_bytes: Num = 0.0,
    routed_values: Num = 2.0,
    recompute_share: Num,
    keep_stream: Num,
    keep_query: Num,
    keep_key: Num,
    keep_value: Num,
    keep_out: Num,
    keep_scores: Num,
    keep_lse: Num,
    keep_ffn: Num,
    keep_routed: Num,
    keep_up: Num = 1.0,
    stash_stream: Num,
    stash_ffn: Num,
) -> BlockMemory:
    """Return saved and working bytes and parameters of a block. Shape and degrees come first, then coefficients.

    ``keep_*`` are the shares of each group of values that a recomputed block still keeps, ``stash_*`` the values (per
    unit of width) that its recompute policy keeps in addition, ``recompute_share`` the share of blocks it applies to.
    ``input_saving_bytes`` and ``out_copy_bytes`` are 1 where inputs of linear layers are kept in 8 bits (feed-forward
    bytes count it already): a byte less for each, and one more for the attention output, which its kernel keeps too.
    ``routed_values`` are those of stream width kept per routed token: the input of its expert, and the output where the
    gradient of the router's weights needs it. ``keep_up`` applies to what latent attention projects up.
    ``replicated_params`` are norms, biases and the like, held whole by every tp rank.
    """
    ffn_bytes = np.where(ffn_gated > 0, gated_ffn_bytes, plain_ffn_bytes)
    dense_ffn = ffn_hidden + shared_ffn_hidden
    norms = 2.0 - parallel_residual  # a parallel residual reads one norm for both halves
    stored_kv = np.where((kv_lora_rank > 0) | (expand_kv > 0), heads, kv_heads)
    norm_bytes = 2.0 * value_bytes - input_saving_bytes + norm_extra_bytes / 2.0  # input of a norm, and its output
    stream_bytes = norms * norm_bytes + dropout * dropout_mask_bytes
    map_bytes = score_bytes + dropout * score_dropout_bytes

    stream = act.residual_saved_bytes(
        tokens=tokens,
        hidden=hidden,
        tp=tp,
        sequence_parallel=sequence_parallel,
        input_bytes=stream_bytes - sequence_parallel * gathered_input_bytes,
        gathered_input_bytes=sequence_parallel * gathered_input_bytes,
    ) + act.latent_saved_bytes(
        tokens=tokens,
        q_lora_rank=q_lora_rank,
        kv_lora_rank=kv_lora_rank,
        qk_rope_head_dim=qk_rope_head_dim,
        latent_bytes=value_bytes,
    )
    stash = act.residual_saved_bytes(
        tokens=tokens,
        hidden=hidden,
        tp=tp,
        sequence_parallel=sequence_parallel,
        input_bytes=value_bytes,
        gathered_input_bytes=0.0 * value_bytes,
    )

    def qkv(query: Num, key: Num, value: Num, out: Num) -> Num:
        return act.qkv_saved_bytes(
            tokens=tokens,
            heads=heads,
            kv_heads=stored_kv,
            head_dim=head_dim,
            v_head_dim=v_head_dim,
            tp=tp,
            query_bytes=query * value_bytes,
            key_bytes=key * value_bytes,
            value_bytes=value * value_bytes,
            out_bytes=out * (value_bytes + out_copy_bytes),
        )

    def maps(scores: Num, lse: Num) -> Num:
        return act.score_saved_bytes(
            tokens=tokens,
            seq_len=seq_len,
            heads=heads,
            tp=tp,
            score_bytes=scores * map_bytes,
            lse_bytes=lse * lse_bytes,
        )

    def ffn(kept_bytes: Num, routed: Num) -> Num:
        return act.ffn_saved_bytes(tokens=tokens, ffn_hidden=dense_ffn, tp=tp, ffn_bytes=kept_bytes) + (
            act.expert_saved_bytes(
                tokens=tokens,
                hidden=hidden,
                experts=experts,
                experts_topk=experts_topk,
                moe_ffn_hidden=moe_ffn_hidden,
                tp=tp,
                expert_tp=expert_tp,
                imbalance=imbalance,
                routed_bytes=routed * (routed_values * value_bytes - input_saving_bytes),
                ffn_bytes=kept_bytes,
                router_bytes=routed * ROUTER_BYTES,
            )
        )

    up = np.where(kv_lora_rank > 0, keep_up, 1.0)
    whole = stream + qkv(1.0, 1.0, 1.0, 1.0) + maps(1.0, 1.0) + ffn(ffn_bytes, 1.0)
    kept = (
        keep_stream * stream
        + stash_stream * stash
        + qkv(keep_query * up, keep_key * up, keep_value * up, keep_out)
        + maps(keep_scores, keep_lse)
        + ffn(keep_ffn * ffn_bytes + stash_ffn * value_bytes, keep_routed)
    )
    gradients = gradient_values * (stash + ffn(value_bytes, 1.0 / routed_values))
    replayed = np.where(recompute_share > 0, np.maximum(whole - kept, 0.0), 0.0)
    return BlockMemory(
        saved_bytes=whole + recompute_share * (kept - whole),
        working_bytes=replayed + gradients,
        dense_params=act.attention_params(
            hidden=hidden,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            v_head_dim=v_head_dim,
            q_lora_rank=q_lora_rank,
            kv_lora_rank=kv_lora_rank,
            qk_rope_head_dim=qk_rope_head_dim,
            tp=tp,
        )
        + act.ffn_params(hidden=hidden, ffn_hidden=dense_ffn, ffn_gated=ffn_gated, tp=tp)
        + hidden * experts
        + replicated_params,
        expert_params=act.expert_params(
            hidden=hidden,
            experts=experts,
            moe_ffn_hidden=moe_ffn_hidden,
            ffn_gated=ffn_gated,
            ep=ep,
            expert_tp=expert_tp,
        ),
    )
