"""Levers beside the layout: switches of the stack and properties of the machine, as changes of a case.

A switch moves what it names and nothing else: compilation does not bring the overlap of another release of the stack,
nor fp8 a faster host, though the fitted constants of the measured recipes differ in those as well.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

from isocost.catalog.records import peak
from isocost.catalog.stacks import Recipe, recipes
from isocost.laws.batch_size import tokens_at_batch
from isocost.laws.critical_batch import critical_batch_tokens, expected_loss
from isocost.perf.case import SIXTEEN_BIT, Case, levels_of
from isocost.perf.columns import Coefficients
from isocost.perf.constants import Constant
from isocost.verbs.doctor.run import ExaminedRun
from isocost.workload.params import parameter_count

# What each is bought or trained with, and so is not part of the best configuration of the run as it is.
BEYOND: Final = ("precision", "global_batch", "fabric")
ALL_RANKS = "over all ranks"

# What a switch may move beyond its own levels; every other coefficient stays as it is for the run.
MOVES: Final[Mapping[str, tuple[str, ...]]] = {
    "compile": ("pointwise", "backward_pointwise", "norm", "loss_bytes", "host_s"),
    "precision": ("sustained_frac", "quantise", "expert", "dispatch", "tp_exposed"),
}
# Part of the step behind a coefficient that a switch may move.
PART_OF: Final[Mapping[str, str]] = {
    "sustained_frac": "gemm_s",
    "quantise": "gemm_s",
    "expert": "expert_s",
    "dispatch": "expert_s",
    "attention_forward": "attention_s",
    "attention_backward": "attention_s",
    "attention_narrow": "attention_s",
    "attention_score": "attention_s",
    "pointwise": "pointwise_s",
    "backward_pointwise": "pointwise_s",
    "norm": "pointwise_s",
    "loss_bytes": "head_s",
    "host_s": "host_s",
    "tp_exposed": "tp_s",
}

Change = Callable[[Case], Case]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting of a lever that the run does not have."""

    lever: str
    words: tuple[str, str]  # as run, here
    change: Change
    sharding_domain: int = 0  # states are sharded within so many accelerators; 0: as in the run
    tokens_frac: float = 1.0  # tokens for the same loss, over those of the run
    spares_s: float = 0.0  # of the run's waits


def options(run: ExaminedRun, tokens: float) -> list[Option]:
    """Every setting of a switch or of the machine that this run could have instead of its own, by lever."""
    case = run.case
    return [
        *_kernels(case),
        *_stack(case),
        *_sharding(case),
        *_waits(run),
        *_precisions(case),
        *_batches(case, tokens),
        *_fabric(case),
    ]


def _kernels(case: Case) -> list[Option]:
    found = []
    faster = case.accelerator.fast_attention
    if faster and case.attention_kernel not in (faster, "flash3"):
        words = (case.attention_kernel, faster)
        found.append(Option(lever="attention_kernel", words=words, change=_sets(attention_kernel=faster)))
    if case.norm_kernel == "eager":
        found.append(Option(lever="norm_kernel", words=("eager", "fused"), change=_sets(norm_kernel="fused")))
    return found


def _stack(case: Case) -> list[Option]:
    found = []
    if (twin := compiled_twin(case.recipe)) is not None:
        found.append(Option(lever="compile", words=("no", "yes"), change=lambda c: _compiled(c, twin)))
    if case.recipe.gradient_bytes > 2.0:
        found.append(Option(lever="gradient_precision", words=("fp32", "bf16"), change=_bf16_gradients))
    has_tp = case.layout.tp > 1 or "tp" not in case.recipe.without
    if has_tp and not case.tp_overlap and case.gpus > 1:
        found.append(Option(lever="tp_overlap", words=("no", "yes"), change=_sets(tp_overlap=True)))
    return found


def _sharding(case: Case) -> list[Option]:
    domain = max(case.accelerator.scaleup_domain, 1)
    if case.gpus <= domain:
        return []
    words = (ALL_RANKS, f"within {domain} GPUs")
    return [Option(lever="shard_group", words=words, change=lambda c: c, sharding_domain=domain)]


def _waits(run: ExaminedRun) -> list[Option]:
    return [
        Option(lever=lever, words=(wait.words, "none"), change=lambda c: c, spares_s=wait.s)
        for lever, wait in run.waits.items()
    ]


