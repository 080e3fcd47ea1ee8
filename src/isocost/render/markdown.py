"""Markdown: pipe tables under headings."""

from __future__ import annotations

from collections.abc import Sequence

from isocost.render.charts import with_bars
from isocost.render.document import Bars, Document, Part, Plot, Table


def markdown(document: Document) -> str:
    """Return a document as Markdown."""
    parts = [f"**{document.lead}**"]
    for section in document.sections:
        parts.append(f"## {section.title}")
        parts += _listed([_part(part) for part in section.body if not isinstance(part, Plot)])
    return "\n\n".join(parts) + "\n"


def _part(part: Part) -> str:
    if isinstance(part, Bars):
        return table_markdown(with_bars(part))
    return table_markdown(part) if isinstance(part, Table) else str(part)


def table_markdown(table: Table) -> str:
    """Return a pipe table; a marked row is bold."""
    rule = ["---" if column.left else "---:" for column in table.columns]
    lines = [[column.head for column in table.columns], rule]
    for place, cells in enumerate(table.cells()):
        escaped = [cell.replace("\\", "\\\\").replace("|", "\\|") for cell in cells]
        lines.append([f"**{cell}**" if cell and place in table.marked else cell for cell in escaped])
    shown = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([*([f"*{table.title}*", ""] if table.title else []), *shown])


def _listed(parts: Sequence[str]) -> list[str]:
    """Return lines of text as one list each run, tables as they are."""
    grouped: list[str] = []
    for part in parts:
        item = part if part.startswith("|") or part.startswith("*") else f"- {part}"
        if item.startswith("- ") and grouped and grouped[-1].startswith("- "):
            grouped[-1] += f"\n{item}"
        else:
            grouped.append(item)
    return grouped
