"""Errors on rows that a fit did not see: a stack, chip or source left out, or random groups within a source."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from isocost.calibration.fit import fit, index, weights
from isocost.evidence.measured import Evidence
from isocost.evidence.run import MeasuredRun
from isocost.perf.case import Case
from isocost.perf.predict import step_of
from isocost.perf.sensitivity import Index

Array = NDArray[np.float64]
FOLDS = 10
# Evaluations of a fit that starts from the constants of all rows.
WARM_STEPS = 8


def by_source(run: MeasuredRun, case: Case) -> str:
    """Return the lab: everything one source measured."""
    return run.source or ""


def by_stack(run: MeasuredRun, case: Case) -> str:
    """Return the software recipe."""
    return case.recipe.id


def by_chip(run: MeasuredRun, case: Case) -> str:
    """Return the accelerator."""
    return case.accelerator.id


def by_scale(run: MeasuredRun, case: Case) -> str:
    """One of ten folds of (source, order of magnitude of the GPU count): a cluster size is left out whole."""
    return _fold(f"{run.source}|{int(np.log2(run.gpus or 1))}")


def by_shape(run: MeasuredRun, case: Case) -> str:
    """One of ten folds of (source, model, sequence, GPUs): a layout must not vouch for its neighbor."""
    return _fold(f"{run.source}|{run.model}|{run.hidden}|{run.layers}|{run.seq_len}|{run.gpus}")


def _fold(key: str) -> str:
    """Return a fold that depends on the key only, on every machine."""
    return str(zlib.crc32(key.encode()) % FOLDS)


def left_out(
    evidence: Evidence, group: Callable[[MeasuredRun, Case], str], start: tuple[Index, Array], only: Iterable[str] = ()
) -> Array:
    """Log of predicted over measured step time of every row, by a fit without its group; NaN outside ``only``."""
    labels = np.array([group(r, c) for r, c in zip(evidence.runs, evidence.cases, strict=True)])
    whole, logs = start
    known = dict(zip(whole.names, logs, strict=True))
    out = np.full(labels.size, np.nan)
    for label in sorted(set(only) or set(labels)):
        held = labels == label
        if held.all():
            continue
        out[held] = errors(evidence.rows(held), without(evidence, held, known))
    return out


def without(evidence: Evidence, held: NDArray[np.bool_], known: Mapping[str, float]) -> dict[str, float]:
    """Return the logs of the constants fitted without the rows ``held``, from the constants of all rows."""
    rest = evidence.rows(~held)
    idx = index(rest.cases)
    first = np.array([known.get(name, prior) for name, prior in zip(idx.names, idx.prior, strict=True)])
    found = fit(rest.columns, rest.measured_s, weights(rest.groups), idx, start=first, steps=WARM_STEPS)
    return dict(zip(idx.names, found.tolist(), strict=True))


def errors(evidence: Evidence, logs: dict[str, float]) -> Array:
    """Log ratio of predicted to measured under constants fitted elsewhere: a constant not among them is 1."""
    idx = index(evidence.cases)
    values = np.array(
        [logs.get(name, 0.0 if "|" in name else prior) for name, prior in zip(idx.names, idx.prior, strict=True)]
    )
    return np.log(step_of(evidence.columns, idx.coefficients(values)).total_s / evidence.measured_s)
