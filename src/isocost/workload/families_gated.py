"""Import of the dense families with gated feed-forwards and RMSNorm: Llama, Mistral, Qwen, Gemma, Phi-3, OLMo 2.

Shapes follow the modelling code of ``transformers``; the golden table holds each of them to its exact parameter count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from isocost.workload import reader as limits
from isocost.workload.architecture import Architecture, Block
from isocost.workload.reader import Reader
from isocost.workload.shapes import FULL, SLIDING, Shape, merge, read_shape, with_windows


def llama(r: Reader) -> Architecture:
    """Import Llama 1 to 3 and its many relatives."""
    shape = read_shape(r, explicit_head_dim=True)
    ffn = r.count("intermediate_size", limits.MAX_WIDTH)
    ffn_bias = r.flag("mlp_bias") * (2 * ffn + shape.hidden)
    block = dense_block(shape, ffn, bias_params=attention_bias(r, shape) + ffn_bias)
    return decoder(shape, "llama", merge([block] * shape.layers))


def mistral(r: Reader) -> Architecture:
    """Import Mistral: Llama with an optional sliding window on every layer."""
    shape = read_shape(r, explicit_head_dim=True)
    block = dense_block(shape, r.count("intermediate_size", limits.MAX_WIDTH))
    return decoder(shape, "mistral", with_windows([block] * shape.layers, [SLIDING] * shape.layers, window(r)))


def qwen2(r: Reader) -> Architecture:
    """Import Qwen 2 and 2.5: biases on query, key and value."""
    shape = read_shape(r)
    block = dense_block(shape, r.count("intermediate_size", limits.MAX_WIDTH), bias_params=shape.qkv_width)
    return decoder(shape, "qwen2", with_windows([block] * shape.layers, *qwen_windows(r, shape.layers)))


def qwen3(r: Reader) -> Architecture:
    """Import Qwen 3: norms on queries and keys, no biases, a free head size."""
    shape = read_shape(r, explicit_head_dim=True)
    ffn = r.count("intermediate_size", limits.MAX_WIDTH)
    block = dense_block(shape, ffn, bias_params=attention_bias(r, shape), extra_norm_params=2 * shape.head_dim)
    return decoder(shape, "qwen3", with_windows([block] * shape.layers, *qwen_windows(r, shape.layers)))


def gemma2(r: Reader) -> Architecture:
    """Import Gemma 2: sliding and full layers in turn, four norms a layer."""
    return _gemma(r, "gemma2", pattern=2, qk_norm=False)


def gemma3_text(r: Reader) -> Architecture:
    """Import the text part of Gemma 3: five sliding layers to one full layer, norms on queries and keys."""
    pattern = r.count("sliding_window_pattern", limits.MAX_LAYERS, absent=6)
    return _gemma(r, "gemma3_text", pattern=pattern, qk_norm=True)


def phi3(r: Reader) -> Architecture:
    """Import Phi-3 and Phi-4: Llama with packed projections and an optional sliding window."""
    shape = read_shape(r)
    block = dense_block(shape, r.count("intermediate_size", limits.MAX_WIDTH))
    dropout = r.fraction("resid_pdrop") > 0
    blocks = with_windows([block] * shape.layers, [SLIDING] * shape.layers, window(r))
    return replace(decoder(shape, "phi3", blocks), dropout=dropout)


def olmo2(r: Reader) -> Architecture:
    """Import OLMo 2: norms after attention and feed-forward, and over all queries and all keys."""
    shape = read_shape(r)
    qk_norm = (shape.heads + shape.kv_heads) * shape.head_dim
    ffn = r.count("intermediate_size", limits.MAX_WIDTH)
    block = dense_block(shape, ffn, bias_params=attention_bias(r, shape), extra_norm_params=qk_norm)
    return decoder(shape, "olmo2", merge([block] * shape.layers))


def _gemma(r: Reader, model_type: str, *, pattern: int, qk_norm: bool) -> Architecture:
    shape = read_shape(r, explicit_head_dim=True)
    extra_norms = 2 * shape.hidden + qk_norm * 2 * shape.head_dim
    ffn = r.count("intermediate_size", limits.MAX_WIDTH)
    block = dense_block(shape, ffn, bias_params=attention_bias(r, shape), extra_norm_params=extra_norms)
    blocks = with_windows([block] * shape.layers, alternating(r, shape.layers, pattern), window(r))
    return replace(decoder(shape, model_type, blocks), norms_per_block=4)


def dense_block(shape: Shape, ffn: int, *, bias_params: int = 0, extra_norm_params: int = 0) -> Block:
    """Return one layer with a gated feed-forward and two RMSNorms, plus what the family adds."""
    norm_params = 2 * shape.hidden + extra_norm_params
    return replace(shape.block(), ffn_hidden=ffn, norm_params=norm_params, bias_params=bias_params)


def decoder(shape: Shape, model_type: str, blocks: tuple[Block, ...]) -> Architecture:
    """Return the ends these families share around their blocks: embedding, one RMSNorm, head."""
    return Architecture(
        name=model_type,
        model_type=model_type,
        hidden=shape.hidden,
        vocab=shape.vocab,
        blocks=blocks,
        tied_embeddings=shape.tied,
        final_norm_params=shape.hidden,
        max_seq_len=shape.max_seq_len,
    )


def attention_bias(r: Reader, shape: Shape, *, on_output: bool = True) -> int:
    """Return the biases of query, key, value and (unless the family leaves it out) output, when switched on."""
    return r.flag("attention_bias") * (shape.qkv_width + on_output * shape.hidden)


def window(r: Reader) -> int:
    """Return the width of the sliding window; null is none."""
    if "sliding_window" in r.values and r.values["sliding_window"] is None:
        return 0
    return r.count("sliding_window", limits.MAX_TOKENS, absent=0)


def alternating(r: Reader, layers: int, pattern: int) -> Sequence[str]:
    """Return the kind of attention of each layer: as listed, else every ``pattern``-th layer is full."""
    listed = r.texts("layer_types", (FULL, SLIDING), layers)
    return listed or [SLIDING if (layer + 1) % pattern else FULL for layer in range(layers)]


def qwen_windows(r: Reader, layers: int) -> tuple[Sequence[str], int]:
    """Return each layer's kind of attention and the window: all full, or sliding from ``max_window_layers`` on."""
    if not r.flag("use_sliding_window"):
        return [FULL] * layers, 0
    first = r.count("max_window_layers", limits.MAX_LAYERS, low=0)
    width = r.count("sliding_window", limits.MAX_TOKENS)
    listed = r.texts("layer_types", (FULL, SLIDING), layers)
    return listed or [SLIDING if layer >= first else FULL for layer in range(layers)], width
