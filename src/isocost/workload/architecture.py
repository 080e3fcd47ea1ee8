"""What a model is, as far as its cost goes: kinds of blocks with counts, and the ends.

A model is a few *kinds* of transformer block, each with a count (Gemma 2 is 21 sliding and 21 full blocks; DeepSeek-V3
is 3 dense and 58 expert blocks), between an embedding and a head. Every field is a plain number, so a block becomes a
column of the vectorised laws without translation. Counts of parameters are exact; see ``hf.py`` for the import of a
``config.json``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One kind of transformer block and how many of it there are.

    ``kv_lora_rank > 0`` marks multi-head latent attention (MLA); ``experts > 0`` a mixture-of-experts feed-forward.
    A block may hold a dense feed-forward (``ffn_hidden``), routed experts, shared experts, or any sum of them.
    """

    count: int
    heads: int
    kv_heads: int
    head_dim: int  # of queries and keys (MLA: nope + rope)
    v_head_dim: int  # of values
    window: int = 0  # sliding-window width in tokens; 0 is full causal attention
    chunked: bool = False  # window is a fixed chunk (llama4), not a sliding one
    q_lora_rank: int = 0
    kv_lora_rank: int = 0
    qk_rope_head_dim: int = 0  # MLA: the rotary part, one per token, shared by all heads
    attention_sinks: bool = False
    ffn_hidden: int = 0  # dense feed-forward width; 0 in a pure expert block
    ffn_gated: bool = True
    experts: int = 0
    experts_topk: int = 0
    moe_ffn_hidden: int = 0
    shared_ffn_hidden: int = 0  # summed width of the shared experts
    norm_params: int = 0
    bias_params: int = 0
    expert_bias_params: int = 0  # of one routed expert; kept apart because only topk of them are active (gpt-oss)
    other_params: int = 0  # sinks, relative-position tables, shared-expert gates, router corrections

    @property
    def mla(self) -> bool:
        """Whether this block uses multi-head latent attention."""
        return self.kv_lora_rank > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A decoder-only transformer: hidden width, vocabulary, and its kinds of blocks in order of first use."""

    name: str
    model_type: str  # the Hugging Face model_type, or "custom"
    hidden: int
    vocab: int
    blocks: tuple[Block, ...]
    embedding_dim: int = 0  # width of the token embedding where it is not ``hidden`` (OPT-350m); 0 is ``hidden``
    tied_embeddings: bool = False
    position_params: int = 0  # learned position table
    final_norm_params: int = 0
    head_bias_params: int = 0
    other_params: int = 0  # embedding norms, projections between embedding and hidden width, ...
    mtp_layers: int = 0  # multi-token-prediction blocks (trained, not in the Hugging Face count)
    max_seq_len: int = 0
    layer_norm: bool = False  # LayerNorm (mean and variance) rather than RMSNorm
    dropout: bool = False  # trained with dropout after attention and feed-forward
    parallel_residual: bool = False  # attention and feed-forward read the same norm output (GPT-NeoX, Falcon)
    norms_per_block: int = 2

    @property
    def layers(self) -> int:
        """Number of transformer blocks."""
        return sum(b.count for b in self.blocks)
