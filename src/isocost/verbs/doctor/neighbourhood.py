"""All combinations of the levers around a run: layouts times switches, step time and memory of each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from isocost.perf.case import Case
from isocost.perf.constants import Constant
from isocost.perf.layout import AXES, CHOICES, COUNTS
from isocost.perf.layouts import Axes, Layouts, default_axes, legal_layouts
from isocost.perf.step import StepTime
from isocost.search.evaluator import SmallAxes, Tables, small_axes, tables
from isocost.verbs.doctor.run import Calibrated, ExaminedRun
from isocost.verbs.doctor.switches import BEYOND, Option, allowed, held, options

Floats = NDArray[np.float64]

# Combinations evaluated at most: a few seconds. Above, the degrees are held within a factor of the run's.
MOST: Final = 400_000
WITHIN: Final = (64, 4, 2, 1)
CHUNK: Final = 16_384
# Levers of the layout, by the columns that they move together.
LAYOUT: Final[Mapping[str, tuple[str, ...]]] = {
    "tp": ("tp", "sequence_parallel"),
    "pp": ("pp", "vp", "schedule"),
    "schedule": ("vp", "schedule"),  # of the pipeline that the run has
    "cp": ("cp",),
    "ep": ("ep",),
    "sharding": ("sharding",),
    "micro_batch": ("micro_batch",),
    "recompute": ("recompute",),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Variant:
    """One setting of all switches: what differs from the run, and all layouts under it."""

    chosen: tuple[Option, ...]
    constants: Mapping[str, Constant]
    tables: Tables
    step_s: Floats  # calibrated
    peak_bytes: Floats
    per_step: float  # steps of this global batch for the tokens of one step of the run, and for the same loss

    @property
    def changes(self) -> dict[str, tuple[str, str]]:
        """What each lever is set to, as run and here."""
        return {option.lever: option.words for option in self.chosen}

    @property
    def as_long_s(self) -> Floats:
        """Time for what one step of the run does."""
        return self.step_s * self.per_step


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbourhood:
    """Everything evaluated; ``own`` is the place of the run's layout, the first variant its switches."""

    layouts: Layouts
    own: int
    variants: tuple[Variant, ...]
    within: int

    @property
    def size(self) -> int:
        """Combinations evaluated."""
        return len(self.layouts) * len(self.variants)

    def column(self, name: str) -> NDArray[Any]:
        """Return a column of the layouts, choices as places in their axis."""
        return np.asarray(getattr(self.layouts, name))

    def moved(self, lever: str) -> NDArray[np.bool_]:
        """Layouts in which a lever stands elsewhere than in the run; another pipeline has its own schedule."""
        found = np.zeros(len(self.layouts), bool)
        for name in LAYOUT[lever]:
            column = self.column(name)
            found |= column != column[self.own]
        other_pipeline: NDArray[np.bool_] = self.layouts.pp != self.layouts.pp[self.own]
        return {"pp": other_pipeline, "schedule": found & ~other_pipeline}.get(lever, found)

    def time(self, variant: int, layout: int) -> StepTime:
        """Parts of the step of one combination, before calibration."""
        record = self.variants[variant].tables.time(np.array([layout], np.intp))
        return StepTime(**{f.name: float(np.asarray(getattr(record, f.name)).reshape(-1)[0]) for f in fields(record)})


