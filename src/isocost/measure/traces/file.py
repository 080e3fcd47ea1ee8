"""Events of a Kineto trace, one by one from a file of any size; a file that is cut off gives those before the cut.

    {"schemaVersion": 1, "deviceProperties": [...], "distributedInfo": {"backend": "nccl", "rank": 3, "world_size": 8},
     "traceEvents": [{"ph": "X", "cat": "kernel", "name": "...", "ts": 1.5, "dur": 7.0, "args": {...}}, ...]}

or the list alone. Times are in microseconds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from isocost.errors import InputError, Problem
from isocost.measure.logs.source import Source

_LARGEST_VALUE: Final = 1 << 26  # characters of one event, or of one property of the trace
_BETWEEN: Final = re.compile(r"[\s,]*")
_KEY: Final = re.compile(r'[\s,]*"([^"\\]*)"\s*:\s*')
_CUT_OFF: Final = "the trace is cut off; the events before the cut were read"
_DECODE: Final = json.JSONDecoder().raw_decode


@dataclass(slots=True)
class TraceFile:
    """A trace being read; ``properties`` and ``notes`` fill while the events are consumed."""

    path: Path
    properties: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    cut: bool = False  # events are missing: of which kind and when, nobody knows
    _text: str = ""
    _at: int = 0
    _blocks: Iterator[str] = field(default_factory=lambda: iter(()))

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the events."""
        source = Source(self.path)
        self._blocks = source.blocks()
        self._more()
        try:
            yield from self._top()
        except RecursionError:
            self._cut("a value is nested too deeply; only what comes before it was read")
        self.notes.extend(source.notes)

    def _top(self) -> Iterator[dict[str, Any]]:
        self._skip_space()
        opening = self._text[self._at : self._at + 1]
        if opening == "[":
            yield from self._list()
            return
        if opening != "{":
            raise InputError([Problem(str(self.path), "is no trace: it does not begin as JSON does")])
        self._at += 1
        while (key := self._key()) is not None:
            if key == "traceEvents" and self._text.startswith("[", self._at):
                yield from self._list()
            else:
                done, value = self._value()
                if not done:
                    self._cut(_CUT_OFF)
                    return
                self.properties[key] = value

    def _cut(self, note: str) -> None:
        self.cut = True
        self.notes.append(note)

    def _list(self) -> Iterator[dict[str, Any]]:
        """Yield the objects of a list that begins here."""
        self._at += 1
        while True:
            end = _BETWEEN.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._text.startswith("]", end):
                self._at = end + 1
                return
            self._at = end
            if end == len(self._text) and self._more():
                continue
            done, value = self._value()
            if not done:
                self._cut(_CUT_OFF)
                return
            if isinstance(value, dict):
                yield value

    def _key(self) -> str | None:
        while True:
            found = _KEY.match(self._text, self._at)
            if found and found.end() < len(self._text):
                self._at = found.end()
                return found.group(1)
            if not self._more():
                return None

    def _value(self) -> tuple[bool, Any]:
        """Return the JSON value that begins here, reading on until it is whole."""
        while True:
            try:
                value, end = _DECODE(self._text, self._at)
                if end < len(self._text) or not self._more():  # a number at the end may go on
                    self._at = end
                    return True, value
            except ValueError:
                if len(self._text) - self._at > _LARGEST_VALUE or not self._more():
                    return False, None

    def _more(self) -> bool:
        """Read another block; return whether there was one."""
        block = next(self._blocks, None)
        if block is None:
            return False
        self._text, self._at = self._text[self._at :] + block, 0
        return True

    def _skip_space(self) -> None:
        self._at = _BETWEEN.match(self._text, self._at).end()  # type: ignore[union-attr]
        if self._at == len(self._text) and not self._more():
            raise InputError([Problem(str(self.path), "is empty")])
