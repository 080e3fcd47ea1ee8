"""What stands in front of a step on its line: the rank that printed it and the time it did.

[rank3]:[titan] 2026-01-31 12:00:00,123 - root - INFO - step: ...        torchrun
3: [2026-01-31 12:00:00] iteration ...                                    srun --label
[default3]:01/31/2026 12:00:00 [INFO|DP=3|PP=0|TP=0]: iteration: ...      torchrun --tee
I0131 12:00:00.123456 140000 metric_logger.py:100] completed step: ...    absl
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from isocost.measure.records import NO_RANK, Column

LONGEST: Final = 300  # characters of a line in front of its step that are looked at
_RANK: Final = re.compile(
    r"\s*(?:\[(?:[Rr]ank|default)?[ :]?(\d{1,6})\](?::|\s|\[)|(\d{1,6}):\s|(?:[Rr]ank) ?(\d{1,6})\b)"
)
_INNER_RANK: Final = re.compile(r"\[[Rr]ank[ :]?(\d{1,6})\]")
_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d):(\d\d(?:[.,]\d+)?)")
_SLASHED: Final = re.compile(r"(\d\d)/(\d\d)/(\d{4}) (\d\d:\d\d):(\d\d(?:[.,]\d+)?)")
_ABSL: Final = re.compile(r"\b[IWEF](\d\d)(\d\d) (\d\d:\d\d):(\d\d\.\d+)")


def rank_of(text: str) -> int:
    """Return the rank at the start of a line, or -1."""
    found = _RANK.match(text) or _INNER_RANK.search(text)
    return int(found.group(found.lastindex or 1)) if found else NO_RANK


def time_of(text: str) -> float:
    """Return the time on a line in seconds since 1970 (of an assumed year where none is printed), or NaN."""
    if found := _ISO.search(text):
        minute, second = found.groups()
        return _minute(minute) + float(second.replace(",", "."))
    if found := _SLASHED.search(text):
        month, day, year, minute, second = found.groups()
        return _minute(f"{year}-{month}-{day} {minute}") + float(second.replace(",", "."))
    if found := _ABSL.search(text):
        month, day, minute, second = found.groups()
        return _minute(f"1972-{month}-{day} {minute}") + float(second)  # no year is printed; 1972 has a 29 February
    return float("nan")


@lru_cache(maxsize=4096)
def _minute(text: str) -> float:
    """Return the start of "YYYY-MM-DD HH:MM"; a date that cannot be is unknown."""
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    hour, minute = int(text[11:13]), int(text[14:16])
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60):
        return float("nan")
    return float(calendar.timegm((year, month, day, hour, minute, 0)))


def line_feeds(block: str) -> Column:
    """Return the places of the line ends of a block."""
    if block.isascii():
        return np.flatnonzero(np.frombuffer(block.encode("ascii"), dtype=np.uint8) == 10)
    return np.flatnonzero(np.frombuffer(block.encode("utf-32-le", "surrogatepass"), dtype=np.uint32) == 10)


def prefixes(block: str, feeds: Column, places: Sequence[int]) -> tuple[Column, list[str]]:
    """Return the line within the block and the text in front of each place on its line."""
    at = np.asarray(places, dtype=np.int64)
    lines = np.searchsorted(feeds, at)
    starts = np.concatenate([[0], feeds + 1])[lines]
    starts = np.maximum(starts, at - LONGEST)
    return lines, [block[start:end] for start, end in zip(starts.tolist(), at.tolist(), strict=True)]


def ranks_and_times(texts: Sequence[str]) -> tuple[Column, Column]:
    """Return rank and time of each prefix."""
    if not any(texts):
        return np.full(len(texts), NO_RANK), np.full(len(texts), np.nan)
    return np.array([rank_of(text) for text in texts]), np.array([time_of(text) for text in texts])
