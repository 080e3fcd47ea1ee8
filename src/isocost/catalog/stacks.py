"""Software stacks as named recipes: the discrete switches that a layout does not say, with their source and date."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

from isocost.errors import InputError, Problem, nearest

PLAIN_SCHEDULES = ("none", "1f1b", "interleaved")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a stack of a given time runs unless told otherwise."""

    id: str
    title: str
    stack: str
    family: str  # recipes that share code share constants, as far as the evidence tells
    since: int
    until: int
    match: tuple[str, ...]  # beginnings of ``stack_version`` in the evidence format
    attention_kernel: str
    norm_kernel: str
    gradient_bytes: float
    gather_bytes: float
    compiled: bool
    cuda_graphs: bool
    deduplicated_dispatch: bool  # expert dispatch sends a token once to a node (DeepEP, HybridEP)
    grouped_experts: bool  # one kernel for the products of all experts (megablox, grouped_mm, DeepGEMM), not one each
    memory: str  # name of the memory recipe
    note: str
    source: str
    as_of: str
    grade: str
    runs_on: str = "gpu"  # kind of accelerator
    schedules: tuple[str, ...] = PLAIN_SCHEDULES  # that it ships
    without: tuple[str, ...] = ()  # degrees that it does not have
    usual_sharding: str = "none"
    usual_sequence_parallel: bool = False  # where there is tensor parallelism
    offloads: bool = False  # keeps activations in host memory where that is coherent
    overlap_needs_compilation: bool = False  # asynchronous tensor parallelism is a pass of the compiler


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionKernel:
    """An attention implementation as coefficients."""

    square: float  # 1: computes masked scores too
    score_bytes: float  # traffic a score, forward


# Unfused kernels write scores, mask, softmax and dropout to memory; 30 bytes a score with the fused masked softmax,
# 66 eager: both from a trial on the Hagemann and vTrain rows, refined by the fitted factor on ``attention_score``.
ATTENTION_KERNELS = {
    "unfused": AttentionKernel(square=1.0, score_bytes=66.0),
    "fused-softmax": AttentionKernel(square=1.0, score_bytes=30.0),
    "flash1": AttentionKernel(square=0.0, score_bytes=0.0),
    "flash2": AttentionKernel(square=0.0, score_bytes=0.0),
    "flash2-alibi": AttentionKernel(square=0.0, score_bytes=0.0),  # a bias added to every score, as MPT models need
    "flash3": AttentionKernel(square=0.0, score_bytes=0.0),
    "cudnn": AttentionKernel(square=0.0, score_bytes=0.0),
    "splash": AttentionKernel(square=0.0, score_bytes=0.0),
}


@cache
def recipes() -> dict[str, Recipe]:
    """All shipped recipes by id."""
    text = resources.files("isocost.data").joinpath("recipes.toml").read_text("utf-8")
    rows = tomllib.loads(text)["recipe"]
    return {row["id"]: Recipe(**{key: _frozen(value) for key, value in row.items()}) for row in rows}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def recipe(name: str) -> Recipe:
    """Return the recipe called ``name``; raises ``InputError`` with the nearest spelling."""
    known = recipes()
    if name not in known:
        problem = Problem(
            "stack", "no such recipe", given=name, allowed=", ".join(known), nearest=nearest(name, list(known))
        )
        raise InputError([problem])
    return known[name]


# Bytes of a gradient in its reduction, by the name of its precision.
GRADIENT_BYTES = {"bf16": 2.0, "fp16": 2.0, "fp32": 4.0}


def switched(
    base: Recipe,
    *,
    compiled: bool | None = None,
    cuda_graphs: bool | None = None,
    gradient_precision: str | None = None,
) -> Recipe:
    """Return the recipe with these switches; None leaves one as it is.

    A stack that was measured compiled, or not, has a recipe of its own for that, which is then the one to change.
    """
    if compiled is not None and compiled != base.compiled:
        twins = [other for other in recipes().values() if other.stack == base.stack and other.compiled == compiled]
        base = max(twins, key=lambda other: (other.until, other.since), default=base)
    return replace(
        base,
        compiled=base.compiled if compiled is None else compiled,
        cuda_graphs=base.cuda_graphs if cuda_graphs is None else cuda_graphs,
        gradient_bytes=GRADIENT_BYTES.get(gradient_precision or "", base.gradient_bytes),
    )


def recipe_of(stack: str | None, version: str | None, year: int | None, kind: str = "gpu") -> Recipe | None:
    """Return the recipe that a stack, its version and a year point to on a kind of accelerator; None if not known."""
    named = [r for r in recipes().values() if any((version or "").startswith(beginning) for beginning in r.match)]
    pool = named or [r for r in recipes().values() if r.stack == stack]
    pool = [r for r in pool if r.runs_on == kind] or pool
    if not pool:
        return None
    when = year or max(r.until for r in pool)
    longest = max(len(b) for r in pool for b in r.match if (version or "").startswith(b)) if named else 0
    pool = [r for r in pool if not named or any(len(b) == longest and (version or "").startswith(b) for b in r.match)]
    return min(pool, key=lambda r: (max(r.since - when, when - r.until, 0), -r.since))
