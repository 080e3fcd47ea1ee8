"""What a key of a scenario is: its name, unit, bounds and words, declared once, on the field that it fills.

Reader, writer, options of the command line, how-to and glossary come from the declaration. Nothing heavy is imported
here and in the records, so that the help of a verb comes at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

# Headings of the command line's help.
WHAT: Final = "What to train"
GOAL: Final = "Goal"
WHERE: Final = "Where"
HOW: Final = "How (left out: the search chooses)"
SWITCHES: Final = "Switches of the stack (left out: as its recipe has them)"

MAX_GPUS: Final = 1_000_000  # far above any cluster yet built
MAX_DEGREE: Final = 100_000
MAX_SEQ_LEN: Final = 10_000_000
MAX_BATCH: Final = 1_000_000_000
MAX_TOP: Final = 1_000
MOST_RUNS: Final = 100.0  # failed or exploratory runs over the final one


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of a scenario or of one of its tables; ``kind`` says how its value is read (``readers.reader_of``)."""

    meaning: str
    name: str = ""  # as the user writes it; left out: as the field is called
    field: str = ""  # filled in by ``keys_of``
    kind: str = "quantity"
    unit: str = ""  # of the value once read; "1": a share
    above: bool = False  # whether 0 is refused
    most: float = math.inf
    left_out: str = ""  # what then holds
    path: bool = False  # relative to the folder of the scenario
    flag: str = ""  # with help: "--" and the name, unless given
    metavar: str = ""
    help: str = ""
    panel: str = ""

    @property
    def has_dimension(self) -> bool:
        """Whether its value is written with a unit."""
        return self.unit not in ("", "1", "ratio")


def keys_of(record: type[Any]) -> Mapping[str, Key]:
    """Return the keys of a record by the name that users write, in order of its fields."""
    found: dict[str, Key] = {}
    for field in fields(record):
        for key in getattr(field.type, "__metadata__", ()):  # of Annotated
            name = key.name or field.name
            flag = key.flag or f"--{name.replace('_', '-')}" if key.help else ""
            found[name] = replace(key, name=name, field=field.name, flag=flag)
    return found
