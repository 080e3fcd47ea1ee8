"""Exact parameter counts, by operator.

Totals equal those of ``transformers`` (tied weights once, multi-token-prediction layers left out, buffers left out);
the golden table holds them to it. The helpers for one block return what a single layer of that kind holds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from isocost.workload.architecture import Architecture, Block

# Adam in mixed precision: 16-bit weights and gradients; master copy and both moments in fp32 (Rajbhandari et al. 2020).
WEIGHT_BYTES: Final = 2
GRADIENT_BYTES: Final = 2
MASTER_BYTES: Final = 4
MOMENT_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterCount:
    """Parameters by operator; ``total`` sums all but ``idle_experts`` and ``mtp``, which stand beside it."""

    embedding: int = 0
    position: int = 0
    attention: int = 0
    ffn: int = 0
    experts: int = 0  # with their biases
    shared_experts: int = 0
    router: int = 0
    norms: int = 0
    biases: int = 0
    other: int = 0
    head: int = 0
    idle_experts: int = 0  # the part of ``experts`` that one token does not use
    mtp: int = 0  # multi-token-prediction layers: trained, but not in the Hugging Face count

    @property
    def total(self) -> int:
        """All parameters, as ``transformers`` counts them."""
        return sum(getattr(self, part) for part in OPERATORS)

    @property
    def active(self) -> int:
        """Parameters that one token uses: routed experts counted at top-k, embedding and head included."""
        return self.total - self.idle_experts

    @property
    def trained(self) -> int:
        """All parameters that training updates: the total and the multi-token-prediction layers."""
        return self.total + self.mtp

    def __add__(self, other: ParameterCount) -> ParameterCount:
        return ParameterCount(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})

    def times(self, count: int) -> ParameterCount:
        """Return ``count`` times these parameters."""
        return ParameterCount(**{f.name: getattr(self, f.name) * count for f in fields(self)})


OPERATORS: Final = tuple(f.name for f in fields(ParameterCount) if f.name not in ("idle_experts", "mtp"))


def qkv_params(block: Block, hidden: int) -> int:
    """Weights of the query, key and value projections; for MLA the down- and up-projections."""
    if not block.mla:
        return hidden * (block.heads * block.head_dim + block.kv_heads * (block.head_dim + block.v_head_dim))
    query_in = block.q_lora_rank or hidden
    query = hidden * block.q_lora_rank + query_in * block.heads * block.head_dim
    nope = block.head_dim - block.qk_rope_head_dim
    down = hidden * (block.kv_lora_rank + block.qk_rope_head_dim)
    return query + down + block.kv_lora_rank * block.heads * (nope + block.v_head_dim)


def out_params(block: Block, hidden: int) -> int:
    """Weights of the output projection of attention."""
    return block.heads * block.v_head_dim * hidden


def ffn_matrices(block: Block) -> int:
    """Matrices in a feed-forward: up and down, and the gate if it has one."""
    return 3 if block.ffn_gated else 2


def ffn_params(block: Block, hidden: int) -> int:
    """Weights of the dense feed-forward."""
    return ffn_matrices(block) * hidden * block.ffn_hidden


def expert_params(block: Block, hidden: int) -> int:
    """Weights and biases of one routed expert."""
    return ffn_matrices(block) * hidden * block.moe_ffn_hidden + block.expert_bias_params


def shared_params(block: Block, hidden: int) -> int:
    """Weights of the shared experts."""
    return ffn_matrices(block) * hidden * block.shared_ffn_hidden


def router_params(block: Block, hidden: int) -> int:
    """Weights of the router."""
    return hidden * block.experts


def block_params(block: Block, hidden: int) -> ParameterCount:
    """Return the parameters of one layer of this kind (not times its count)."""
    one_expert = expert_params(block, hidden)
    return ParameterCount(
        attention=qkv_params(block, hidden) + out_params(block, hidden),
        ffn=ffn_params(block, hidden),
        experts=block.experts * one_expert,
        shared_experts=shared_params(block, hidden),
        router=router_params(block, hidden),
        norms=block.norm_params,
        biases=block.bias_params,
        other=block.other_params,
        idle_experts=(block.experts - block.experts_topk) * one_expert,
    )


def mtp_projection_params(arch: Architecture) -> int:
    """Weights of one multi-token-prediction layer that joins the hidden state with the embedding of the next token."""
    return 2 * arch.hidden * arch.hidden


def mtp_params(arch: Architecture) -> int:
    """Parameters of the multi-token-prediction layers.

    Each is a block of the last kind, the joining projection, and three norms (hidden, embedding, output); embedding and
    head are shared with the main model. Source: DeepSeek-V3 technical report, section 2.2.
    """
    if not arch.mtp_layers:
        return 0
    block = block_params(arch.blocks[-1], arch.hidden).total
    return arch.mtp_layers * (block + mtp_projection_params(arch) + 3 * arch.final_norm_params)


def parameter_count(arch: Architecture) -> ParameterCount:
    """Return the parameters of the whole model, by operator."""
    table = arch.vocab * (arch.embedding_dim or arch.hidden)
    ends = ParameterCount(
        embedding=table,
        position=arch.position_params,
        norms=arch.final_norm_params,
        biases=arch.head_bias_params,
        other=arch.other_params,
        head=0 if arch.tied_embeddings else table,
        mtp=mtp_params(arch),
    )
    return sum((block_params(block, arch.hidden).times(block.count) for block in arch.blocks), ends)


def state_bytes(params: float) -> dict[str, float]:
    """Return the bytes of training state of the usual recipe, 16 a parameter: mixed precision with Adam."""
    return {
        "weights": WEIGHT_BYTES * params,
        "gradients": GRADIENT_BYTES * params,
        "master_weights": MASTER_BYTES * params,
        "first_moment": MOMENT_BYTES * params,
        "second_moment": MOMENT_BYTES * params,
    }
