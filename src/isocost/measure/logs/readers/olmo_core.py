"""OLMo-core's console logger.

    2026-01-31 12:00:00.123 host:0 olmo_core.train.callbacks.console_logger:60 INFO [step=10/1000,epoch=1]
        optim/total grad norm=1.2
        throughput/device/TPS=12,345
        throughput/device/BPS=0.512
        throughput/device/data loading (s)=0.0012
        throughput/device/MFU=38.2
        train/CE loss=3.401

BPS is batches a second; MFU is in percent.
"""

from __future__ import annotations

import re
from typing import ClassVar

import numpy as np

from isocost.measure.logs.readers.base import Rows
from isocost.measure.logs.readers.columns import ColumnMap
from isocost.measure.logs.readers.metric_block import MetricBlockReader


class OlmoCore(MetricBlockReader):
    """Reads blocks of OLMo-core's metrics."""

    sign = re.compile(r"\[step=\d[\d,]*/\d[\d,]*")
    heading = re.compile(r"\[step=(?P<step>\d[\d,]*)/[^\]\n]*\]")
    metric = re.compile(r"^[ \t]+(?P<name>[^=\n]+)=(?P<value>[^\n]+)$", re.MULTILINE)
    names: ClassVar = ColumnMap({"mfu_percent": "throughput/device/MFU"})

    def read(self, block: str) -> Rows:
        """Return the steps of a block; an MFU of zero is one of a device that is not known."""
        rows = super().read(block)
        if "mfu" in rows.columns:
            mfu = rows.columns["mfu"]
            rows.columns["mfu"] = np.where(mfu > 0.0, mfu, np.nan)
        return rows
