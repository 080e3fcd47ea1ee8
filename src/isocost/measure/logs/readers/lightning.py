"""Lightning's progress bar on a console; its metrics.csv is a table (readers/csv_table.py).

    Epoch 0:  10%|█         | 10/100 [00:10<01:30,  1.00it/s, v_num=0, train_loss=2.30, device|mfu=0.41]

The rate of the bar is smoothed. ``device|...`` comes from the ThroughputMonitor when it is logged to the bar.
"""

from __future__ import annotations

import re
from typing import ClassVar

from isocost.measure.logs.readers.base import Reader, Rows, rows_of
from isocost.measure.logs.readers.columns import ColumnMap
from isocost.measure.logs.readers.progress_bar import BAR, step_s

_PAIR = re.compile(r"([\w|/(). ]+?)=([\d.eE+naif-]+)")
_LINE = re.compile(rf"Epoch (?P<epoch>\d+):[^\n|]*\|[^\n|]*{BAR.pattern}")
NO_RATE = "no rate yet"


class Lightning(Reader):
    """Reads the training bar; bars of validation have another heading."""

    sign = re.compile(r"Epoch \d+:[^\n|]{0,400}\|[^\n|]{0,400}\|[ ]*\d+/\d+ \[")
    names: ClassVar = ColumnMap(None)

    def read(self, block: str) -> Rows:
        """Return the steps of a block; a bar is drawn again whenever it changes, the first drawing of a step counts."""
        rows = Rows()
        found: list[tuple[int, dict[str, float]]] = []
        for match in _LINE.finditer(block):
            step, total = int(match.group("step")), int(match.group("total"))
            if step == 0:
                continue
            time = step_s(match.group("rate"), match.group("unit"))
            if time != time:
                rows.dropped[NO_RATE] += 1
                continue
            more = {name.strip(" ,"): value for name, value in _PAIR.findall(match.group("more"))}
            values = {
                **self.names.values(more),
                "step": float(int(match.group("epoch")) * total + step),
                "step_s": time,
            }
            found.append((match.start(), values))
        return rows_of(found, rows.dropped)
