"""The columns the evaluation reads: every choice already resolved to a number.

Shapes: ``BlockColumns`` is (kinds, rows); all others are (rows,) or scalars, and broadcast. Rows are combinations of a
search, or measured runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np

from isocost.catalog.memory_recipes import Sharding
from isocost.laws.pipeline import Schedule
from isocost.num import Num

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockColumns:
    """The kinds of block of each row's model; a missing kind has ``count`` 0. Fields as in ``Block``."""

    count: Num
    heads: Num
    kv_heads: Num
    head_dim: Num
    v_head_dim: Num
    window: Num
    chunked: Num  # 1: the window is a fixed chunk
    q_lora_rank: Num
    kv_lora_rank: Num
    rope_head_dim: Num
    ffn_hidden: Num
    ffn_matrices: Num  # 3 gated, 2 plain
    experts: Num
    experts_topk: Num
    moe_ffn_hidden: Num
    shared_ffn_hidden: Num


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """What a row's model is outside its blocks."""

    hidden: Num
    vocab: Num
    layers: Num
    seq_len: Num
    layer_norm: Num  # 1 LayerNorm, 0 RMSNorm
    dropout: Num
    collectives_per_block: Num  # tensor-parallel all-reduces forward: 2, or 1 with a parallel residual
    tied_embeddings: Num = 0.0  # 1 where the head is the embedding
    position_params: Num = 0.0  # learned positions, on the first rank
    trainable_frac: Num = 1.0  # share of the weights that get gradients (LoRA: near 0)
    mtp_blocks: Num = 0.0  # multi-token-prediction blocks behind the last, each with a pass through the head
    packed: Num = 0.0  # 1 where sequences are packed from short samples, which attend only to themselves


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShardColumns:
    """How one micro-batch is spread: the part of a layout that block times depend on."""

    micro_batch: Num
    tp: Num
    cp: Num
    ep: Num
    expert_tp: Num
    sequence_parallel: Num


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gemm:
    """Constants of ``gemm_s`` for one precision."""

    rate_flop_per_s: Num
    bytes_per_s: Num
    m_half: Num
    n_half: Num
    k_half: Num
    mn_half: Num
    quantise_bytes: Num
    launch_s: Num
    element_bytes: Num


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attention:
    """Constants of ``flash_attention_forward_s``."""

    rate_flop_per_s: Num
    bytes_per_s: Num
    keys_half: Num
    rows_half: Num
    kv_reads: Num
    launch_s: Num


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Experts:
    """Constants of ``grouped_gemm_s``."""

    rate_flop_per_s: Num
    bytes_per_s: Num
    rows_half: Num
    hidden_half: Num
    width_half: Num
    row_bytes: Num
    token_bytes: Num
    launch_s: Num
    weight_bytes: Num


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Machine:
    """Rates of isolated kernels and of links; what a training step makes of them is in ``Coefficients``."""

    gemm: Gemm  # linear layers, in the row's precision
    gemm_16bit: Gemm  # head
    attention: Attention
    experts: Experts
    hbm_bytes_per_s: Num  # reached by streaming kernels
    link_bytes_per_s: Num
    nic_bytes_per_s: Num
    domain: Num  # accelerators of one scale-up domain
    relative_power: Num  # watts per 16-bit flop/s over those of an H100
    link_latency_s: Num
    nic_latency_s: Num
    start_s: Num  # of a collective
    half_size_bytes: Num  # message size at which the protocol doubles the time on the wire
    local_copy: Num  # of a collective: reads and writes of a rank's own part, in parts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StackColumns:
    """Choices of the recipe as numbers: recompute, kernels, precision, overlap, sharding."""

    replay_frac: Num  # share of the forward replayed in backward
    replay_attention_frac: Num
    square_attention: Num  # 1: the kernel computes the full square, masked
    score_bytes: Num  # memory traffic a score, forward; 0 for flash kernels
    gradient_bytes: Num  # bytes of a gradient in the data-parallel reduction
    gather_bytes: Num  # bytes of a parameter in the data-parallel gather
    expert_launches: Num  # 1: the products of every expert are launched alone; 0: one kernel does all
    deduplicated: Num  # 1: a token goes once to each scale-up domain, whatever the number of its experts there


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coefficients:
    """Fitted coefficients, resolved for each row from chip, stack and site (see ``constants``)."""

    sustained_frac: Num
    power_exponent: Num
    attention_forward: Num
    attention_backward: Num
    attention_score: Num
    attention_narrow: Num
    packed_keys: Num
    misaligned: Num
    pointwise: Num
    backward_pointwise: Num
    norm: Num
    loss_bytes: Num
    quantise: Num
    host_s: Num
    host_backward: Num
    host_expert: Num
    host_local_expert: Num
    host_step_s: Num
    tp_exposed: Num
    cp_exposed: Num
    ep_exposed: Num
    pp_exposed: Num
    dp_exposed: Num
    fsdp_interference: Num
    fabric: Num
    expert: Num
    expert_width_half: Num
    dispatch: Num
    optimizer_bytes: Num
    jitter_frac: Num


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StageColumns:
    """How blocks lie on pipeline stages, and the replicas around them: what a layout says beyond ``ShardColumns``."""

    pp: Num
    vp: Num
    dp: Num
    micro_batches: Num
    shard_group: Num  # ranks over which states are sharded
    blocks_fullest: Num  # of the fullest stage
    blocks_with_head: Num  # of the stage with the head
    blocks_first: Num  # held by the first, by an inner and by the last rank
    blocks_inner: Num
    blocks_last: Num
    schedule: Schedule
    sharding: Sharding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """Everything that the time of a step is made of."""

    kinds: BlockColumns
    model: Model
    split: ShardColumns
    machine: Machine
    stack: StackColumns
    stage: StageColumns


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockPolicy:
    """What one block keeps and replays.

    ``keep_*`` are the shares of each group of values that a recomputed block still keeps, ``stash_*`` the values (per
    unit of width) that its recompute policy keeps in addition.
    """

    value_bytes: Num
    norm_extra_bytes: Num
    dropout_mask_bytes: Num
    plain_ffn_bytes: Num
    gated_ffn_bytes: Num
    gathered_input_bytes: Num
    score_bytes: Num
    score_dropout_bytes: Num
    lse_bytes: Num
    expand_kv: Num
    gradient_values: Num
    input_saving_bytes: Num  # 1 where inputs of linear layers are kept in 8 bits (feed-forward bytes count it already)
    out_copy_bytes: Num  # 1 there: the attention output is kept by its kernel too
    routed_values: (
        Num  # of stream width, kept per routed token: input of its expert; output too where the router needs it
    )
    recompute_share: Num  # of blocks that the recompute policy applies to
    keep_stream: Num
    keep_query: Num
    keep_key: Num
    keep_value: Num
    keep_out: Num
    keep_scores: Num
    keep_lse: Num
    keep_ffn: Num
    keep_routed: Num
    keep_up: Num  # of what latent attention projects up
    stash_stream: Num
    stash_ffn: Num
    imbalance: Num  # tokens of the most loaded expert rank over the mean


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StagePolicy:
    """What a rank holds besides its blocks' activations."""

    sharded_weights: Num
    sharded_gradients: Num
    sharded_optimizer: Num
    weight_bytes: Num
    gradient_bytes: Num
    optimizer_bytes: Num
    step_bytes: Num
    value_bytes: Num
    pad_multiple: Num
    dropout_mask_bytes: Num
    head_norm_bytes: Num
    stage_output_bytes: Num
    gathered_head_bytes: Num
    logit_bytes: Num
    shard_logit_bytes: Num
    logits_sharded: Num
    gathered_blocks: Num
    gathered_weight_bytes: Num
    gathered_gradient_bytes: Num
    buffer_values: Num
    fixed_bytes: Num
    allocator_factor: Num


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemoryPolicy:
    """Choices of the memory recipe as numbers. ``block`` lies on the block axis, ``stage`` on the layout axis."""

    block: BlockPolicy  # recompute policy, attention and norm kernel
    stage: StagePolicy  # sharding, bytes of state, loss, allocator


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemoryColumns:
    """Everything that the peak memory is made of."""

    kinds: BlockColumns
    model: Model
    split: ShardColumns
    stage: StageColumns
    memory: MemoryPolicy


