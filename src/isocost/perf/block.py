"""The block axis: time of one micro-batch in all blocks of the model and at its ends, by phase and by cause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from isocost.laws import operators as op
from isocost.laws.collectives import members_per_domain
from isocost.laws.kernels import flash_attention_forward_s, gemm_s, grouped_gemm_s
from isocost.num import Num, safe_div, smooth_max
from isocost.perf.columns import Coefficients, Columns, Gemm, Machine, coefficients, micro_batch_tokens
from isocost.perf.groups import exchange_s, gather_s

# Sharpness of the switch between a GPU-bound and a host-bound layer, from a trial on the vTrain rows.
HOST_POWER = 6.0
# Launches grow a little with tensor parallelism: collectives and their stream events.
HOST_TP_POWER = 0.1
# FlashAttention's backward does five products for the forward's two.
BACKWARD_FLOP = 2.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Phase:
    """Seconds of one phase (forward, backward, ...) of one micro-batch through all blocks, by cause; fields add up."""

    gemm_s: Num
    expert_s: Num
    attention_s: Num
    pointwise_s: Num
    host_s: Num
    tp_s: Num
    cp_s: Num
    ep_s: Num

    @property
    def total_s(self) -> Num:
        """Sum of the fields."""
        return sum((getattr(self, f.name) for f in fields(self)), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockTimes:
    """What the layout axis needs to know of one micro-batch."""

    forward: Phase
    backward: Phase  # gradients of inputs and everything not below
    weight_s: Num  # gradients of weights: the part zero-bubble schedules may delay
    replay: Phase  # forward operators run again
    head_s: Num  # embedding, head, loss; forward and backward; on the end stages
    dense_params: Num  # held by one tensor-parallel rank, all blocks
    expert_params: Num
    end_params: Num
    layer_forward_s: Num  # mean over blocks, to overlap traffic with
    layer_backward_s: Num


def kernels(x: Columns) -> Iterator[tuple[Num, Num, Num, Num]]:
    """Yield the dense products of a block on one rank as (1 if the block has it, m, n, k)."""
    kinds, tokens = x.kinds, micro_batch_tokens(x)
    tp, h = x.split.tp, x.model.hidden
    query = kinds.heads * kinds.head_dim
    mla = np.where(kinds.kv_lora_rank > 0, 1.0, 0.0)
    low = np.where(kinds.q_lora_rank > 0, 1.0, 0.0)
    kv_heads = np.maximum(kinds.kv_heads, tp)  # fewer heads than ranks are replicated
    yield 1.0 - mla, tokens, (query + kv_heads * (kinds.head_dim + kinds.v_head_dim)) / tp, h
    # Latent attention: down to the query rank, up from it; down to the shared latent and the rotary key, up from it.
    yield mla * low, tokens, np.maximum(kinds.q_lora_rank, 1.0), h
    yield mla, tokens, query / tp, np.where(kinds.q_lora_rank > 0, kinds.q_lora_rank, h)
    yield mla, tokens, np.maximum(kinds.kv_lora_rank + kinds.rope_head_dim, 1.0), h
    up = kinds.heads * (kinds.head_dim - kinds.rope_head_dim + kinds.v_head_dim)
    yield mla, tokens, up / tp, np.maximum(kinds.kv_lora_rank, 1.0)
    yield 1.0, tokens, h, kinds.heads * kinds.v_head_dim / tp
    for width in (kinds.ffn_hidden, kinds.shared_ffn_hidden):
        there = np.where(width > 0, 1.0, 0.0)
        safe = np.maximum(width, 1.0)
        yield there, tokens, (kinds.ffn_matrices - 1.0) * safe / tp, h
        yield there, tokens, h, safe / tp
    yield np.where(kinds.experts > 0, 1.0, 0.0), tokens, np.maximum(kinds.experts, 1.0), h


def product_s(gemm: Gemm, c: Coefficients, m: Num, n: Num, k: Num, *, out_bytes: Num = 2.0) -> Num:
    """Time of one product in a training step."""
    rates = coefficients(gemm, of=gemm_s) | {"quantise_bytes": gemm.quantise_bytes * c.quantise}
    values = gemm.element_bytes
    return gemm_s(m=m, n=n, k=k, a_bytes=values, b_bytes=values, out_bytes=out_bytes, **rates)


def _sustained(machine: Machine, c: Coefficients) -> Machine:
    """Return the machine at the matrix rates it keeps up through a step."""
    frac = op.sustained_frac(
        at_reference_frac=c.sustained_frac, relative_power=machine.relative_power, power_exponent=c.power_exponent
    )
    gemm, gemm_16bit, experts = machine.gemm, machine.gemm_16bit, machine.experts
    return replace(
        machine,
        gemm=replace(gemm, rate_flop_per_s=gemm.rate_flop_per_s * frac),
        gemm_16bit=replace(gemm_16bit, rate_flop_per_s=gemm_16bit.rate_flop_per_s * frac),
        experts=replace(experts, rate_flop_per_s=experts.rate_flop_per_s * frac),
    )


def block_times(x: Columns, c: Coefficients) -> BlockTimes:
    """Time of one micro-batch of every row; see the module docstring."""
    x = replace(x, machine=_sustained(x.machine, c))
    kinds, model, split, machine, stack = x.kinds, x.model, x.split, x.machine, x.stack
    forward: Num = 0.0
    dgrad: Num = 0.0
    wgrad: Num = 0.0
    weights: Num = 0.0
    for there, m, n, k in kernels(x):
        forward = forward + there * product_s(machine.gemm, c, m, n, k)
        dgrad = dgrad + there * product_s(machine.gemm, c, m, k, n)
        # Weight gradients are added to a 32-bit buffer inside the kernel: read and written.
        wgrad = wgrad + there * product_s(machine.gemm, c, n, k, m, out_bytes=8.0)
        weights = weights + there * n * k

    routed = np.where(kinds.experts > 0, 1.0, 0.0)
    expert_s, expert_params, expert_width = _experts(x, c)
    core_s, score_s = _attention(x, c)
    pointwise_s = _pointwise_s(x, c, expert_width)

    tp_s, cp_s, ep_s = _traffic(x, c)
    launches = c.host_expert - 1.0 + stack.expert_launches * c.host_local_expert * kinds.experts / split.ep
    host_s = c.host_s * np.power(split.tp, HOST_TP_POWER) * (1.0 + routed * launches)

    def whole(part: Num) -> Num:
        return np.asarray(np.sum(kinds.count * part, axis=0))

    def phase(gemm: Num, expert: Num, attention: Num, pointwise: Num, host: Num, traffic: Num) -> Phase:
        gpu = gemm + expert + attention + pointwise + (tp_s + cp_s + ep_s) * traffic
        # A phase that does not run has nothing to launch.
        wait = np.where(gpu > 0, smooth_max(gpu, host, HOST_POWER) - gpu, 0.0)
        return Phase(
            gemm_s=whole(gemm),
            expert_s=whole(expert),
            attention_s=whole(attention),
            pointwise_s=whole(pointwise),
            host_s=whole(wait),
            tp_s=whole(tp_s * traffic),
            cp_s=whole(cp_s * traffic),
            ep_s=whole(ep_s * traffic),
        )

    trained, r = model.trainable_frac, stack.replay_frac
    weight_s = trained * (wgrad + expert_s)
    f = phase(forward, expert_s, c.attention_forward * core_s + score_s, pointwise_s, host_s, 1.0)
    b = phase(
        dgrad + trained * wgrad,
        (1.0 + trained) * expert_s,
        c.attention_backward * BACKWARD_FLOP * core_s + 1.5 * score_s,
        c.backward_pointwise * pointwise_s,
        c.host_backward * host_s,
        1.0,
    )
    again = (c.attention_forward * core_s + score_s) * np.maximum(r, stack.replay_attention_frac)
    replay = phase(forward * r, expert_s * r, again, pointwise_s * r, host_s * r, r)
    head_s, end_params = _ends(x, c)
    layers = np.maximum(model.layers, 1.0)
    layer_forward_s, layer_backward_s = f.total_s / layers, (b.total_s + replay.total_s) / layers
    # A multi-token-prediction block is one more block on the last stage; ``_ends`` counts its pass through the head.
    head_s = head_s + model.mtp_blocks * (layer_forward_s + layer_backward_s)
    return BlockTimes(
        forward=f,
        backward=b,
        weight_s=whole(weight_s),
        replay=replay,
        head_s=head_s,
        dense_params=whole(weights),
        expert_params=whole(expert_params),
        end_params=end_params,
        layer_forward_s=layer_forward_s,
        layer_backward_s=layer_backward_s,
    )


def _experts(x: Columns, c: Coefficients) -> tuple[Num, Num, Num]:
    """Forward time of the routed experts, their parameters on this rank, and the values of their activations a token.

    With balanced routing every rank ends with as many token copies as it sent. ``lanes`` tensor ranks hold different
    tokens when the experts are whole on a rank.
    """
    kinds, model, split, tokens = x.kinds, x.model, x.split, micro_batch_tokens(x)
    routed = np.where(kinds.experts > 0, 1.0, 0.0)
    lanes = split.tp / split.expert_tp
    local = np.maximum(kinds.experts, 1.0) / split.ep
    width = np.maximum(kinds.moe_ffn_hidden, 1.0) / split.expert_tp
    given = x.machine.experts
    rates = replace(
        given,
        width_half=given.width_half + c.expert_width_half,
        row_bytes=given.row_bytes * c.dispatch,
        token_bytes=given.token_bytes * c.dispatch,
    )
    seconds = grouped_gemm_s(
        tokens=tokens / lanes,
        rows=np.maximum(tokens * kinds.experts_topk / lanes, 1.0),
        experts=local,
        hidden=model.hidden,
        expert_hidden=width,
        matrices=kinds.ffn_matrices,
        **coefficients(rates, of=grouped_gemm_s),
    )
    params = routed * local * kinds.ffn_matrices * model.hidden * width
    return routed * c.expert * seconds, params, routed * kinds.ffn_matrices * kinds.experts_topk * width / lanes


def _attention(x: Columns, c: Coefficients) -> tuple[Num, Num]:
    """Time of the attention core forward, and of the memory traffic of scores where the kernel writes them."""
    kinds, model, split, machine, stack = x.kinds, x.model, x.split, x.machine, x.stack
    window = np.where(kinds.window > 0, np.minimum(kinds.window, model.seq_len), model.seq_len)
    keys = op.mean_keys(seq_len=model.seq_len, window=window, chunked=kinds.chunked) * np.where(
        model.packed > 0, c.packed_keys, 1.0
    )
    keys = np.where(stack.square_attention > 0, model.seq_len, keys)
    # Around the context-parallel ring the kernel runs once a step: its fixed cost of a row comes cp times.
    rates = replace(machine.attention, keys_half=machine.attention.keys_half * split.cp)
    core = flash_attention_forward_s(
        sequences=split.micro_batch,
        queries=model.seq_len / split.cp,
        keys=keys,
        kv_tokens=np.minimum(model.seq_len, 2.0 * keys),
        heads=kinds.heads / split.tp,
        kv_heads=np.maximum(kinds.kv_heads / split.tp, 1.0),
        head_dim=kinds.head_dim,
        v_head_dim=kinds.v_head_dim,
        value_bytes=2.0,
        **coefficients(rates, of=flash_attention_forward_s),
    )
    # Training kernels lose less on narrow heads than the inference kernels of the table, or more.
    core = core * np.power(c.attention_narrow, np.clip(np.log2(128.0 / kinds.head_dim), 0.0, 1.0))
    # A head that is no multiple of 8 wide falls off the tensor cores' path, as any ragged matrix does.
    core = core * op.misaligned_factor(extent=kinds.head_dim, slowdown=c.misaligned)
    tokens = micro_batch_tokens(x)
    merged = op.ring_merge_bytes(
        cp=split.cp, tokens=tokens, attention_width=kinds.heads * kinds.v_head_dim / split.tp, bytes_per_value=10.0
    )
    core = core + merged / machine.hbm_bytes_per_s
    scores = tokens * model.seq_len * kinds.heads / split.tp
    return core, stack.score_bytes * c.attention_score * scores / machine.hbm_bytes_per_s


def _pointwise_s(x: Columns, c: Coefficients, expert_width: Num) -> Num:
    """Forward time of a block's pointwise operators and norms."""
    kinds, model, split, tokens = x.kinds, x.model, x.split, micro_batch_tokens(x)
    kv_heads = np.maximum(kinds.kv_heads, split.tp)
    dense_width = kinds.ffn_matrices * (kinds.ffn_hidden + kinds.shared_ffn_hidden) / split.tp
    traffic = op.pointwise_bytes(
        tokens=tokens,
        hidden=model.hidden,
        attention_width=(kinds.heads + 2.0 * kv_heads) * kinds.head_dim / split.tp,
        ffn_width=dense_width + expert_width,
        tp=split.tp,
        sequence_parallel=split.sequence_parallel,
        value_bytes=2.0,
    )
    norm = op.norm_bytes(
        tokens=tokens,
        hidden=model.hidden,
        norms=2.0,
        tp=split.tp,
        sequence_parallel=split.sequence_parallel,
        bytes_per_value=c.norm,
    )
    return (c.pointwise * traffic + norm) / x.machine.hbm_bytes_per_s


