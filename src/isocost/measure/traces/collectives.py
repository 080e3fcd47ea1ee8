"""Collectives of one rank by kind and group: how many, how long, how fast, and what of it nothing hides.

Newer PyTorch writes name, sizes and group of a collective into its kernel. Where it does not, the call on the host that
launched the kernel (``nccl:all_to_all``) tells the kind and, with recorded shapes, the size; the group is then unknown.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from isocost.measure.logs import intervals
from isocost.measure.logs.records import Column
from isocost.measure.traces.events import Collected, Kernel
from isocost.measure.traces.kernels import bus_factor, collective, element_bytes

_S: Final = 1e-6  # the unit of a trace is the microsecond
_HIGH: Final = 0.95  # percentile that stands for the best: one message may be a fluke of the clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The ranks that take part in a collective, as far as the trace tells."""

    description: str = ""  # mesh_tp, DATA_PARALLEL_GROUP, ...
    size: int | None = None
    stride: int | None = None  # between neighbors, where it is the same for all


@dataclass(frozen=True, slots=True, kw_only=True)
class Collective:
    """Collectives of one kind in one group on one rank; kernel time contains the wait for the slowest rank."""

    kind: str
    group: Group
    number: int
    kernel_s: float
    exposed_s: float  # while nothing is computed; of two groups at the same time, the one with more kernel time
    payload_bytes: float | None = None  # full logical buffer, all messages; None where the trace has no sizes
    bus_bytes_per_s: float | None = None  # all messages, as nccl-tests counts
    best_bus_bytes_per_s: float | None = None  # 95th percentile of the messages, by their bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One collective kernel within the window."""

    kind: str
    group: Group
    start: float
    end: float
    payload_bytes: float | None


def messages(found: Collected, kernels: Iterable[Kernel], info: Mapping[str, Any]) -> Iterator[Message]:
    """Yield the collectives of kernels."""
    known = _groups(info)
    calls = sorted(found.calls, key=lambda call: call[0])
    starts = [call[0] for call in calls]
    world = whole(info.get("world_size"))
    for kernel in kernels:
        args = kernel.args
        if isinstance(name := args.get("Collective name"), str):
            kind, group = collective(name), _group(args, known)
            size = _payload_bytes(kind, args)
        else:
            launch = found.launches.get(str(args.get("correlation")))
            kind, size = _called(kernel.name, launch, calls, starts)
            # A job with one process group, the default one, has no other.
            group = Group(size=world) if len(known) <= 1 and size is not None else Group()
        yield Message(kind=kind, group=group, start=kernel.start, end=kernel.end, payload_bytes=size)


def by_group(found: Sequence[Message], begin: float, end: float, hidden: Column) -> tuple[Collective, ...]:
    """Return the collectives of a window by kind and group; ``hidden`` is when something else is computed."""
    sorted_out: dict[tuple[str, Group], list[Message]] = {}
    for message in found:
        sorted_out.setdefault((message.kind, message.group), []).append(message)
    longest = sorted(sorted_out.items(), key=lambda part: -sum(m.end - m.start for m in part[1]))
    covered, done = hidden, []
    for (kind, group), these in longest:
        starts, ends = (np.clip([getattr(m, name) for m in these], begin, end) for name in ("start", "end"))
        more = intervals.both(covered, intervals.union(starts, ends))
        exposed_s = (intervals.length(more) - intervals.length(covered)) * _S
        done.append(_of(kind, group, these, ends - starts, exposed_s))
        covered = more
    return tuple(done)


def _of(kind: str, group: Group, these: Sequence[Message], lasting: Column, exposed_s: float) -> Collective:
    times = lasting * _S
    size = np.array([np.nan if m.payload_bytes is None else m.payload_bytes for m in these])
    known = np.isfinite(size) & (times > 0.0)
    total: dict[str, Any] = {"kind": kind, "group": group, "number": len(these), "exposed_s": exposed_s}
    total["kernel_s"] = float(times.sum())
    if not known.any():
        return Collective(**total)
    payload_bytes = float(np.nansum(size))
    if group.size is None:
        return Collective(**total, payload_bytes=payload_bytes)
    bus = size[known] * bus_factor(kind, float(group.size))
    rates = bus / times[known]
    order = np.argsort(rates)
    share = np.cumsum(bus[order]) / max(float(bus.sum()), 1.0)
    best = rates[order][min(int(np.searchsorted(share, _HIGH)), len(rates) - 1)]
    return Collective(
        **total,
        payload_bytes=payload_bytes,
        bus_bytes_per_s=float(bus.sum() / times[known].sum()),
        best_bus_bytes_per_s=float(best),
    )


def _called(
    name: str,
    launch: float | None,
    calls: Sequence[tuple[float, float, str, Mapping[str, Any]]],
    starts: Sequence[float],
) -> tuple[str, float | None]:
    """Return kind and size of a kernel from the call around its launch; of its name alone where there is none."""
    place = -1 if launch is None else bisect.bisect_right(starts, launch) - 1
    if place < 0 or launch is None or calls[place][1] < launch:
        return collective(name), None
    kind, args = collective(calls[place][2]), calls[place][3]
    dims, types = args.get("Input Dims"), args.get("Input type")
    if not (isinstance(dims, list) and isinstance(types, list) and dims and len(dims) == len(types)):
        return kind, None
    if kind == "all_gather":  # the shapes are of the inputs, the buffer is the output
        return kind, None
    sizes = [_bytes_of(shape, str(kind_of)) for shape, kind_of in zip(dims, types, strict=True)]
    known = [size for size in sizes if size is not None]
    return kind, sum(known) if known else None


def _bytes_of(shape: object, dtype: str) -> float | None:
    width = element_bytes(dtype.rpartition("::")[2])
    if width is None or not isinstance(shape, list) or not shape:
        return None
    sides = [side for side in shape if isinstance(side, int) and not isinstance(side, bool)]
    return float(np.prod(np.array(sides, dtype=np.float64))) * width if len(sides) == len(shape) else None


def _groups(info: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the process groups that the trace lists, by name."""
    listed = info.get("pg_config")
    rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    return {str(row.get("pg_name")): row for row in rows}


def _group(args: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> Group:
    listed = known.get(str(args.get("Process Group Name")), {})
    description = str(args.get("Process Group Description") or listed.get("pg_desc") or "")
    size = whole(args.get("Group size"))
    ranks = _ranks(args.get("Process Group Ranks")) or _ranks(listed.get("ranks"))
    if size is None:
        size = whole(listed.get("pg_size")) or (len(ranks) or None)
    gaps = {after - before for before, after in pairwise(ranks)} if len(ranks) == size else set()
    return Group(description=description, size=size, stride=gaps.pop() if len(gaps) == 1 else None)


def _ranks(value: object) -> list[int]:
    """Return the ranks of a list, or of a text that is one; PyTorch cuts long ones off, and they are unknown then."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return []
    if not isinstance(value, list) or not all(isinstance(rank, int) for rank in value):
        return []
    return value


def _payload_bytes(kind: str, args: Mapping[str, Any]) -> float | None:
    """Return the full logical buffer: the output of an all-gather, the input of the others."""
    number = args.get("Out msg nelems" if kind == "all_gather" else "In msg nelems")
    width = element_bytes(str(args.get("dtype", "")))
    if not isinstance(number, (int, float)) or isinstance(number, bool) or width is None:
        return None
    return float(number) * width


def whole(value: object) -> int | None:
    """Return a whole number, or None where there is none."""
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError, OverflowError):
        return None
