"""What the accuracy page is made of: shipped runs, their predictions, causes of misses, errors of fits without them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from isocost.calibration.left_out import Line, layout_key, shipped_left_out
from isocost.evidence import score
from isocost.evidence.run import MeasuredRun
from isocost.perf.case import Case
from isocost.verbs.validate.answer import Row, Validation
from isocost.verbs.validate.predicted import validated
from pages.misses import Cause, Predicted, causes_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The error of another tool on rows of one source."""

    tool: str
    version: str
    rows: str  # beginning of the source
    mean_frac: float
    note: str
    worst_frac: float | None = None


@cache
def peers() -> tuple[Peer, ...]:
    """Figures of other tools, measured on the same rows."""
    text = resources.files("isocost").joinpath("data/peers.toml").read_text("utf-8")
    return tuple(Peer(**row) for row in tomllib.loads(text)["figure"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Errors and layout choice of some rows under the shipped constants."""

    label: str
    step: score.Accuracy
    regret: score.Regret | None  # None: no two rows that differ by layout only


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """Everything the page shows; arrays have one entry a scored run."""

    validation: Validation
    runs: tuple[MeasuredRun, ...]
    cases: tuple[Case, ...]
    measured_s: Floats
    step_s: Floats
    low_s: Floats
    high_s: Floats
    causes: dict[str, Cause]
    left_out: tuple[Line, ...]

    def error_frac(self) -> Floats:
        """Predicted over measured, minus 1."""
        return self.step_s / self.measured_s - 1

    def summaries(self, label: Callable[[MeasuredRun, Case], str]) -> list[Summary]:
        """All rows, then the rows of each label, most first."""
        labels = [label(run, case) for run, case in zip(self.runs, self.cases, strict=True)]
        steps = score.accuracy(
            predicted=self.step_s, measured=self.measured_s, labels=labels, low=self.low_s, high=self.high_s
        )
        regrets = score.layout_regret(
            predicted=self.step_s,
            measured=self.measured_s,
            keys=[layout_key(run) for run in self.runs],
            labels=labels,
        )
        by_label = {line.label: line for line in regrets}
        found = [Summary(label=line.label, step=line, regret=by_label.get(line.label)) for line in steps]
        return [found[0], *sorted(found[1:], key=lambda summary: (-summary.step.n, summary.label))]

    def summary(self, keep: Callable[[MeasuredRun, Case], bool]) -> score.Accuracy:
        """Errors of the rows that ``keep`` chooses."""
        (found,) = (s for s in self.summaries(lambda r, c: "kept" if keep(r, c) else "left") if s.label == "kept")
        return found.step

    def unseen(self, left_out: str, kind: str, group: str = score.TOTAL) -> Line | None:
        """Return the line of one group when it was left out."""
        lines = (x for x in self.left_out if (x.left_out, x.kind) == (left_out, kind) and x.group.startswith(group))
        return next(lines, None)


def is_moe(run: MeasuredRun, case: Case) -> bool:
    """Whether any block has experts."""
    return any(block.experts for block in case.architecture.blocks)


def study(left_out: Sequence[Line] | None = None) -> Study:
    """Predict the shipped runs and explain their misses."""
    validation = validated()
    rows = {row.id: row for row in validation.rows if row.status == score.OK}
    runs = [run for run in validation.runs if run.id in rows and run.complete and run.outcome != "oom" and run.step_s]
    chosen = [rows[run.id] for run in runs]
    measured_s, step_s = column(chosen, "measured_step_s"), column(chosen, "predicted_step_s")
    cases = [validation.cases[run.id] for run in runs]
    predicted = {
        row.id: Predicted(
            error_frac=float(step_s[i] / measured_s[i] - 1),
            peak_bytes=row.predicted_peak_mem_bytes or 0.0,
            memory_bytes=cases[i].accelerator.memory_bytes,
            fits=bool(row.fits),
        )
        for i, row in enumerate(chosen)
    }
    return Study(
        validation=validation,
        runs=tuple(runs),
        cases=tuple(cases),
        measured_s=measured_s,
        step_s=step_s,
        low_s=column(chosen, "predicted_step_s_low"),
        high_s=column(chosen, "predicted_step_s_high"),
        causes=causes_of(runs, predicted),
        left_out=tuple(shipped_left_out() if left_out is None else left_out),
    )


def column(rows: Sequence[Row], name: str) -> Floats:
    """One figure of every row."""
    return np.array([getattr(row, name) for row in rows], dtype=np.float64)
