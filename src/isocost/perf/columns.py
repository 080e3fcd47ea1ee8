"""The columns the evaluation reads: every choice already resolved to a number.

Shapes: ``Kinds`` is (kinds, rows); all others are (rows,) or scalars, and broadcast. Rows are combinations of a
search, or measured runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from isocost.num import Num


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kinds:
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
class Split:
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
class Policy:
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
class Tail:
    """The rest of a layout."""

    pp: Num
    vp: Num
    dp: Num
    micro_batches: Num
    layers_max: Num  # of the fullest stage
    layers_last: Num  # of the stage with the head
    zero1: Num  # 1 where optimizer states are sharded (ZeRO 1 and up)
    zero3: Num  # 1 where parameters are sharded (ZeRO-3, FSDP)
    shard_group: Num  # ranks over which states are sharded
    ramp_per_pp: Num  # coefficients of the schedule, see laws/pipeline.py
    forward_coef: Num
    input_coef: Num
    weight_coef: Num
    fill_per_ramp: Num
    vp_split: Num
    paired: Num
    ramp_hops: Num
    steady_hops: Num
    in_flight_const: Num
    in_flight_per_pp: Num
    in_flight_per_stage: Num
    in_flight_per_micro_batch: Num
    model_copies: Num  # parameter sets of a rank's share
    head_on_first: Num  # 1 where the schedule folds the pipeline: the first rank has both ends of the model
