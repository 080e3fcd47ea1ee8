"""Why a prediction is far off, where the rows show it (data/misses.toml): causes with conditions that are checked."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from itertools import pairwise

from isocost.evidence.run import MeasuredRun

GROWING_FRAC = 0.05  # repeats of one configuration differ by about that much
RELEASES_FRAC = 0.10  # twice that
NEAR_MEMORY_FRAC = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """What was predicted for a run, as far as a cause asks."""

    error_frac: float  # predicted over measured, minus 1
    peak_bytes: float
    memory_bytes: float  # of the accelerator
    fits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One cause and the conditions under which it is the cause; an empty condition holds."""

    name: str
    text: str
    ids: tuple[str, ...] = ()
    source: str = ""
    notes: str = ""
    sign: str = ""
    check: str = ""


@cache
def causes() -> tuple[Cause, ...]:
    """All shipped causes, in the order in which they are tried."""
    text = resources.files("isocost").joinpath("data/misses.toml").read_text("utf-8")
    return tuple(Cause(**{**row, "ids": tuple(row.get("ids", ()))}) for row in tomllib.loads(text)["cause"])


def causes_of(runs: Sequence[MeasuredRun], predicted: Mapping[str, Predicted]) -> dict[str, Cause]:
    """Return the first cause that fits each predicted run, by id; runs without one are absent."""
    checked = {name: frozenset(check(runs, predicted)) for name, check in CHECKS.items()}
    found = {}
    for run in runs:
        if run.id in predicted:
            cause = next((c for c in causes() if _fits(c, run, predicted[run.id], checked)), None)
            if cause is not None:
                found[run.id] = cause
    return found


def _fits(cause: Cause, run: MeasuredRun, predicted: Predicted, checked: Mapping[str, frozenset[str]]) -> bool:
    return (
        (not cause.ids or run.id in cause.ids)
        and (run.source or "").startswith(cause.source)
        and cause.notes in (run.notes or "")
        and (not cause.sign or (cause.sign == "+") == (predicted.error_frac > 0))
        and (not cause.check or run.id in checked[cause.check])
    )


# What a row is besides its configuration: where it stands, what was measured, what was written about it.
_NOT_CONFIGURATION = (
    "line",
    "id",
    "locator",
    "outcome",
    "step_s",
    "peak_mem_gb",
    "published_mfu",
    "published_tflops_per_gpu",
    "flops_convention",
    "complete",
    "notes",
    "verified",
)
_CONFIGURATION = tuple(f.name for f in fields(MeasuredRun) if f.name not in _NOT_CONFIGURATION)


def _alike(runs: Iterable[MeasuredRun], but: str) -> Iterator[list[MeasuredRun]]:
    """Measured runs of one configuration but for the column ``but``, in groups of two or more."""
    names = [name for name in _CONFIGURATION if name != but]
    groups: defaultdict[Hashable, list[MeasuredRun]] = defaultdict(list)
    for run in runs:
        if run.complete and run.step_s and run.outcome != "oom":
            groups[tuple(getattr(run, name) for name in names)].append(run)
    return (group for group in groups.values() if len(group) > 1)


def _micro_batch(runs: Sequence[MeasuredRun], predicted: Mapping[str, Predicted]) -> Iterator[str]:
    for group in _alike(runs, "micro_batch"):
        ordered = sorted(group, key=lambda run: run.micro_batch or 0)
        for smaller, larger in pairwise(ordered):
            if _of_one(larger) < _of_one(smaller):
                yield from (smaller.id, larger.id)


def _of_one(run: MeasuredRun) -> float:
    """Time of one micro-batch: the step holds as many as a rank has, and as many more as the pipeline takes to fill."""
    count = (run.global_batch_seqs or 1) / ((run.dp or 1) * (run.micro_batch or 1))
    return (run.step_s or 0.0) / (count + ((run.pp or 1) - 1) / (run.vpp or 1))


def _growing(runs: Sequence[MeasuredRun], predicted: Mapping[str, Predicted]) -> Iterator[str]:
    for group in _alike(runs, "micro_batch"):
        for run in group:
            smaller = [o.step_s or 0 for o in group if (o.micro_batch or 0) < (run.micro_batch or 0)]
            if smaller and (run.step_s or 0) > (1 + GROWING_FRAC) * min(smaller):
                yield run.id


def _releases(runs: Sequence[MeasuredRun], predicted: Mapping[str, Predicted]) -> Iterator[str]:
    for group in _alike(runs, "stack_version"):
        steps = [run.step_s or 0 for run in group]
        for run in group:
            here = run.step_s or 0
            if max(here / min(steps), max(steps) / here) > 1 + RELEASES_FRAC:
                yield run.id


def _near_memory(runs: Sequence[MeasuredRun], predicted: Mapping[str, Predicted]) -> Iterator[str]:
    return (key for key, p in predicted.items() if p.peak_bytes > NEAR_MEMORY_FRAC * p.memory_bytes)


def _misfit(runs: Sequence[MeasuredRun], predicted: Mapping[str, Predicted]) -> Iterator[str]:
    ran = {run.id for run in runs if run.outcome != "oom"}
    return (key for key, p in predicted.items() if key in ran and not p.fits)


CHECKS: dict[str, Callable[[Sequence[MeasuredRun], Mapping[str, Predicted]], Iterator[str]]] = {
    "micro-batch": _micro_batch,
    "growing": _growing,
    "releases": _releases,
    "near-memory": _near_memory,
    "misfit": _misfit,
}