def micro_batch_tokens(x: Columns | MemoryColumns) -> Num:
    """Return the tokens of a micro-batch on one rank."""
    return x.split.micro_batch * x.model.seq_len / x.split.cp


def coefficients(row: Any, *, of: Callable[..., object]) -> dict[str, Any]:
    """Return those fields of a record that a law takes, by the names of its arguments."""
    return {f.name: getattr(row, f.name) for f in fields(row) if f.name in _arguments(of)}


@cache
def _arguments(law: Callable[..., object]) -> frozenset[str]:
    return frozenset(inspect.signature(law).parameters)


def stacked(rows: Sequence[T]) -> T:
    """Return records of numbers as one record of columns."""
    values: dict[str, Any] = {}
    for f in fields(rows[0]):  # type: ignore[arg-type]
        parts = [getattr(row, f.name) for row in rows]
        values[f.name] = stacked(parts) if is_dataclass(parts[0]) else np.array(parts, float)
    return type(rows[0])(**values)


def stacked_kinds(rows: Sequence[Sequence[T]]) -> T:
    """Return the same of shape (kinds, rows), for rows with a record of each of their kinds of block."""
    return type(rows[0][0])(
        **{
            f.name: np.array([[getattr(kind, f.name) for kind in kinds] for kinds in zip(*rows, strict=True)], float)
            for f in fields(rows[0][0])  # type: ignore[arg-type]
        }
    )
