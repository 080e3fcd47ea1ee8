"""Numbers of a block whose lines differ in nothing but their numbers: quicker than a pattern on every line.

A log of steps alone repeats one line. Its text without digits is compared with that of the first line times the
number of lines; then the numbers are the words that are left when everything else is blank, and are computed from
their digits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import numpy as np

from isocost.measure.logs.records import Column

_FEWEST: Final = 100  # lines; fewer are not worth it
_IN_NUMBERS: Final = b"0123456789., "  # blanks pad them
_BLANK: Final = bytes(place if chr(place) in "0123456789." else ord(" ") for place in range(256))
_DOTTED: Final = re.compile(rb"[^0-9\n]*[A-Za-z][^0-9\n]*")  # text between numbers
_MOST_DIGITS: Final = 15  # that a float holds exactly
_POWERS: Final = 10.0 ** np.arange(_MOST_DIGITS + 1)
_PLAIN: Final = re.compile(r"\d[\d,]*(?:\.\d*)?")


def numbers_alike(block: str, pattern: re.Pattern[str], word: str) -> Mapping[str, Column] | None:
    """Return the numbers of the groups of a pattern, or None where the lines are not alike or not all steps."""
    lines = block.count("\n")
    if lines < _FEWEST or not block.isascii() or block.count(word) != lines:
        return None
    data = block.encode("ascii")
    first = data[: data.find(b"\n") + 1]
    if data.translate(None, _IN_NUMBERS) != first.translate(None, _IN_NUMBERS) * lines:
        return None
    found = pattern.search(first.decode("ascii"))
    if found is None or not all(_PLAIN.fullmatch(text) for text in found.groups() if text is not None):
        return None
    for text in set(_DOTTED.findall(first)):
        if b"." in text:  # a name of a module, not a number
            data = data.replace(text, b" ")
            first = first.replace(text, b" " * len(text))
    letters = np.frombuffer(data.translate(_BLANK, b","), dtype=np.uint8)
    filled = np.concatenate([[False], letters != ord(" "), [False]])
    edges = np.flatnonzero(filled[1:] != filled[:-1])
    width, rest = divmod(len(edges) // 2, lines)
    if rest:
        return None
    starts, ends = edges[::2].reshape(lines, width), edges[1::2].reshape(lines, width)
    numbers = {}
    for group in pattern.groupindex:
        if found.group(group) is not None:
            place = len(first[: found.start(group)].translate(_BLANK, b",").split())
            values = _decimal(letters, starts[:, place], ends[:, place])
            if values is None:
                return None
            numbers[group] = values
    return numbers


def _decimal(letters: Column, starts: Column, ends: Column) -> Column | None:
    """Return numbers of digits with at most one point; None where they are not that, or are too long to be exact."""
    widths = ends - starts
    longest = int(widths.max())
    if longest > _MOST_DIGITS:
        return None
    whole = np.zeros(len(starts), dtype=np.int64)
    decimals, points = np.zeros(len(starts), dtype=np.int64), np.zeros(len(starts), dtype=np.int64)
    for place in range(longest):
        here = place < widths
        letter = letters[np.where(here, starts + place, starts)].astype(np.int64)
        point = here & (letter == ord("."))
        digit = here & ~point
        whole = np.where(digit, whole * 10 + (letter - ord("0")), whole)
        decimals += digit & (points > 0)
        points += point
    return None if (points > 1).any() else np.asarray(whole / _POWERS[decimals])
