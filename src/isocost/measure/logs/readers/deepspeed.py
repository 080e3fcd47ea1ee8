"""The DeepSpeed engine: two lines for a step, in either order.

    [2026-01-31 12:00:00,123] [INFO] [logging.py:60:log_dist] [Rank 0] step=10, skipped=2, lr=[5e-05],
        mom=[[0.9, 0.999]]
    [2026-01-31 12:00:00,124] [INFO] [timer.py:197:stop] epoch=0/micro_step=80/global_step=10,
        RunningAvgSamplesPerSec=201.1,
        CurrSamplesPerSec=204.8, MemAllocated=5.87GB, MaxMemAllocated=30.1GB          (one line)

Steps are printed every ``steps_per_print``; ``skipped`` counts since the start. The step time is the batch over the
rate where ``train_batch_size`` is printed, and otherwise comes from the times of the lines.
"""

from __future__ import annotations

import re

from isocost.measure.logs.figures import figure
from isocost.measure.logs.readers.base import CUT_OFF, Reader, Rows, rows_of
from isocost.units import GIB

_STEP = re.compile(r"(?<![\w/])step=(\d+), skipped=(\d+), lr=|global_step=(\d+),([^\n]*)")
_RATE = re.compile(r"CurrSamplesPerSec=([\d.einf+]+)")
_MEMORY = re.compile(r"MaxMemAllocated=([\d.]+)GB")


class DeepSpeed(Reader):
    """Reads the lines of DeepSpeed's logger and throughput timer."""

    sign = re.compile(r"(?<![\w/])step=[1-9]\d*, skipped=\d+, lr=|global_step=\d+, RunningAvgSamplesPerSec=")

    def __init__(self) -> None:
        self._skipped = 0.0

    @classmethod
    def recognises(cls, block: str) -> bool:
        """Return whether a block has lines of the engine; looking for a word first is a hundred times quicker."""
        return ("skipped=" in block or "RunningAvgSamplesPerSec=" in block) and super().recognises(block)

    def read(self, block: str) -> Rows:
        """Return the steps of a block; the two lines of a step become one row."""
        found: list[tuple[int, dict[str, float]]] = []
        rows = Rows()
        for match in _STEP.finditer(block):
            values = self._values(match)
            if not values:
                rows.dropped[CUT_OFF] += 1
            elif values["step"] == 0.0:
                rows.dropped["before the first step"] += 1
            elif found and found[-1][1].keys() & values.keys() == {"step"} and found[-1][1]["step"] == values["step"]:
                found[-1] = (found[-1][0], {**found[-1][1], **values})
            else:
                found.append((match.start(), values))
        return rows_of(found, rows.dropped)

    def _values(self, match: re.Match[str]) -> dict[str, float]:
        if match.group(1):
            total, before = float(match.group(2)), self._skipped
            self._skipped = total
            return {"step": float(match.group(1)), "skipped": total - before if total >= before else total}
        rate, memory = _RATE.search(match.group(4)), _MEMORY.search(match.group(4))
        if rate is None:
            return {}
        values = {"step": float(match.group(3)), "samples_per_s": figure(rate.group(1))}
        # GB of DeepSpeed is GiB.
        return values | ({"memory_bytes": figure(memory.group(1)) * GIB} if memory else {})
