"""Pieces that the importers of all model families share: widths, biases, layer patterns, merging of equal layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from isocost.workload import reader as limits
from isocost.workload.architecture import Block
from isocost.workload.reader import Reader

FULL = "full_attention"
SLIDING = "sliding_attention"
CHUNKED = "chunked_attention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The widths that every decoder has."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    tied: bool
    max_seq_len: int

    @property
    def qkv_width(self) -> int:
        """Outputs of the query, key and value projections together."""
        return (self.heads + 2 * self.kv_heads) * self.head_dim

    def block(self) -> Block:
        """Return one layer with this attention and nothing else."""
        return Block(
            count=1, heads=self.heads, kv_heads=self.kv_heads, head_dim=self.head_dim, v_head_dim=self.head_dim
        )


def read_shape(r: Reader, *, grouped: bool = True, explicit_head_dim: bool = False) -> Shape:
    """Read the widths; ``grouped``: there may be fewer key-value heads than heads."""
    hidden = r.count("hidden_size", limits.MAX_HIDDEN)
    heads = r.count("num_attention_heads", limits.MAX_HEADS)
    kv_heads = r.count("num_key_value_heads", limits.MAX_HEADS, absent=heads) if grouped else heads
    head_dim = r.count("head_dim", limits.MAX_WIDTH, absent=0) if explicit_head_dim else 0
    if not head_dim:
        r.divides("hidden_size", hidden, "num_attention_heads", heads)
    r.divides("num_attention_heads", heads, "num_key_value_heads", kv_heads)
    return Shape(
        hidden=hidden,
        layers=r.count("num_hidden_layers", limits.MAX_LAYERS),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim or max(1, hidden // heads),
        vocab=r.count("vocab_size", limits.MAX_VOCAB),
        tied=r.flag("tie_word_embeddings"),
        max_seq_len=r.count("max_position_embeddings", limits.MAX_TOKENS, absent=0),
    )


def merge(layers: Iterable[Block]) -> tuple[Block, ...]:
    """Return the kinds of layers in order of first use, each with its count."""
    counts: dict[Block, int] = {}
    for layer in layers:
        counts[layer] = counts.get(layer, 0) + layer.count
    return tuple(replace(kind, count=count) for kind, count in counts.items())


def with_windows(layers: Sequence[Block], kinds: Sequence[str], width: int) -> tuple[Block, ...]:
    """Give each layer the window of its kind of attention (a width of 0 means none) and merge equal layers."""
    local = {FULL: (0, False), SLIDING: (width, False), CHUNKED: (width, width > 0)}
    return merge(
        replace(layer, window=local[kind][0], chunked=local[kind][1]) for layer, kind in zip(layers, kinds, strict=True)
    )
