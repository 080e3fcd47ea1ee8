"""Small Kineto traces whose times are known: steps of kernels one after another, in microseconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

KERNELS: Mapping[str, str] = {
    "matrix products": "sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64",
    "attention": "void flash::flash_fwd_kernel<Flash_fwd_kernel_traits<128, 128>>",
    "norms and elementwise": "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>>",
    "optimizer": "void at::native::multi_tensor_apply_kernel<FusedAdamMathFunctor>",
    "exposed copies": "Memcpy HtoD (Pinned -> Device)",
}
COLLECTIVE = "ncclDevKernel_AllGather_RING_LL(ncclDevKernelArgsStorage<4096ul>)"


def event(category: str, name: str, start: float, lasting: float, **args: Any) -> dict[str, Any]:
    """Return one event."""
    return {"ph": "X", "cat": category, "name": name, "pid": 0, "tid": 7, "ts": start, "dur": lasting, "args": args}


def step_events(
    parts_s: Mapping[str, float],
    groups: Mapping[str, Mapping[str, Any]] | None = None,
    begin: float = 0.0,
    step: int = 1,
) -> list[dict[str, Any]]:
    """Return a step of kernels one after another; ``groups`` has the arguments of its collectives, the rest idles.

    The part "host" is idle time, "data stalls" idle time in which the host waits for the next batch.
    """
    groups, clock, events = groups or {}, begin, []
    for name, seconds in parts_s.items():
        if seconds <= 0.0:
            continue
        lasting = seconds * 1e6
        if name in groups:
            events.append(event("kernel", COLLECTIVE, clock, lasting, **groups[name]))
        elif name == "data stalls":
            loader = "enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__"
            events.append(event("user_annotation", loader, clock, lasting))
        elif name != "host":
            category = "gpu_memcpy" if name == "exposed copies" else "kernel"
            events.append(event(category, KERNELS[name], clock, lasting, correlation=len(events)))
        clock += lasting
    return [event("user_annotation", f"ProfilerStep#{step}", begin, clock - begin), *events]


def write_trace(
    path: Path, events: Sequence[Mapping[str, Any]], rank: int = 0, world_size: int = 8,
    device: str = "NVIDIA H100 80GB HBM3",
) -> Path:  # fmt: skip
    """Write a trace of one rank."""
    whole = {
        "schemaVersion": 1,
        "deviceProperties": [{"id": 0, "name": device}],
        "distributedInfo": {"backend": "nccl", "rank": rank, "world_size": world_size},
        "traceEvents": list(events),
    }
    path.write_text(json.dumps(whole), encoding="utf-8")
    return path
