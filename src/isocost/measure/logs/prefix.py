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

from isocost.measure.logs.records import NO_RANK, Column
from isocost.units import DAY_S, HOUR_S, MINUTE_S

LONGEST: Final = 300  # characters of a line in front of its step that are looked at
_RANK: Final = re.compile(
    r"\s*(?:\[(?:[Rr]ank|default)?[ :]?(\d{1,6})\](?::|\s|\[)|(\d{1,6}):\s|(?:[Rr]ank) ?(\d{1,6})\b)"
)
_INNER_RANK: Final = re.compile(r"\[[Rr]ank[ :]?(\d{1,6})\]")
_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d):(\d\d(?:[.,]\d+)?)")
_SLASHED: Final = re.compile(r"(\d\d)/(\d\d)/(\d{4}) (\d\d:\d\d):(\d\d(?:[.,]\d+)?)")
_ABSL: Final = re.compile(r"\b[IWEF](\d\d)(\d\d) (\d\d:\d\d):(\d\d\.\d+)")
_TORCHRUN: Final = re.compile(r"\[rank\d{1,6}\]")
_PLAIN: Final = re.compile(r" ?\[?[a-zA-Z]*\]? ?\[?\d{4}-\d\d-\d\d")  # no rank in front of the time
# places of the digits of "2026-01-31 12:00:00,123"
_DIGITS: Final = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20, 21, 22]
_HEAD: Final = len("[rank123456]")


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


def places_of(block: str, places: Sequence[int]) -> tuple[Column, Column, Column]:
    """Return line within the block, rank and time of each place that begins a step."""
    letters = _letters(block)
    feeds = np.flatnonzero(letters == 10)
    at = np.asarray(places, dtype=np.int64)
    lines = np.searchsorted(feeds, at)
    starts = np.maximum(np.concatenate([[0], feeds + 1])[lines], at - LONGEST)
    ranks, times, slow = _fast(block, letters, starts, at)
    for row in np.flatnonzero(slow).tolist():
        text = block[starts[row] : at[row]]
        ranks[row], times[row] = rank_of(text), time_of(text)
    return lines, ranks, times


def _letters(block: str) -> Column:
    """Return the characters of a block as numbers."""
    if block.isascii():
        return np.frombuffer(block.encode("ascii"), dtype=np.uint8)
    return np.frombuffer(block.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _fast(block: str, letters: Column, starts: Column, at: Column) -> tuple[Column, Column, Column]:
    """Return ranks and times where the text in front of a step is like the first, and a mask of where it is not.

    Millions of lines have the same words there, so the first says how far in front of the step the time stands.
    """
    ranks, times = np.full(len(at), NO_RANK), np.full(len(at), np.nan)
    empty = starts == at
    first = block[starts[0] : at[0]]
    found = _ISO.search(first)
    if found is None or len(found.group(2)) not in (2, 6) or not (_TORCHRUN.match(first) or _PLAIN.match(first)):
        return ranks, times, ~empty
    width = found.end() - found.start()  # with milliseconds or without
    back = len(first) - found.start()
    alike = at - back >= starts
    clock = letters[np.where(alike, at - back, 0)[:, None] + np.arange(width)].astype(np.int64) - ord("0")
    digits = clock[:, [place for place in _DIGITS if place < width]]
    alike &= ((digits >= 0) & (digits <= 9)).all(axis=1) & (clock[:, [4, 13]] == clock[0, [4, 13]]).all(axis=1)
    head = letters[np.minimum(starts[:, None] + np.arange(_HEAD), len(letters) - 1)].astype(np.int64)
    torchrun = (head[:, :5] == [ord(letter) for letter in "[rank"]).all(axis=1)
    plain = (head[:, :1] == [ord(first[0])]).all(axis=1) if not _TORCHRUN.match(first) else np.zeros(len(at), bool)
    number, closed = np.zeros(len(at), dtype=np.int64), np.zeros(len(at), dtype=bool)
    for letter in head[:, 5:].T:
        closed |= letter == ord("]")
        number = np.where(closed, number, number * 10 + letter - ord("0"))
    alike &= (torchrun & closed) | (plain & ~torchrun)
    times[alike] = _seconds(digits[alike])
    ranks[alike] = np.where(torchrun[alike], number[alike], NO_RANK)
    return ranks, times, ~alike & ~empty


def _seconds(digits: Column) -> Column:
    """Return seconds since 1970 of rows of the digits YYYYMMDDhhmmssfff."""
    powers = 10 ** np.arange(3, -1, -1)
    year = digits[:, :4] @ powers
    month, day, hour, minute, second = (digits[:, place] * 10 + digits[:, place + 1] for place in range(4, 14, 2))
    months = (year - 1970) * 12 + month - 1
    days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + day - 1
    seconds: Column = days * DAY_S + hour * HOUR_S + minute * MINUTE_S + second + _fraction(digits[:, 14:])
    return seconds


def _fraction(digits: Column) -> Column:
    """Return the fraction of a second that digits say, if there are any."""
    return np.asarray((digits @ 10 ** np.arange(digits.shape[1] - 1, -1, -1)) / 10.0 ** digits.shape[1])
