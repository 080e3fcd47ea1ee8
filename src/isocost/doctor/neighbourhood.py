"""All combinations of the levers around a run: layouts times switches, step time and memory of each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from isocost.cases import SIXTEEN_BIT, Case, generation
from isocost.catalog.records import peak
from isocost.constants import Constant
from isocost.doctor.run import Calibrated, MeasuredRun
from isocost.evaluate.step import StepTime
from isocost.layouts import NUMBERS, Axes, Layouts, default_axes, legal_layouts
from isocost.recipes import Recipe, recipes
from isocost.search.plan import PLAIN, STACK_SCHEDULES
from isocost.search.tables import Tables, small_axes, tables

Floats = NDArray[np.float64]

# Combinations evaluated at most: a few seconds. Above, the degrees are held within a factor of the run's.
MOST: Final = 400_000
WITHIN: Final = (64, 4, 2, 1)
CHUNK: Final = 16_384
# Levers of the layout, by the columns that they move together.
LAYOUT: Final[Mapping[str, tuple[str, ...]]] = {
    "tp": ("tp", "sequence_parallel"),
    "pp": ("pp", "vp", "schedule"),
    "cp": ("cp",),
    "ep": ("ep",),
    "sharding": ("sharding",),
    "micro_batch": ("micro_batch",),
    "recompute": ("recompute",),
}
# What each is bought or trained with, and so is not part of the best configuration of the run as it is.
BEYOND: Final = ("precision", "fabric")
# Kernels faster than the older ones, where they run.
ATTENTION: Final = {"hopper": ("flash3", "cudnn"), "blackwell": ("cudnn",), "ampere": ("flash2",), "ada": ("flash2",)}
LOW_PRECISION: Final = {"blackwell": "mxfp8", "hopper": "fp8", "ada": "fp8"}
Change = Callable[[Case], Case]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Variant:
    """One setting of all switches: what differs from the run, and all layouts under it."""

    changes: Mapping[str, tuple[str, str]]  # lever: (as run, here)
    tables: Tables
    step_s: Floats  # calibrated
    peak_bytes: Floats


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
        """A column of the layouts, choices as places in their axis."""
        return np.asarray(getattr(self.layouts, name))

    def moved(self, lever: str) -> NDArray[np.bool_]:
        """Layouts in which a lever stands elsewhere than in the run."""
        found = np.zeros(len(self.layouts), bool)
        for name in LAYOUT[lever]:
            column = self.column(name)
            found |= column != column[self.own]
        return found

    def time(self, variant: int, layout: int) -> StepTime:
        """Parts of the step of one combination, before calibration."""
        record = self.variants[variant].tables.time(np.array([layout], np.intp))
        return StepTime(**{f.name: float(np.asarray(getattr(record, f.name)).reshape(-1)[0]) for f in fields(record)})


def neighbourhood(run: MeasuredRun, calibrated: Calibrated, constants: Mapping[str, Constant]) -> Neighbourhood:
    """Evaluate all combinations, at most ``MOST`` of them unless the run's own degrees alone have more."""
    switches = _combinations(run.case)
    for within in WITHIN:
        layouts = _layouts(run, within)
        if len(layouts) * len(switches) <= MOST:
            break
    axes = small_axes(layouts)
    variants = []
    for changes, case in switches:
        prepared = tables(case, run.option, layouts, axes, constants)
        step, peaks = np.empty(len(layouts)), np.empty(len(layouts))
        for start in range(0, len(layouts), CHUNK):
            rows = slice(start, min(start + CHUNK, len(layouts)))
            step[rows] = calibrated.seconds(prepared.time(rows))
            peaks[rows] = prepared.memory(rows).total
        variants.append(Variant(changes=changes, tables=prepared, step_s=step, peak_bytes=peaks))
    return Neighbourhood(layouts=layouts, own=_own(run.case, layouts), variants=tuple(variants), within=within)


