"""Write the tables of keys in docs/how-to.md: what a scenario may hold, from the declarations that read it.

make pages
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from isocost.scenario import KEYS
from isocost.scenario.keys import Key, keys_of
from isocost.scenario.readers import bounds_of
from isocost.scenario.record import TABLES

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to.md"
BEGIN, END = "<!-- keys:begin (make pages) -->", "<!-- keys:end -->"
_UNITS = {"1": "share", "ratio": "number"}


def generated() -> str:
    """Return the table of keys, and that of the keys of tables."""
    plain = [key for name, key in KEYS.items() if name not in TABLES]
    inner = [(name, key) for name, record in TABLES.items() for key in keys_of(record).values()]
    return "\n".join(
        [
            *_table(("key", "flag", *_FACTS), ((f"`{key.name}`", _flag(key), *_facts(key)) for key in plain)),
            "",
            "What interrupts, slows and pays for a run is in tables of a scenario, each key with a dated default:",
            "",
            *_table(("table", "key", *_FACTS), ((f"`{name}`", f"`{key.name}`", *_facts(key)) for name, key in inner)),
        ]
    )


_FACTS = ("unit", "values", "left out", "meaning")


def _facts(key: Key) -> tuple[str, ...]:
    return _UNITS.get(key.unit, key.unit), bounds_of(key), key.left_out, key.meaning


def _flag(key: Key) -> str:
    return f"`{key.flag}`" if key.flag else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [re.sub(" +", " ", f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |") for line in lines]


def with_tables(text: str) -> str:
    """Return the page with the tables between their markers."""
    block = f"{BEGIN}\n\n{generated()}\n\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: block, text, flags=re.DOTALL)


if __name__ == "__main__":
    HOW_TO.write_text(with_tables(HOW_TO.read_text(encoding="utf-8")), encoding="utf-8")
