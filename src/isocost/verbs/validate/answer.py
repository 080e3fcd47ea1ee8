"""What a validation says: every row with its prediction, and the scores."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from isocost.evidence import score
from isocost.evidence.run import MeasuredRun
from isocost.perf.case import Case
from isocost.render.plain import to_json
from isocost.render.text import screen_width, wrapped
from isocost.verbs.validate.tables import accuracy_markdown, accuracy_text

SCHEMA_VERSION = 1


_BELOW = " " * 8  # before the rest of a line about rows
SHOWN_IDS = 2  # of rows that share a reason, in print


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run of the file, in the order of the file."""

    id: str
    status: str  # ok, unsupported, invalid
    reason: str = ""
    predicted_step_s: float | None = None
    predicted_step_s_low: float | None = None
    predicted_step_s_high: float | None = None
    predicted_peak_mem_bytes: float | None = None
    fits: bool | None = None
    measured_step_s: float | None = None
    assumed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Validation:
    """Rows and their scores."""

    path: str
    rows: tuple[Row, ...]
    scores: score.Scores
    warnings: tuple[str, ...] = ()
    runs: tuple[MeasuredRun, ...] = ()  # those read, and the cases of those predicted by id: for whoever asks further
    cases: Mapping[str, Case] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values."""
        summary = [{**line.to_dict(), "quantity": "step_s"} for line in self.scores.step]
        summary += [{**line.to_dict(), "quantity": "peak_mem_bytes"} for line in self.scores.memory]
        return {
            "schema_version": SCHEMA_VERSION,
            "rows": [asdict(row) for row in self.rows],
            "summary": summary,
            "regret": [line.to_dict() for line in self.scores.regret],
            "fits": [line.to_dict() for line in self.scores.fits],
            "misses": [line.to_dict() for line in self.scores.misses],
            "warnings": list(self.warnings),
        }

    def rendered(self, style: str, show: str = "") -> str:
        """Return the comparison in a format: tables of finished cells, which no document holds."""
        if style == "json":
            return to_json(self.to_dict())
        if style == "csv":
            return self.csv()
        if style == "md":
            return self.markdown()
        return f"<pre>{html.escape(self.table())}</pre>\n" if style == "html" else self.table()

    def table(self) -> str:
        """Return the accuracy tables, then why rows were not used: rows of one reason together, most first."""
        notes = [f"warning: {text}" for text in self.warnings]
        return "\n".join([accuracy_text(self.scores), *notes, *self._unused()]).rstrip() + "\n"

    def _unused(self) -> list[str]:
        by_reason: dict[tuple[str, str], list[str]] = {}
        for row in self.rows:
            if row.status != score.OK:
                by_reason.setdefault((row.status, row.reason), []).append(row.id)
        if not by_reason:
            return []
        count = sum(map(len, by_reason.values()))
        lines = [f"Rows without a prediction ({count} of {len(self.rows)}; --format csv has each)"]
        for (status, reason), ids in sorted(by_reason.items(), key=lambda item: -len(item[1])):
            more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
            lines.append(f"  {len(ids):>5} {status}: {reason} ({', '.join(ids[:SHOWN_IDS])}{more})")
        screen = screen_width()
        return lines if screen is None else [wrapped(line, screen, _BELOW) for line in lines]

    def markdown(self) -> str:
        """Return the accuracy tables as markdown."""
        return accuracy_markdown(self.scores)

    def csv(self) -> str:
        """One line a row; what was assumed as ``column=value (rule)`` joined by semicolons."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        names = list(Row.__dataclass_fields__)
        writer.writerow(names)
        for row in self.rows:
            values = asdict(row)
            values["assumed"] = "; ".join(f"{k}={v}" for k, v in row.assumed.items())
            writer.writerow(["" if values[name] is None else values[name] for name in names])
        return out.getvalue()
