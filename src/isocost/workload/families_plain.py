"""Import of the families with plain feed-forwards and LayerNorm: GPT-2, GPT-NeoX, OPT, BLOOM, Falcon, MPT.

Shapes follow the modelling code of ``transformers``; the golden table holds each of them to its exact parameter count.
"""

from __future__ import annotations

from dataclasses import replace

from isocost.workload import reader as limits
from isocost.workload.architecture import Architecture, Block
from isocost.workload.reader import Reader
from isocost.workload.shapes import Shape, merge, read_shape

_OPT_POSITION_OFFSET = 2  # OPTLearnedPositionalEmbedding keeps two rows in front of the first position
_FFN_RATIO = 4  # width of the feed-forward over the hidden width where a family fixes it


def gpt2(r: Reader) -> Architecture:
    """Import GPT-2 and GPT-3: learned positions, biases everywhere."""
    shape = read_shape(r, grouped=False)
    ffn = r.count("n_inner", limits.MAX_WIDTH, absent=_FFN_RATIO * shape.hidden)
    positions = r.count("max_position_embeddings", limits.MAX_TOKENS)
    dropout = r.fraction("resid_pdrop") > 0
    r.refuse("add_cross_attention", r.flag("add_cross_attention"), "adds cross-attention, which is not supported")
    block = replace(
        shape.block(),
        ffn_hidden=ffn,
        ffn_gated=False,
        norm_params=4 * shape.hidden,
        bias_params=shape.qkv_width + 2 * shape.hidden + ffn,
    )
    return replace(_architecture(shape, "gpt2", block, dropout=dropout), position_params=positions * shape.hidden)


def gpt_neox(r: Reader) -> Architecture:
    """Import GPT-NeoX and Pythia: rotary positions, parallel residual."""
    shape = read_shape(r, grouped=False)
    ffn = r.count("intermediate_size", limits.MAX_WIDTH)
    dropout = r.fraction("hidden_dropout") > 0
    attention_bias = r.flag("attention_bias", absent=True) * (shape.qkv_width + shape.hidden)
    block = replace(
        shape.block(),
        ffn_hidden=ffn,
        ffn_gated=False,
        norm_params=4 * shape.hidden,
        bias_params=attention_bias + ffn + shape.hidden,
    )
    parallel = r.flag("use_parallel_residual", absent=True)
    return replace(_architecture(shape, "gpt_neox", block, dropout=dropout), parallel_residual=parallel)


def opt(r: Reader) -> Architecture:
    """Import OPT: learned positions with an offset; the 350m one embeds in a narrower width and has no final norm."""
    shape = read_shape(r, grouped=False)
    ffn = r.count("ffn_dim", limits.MAX_WIDTH)
    positions = r.count("max_position_embeddings", limits.MAX_TOKENS)
    embedding_dim = r.count("word_embed_proj_dim", limits.MAX_HIDDEN, absent=shape.hidden)
    biases, affine = r.flag("enable_bias", absent=True), r.flag("layer_norm_elementwise_affine", absent=True)
    final_norm = r.flag("do_layer_norm_before", absent=True) and not r.flag("_remove_final_layer_norm")
    dropout = r.fraction("dropout") > 0
    projected = embedding_dim != shape.hidden
    block = replace(
        shape.block(),
        ffn_hidden=ffn,
        ffn_gated=False,
        norm_params=affine * 4 * shape.hidden,
        bias_params=biases * (shape.qkv_width + 2 * shape.hidden + ffn),
    )
    return replace(
        _architecture(shape, "opt", block, dropout=dropout),
        position_params=(positions + _OPT_POSITION_OFFSET) * shape.hidden,
        embedding_dim=embedding_dim if projected else 0,
        final_norm_params=final_norm * affine * 2 * shape.hidden,
        other_params=projected * 2 * shape.hidden * embedding_dim,  # into and out of the hidden width
    )


def bloom(r: Reader) -> Architecture:
    """Import BLOOM: ALiBi positions, a LayerNorm after the embedding."""
    shape = read_shape(r, grouped=False)
    ffn = _FFN_RATIO * shape.hidden
    dropout = r.fraction("hidden_dropout") > 0
    block = replace(
        shape.block(),
        ffn_hidden=ffn,
        ffn_gated=False,
        norm_params=4 * shape.hidden,
        bias_params=shape.qkv_width + 2 * shape.hidden + ffn,
    )
    return replace(_architecture(shape, "bloom", block, dropout=dropout), other_params=2 * shape.hidden)


def falcon(r: Reader) -> Architecture:
    """Import Falcon: multi-query (7B), grouped heads with two parallel norms (40B, 180B) or one (11B), serial (RW)."""
    base = read_shape(r, grouped=False)
    new = r.flag("new_decoder_architecture")
    groups = r.count("num_kv_heads", limits.MAX_HEADS, absent=base.heads)
    kv_heads = groups if new else 1 if r.flag("multi_query", absent=True) else base.heads
    if new:
        r.divides("num_attention_heads", base.heads, "num_kv_heads", groups)
    shape = replace(base, kv_heads=kv_heads)
    parallel = r.flag("parallel_attn", absent=True)
    ffn = r.count("ffn_hidden_size", limits.MAX_WIDTH, absent=_FFN_RATIO * shape.hidden)
    norms = r.count("num_ln_in_parallel_attn", 2, absent=2 if new else 1) if parallel else 2
    dropout = r.fraction("hidden_dropout") > 0
    block = replace(
        shape.block(),
        ffn_hidden=ffn,
        ffn_gated=False,
        norm_params=norms * 2 * shape.hidden,
        bias_params=r.flag("bias") * (shape.qkv_width + 2 * shape.hidden + ffn),
    )
    architecture = _architecture(shape, "falcon", block, dropout=dropout)
    return replace(architecture, parallel_residual=parallel, norms_per_block=norms)


def mpt(r: Reader) -> Architecture:
    """Import MPT as ``transformers`` builds it: ALiBi, no biases anywhere, a feed-forward of four times the width."""
    shape = read_shape(r, grouped=False)
    ratio = r.count("expansion_ratio", limits.MAX_HIDDEN, absent=_FFN_RATIO)
    r.refuse("expansion_ratio", ratio != _FFN_RATIO, "is ignored by transformers, which always builds 4")
    r.refuse("no_bias", not r.flag("no_bias", absent=True), "is ignored by transformers, which builds no biases")
    attention = r.inside("attn_config", r.table("attn_config") or {})
    kind = attention.values.get("attn_type", "multihead_attention")
    attention.refuse("attn_type", kind != "multihead_attention", "is built as multihead_attention by transformers")
    attention.refuse("alibi", not attention.flag("alibi", absent=True), "needs a position table transformers lacks")
    dropout = r.fraction("resid_pdrop") > 0
    block = replace(shape.block(), ffn_hidden=_FFN_RATIO * shape.hidden, ffn_gated=False, norm_params=2 * shape.hidden)
    return replace(_architecture(shape, "mpt", block, dropout=dropout), final_norm_params=shape.hidden)


def _architecture(shape: Shape, model_type: str, block: Block, *, dropout: bool) -> Architecture:
    """Return the parts these families share: equal layers, LayerNorm, a final norm with bias."""
    return Architecture(
        name=model_type,
        model_type=model_type,
        hidden=shape.hidden,
        vocab=shape.vocab,
        blocks=merge([block] * shape.layers),
        tied_embeddings=shape.tied,
        final_norm_params=2 * shape.hidden,
        max_seq_len=shape.max_seq_len,
        layer_norm=True,
        dropout=dropout,
    )
