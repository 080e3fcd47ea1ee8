"""What every verb returns: values once computed, rendered in any format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

from isocost.render.document import Document, Table
from isocost.render.formats import FORMATS, TABLE, WHOLE
from isocost.render.sections import shown

SCHEMA_VERSION = 2  # raised when a key of the JSON changes its meaning or goes


class Result(ABC):
    """An answer: ``table()`` for people, ``to_dict()`` for programs, ``explain()`` for why."""

    possible_sections: ClassVar[tuple[str, ...]] = ()  # that such an answer can have, where this one may lack some

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return plain values, units in the keys."""

    @abstractmethod
    def document(self) -> Document:
        """Return the sentence and the sections."""

    @abstractmethod
    def rows(self) -> Table:
        """Return the main table, the one that CSV holds."""

    def rendered(self, style: str, show: str = "") -> str:
        """Return the answer in one of ``FORMATS``: as text one screen of it, unless sections are named."""
        whole = replace(self.document(), table=self.rows(), values=self.to_dict)
        part = shown(whole, show, screen=style == TABLE, possible=self.possible_sections)
        return FORMATS[style](whole if style in WHOLE else part)

    def explain(self) -> str:
        """Return why: what each part of the answer rests on."""
        return self.table(show="all")

    def table(self, show: str = "") -> str:
        """Return text for a terminal; ``show`` names sections, separated by commas, or "all" for every one."""
        return self.rendered(TABLE, show)

    def markdown(self) -> str:
        """Return the whole answer as Markdown."""
        return self.rendered("md")

    def csv(self) -> str:
        """Return the main table, unrounded."""
        return self.rendered("csv")

    def _repr_html_(self) -> str:
        return self.rendered("html")

    def __str__(self) -> str:
        return self.table()
