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

from isocost.laws.memory import MemoryBreakdown
from isocost.num import Num
from isocost.perf.block import BlockTimes, block_times
from isocost.perf.case import Case, coefficients_of
from isocost.perf.columns import Coefficients, Machine, Model, Policy, Split, Tail
from isocost.perf.constants import Constant
from isocost.perf.layout import BLOCK_AXES, STAGE_AXES, Layout
from isocost.perf.layouts import Ints, Layouts, small_axis
from isocost.perf.lowering import columns, memory_columns
from isocost.perf.lowering_memory import capacity_bytes
from isocost.perf.peak import (
    BlockPeak,
    BlockPolicy,
    MemoryPolicy,
    StagePolicy,
    block_peak,
    paced_blocks,
    peak_memory,
    stage_blocks,
)
from isocost.perf.step import StepTime, step_time
from isocost.search.question import Option, Question

T = TypeVar("T")
Floats = NDArray[np.float64]
Index = NDArray[np.intp]
Rows = Index | slice


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _BlockSide:
    """What the step time reads from the block axis."""

    times: BlockTimes
    split: Split
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _PeakSide:
    """What the peak reads from the block axis."""

    peak: BlockPeak
    split: Split


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _StageSide:
    """What both read from the stage axis; of the tail, what depends on dp is filled in on the layout axis."""

    tail: Tail
    stage: StagePolicy
    first: Num  # blocks of the first, an inner and the last rank
    inner: Num
    last: Num


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
        architecture=question.architecture, kind=question.kind, accelerator=option.accelerator, nic_bytes_per_s=nic,
        nic_latency_s=option.fabric.tiers[0].latency_s, site="", user=user, recipe=recipe, precision=precision,
        fp8_recipe="", attention_kernel=question.attention_kernel or recipe.attention_kernel,
        norm_kernel=question.norm_kernel or recipe.norm_kernel, tp_overlap=question.tp_overlap,
        seq_len=question.seq_len, global_batch_seqs=question.global_batch_seqs or 1, layout=Layout(),
    )  # fmt: skip


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
    model: Model
    machine: Machine
    coefficients: Coefficients
    block_policy: BlockPolicy
    peaks: Gather[_PeakSide]
    blocks: Gather[_BlockSide]
    stages: Gather[_StageSide]
    sharding_domain: int = 0  # states are sharded within so many accelerators and replicated beyond; 0: over all ranks

    def _tail(self, rows: Rows, stage: _StageSide, split: Split) -> Tail:
        """Return the tail of these layouts, what depends on dp filled in."""
        dp = self.layouts.dp[rows].astype(float)
        micro_batches = self.case.global_batch_seqs / (dp * split.micro_batch)
        group = dp * split.cp
        if self.sharding_domain:
            inside = np.maximum(self.sharding_domain // split.tp, 1.0)
            group = np.where(group % inside == 0.0, inside, group)
        return replace(stage.tail, dp=dp, micro_batches=micro_batches, shard_group=group)

    def memory(self, rows: Rows) -> MemoryBreakdown:
        """Peak memory of these layouts, by part."""
        side = self.peaks.take(self.axes.block[rows])
        stage = self.stages.take(self.axes.stage[rows])
        policy = MemoryPolicy(block=self.block_policy, stage=stage.stage)
        tail, ranks = self._tail(rows, stage, side.split), (stage.first, stage.inner, stage.last)
        return peak_memory(side.peak, self.model, side.split, tail, policy, ranks)

    def parts(self, rows: Rows) -> tuple[_BlockSide, Tail]:
        """Block times of these layouts, and the rest of each."""
        side = self.blocks.take(self.axes.block[rows])
        return side, self._tail(rows, self.stages.take(self.axes.stage[rows]), side.split)

    def time(self, rows: Rows) -> StepTime:
        """Step time of these layouts, by cause."""
        side, tail = self.parts(rows)
        return step_time(side.times, self.model, side.split, tail, self.machine, side.policy, self.coefficients)


def tables(case: Case, option: Option, layouts: Layouts, axes: SmallAxes, constants: Mapping[str, Constant]) -> Tables:
    """Prepare layouts for evaluation; ``case`` says everything but the layout."""
    recomputes = [case.with_axes(recompute=name) for name in layouts.axes.recompute]
    one, by_recompute, memory = columns([case]), columns(recomputes), memory_columns(recomputes)
    kinds, model, machine = one.kinds, _numbers(one.model), _numbers(one.machine)
    c = Coefficients(**coefficients_of(case, dict(constants)))
    split = _split(axes.blocks)
    place, size = axes.blocks["recompute"].astype(np.intp), len(axes.blocks["recompute"])
    policy = Gather(by_recompute.policy, len(recomputes)).take(place)
    held = MemoryPolicy(
        block=Gather(memory.memory.block, len(recomputes)).take(place),
        stage=_numbers(memory_columns([case]).memory.stage),
    )
    times = block_times(kinds, model, split, machine, policy, c)
    return Tables(
        option=option, case=case, layouts=layouts, axes=axes, model=model, machine=machine, coefficients=c,
        capacity_bytes=capacity_bytes(option.accelerator.memory_bytes), block_policy=held.block,
        peaks=Gather(_PeakSide(peak=block_peak(kinds, model, split, held), split=split), size),
        blocks=Gather(_BlockSide(times=times, split=split, policy=policy), size),
        stages=Gather(_stages(case, layouts, axes.stages), len(axes.stages["pp"])),
    )  # fmt: skip


def _split(blocks: Mapping[str, Ints]) -> Split:
    """Return the block axis as columns."""
    tp, cp, ep, micro_batch, parallel = (
        blocks[name].astype(float) for name in ("tp", "cp", "ep", "micro_batch", "sequence_parallel")
    )
    # With expert parallelism, experts are whole on a rank.
    expert_tp = np.where(ep > 1, 1.0, tp)
    return Split(micro_batch=micro_batch, tp=tp, cp=cp, ep=ep, expert_tp=expert_tp, sequence_parallel=parallel)


def _stages(case: Case, layouts: Layouts, stages: Mapping[str, Ints]) -> _StageSide:
    """Return the stage axis as columns: what a schedule and a sharding mean is looked up in a case of each."""
    by_schedule = columns([case.with_axes(schedule=name) for name in layouts.axes.schedule]).tail
    by_sharding = memory_columns([case.with_axes(sharding=name) for name in layouts.axes.sharding])
    base = columns([case]).tail
    schedule, sharding = stages["schedule"].astype(np.intp), stages["sharding"].astype(np.intp)
    layers = float(case.architecture.layers)
    pp, vp = stages["pp"].astype(float), stages["vp"].astype(float)
    fullest, end = paced_blocks(layers, pp, vp)
    known = {
        "pp": pp, "vp": vp, "layers_max": fullest, "layers_last": end,
        "dp": 1.0, "micro_batches": 1.0, "shard_group": 1.0,  # filled in on the layout axis
    }  # fmt: skip
    looked_up = {}
    for f in fields(Tail):
        of_schedule, of_sharding = getattr(by_schedule, f.name), getattr(by_sharding.tail, f.name)
        # The base case has neither schedule nor sharding: what a sharding changes in it is the sharding's to say.
        varies = bool((of_sharding != getattr(base, f.name)).any())
        looked_up[f.name] = of_sharding[sharding] if varies else of_schedule[schedule]
    stage = Gather(by_sharding.memory.stage, len(layouts.axes.sharding)).take(sharding)
    tail = Tail(**(looked_up | known))
    first, inner, last = stage_blocks(layers, tail.pp, tail.vp, tail.head_on_first)
    return _StageSide(tail=tail, stage=stage, first=first, inner=inner, last=last)
