"""The accuracy tables: plain text, markdown, CSV and plain values, from one set of scores."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from isocost.evidence.score import REGRET_TOLERANCE_FRAC, TOTAL, Accuracy, FitScore, Miss, Regret, Scores
from isocost.render import document
from isocost.render.cells import percent, signed
from isocost.render.text import PAGE_WIDTH, screen_width, table_text

UNKNOWN = "-"
_FIGURE = re.compile(r"|-|[-+]?[0-9.,]+(e[-+]?[0-9]+)?( %)?( / [0-9.]+ %)?")
_LABEL_WIDTH = 34


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A titled table of finished text cells; the first column is text."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """Fixed-width text, as wide as the screen."""
        columns = tuple(_cell(place, head) for place, head in enumerate(self.head))
        printed = table_text(document.Table(columns=columns, rows=self.rows), screen_width() or PAGE_WIDTH)
        return f"{self.title}\n\n{printed}"

    def markdown(self) -> str:
        """Return a pipe table under a heading."""
        rule = ["---", *("---:" if self._figures(column) else "---" for column in range(1, len(self.head)))]
        lines = [self.head, rule, *[[cell.replace("|", "\\|") for cell in row] for row in self.rows]]
        return "\n".join([f"### {self.title}", "", *("| " + " | ".join(line) + " |" for line in lines)])

    def _figures(self, column: int) -> bool:
        return all(_FIGURE.fullmatch(row[column]) for row in self.rows)


def _cell(place: int, head: str) -> document.Column:
    return document.Column(head=head, key=head, value=lambda row: row[place], show=str, left=place == 0)


def accuracy_tables(scores: Scores) -> tuple[Table, ...]:
    """Return the tables that have rows: step time, its largest misses, then the rest; labels with most rows first."""
    step = sorted(scores.step, key=lambda a: (a.label != TOTAL, -a.n, -a.rows))
    memory = sorted(scores.memory, key=lambda a: (a.label != TOTAL, -a.n))
    regret = sorted(scores.regret, key=lambda r: (r.label != TOTAL, -r.rows))
    fits = sorted(scores.fits, key=lambda f: (f.label != TOTAL, -f.ran - f.oom))
    tables = (
        _table("Step time", _STEP, step),
        _table("Largest misses", _MISS, scores.misses),
        _table("Peak memory", _ERRORS, memory),
        _table("Layout choice: regret of the first choice over the measured best", _REGRET, regret),
        _table("Fits in memory or not", _FITS, fits),
    )
    return tuple(table for table in tables if table.rows)


def accuracy_text(scores: Scores) -> str:
    """All tables as fixed-width text."""
    return "\n\n".join(table.text() for table in accuracy_tables(scores)) + "\n"


def accuracy_markdown(scores: Scores) -> str:
    """All tables as markdown."""
    return "\n\n".join(table.markdown() for table in accuracy_tables(scores)) + "\n"


def accuracy_dict(scores: Scores) -> dict[str, Any]:
    """Plain values for JSON; None is unknown."""
    return scores.to_dict()


def _short(label: str) -> str:
    return label if len(label) <= _LABEL_WIDTH else label[: _LABEL_WIDTH - 3] + "..."


_Cells = tuple[tuple[str, Callable[[Any], str]], ...]

_ERRORS: _Cells = (
    ("rows of", lambda a: _short(a.label)),
    ("rows", lambda a: str(a.rows)),
    ("scored", lambda a: str(a.n)),
    ("median", lambda a: percent(a.median_abs_error_frac)),
    ("mean", lambda a: percent(a.mean_abs_error_frac)),
    ("bias", lambda a: signed(a.bias_frac)),
    ("p90", lambda a: percent(a.p90_abs_error_frac)),
)
# Rows that are not scored: without a measured step (most ran out of memory), or without a prediction, as the model does
# not cover them or they contradict themselves. JSON has the last two apart.
_STEP: _Cells = (
    *_ERRORS[:3],
    ("no step", lambda a: str(a.unmeasured)),
    ("refused", lambda a: str(a.unsupported + a.invalid)),
    *_ERRORS[3:],
    ("coverage", lambda a: percent(a.coverage_frac)),
    ("half-width", lambda a: percent(a.half_width_frac)),
)
_REGRET: _Cells = (
    ("groups of", lambda r: _short(r.label)),
    ("groups", lambda r: str(r.groups)),
    ("rows", lambda r: str(r.rows)),
    ("median", lambda r: percent(r.median_frac)),
    ("mean", lambda r: percent(r.mean_frac)),
    ("worst", lambda r: percent(r.worst_frac)),
    (f"within {100 * REGRET_TOLERANCE_FRAC:g} %", lambda r: percent(r.within_tolerance_frac)),
)
_FITS: _Cells = (
    ("rows of", lambda f: _short(f.label)),
    ("ran", lambda f: str(f.ran)),
    ("said fits", lambda f: str(f.ran_right)),
    ("out of memory", lambda f: str(f.oom)),
    ("said too large", lambda f: str(f.oom_right)),
    ("balanced accuracy", lambda f: percent(f.balanced_accuracy)),
)
_MISS: _Cells = (
    ("row", lambda m: _short(m.id)),
    ("error", lambda m: signed(m.error_frac)),
    ("predicted", lambda m: f"{m.predicted:.4g}"),
    ("measured", lambda m: f"{m.measured:.4g}"),
    ("of", lambda m: _short(m.label)),
)


def _table(title: str, cells: _Cells, rows: Sequence[Accuracy | Regret | FitScore | Miss]) -> Table:
    return Table(
        title=title,
        head=tuple(head for head, _ in cells),
        rows=tuple(tuple(show(row) for _, show in cells) for row in rows),
    )
