"""tqdm's progress bar: ``12%|█▎        | 2/16 [02:00<13:54, 59.61s/it, loss=2.3]``."""

from __future__ import annotations

import re
from typing import Final

from isocost.units import DAY_S

BAR: Final = re.compile(
    r"\|[ ]*(?P<step>\d+)/(?P<total>\d+) \[(?P<elapsed>(?:\d+ days?, )?[\d:]+)<[^,\]\n]*,[ ]*"
    r"(?P<rate>[\d.]+|\?)[ ]?(?P<unit>it/s|s/it)(?P<more>[^\]\n]*)\]?"
)


def seconds(elapsed: str) -> float:
    """Return "1:02:03" or "02:03" in seconds."""
    total = 0.0
    for part in elapsed.split(", ")[-1].split(":"):
        total = total * 60.0 + float(part or 0)
    days = elapsed.partition(" day")[0] if "day" in elapsed else "0"
    return total + DAY_S * float(days)


def step_s(rate: str, unit: str) -> float:
    """Return the time of a step from the rate of a bar, NaN where it is not known."""
    if rate == "?" or float(rate) == 0.0:
        return float("nan")
    return float(rate) if unit == "s/it" else 1.0 / float(rate)
