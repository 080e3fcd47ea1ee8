"""JSON Lines: one object a line, as metric loggers write them.

    {"step": 10, "loss": 2.1, "step_time": 1.234, "tps": 6640, "timestamp": 1769860800.1}

Names are known for the usual loggers (readers/columns.py) or mapped with ``columns``; one level of nesting is looked
into.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping

from isocost.measure.logs.readers.base import CUT_OFF, Reader, Rows, rows_of
from isocost.measure.logs.readers.columns import ColumnMap

_LONGEST = 1 << 20  # characters of an object; a longer one is no step
NO_STEP = "no step number in the row"
NO_VALUE = "nothing measured in the row"


class JsonLines(Reader):
    """Reads one JSON object a line."""

    sign = re.compile(
        r'^[ \t]*\{[^\n]*"(?:train(?:er)?/)?(?:global_|_)?(?:step|iteration|iter|batches)"[ \t]*:', re.MULTILINE
    )

    def __init__(self, columns: Mapping[str, str] | None) -> None:
        self._map = ColumnMap(columns)
        self.unknown = self._map.unknown

    def read(self, block: str) -> Rows:
        """Return the steps of a block."""
        found: list[tuple[int, dict[str, float]]] = []
        dropped: Counter[str] = Counter()
        place = 0
        for line in block.splitlines(keepends=True):
            start, place = place, place + len(line)
            brace = line.find("{")
            if brace < 0:
                continue
            values = self._values(line[brace:])
            if isinstance(values, str):
                dropped[values] += 1
            elif len(values) > 1:
                found.append((start + brace, values))
            elif values:
                dropped[NO_VALUE] += 1
        return rows_of(found, dropped)

    def _values(self, text: str) -> dict[str, float] | str:
        if len(text) > _LONGEST:
            return "object of more than 1 MiB"
        try:
            entry = json.loads(text)
        except (ValueError, RecursionError):
            return CUT_OFF
        flat: dict[str, object] = {}
        for name, value in entry.items():
            flat |= value if isinstance(value, dict) else {name: value}
        values = self._map.values(flat)
        return values if "step" in values or len(values) < 1 else NO_STEP