def _precisions(case: Case) -> list[Option]:
    if case.precision not in SIXTEEN_BIT:
        return []
    return [
        Option(lever="precision", words=(case.precision, name), change=_sets(precision=name))
        for name in case.accelerator.low_precision
        if peak(case.accelerator, name)[0] is not None
    ]


def _batches(case: Case, tokens: float) -> list[Option]:
    """Twice the global batch, and the tokens more that the same loss takes then."""
    count = parameter_count(case.architecture)
    loss = expected_loss(params=float(count.active - count.embedding - count.head), tokens=tokens)
    critical = float(critical_batch_tokens(loss=loss))
    batch = case.global_batch_seqs * case.seq_len
    old, new = (
        float(tokens_at_batch(tokens=1.0, batch_tokens=times * batch, critical_tokens=critical)) for times in (1, 2)
    )
    seqs = 2 * case.global_batch_seqs
    words = (f"{case.global_batch_seqs:,}", f"{seqs:,}")
    return [Option(lever="global_batch", words=words, change=_sets(global_batch_seqs=seqs), tokens_frac=new / old)]


def _fabric(case: Case) -> list[Option]:
    if case.gpus <= max(case.accelerator.scaleup_domain, 1):
        return []
    words = ("as it is", "twice the bandwidth")
    return [Option(lever="fabric", words=words, change=lambda c: replace(c, nic_bytes_per_s=2.0 * c.nic_bytes_per_s))]


def _sets(**values: object) -> Change:
    return lambda case: replace(case, **values)  # type: ignore[arg-type]


def _bf16_gradients(case: Case) -> Case:
    return replace(case, recipe=replace(case.recipe, gradient_bytes=2.0))


def compiled_twin(recipe: Recipe) -> Recipe | None:
    """Return the recipe of the same stack that was measured compiled; None without one, or if this one is."""
    twins = [other for other in recipes().values() if other.stack == recipe.stack and other.compiled]
    return None if recipe.compiled else max(twins, key=lambda other: (other.until, other.since), default=None)


def _compiled(case: Case, twin: Recipe) -> Case:
    run = case.recipe
    recipe = replace(twin, gradient_bytes=run.gradient_bytes, cuda_graphs=run.cuda_graphs)
    return replace(case, recipe=recipe, norm_kernel="compiled" if case.norm_kernel == "eager" else case.norm_kernel)


def allowed(case: Case) -> bool:
    """Whether the stack runs this combination of switches."""
    return case.recipe.compiled or not (case.recipe.overlap_needs_compilation and case.tp_overlap)


def held(run: Case, chosen: Sequence[Option], constants: Mapping[str, Constant]) -> dict[str, Constant]:
    """Return the constants with which a changed case differs from the run only in what its levers move."""
    found, before = dict(constants), levels_of(run)
    for option in chosen:
        if option.lever not in MOVES:
            continue
        after = levels_of(option.change(run))
        moved = [level for level, value in after.items() if value != before[level]]
        kept = [field.name for field in fields(Coefficients) if field.name not in MOVES[option.lever]]
        for coefficient, level in itertools.product(kept, moved):
            old, new = (f"{coefficient}|{level}={levels[level]}" for levels in (before, after))
            found.pop(new, None)
            if old in constants:
                found[new] = constants[old]
    return found


def left_open(
    run: Case, case: Case, constants: Mapping[str, Constant], here: Mapping[str, Constant]
) -> dict[str, float]:
    """Variance of the log of each part of the step that comes from constants which only one of the two cases has."""
    before, after = levels_of(run), levels_of(case)
    found: dict[str, float] = {}
    for coefficient, part in PART_OF.items():
        variance = 0.0
        for level, value in before.items():
            old, new = f"{coefficient}|{level}={value}", f"{coefficient}|{level}={after[level]}"
            if old != new and constants.get(old) is not here.get(new):
                spread = _prior_sd(f"{coefficient}|{level}=", constants)
                variance += math.fsum(
                    (known[name].posterior_sd if name in known else spread) ** 2
                    for known, name in ((constants, old), (here, new))
                )
        found[part] = max(found.get(part, 0.0), variance)
    return {part: variance for part, variance in found.items() if variance > 0.0}


def _prior_sd(beginning: str, constants: Mapping[str, Constant]) -> float:
    """Spread of a multiplier that no run has moved: that of its kind."""
    return next((constant.sd for name, constant in constants.items() if name.startswith(beginning)), 0.0)
