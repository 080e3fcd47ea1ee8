"""HTML: a fragment for a page or a notebook, with its charts as SVG."""

from __future__ import annotations

import html as markup
from collections.abc import Sequence

from isocost.render.charts import bar_svg, plot_svg
from isocost.render.document import Bars, Document, Part, Plot, Table


def html(document: Document) -> str:
    """Return a document as a fragment of HTML with a final line feed."""
    parts = [f"<p><strong>{markup.escape(document.lead)}</strong></p>"]
    for section in document.sections:
        parts.append(f"<h4>{markup.escape(section.title)}</h4>")
        parts += [_part(part) for part in section.body]
    return "\n".join(parts) + "\n"


def _part(part: Part) -> str:
    if isinstance(part, Table):
        return table_html(part)
    if isinstance(part, Bars):
        return table_html(part.table, [bar_svg(fraction) for fraction in part.fractions()])
    if isinstance(part, Plot):
        return plot_svg(part)
    return f"<p>{markup.escape(part)}</p>"


def table_html(table: Table, drawn: Sequence[str] = ()) -> str:
    """Return a table element, with a drawing at the end of each row where there is one; a marked row is bold."""
    heads = [markup.escape(column.head) for column in table.columns] + ([""] if drawn else [])
    rows = []
    for place, cells in enumerate(table.cells()):
        style = ' style="font-weight:bold"' if place in table.marked else ""
        shown = [
            f'<td style="text-align:{"left" if column.left else "right"}">{markup.escape(cell)}</td>'
            for column, cell in zip(table.columns, cells, strict=True)
        ]
        shown += [f'<td style="text-align:left">{drawn[place]}</td>'] if drawn else []
        rows.append(f"<tr{style}>{''.join(shown)}</tr>")
    caption = f"<caption>{markup.escape(table.title)}</caption>" if table.title else ""
    head = "".join(f"<th>{text}</th>" for text in heads)
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
