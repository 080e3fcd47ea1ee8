"""torchtitan.

    [rank0]:[titan] 2026-01-31 12:00:00,123 - root - INFO - step:  1  loss: 12.24  grad_norm:  1.5  memory:
        24.10GiB(30.45%)
        tps: 1,234  tflops: 71.43  mfu: 22.90%                            (one line)

Two blanks between fields; grad_norm and tflops are missing in old versions, where tps is called wps; mfu may be N/A.
tps is per GPU and per step of the log interval. There is no step time: it comes from the times of the lines.
``validate step: ...`` is an evaluation.
"""

from __future__ import annotations

import re
from typing import ClassVar

import numpy as np

from isocost.measure.logs.readers.base import PatternReader, Rows
from isocost.units import GIB

_VALIDATION = "validation"


class TorchTitan(PatternReader):
    """Reads torchtitan's metrics lines."""

    sign = re.compile(r"step:[ \t]*\d+[ \t]+loss:[ \t]*\S+[^\n]{0,400}?(?:tps|wps):")
    word = "step:"
    pattern = re.compile(
        r"step:[ \t]*(?P<step>\d+)[ \t]+loss:[ \t]*(?P<loss>[^\s:]+)"
        r"(?:[ \t]+grad_norm:[ \t]*[^\s:]+)?"
        r"(?:[ \t]+memory:[ \t]*(?P<memory>[\d.]+)GiB(?:\([^)\n]*\))?)?"
        r"(?:[ \t]+(?:tps|wps):[ \t]*(?P<tps>[\d,]+(?=[ \t\n])))?"
        r"(?:[ \t]+tflops:[ \t]*(?P<tflops>[\d,.]+))?"
        r"(?:[ \t]+mfu:[ \t]*(?P<mfu>[\d.]+|N/A))?"
    )
    scales: ClassVar = {
        "step": ("step", 1.0),
        "loss": ("loss", 1.0),
        "memory": ("memory_bytes", GIB),
        "tps": ("tokens_per_s_per_gpu", 1.0),
        "tflops": ("tflops_per_gpu", 1.0),
        "mfu": ("mfu", 0.01),
    }
    need = "tps"

    def read(self, block: str) -> Rows:
        """Return the steps of a block, without those of validation."""
        rows = super().read(block)
        if rows.places and "validate step:" in block:
            training = [block[max(place - 9, 0) : place] != "validate " for place in rows.places]
            rows.keep(np.array(training), _VALIDATION)
        return rows
