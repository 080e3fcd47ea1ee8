"""The Hugging Face Trainer on a console: a progress bar, a Python dict a log, a dict at the end.

    12%|█▎        | 2/16 [02:00<13:54, 59.61s/it]
    {'loss': 2.3011, 'grad_norm': 1.2, 'learning_rate': 4.5e-05, 'epoch': 0.12}
    {'train_runtime': 919.097, 'train_samples_per_second': 1.088, 'train_steps_per_second': 0.017, 'epoch': 1.0}

The bar is the only one that has steps and times (whole seconds); every rank may draw one. Without a bar the dicts
have no step, so they are numbered, and the step time is the mean of the run from the last dict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from isocost.measure.logs.figures import figure
from isocost.measure.logs.readers.base import Reader, Rows, rows_of
from isocost.measure.logs.readers.progress_bar import BAR, seconds

_TOTAL = r"Total optimization steps = (?P<all>[\d,]+)"
_DICT = r"\{'loss': (?P<loss>'?[\w.+-]+'?)[^}\n]*\}"
_END = r"\{'train_runtime': (?P<end>[^}\n]*\})"
_EVENT = re.compile(rf"{BAR.pattern}|{_DICT}|{_TOTAL}|{_END}")
_PAIR = re.compile(r"'(\w+)': '?([\d.eE+-]+)")
OTHER_BAR = "another progress bar"
OTHER_RANK = "same step on another rank's progress bar"
FACTS = {
    "train_runtime": "train_runtime_s",
    "train_steps_per_second": "steps_per_s",
    "train_samples_per_second": "samples_per_s",
    "train_tokens_per_second": "tokens_per_s",
    "total_flos": "total_flop",
}


class HfTrainer(Reader):
    """Reads bars and dicts of the Trainer."""

    sign = re.compile(r"\{'loss': |\{'train_runtime': |Total optimization steps =")

    def __init__(self) -> None:
        self._total = 0  # steps of the training bar; other bars count other things
        self._last = 0
        self._dicts = 0
        self._facts: dict[str, float] = {}

    def read(self, block: str) -> Rows:
        """Return the steps of a block."""
        rows = Rows()
        found: list[tuple[int, dict[str, float]]] = []
        for match in _EVENT.finditer(block):
            if match.group("all"):
                total = int(match.group("all").replace(",", ""))
                if total != self._total or self._last >= total:
                    self._total, self._last = total, 0
            elif match.group("end"):
                self._ended("'train_runtime': " + match.group("end"))
            elif match.group("loss"):
                self._logged(figure(match.group("loss").strip("'")), match.start(), found)
            else:
                self._drawn(match, found, rows)
        return rows_of(found, rows.dropped)

    def _drawn(self, match: re.Match[str], found: list[tuple[int, dict[str, float]]], rows: Rows) -> None:
        step, total = int(match.group("step")), int(match.group("total"))
        self._total = self._total or total
        if step == 0:
            return
        if total != self._total:
            rows.dropped[OTHER_BAR] += 1
        elif step <= self._last:
            rows.dropped[OTHER_RANK] += 1
        else:
            self._last = step
            found.append((match.start(), {"step": float(step), "time_stamp": seconds(match.group("elapsed"))}))

    def _logged(self, loss: float, place: int, found: list[tuple[int, dict[str, float]]]) -> None:
        self._dicts += 1
        if found and self._last:
            found[-1][1]["loss"] = loss
        elif not self._last:
            found.append((place, {"step": float(self._dicts), "loss": loss}))

    def _ended(self, text: str) -> None:
        for name, value in _PAIR.findall(text):
            if name in FACTS and FACTS[name] not in self._facts:
                self._facts[FACTS[name]] = figure(value)

    def facts(self) -> Mapping[str, float]:
        """Return the figures of the last dict, and the steps of the run."""
        return self._facts | ({"total_steps": float(self._total)} if self._total else {})
