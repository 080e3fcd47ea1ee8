"""Megatron-Bridge: Megatron's line, with the throughput on a line of its own in front of it.

    Step Time : 11.20s GPU utilization: 800.1MODEL_TFLOP/s/GPU
     [2026-01-31 12:00:00.123456] iteration       10/     100 | consumed samples: ... | elapsed time per
        iteration (ms): 11201.3 |

``N MODEL_TFLOP/s/GPU`` or ``N TFLOP/s/GPU``; hybrid models print 0, which is unknown.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import ClassVar

import numpy as np

from isocost.measure.logs.figures import figures
from isocost.measure.logs.readers.base import Rows
from isocost.measure.logs.readers.megatron import Megatron

_RATE = re.compile(r"(?<![\d.])(\d[\d,.]*)[ ]?(?:MODEL_)?TFLOP/s/GPU")


class MegatronBridge(Megatron):
    """Reads Megatron-Bridge's pairs of lines."""

    sign: ClassVar = re.compile(r"MODEL_TFLOP/s/GPU|GPU utilization:[ \t]*[\d.]+[ ]?TFLOP/s/GPU")

    def __init__(self) -> None:
        super().__init__()
        self._last = float("nan")  # a rate whose step is in the next block

    def read(self, block: str) -> Rows:
        """Return the steps of a block, each with the rate printed since the step before."""
        rows = super().read(block)
        found = [(match.start(), match.group(1)) for match in _RATE.finditer(block)]
        places, rates = [place for place, _ in found], figures(text for _, text in found)
        values, before = [], 0
        for place in rows.places:
            here = bisect_left(places, place)
            values.append(rates[here - 1] if here > before else self._last)
            self._last, before = float("nan"), here
        if len(places) > before:
            self._last = float(rates[-1])
        if rows.places and not np.isnan(values).all():
            rows.columns["tflops_per_gpu"] = np.array(values, dtype=np.float64)
        return rows
