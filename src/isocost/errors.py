"""The exceptions of isocost, and the problem record they carry.

IsocostError
├── InputError         what the user gave: scenario, flags, config.json, prices; a list of problems
├── DataError          a shipped or overlaid fact file breaks its own rules; a list of problems
└── CalibrationError   constants could not be fitted, or do not fit the evidence

A plan that is infeasible is a result, not an exception.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final


class _Absent(Enum):
    """Marks a problem that has no given value (``None`` is a value a user can give)."""

    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT
_SHOWN_CHARS = 60  # a message stays one readable line, whatever was given


def shorten(value: object, limit: int = _SHOWN_CHARS) -> str:
    """Return a one-line ``repr`` of ``value``, cut to ``limit`` characters without formatting the whole of it."""
    if isinstance(value, (str, bytes, bytearray)):
        text = repr(value[:limit])
        return text if len(value) <= limit else f"{text}... ({len(value):,} {_measure(value)})"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 4 * limit:
        return f"an integer of {value.bit_length():,} bits"
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        kind, size = type(value).__name__, len(value)
        return f"a {kind} of {size:,} {'entry' if size == 1 else 'entries'}"
    return f"a {type(value).__name__}"


def _measure(value: str | bytes | bytearray) -> str:
    return "characters" if isinstance(value, str) else "bytes"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, what was given, what is allowed, the nearest spelling, and the fix."""

    path: str
    message: str
    given: object = ABSENT
    allowed: str = ""
    nearest: str = ""
    fix: str = ""

    def __str__(self) -> str:
        """Return the problem as one readable line."""
        what = self.message if self.given is ABSENT else f"{shorten(self.given)} {self.message}"
        parts = [f"{self.path}: {what}" if self.path else what]
        if self.allowed:
            parts.append(f"allowed: {self.allowed}")
        if self.nearest:
            parts.append(f"did you mean {self.nearest}?")
        if self.fix:
            parts.append(f"fix: {self.fix}")
        text = "; ".join(parts)
        if text.isprintable():
            return text
        return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


class IsocostError(Exception):
    """Any error isocost raises on purpose."""


class _ProblemsError(IsocostError):
    """An error that reports every problem at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class InputError(_ProblemsError):
    """The user's input cannot be used; ``problems`` lists all that is wrong with it."""


class NoPlanError(InputError):
    """The input can be read, and nothing on offer meets it; the problem names the nearest way out."""


class DataError(_ProblemsError):
    """A file of facts breaks its own rules; ``problems`` lists all that is wrong with it."""


class CalibrationError(IsocostError):
    """Constants could not be fitted, or do not describe the evidence."""


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Return the candidate spelled most like ``name``, or an empty string when none is close."""
    by_folded = {candidate.casefold(): candidate for candidate in candidates}
    found = difflib.get_close_matches(name[:_SHOWN_CHARS].casefold(), by_folded, n=1)
    return by_folded[found[0]] if found else ""
