"""Architectures described by hand: the ``[architecture]`` table of a scenario, with the fields of the dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from isocost.errors import Problem, nearest
from isocost.workload import reader as limits
from isocost.workload.architecture import Architecture, Block
from isocost.workload.reader import Reader
from isocost.workload.shapes import merge

MAX_PARAMS: Final = 10**18  # of one operator: a thousand times more than all of any model yet trained
_NAMES: Final = ("name", "model_type")


def architecture_from_table(table: Mapping[str, object], path: str = "architecture") -> Architecture:
    """Return the architecture described by hand; every problem is reported at once.

    ``hidden``, ``vocab`` and ``blocks`` (each with ``count``, ``heads`` and a feed-forward) are needed. Heads default
    to one key-value head each and to ``hidden / heads`` wide; norms to two RMSNorms a block and one at the end.
    """
    r = Reader(table, path)
    _refuse_unknown(r, Architecture)
    hidden = r.count("hidden", limits.MAX_HIDDEN)
    layer_norm = r.flag("layer_norm")
    norms = r.count("norms_per_block", limits.MAX_LAYERS, low=0, absent=2)
    norm_params = (2 if layer_norm else 1) * hidden  # a LayerNorm has a bias too
    names = {key: _text(r, key) for key in _NAMES}
    architecture = Architecture(
        name=names["name"] or "custom",
        model_type=names["model_type"] or "custom",
        hidden=hidden,
        vocab=r.count("vocab", limits.MAX_VOCAB),
        blocks=_blocks(r, hidden, norms * norm_params),
        embedding_dim=r.count("embedding_dim", limits.MAX_HIDDEN, low=0, absent=0),
        tied_embeddings=r.flag("tied_embeddings"),
        position_params=_params(r, "position_params"),
        final_norm_params=_params(r, "final_norm_params", norm_params),
        head_bias_params=_params(r, "head_bias_params"),
        other_params=_params(r, "other_params"),
        mtp_layers=r.count("mtp_layers", limits.MAX_LAYERS, low=0, absent=0),
        max_seq_len=r.count("max_seq_len", limits.MAX_TOKENS, low=0, absent=0),
        layer_norm=layer_norm,
        dropout=r.flag("dropout"),
        parallel_residual=r.flag("parallel_residual"),
        norms_per_block=norms,
    )
    r.finish()
    return architecture


def _blocks(r: Reader, hidden: int, norm_params: int) -> tuple[Block, ...]:
    given = r.values.get("blocks")
    if not isinstance(given, list) or not given or not all(isinstance(block, Mapping) for block in given):
        fix = "add one [[architecture.blocks]] for each kind of layer"
        problem = Problem(r.place("blocks"), "is missing", fix=fix)
        if given is not None:
            problem = Problem(r.place("blocks"), "is not a list of tables", given, fix=fix)
        r.problem("blocks", problem)
        return ()
    if len(given) > limits.MAX_LAYERS:
        allowed = f"at most {limits.MAX_LAYERS:,} tables"
        r.problem("blocks", Problem(r.place("blocks"), "has too many entries", given, allowed, fix="use count"))
        return ()
    blocks = [_block(r.inside(f"blocks[{i}]", block), hidden, norm_params) for i, block in enumerate(given)]
    layers = sum(block.count for block in blocks)
    if layers > limits.MAX_LAYERS:
        allowed = f"at most {limits.MAX_LAYERS:,} layers"
        r.problem(
            "blocks", Problem(r.place("blocks"), f"holds {layers:,} layers", allowed=allowed, fix="correct count")
        )
    return merge(blocks)


def _block(r: Reader, hidden: int, norm_params: int) -> Block:
    _refuse_unknown(r, Block)
    heads = r.count("heads", limits.MAX_HEADS)
    kv_heads = r.count("kv_heads", limits.MAX_HEADS, absent=heads)
    r.divides("heads", heads, "kv_heads", kv_heads)
    head_dim = r.count("head_dim", limits.MAX_WIDTH, absent=0)
    if not head_dim and not r.bad("heads", "head_dim") and hidden % heads:
        fix = "add head_dim, or correct heads"
        r.problem("heads", Problem(r.place("heads"), f"does not divide hidden = {hidden:,}", heads, fix=fix))
    head_dim = head_dim or max(1, hidden // heads)
    block = Block(
        count=r.count("count", limits.MAX_LAYERS),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        v_head_dim=r.count("v_head_dim", limits.MAX_WIDTH, absent=head_dim),
        window=r.count("window", limits.MAX_TOKENS, low=0, absent=0),
        chunked=r.flag("chunked"),
        q_lora_rank=_width(r, "q_lora_rank"),
        kv_lora_rank=_width(r, "kv_lora_rank"),
        qk_rope_head_dim=_width(r, "qk_rope_head_dim"),
        attention_sinks=r.flag("attention_sinks"),
        ffn_hidden=_width(r, "ffn_hidden"),
        ffn_gated=r.flag("ffn_gated", absent=True),
        experts=r.count("experts", limits.MAX_EXPERTS, low=0, absent=0),
        experts_topk=r.count("experts_topk", limits.MAX_EXPERTS, low=0, absent=0),
        moe_ffn_hidden=_width(r, "moe_ffn_hidden"),
        shared_ffn_hidden=_width(r, "shared_ffn_hidden"),
        norm_params=_params(r, "norm_params", norm_params),
        bias_params=_params(r, "bias_params"),
        expert_bias_params=_params(r, "expert_bias_params"),
        other_params=_params(r, "other_params"),
    )
    _check_block(r, block)
    return block


def _check_block(r: Reader, block: Block) -> None:
    """Record what contradicts itself in one block."""
    r.at_most("experts_topk", block.experts_topk, "experts", block.experts)
    wanted = {
        "experts_topk": block.experts > 0 and block.experts_topk == 0,
        "moe_ffn_hidden": block.experts > 0 and block.moe_ffn_hidden == 0,
        "window": block.chunked and block.window == 0,
        "qk_rope_head_dim": block.mla and block.qk_rope_head_dim == 0,
        "kv_lora_rank": not block.mla and (block.q_lora_rank > 0 or block.qk_rope_head_dim > 0),
        "experts": block.experts == 0 and block.moe_ffn_hidden > 0,
        "ffn_hidden": block.ffn_hidden + block.experts + block.shared_ffn_hidden + block.moe_ffn_hidden == 0,
    }
    why = {
        "experts_topk": "is needed with experts",
        "moe_ffn_hidden": "is needed with experts",
        "window": "is needed with chunked",
        "qk_rope_head_dim": "is needed with kv_lora_rank (MLA)",
        "kv_lora_rank": "is needed with q_lora_rank or qk_rope_head_dim (MLA)",
        "experts": "is needed with moe_ffn_hidden",
        "ffn_hidden": "is missing, and so are experts and shared_ffn_hidden",
    }
    for key, missing in wanted.items():
        if missing and not r.bad(key):
            r.problem(key, Problem(r.place(key), why[key], fix=f"add {key}"))
    if block.mla:
        r.at_most("qk_rope_head_dim", block.qk_rope_head_dim, "head_dim", block.head_dim)


def _refuse_unknown(r: Reader, record: type[Architecture | Block]) -> None:
    known = [field.name for field in fields(record)]
    for key in r.values:
        if key not in known:
            close = nearest(str(key), known)
            problem = Problem(r.place(str(key)), "is not a field", nearest=close, fix=f"use one of {', '.join(known)}")
            r.problem(str(key), problem)


def _text(r: Reader, key: str) -> str:
    value = r.values.get(key)
    if value is None or isinstance(value, str):
        return value or ""
    r.problem(key, Problem(r.place(key), "is not text", value, fix=f"write {key} in quotes"))
    return ""


def _width(r: Reader, key: str) -> int:
    return r.count(key, limits.MAX_WIDTH, low=0, absent=0)


def _params(r: Reader, key: str, absent: int = 0) -> int:
    return r.count(key, MAX_PARAMS, low=0, absent=absent)
