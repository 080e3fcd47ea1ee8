"""Where the time of a GPU went in a Kineto trace: compute, exposed communication, copies, idle; they sum to the window.

The window is that of all profiler steps of the trace, or of its kernels where it has none. A moment counts as compute
when any compute kernel runs, else as exposed communication, else as a copy, else as idle; idle before a kernel is a
wait for the host until its launch has begun, and a wait of the kernel after that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from isocost.errors import InputError, Problem
from isocost.measure import intervals
from isocost.measure.kernels import COMMUNICATION, bus_factor, collective, element_bytes, gemm_flop, kernel_class
from isocost.measure.records import Column
from isocost.measure.trace_file import TraceFile

_S: Final = 1e-6  # the unit of a trace is the microsecond
_KERNEL: Final = frozenset({"kernel", "gpu_memcpy", "gpu_memset"})
_OPERATOR: Final = frozenset({"cpu_op", "operator"})
_RUNTIME: Final = frozenset({"cuda_runtime", "cuda_driver", "runtime"})
_COPIES: Final = "memcpy"
_HIGH: Final = 95.0  # percentile that stands for the best: one message may be a fluke of the clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Collective:
    """Collectives of one kind on one rank; kernel time contains the wait for the slowest rank."""

    kind: str
    number: int
    kernel_s: float
    payload_bytes: float | None = None  # full logical buffer, all messages; None where the trace has no sizes
    bus_bytes_per_s: float | None = None  # all messages, as nccl-tests counts
    best_bus_bytes_per_s: float | None = None  # 95th percentile of the messages, by their bytes


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
    by_class_s: Mapping[str, float]  # sums of kernel times; kernels that overlap count twice
    collectives: tuple[Collective, ...]
    gemm_flop: float | None  # from input shapes; None where they were not recorded
    gemm_flop_per_s: float | None
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


@dataclass(slots=True)
class _Collected:
    kernels: list[tuple[float, float, str, Mapping[str, Any]]] = field(default_factory=list)
    launches: dict[Any, float] = field(default_factory=dict)
    steps: list[tuple[str, float, float]] = field(default_factory=list)
    products: list[tuple[float, float]] = field(default_factory=list)  # time, FLOPs
    shapes: bool = False
    events: int = 0
    odd: int = 0


def read_trace(paths: str | Path | Sequence[str | Path]) -> TraceSummary:
    """Read traces of one run, a file a rank; no GPU kernels is an answer, not an error."""
    given = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not given:
        raise InputError([Problem("", "no trace is named")])
    ranks = tuple(read_rank(Path(path)) for path in given)
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
        ranks=ranks,
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


def read_rank(path: Path) -> RankTrace:
    """Read the trace of one rank."""
    source = TraceFile(path)
    found = _collect(source)
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
    return _analyse(path, found, info, device, notes)


def _collect(source: TraceFile) -> _Collected:
    """Keep of the events what the analysis needs."""
    found = _Collected()
    for event in source.events():
        if event.get("ph") != "X":
            found.events += "ph" in event
            continue
        found.events += 1
        category, name, args = event.get("cat"), event.get("name"), event.get("args")
        try:
            start, lasting = float(event["ts"]), float(event.get("dur", 0.0))
        except (KeyError, TypeError, ValueError):
            found.odd += 1
            continue
        if not (lasting >= 0.0 and np.isfinite(start + lasting)) or not isinstance(name, str):
            found.odd += 1
            continue
        _keep(found, str(category).casefold(), name, start, lasting, args if isinstance(args, dict) else {})
    return found


def _keep(found: _Collected, category: str, name: str, start: float, lasting: float, args: Mapping[str, Any]) -> None:
    if category in _KERNEL:
        kept = args if "Collective name" in args else {"correlation": args.get("correlation")}
        found.kernels.append((start, start + lasting, name, kept))
    elif category in _RUNTIME:
        if "correlation" in args:
            found.launches[str(args["correlation"])] = start
    elif category in _OPERATOR:
        dims = args.get("Input Dims", args.get("Input dims"))
        if dims is not None:
            found.shapes = True
            flop = gemm_flop(name, dims)
            if flop > 0.0:
                found.products.append((start, flop))
    elif name.startswith("ProfilerStep") and category == "user_annotation":
        found.steps.append((name, start, start + lasting))


def _window(found: _Collected, starts: Column, ends: Column) -> tuple[float, float]:
    """Return the time that is looked at: that of the steps, unless no kernel runs in them."""
    if found.steps:
        begin, end = min(step[1] for step in found.steps), max(step[2] for step in found.steps)
        if not len(starts) or bool(((starts < end) & (ends > begin)).any()):
            return begin, end
    return (float(starts.min()), float(ends.max())) if len(starts) else (0.0, 0.0)


def _analyse(path: Path, found: _Collected, info: Mapping[str, Any], device: str | None, notes: list[str]) -> RankTrace:
    starts = np.array([kernel[0] for kernel in found.kernels])
    ends = np.array([kernel[1] for kernel in found.kernels])
    classes = np.array([kernel_class(kernel[2]) for kernel in found.kernels], dtype=object)
    begin, end = _window(found, starts, ends)
    inside = (starts < end) & (ends > begin)
    if int((~inside).sum()):
        notes.append(f"{int((~inside).sum()):,} kernels outside the profiler steps were left out")
    starts, ends = np.clip(starts, begin, end), np.clip(ends, begin, end)
    communicates, copies = classes == COMMUNICATION, classes == _COPIES
    compute = intervals.union(starts[~communicates & ~copies], ends[~communicates & ~copies])
    communication = intervals.union(starts[communicates], ends[communicates])
    active = intervals.both(compute, communication)
    busy = intervals.both(active, intervals.union(starts[copies], ends[copies]))
    waits = _waits(found, inside, starts, busy, begin, end)
    gemm_s = float((ends - starts)[classes == "gemm"].sum()) * _S
    flop = sum((flop for time, flop in found.products if begin <= time < end), 0.0) if found.shapes else None
    steps = sorted(found.steps, key=lambda step: step[1])
    return RankTrace(
        path=str(path),
        rank=_whole(info.get("rank")),
        world_size=_whole(info.get("world_size")),
        device=device if isinstance(device, str) else None,
        events=found.events,
        kernels=int(inside.sum()),
        steps=tuple(step[0] for step in steps),
        step_s=tuple((step[2] - step[1]) * _S for step in steps),
        window_s=(end - begin) * _S,
        busy_s=intervals.length(busy) * _S,
        compute_s=intervals.length(compute) * _S,
        communication_s=intervals.length(communication) * _S,
        exposed_communication_s=(intervals.length(active) - intervals.length(compute)) * _S,
        exposed_copy_s=(intervals.length(busy) - intervals.length(active)) * _S,
        idle_s=(end - begin - intervals.length(busy)) * _S,
        host_wait_s=waits[0] * _S,
        kernel_wait_s=waits[1] * _S,
        unknown_wait_s=waits[2] * _S,
        by_class_s={
            str(kind): float((ends - starts)[classes == kind].sum()) * _S for kind in dict.fromkeys(classes[inside])
        },
        collectives=_collectives([found.kernels[row] for row in np.flatnonzero(inside & communicates)]),
        gemm_flop=flop,
        gemm_flop_per_s=flop / gemm_s if flop and gemm_s > 0.0 else None,
        notes=tuple(notes),
    )


def _waits(
    found: _Collected, inside: Column, starts: Column, busy: Column, begin: float, end: float
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
        launch = found.launches.get(str(found.kernels[order[place]][3].get("correlation")))
        if launch is None:
            unknown += right - left
        else:
            host += min(max(launch - left, 0.0), right - left)
            kernel += min(max(right - launch, 0.0), right - left)
    return host, kernel, unknown


def _collectives(kernels: Sequence[tuple[float, float, str, Mapping[str, Any]]]) -> tuple[Collective, ...]:
    by_kind: dict[str, list[tuple[float, float | None, float]]] = {}
    for start, end, name, args in kernels:
        said = args.get("Collective name")
        kind = collective(said if isinstance(said, str) else name)
        size = _payload_bytes(kind, args)
        ranks = _whole(args.get("Group size"))
        bus = None if size is None or ranks is None else size * bus_factor(kind, float(ranks))
        by_kind.setdefault(kind, []).append(((end - start) * _S, bus, size or 0.0))
    return tuple(_of_kind(kind, messages) for kind, messages in by_kind.items())


def _of_kind(kind: str, messages: Sequence[tuple[float, float | None, float]]) -> Collective:
    times = np.array([time for time, _, _ in messages])
    known = np.array([bus is not None and time > 0.0 for time, bus, _ in messages])
    if not known.any():
        return Collective(kind=kind, number=len(messages), kernel_s=float(times.sum()))
    bus = np.array([0.0 if bus is None else bus for _, bus, _ in messages])[known]
    rates = bus / times[known]
    order = np.argsort(rates)
    share = np.cumsum(bus[order]) / max(float(bus.sum()), 1.0)
    best = rates[order][min(int(np.searchsorted(share, _HIGH / 100.0)), len(rates) - 1)]
    return Collective(
        kind=kind,
        number=len(messages),
        kernel_s=float(times.sum()),
        payload_bytes=float(sum(size for _, _, size in messages)),
        bus_bytes_per_s=float(bus.sum() / times[known].sum()),
        best_bus_bytes_per_s=float(best),
    )


def _payload_bytes(kind: str, args: Mapping[str, Any]) -> float | None:
    """Return the full logical buffer: the output of an all-gather, the input of the others."""
    number = args.get("Out msg nelems" if kind == "all_gather" else "In msg nelems")
    width = element_bytes(str(args.get("dtype", "")))
    if not isinstance(number, (int, float)) or isinstance(number, bool) or width is None:
        return None
    return float(number) * width


def _whole(value: object) -> int | None:
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError, OverflowError):
        return None
