"""An answer read back from its JSON and set in any format, without anything computed again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocost.render.document import Document, Table
from isocost.render.result import Result
from isocost.render.saved import document_of, values_of_file


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Saved(Result):
    """An answer as it was saved."""

    kept: Document

    def to_dict(self) -> dict[str, Any]:
        """Return the values that were saved."""
        return dict(self.kept.values())

    def document(self) -> Document:
        """Return the sentence and the sections as they were."""
        return self.kept

    def rows(self) -> Table:
        """Return the main table."""
        return self.kept.table or Table(columns=(), rows=())


def show(path: str | Path) -> Saved:
    """Return the answer that ``--format json`` wrote into a file.

    Args:
        path: the JSON of any answer: ``isocost plan ... --format json -o plan.json``.

    Raises:
        InputError: the file cannot be read, is no answer of isocost, or one of an older version.

    Example:
        >>> isocost.load_answer("plan.json").table(show="bill,memory")
    """
    return Saved(kept=document_of(values_of_file(path), str(path)))
