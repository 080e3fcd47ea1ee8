"""Timing of one case on one device: warm-up, steps between device events, peak memory, clocks."""

from __future__ import annotations

import gc
import math
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from isocost.measure.probe.model import build
from isocost.measure.probe.plan import Case
from isocost.measure.probe.rows import Measurement

LEARNING_RATE = 1e-4
LEAST_STEPS = 3  # fewer have no median worth the name
FREE_SHARE = 0.93  # of an idle device that has only this process's context, of up to 1 GB, on 24 GB and more
FP8_CAPABILITY = (8, 9)  # Ada and Hopper are the first with fp8 products
CLOCK_FIELDS = ("clocks.sm", "clocks.mem", "clocks.max.sm", "power.draw", "power.limit", "temperature.gpu")
CLOCK_TIMEOUT_S = 10
# PyTorch's flash kernel is FlashAttention-2 since 2.2 on NVIDIA devices.
ATTENTION = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION, "unfused": SDPBackend.MATH}


class BudgetSpentError(Exception):
    """The time is up before the case has enough steps."""


class NotTrainedError(Exception):
    """The loss is not a number, so the steps were not those of training."""


def no_fp8_reason(device: str) -> str:
    """Why fp8 cannot run here; empty if it can."""
    if device != "cuda":
        return "fp8 is measured on CUDA devices only"
    if torch.version.hip:
        return "fp8 is not written for ROCm: its fp8 types differ by generation"
    if not hasattr(torch, "_scaled_mm"):
        return f"torch {torch.__version__} has no torch._scaled_mm"
    if torch.cuda.get_device_capability() < FP8_CAPABILITY:
        return "fp8 products need a device of capability 8.9 or later"
    return ""


def attention_kernel(device: str, wanted: str) -> str:
    """Name of the attention kernel in the evidence format; blank where the library chooses."""
    if device != "cuda":
        return ""
    if wanted == "flash":
        return "flash" if torch.version.hip else "flash2"
    return wanted


def environment(device: str) -> dict[str, Any]:
    """Return what the device and the software are; two runs that differ in it do not share a file."""
    name, driver = "cpu", ""
    if device == "cuda":
        name = torch.cuda.get_device_name()
        driver = _smi(("driver_version",)).get("driver_version", "")
    return {
        "device": name,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "",
        "hip": torch.version.hip or "",
        "driver": driver,
    }


def memory_bytes(device: str) -> int:
    """Memory of the device; 0 where it is not counted."""
    return int(torch.cuda.get_device_properties(0).total_memory) if device == "cuda" else 0


def device_is_idle(device: str) -> bool:
    """Give back what the last case held; whether the device is then empty, so that running out of it has a meaning."""
    clean()
    if device != "cuda":
        return True
    free, total = torch.cuda.mem_get_info()
    return bool(free >= FREE_SHARE * total)


def clean() -> None:
    """Give back what the last case held."""
    gc.collect()
    torch.compiler.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def measure(
    case: Case, device: str, *, attention: str, warmup: int, steps: int, deadline: Callable[[], float]
) -> Measurement:
    """Train the case for some steps and time them; ``deadline`` returns the seconds that are left."""
    torch.manual_seed(0)
    with sdpa_kernel(ATTENTION[attention]) if device == "cuda" else nullcontext():
        trainer = Trainer(case, device)
        warm_s = [second for _ in range(warmup) for second in _timed(trainer.step, 1, device)]
        count = _affordable(steps, warm_s[-1], deadline())
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        times_s = _timed(trainer.step, count, device)
        allocated, reserved = _peaks(device)
        trainer.step()
        clocks = _smi(CLOCK_FIELDS) if device == "cuda" else {}  # read while that step runs
        losses = tuple(float(loss) for loss in trainer.losses)
    if not all(math.isfinite(loss) for loss in losses):
        raise NotTrainedError(f"the losses are {losses}")
    return Measurement(
        steps_s=tuple(times_s),
        warmup_s=tuple(warm_s),
        step_s=statistics.median(times_s),
        peak_allocated_bytes=allocated,
        peak_reserved_bytes=reserved,
        losses=losses,
        clocks=clocks,
    )


class Trainer:
    """A model, its optimizer and one batch that it sees again and again."""

    def __init__(self, case: Case, device: str) -> None:
        run = case.setting
        self.model = build(case, device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=LEARNING_RATE, fused=device == "cuda")
        shape = (run.accumulation, run.micro_batch, run.seq_len + 1)
        self.data = torch.randint(case.shape.vocab, shape, device=device)
        self.losses: list[Tensor] = []

    def step(self) -> None:
        """One optimizer step; does not wait for the device."""
        total = torch.zeros((), device=self.data.device)
        for tokens in self.data:
            loss = self.model(tokens[:, :-1], tokens[:, 1:]) / len(self.data)
            loss.backward()
            total += loss.detach()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.losses.append(total)


def _timed(step: Callable[[], None], count: int, device: str) -> list[float]:
    """Seconds of each of ``count`` steps, from the end of the one before to its own end on the device."""
    if device != "cuda":
        marks = [time.perf_counter()]
        for _ in range(count):
            step()
            marks.append(time.perf_counter())
        return [after - before for before, after in pairwise(marks)]
    torch.cuda.synchronize()
    events = [torch.cuda.Event(enable_timing=True) for _ in range(count + 1)]
    events[0].record()
    for event in events[1:]:
        step()
        event.record()
    torch.cuda.synchronize()
    return [before.elapsed_time(after) / 1e3 for before, after in pairwise(events)]


def _affordable(steps: int, step_s: float, left_s: float) -> int:
    """Return steps that the budget leaves time for; BudgetSpentError if they are too few."""
    count = steps if math.isinf(left_s) else min(steps, int(left_s / step_s))
    if count < min(steps, LEAST_STEPS):
        raise BudgetSpentError
    return count


def _peaks(device: str) -> tuple[int, int]:
    if device != "cuda":
        return 0, 0
    return int(torch.cuda.max_memory_allocated()), int(torch.cuda.max_memory_reserved())


def _smi(fields: tuple[str, ...]) -> dict[str, str]:
    """Return what nvidia-smi says of the device that is in use; empty where it is absent or does not know."""
    program = shutil.which("nvidia-smi")
    identity = getattr(torch.cuda.get_device_properties(0), "uuid", None)
    if program is None or identity is None:
        return {}
    command = [program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader", "-i", f"GPU-{identity}"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=CLOCK_TIMEOUT_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    values = [value.strip() for value in said.strip().split(",")]
    return dict(zip(fields, values, strict=True)) if len(values) == len(fields) else {}
