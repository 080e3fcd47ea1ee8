"""Activation bytes of one transformer block on one rank: what stays until the backward pass, and what its replay needs.

All widths are of the whole model; the laws divide by the parallel degrees. Bytes per value are arguments, because
they are what
kernels and recipes differ in: see ``Recompute``, ``AttentionMemory`` and ``MemoryRecipe`` in
``isocost.catalog.memory_recipes``.
"""

from __future__ import annotations

import numpy as np

from isocost.num import Num
from isocost.term import term


@term(unit="B", source="korthikanti2022")
def residual_saved_bytes(
    *,
    tokens: Num,
    hidden: Num,
    tp: Num,
    sequence_parallel: Num,
    input_bytes: Num,
    gathered_input_bytes: Num,
) -> Num:
    """bytes = tokens hidden (input_bytes / (tp if sequence_parallel else 1) + gathered_input_bytes).

    Values of the residual stream that a block keeps. With 2-byte values and fused norms: the inputs of two norms and of
    two linear layers, 8 bytes, and 2 more for two dropout masks. Sequence parallelism divides them by tp, except those
    that a stack keeps in gathered form (DTensor saves the gathered input of a linear layer; Megatron gathers it again).

    Ignores: the statistics of the norms (one 4-byte value a token).

    Args:
        tokens: tokens of a micro-batch on this rank (micro-batch x sequence / cp).
        hidden: model width.
        tp: tensor-parallel ranks.
        sequence_parallel: 1 or 0.
        input_bytes: bytes kept per value of the stream.
        gathered_input_bytes: bytes kept per value that sequence parallelism does not divide.

    Source: korthikanti2022, section 4.1 and equation 4.
    """
    return tokens * hidden * (input_bytes / np.where(sequence_parallel > 0, tp, 1.0) + gathered_input_bytes)


@term(unit="B", source="korthikanti2022")
def qkv_saved_bytes(
    *,
    tokens: Num,
    heads: Num,
    kv_heads: Num,
    head_dim: Num,
    v_head_dim: Num,
    tp: Num,
    query_bytes: Num,
    key_bytes: Num,
    value_bytes: Num,
    out_bytes: Num,
) -> Num:
    """bytes = tokens (heads / tp (query_bytes e + out_bytes ev) + keys (key_bytes e + value_bytes ev)).

    Queries, keys, values and the attention output of head widths e and ev, with keys = max(kv_heads / tp, 1): a rank
    holds at least one key head, so grouped heads are repeated when tp exceeds their number.

    Args:
        tokens: tokens of a micro-batch on this rank.
        heads: query heads.
        kv_heads: key and value heads (latent attention, and kernels that expand groups: as many as query heads).
        head_dim: width of a query or key head.
        v_head_dim: width of a value head.
        tp: tensor-parallel ranks.
        query_bytes: bytes kept per value of the queries; 0 if recomputed.
        key_bytes: likewise, keys.
        value_bytes: likewise, values.
        out_bytes: likewise, attention output.

    Source: korthikanti2022, section 4.1 (attention block: 2 bytes each of Q, K, V and the output).
    """
    own_kv = np.maximum(kv_heads / tp, np.minimum(kv_heads, 1.0))
    queries = (heads / tp) * (query_bytes * head_dim + out_bytes * v_head_dim)
    return tokens * (queries + own_kv * (key_bytes * head_dim + value_bytes * v_head_dim))


@term(unit="B", source="deepseekv2")
def latent_saved_bytes(
    *, tokens: Num, q_lora_rank: Num, kv_lora_rank: Num, qk_rope_head_dim: Num, latent_bytes: Num
) -> Num:
    """bytes = tokens latent_bytes (2 q_lora_rank + 2 kv_lora_rank + qk_rope_head_dim).

    Latent vectors of multi-head latent attention: each before and after its norm, and the rotary part of the keys. They
    are not divided by tp: every rank computes the down-projections. All ranks are 0 for other attention.

    Args:
        tokens: tokens of a micro-batch on this rank.
        q_lora_rank: rank of the query latent, 0 if there is none.
        kv_lora_rank: rank of the key and value latent.
        qk_rope_head_dim: rotary width, shared by all heads.
        latent_bytes: bytes kept per value.

    Source: deepseekv2, section 2.1 (the tensors).
    """
    return tokens * latent_bytes * (2.0 * q_lora_rank + 2.0 * kv_lora_rank + qk_rope_head_dim)


@term(unit="B", source="korthikanti2022, dao2022")
def score_saved_bytes(*, tokens: Num, seq_len: Num, heads: Num, tp: Num, score_bytes: Num, lse_bytes: Num) -> Num:
    """bytes = tokens heads / tp (seq_len score_bytes + lse_bytes).

    The maps of attention scores. Kernels that write them keep 2 to 9 bytes a score (5 with softmax output, dropout mask
    and dropout output in 16 bit); flash attention keeps one 4-byte log-sum-exp a row and no map. Masked scores are
    stored too, so a sliding window does not shorten a map.

    Args:
        tokens: tokens of a micro-batch on this rank.
        seq_len: keys of a row of the map (the whole sequence, also under cp).
        heads: query heads.
        tp: tensor-parallel ranks.
        score_bytes: bytes kept per score.
        lse_bytes: bytes kept per row and head.

    Source: korthikanti2022, section 4.1 (5 a s^2 b); dao2022 (log-sum-exp).
    """
    return tokens * (heads / tp) * (seq_len * score_bytes + lse_bytes)


