"""The Hugging Face Trainer's trainer_state.json, written with every checkpoint.

    {"global_step": 16, "log_history": [
      {"epoch": 0.12, "grad_norm": 1.2, "learning_rate": 4.5e-05, "loss": 2.3011, "step": 2},
      {"epoch": 0.5, "eval_loss": 2.2, "eval_runtime": 31.2, "step": 8},
      {"epoch": 1.0, "step": 16, "total_flos": 1.2e18, "train_runtime": 919.0, "train_steps_per_second": 0.017}]}

There is no time in the steps: the step time is the mean of the run, without the evaluations that are listed. Entries
are taken one by one, so that a file that is cut off gives those before the cut.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from isocost.measure.logs.readers.base import CUT_OFF, Reader, Rows, rows_of
from isocost.measure.logs.readers.hf_trainer import FACTS
from isocost.measure.logs.records import Mark

_ENTRY = re.compile(r"\{[^{}]*\}")
_GLOBAL = re.compile(r'"(global_step|max_steps|train_batch_size)":[ ]*(\d+)')
_MOST_CHARACTERS = 1 << 28


class TrainerState(Reader):
    """Reads the entries of log_history."""

    sign = re.compile(r'"log_history"[ \t]*:[ \t]*\[')

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0
        self._facts: dict[str, float] = {}
        self.marks: list[Mark] = []
        self.notes: list[str] = []

    def read(self, block: str) -> Rows:
        """Keep the text: an entry may go over several lines."""
        if self._size + len(block) <= _MOST_CHARACTERS:
            self._parts.append(block)
        elif self._size <= _MOST_CHARACTERS:
            self.notes.append("only the first 256 MiB were read")
        self._size += len(block)
        return Rows()

    def finish(self) -> Rows:
        """Return all steps."""
        text = "".join(self._parts)
        self._parts = []
        rows = Rows()
        found: list[tuple[int, dict[str, float]]] = []
        lines, counted = 0, 0
        history = max(text.find('"log_history"'), 0)
        for match in _ENTRY.finditer(text, history):
            lines, counted = lines + text.count("\n", counted, match.start()), match.start()
            self._entry(match, found, rows, lines)
        for name, value in _GLOBAL.findall(text):
            self._facts.setdefault({"global_step": "total_steps"}.get(name, name), float(value))
        if text and not text.rstrip().endswith("}"):
            self.notes.append("the file is cut off; the entries before the cut were read")
        return rows_of(found, rows.dropped)

    def _entry(self, match: re.Match[str], found: list[Any], rows: Rows, line: int) -> None:
        try:
            entry = json.loads(match.group())
        except ValueError:
            rows.dropped[CUT_OFF] += 1
            return
        numbers = {name: float(value) for name, value in entry.items() if isinstance(value, (int, float))}
        if "train_runtime" in numbers:
            self._facts |= {FACTS[name]: value for name, value in numbers.items() if name in FACTS}
        elif "eval_runtime" in numbers:
            step = int(numbers["step"]) if "step" in numbers else None
            self.marks.append(Mark(kind="evaluation", line=line + 1, duration_s=numbers["eval_runtime"], step=step))
        elif "step" in numbers and "loss" in numbers:
            found.append((match.start(), {"step": numbers["step"], "loss": numbers["loss"], "line": line + 1.0}))

    def facts(self) -> Mapping[str, float]:
        """Return the figures of the last entry."""
        spent = sum(mark.duration_s or 0.0 for mark in self.marks)
        return self._facts | ({"evaluation_s": spent} if self.marks else {})
