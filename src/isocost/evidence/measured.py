"""Measured runs made ready for fit and validation: complete cases, their columns, what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocost.catalog.store import Catalog
from isocost.evidence.assume import Assumed, assume_all
from isocost.evidence.run import MeasuredRun
from isocost.perf.case import Case
from isocost.perf.columns import Columns
from isocost.perf.lowering import columns


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Runs with a measured step, one row each in every field."""

    runs: tuple[MeasuredRun, ...]
    cases: tuple[Case, ...]
    columns: Columns
    measured_s: NDArray[np.float64]

    @property
    def groups(self) -> list[str]:
        """Rows that share hidden constants: one source on one chip."""
        return [f"{run.source}|{run.accelerator}" for run in self.runs]

    def rows(self, keep: NDArray[np.bool_]) -> Evidence:
        """Return the rows where ``keep`` holds."""
        return ready(
            [r for r, k in zip(self.runs, keep, strict=True) if k],
            [c for c, k in zip(self.cases, keep, strict=True) if k],
        )


def ready(runs: Sequence[MeasuredRun], cases: Sequence[Case]) -> Evidence:
    """Evidence of runs whose cases are known."""
    measured = np.array([run.step_s or np.nan for run in runs])
    return Evidence(runs=tuple(runs), cases=tuple(cases), columns=columns(cases), measured_s=measured)


def measured(runs: Sequence[MeasuredRun], catalog: Catalog) -> Evidence:
    """Evidence of all complete runs that ran and can be predicted."""
    ran = [run for run in runs if run.complete and run.outcome != "oom" and run.step_s]
    pairs = [(run, a) for run, a in zip(ran, assume_all(ran, catalog), strict=True) if isinstance(a, Assumed)]
    return ready([run for run, _ in pairs], [a.case for _, a in pairs])
