"""Where the time of a GPU went in a Kineto trace: compute, exposed communication, copies, idle; they sum to the window.

The window is that of all profiler steps of the trace, or of its kernels where it has none. A moment counts as compute
when any compute kernel runs, else as exposed communication, else as a copy, else as idle; idle before a kernel is a
wait for the host until its launch has begun, and a wait of the kernel after that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from isocost.errors import InputError, Problem
from isocost.measure.logs import intervals
from isocost.measure.logs.records import Column
from isocost.measure.traces.collectives import Collective, by_group, messages, whole
from isocost.measure.traces.events import Collected, collect
from isocost.measure.traces.file import TraceFile
from isocost.measure.traces.kernels import COMMUNICATION, COPIES, ORDER, kernel_class

_S: Final = 1e-6  # the unit of a trace is the microsecond
EXPOSED, IDLE = "exposed communication", "idle"


@dataclass(frozen=True, slots=True, kw_only=True)
class RankTrace:
    """GPU time of one rank; compute, exposed communication, exposed copies and the three waits sum to window_s."""

    path: str
    rank: int | None
    world_size: int | None
    device: str | None
    events: int
    kernels: int
    steps: tuple[str, ...]
    step_s: tuple[float, ...]
    window_s: float
    busy_s: float
    compute_s: float
    communication_s: float  # overlapped or not
    exposed_communication_s: float
    exposed_copy_s: float
    idle_s: float
    host_wait_s: float
    kernel_wait_s: float
    unknown_wait_s: float  # no launch is recorded for the kernel that ends it
    data_wait_s: float  # of the three waits, while the host waits for the next batch
    by_class_s: Mapping[str, float]  # sums of kernel times; kernels that overlap count twice
    alone_s: Mapping[str, float]  # compute by class, each moment once: they sum to compute_s
    step_parts_s: Mapping[str, tuple[float, ...]]  # by profiler step: classes of compute, exposed traffic, copies, idle
    collectives: tuple[Collective, ...]
    gemm_flop: float | None  # from input shapes; None where they were not recorded
    gemm_flop_per_s: float | None
    gpu: int | None = None  # which, where one trace has kernels of several
    cut: bool = False  # kernels are missing: what runs is at least this, idle time may be theirs
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSummary:
    """Traces of one or more ranks."""

    ranks: tuple[RankTrace, ...]
    world_size: int | None
    step_s: float | None  # median of the profiler steps of all ranks
    skew_frac: Mapping[str, float]  # (most - least) / median over ranks, of compute and of waiting in collectives
    slow_rank: int | None  # most compute and least waiting in collectives, where there are several ranks
    notes: tuple[str, ...] = ()


def read_trace(paths: str | Path | Sequence[str | Path]) -> TraceSummary:
    """Read traces of one run, a file a rank or a process of several GPUs; no GPU kernels is an answer, not an error."""
    given = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not given:
        raise InputError([Problem("", "no trace is named")])
    return summarise_ranks([rank for path in given for rank in read_ranks(Path(path))])


def summarise_ranks(ranks: Sequence[RankTrace]) -> TraceSummary:
    """Return traces of ranks of one run side by side."""
    sizes = {rank.world_size for rank in ranks if rank.world_size is not None}
    steps = [time for rank in ranks for time in rank.step_s]
    world = next(iter(sizes)) if len(sizes) == 1 else None
    notes = []
    if len(sizes) > 1:
        notes.append(f"the traces say different numbers of ranks: {', '.join(map(str, sorted(sizes)))}")
    if world is not None and world > len(ranks):
        notes.append(f"{len(ranks)} of {world} ranks were read")
    busy = [rank for rank in ranks if rank.kernels]
    slowest = max(busy, key=lambda rank: rank.compute_s - rank.communication_s) if len(busy) > 1 else None
    return TraceSummary(
        ranks=tuple(ranks),
        world_size=world,
        step_s=float(np.median(steps)) if steps else None,
        skew_frac=_skew(busy),
        slow_rank=slowest.rank if slowest else None,
        notes=tuple(notes),
    )


def _skew(ranks: Sequence[RankTrace]) -> dict[str, float]:
    skew = {}
    for name in ("compute_s", "communication_s"):
        values = np.array([getattr(rank, name) for rank in ranks])
        if len(values) > 1 and np.median(values) > 0.0:
            skew[name] = float((values.max() - values.min()) / np.median(values))
    return skew


def read_ranks(path: Path) -> list[RankTrace]:
    """Read one trace: that of a rank, or of a process that drives several GPUs."""
    source = TraceFile(path)
    found = collect(source)
    if not found.events:
        cut = f" ({'; '.join(source.notes)})" if source.notes else ""
        raise InputError([Problem(str(path), f"has no trace events{cut}")])
    notes = [*source.notes]
    if found.odd:
        notes.append(f"{found.odd:,} events without a usable time were left out")
    if not found.kernels:
        notes.append("no GPU kernels: a trace of the host alone, or of a profiler without CUDA activity")
    info = source.properties.get("distributedInfo")
    info = info if isinstance(info, dict) else {}
    devices = source.properties.get("deviceProperties")
    device = devices[0].get("name") if isinstance(devices, list) and devices and isinstance(devices[0], dict) else None
    gpus = sorted({kernel.device for kernel in found.kernels})
    if len(gpus) < 2:
        return [_analyse(path, found, info, device, notes, cut=source.cut)]
    return [
        _analyse(
            path,
            replace(found, kernels=[kernel for kernel in found.kernels if kernel.device == gpu], shapes=False),
            info,
            device,
            notes if gpu == gpus[0] else [],
            cut=source.cut,
            gpu=gpu,
        )
        for gpu in gpus
    ]


def _window(found: Collected, starts: Column, ends: Column) -> tuple[float, float]:
    """Return the time that is looked at: that of the steps, unless no kernel runs in them."""
    if found.steps:
        begin, end = min(step[1] for step in found.steps), max(step[2] for step in found.steps)
        if not len(starts) or bool(((starts < end) & (ends > begin)).any()):
            return begin, end
    return (float(starts.min()), float(ends.max())) if len(starts) else (0.0, 0.0)


def _analyse(
    path: Path,
    found: Collected,
    info: Mapping[str, Any],
    device: str | None,
    notes: list[str],
    *,
    cut: bool,
    gpu: int | None = None,
) -> RankTrace:
    starts = np.array([kernel.start for kernel in found.kernels])
    ends = np.array([kernel.end for kernel in found.kernels])
    classes = np.array([kernel_class(kernel.name) for kernel in found.kernels], dtype=object)
    begin, end = _window(found, starts, ends)
    inside = (starts < end) & (ends > begin)
    if int((~inside).sum()):
        notes.append(f"{int((~inside).sum()):,} kernels outside the profiler steps were left out")
    starts, ends = np.clip(starts, begin, end), np.clip(ends, begin, end)
    layers = _layers(starts, ends, classes)
    gemm_s = float((ends - starts)[classes == "gemm"].sum()) * _S
    told = found.shapes and not cut  # the operators come first in a file, so that kernels of them are missing
    flop = sum((flop for time, flop in found.products if begin <= time < end), 0.0) if told else None
    steps = sorted(found.steps, key=lambda step: step[1])
    communicates = classes == COMMUNICATION
    sent = tuple(messages(found, (found.kernels[row] for row in np.flatnonzero(inside & communicates)), info))
    alone = _parts(layers, np.array([begin]), np.array([end]))
    return RankTrace(
        path=str(path),
        rank=whole(info.get("rank")),
        world_size=whole(info.get("world_size")),
        device=device if isinstance(device, str) else None,
        events=found.events,
        kernels=int(inside.sum()),
        steps=tuple(step[0] for step in steps),
        step_s=tuple((step[2] - step[1]) * _S for step in steps),
        window_s=(end - begin) * _S,
        communication_s=intervals.length(intervals.union(starts[communicates], ends[communicates])) * _S,
        **_busy_and_idle(layers, found, inside, starts, begin, end, cut=cut),
        by_class_s={
            str(kind): float((ends - starts)[classes == kind].sum()) * _S for kind in dict.fromkeys(classes[inside])
        },
        alone_s={kind: float(alone[kind][0]) for kind in ORDER if alone[kind][0] > 0.0},
        step_parts_s=_by_step(layers, steps),
        collectives=by_group(sent, begin, end, layers[ORDER[-1]]),
        gemm_flop=flop,
        gemm_flop_per_s=flop / gemm_s if flop and gemm_s > 0.0 else None,
        gpu=gpu,
        cut=cut,
        notes=tuple(notes),
    )


def _busy_and_idle(
    layers: Mapping[str, Column],
    found: Collected,
    inside: Column,
    starts: Column,
    begin: float,
    end: float,
    *,
    cut: bool,
) -> dict[str, float]:
    """Return the parts of the window: what runs, and what the GPU waits for when nothing does."""
    compute, active, busy = layers[ORDER[-1]], layers[EXPOSED], layers[COPIES]
    host, kernel, unknown = _waits(found, inside, starts, busy, begin, end)
    if cut:
        host, kernel, unknown = 0.0, 0.0, end - begin - intervals.length(busy)
    loads = intervals.union(*(np.array([load[place] for load in found.loads]) for place in (0, 1)))
    spent = {
        "busy_s": intervals.length(busy),
        "compute_s": intervals.length(compute),
        "exposed_communication_s": intervals.length(active) - intervals.length(compute),
        "exposed_copy_s": intervals.length(busy) - intervals.length(active),
        "idle_s": end - begin - intervals.length(busy),
        "host_wait_s": host,
        "kernel_wait_s": kernel,
        "unknown_wait_s": unknown,
        "data_wait_s": intervals.overlap(intervals.gaps(busy, begin, end), loads),
    }
    return {name: value * _S for name, value in spent.items()}


def _layers(starts: Column, ends: Column, classes: Column) -> dict[str, Column]:
    """Return the time in which a class or one before it runs, class by class, then traffic, then copies."""
    layers, so_far = {}, np.zeros((0, 2))
    for name in (*ORDER, COMMUNICATION, COPIES):
        these = classes == name
        so_far = intervals.both(so_far, intervals.union(starts[these], ends[these]))
        layers[EXPOSED if name == COMMUNICATION else name] = so_far
    return layers


def _parts(layers: Mapping[str, Column], begins: Column, ends: Column) -> dict[str, Column]:
    """Return the seconds of each layer beyond those before it, in each of some spans of time."""
    before, parts = np.zeros(len(begins)), {}
    for name, layer in layers.items():
        upto = intervals.covered(layer, ends) - intervals.covered(layer, begins)
        parts[name] = (upto - before) * _S
        before = upto
    return parts


def _by_step(layers: Mapping[str, Column], steps: Sequence[tuple[str, float, float]]) -> dict[str, tuple[float, ...]]:
    """Return the parts of each profiler step, idle the rest of it."""
    begins, ends = (np.array([step[place] for step in steps]) for place in (1, 2))
    parts = _parts(layers, begins, ends)
    idle = (ends - begins) * _S - sum(parts.values())
    return {
        name: tuple(values.tolist()) for name, values in (*parts.items(), (IDLE, idle)) if values.any() or name == IDLE
    }


def _waits(
    found: Collected, inside: Column, starts: Column, busy: Column, begin: float, end: float
) -> tuple[float, float, float]:
    """Return idle time before the launch of the next kernel, after it, and without a known launch."""
    rows = np.flatnonzero(inside)
    if not len(rows):
        return 0.0, 0.0, end - begin
    order = rows[np.argsort(starts[rows], kind="stable")]
    host, kernel, unknown = 0.0, 0.0, 0.0
    for left, right in intervals.gaps(busy, begin, end).tolist():
        place = int(np.searchsorted(starts[order], right))
        if place == len(order) or right >= end:
            host += right - left  # nothing more is launched in the window
            continue
        launch = found.launches.get(str(found.kernels[order[place]].args.get("correlation")))
        if launch is None:
            unknown += right - left
        else:
            host += min(max(launch - left, 0.0), right - left)
            kernel += min(max(right - launch, 0.0), right - left)
    return host, kernel, unknown
