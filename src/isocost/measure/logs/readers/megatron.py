"""Megatron-LM of 2021 and now, and Megatron-DeepSpeed.

     [2026-01-31 12:00:00] iteration      10/  1000 | consumed samples:  2560 | elapsed time per iteration
        (ms): 5837.9 |
        throughput per GPU (TFLOP/s/GPU): 400.1 | learning rate: 1.5E-04 | global batch size:   256 | lm loss: 2.1E+00 |
        loss scale: 1.0 | grad norm: 1.2 | number of skipped iterations:   0 | number of nan iterations:   0 |
        (one line)

In 2021 there is no time and no throughput, and the loss may be ``lm-loss``. The time is the mean over the log
interval; the skipped and NaN iterations are counted since the last line. Megatron-DeepSpeed writes ``elapsed time per
iteration (s)`` in some versions, and ``TFLOPs:``, ``tokens per gpu per second (tgs):`` and ``samples per second:``.

    [Rank 43] (after 10 iterations) memory (MB) | allocated: 15492.8 | max allocated: 15492.8 | reserved: 18738.0 |
        max reserved: 18738.0                                                             (one line, once a rank)

is the memory of a rank, in MiB; the run's is that of the fullest, as reserved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from isocost.measure.logs.figures import figure
from isocost.measure.logs.readers.base import BarReader, Rows

_MIB: Final = 2.0**20
_MEMORY: Final = re.compile(r"memory \(MB\) \|[^\n]{0,200}?max reserved: ([\d.]+)(?=\s)")


class Megatron(BarReader):
    """Reads the training log line of Megatron."""

    sign = re.compile(r"iteration[ \t]+\d+/[ \t]*\d+ \|[^\n]{0,400}?elapsed time per iteration")
    start = re.compile(r"iteration[ \t]+(?P<step>\d+)/[ \t]*\d+[ \t]*\|")
    fields: ClassVar = {
        "elapsed time per iteration (ms)": ("step_s", 1e-3),
        "elapsed time per iteration (s)": ("step_s", 1.0),
        "throughput per GPU (TFLOP/s/GPU)": ("tflops_per_gpu", 1.0),
        "TFLOPs": ("tflops_per_gpu", 1.0),
        "tokens per gpu per second (tgs)": ("tokens_per_s_per_gpu", 1.0),
        "tokens/sec/gpu": ("tokens_per_s_per_gpu", 1.0),
        "samples per second": ("samples_per_s", 1.0),
        "power per GPU (W/GPU)": ("power_w", 1.0),
        "global batch size": ("global_batch", 1.0),
        "lm loss": ("loss", 1.0),
        "lm-loss": ("loss", 1.0),
        "number of skipped iterations": ("skipped", 1.0),
        "number of nan iterations": ("nan", 1.0),
    }
    need = frozenset({"elapsed time per iteration (ms)", "elapsed time per iteration (s)"})

    def __init__(self) -> None:
        super().__init__()
        self._reserved_mib = 0.0

    def read(self, block: str) -> Rows:
        """Return the steps of a block, and note the memory of the ranks in it."""
        if "memory (MB)" in block:
            self._reserved_mib = max(self._reserved_mib, *map(figure, _MEMORY.findall(block)), 0.0)
        return super().read(block)

    def facts(self) -> Mapping[str, float]:
        """Return the memory of the fullest rank."""
        return {"memory_bytes": self._reserved_mib * _MIB} if self._reserved_mib else {}
