"""What is kept of the events of a trace: kernels, their launches, profiler steps, shapes, waits for data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from isocost.measure.traces.file import TraceFile
from isocost.measure.traces.kernels import gemm_flop

_KERNEL: Final = frozenset({"kernel", "gpu_memcpy", "gpu_memset"})
_OPERATOR: Final = frozenset({"cpu_op", "operator"})
_RUNTIME: Final = frozenset({"cuda_runtime", "cuda_driver", "runtime"})
_LOADER: Final = "enumerate(DataLoader)"  # what PyTorch calls the wait for the next batch
_CALL: Final = "nccl:"  # what PyTorch calls a collective on the host


class Kernel(NamedTuple):
    """One kernel or copy on the GPU; times in microseconds. A tuple: a trace has millions."""

    start: float
    end: float
    name: str
    args: Mapping[str, Any]
    device: int


@dataclass(slots=True)
class Collected:
    """The events of one rank, as far as they are used; times in microseconds."""

    kernels: list[Kernel] = field(default_factory=list)
    launches: dict[Any, float] = field(default_factory=dict)
    steps: list[tuple[str, float, float]] = field(default_factory=list)
    products: list[tuple[float, float]] = field(default_factory=list)  # time, FLOPs
    loads: list[tuple[float, float]] = field(default_factory=list)  # waits of the host for the next batch
    calls: list[tuple[float, float, str, Mapping[str, Any]]] = field(default_factory=list)  # collectives on the host
    shapes: bool = False
    events: int = 0
    odd: int = 0


def collect(source: TraceFile) -> Collected:
    """Keep of the events what the analysis needs."""
    found = Collected()
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


def _keep(found: Collected, category: str, name: str, start: float, lasting: float, args: Mapping[str, Any]) -> None:
    if category in _KERNEL:
        kept = args if "Collective name" in args else {"correlation": args.get("correlation")}
        device = args.get("device")
        found.kernels.append(Kernel(start, start + lasting, name, kept, device if isinstance(device, int) else 0))
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
        if name.startswith(_LOADER):
            found.loads.append((start, start + lasting))
    elif category == "user_annotation":
        if name.startswith("ProfilerStep"):
            found.steps.append((name, start, start + lasting))
        elif name.startswith(_CALL):
            found.calls.append((start, start + lasting, name.removeprefix(_CALL), args))
        elif name.startswith(_LOADER):
            found.loads.append((start, start + lasting))
