"""Typed reading of a table that a user wrote: every field checked, every problem kept, none raised before the end.

A field that is missing or wrong yields a harmless stand-in, so that reading goes on and all problems come out at once;
``finish`` raises them. Checks between fields are skipped when one of the fields is already known to be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from isocost.errors import InputError, Problem

# Far above any model ever trained, and low enough that a product of a few of them is still a finite float.
MAX_LAYERS: Final = 10_000
MAX_HIDDEN: Final = 1_000_000
MAX_WIDTH: Final = 100_000_000
MAX_HEADS: Final = 100_000
MAX_VOCAB: Final = 100_000_000
MAX_EXPERTS: Final = 1_000_000
MAX_TOKENS: Final = 10_000_000_000

_STAND_IN: Final = 1


class Reader:
    """Reads one table of fields and collects what is wrong with it."""

    def __init__(
        self,
        values: Mapping[str, object],
        path: str,
        *,
        defaults: Mapping[str, object] | None = None,
        spellings: Mapping[str, Sequence[str]] | None = None,
        prefix: str = "",
    ) -> None:
        self.values = values
        self.path = path
        self.prefix = prefix
        self.defaults = defaults or {}
        self.spellings = spellings or {}  # of a field, the usual one first
        self.problems: list[Problem] = []
        self._bad: set[str] = set()

    def place(self, key: str) -> str:
        """Return where ``key`` stands, as shown to the user."""
        return f"{self.path}: {self.prefix}{key}" if self.path else f"{self.prefix}{key}"

    def inside(self, key: str, values: Mapping[str, object], defaults: Mapping[str, object] | None = None) -> Reader:
        """Return a reader of the nested table ``key`` that adds to the same list of problems."""
        nested = Reader(values, self.path, defaults=defaults, prefix=f"{self.prefix}{key}.")
        nested.problems = self.problems
        return nested

    def has(self, key: str) -> bool:
        """Whether the field is given and not null."""
        return self.values.get(key) is not None

    def problem(self, key: str, problem: Problem) -> None:
        """Record a problem of ``key``; the first one of a field is enough."""
        if key not in self._bad:
            self.problems.append(problem)
            self._bad.add(key)

    def bad(self, *keys: str) -> bool:
        """Whether any of these fields already has a problem."""
        return any(key in self._bad for key in keys)

    def finish(self) -> None:
        """Raise every problem found, if there is one."""
        if self.problems:
            raise InputError(self.problems)

    def shown(self, key: str) -> str:
        """Return the spelling of a field that the user gave, else the usual one."""
        names = self.spellings.get(key, (key,))
        return next((name for name in names if name in self.values), names[0])

    def _find(self, key: str) -> tuple[str, object]:
        """Return the spelling in use and its value; the default of the model type stands in for an absent field."""
        name = self.shown(key)
        return name, self.values[name] if name in self.values else self.defaults.get(key)

    def count(self, key: str, high: int, *, low: int = 1, absent: int | None = None) -> int:
        """Return a whole number from ``low`` to ``high``; ``absent`` stands for a missing or null field, if given."""
        name, value = self._find(key)
        if value is None and absent is not None:
            return absent
        allowed = f"a whole number from {low:,} to {high:,}"
        if value is None:
            how = "is null" if name in self.values else "is missing"
            self.problem(key, Problem(self.place(name), how, allowed=allowed, fix=f"add {name}"))
        elif isinstance(value, bool) or not isinstance(value, int):
            fix = _number_fix(value)
            self.problem(key, Problem(self.place(name), "is not a whole number", value, allowed, fix=fix))
        elif not low <= value <= high:
            why = "is too small" if value < low else "is too large"
            self.problem(key, Problem(self.place(name), why, value, allowed, fix=f"correct {name}"))
        else:
            return value
        return max(low, _STAND_IN)

    def flag(self, key: str, absent: bool = False) -> bool:
        """Return true or false; ``absent`` stands for a missing or null field without a default."""
        name, value = self._find(key)
        if value is None:
            return absent
        if not isinstance(value, bool):
            problem = Problem(self.place(name), "is not a truth value", value, "true or false", fix=f"correct {name}")
            self.problem(key, problem)
            return absent
        return value

    def fraction(self, key: str) -> float:
        """Return a probability from 0 to below 1; 0 when missing and without a default."""
        name, value = self._find(key)
        if value is None:
            return 0.0
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
            problem = Problem(
                self.place(name), "is not a probability", value, "a number from 0 to below 1", fix=f"correct {name}"
            )
            self.problem(key, problem)
            return 0.0
        return float(value)

    def texts(self, key: str, choices: Sequence[str], size: int) -> list[str] | None:
        """Return a list of ``size`` words out of ``choices``, or None when the field is absent."""
        value = self.values.get(key)
        if value is None:
            return None
        allowed = f"a list of {size:,} of {', '.join(choices)}"
        if not isinstance(value, list):
            self.problem(key, Problem(self.place(key), "is not a list", value, allowed, fix=f"correct {key}"))
            return None
        wrong = next((i for i, word in enumerate(value) if not isinstance(word, str) or word not in choices), None)
        if wrong is not None:
            place = self.place(f"{key}[{wrong}]")
            self.problem(key, Problem(place, "is not known", value[wrong], ", ".join(choices), fix=f"correct {key}"))
            return None
        if len(value) != size:
            fix = "name one kind for each layer"
            self.problem(key, Problem(self.place(key), "has the wrong length", value, allowed, fix=fix))
            return None
        return value

    def indices(self, key: str, below: int) -> list[int] | None:
        """Return a list of layer numbers from 0 to below ``below``, or None when the field is absent."""
        value = self.values.get(key)
        if value is None:
            return None
        allowed = f"a list of whole numbers from 0 to {below - 1:,}"
        if not isinstance(value, list):
            self.problem(key, Problem(self.place(key), "is not a list", value, allowed, fix=f"correct {key}"))
            return None
        for i, number in enumerate(value):
            if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < below:
                place = self.place(f"{key}[{i}]")
                self.problem(key, Problem(place, "is not a layer number", number, allowed, fix=f"correct {key}"))
                return None
        return value

    def table(self, key: str) -> Mapping[str, object] | None:
        """Return a nested table, or None when the field is absent."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            problem = Problem(self.place(key), "is not an object", value, "an object {...}", fix=f"correct {key}")
            self.problem(key, problem)
            return None
        return value

    def divides(self, key: str, number: int, by_key: str, by: int) -> None:
        """Record a problem unless ``number`` (the field ``key``) is a multiple of ``by`` (the field ``by_key``)."""
        if not self.bad(key, by_key) and number % by:
            name, by_name = self.shown(key), self.shown(by_key)
            message, fix = f"is not a multiple of {by_name} = {by:,}", f"correct {name} or {by_name}"
            self.problem(key, Problem(self.place(name), message, number, fix=fix))

    def at_most(self, key: str, number: int, limit_key: str, limit: int) -> None:
        """Record a problem when ``number`` (the field ``key``) is above ``limit`` (the field ``limit_key``)."""
        if not self.bad(key, limit_key) and number > limit:
            name, limit_name = self.shown(key), self.shown(limit_key)
            message, fix = f"is more than {limit_name} = {limit:,}", f"correct {name} or {limit_name}"
            self.problem(key, Problem(self.place(name), message, number, fix=fix))

    def refuse(self, key: str, when: bool, message: str) -> None:
        """Record that a setting which changes the shape is not supported, and how to go on."""
        if when and not self.bad(key):
            fix = "describe the architecture by hand in the scenario ([architecture])"
            self.problem(key, Problem(self.place(key), message, self.values.get(key), fix=fix))


def _number_fix(value: object) -> str:
    if isinstance(value, str) and value.strip().isdecimal():
        return f"write {value.strip()[:20]} without quotes"
    if isinstance(value, float) and abs(value) < MAX_TOKENS and value == int(value):
        return f"write {int(value)} without a decimal point"
    return "write a plain whole number"
