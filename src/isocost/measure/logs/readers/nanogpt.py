"""nanoGPT.

    iter 10: loss 10.8123, time 135.21ms, mfu 31.20%

The mfu is a moving average with weight 0.9, -100 before the fifth step. ``step 250: train loss ..`` is an evaluation,
and the time of the iteration that follows contains it.
"""

from __future__ import annotations

import re
from typing import ClassVar

import numpy as np

from isocost.measure.logs.readers.base import PatternReader, Rows


class NanoGpt(PatternReader):
    """Reads nanoGPT's iteration lines."""

    sign = re.compile(r"iter \d+: loss [\d.naif]+, time [\d.]+ms")
    word = "iter "
    pattern = re.compile(
        r"iter (?P<step>\d+): (?:loss (?P<loss>[^\s,]+))?(?:, time (?P<time>[\d.]+)ms)?(?:, mfu (?P<mfu>-?[\d.]+)%)?"
    )
    scales: ClassVar = {
        "step": ("step", 1.0),
        "loss": ("loss", 1.0),
        "time": ("step_s", 1e-3),
        "mfu": ("mfu", 0.01),
    }
    need = "time"

    def read(self, block: str) -> Rows:
        """Return the steps of a block; an mfu that is not known yet is unknown."""
        rows = super().read(block)
        if "mfu" in rows.columns:
            mfu = rows.columns["mfu"]
            rows.columns["mfu"] = np.where(mfu < 0.0, np.nan, mfu)
        return rows
