"""CSV: the main table, every value unrounded under its key."""

from __future__ import annotations

import csv
import io

from isocost.render.document import Document, Table


def delimited(document: Document) -> str:
    """Return the main table of a document."""
    return "" if document.table is None else table_csv(document.table)


def table_csv(table: Table) -> str:
    """Return every value unrounded under its key; unknown is an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.key for column in table.columns])
    for row in table.to_dicts():
        writer.writerow(["" if value is None else _flat(value) for value in row.values()])
    return out.getvalue()


def _flat(value: object) -> object:
    return ";".join(str(part) for part in value) if isinstance(value, (list, tuple)) else value
