"""One option at one precision: constants as numbers, and block results computed once for the layouts to gather.

Everything that a layout shares with others is on a small axis: blocks (tp, cp, ep, micro-batch, sequence
parallelism, recompute) and stages (pp, vp, schedule, sharding). A million layouts then cost a gather and the operations
of the layout axis. The laws are those that evaluate a single case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from isocost.catalog.memory_recipes import SHARDING
from isocost.laws.pipeline import SCHEDULES, Schedule
from isocost.perf.block import BlockTimes, block_times
from isocost.perf.block_memory import BlockMemory
from isocost.perf.case import Case, coefficients_of
from isocost.perf.columns import (
    Coefficients,
    Columns,
    MemoryColumns,
    ShardColumns,
    StackColumns,
    StageColumns,
    StagePolicy,
    stacked,
)
from isocost.perf.constants import Constant
from isocost.perf.layout import BLOCK_AXES, STAGE_AXES, Layout
from isocost.perf.layouts import Ints, Layouts, small_axis
from isocost.perf.lowering import columns, memory_columns
from isocost.perf.lowering_memory import capacity_bytes
from isocost.perf.peak import MemoryBreakdown, block_peak, paced_blocks, peak_memory, stage_blocks
from isocost.perf.step import StepTime, step_time
from isocost.search.question import Option, Question

T = TypeVar("T")
Floats = NDArray[np.float64]
Index = NDArray[np.intp]
Rows = Index | slice

# What is legal under a schedule was asked when the layouts were made: no column of it is gathered.
_LEGAL: Mapping[str, Any] = {f.name: f.default for f in fields(Schedule) if not isinstance(f.default, float)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _BlockSide:
    """What the step time reads from the block axis."""

    times: BlockTimes
    split: ShardColumns
    stack: StackColumns


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _PeakSide:
    """What the peak reads from the block axis."""

    peak: BlockMemory
    split: ShardColumns


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _StageSide:
    """What both read from the stage axis; of the columns, what depends on dp is filled in on the layout axis."""

    stage: StageColumns
    policy: StagePolicy


class Gather(Generic[T]):
    """A record on a small axis, to be taken to a large one; fields that are the same everywhere stay numbers."""

    def __init__(self, record: T, size: int) -> None:
        full = [np.broadcast_to(np.asarray(leaf, float), (size,)) for leaf in _leaves(record)]
        self._template = record
        self._constant = [float(leaf[0]) if (leaf == leaf[0]).all() else None for leaf in full]
        varying = [leaf for leaf, constant in zip(full, self._constant, strict=True) if constant is None]
        self._table: Floats = np.array(varying).reshape(len(varying), size)

    def take(self, index: Index) -> T:
        """Return the record at these places of the small axis."""
        # A column at a time: each is freed as soon as its law is done, which a row of a block of all would not be.
        rows = iter([np.take(column, index, mode="clip") for column in self._table])
        values = (next(rows) if constant is None else constant for constant in self._constant)
        return _rebuilt(self._template, values)


def _leaves(record: object) -> Iterator[Any]:
    for f in fields(record):  # type: ignore[arg-type]
        value = getattr(record, f.name)
        if is_dataclass(value):
            yield from _leaves(value)
        else:
            yield value


def _rebuilt(template: T, values: Iterator[Any]) -> T:
    parts = {
        f.name: _rebuilt(part, values) if is_dataclass(part := getattr(template, f.name)) else next(values)
        for f in fields(template)  # type: ignore[arg-type]
    }
    return type(template)(**parts)


def nic_bytes_per_s(option: Option) -> float:
    """Bandwidth of one accelerator into the fabric, at the nearest tier.

    A tier above thins only what crosses it. Ranks are placed in order, so a ring over many pods crosses each boundary
    with one link of hundreds, and a 7:1 spine still carries it (llama3herd); all-to-all stays within a pod as a rule.
    """
    fabric, own = option.fabric, option.accelerator.nic_bytes_per_s
    return min(own or fabric.bytes_per_s, fabric.bytes_per_s) / fabric.tiers[0].oversubscription


def base_case(question: Question, option: Option, precision: str, nic: float) -> Case:
    """Return a case of this option and precision, its layout the simplest: to be replaced by any other."""
    recipe = question.recipe
    user = question.calibration.name if question.calibration else ""
    return Case(
        architecture=question.architecture,
        kind=question.kind,
        accelerator=option.accelerator,
        nic_bytes_per_s=nic,
        nic_latency_s=option.fabric.tiers[0].latency_s,
        site="",
        user=user,
        recipe=recipe,
        precision=precision,
        fp8_recipe="",
        attention_kernel=question.attention_kernel or recipe.attention_kernel,
        norm_kernel=question.norm_kernel or recipe.norm_kernel,
        tp_overlap=question.tp_overlap,
        seq_len=question.seq_len,
        global_batch_seqs=question.global_batch_seqs or 1,
        layout=Layout(),
    )


def _numbers(record: T) -> T:
    """Return a record of one row as numbers; (kinds, 1) columns stay columns."""
    return _rebuilt(record, (float(leaf[0]) if leaf.shape == (1,) else leaf for leaf in _leaves(record)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SmallAxes:
    """Unique blocks and stages of a set of layouts, and the place of every layout among them."""

    blocks: Mapping[str, Ints]
    block: Index
    stages: Mapping[str, Ints]
    stage: Index


def small_axes(layouts: Layouts) -> SmallAxes:
    """Return the small axes of a set of layouts; the same for every option and precision."""
    blocks, block = small_axis(layouts, BLOCK_AXES)
    stages, stage = small_axis(layouts, STAGE_AXES)
    return SmallAxes(blocks=blocks, block=block, stages=stages, stage=stage)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tables:
    """All that is needed to evaluate the layouts of one option at one precision."""

    option: Option
    case: Case
    layouts: Layouts
    axes: SmallAxes
    capacity_bytes: float
    coefficients: Coefficients
    step: Columns  # of the case: what the block and the stage axis say is put in for each layout
    held: MemoryColumns
    peaks: Gather[_PeakSide]
    blocks: Gather[_BlockSide]
    stages: Gather[_StageSide]
    sharding_domain: int = 0  # states are sharded within so many accelerators and replicated beyond; 0: over all ranks

    def _stage(self, rows: Rows, stage: StageColumns, split: ShardColumns) -> StageColumns:
        """Return the stages of these layouts, what depends on dp filled in."""
        dp = self.layouts.dp[rows].astype(float)
        micro_batches = self.case.global_batch_seqs / (dp * split.micro_batch)
        group = dp * split.cp
        if self.sharding_domain:
            inside = np.maximum(self.sharding_domain // split.tp, 1.0)
            group = np.where(group % inside == 0.0, inside, group)
        return replace(stage, dp=dp, micro_batches=micro_batches, shard_group=group)

    def memory(self, rows: Rows) -> MemoryBreakdown:
        """Peak memory of these layouts, by part."""
        side = self.peaks.take(self.axes.block[rows])
        at = self.stages.take(self.axes.stage[rows])
        stage, policy = self._stage(rows, at.stage, side.split), replace(self.held.memory, stage=at.policy)
        return peak_memory(side.peak, replace(self.held, split=side.split, stage=stage, memory=policy))

    def parts(self, rows: Rows) -> tuple[BlockTimes, Columns]:
        """Block times of these layouts, and the columns of each."""
        side = self.blocks.take(self.axes.block[rows])
        stage = self._stage(rows, self.stages.take(self.axes.stage[rows]).stage, side.split)
        return side.times, replace(self.step, split=side.split, stack=side.stack, stage=stage)

    def time(self, rows: Rows) -> StepTime:
        """Step time of these layouts, by cause."""
        times, x = self.parts(rows)
        return step_time(times, x, self.coefficients)


def tables(case: Case, option: Option, layouts: Layouts, axes: SmallAxes, constants: Mapping[str, Constant]) -> Tables:
    """Prepare layouts for evaluation; ``case`` says everything but the layout."""
    recomputes = [case.with_axes(recompute=name) for name in layouts.axes.recompute]
    place, size = axes.blocks["recompute"].astype(np.intp), len(axes.blocks["recompute"])
    one, held = columns([case]), memory_columns([case])
    model, split = _numbers(one.model), _split(axes.blocks)
    stack = Gather(columns(recomputes).stack, len(recomputes)).take(place)
    kept = Gather(memory_columns(recomputes).memory.block, len(recomputes)).take(place)
    one = replace(one, model=model, machine=_numbers(one.machine), split=split, stack=stack)
    held = replace(held, model=model, split=split, memory=replace(held.memory, block=kept))
    c = Coefficients(**coefficients_of(case, dict(constants)))
    return Tables(
        option=option,
        case=case,
        layouts=layouts,
        axes=axes,
        coefficients=c,
        step=one,
        held=held,
        capacity_bytes=capacity_bytes(option.accelerator.memory_bytes),
        peaks=Gather(_PeakSide(peak=block_peak(held), split=split), size),
        blocks=Gather(_BlockSide(times=block_times(one, c), split=split, stack=stack), size),
        stages=Gather(_stages(case, layouts, axes.stages), len(axes.stages["pp"])),
    )


def _split(blocks: Mapping[str, Ints]) -> ShardColumns:
    """Return the block axis as columns."""
    tp, cp, ep, micro_batch, parallel = (
        blocks[name].astype(float) for name in ("tp", "cp", "ep", "micro_batch", "sequence_parallel")
    )
    # With expert parallelism, experts are whole on a rank.
    expert_tp = np.where(ep > 1, 1.0, tp)
    return ShardColumns(micro_batch=micro_batch, tp=tp, cp=cp, ep=ep, expert_tp=expert_tp, sequence_parallel=parallel)


def _stages(case: Case, layouts: Layouts, stages: Mapping[str, Ints]) -> _StageSide:
    """Return the stage axis as columns: what a schedule and a sharding mean is looked up in a row of each."""
    names, shardings = layouts.axes.schedule, layouts.axes.sharding
    place, sharded = stages["schedule"].astype(np.intp), stages["sharding"].astype(np.intp)
    coefficients = replace(stacked([SCHEDULES[name] for name in names]), **_LEGAL)
    schedule = Gather(coefficients, len(names)).take(place)
    sharding = Gather(stacked([SHARDING[name] for name in shardings]), len(shardings)).take(sharded)
    policies = memory_columns([case.with_axes(sharding=name) for name in shardings]).memory.stage
    layers, pp, vp = float(case.architecture.layers), stages["pp"].astype(float), stages["vp"].astype(float)
    fullest, with_head = paced_blocks(layers, pp, vp)
    first, inner, last = stage_blocks(layers, pp, vp, schedule.folded)
    return _StageSide(
        stage=StageColumns(
            pp=pp,
            vp=vp,
            blocks_fullest=fullest,
            blocks_with_head=with_head,
            blocks_first=first,
            blocks_inner=inner,
            blocks_last=last,
            schedule=schedule,
            sharding=sharding,
            dp=1.0,
            micro_batches=1.0,
            shard_group=1.0,  # filled in on the layout axis
        ),
        policy=Gather(policies, len(shardings)).take(sharded),
    )
