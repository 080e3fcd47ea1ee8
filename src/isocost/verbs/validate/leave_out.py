"""What ``isocost validate --leave-out`` prints: errors of each group by a fit that did not see it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from isocost.calibration.refit import SEEDS, LeftOut
from isocost.render.document import Column, Document, Section, Table
from isocost.render.result import SCHEMA_VERSION, Result

_LABEL: Final = 48  # longest label shown in full


def _short(label: str) -> str:
    return label if len(label) <= _LABEL else label[: _LABEL - 3] + "..."


def _frac(head: str, key: str, signed: bool = False) -> Column:
    return Column(
        head=head, key=key, value=lambda row: getattr(row, key), show=lambda x: f"{x:+.1%}" if signed else f"{x:.1%}"
    )


COLUMNS: Final = (
    Column(head="left out", key="group", value=lambda row: row.group, show=_short, left=True),
    Column(head="runs", key="rows", value=lambda row: row.rows),
    _frac("shipped median", "shipped_median_frac"),
    _frac("mean", "shipped_mean_frac"),
    _frac("left-out median", "median_frac"),
    _frac("mean", "mean_frac"),
    _frac("bias", "bias_frac", signed=True),
)
CALIBRATED: Final = (
    _frac("calibrated median", "calibrated_median_frac"),
    _frac("mean", "calibrated_mean_frac"),
    _frac("mean's change", "mean_change_frac", signed=True),
    _frac("worst draw", "worst_change_frac", signed=True),
    _frac("coverage", "coverage_frac"),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeaveOut(Result):
    """Errors by group."""

    by: str
    calibrated: int
    groups: tuple[LeftOut, ...]

    def rows(self) -> Table:
        """Return the groups."""
        return Table(columns=(*COLUMNS, *(CALIBRATED if self.calibrated else ())), rows=self.groups)

    def document(self) -> Document:
        """Return the table and what its columns mean."""
        body: list[Table | str] = [
            self.rows(),
            "absolute errors of the step time; shipped: with the constants of all runs, which have seen these",
        ]
        if self.calibrated:
            body.append(
                f"calibrated: on {self.calibrated} of the group's runs, judged on its others, mean of {SEEDS} draws; "
                "its change is against the left-out error of the same runs; coverage is that of its 90 % intervals"
            )
        count = len(self.groups)
        lead = f"Left out in turn: {count} {self.by}{'' if count == 1 else 's'}, each fitted without its runs"
        return Document(lead=lead, sections=(Section(title=f"By {self.by}", body=tuple(body)),))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, units in the keys."""
        return {
            "schema_version": SCHEMA_VERSION,
            "left_out": self.by,
            "calibrated_on": self.calibrated or None,
            "groups": [asdict(group) for group in self.groups],
        }
