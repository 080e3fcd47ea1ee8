"""Lines that are no step but explain a pause: checkpoints and evaluations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from isocost.measure.logs.figures import figure
from isocost.measure.logs.prefix import time_of
from isocost.measure.logs.records import Mark

MOST: Final = 100_000  # of a file; a log that says "checkpoint" on every line explains nothing
_WORDS: Final = ("heckpoint", "alidat", "valuat", "eval_runtime", "val loss")
_KINDS: Final = (
    (
        "checkpoint",
        re.compile(r"[Ss]av(?:ing|ed)(?: \w+){0,3} checkpoint|successfully saved|[Cc]heckpoint (?:was )?saved"),
    ),
    ("checkpoint", re.compile(r"Finished saving the checkpoint|Saving the checkpoint")),
    (
        "evaluation",
        re.compile(r"validation loss at|validate step:|[Rr]unning (?:[Ee]valuation|validation)|'eval_runtime'"),
    ),
    (
        "evaluation",
        re.compile(r"[Ee]valuating|step \d+: train loss [\d.]+, val loss|Eval(?:uation)? (?:done|took|time)"),
    ),
)
_DURATION: Final = re.compile(r"(?:\bin|\btook|\btime:?|'eval_runtime':)\s+([\d.]+)\s*(ms|seconds|secs|sec|s)?\b")
_STEP: Final = re.compile(r"(?:step|iteration)[ \-_:=]*(\d+)")
_MAXIMUM: Final = 400  # characters of a line that are looked at


def marks_of(block: str, first_line: int) -> Iterator[Mark]:
    """Yield the marks of a block in order."""
    places: dict[int, str] = {}
    for word in _WORDS:
        at = block.find(word)
        while at >= 0 and len(places) < MOST:
            start = block.rfind("\n", 0, at) + 1
            end = block.find("\n", at)
            places.setdefault(start, block[start : min(end, start + _MAXIMUM)])
            at = block.find(word, end)
    line, counted = first_line, 0
    for start in sorted(places):
        line, counted = line + block.count("\n", counted, start), start
        mark = _mark(places[start], line)
        if mark is not None:
            yield mark


def _mark(text: str, line: int) -> Mark | None:
    for kind, pattern in _KINDS:
        if pattern.search(text):
            took, step = _DURATION.search(text), _STEP.search(text)
            stamp = time_of(text)
            scale = 1e-3 if took and took.group(2) == "ms" else 1.0
            return Mark(
                kind=kind,
                line=line,
                time_stamp=stamp if stamp == stamp else None,
                duration_s=figure(took.group(1)) * scale if took else None,
                step=int(step.group(1)) if step else None,
            )
    return None