def _traffic(x: Columns, c: Coefficients) -> tuple[Num, Num, Num]:
    """Exposed tensor-, context- and expert-parallel traffic of one block in one direction."""
    kinds, model, split, machine, tokens = x.kinds, x.model, x.split, x.machine, micro_batch_tokens(x)
    nic = machine.nic_bytes_per_s * c.fabric
    lanes = split.tp / split.expert_tp
    # A direction has an all-reduce per projection pair, or the same volume as gather and scatter.
    halves = 2.0 * model.collectives_per_block
    tp_s = halves * gather_s(2.0 * tokens * model.hidden, split.tp, 1.0, machine, nic)
    # Keys and values go round once forward; backward their gradients come back as well.
    kv_bytes = 2.0 * tokens * np.maximum(kinds.kv_heads / split.tp, 1.0) * (kinds.head_dim + kinds.v_head_dim)
    cp_s = 1.5 * gather_s(split.cp * kv_bytes, split.cp, split.tp, machine, nic)
    # Dispatch and combine. Where experts are whole on a rank, their group runs over the tensor-parallel ranks too.
    copies_bytes = 2.0 * tokens * kinds.experts_topk * model.hidden / lanes
    # Deduplicated dispatch sends a token once to each domain that has one of its experts, and spreads it there.
    inside = members_per_domain(members=split.ep, stride=split.expert_tp, domain=machine.domain)
    domains = split.ep / inside
    reached = domains * (1.0 - np.power(1.0 - 1.0 / domains, kinds.experts_topk))
    sent_once = np.where(kinds.experts > 0, safe_div(reached, kinds.experts_topk), 1.0)
    thinner = np.where(x.stack.deduplicated > 0, sent_once, 1.0)
    ep_s = 2.0 * exchange_s(copies_bytes, split.ep, split.expert_tp, machine, nic / thinner)
    ep_s = np.where(kinds.experts > 0, ep_s, 0.0)
    return tp_s * c.tp_exposed, cp_s * c.cp_exposed, ep_s * c.ep_exposed


def _ends(x: Columns, c: Coefficients) -> tuple[Num, Num]:
    """Head, loss and embedding of one micro-batch, forward and backward, and the parameters of one end."""
    model, split, machine, tokens = x.model, x.split, x.machine, micro_batch_tokens(x)
    columns, h, gemm = model.vocab / split.tp, model.hidden, machine.gemm_16bit
    head = product_s(gemm, c, tokens, columns, h) + product_s(gemm, c, tokens, h, columns)
    head = head + model.trainable_frac * product_s(gemm, c, columns, h, tokens)
    # Tensor-parallel stacks pad the vocabulary to divide it; others take it as it is.
    ragged = op.misaligned_factor(extent=model.vocab, slowdown=c.misaligned)
    head = head * np.where(split.tp > 1, 1.0, ragged)
    loss = c.loss_bytes * tokens * columns / machine.hbm_bytes_per_s
    # The embedding gathers rows forward and scatters gradients backward; dropout and casts pass over them again.
    embed = 10.0 * tokens * h / machine.hbm_bytes_per_s
    return (1.0 + model.mtp_blocks) * (head + loss) + embed, columns * h
