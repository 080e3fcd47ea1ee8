"""Write the generated part of docs/glossary.md: keys of a scenario, parts of a step and of memory, formulas.

make pages
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import isocost.laws
import isocost.money
from isocost.scenario import KEYS
from isocost.scenario.keys import keys_of
from isocost.scenario.record import TABLES
from isocost.term import TERMS
from isocost.verbs.words import MEMORY_PARTS, STEP_PARTS

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.md"
BEGIN, END = "<!-- generated:begin (make pages) -->", "<!-- generated:end -->"


def generated() -> str:
    """Return the tables of keys, of parts and of formulas."""
    for package in (isocost.laws, isocost.money):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
    inner = {f"{name}.{key.name}": key for name, record in TABLES.items() for key in keys_of(record).values()}
    keys = [f"| `{name}` | {key.meaning} |" for name, key in (*KEYS.items(), *inner.items())]
    parts = [f"| `{name}` | {meaning} |" for name, meaning in {**STEP_PARTS, **MEMORY_PARTS}.items()]
    terms = [
        f"| `{term.name}` | {term.unit} | {term.formula.rstrip('.').replace('|', chr(92) + '|')} | {term.source} |"
        for term in sorted(TERMS.values(), key=lambda term: term.name)
    ]
    return "\n".join(
        [
            "## What is asked for: keys of a scenario",
            "",
            "Units, values and what holds where a key is left out are in the [how-to](how-to.md#write-a-scenario).",
            "",
            "| key | meaning |",
            "|---|---|",
            *keys,
            "",
            "## Parts of a step and of peak memory",
            "",
            "| part | what it is |",
            "|---|---|",
            *parts,
            "",
            "## Formulas",
            "",
            "| name | unit | formula | source |",
            "|---|---|---|---|",
            *terms,
        ]
    )


def with_tables(text: str) -> str:
    """Return the glossary with the generated part between its markers."""
    block = f"{BEGIN}\n\n{generated()}\n\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: block, text, flags=re.DOTALL)


if __name__ == "__main__":
    GLOSSARY.write_text(with_tables(GLOSSARY.read_text(encoding="utf-8")), encoding="utf-8")
