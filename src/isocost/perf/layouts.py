"""Legal parallel layouts as arrays, and the count of illegal ones by the first rule they break.

Layouts are those of a fixed global batch, on each count of GPUs. Precision, like the accelerator, is no axis of them:
they are the same for all.
The product of the axes is never written out: an axis is joined at a time, and what breaks a rule is dropped before the
next one, with the number of members of the full product that it stands for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocost.catalog.stacks import PLAIN_SCHEDULES
from isocost.laws.pipeline import SCHEDULES
from isocost.perf.layout import AXES, CHOICES, COUNTS, RECOMPUTES, SHARDINGS, Layout
from isocost.workload.architecture import Architecture

Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]

# Beyond these, published runs are rare, and every legal value may still be given by hand.
LARGEST_TP = 64
LARGEST_PP = 64
LARGEST_VP = 20
LARGEST_CP = 16
LARGEST_MICRO_BATCH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """Values to combine; choices by name."""

    gpus: tuple[int, ...]
    tp: tuple[int, ...]
    pp: tuple[int, ...]
    vp: tuple[int, ...]
    cp: tuple[int, ...]
    ep: tuple[int, ...]
    micro_batch: tuple[int, ...]
    sequence_parallel: tuple[bool, ...]
    recompute: tuple[str, ...]
    sharding: tuple[str, ...]
    schedule: tuple[str, ...]

    @property
    def size(self) -> int:
        """Members of the full product, legal or not."""
        return math.prod(len(getattr(self, f.name)) for f in fields(self))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layouts:
    """Legal layouts, one a row, read-only; ``recompute``, ``sharding`` and ``schedule`` are places in the axes."""

    axes: Axes
    gpus: Ints
    tp: Ints
    pp: Ints
    vp: Ints
    cp: Ints
    ep: Ints
    dp: Ints
    micro_batch: Ints
    sequence_parallel: Ints
    recompute: Ints
    sharding: Ints
    schedule: Ints
    illegal: Mapping[str, int]  # members of the full product dropped, by the first rule they break

    def __len__(self) -> int:
        return len(self.gpus)

    def row(self, index: int) -> Layout:
        """Return one layout."""
        counts: dict[str, Any] = {name: int(getattr(self, name)[index]) for name in COUNTS}
        choices = {name: getattr(self.axes, name)[getattr(self, name)[index]] for name in CHOICES}
        return Layout(sequence_parallel=bool(self.sequence_parallel[index]), **counts, **choices)


def default_axes(
    architecture: Architecture,
    gpu_counts: Iterable[int],
    fixed: Mapping[str, object] | None = None,
    *,
    schedules: tuple[str, ...] = PLAIN_SCHEDULES,
    shardings: tuple[str, ...] = SHARDINGS,
) -> Axes:
    """Usual values of every axis for a model; ``fixed`` replaces an axis by one value."""
    layers = architecture.layers
    experts = [b.experts for b in architecture.blocks if b.experts]
    stages = [p for p in range(1, min(layers, LARGEST_PP) + 1) if _power_of_two(p) or _divides(layers, p)]
    usual: dict[str, tuple[object, ...]] = {
        "gpus": tuple(sorted(set(gpu_counts))),
        "tp": tuple(_powers(LARGEST_TP)),
        "pp": tuple(stages),
        "vp": tuple(v for v in range(1, LARGEST_VP + 1) if v == 1 or any(_divides(layers, p * v) for p in stages)),
        "cp": tuple(_powers(LARGEST_CP)),
        "ep": tuple(e for e in _powers(max(experts)) if all(n % e == 0 for n in experts)) if experts else (1,),
        "micro_batch": tuple(_powers(LARGEST_MICRO_BATCH)),
        "sequence_parallel": (False, True),
        "recompute": RECOMPUTES,
        "sharding": shardings,
        "schedule": schedules,
    }
    held = {name: (value,) for name, value in (fixed or {}).items() if name in usual}
    return Axes(**(usual | held))  # type: ignore[arg-type]


def _powers(most: int) -> list[int]:
    return [1 << k for k in range(most.bit_length()) if 1 << k <= most]


def _power_of_two(n: int) -> bool:
    return n & (n - 1) == 0


def _divides(layers: int, chunks: int) -> bool:
    """Whether layers fill the chunks evenly, with none, one or both of embedding and head counted as a layer."""
    return any((layers + ends) % chunks == 0 for ends in (0, 1, 2))


@dataclass(slots=True, eq=False)
class _Rows:
    """Partial layouts while axes are joined: columns, and what was dropped so far."""

    columns: dict[str, Ints]
    illegal: dict[str, int]

    def keep(self, weight: int, *rules: tuple[str, Bools]) -> None:
        """Drop rows that break a rule, each under the first it breaks; a row stands for ``weight`` layouts."""
        legal = np.ones(len(self.columns["gpus"]), bool)
        for reason, broken in rules:
            self.count(reason, weight * int(np.count_nonzero(legal & broken)))
            legal &= ~broken
        if not legal.all():
            self.columns = {name: column[legal] for name, column in self.columns.items()}

    def count(self, reason: str, dropped: int) -> None:
        """Add to the layouts dropped for a reason."""
        if dropped:
            self.illegal[reason] = self.illegal.get(reason, 0) + dropped

    def join(self, name: str, values: Ints) -> None:
        """Combine every row with every value."""
        rows = len(self.columns["gpus"])
        self.columns = {key: np.repeat(column, len(values)) for key, column in self.columns.items()}
        self.columns[name] = np.tile(values, rows)


def legal_layouts(
    architecture: Architecture, axes: Axes, *, seq_len: int, global_batch_seqs: int, domain: int
) -> Layouts:
    """All legal combinations of the axes for a global batch; ``domain`` is the GPUs that a fast link joins."""
    rows = _degrees(architecture, axes, seq_len, global_batch_seqs, domain)
    _join_experts(rows, architecture, axes)
    rows.join("micro_batch", _ints(axes.micro_batch))
    dp, micro = rows.columns["dp"], rows.columns["micro_batch"]
    weight = _weight(axes, "vp", "schedule", "sharding", "sequence_parallel", "recompute")
    rows.keep(weight, ("batch not divisible by dp x micro-batch", global_batch_seqs % (dp * micro) != 0))
    _join_schedules(rows, architecture.layers, axes, global_batch_seqs)
    _join_shardings(rows, axes)
    rows.join("sequence_parallel", _ints(axes.sequence_parallel))
    c = rows.columns
    rows.keep(
        len(axes.recompute),
        ("sequence parallelism needs tp > 1", (c["sequence_parallel"] > 0) & (c["tp"] == 1)),
        ("sequence not divisible by cp x tp", (c["sequence_parallel"] > 0) & (seq_len % (c["cp"] * c["tp"]) != 0)),
    )
    rows.join("recompute", _ints(range(len(axes.recompute))))
    columns = {name: rows.columns[name] for name in ("gpus", *AXES)}
    for column in columns.values():
        column.flags.writeable = False
    return Layouts(axes=axes, illegal=MappingProxyType(rows.illegal), **columns)


def _ints(values: Iterable[int]) -> Ints:
    return np.array(list(values), np.int32)


def _weight(axes: Axes, *names: str) -> int:
    """Layouts that a row stands for while these axes are still to be joined."""
    return math.prod(len(getattr(axes, name)) for name in names)


def _degrees(architecture: Architecture, axes: Axes, seq_len: int, global_batch_seqs: int, domain: int) -> _Rows:
    """Return combinations of gpus, tp, pp and cp; dp is what is left."""
    grid = np.meshgrid(*(_ints(getattr(axes, n)) for n in ("gpus", "tp", "pp", "cp")), indexing="ij")
    gpus, tp, pp, cp = (np.ascontiguousarray(part.ravel()) for part in grid)
    ranks = tp * pp * cp
    dp = np.maximum(gpus // ranks, 1).astype(np.int32)
    rows = _Rows({"gpus": gpus, "tp": tp, "pp": pp, "cp": cp, "dp": dp}, {})
    blocks = architecture.blocks
    heads_broken = np.zeros(len(tp), bool)
    groups_broken, width_broken = heads_broken.copy(), heads_broken.copy()
    for block in blocks:
        heads_broken |= block.heads % tp != 0
        groups_broken |= (block.kv_heads % tp != 0) & (tp % block.kv_heads != 0) & (not block.mla)
        width_broken |= (block.ffn_hidden % tp != 0) | (block.shared_ffn_hidden % tp != 0)
    weight = _weight(axes, "vp", "ep", "micro_batch", "sequence_parallel", "recompute", "sharding", "schedule")
    rows.keep(
        weight,
        ("heads not divisible by tp", heads_broken),
        ("key and value heads do not match tp", groups_broken),
        ("feed-forward width not divisible by tp", width_broken),
        ("tp beyond the scale-up domain", tp > domain),
        # A causal mask is balanced by giving each rank a piece from either end.
        ("sequence not divisible by 2 cp", (cp > 1) & (seq_len % (2 * cp) != 0)),
        ("layers fewer than pp", pp > architecture.layers),
        ("a pipeline stage without layers", _empty_stage(architecture.layers, pp)),
        ("GPUs not divisible by tp x pp x cp", gpus % ranks != 0),
        ("batch not divisible by dp", global_batch_seqs % dp != 0),
    )
    return rows


def _empty_stage(layers: int, pp: Ints) -> Bools:
    """Whether stages of whole layers, rounded up, leave nothing to the last one."""
    even = np.zeros(len(pp), bool)
    for ends in (0, 1, 2):
        even |= (layers + ends) % pp == 0
    empty: Bools = ~even & (-(-layers // pp) * (pp - 1) >= layers)
    return empty


def _join_experts(rows: _Rows, architecture: Architecture, axes: Axes) -> None:
    rows.join("ep", _ints(axes.ep))
    c = rows.columns
    ep, nothing = c["ep"], np.zeros(len(c["ep"]), bool)
    experts_broken, width_broken = nothing.copy(), nothing.copy()
    routed = [b for b in architecture.blocks if b.experts]
    for block in routed:
        experts_broken |= block.experts % ep != 0
        # Without expert parallelism, tensor parallelism splits each expert.
        width_broken |= (ep == 1) & (block.moe_ffn_hidden % c["tp"] != 0)
    rows.keep(
        _weight(axes, "vp", "micro_batch", "sequence_parallel", "recompute", "sharding", "schedule"),
        ("no experts for ep > 1", nothing if routed else ep > 1),
        ("experts not divisible by ep", experts_broken),
        ("expert width not divisible by tp", width_broken),
        ("ep does not divide dp x cp x tp", c["dp"] * c["cp"] * c["tp"] % ep != 0),
    )


def _pair_rules(layers: int, pp: int, vp: int, schedule: str) -> Iterator[tuple[str, bool]]:
    """Return what a schedule asks of pp and vp."""
    row = SCHEDULES[schedule]
    yield "a schedule needs pp > 1", schedule != "none" and pp == 1
    yield "pp > 1 needs a schedule", schedule == "none" and pp > 1
    yield "vp > 1 needs the interleaved schedule", vp > 1 and not row.vp_split
    yield "the interleaved schedule needs vp > 1", bool(row.vp_split) and vp == 1
    yield "layers fewer than pp x vp", pp * vp * row.chunks > layers + 2  # embedding and head may fill a chunk each
    yield "layers do not divide into pp x vp chunks", vp > 1 and not _divides(layers, pp * vp)
    yield "the schedule needs an even pp", row.even_pp and pp % 2 == 1


def _join_schedules(rows: _Rows, layers: int, axes: Axes, global_batch_seqs: int) -> None:
    """Join (vp, schedule) pairs: those that pp allows are listed once a pp, and no other is written out."""
    after = _weight(axes, "sharding", "sequence_parallel", "recompute")
    place = np.searchsorted(_ints(sorted(axes.pp)), rows.columns["pp"])
    with_pp = np.bincount(place, minlength=len(axes.pp))
    pairs: list[tuple[int, int]] = []
    lengths = []
    for pp, count in zip(sorted(axes.pp), with_pp.tolist(), strict=True):
        before = len(pairs)
        for number, schedule in enumerate(axes.schedule):
            for vp in axes.vp:
                broken = next((reason for reason, yes in _pair_rules(layers, pp, vp, schedule) if yes), None)
                if broken is None:
                    pairs.append((vp, number))
                else:
                    rows.count(broken, after * count)
        lengths.append(len(pairs) - before)
    length = np.array(lengths, np.int64)
    start = np.cumsum(length) - length
    repeats = length[place]
    first = np.repeat(start[place] - (np.cumsum(repeats) - repeats), repeats)
    pair = np.array(pairs, np.int32).reshape(-1, 2)[first + np.arange(len(first))]
    rows.columns = {name: np.repeat(column, repeats) for name, column in rows.columns.items()}
    rows.columns |= {"vp": pair[:, 0].copy(), "schedule": pair[:, 1].copy()}
    _keep_orders(rows, axes, global_batch_seqs, after)


def _keep_orders(rows: _Rows, axes: Axes, global_batch_seqs: int, weight: int) -> None:
    """Drop what has too few micro-batches for the published order of its schedule."""
    c = rows.columns
    micro_batches = global_batch_seqs // (c["dp"] * c["micro_batch"])

    def asks(trait: str) -> NDArray[Any]:
        return np.array([getattr(SCHEDULES[name], trait) for name in axes.schedule])[c["schedule"]]

    rows.keep(
        weight,
        ("fewer micro-batches than the schedule needs", micro_batches < asks("min_micro_batches_per_pp") * c["pp"]),
        ("micro-batches not a multiple of pp", asks("multiple_of_pp") & (micro_batches % c["pp"] != 0)),
        ("the schedule needs an even number of micro-batches", asks("paired_micro_batches") & (micro_batches % 2 != 0)),
    )


def _join_shardings(rows: _Rows, axes: Axes) -> None:
    rows.join("sharding", _ints(range(len(axes.sharding))))
    c = rows.columns
    sharded = np.array([name != "none" for name in axes.sharding])[c["sharding"]]
    each_pass = np.array([name in ("zero2", "zero3") for name in axes.sharding])[c["sharding"]]
    rows.keep(
        _weight(axes, "sequence_parallel", "recompute"),
        ("nothing to shard over: dp x cp = 1", sharded & (c["dp"] * c["cp"] == 1)),
        # Both exchange gradients in every micro-batch, which a pipeline multiplies by its number of micro-batches.
        ("zero2 and zero3 exclude pp > 1", each_pass & (c["pp"] > 1)),
    )


def small_axis(layouts: Layouts, names: tuple[str, ...]) -> tuple[dict[str, Ints], NDArray[np.intp]]:
    """Return unique combinations of some columns, and the place of every layout's own among them."""
    code = np.zeros(len(layouts), np.int64)
    size = 1
    for name in names:
        column = getattr(layouts, name)
        values = np.flatnonzero(np.bincount(column)) if len(layouts) else np.zeros(1, np.int64)
        place = np.zeros(int(values[-1]) + 1, np.int64)
        place[values] = np.arange(len(values))
        code = code * len(values) + place[column]
        size *= len(values)
    first = np.full(size, -1, np.int64)
    first[code] = np.arange(len(layouts))
    used = first >= 0
    index = (np.cumsum(used) - 1)[code]
    return {name: getattr(layouts, name)[first[used]] for name in names}, index
