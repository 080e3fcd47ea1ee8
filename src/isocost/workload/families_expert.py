"""Import of the mixture-of-experts families: Mixtral, Qwen 2 and 3 MoE, gpt-oss, Llama 4, DeepSeek V2 and V3, GLM-4.5.

Shapes follow the modelling code of ``transformers``; the golden table holds each of them to its exact parameter count.
The score-correction vector of DeepSeek-V3 and GLM routers is a buffer there, not a parameter, and is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from isocost.errors import Problem
from isocost.workload import reader as limits
from isocost.workload.architecture import Architecture, Block
from isocost.workload.families_gated import (
    alternating,
    attention_bias,
    decoder,
    dense_block,
    qwen_windows,
    window,
)
from isocost.workload.reader import Reader
from isocost.workload.shapes import CHUNKED, FULL, SLIDING, Shape, merge, read_shape, with_windows


def mixtral(r: Reader) -> Architecture:
    """Import Mixtral: experts on every layer, none shared."""
    shape = read_shape(r, explicit_head_dim=True)
    width = r.count("intermediate_size", limits.MAX_WIDTH)
    block = _routed(r, dense_block(shape, 0), experts_key="num_local_experts", width=width)
    return decoder(shape, "mixtral", with_windows([block] * shape.layers, [SLIDING] * shape.layers, window(r)))


def qwen2_moe(r: Reader) -> Architecture:
    """Import Qwen 1.5 and 2 MoE: biases on query, key and value, a gated shared expert."""
    shape = read_shape(r)
    bias_params = r.flag("qkv_bias", absent=True) * shape.qkv_width
    shared = r.count("shared_expert_intermediate_size", limits.MAX_WIDTH)
    dense = dense_block(shape, r.count("intermediate_size", limits.MAX_WIDTH), bias_params=bias_params)
    sparse = replace(_qwen_routed(r, dense), shared_ffn_hidden=shared, other_params=shape.hidden)
    kinds, width = _qwen2_moe_windows(r, shape.layers)
    return decoder(shape, "qwen2_moe", with_windows(_qwen_layers(r, shape, dense, sparse), kinds, width))


def qwen3_moe(r: Reader) -> Architecture:
    """Import Qwen 3 MoE: norms on queries and keys, no shared expert."""
    shape = read_shape(r, explicit_head_dim=True)
    biases, norms = attention_bias(r, shape), 2 * shape.head_dim
    ffn = r.count("intermediate_size", limits.MAX_WIDTH)
    dense = dense_block(shape, ffn, bias_params=biases, extra_norm_params=norms)
    layers = _qwen_layers(r, shape, dense, _qwen_routed(r, dense))
    sliding = r.flag("use_sliding_window")
    width = r.count("sliding_window", limits.MAX_TOKENS) if sliding else 0
    return decoder(shape, "qwen3_moe", with_windows(layers, [SLIDING] * shape.layers, width))


def gpt_oss(r: Reader) -> Architecture:
    """Import gpt-oss: sliding and full layers in turn, attention sinks, biases in experts and router."""
    shape = read_shape(r, explicit_head_dim=True)
    width = r.count("intermediate_size", limits.MAX_WIDTH)
    dense = dense_block(shape, 0, bias_params=attention_bias(r, shape))
    routed = _routed(r, dense, experts_key="num_local_experts", width=width)
    block = replace(
        routed,
        attention_sinks=True,
        other_params=shape.heads,
        bias_params=routed.bias_params + routed.experts,
        expert_bias_params=2 * width + shape.hidden,
    )
    blocks = with_windows([block] * shape.layers, alternating(r, shape.layers, pattern=2), window(r))
    return decoder(shape, "gpt_oss", blocks)


def llama4_text(r: Reader) -> Architecture:
    """Import the text part of Llama 4: chunked attention but for every fourth layer, one shared expert."""
    shape = read_shape(r, explicit_head_dim=True)
    width = r.count("intermediate_size", limits.MAX_WIDTH)
    dense = dense_block(shape, r.count("intermediate_size_mlp", limits.MAX_WIDTH), bias_params=attention_bias(r, shape))
    sparse = replace(
        _routed(r, replace(dense, ffn_hidden=0), experts_key="num_local_experts", width=width),
        shared_ffn_hidden=width,
    )
    step = r.count("interleave_moe_layer_step", limits.MAX_LAYERS)
    listed = r.indices("moe_layers", shape.layers)
    routed_layers = set(range(step - 1, shape.layers, step) if listed is None else listed)
    layers = [sparse if layer in routed_layers else dense for layer in range(shape.layers)]
    chunk = r.count("attention_chunk_size", limits.MAX_TOKENS, absent=0)
    return decoder(shape, "llama4_text", with_windows(layers, _llama4_kinds(r, shape.layers), chunk))


def glm4_moe(r: Reader) -> Architecture:
    """Import GLM-4.5 and 4.6: first layers dense, one shared expert, a multi-token-prediction layer."""
    shape = read_shape(r, explicit_head_dim=True)
    qk_norm = r.flag("use_qk_norm") * 2 * shape.head_dim
    dense = dense_block(
        shape,
        r.count("intermediate_size", limits.MAX_WIDTH),
        bias_params=attention_bias(r, shape, on_output=False),
        extra_norm_params=qk_norm,
    )
    return _first_dense(r, shape, "glm4_moe", dense)


def deepseek_v2(r: Reader) -> Architecture:
    """Import DeepSeek-V2 and V2-Lite: latent attention, shared experts, first layers dense."""
    return _deepseek(r, "deepseek_v2", ffn_bias=r.flag("mlp_bias"))


def deepseek_v3(r: Reader) -> Architecture:
    """Import DeepSeek-V3 and R1: as V2, with a multi-token-prediction layer."""
    return _deepseek(r, "deepseek_v3", ffn_bias=False)


def _deepseek(r: Reader, model_type: str, *, ffn_bias: bool) -> Architecture:
    hidden = r.count("hidden_size", limits.MAX_HIDDEN)
    heads = r.count("num_attention_heads", limits.MAX_HEADS)
    q_rank = r.count("q_lora_rank", limits.MAX_WIDTH, absent=0)
    kv_rank = r.count("kv_lora_rank", limits.MAX_WIDTH)
    rope = r.count("qk_rope_head_dim", limits.MAX_WIDTH)
    nope = r.count("qk_nope_head_dim", limits.MAX_WIDTH)
    v_head_dim = r.count("v_head_dim", limits.MAX_WIDTH)
    ffn = r.count("intermediate_size", limits.MAX_WIDTH)
    r.refuse("moe_layer_freq", r.count("moe_layer_freq", limits.MAX_LAYERS, absent=1) != 1, "is not supported but as 1")
    shape = Shape(
        hidden=hidden,
        layers=r.count("num_hidden_layers", limits.MAX_LAYERS),
        heads=heads,
        kv_heads=heads,
        head_dim=nope + rope,
        vocab=r.count("vocab_size", limits.MAX_VOCAB),
        tied=r.flag("tie_word_embeddings"),
        max_seq_len=r.count("max_position_embeddings", limits.MAX_TOKENS, absent=0),
    )
    down_biases = r.flag("attention_bias") * (q_rank + kv_rank + rope + hidden)
    dense = replace(
        dense_block(shape, ffn, extra_norm_params=q_rank + kv_rank, bias_params=down_biases),
        v_head_dim=v_head_dim,
        q_lora_rank=q_rank,
        kv_lora_rank=kv_rank,
        qk_rope_head_dim=rope,
    )
    return _first_dense(r, shape, model_type, dense, ffn_bias=ffn_bias)


def _first_dense(r: Reader, shape: Shape, model_type: str, dense: Block, *, ffn_bias: bool = False) -> Architecture:
    """Return a model whose first layers are dense and whose others hold routed and shared experts."""
    first = r.count("first_k_dense_replace", limits.MAX_LAYERS, low=0)
    r.at_most("first_k_dense_replace", first, "num_hidden_layers", shape.layers)
    width = r.count("moe_intermediate_size", limits.MAX_WIDTH)
    shared = width * r.count("n_shared_experts", limits.MAX_EXPERTS, low=0, absent=0)
    routed = _routed(r, replace(dense, ffn_hidden=0), experts_key="n_routed_experts", width=width)
    biases = dense.bias_params
    sparse = replace(routed, shared_ffn_hidden=shared, bias_params=biases + _ffn_bias(ffn_bias, shape, shared))
    dense = replace(dense, bias_params=biases + _ffn_bias(ffn_bias, shape, dense.ffn_hidden))
    dense_layers = min(first, shape.layers)
    blocks = merge([dense] * dense_layers + [sparse] * (shape.layers - dense_layers))
    mtp = r.count("num_nextn_predict_layers", limits.MAX_LAYERS, low=0, absent=0)
    return replace(decoder(shape, model_type, blocks), mtp_layers=mtp)


def _ffn_bias(switched_on: bool, shape: Shape, width: int) -> int:
    return (2 * width + shape.hidden) if switched_on and width else 0


def _routed(r: Reader, block: Block, *, experts_key: str, width: int) -> Block:
    """Return the block with routed experts of ``width`` in place of nothing."""
    experts = r.count(experts_key, limits.MAX_EXPERTS)
    topk = r.count("num_experts_per_tok", limits.MAX_EXPERTS)
    r.at_most("num_experts_per_tok", topk, experts_key, experts)
    return replace(block, experts=experts, experts_topk=topk, moe_ffn_hidden=width)


def _qwen_routed(r: Reader, dense: Block) -> Block:
    width = r.count("moe_intermediate_size", limits.MAX_WIDTH)
    return _routed(r, replace(dense, ffn_hidden=0), experts_key="num_experts", width=width)


def _qwen_layers(r: Reader, shape: Shape, dense: Block, sparse: Block) -> list[Block]:
    """Return the layers of a Qwen MoE: every ``decoder_sparse_step``-th is sparse unless listed as dense."""
    step = r.count("decoder_sparse_step", limits.MAX_LAYERS)
    listed = set(r.indices("mlp_only_layers", shape.layers) or [])
    return [dense if layer in listed or (layer + 1) % step else sparse for layer in range(shape.layers)]


def _qwen2_moe_windows(r: Reader, layers: int) -> tuple[Sequence[str], int]:
    """Return each layer's kind of attention: when on, even layers below ``max_window_layers`` slide."""
    _, width = qwen_windows(r, layers)
    if not width:
        return [FULL] * layers, 0
    first = r.count("max_window_layers", limits.MAX_LAYERS, low=0)
    listed = r.texts("layer_types", (FULL, SLIDING), layers)
    return listed or [SLIDING if (layer + 1) % 2 and layer < first else FULL for layer in range(layers)], width


def _llama4_kinds(r: Reader, layers: int) -> Sequence[str]:
    """Return the kind of attention of each layer: full where it has no rotary positions, chunked elsewhere."""
    listed = r.texts("layer_types", (FULL, CHUNKED), layers)
    if listed:
        return listed
    interval = r.count("no_rope_layer_interval", limits.MAX_LAYERS)
    rotary = r.values.get("no_rope_layers") or [int((layer + 1) % interval != 0) for layer in range(layers)]
    allowed = f"a list of {layers:,} of 0 and 1"
    if not isinstance(rotary, list) or len(rotary) != layers or any(flag not in (0, 1) for flag in rotary):
        message = "is not one flag a layer"
        problem = Problem(r.place("no_rope_layers"), message, rotary, allowed, fix="correct no_rope_layers")
        r.problem("no_rope_layers", problem)
        return [FULL] * layers
    return [CHUNKED if flag else FULL for flag in rotary]