@term(unit="B", source="korthikanti2022")
def ffn_saved_bytes(*, tokens: Num, ffn_hidden: Num, tp: Num, ffn_bytes: Num) -> Num:
    """bytes = tokens ffn_hidden ffn_bytes / tp.

    Values of feed-forward width: input and output of the activation (4 bytes); gated, also the gate's and the product's
    (8 bytes, or 6 if the activation is computed again in the backward pass).

    Args:
        tokens: tokens of a micro-batch on this rank.
        ffn_hidden: feed-forward width.
        tp: tensor-parallel ranks.
        ffn_bytes: bytes kept per value of that width.

    Source: korthikanti2022, section 4.1 (MLP: 16 sbh at width 4h is 4 bytes a value).
    """
    return tokens * ffn_hidden * ffn_bytes / tp


@term(unit="B", source="megablocks2022, korthikanti2022")
def expert_saved_bytes(
    *,
    tokens: Num,
    hidden: Num,
    experts: Num,
    experts_topk: Num,
    moe_ffn_hidden: Num,
    tp: Num,
    expert_tp: Num,
    imbalance: Num,
    routed_bytes: Num,
    ffn_bytes: Num,
    router_bytes: Num,
) -> Num:
    """bytes = routed (hidden routed_bytes + moe_ffn_hidden / expert_tp ffn_bytes) + tokens experts router_bytes.

    With routed = tokens topk imbalance expert_tp / tp. Every token is copied to ``experts_topk`` experts (2 bytes a
    value in and 2 out), each a feed-forward of its own width. With balanced routing a rank gets as many copies as it
    sends, whatever ep is; ``imbalance`` is the most loaded rank's share over the mean. Experts not split by tensor
    parallelism (expert_tp = 1) share the tokens among the tp ranks instead.

    Ignores: padding of small expert batches. No measured run with experts checks this law: give it a wide interval.

    Args:
        tokens: tokens of a micro-batch on this rank.
        hidden: model width.
        experts: routed experts.
        experts_topk: experts a token goes to.
        moe_ffn_hidden: width of one expert.
        tp: tensor-parallel ranks of the dense part.
        expert_tp: tensor-parallel ranks of an expert.
        imbalance: tokens of the most loaded rank over the mean, at least 1.
        routed_bytes: bytes kept per value of a routed token.
        ffn_bytes: bytes kept per value of expert width.
        router_bytes: bytes kept per token and expert (logits in 32 bit).

    Source: megablocks2022 (dropless dispatch); bytes a value as in ffn_saved_bytes.
    """
    routed = tokens * experts_topk * imbalance * (expert_tp / tp)
    kept = hidden * routed_bytes + (moe_ffn_hidden / expert_tp) * ffn_bytes
    return routed * kept + tokens * experts * router_bytes


@term(unit="ratio", source="vaswani2017, deepseekv2")
def attention_params(
    *,
    hidden: Num,
    heads: Num,
    kv_heads: Num,
    head_dim: Num,
    v_head_dim: Num,
    q_lora_rank: Num,
    kv_lora_rank: Num,
    qk_rope_head_dim: Num,
    tp: Num,
) -> Num:
    """params = (h a e + h k (e + ev) + a ev h) / tp.

    Matrices of attention on one rank (h hidden, a heads, k key heads, e and ev head widths); a rank holds at least one
    key head. With latents of ranks q and r, and rotary width u: h q + q a e / tp for the queries, h (r + u) + r a (e -
    u + ev) / tp for keys and values; down-projections are held whole by every rank.

    Args:
        hidden: model width.
        heads: query heads.
        kv_heads: key and value heads.
        head_dim: width of a query or key head.
        v_head_dim: width of a value head.
        q_lora_rank: rank of the query latent, 0 if there is none.
        kv_lora_rank: rank of the key and value latent, 0 if there is none.
        qk_rope_head_dim: rotary width of latent attention.
        tp: tensor-parallel ranks.

    Source: vaswani2017; deepseekv2, section 2.1.
    """
    own = heads / tp
    direct_q = hidden * own * head_dim
    query = np.where(q_lora_rank > 0, q_lora_rank * (hidden + own * head_dim), direct_q)
    own_kv = np.maximum(kv_heads / tp, np.minimum(kv_heads, 1.0))
    latent = hidden * (kv_lora_rank + qk_rope_head_dim) + kv_lora_rank * own * (
        head_dim - qk_rope_head_dim + v_head_dim
    )
    key_value = np.where(kv_lora_rank > 0, latent, hidden * own_kv * (head_dim + v_head_dim))
    return query + key_value + own * v_head_dim * hidden


@term(unit="ratio", source="shazeer2020")
def ffn_params(*, hidden: Num, ffn_hidden: Num, ffn_gated: Num, tp: Num) -> Num:
    """params = (2 + ffn_gated) hidden ffn_hidden / tp.

    Matrices of a feed-forward on one rank: up and down, and a gate if it is gated.

    Args:
        hidden: model width.
        ffn_hidden: feed-forward width (dense plus shared experts).
        ffn_gated: 1 or 0.
        tp: tensor-parallel ranks.

    Source: shazeer2020.
    """
    return (2.0 + ffn_gated) * hidden * ffn_hidden / tp


@term(unit="ratio", source="lepikhin2020")
def expert_params(*, hidden: Num, experts: Num, moe_ffn_hidden: Num, ffn_gated: Num, ep: Num, expert_tp: Num) -> Num:
    """params = experts (2 + ffn_gated) hidden moe_ffn_hidden / (ep expert_tp).

    Matrices of the routed experts that one rank holds.

    Args:
        hidden: model width.
        experts: routed experts.
        moe_ffn_hidden: width of one expert.
        ffn_gated: 1 or 0.
        ep: expert-parallel ranks.
        expert_tp: tensor-parallel ranks of an expert.

    Source: lepikhin2020 (experts spread over ranks).
    """
    return experts * (2.0 + ffn_gated) * hidden * moe_ffn_hidden / (ep * expert_tp)