def _layouts(run: MeasuredRun, within: int) -> Layouts:
    case, question = run.case, run.question
    schedules = STACK_SCHEDULES.get(case.recipe.stack, PLAIN)
    usual = default_axes(case.architecture, (case.gpus,), schedules=schedules)
    held: dict[str, Any] = {}
    for field in fields(Axes):
        values = getattr(usual, field.name)
        if field.name != "gpus":
            own = getattr(case, field.name)
            if field.name in NUMBERS:
                values = tuple(v for v in values if own <= v * within and v <= own * within)
            values = values if own in values else (*values, own)
        held[field.name] = values
    return legal_layouts(
        case.architecture, Axes(**held), seq_len=case.seq_len, global_batch_seqs=question.global_batch_seqs or 1,
        domain=max(case.accelerator.scaleup_domain, 1),
    )  # fmt: skip


def _own(case: Case, layouts: Layouts) -> int:
    same = np.ones(len(layouts), bool)
    for name in ("tp", "pp", "vp", "cp", "ep", "dp", "micro_batch"):
        same &= getattr(layouts, name) == getattr(case, name)
    for name in ("recompute", "sharding", "schedule"):
        same &= getattr(layouts, name) == getattr(layouts.axes, name).index(getattr(case, name))
    same &= layouts.sequence_parallel == int(case.sequence_parallel)
    return int(np.flatnonzero(same)[0])


def _combinations(case: Case) -> list[tuple[dict[str, tuple[str, str]], Case]]:
    """Every combination of the switches; that of the run first."""
    choices = _switches(case)
    found = []
    for picked in itertools.product(*([None, *options] for options in choices.values())):
        changed, changes = case, {}
        for lever, option in zip(choices, picked, strict=True):
            if option is not None:
                words, change = option
                changed, changes[lever] = change(changed), words
        found.append((changes, changed))
    return found


Option = tuple[tuple[str, str], Change]


def _switches(case: Case) -> dict[str, list[Option]]:
    """The switches that this run could set otherwise, and how."""
    recipe, chip = case.recipe, generation(case.accelerator.id)
    found: dict[str, list[Option]] = {
        "attention_kernel": [
            ((case.attention_kernel, name), lambda c, name=name: replace(c, attention_kernel=name))  # type: ignore[misc]
            for name in ATTENTION.get(chip, ())
            if name != case.attention_kernel and case.attention_kernel not in ATTENTION.get(chip, ())
        ]
    }
    if not recipe.compiled:
        found["compile"] = [(("no", "yes"), _compiled)]
    if not recipe.cuda_graphs:
        found["cuda_graphs"] = [
            (("no", "yes"), lambda c: replace(c, recipe=replace(c.recipe, cuda_graphs=True)))
        ]  # fmt: skip
    if recipe.gradient_bytes > 2.0:
        words = ("fp32", "bf16")
        found["gradient_precision"] = [(words, lambda c: replace(c, recipe=replace(c.recipe, gradient_bytes=2.0)))]
    if not case.tp_overlap and case.gpus > 1:
        found["tp_overlap"] = [(("no", "yes"), lambda c: replace(c, tp_overlap=True))]
    lower = LOW_PRECISION.get(chip, "")
    if lower and case.precision in SIXTEEN_BIT and peak(case.accelerator, lower)[0] is not None:
        found["precision"] = [((case.precision, lower), lambda c: replace(c, precision=lower))]
    if case.gpus > max(case.accelerator.scaleup_domain, 1):
        words = ("as it is", "NIC bandwidth x 2")
        found["fabric"] = [(words, lambda c: replace(c, nic_bytes_per_s=2.0 * c.nic_bytes_per_s))]
    return {lever: options for lever, options in found.items() if options}


def _compiled(case: Case) -> Case:
    """The case compiled: as the recipe of the same stack that was measured so, where there is one."""
    twins = [other for other in recipes().values() if other.stack == case.recipe.stack and other.compiled]
    twin: Recipe = max(twins, key=lambda other: (other.until, other.since), default=replace(case.recipe, compiled=True))
    recipe = replace(twin, gradient_bytes=case.recipe.gradient_bytes, cuda_graphs=case.recipe.cuda_graphs)
    norm = "compiled" if case.norm_kernel == "eager" else case.norm_kernel
    return replace(case, recipe=recipe, norm_kernel=norm)
