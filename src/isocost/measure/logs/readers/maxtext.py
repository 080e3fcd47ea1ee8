"""MaxText.

    completed step: 10, seconds: 1.234, TFLOP/s/device: 401.2, Tokens/s/device: 6640.1, total_weights: 65536, loss: 10.5

The weights are the target tokens of the global batch that are not padding. More fields may follow; ``[Rampup Batch
Size Phase]`` may stand in front while the batch grows.
"""

from __future__ import annotations

import re
from typing import ClassVar

from isocost.measure.logs.readers.base import PatternReader


class MaxText(PatternReader):
    """Reads MaxText's step lines."""

    sign = re.compile(r"completed step: \d+, seconds:")
    word = "completed step:"
    pattern = re.compile(
        r"completed step:[ ]?(?P<step>\d+)(?:,? \[[^\]\n]*\])?"
        r"(?:, seconds: (?P<seconds>[\d.e+-]+)(?=,))?"
        r"(?:, TFLOP/s/device: (?P<tflops>[\d.e+-]+))?"
        r"(?:, Tokens/s/device: (?P<tokens>[\d.e+-]+))?"
        r"(?:, total_weights: (?P<weights>[\d.e+-]+))?"
        r"(?:, loss: (?P<loss>[\w.+-]+))?"
    )
    scales: ClassVar = {
        "step": ("step", 1.0),
        "seconds": ("step_s", 1.0),
        "tflops": ("tflops_per_gpu", 1.0),
        "tokens": ("tokens_per_s_per_gpu", 1.0),
        "weights": ("batch_tokens", 1.0),
        "loss": ("loss", 1.0),
    }
    need = "seconds"
