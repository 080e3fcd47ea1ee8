"""The formats of an answer, by name: one function of a document each, and one entry for a new one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from isocost.render.delimited import delimited
from isocost.render.document import Document
from isocost.render.html import html
from isocost.render.markdown import markdown
from isocost.render.saved import json_text
from isocost.render.text import text

TABLE: Final = "table"  # text, and the format where none is asked for
WHOLE: Final = ("json", "csv")  # formats of programs: they hold the whole answer, whatever is shown of it
FORMATS: Final[dict[str, Callable[[Document], str]]] = {
    TABLE: text,
    "json": json_text,
    "csv": delimited,
    "md": markdown,
    "html": html,
}
