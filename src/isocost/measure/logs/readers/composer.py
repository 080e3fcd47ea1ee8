"""MosaicML Composer's console logger.

    [batch=10/100]:
             Train time/batch: 9
             Train loss/train/total: 3.4012
             Train throughput/batches_per_sec: 0.5120
             Train throughput/device/tokens_per_sec: 6640.1
             Train throughput/device/mfu: 0.4012

Throughputs are means over a window of batches (100 by default), so a step time is that of the window.
"""

from __future__ import annotations

import re
from typing import ClassVar

from isocost.measure.logs.readers.columns import ColumnMap
from isocost.measure.logs.readers.metric_block import MetricBlockReader


class Composer(MetricBlockReader):
    """Reads blocks of Composer's metrics."""

    sign = re.compile(r"\[batch=\d+/\d+\]:?")
    heading = re.compile(r"\[batch=(?P<step>\d+)/[^\]\n]*\]")
    metric = re.compile(r"^[ \t]*(?:\[?\w*\]?:?[ \t]*)?Train (?P<name>[^:\n]+):[ \t]*(?P<value>[^\n]+)$", re.MULTILINE)
    names: ClassVar = ColumnMap(None)