def neighbourhood(
    run: ExaminedRun, calibrated: Calibrated, constants: Mapping[str, Constant], tokens: float
) -> Neighbourhood:
    """Evaluate the combinations, at most ``MOST`` of them unless the run's own degrees alone have more.

    All switches of the stack with all layouts; then what lies beyond the run as it is (lower precision, another batch
    or network) with all layouts and every part of the fastest set of switches that fits.
    """
    found = options(run, tokens)
    inside, outside = ([o for o in found if (o.lever in BEYOND) is beyond] for beyond in (False, True))
    sets = [chosen for chosen in _products(inside) if not chosen or allowed(_changed(run.case, chosen))]
    for within in WITHIN:
        layouts = _layouts(run, within)
        if len(layouts) * len(sets) <= MOST:
            break
    axes = small_axes(layouts)

    def variant(chosen: tuple[Option, ...]) -> Variant:
        return _variant(run, chosen, layouts, axes, calibrated, constants)

    variants = [variant(chosen) for chosen in sets]
    ceiling = run.ceiling_bytes
    best = min(variants, key=lambda v: float(np.min(np.where(v.peak_bytes <= ceiling, v.as_long_s, np.inf))))
    parts = [part for count in range(len(best.chosen) + 1) for part in itertools.combinations(best.chosen, count)]
    further = [(*part, extra) for extra in outside for part in parts]
    variants += [variant(chosen) for chosen in further if allowed(_changed(run.case, chosen))]
    return Neighbourhood(layouts=layouts, own=_own(run.case, layouts), variants=tuple(variants), within=within)


def _products(found: Sequence[Option]) -> list[tuple[Option, ...]]:
    """Every combination of at most one option a lever; that of the run, with none, first."""
    by_lever = [list(group) for _, group in itertools.groupby(found, key=lambda option: option.lever)]
    picks = itertools.product(*([None, *group] for group in by_lever))
    return [tuple(option for option in pick if option is not None) for pick in picks]


def _changed(case: Case, chosen: Sequence[Option]) -> Case:
    for option in chosen:
        case = option.change(case)
    return case


def _variant(
    run: ExaminedRun,
    chosen: tuple[Option, ...],
    layouts: Layouts,
    axes: SmallAxes,
    calibrated: Calibrated,
    constants: Mapping[str, Constant],
) -> Variant:
    """All layouts under one set of options, evaluated."""
    case, here = _changed(run.case, chosen), held(run.case, chosen, constants)
    domain = max((option.sharding_domain for option in chosen), default=0)
    prepared = replace(tables(case, run.option, layouts, axes, here), sharding_domain=domain)
    step, peaks = np.empty(len(layouts)), np.empty(len(layouts))
    for start in range(0, len(layouts), CHUNK):
        rows = slice(start, min(start + CHUNK, len(layouts)))
        step[rows] = calibrated.seconds(prepared.time(rows))
        peaks[rows] = prepared.memory(rows).total
    batches = case.global_batch_seqs / run.case.global_batch_seqs
    waits_s = run.waits_s - math.fsum(option.spares_s for option in chosen)
    step += batches * waits_s - run.waits_s  # a step of twice the batch waits twice as long
    more_tokens = math.prod(option.tokens_frac for option in chosen)
    return Variant(
        chosen=chosen,
        constants=here,
        tables=prepared,
        step_s=step,
        peak_bytes=peaks,
        per_step=more_tokens / batches,
    )


def _layouts(run: ExaminedRun, within: int) -> Layouts:
    case, question = run.case, run.question
    fixed = dict.fromkeys(case.recipe.without, 1)
    usual = default_axes(case.architecture, (case.gpus,), fixed, schedules=case.recipe.schedules)
    held: dict[str, Any] = {"gpus": usual.gpus}
    for name in AXES:
        if name == "dp":  # follows from the others
            continue
        values, own = getattr(usual, name), getattr(case.layout, name)
        if name in COUNTS:
            values = tuple(v for v in values if own <= v * within and v <= own * within)
        held[name] = values if own in values else (*values, own)
    return legal_layouts(
        case.architecture,
        Axes(**held),
        seq_len=case.seq_len,
        global_batch_seqs=question.global_batch_seqs or 1,
        domain=max(case.accelerator.scaleup_domain, 1),
    )


def _own(case: Case, layouts: Layouts) -> int:
    same = np.ones(len(layouts), bool)
    for name in AXES:
        own = getattr(case.layout, name)
        same &= getattr(layouts, name) == (getattr(layouts.axes, name).index(own) if name in CHOICES else own)
    return int(np.flatnonzero(same)[0])
