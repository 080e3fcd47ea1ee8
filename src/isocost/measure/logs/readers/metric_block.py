"""A step as a heading with one metric a line under it: Composer, OLMo-core."""

from __future__ import annotations

import re
from typing import ClassVar

from isocost.measure.logs.readers.base import CUT_OFF, Reader, Rows, rows_of
from isocost.measure.logs.readers.columns import ColumnMap


class MetricBlockReader(Reader):
    """A heading with the step, then lines of ``name<separator>value``; a heading without metrics is cut off."""

    heading: ClassVar[re.Pattern[str]]  # its group ``step``
    metric: ClassVar[re.Pattern[str]]  # groups ``name`` and ``value``, of one line
    names: ClassVar[ColumnMap]

    def read(self, block: str) -> Rows:
        """Return the steps of a block."""
        headings = [(match.start(), match.end(), match.group("step")) for match in self.heading.finditer(block)]
        if not headings:
            return Rows()
        ends = [place for place, _, _ in headings[1:]] + [len(block)]
        rows = Rows()
        found = []
        for (place, after, step), end in zip(headings, ends, strict=True):
            named = {match.group("name"): match.group("value") for match in self.metric.finditer(block, after, end)}
            values = self.names.values(named)
            if values:
                found.append((place, {**values, "step": float(step.replace(",", ""))}))
            else:
                rows.dropped[CUT_OFF] += 1
        return rows_of(found, rows.dropped)
