"""Model FLOPs per token, forward, backward and recompute, by operator.

Counted: every matrix product, two FLOPs a multiply-add. Not counted: the embedding look-up, norms, activations,
softmax, rotary positions and biases (together well under 1 % of a large model). The head is in, the input embedding
is out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Final, Literal

from isocost.workload import params
from isocost.workload.architecture import Architecture, Block

MULTIPLY_ADD: Final = 2
BACKWARD_OVER_FORWARD: Final = 2  # each product is done again for its input and for its weight (or other operand)

RecomputeKind = Literal["none", "selective", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorFlop:
    """FLOPs by operator; the fields sum to ``total``."""

    qkv: float = 0.0  # with MLA: down- and up-projections
    scores: float = 0.0  # queries times keys
    values: float = 0.0  # probabilities times values
    out: float = 0.0
    ffn: float = 0.0
    router: float = 0.0
    experts: float = 0.0  # routed ones, at top-k
    shared: float = 0.0
    head: float = 0.0  # once more for each multi-token-prediction layer
    mtp: float = 0.0  # block and joining projection of the multi-token-prediction layers

    @property
    def total(self) -> float:
        """Sum over the operators."""
        return float(sum(getattr(self, f.name) for f in fields(self)))

    def times(self, factor: float) -> OperatorFlop:
        """Return every operator times ``factor``."""
        return OperatorFlop(**{f.name: factor * getattr(self, f.name) for f in fields(self)})

    def only(self, operators: frozenset[str]) -> OperatorFlop:
        """Return these operators, and zero for all others."""
        return OperatorFlop(**{name: getattr(self, name) for name in operators})

    def __add__(self, other: OperatorFlop) -> OperatorFlop:
        return OperatorFlop(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    def to_dict(self) -> dict[str, float]:
        """Return the operators and their total by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"total": self.total}


# What is run again in the backward pass: the attention core (Korthikanti et al. 2022), or every block.
RECOMPUTED: Final[Mapping[RecomputeKind, frozenset[str]]] = MappingProxyType(
    {
        "none": frozenset(),
        "selective": frozenset({"scores", "values"}),
        "full": frozenset(f.name for f in fields(OperatorFlop) if f.name != "head"),
    }
)


def attended_tokens(seq_len: float, window: float = 0, *, chunked: bool = False, causal: bool = True) -> float:
    """Return the keys a query meets, on average over a sequence.

    ``causal=False`` counts what an unmasked product computes: ``seq_len``, or the window where there is one.
    ``causal=True`` leaves the masked part out: half the sequence, or for a sliding window w of s tokens,
    w (1 - w / 2s). The diagonal is counted half, the convention under which causal is exactly half of full.
    """
    width = min(window, seq_len) if window else seq_len
    if chunked:
        whole, rest = divmod(seq_len, width)
        mean = (whole * width * width + rest * rest) / seq_len
        return mean / 2 if causal else mean
    return width * (1 - width / (2 * seq_len)) if causal else width


def block_flop_per_token(block: Block, hidden: int, seq_len: float, *, causal: bool = True) -> OperatorFlop:
    """Return the forward FLOPs of one layer of this kind (not times its count) for one token."""
    attended = attended_tokens(seq_len, block.window, chunked=block.chunked, causal=causal)
    one_expert = params.ffn_matrices(block) * hidden * block.moe_ffn_hidden
    return OperatorFlop(
        qkv=params.qkv_params(block, hidden),
        scores=block.heads * block.head_dim * attended,
        values=block.heads * block.v_head_dim * attended,
        out=params.out_params(block, hidden),
        ffn=params.ffn_params(block, hidden),
        router=params.router_params(block, hidden),
        experts=block.experts_topk * one_expert,
        shared=params.shared_params(block, hidden),
    ).times(MULTIPLY_ADD)


def forward_flop_per_token(arch: Architecture, seq_len: float, *, causal: bool = True) -> OperatorFlop:
    """Return the forward FLOPs of the whole model for one token of a sequence of ``seq_len``."""
    width = arch.embedding_dim or arch.hidden
    projections = 2 * arch.hidden * width if width != arch.hidden else 0  # into and out of the hidden width
    blocks = (
        block_flop_per_token(block, arch.hidden, seq_len, causal=causal).times(block.count) for block in arch.blocks
    )
    mtp_block = block_flop_per_token(arch.blocks[-1], arch.hidden, seq_len, causal=causal).total
    ends = OperatorFlop(
        head=MULTIPLY_ADD * (arch.vocab * width * (1 + arch.mtp_layers) + projections),
        mtp=arch.mtp_layers * (mtp_block + MULTIPLY_ADD * params.mtp_projection_params(arch)),
    )
    return sum(blocks, ends)


def backward_flop_per_token(arch: Architecture, seq_len: float, *, causal: bool = True) -> OperatorFlop:
    """Return the backward FLOPs for one token: twice the forward, without any recompute."""
    return forward_flop_per_token(arch, seq_len, causal=causal).times(BACKWARD_OVER_FORWARD)


def recompute_flop_per_token(
    arch: Architecture, seq_len: float, kind: RecomputeKind, *, causal: bool = True
) -> OperatorFlop:
    """Return the FLOPs run again in the backward pass under a recompute policy (hardware, not model, FLOPs)."""
    return forward_flop_per_token(arch, seq_len, causal=causal).only(RECOMPUTED[kind])


def train_flop_per_token(arch: Architecture, seq_len: float, *, causal: bool = True) -> float:
    """Return the model FLOPs of training on one token: forward and backward, no recompute."""
    return (1 + BACKWARD_OVER_FORWARD) * forward_flop_per_token(arch, seq_len, causal=causal).total
