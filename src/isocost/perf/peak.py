"""Peak memory of many configurations at once: ``block_peak`` on the block axis, ``peak_memory`` on the layout axis.

Both read the same columns as the step time, and ``MemoryPolicy`` for what the stack, the kernels and the recompute
policy hold. A stage holds its blocks in the proportions of the whole model; ``stage_blocks`` counts them. The stages
that can be the largest are the first (embedding, most in flight), the second (all its blocks, one less in flight) and
the last (head and logits).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isocost.laws import states
from isocost.laws.activations import residual_saved_bytes
from isocost.laws.memory import stage_activation_bytes
from isocost.laws.pipeline import in_flight
from isocost.num import Num, ceil_div
from isocost.perf.block_memory import BlockMemory, block_memory
from isocost.perf.columns import MemoryColumns, coefficients, micro_batch_tokens


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


def block_peak(x: MemoryColumns) -> BlockMemory:
    """Return the memory of a block on every row: the mean over the kinds, and working bytes of the largest kind."""
    kinds, memory = x.kinds, block_memory(x)

    def mean(part: Num) -> Num:
        whole: Num = np.sum(kinds.count * part, axis=0)
        return whole / x.model.layers

    return BlockMemory(
        saved_bytes=mean(memory.saved_bytes),
        working_bytes=np.max(np.where(kinds.count > 0, memory.working_bytes, 0.0), axis=0),
        dense_params=mean(memory.dense_params),
        expert_params=mean(memory.expert_params),
    )


def stage_blocks(layers: Num, pp: Num, vp: Num, folded: Num) -> tuple[Num, Num, Num]:
    """Blocks of the first, of an inner and of the last rank of a pipeline.

    Equal where they divide; where they would with the embedding or the head (or both) counted as a block, the ends
    carry one fewer (``account_for_embedding_in_pipeline_split``); otherwise whole blocks, rounded up, and the last rank
    has the rest. ``folded`` is 1 where both ends of the model lie on the first rank (ZB-V, DualPipe).
    """
    chunks = np.where(pp > 1, pp * vp, 1.0)
    even, both, head = (np.remainder(layers + ends, chunks) == 0 for ends in (0.0, 2.0, 1.0))
    padded = layers + np.where(even, 0.0, np.where(both, 2.0, np.where(head, 1.0, 0.0)))
    per = ceil_div(padded, chunks) * chunks / pp
    fewer_first = np.where(~even & both, 1.0, 0.0)
    fewer_last = np.where(~even & both, 1.0, per * pp - layers)
    folds = folded * np.where(pp > 1, 1.0, 0.0)
    first = per - fewer_first - folds * fewer_last
    last = per - (1.0 - folds) * fewer_last
    # Of two ranks none is inner, and of one: the last stands for it.
    return np.maximum(first, 0.0), np.where(pp > 2, per, np.maximum(last, 1.0)), np.maximum(last, 1.0)


def paced_blocks(layers: Num, pp: Num, vp: Num) -> tuple[Num, Num]:
    """Blocks of the fullest rank and of the one with the head, which pace a pipeline between them."""
    first, inner, last = stage_blocks(layers, pp, vp, 0.0)
    return np.maximum(first, inner), last


def peak_memory(block: BlockMemory, x: MemoryColumns) -> MemoryBreakdown:
    """Return the peak by part of the fullest rank of every row, from its blocks (gathered to the layout axis)."""
    stage, p = x.stage, x.memory.stage
    inner, first, last = (_held(x, rank) for rank in (np.minimum(1.0, stage.pp - 1.0), 0.0, stage.pp - 1.0))
    ends, rate = _ends(x), _rates(block, x)
    largest = _stage(rate, stage.blocks_first, first, ends.first)
    largest = _larger(largest, _stage(rate, stage.blocks_inner, inner, _NO_END))
    largest = _larger(largest, _stage(rate, stage.blocks_last, last, ends.last))
    return _breakdown(largest, rate, p.fixed_bytes)


def _held(x: MemoryColumns, rank: Num) -> Num:
    """Return the micro-batches in flight on a rank of the pipeline."""
    stage = x.stage
    return in_flight(
        stage=rank,
        pp=stage.pp,
        vp=stage.vp,
        micro_batches=stage.micro_batches,
        **coefficients(stage.schedule, of=in_flight),
    )


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

    block: BlockMemory
    output_bytes: Num  # kept per micro-batch by stacks that hold on to what a stage sends
    buffer_bytes: Num
    copies: Num  # of a stage's blocks on a rank
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _End:
    """What a stage holds for the embedding, the head or both."""

    params: Num
    gather_bytes: Num  # where the ends are sharded and gathered: units of their own
    saved_bytes: Num  # per micro-batch in flight
    loss_bytes: Num


_NO_END = _End(params=0.0, gather_bytes=0.0, saved_bytes=0.0, loss_bytes=0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ends:
    """The ends on the first and on the last stage."""

    first: _End
    last: _End


def _ends(x: MemoryColumns) -> _Ends:
    """Return which end of the model lies where: one stage has both, and so has the first of a folded pipeline."""
    model, split, stage, p = x.model, x.split, x.stage, x.memory.stage
    tokens, sequence_parallel = micro_batch_tokens(x), split.sequence_parallel
    alone = np.where(stage.pp > 1, 0.0, 1.0)
    head_first = np.where(stage.pp > 1, stage.schedule.folded, 1.0)
    head_last = 1.0 - stage.schedule.folded * (1.0 - alone)
    embedding = states.embedding_params(
        vocab=model.vocab, pad_multiple=p.pad_multiple, hidden=model.hidden, tp=split.tp
    )
    loss_bytes = states.loss_bytes(
        tokens=tokens,
        vocab=model.vocab,
        tp=split.tp,
        logits_sharded=p.logits_sharded,
        logit_bytes=p.logit_bytes,
        shard_logit_bytes=p.shard_logit_bytes,
    )
    gather_bytes = states.gather_bytes(
        unit_params=embedding * p.sharded_weights,
        gathered_bytes=p.gathered_weight_bytes,
        shard_group=stage.shard_group,
    )
    head_bytes = residual_saved_bytes(
        tokens=tokens,
        hidden=model.hidden,
        tp=split.tp,
        sequence_parallel=sequence_parallel,
        input_bytes=p.head_norm_bytes - sequence_parallel * p.gathered_head_bytes,
        gathered_input_bytes=sequence_parallel * p.gathered_head_bytes,
    )
    mask_bytes = _stream(x) * model.dropout * p.dropout_mask_bytes / 2.0  # one behind the embedding; a block has two
    return _Ends(
        first=_End(
            params=embedding * (1.0 + head_first * (1.0 - model.tied_embeddings)) + model.position_params,
            gather_bytes=gather_bytes,
            saved_bytes=mask_bytes + head_first * head_bytes,
            loss_bytes=head_first * loss_bytes,
        ),
        last=_End(
            params=embedding * (head_last + alone * (1.0 - model.tied_embeddings)) + alone * model.position_params,
            gather_bytes=gather_bytes,
            saved_bytes=head_last * head_bytes + alone * mask_bytes,
            loss_bytes=head_last * loss_bytes,
        ),
    )


def _stream(x: MemoryColumns) -> Num:
    """Return the values of the residual stream on a rank."""
    return micro_batch_tokens(x) * x.model.hidden / np.where(x.split.sequence_parallel > 0, x.split.tp, 1.0)


def _rates(block: BlockMemory, x: MemoryColumns) -> _Rates:
    model, split, stage, p = x.model, x.split, x.stage, x.memory.stage
    several = 1.0 - np.where(stage.pp > 1, 0.0, 1.0)
    # The ranks that share states, in groups that hold the same experts.
    expert_group = np.maximum(stage.shard_group * split.tp / (split.ep * split.expert_tp), 1.0)
    return _Rates(
        block=block,
        output_bytes=_stream(x) * p.stage_output_bytes * several,
        buffer_bytes=p.buffer_values
        * p.value_bytes
        * micro_batch_tokens(x)
        * model.hidden
        * np.where(split.tp > 1, 1.0, 0.0),
        copies=stage.schedule.model_copies,
        blocks_gathered=p.gathered_blocks,
        dense=_per_param(stage.shard_group, x),
        expert=_per_param(expert_group, x),
        allocator=p.allocator_factor,
    )


def _per_param(group: Num, x: MemoryColumns) -> _PerParam:
    """Return what is held of a parameter whose states are shared by a group of ranks."""
    p, trained = x.memory.stage, x.model.trainable_frac  # frozen weights (LoRA) have neither gradients nor states
    weights, gradients, optimizer, step = (
        states.sharded_bytes(params=1.0, state_bytes=part, sharded=sharded, shard_group=group)
        for part, sharded in (
            (p.weight_bytes, p.sharded_weights),
            (p.gradient_bytes * trained, p.sharded_gradients),
            (p.optimizer_bytes * trained, p.sharded_optimizer),
            (p.step_bytes * trained, p.sharded_optimizer),
        )
    )
    gathered_bytes = p.gathered_weight_bytes + p.gathered_gradient_bytes
    gather = states.gather_bytes(unit_params=p.sharded_weights, gathered_bytes=gathered_bytes, shard_group=group)
    return _PerParam(
        weights=weights,
        gradients=gradients,
        optimizer=optimizer,
        step=step,
        gather=gather,
        state=weights + gradients + optimizer,
    )


def _stage(rate: _Rates, layers: Num, in_flight: Num, end: _End) -> _Stage:
    block = rate.block
    held = stage_activation_bytes(
        in_flight=in_flight,
        layers=layers,
        saved_bytes=block.saved_bytes,
        ends_bytes=end.saved_bytes,
        stage_output_bytes=rate.output_bytes,
    )
    blocks = rate.copies * layers
    gathered = np.minimum(rate.blocks_gathered, blocks)
    dense = blocks * block.dense_params + end.params
    experts = blocks * block.expert_params
    gather = gathered * block.dense_params * rate.dense.gather + end.gather_bytes
    gather = gather + gathered * block.expert_params * rate.expert.gather
    dynamic = rate.allocator * (held + np.maximum(end.loss_bytes, block.working_bytes) + gather + rate.buffer_bytes)
    step = dense * rate.dense.step + experts * rate.expert.step
    return _Stage(
        dense=dense,
        experts=experts,
        held_bytes=held,
        loss_bytes=end.loss_bytes,
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
    at_loss = stage.loss_bytes > rate.block.working_bytes  # the larger of the two: they do not coincide
    logits = rate.allocator * np.where(at_loss, stage.loss_bytes, 0.0)
    activations = rate.allocator * (stage.held_bytes + np.where(at_loss, 0.0, rate.block.working_bytes))
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
