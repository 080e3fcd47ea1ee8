"""NeMo 2, and the DLLogger lines of NVIDIA's benchmarks.

    Training epoch 0, iteration 0/19 | lr: 1e-05 | global_batch_size: 512 | global_step: 0 | reduced_train_loss: 11.0 |
        train_step_timing in s: 10.31 | consumed_samples: 512                    (one line)
    DLLL {"timestamp": "...", "type": "LOG", "step": 10, "data": {"train_step_timing in s": 1.2,
        "reduced_train_loss": 5.1}}

``TFLOPS_per_GPU: N`` is a field of the line in some versions. The iteration counts from 0; ``global_step`` goes on
over epochs.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import ClassVar

import numpy as np

from isocost.measure.logs.readers.base import CUT_OFF, BarReader, Rows, rows_of

_DLLL = re.compile(r"DLLL (\{[^\n]*)")
_KEYS = {
    "train_step_timing in s": "step_s",
    "train_step_timing": "step_s",
    "step_time": "step_s",
    "TFLOPS_per_GPU": "tflops_per_gpu",
    "tflops_per_gpu": "tflops_per_gpu",
    "reduced_train_loss": "loss",
    "global_batch_size": "global_batch",
    "tokens_per_sec_per_gpu": "tokens_per_s_per_gpu",
}


class Nemo(BarReader):
    """Reads NeMo 2's progress lines and DLLogger's JSON."""

    sign = re.compile(r"Training epoch \d+, iteration \d+/|DLLL \{")
    start = re.compile(r"Training epoch \d+, iteration (?P<step>\d+)/\d+[ \t]*\|")
    fields: ClassVar = {
        "train_step_timing in s": ("step_s", 1.0),
        "TFLOPS_per_GPU": ("tflops_per_gpu", 1.0),
        "global_batch_size": ("global_batch", 1.0),
        "global_step": ("global_step", 1.0),
        "reduced_train_loss": ("loss", 1.0),
    }
    need = frozenset({"train_step_timing in s"})

    def read(self, block: str) -> Rows:
        """Return the steps of a block."""
        if "DLLL {" in block:
            return self._logger_rows(block)
        rows = super().read(block)
        if "global_step" in rows.columns:
            steps = rows.columns.pop("global_step")
            rows.columns["step"] = np.where(np.isnan(steps), rows.columns["step"], steps)
        return rows

    def _logger_rows(self, block: str) -> Rows:
        dropped: Counter[str] = Counter()
        found = []
        for match in _DLLL.finditer(block):
            if not any(key in match.group(1) for key in _KEYS):
                continue
            try:
                entry = json.loads(match.group(1))
                step = entry["step"]
                step = step[-1] if isinstance(step, list) else step
                values = {_KEYS[key]: float(value) for key, value in entry["data"].items() if key in _KEYS}
                found.append((match.start(), {"step": float(step), **values}))
            except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
                dropped[CUT_OFF] += 1
        return rows_of(found, dropped)
