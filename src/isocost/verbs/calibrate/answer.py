"""A calibration on the user's own runs: error before and after, the multipliers, and what to measure next."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from isocost.calibration.next_runs import SETUP_S, STEPS, Proposal, next_runs
from isocost.calibration.site import calibrate_site
from isocost.catalog.records import PRECISIONS, rates_by_precision
from isocost.catalog.store import Catalog
from isocost.errors import InputError, Problem
from isocost.evidence.rows import runs_csv
from isocost.evidence.run import MeasuredRun
from isocost.evidence.runs import read_runs
from isocost.perf.case import Case
from isocost.perf.constants import shipped
from isocost.perf.site import SiteCalibration, Unused
from isocost.perf.site_file import calibration_toml, save, usable_name
from isocost.render.document import Column, Document, Section, Table
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.units import show
from isocost.verbs.run_log import Given, rows_of_logs

MOST_LISTED: Final = 50  # rows shown of a long file; JSON has all of them


def _percent(value: float) -> str:
    return f"{value:+.1%}"


RUNS: Final = (
    Column(head="run", key="id", value=lambda c: c.id, left=True),
    Column(head="GPUs", key="gpus", value=lambda c: c.gpus),
    Column(head="measured", key="measured_s", value=lambda c: c.measured_s, show=lambda x: show(x, "s")),
    Column(head="before", key="before_frac", value=lambda c: c.before_frac, show=_percent),
    Column(head="after", key="after_frac", value=lambda c: c.after_frac, show=_percent),
    Column(head="left out", key="left_out_frac", value=lambda c: c.left_out_frac, show=_percent),
)
MULTIPLIERS: Final = (
    Column(head="multiplier", key="name", value=lambda row: row[0], left=True),
    Column(head="value", key="value", value=lambda row: row[1].value, show=lambda x: f"{x:.3f}"),
    Column(head="spread before", key="sd", value=lambda row: row[1].sd, show=lambda x: f"{x:.0%}"),
    Column(head="after", key="posterior_sd", value=lambda row: row[1].posterior_sd, show=lambda x: f"{x:.0%}"),
    Column(head="runs that carry it", key="rows", value=lambda row: row[1].rows),
)
UNUSED: Final = (
    Column(head="line", key="line", value=lambda row: row.line or "log"),
    Column(head="run", key="id", value=lambda row: row.id, left=True),
    Column(head="column", key="column", value=lambda row: row.column, left=True),
    Column(head="why it is not used", key="reason", value=lambda row: row.reason, left=True),
)
NEXT: Final = (
    Column(head="run", key="differs", value=lambda p: p.differs, left=True),
    Column(head="GPUs", key="gpus", value=lambda p: p.gpus),
    Column(head="GPU-hours", key="gpu_hours", value=lambda p: p.gpu_hours, show=lambda x: f"{x:.1f}"),
    Column(head="then", key="half_width_frac", value=lambda p: p.half_width_frac, show=lambda x: f"±{x:.1%}"),
    Column(head="because it tells", key="reason", value=lambda p: p.reason, left=True),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration(Result):
    """What ``calibrate`` returns."""

    calibration: SiteCalibration
    runs: tuple[MeasuredRun, ...]  # rows that could be read, used or not
    warnings: tuple[str, ...]
    plan: str  # which plan the proposals are for
    half_width_frac: float  # of that plan's step time, now
    proposals: tuple[Proposal, ...]

    @property
    def sentence(self) -> str:
        """The gain in one sentence."""
        c = self.calibration
        runs = f"{c.row_count:,} {'run' if c.row_count == 1 else 'runs'}"
        left = "" if c.left_out is None else f", {c.left_out.mean_frac:.1%} on layouts left out"
        return (
            f"{runs} of {', '.join(c.stacks)} on {', '.join(c.chips)}: mean error {c.before.mean_frac:.1%} before, "
            f"{c.after.mean_frac:.1%} after{left}; 9 in 10 steps like these within {c.band[0] - 1:+.0%} to "
            f"{c.band[1] - 1:+.0%}"
        )

    def toml(self) -> str:
        """Return the calibration as the file that ``--calibration`` reads."""
        return calibration_toml(self.calibration)

    def save(self, path: str | Path) -> None:
        """Write that file, whole; a file that is not a calibration is not replaced."""
        save(self.calibration, path)

    def runs_csv(self) -> str:
        """Return the runs as a file of the evidence format, logs among them: to keep, and to calibrate on again."""
        return runs_csv(self.runs)

    def rows(self) -> Table:
        """Return the runs, with their error before, after and left out."""
        return Table(columns=RUNS, rows=self.calibration.checks)

    def document(self) -> Document:
        """Return the sentence, the runs, the multipliers and the proposals."""
        return Document(lead=self.sentence, sections=tuple(self._sections()))

    def _sections(self) -> Iterator[Section]:
        c = self.calibration
        if c.notes or self.warnings:
            yield Section(title="Notes", body=(*c.notes, *self.warnings))
        shown = Table(columns=RUNS, rows=c.checks[:MOST_LISTED])
        yield Section(title="Error of the step time, run by run (predicted over measured)", body=(shown,))
        if c.unused:
            title = f"Rows that were not used ({len(c.unused):,})"
            yield Section(title=title, body=(Table(columns=UNUSED, rows=c.unused[:MOST_LISTED]),))
        table = Table(columns=MULTIPLIERS, rows=tuple(c.constants.items()))
        yield Section(title="Multipliers on the shipped constants", body=(table,))
        title = f"What to measure next for {self.plan}, now ±{self.half_width_frac:.1%}"
        if self.proposals:
            how = f"each {STEPS} steps after {SETUP_S / 60:.0f} minutes of start-up; each as if those above were made"
            yield Section(title=title, body=(Table(columns=NEXT, rows=self.proposals), how))
        else:
            yield Section(title=title, body=("no small run would narrow it by much",))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, units in the keys."""
        c = self.calibration
        return {
            "schema_version": SCHEMA_VERSION,
            "name": c.name,
            "created_from": c.created_from,
            "rows": c.row_count,
            "layouts": c.layout_count,
            "stacks": list(c.stacks),
            "chips": list(c.chips),
            "strength": c.strength,
            "spread": c.spread,
            "band": {"low_ratio": c.band[0], "high_ratio": c.band[1]},
            "errors": {
                "before": asdict(c.before),
                "after": asdict(c.after),
                "left_out": None if c.left_out is None else asdict(c.left_out),
            },
            "runs": [asdict(check) for check in c.checks],
            "unused": [asdict(row) for row in c.unused],
            "constants": {name: asdict(constant) for name, constant in c.constants.items()},
            "notes": [*c.notes, *self.warnings],
            "next": {
                "plan": self.plan,
                "half_width_frac": self.half_width_frac,
                "runs": [
                    {**{column.key: column.value(p) for column in NEXT}, "step_s": p.step_s, "tells": p.tells}
                    for p in self.proposals
                ],
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Own:
    """The user's runs, and the calibration on them."""

    site: SiteCalibration
    runs: tuple[MeasuredRun, ...]
    warnings: tuple[str, ...]


def own_runs(runs: str | Path | None, logs: Sequence[tuple[str | Path, Given]], catalog: Catalog, *, name: str) -> Own:
    """Calibrate on a file of runs, on logs with the scenarios of their runs, or on both.

    Raises:
        InputError: no row of the file can be used, or a log and its scenario are no evidence.
    """
    peaks = {
        key: {p: rate for p in PRECISIONS if (rate := rates_by_precision(chip)[p])}
        for key, chip in catalog.accelerators.items()
    }
    table = None if runs is None else read_runs(runs, peaks=peaks)
    logged, words = rows_of_logs(logs, catalog, peaks)
    invalid = () if table is None else table.invalid
    refused = [Unused(line=row.line, id=row.id, column=row.column, reason=row.reason) for row in invalid]
    rows = _distinct([*(() if table is None else table.runs), *logged])
    if not rows:
        problems = [Problem(f"{runs}:{row.line}", f"column {row.column}: {row.reason}") for row in refused]
        fix = "add a measured run: see docs/evidence-format.md"
        raise InputError(problems or [Problem(str(runs), "has no rows", fix=fix)])
    source = ", ".join(Path(path).name for path in (*(() if runs is None else (runs,)), *(log for log, _ in logs)))
    own = calibrate_site(rows, catalog, shipped(), name=usable_name(name), source=source)
    unused = tuple(sorted((*refused, *own.unused), key=lambda row: row.line))
    warnings = (*(() if table is None else table.warnings), *words)
    return Own(site=replace(own, unused=unused), runs=tuple(rows), warnings=warnings)


def _distinct(rows: Sequence[MeasuredRun]) -> list[MeasuredRun]:
    """Return the rows, each with an id of its own: two logs may have one name."""
    taken: set[str] = set()
    found: list[MeasuredRun] = []
    for row in rows:
        names = itertools.chain([row.id], (f"{row.id}-{k}" for k in itertools.count(2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        found.append(replace(row, id=name))
    return found


def proposed(own: Own, plan: tuple[str, Case] | None) -> Calibration:
    """Return the calibration, and what to measure next for ``plan``: the user's largest run where there is none."""
    site = own.site
    if plan is None:
        k = max(range(len(site.cases)), key=lambda i: (site.cases[i].gpus, site.checks[i].measured_s))
        plan = (f"your largest run, {site.checks[k].id}", site.cases[k])
    now, proposals = next_runs(site, plan[1], shipped())
    return Calibration(
        calibration=site, runs=own.runs, warnings=own.warnings, plan=plan[0], half_width_frac=now, proposals=proposals
    )
