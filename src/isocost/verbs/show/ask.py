"""An answer read back from its JSON and set in any format, without anything computed again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from isocost.render.document import Document, Table
from isocost.render.result import Result
from isocost.render.saved import document_of, values_of_file
from isocost.verbs.options import Argument, Command

_ANSWER = Argument(metavar="ANSWER.json", about="What --format json wrote.", kind=str)


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


@Command("Show a saved answer in any format, without computing it again.", sections=())
def show(path: Annotated[str | Path, _ANSWER], /) -> Saved:
    """Return the answer that ``--format json`` wrote into a file.

    Args:
        path: the JSON of any answer: ``isocost plan ... --format json -o plan.json``.

    Raises:
        InputError: the file cannot be read, is no answer of isocost, or one of an older version.

    Example:
        >>> found = isocost.model("gpt2")
        >>> _ = Path("gpt2.json").write_text(found.rendered("json"))
        >>> isocost.show("gpt2.json").table() == found.table()
        True
    """
    return Saved(kept=document_of(values_of_file(path), str(path)))
