"""What every verb returns: values once computed, rendered in any format."""

from __future__ import annotations

import dataclasses
import datetime
import html
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from isocost.render.document import Report, Table

SCHEMA_VERSION = 2  # raised when a key of the JSON changes its meaning or goes


class Renders(Protocol):
    """The least a verb's result can do."""

    def table(self) -> str:
        """Return text for a terminal."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, units in the keys."""
        ...

    def csv(self) -> str:
        """Return the main table, unrounded."""
        ...


class Result(ABC):
    """An answer: ``table()`` for people, ``to_dict()`` for programs, ``explain()`` for why."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return plain values, units in the keys."""

    @abstractmethod
    def report(self) -> Report:
        """Return the sentence and the sections."""

    @abstractmethod
    def rows(self) -> Table:
        """Return the main table, the one that CSV holds."""

    def explain(self) -> str:
        """Return why: what each part of the answer rests on."""
        return self.table()

    def table(self) -> str:
        """Return the report as text for a terminal."""
        return self.report().text()

    def markdown(self) -> str:
        """Return the report as Markdown."""
        return self.report().markdown()

    def csv(self) -> str:
        """Return the main table, unrounded."""
        return self.rows().csv()

    def _repr_html_(self) -> str:
        return self.report().html()

    def __str__(self) -> str:
        return self.table()


def plain(value: object) -> Any:
    """Return a value as JSON can hold it: records as objects, arrays as lists, and no infinity: null is unknown."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(part) for part in value]
    if isinstance(value, (datetime.date, Path)):
        return str(value)
    if hasattr(value, "tolist"):  # an array or a scalar of numpy
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_json(values: Mapping[str, Any]) -> str:
    """Return indented JSON with a final line feed."""
    return json.dumps(plain(values), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def render(result: Renders, style: str) -> str:
    """Return a result as "table", "json", "csv", "md" or "html"; what has no form of its own is set as its table."""
    if style == "json":
        return to_json(result.to_dict())
    if style == "csv":
        return result.csv()
    if style == "md":
        own = getattr(result, "markdown", None)
        return str(own()) if own is not None else f"```\n{result.table()}```\n"
    if style == "html":
        page = getattr(result, "_repr_html_", None)
        return f"{page()}\n" if page is not None else f"<pre>{html.escape(result.table())}</pre>\n"
    return result.table()
