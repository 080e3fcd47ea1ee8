"""nanotron.

    01/31/2026 12:00:00 [INFO|DP=0|PP=0|TP=0]: iteration: 5 / 100 | consumed_tokens: 21M |
        time_per_iteration_ms: 20.5K |
        tokens_per_sec: 204K | tokens_per_sec_per_gpu: 1.6K | global_batch_size: 1.02K | lm_loss: 11.2 | lr: 0.0003 |
        model_tflops_per_gpu: 78.1 | ...                                       (one line)

Numbers have three significant digits and a suffix K, M or B.
"""

from __future__ import annotations

import re
from typing import ClassVar

from isocost.measure.logs.readers.base import BarReader


class Nanotron(BarReader):
    """Reads nanotron's iteration lines."""

    sign = re.compile(r"iteration: [\d.]+[KM]? / [\d.]+[KM]? \|")
    start = re.compile(r"iteration:[ \t]*(?P<step>[\d.]+[KM]?)[ \t]*/[ \t]*[\d.]+[KMB]?[ \t]*\|")
    fields: ClassVar = {
        "time_per_iteration_ms": ("step_s", 1e-3),
        "elapsed_time_per_iteration_ms": ("step_s", 1e-3),
        "tokens_per_sec": ("tokens_per_s", 1.0),
        "tokens_per_sec_per_gpu": ("tokens_per_s_per_gpu", 1.0),
        "global_batch_size": ("global_batch", 1.0),
        "lm_loss": ("loss", 1.0),
        "model_tflops_per_gpu": ("tflops_per_gpu", 1.0),
    }
    need = frozenset({"time_per_iteration_ms", "elapsed_time_per_iteration_ms"})
