"""The layout axis: from the times of a micro-batch to the time of a step, by cause."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from isocost.laws.pipeline import p2p_exposed_s, pipeline_bubble_s
from isocost.num import Num, safe_div
from isocost.perf.block import BlockTimes, Phase
from isocost.perf.columns import Coefficients, Columns, coefficients, micro_batch_tokens
from isocost.perf.groups import gather_s, group_of, pass_s, send_s

# Share of a backward pass that gradient traffic can hide behind: the last block's gradients come after it.
HIDEABLE_FRAC = 0.9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepTime:
    """Seconds of one optimizer step by cause, on the rank that sets the pace; the fields add up to the step."""

    gemm_s: Num
    expert_s: Num
    attention_s: Num
    pointwise_s: Num
    recompute_s: Num
    head_s: Num
    host_s: Num
    tp_s: Num
    cp_s: Num
    ep_s: Num
    pp_s: Num
    bubble_s: Num
    dp_s: Num
    optimizer_s: Num
    other_s: Num

    @property
    def total_s(self) -> Num:
        """Time of the step: the sum of the fields."""
        return sum((getattr(self, f.name) for f in fields(self)), 0.0)


def step_time(block: BlockTimes, x: Columns, c: Coefficients) -> StepTime:
    """Time of a step of every row, from its block times (already gathered to the layout axis)."""
    model, split, stage, machine = x.model, x.split, x.stage, x.machine
    m = stage.micro_batches
    f, b, r = _under_schedule(block, x, c)
    forward_s, replay_s = f.total_s, r.total_s
    blocks_s = forward_s + b.total_s + replay_s
    layer_s = blocks_s / model.layers
    middle_s = stage.blocks_fullest * layer_s
    last_s = stage.blocks_with_head * layer_s + block.head_s
    head_paces = np.where(last_s > middle_s, 1.0, 0.0)
    slowest_frac = np.where(last_s > middle_s, stage.blocks_with_head, stage.blocks_fullest) / model.layers
    stage_s = np.maximum(middle_s, last_s)

    bubble = pipeline_bubble_s(
        micro_batches=m,
        pp=stage.pp,
        vp=stage.vp,
        slowest_forward_s=slowest_frac * forward_s,
        slowest_backward_weight_s=slowest_frac * block.weight_s,
        slowest_backward_input_s=stage_s - slowest_frac * (forward_s + block.weight_s),
        sum_forward_s=forward_s,
        sum_backward_weight_s=block.weight_s,
        sum_backward_input_s=blocks_s + block.head_s - forward_s - block.weight_s,
        **coefficients(stage.schedule, of=pipeline_bubble_s),
    )

    dense = block.dense_params * slowest_frac + block.end_params
    experts = block.expert_params * slowest_frac
    sharded = np.where(stage.sharding.optimizer > 0, stage.shard_group, 1.0)
    trained = model.trainable_frac
    optimizer_s = c.optimizer_bytes * trained * (dense + experts) / sharded / machine.hbm_bytes_per_s + c.host_step_s
    domains = np.maximum(stage.dp * split.tp * split.cp * stage.pp / machine.domain, 1.0)
    work = m * slowest_frac
    sums = {
        "gemm_s": work * (f.gemm_s + b.gemm_s),
        "expert_s": work * (f.expert_s + b.expert_s),
        "attention_s": work * (f.attention_s + b.attention_s),
        "pointwise_s": work * (f.pointwise_s + b.pointwise_s),
        "recompute_s": work * replay_s,
        "head_s": m * head_paces * block.head_s,
        "host_s": work * (f.host_s + b.host_s),
        "tp_s": work * (f.tp_s + b.tp_s),
        "cp_s": work * (f.cp_s + b.cp_s),
        "ep_s": work * (f.ep_s + b.ep_s),
        "pp_s": _pipeline_s(x, c),
        "bubble_s": bubble,
        "dp_s": _data_parallel_s(block, slowest_frac, dense, experts, x, c),
        "optimizer_s": optimizer_s,
    }
    before: Num = sum(sums.values(), 0.0)
    other = before * c.jitter_frac * np.log2(domains)
    return StepTime(other_s=other, **sums)


def _under_schedule(block: BlockTimes, x: Columns, c: Coefficients) -> tuple[Phase, Phase, Phase]:
    """Forward, backward and replay; a schedule that pairs chunks runs their expert traffic beside another's compute."""
    f, b, r, paired = block.forward, block.backward, block.replay, x.stage.schedule.paired
    traffic_s = f.ep_s + b.ep_s + r.ep_s
    if not (np.any(paired) and np.any(traffic_s)):
        return f, b, r
    compute_s = f.total_s + b.total_s + r.total_s - traffic_s
    waited = safe_div(beside_s(compute_s, traffic_s, c.fsdp_interference), traffic_s)
    waited = np.where(paired > 0, waited, 1.0)
    return replace(f, ep_s=f.ep_s * waited), replace(b, ep_s=b.ep_s * waited), replace(r, ep_s=r.ep_s * waited)


