"""From a number of parameters to an architecture that can be built and split: widths in multiples that kernels like."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from isocost.errors import InputError, Problem
from isocost.scaling.solver import Array
from isocost.scaling.store import shipped_tables
from isocost.workload.architecture import Architecture, Block
from isocost.workload.params import parameter_count

# Widths are whole tiles of the matrix kernels, on every tensor parallel rank.
TILE: Final = 128
MOST_LAYERS: Final = 256
MOST_HIDDEN: Final = 65536
LEAST_PARAMS, MOST_PARAMS = 1e6, 1e14
# What makes a shape worse: squared logarithms of size, of width over depth, and of feed-forward over width.
_SIZE_WEIGHT: Final = 400.0
_FFN_WEIGHT: Final = 2.0
_LARGEST_ERROR_FRAC: Final = 0.25  # beyond it no shape is a shape of that size


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparsity:
    """Experts of a mixture: how many, how many a token uses, and shared ones of the same width."""

    experts: int
    topk: int
    shared: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no mixture."""
        if not (1 <= self.topk < self.experts and self.shared >= 0):
            allowed = "1 or more a token, fewer than there are"
            given = f"{self.topk} of {self.experts}"
            raise InputError([Problem("experts", "is not a mixture of experts", given, allowed)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Proportions of a family of shapes."""

    aspect: float  # hidden width over layers
    ffn: float  # feed-forward width that a token uses, over hidden
    head_dim: int
    kv_heads: int
    vocab: int
    tied: bool = False


def rules_for(params: float, sparsity: Sparsity | None = None) -> Rules:
    """Return the shipped proportions for a size."""
    table: Mapping[str, Any] = shipped_tables()["shape"]
    small = sparsity is None and params < table["small"]["below_params"]
    entry = table["experts" if sparsity else "small" if small else "dense"]
    names = ("aspect", "ffn", "head_dim", "kv_heads", "vocab")
    return Rules(tied=bool(small), **{name: entry[name] for name in names})


def shape(
    params: float,
    *,
    counts: str = "all",
    sparsity: Sparsity | None = None,
    tp: int = 8,
    rules: Rules | None = None,
    layer_multiple: int = 2,
    max_seq_len: int = 8192,
) -> Architecture:
    """Return the architecture nearest to a size: heads, key-value groups and widths divide over ``tp`` ranks.

    ``params`` are all parameters, or those without embedding and head (``counts`` = "non_embedding"); of a mixture of
    experts those a token uses, as scaling laws count them.
    """
    if not (math.isfinite(params) and LEAST_PARAMS <= params <= MOST_PARAMS):
        raise InputError(
            [Problem("params", "is not a size of a model", params, f"{LEAST_PARAMS:g} to {MOST_PARAMS:g}")]
        )
    given = rules or rules_for(params, sparsity)
    hidden, layers = _grid(given, tp, layer_multiple)
    heads = hidden // given.head_dim
    kv = np.gcd(heads, given.kv_heads)
    ends = hidden * given.vocab * (0 if counts == "non_embedding" else 1 if given.tied else 2) + hidden
    attention = 2 * hidden * hidden + 2 * hidden * kv * given.head_dim + 2 * hidden
    router = hidden * sparsity.experts if sparsity else 0
    used = (sparsity.topk + sparsity.shared) if sparsity else 1
    unit = 3 * hidden * used
    # An expert is not cut over tensor parallel ranks by default, a dense feed-forward is.
    tile = TILE if sparsity else TILE * tp
    width = np.maximum(np.round(((params - ends) / layers - attention - router) / unit / tile), 1.0) * tile
    size = ends + layers * (attention + router + unit * width)
    score = (
        _SIZE_WEIGHT * np.log(size / params) ** 2
        + np.log(hidden / layers / given.aspect) ** 2
        + _FFN_WEIGHT * np.log(width * used / hidden / given.ffn) ** 2
        + np.where((kv % tp != 0) & (tp % kv != 0), np.inf, 0.0)
    )
    best = int(np.argmin(score))
    if not abs(size[best] / params - 1.0) < _LARGEST_ERROR_FRAC:
        message = f"has no shape: with a vocabulary of {given.vocab:,} the nearest has {size[best]:.3g} parameters"
        fix = "take a smaller vocabulary or fewer tensor parallel ranks"
        raise InputError([Problem("params", message, params, fix=fix)])
    row = {"hidden": hidden, "layers": layers, "heads": heads, "kv": kv, "width": width}
    return _architecture({name: int(values[best]) for name, values in row.items()}, given, sparsity, max_seq_len)


def _grid(rules: Rules, tp: int, layer_multiple: int) -> tuple[Array, Array]:
    """Return every hidden width and depth within four times the proportion, as two rows."""
    step = rules.head_dim * math.lcm(tp, 4)
    step = math.lcm(step, TILE)
    hidden = np.arange(step, MOST_HIDDEN + 1, step)
    layers = np.arange(layer_multiple, MOST_LAYERS + 1, layer_multiple)
    wide, deep = (grid.ravel() for grid in np.meshgrid(hidden, layers, indexing="ij"))
    near = np.abs(np.log(wide / deep / rules.aspect)) < np.log(4.0)
    return wide[near], deep[near]


def _architecture(row: Mapping[str, int], rules: Rules, sparsity: Sparsity | None, max_seq_len: int) -> Architecture:
    experts: dict[str, Any] = {"ffn_hidden": row["width"]}
    if sparsity:
        experts = {
            "experts": sparsity.experts,
            "experts_topk": sparsity.topk,
            "moe_ffn_hidden": row["width"],
            "shared_ffn_hidden": sparsity.shared * row["width"],
        }
    block = Block(
        count=row["layers"],
        heads=row["heads"],
        kv_heads=row["kv"],
        head_dim=rules.head_dim,
        v_head_dim=rules.head_dim,
        norm_params=2 * row["hidden"],
        **experts,
    )
    made = Architecture(
        name="made",
        model_type="custom",
        hidden=row["hidden"],
        vocab=rules.vocab,
        blocks=(block,),
        tied_embeddings=rules.tied,
        final_norm_params=row["hidden"],
        max_seq_len=max_seq_len,
    )
    return _named(made)


def _named(made: Architecture) -> Architecture:
    count = parameter_count(made)
    mark = f"-a{_short(count.active)}" if count.active < count.total else ""
    return replace(made, name=f"{_short(count.total)}{mark}")


def _short(params: float) -> str:
    scale, letter = (1e12, "t") if params >= 1e12 else (1e9, "b") if params >= 1e9 else (1e6, "m")
    return f"{params / scale:.3g}{letter}"


def law_params(architecture: Architecture, counts: str = "all") -> float:
    """Return the N of a law: the parameters that a token uses, with or without embedding and head."""
    count = parameter_count(architecture)
    left_out = count.embedding + count.head if counts == "non_embedding" else 0
    return float(count.active - left_out)


def sizes(low: float, high: float, count: int) -> Array:
    """Return sizes evenly spaced in the logarithm."""
    return np.asarray(np.geomspace(low, high, count))
