"""Peak memory of a rank: state, activations, logits and buffers of the pipeline stage that holds most.

Two levels. ``block_memory`` (block axis) gives what one block saves, needs while it is replayed, and its parameters.
``stage_memory`` (layout axis) takes those results gathered to the layouts, and is a few dozen elementwise operations:

    recipe = memory_recipe("megatron-core")
    block = block_memory(
        tokens=4096.0, seq_len=4096.0, hidden=4096.0, heads=32.0, kv_heads=8.0, head_dim=128.0, v_head_dim=128.0,
        ffn_hidden=14336.0, ffn_gated=1.0, tp=2.0, sequence_parallel=1.0,
        **block_coefficients(recipe, recipe.recompute("full"), attention_memory("flash")))
    pp = np.array([1.0, 4.0])
    memory = stage_memory(
        tokens=4096.0, hidden=4096.0, vocab=128256.0, tied_embeddings=0.0, tp=2.0, sequence_parallel=1.0, pp=pp,
        layers_first=32.0 / pp, layers_inner=32.0 / pp, layers_last=32.0 / pp,
        in_flight_first=pp, in_flight_inner=pp - 1.0, in_flight_last=1.0,
        saved_bytes=block.saved_bytes, working_bytes=block.working_bytes,
        dense_params=block.dense_params, expert_params=block.expert_params,
        shard_group=8.0, expert_shard_group=8.0, **stage_coefficients(recipe, "zero1"))
    room = usable_bytes(marketed_bytes=80e9, usable_frac=USABLE_FRAC)
    fits_probability(total_bytes=memory.total, capacity_bytes=room, sigma=FIT_SIGMA)

``dense_params``, ``expert_params`` and ``saved_bytes`` are per block: for a model of several kinds of block, their
means
weighted by the counts in a stage; ``working_bytes`` the largest of them. The stages that can be the largest are the
first
(embedding, most in flight), the second (all its blocks, one less in flight) and the last (head and logits).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isocost.laws import states
from isocost.laws.activations import residual_saved_bytes
from isocost.num import Num
from isocost.term import term

USABLE_FRAC = 0.99  # of the marketed GB, read as 2**30: the driver keeps about 1 % (A100 80 GB: 79.15 GiB visible)
FIT_SIGMA = 0.09  # spread of log(measured / predicted) peak of runs whose recipe is known


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemoryBreakdown:
    """Peak bytes of the rank that holds most, by part; the parts add up to ``total``."""

    weights_bytes: Num
    gradients_bytes: Num
    optimizer_bytes: Num  # with what the optimizer step needs beyond the backward pass
    activations_bytes: Num  # saved, and the working set of one block
    logits_bytes: Num  # 0 where the working set of a block is larger than the loss: they do not coincide
    buffers_bytes: Num  # gathered parameters, communication buffers
    context_bytes: Num  # runtime, libraries, communicators

    @property
    def total(self) -> Num:
        """Sum of the parts."""
        state = self.weights_bytes + self.gradients_bytes + self.optimizer_bytes
        return state + self.activations_bytes + self.logits_bytes + self.buffers_bytes + self.context_bytes


@term(unit="B", source="korthikanti2022")
def stage_activation_bytes(
    *, in_flight: Num, layers: Num, saved_bytes: Num, ends_bytes: Num, stage_output_bytes: Num
) -> Num:
    """bytes = in_flight (layers saved_bytes + ends_bytes + stage_output_bytes).

    Activations a stage keeps for the micro-batches whose backward pass is still to come.

    Args:
        in_flight: micro-batches in flight on the stage (chunks in flight over chunks a stage).
        layers: blocks of the stage.
        saved_bytes: kept per block and micro-batch.
        ends_bytes: kept per micro-batch by the embedding or the head.
        stage_output_bytes: kept per micro-batch by stacks that hold on to what a stage sends.

    Source: korthikanti2022, section 4.2.3.
    """
    return in_flight * (layers * saved_bytes + ends_bytes + stage_output_bytes)


@term(unit="1", source="abramowitz1964", domain={"total_bytes": (1e9, 1e12), "capacity_bytes": (1e9, 1e12)})
def fits_probability(*, total_bytes: Num, capacity_bytes: Num, sigma: Num) -> Num:
    """p = Phi(ln(capacity_bytes / total_bytes) / sigma).

    Probability that a predicted peak fits, its error being log-normal. The normal distribution function is the
    rational approximation 26.2.17, whose absolute error is below 7.5e-8.

    Args:
        total_bytes: predicted peak, positive.
        capacity_bytes: memory a program can use.
        sigma: standard deviation of the log of measured over predicted.

    Source: abramowitz1964, 26.2.17.
    """
    z = np.log(capacity_bytes / total_bytes) / sigma
    t = 1.0 / (1.0 + 0.2316419 * np.abs(z))
    series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    upper_tail = 0.3989422804014327 * np.exp(-0.5 * z * z) * series
    return np.where(z > 0, 1.0 - upper_tail, upper_tail)[()]


@term(unit="B", source="hagemann2023", domain={"marketed_bytes": (1e9, 1e12)})
def usable_bytes(*, marketed_bytes: Num, usable_frac: Num) -> Num:
    """bytes = marketed_bytes / 1e9 2^30 usable_frac.

    Memory a program can use of a card sold as so many "GB" (1e9): the cards hold binary gigabytes, and the driver
    keeps about 1 %.

    Args:
        marketed_bytes: 80e9 for an "80 GB" card.
        usable_frac: share left by the driver.

    Source: hagemann2023 (out-of-memory labels of A100 80 GB).
    """
    return marketed_bytes * (2.0**30 / 1e9) * usable_frac


def stage_memory(
    *,
    tokens: Num,
    hidden: Num,
    vocab: Num,
    tied_embeddings: Num,
    tp: Num,
    sequence_parallel: Num,
    pp: Num,
    layers_first: Num,
    layers_inner: Num,
    layers_last: Num,
    in_flight_first: Num,
    in_flight_inner: Num,
    in_flight_last: Num,
    saved_bytes: Num,
    working_bytes: Num,
    dense_params: Num,
    expert_params: Num,
    shard_group: Num,
    expert_shard_group: Num,
    sharded_weights: Num,
    sharded_gradients: Num,
    sharded_optimizer: Num,
    head_on_first: Num = 0.0,
    stage_copies: Num = 1.0,
    extra_params: Num = 0.0,
    dropout: Num = 0.0,
    weight_bytes: Num,
    gradient_bytes: Num,
    optimizer_bytes: Num,
    step_bytes: Num,
    value_bytes: Num,
    pad_multiple: Num,
    dropout_mask_bytes: Num,
    head_norm_bytes: Num,
    stage_output_bytes: Num,
    gathered_head_bytes: Num,
    logit_bytes: Num,
    shard_logit_bytes: Num,
    logits_sharded: Num,
    gathered_blocks: Num,
    gathered_weight_bytes: Num,
    gathered_gradient_bytes: Num,
    buffer_values: Num,
    fixed_bytes: Num,
    allocator_factor: Num,
) -> MemoryBreakdown:
    """Return the peak by part of the largest stage. Shape, layout and block results come first, then coefficients.

    ``in_flight_*`` count micro-batches (chunks in flight over chunks a stage). ``head_on_first`` is 1 for schedules
    that fold the pipeline (ZB-V, DualPipe); ``stage_copies`` the copies of a stage's blocks on a rank (DualPipe: 2);
    ``extra_params`` those of the first stage beyond the embedding matrix (learned positions). Where pp is 1 the
    inner stage must not exceed the first: pass in_flight_inner <= in_flight_first.
    """
    one_stage = np.where(pp > 1, 0.0, 1.0)
    head_first = np.where(pp > 1, head_on_first, 1.0)  # whether the first stage has the head
    head_last = 1.0 - head_on_first * (1.0 - one_stage)
    stream = tokens * hidden / np.where(sequence_parallel > 0, tp, 1.0)  # values of the residual stream on this rank
    embedding = states.embedding_params(vocab=vocab, pad_multiple=pad_multiple, hidden=hidden, tp=tp)
    loss = states.loss_bytes(
        tokens=tokens,
        vocab=vocab,
        tp=tp,
        logits_sharded=logits_sharded,
        logit_bytes=logit_bytes,
        shard_logit_bytes=shard_logit_bytes,
    )
    end_gather = states.gather_bytes(  # the embedding or the head, a unit of its own
        unit_params=embedding * sharded_weights, gathered_bytes=gathered_weight_bytes, shard_group=shard_group
    )
    head_bytes = residual_saved_bytes(
        tokens=tokens,
        hidden=hidden,
        tp=tp,
        sequence_parallel=sequence_parallel,
        input_bytes=head_norm_bytes - sequence_parallel * gathered_head_bytes,
        gathered_input_bytes=sequence_parallel * gathered_head_bytes,
    )
    mask_bytes = stream * dropout * dropout_mask_bytes / 2.0  # one mask after the embedding; a block has two
    rate = _Rates(
        saved_bytes=saved_bytes,
        working_bytes=working_bytes,
        output_bytes=stream * stage_output_bytes * (1.0 - one_stage),
        buffer_bytes=buffer_values * value_bytes * tokens * hidden * np.where(tp > 1, 1.0, 0.0),
        dense_params=dense_params,
        expert_params=expert_params,
        copies=stage_copies,
        blocks_gathered=gathered_blocks,
        dense=_per_param(
            shard_group,
            (weight_bytes, gradient_bytes, optimizer_bytes, step_bytes),
            (sharded_weights, sharded_gradients, sharded_optimizer, sharded_optimizer),
            gathered_weight_bytes + gathered_gradient_bytes,
        ),
        expert=_per_param(
            expert_shard_group,
            (weight_bytes, gradient_bytes, optimizer_bytes, step_bytes),
            (sharded_weights, sharded_gradients, sharded_optimizer, sharded_optimizer),
            gathered_weight_bytes + gathered_gradient_bytes,
        ),
        allocator=allocator_factor,
    )
    first = _stage(
        rate,
        layers_first,
        in_flight_first,
        embedding * (1.0 + head_first * (1.0 - tied_embeddings)) + extra_params,
        end_gather,
        mask_bytes + head_first * head_bytes,
        head_first * loss,
    )
    inner = _stage(rate, layers_inner, in_flight_inner, 0.0, 0.0, 0.0, 0.0)
    last = _stage(
        rate,
        layers_last,
        in_flight_last,
        embedding * (head_last + one_stage * (1.0 - tied_embeddings)) + one_stage * extra_params,
        end_gather,
        head_last * head_bytes + one_stage * mask_bytes,
        head_last * loss,
    )
    return _breakdown(_larger(_larger(first, inner), last), rate, fixed_bytes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _PerParam:
    """Bytes per parameter on a rank, by part."""

    weights: Num
    gradients: Num
    optimizer: Num
    step: Num  # only during the optimizer step
    gather: Num  # per parameter that is gathered
    state: Num  # weights + gradients + optimizer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rates:
    """What the stages of a layout have in common."""

    saved_bytes: Num
    working_bytes: Num
    output_bytes: Num
    buffer_bytes: Num
    dense_params: Num
    expert_params: Num
    copies: Num
    blocks_gathered: Num
    dense: _PerParam
    expert: _PerParam
    allocator: Num


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stage:
    """One candidate for the largest stage; ``total`` is without fixed bytes."""

    dense: Num
    experts: Num
    held_bytes: Num
    loss_bytes: Num
    gather_bytes: Num
    total: Num


def _per_param(
    group: Num, part_bytes: tuple[Num, Num, Num, Num], sharded: tuple[Num, Num, Num, Num], gathered_bytes: Num
) -> _PerParam:
    weights, gradients, optimizer, step = (
        states.sharded_bytes(params=1.0, state_bytes=part, sharded=flag, shard_group=group)
        for part, flag in zip(part_bytes, sharded, strict=True)
    )
    gather = states.gather_bytes(unit_params=sharded[0], gathered_bytes=gathered_bytes, shard_group=group)
    return _PerParam(
        weights=weights,
        gradients=gradients,
        optimizer=optimizer,
        step=step,
        gather=gather,
        state=weights + gradients + optimizer,
    )


def _stage(
    rate: _Rates, layers: Num, in_flight: Num, end_params: Num, end_gather: Num, ends_bytes: Num, loss: Num
) -> _Stage:
    held = stage_activation_bytes(
        in_flight=in_flight,
        layers=layers,
        saved_bytes=rate.saved_bytes,
        ends_bytes=ends_bytes,
        stage_output_bytes=rate.output_bytes,
    )
    blocks = rate.copies * layers
    gathered = np.minimum(rate.blocks_gathered, blocks)
    dense = blocks * rate.dense_params + end_params
    experts = blocks * rate.expert_params
    gather = gathered * rate.dense_params * rate.dense.gather + end_gather
    gather = gather + gathered * rate.expert_params * rate.expert.gather
    dynamic = rate.allocator * (held + np.maximum(loss, rate.working_bytes) + gather + rate.buffer_bytes)
    step = dense * rate.dense.step + experts * rate.expert.step
    return _Stage(
        dense=dense,
        experts=experts,
        held_bytes=held,
        loss_bytes=loss,
        gather_bytes=gather,
        total=dense * rate.dense.state + experts * rate.expert.state + np.maximum(dynamic, step),
    )


def _larger(a: _Stage, b: _Stage) -> _Stage:
    first = a.total >= b.total
    return _Stage(
        dense=np.where(first, a.dense, b.dense)[()],
        experts=np.where(first, a.experts, b.experts)[()],
        held_bytes=np.where(first, a.held_bytes, b.held_bytes)[()],
        loss_bytes=np.where(first, a.loss_bytes, b.loss_bytes)[()],
        gather_bytes=np.where(first, a.gather_bytes, b.gather_bytes)[()],
        total=np.maximum(a.total, b.total),
    )


def _breakdown(stage: _Stage, rate: _Rates, fixed_bytes: Num) -> MemoryBreakdown:
    dense, expert = rate.dense, rate.expert
    at_loss = stage.loss_bytes > rate.working_bytes  # the larger of the two: they do not coincide
    logits = rate.allocator * np.where(at_loss, stage.loss_bytes, 0.0)
    activations = rate.allocator * (stage.held_bytes + np.where(at_loss, 0.0, rate.working_bytes))
    buffers = rate.allocator * (stage.gather_bytes + rate.buffer_bytes)
    step = stage.dense * dense.step + stage.experts * expert.step
    step_excess = np.maximum(step - (activations + logits + buffers), 0.0)
    return MemoryBreakdown(
        weights_bytes=stage.dense * dense.weights + stage.experts * expert.weights,
        gradients_bytes=stage.dense * dense.gradients + stage.experts * expert.gradients,
        optimizer_bytes=stage.dense * dense.optimizer + stage.experts * expert.optimizer + step_excess,
        activations_bytes=activations,
        logits_bytes=logits,
        buffers_bytes=buffers,
        context_bytes=fixed_bytes + 0.0 * activations,
    )