def beside_s(compute_s: Num, traffic_s: Num, interference: Num) -> Num:
    """Return what compute waits for traffic beside it: its excess, and the slowdown of sharing the processor."""
    shared_s = compute_s * (1.0 + interference * np.minimum(safe_div(traffic_s, compute_s), 1.0))
    return np.maximum(shared_s, traffic_s) - compute_s


def _pipeline_s(x: Columns, c: Coefficients) -> Num:
    """Return what a step waits for activations and their gradients between pipeline stages."""
    split, stage = x.split, x.stage
    # Tensor ranks hold the same activation: each sends its share (scatter-gather), with sequence parallelism or
    # without.
    sent_bytes = 2.0 * micro_batch_tokens(x) * x.model.hidden / split.tp
    send = send_s(sent_bytes, split.tp * split.cp * stage.dp, x.machine, _nic(x, c))
    return p2p_exposed_s(
        micro_batches=stage.micro_batches,
        pp=stage.pp,
        vp=stage.vp,
        p2p_s=send,
        blocking_frac=c.pp_exposed,
        **coefficients(stage.schedule, of=p2p_exposed_s),
    )


def _nic(x: Columns, c: Coefficients) -> Num:
    """Return the bytes per second that a rank gets out of the fabric."""
    return x.machine.nic_bytes_per_s * c.fabric


def _data_parallel_s(
    block: BlockTimes, slowest_frac: Num, dense: Num, experts: Num, x: Columns, c: Coefficients
) -> Num:
    """Return what a step waits for gradients and sharded weights.

    ``slowest_frac`` is the share of the model's blocks on the rank, ``dense`` and ``experts`` its parameters.
    """
    model, split, stage, machine, nic = x.model, x.split, x.stage, x.machine, _nic(x, c)
    trained = model.trainable_frac
    reduced_bytes = x.stack.gradient_bytes + x.stack.gather_bytes
    lanes = split.ep * split.expert_tp
    ranks = stage.dp * split.cp * split.tp / lanes
    reduce_s = gather_s(trained * dense * reduced_bytes, stage.dp * split.cp, split.tp, machine, nic)
    reduce_s = reduce_s + gather_s(trained * experts * reduced_bytes, ranks, lanes, machine, nic)
    hidden_s = HIDEABLE_FRAC * block.layer_backward_s * model.layers * slowest_frac
    behind_s = _behind_s(reduce_s, hidden_s, c)
    # Between pipeline stages FSDP keeps what it gathered until the step ends; alone it gathers for every micro-batch.
    rounds = np.where(stage.pp > 1, 1.0, stage.micro_batches)
    gathered_s = rounds * slowest_frac * _gather_exposed_s(block, x, c)
    if np.any(stage.shard_group < stage.dp * split.cp):
        gathered_s = gathered_s + rounds * _replicas_exposed_s(dense + experts, hidden_s, x, c)
    return np.where(stage.sharding.weights > 0, gathered_s, behind_s)


def _replicas_exposed_s(params: Num, hidden_s: Num, x: Columns, c: Coefficients) -> Num:
    """Return what a step waits for the replicas of states that are sharded over fewer ranks than there are (HSDP).

    Each rank all-reduces its share of the gradients with the ranks that hold the same share, after every backward pass
    that scatters them. It hides behind that pass as the traffic of plain data parallelism does.
    """
    split, stage = x.split, x.stage
    share_bytes = x.model.trainable_frac * params * x.stack.gradient_bytes / stage.shard_group
    replicas = stage.dp * split.cp / stage.shard_group
    traffic_s = 2.0 * gather_s(share_bytes, replicas, split.tp * stage.shard_group, x.machine, _nic(x, c))
    return np.where(replicas > 1.0, _behind_s(traffic_s, hidden_s, c), 0.0)


def _behind_s(traffic_s: Num, hidden_s: Num, c: Coefficients) -> Num:
    """Return what shows of gradient traffic behind a backward pass: what does not fit, and a fitted share."""
    return np.maximum(c.dp_exposed * traffic_s, traffic_s - hidden_s)


def _gather_exposed_s(block: BlockTimes, x: Columns, c: Coefficients) -> Num:
    """Return what one micro-batch of ZeRO-3 waits for its gathers and scatters, all blocks."""
    model, machine = x.model, x.machine
    params = (block.dense_params + block.expert_params + 2.0 * block.end_params) / model.layers
    over = group_of(x.stage.shard_group, x.split.tp, machine, _nic(x, c))
    gather = pass_s(params * x.stack.gather_bytes, over, machine)
    scatter = pass_s(params * model.trainable_frac * x.stack.gradient_bytes, over, machine)
    forward = beside_s(block.layer_forward_s, gather, c.fsdp_interference)
    backward = beside_s(block.layer_backward_s, gather + scatter, c.fsdp_interference)
    return model.layers * (forward + backward)
