"""The switches of a software stack that a scenario can change; what it leaves out stays as in the stack's recipe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from isocost.recipes import Recipe, recipes
from isocost.scenario.record import Scenario

# Key of a scenario -> field of a recipe ("" where recipes have none), and what it decides.
SWITCHES: Final = {
    "attention_kernel": ("attention_kernel", "time and memory of the attention core"),
    "norm_kernel": ("norm_kernel", "memory traffic of the norms, and the values they keep"),
    "gradient_precision": ("gradient_bytes", "bytes of a gradient in the data-parallel reduction"),
    "compiled": ("compiled", "memory traffic of pointwise operators"),
    "cuda_graphs": ("cuda_graphs", "time the host needs to launch a block"),
    "tp_overlap": ("", "tensor-parallel traffic that is waited for"),
}
GRADIENT_BYTES: Final = {"bf16": 2.0, "fp16": 2.0, "fp32": 4.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """A recipe with the scenario's switches: those that a case holds itself are beside it."""

    recipe: Recipe
    attention_kernel: str
    norm_kernel: str
    tp_overlap: bool
    changed: tuple[str, ...]  # "compiled no (torchtitan: yes)"


def switched(stack: Recipe, scenario: Scenario) -> Switched:
    """Return the stack as the scenario runs it."""
    base = _twin(stack, scenario.compiled)
    compiled = base.compiled if scenario.compiled is None else scenario.compiled
    norm = base.norm_kernel
    if norm == "compiled" and not compiled:
        norm = "eager"  # nothing else compiles it
    return Switched(
        recipe=replace(
            base,
            compiled=compiled,
            cuda_graphs=base.cuda_graphs if scenario.cuda_graphs is None else scenario.cuda_graphs,
            gradient_bytes=GRADIENT_BYTES.get(scenario.gradient_precision or "", base.gradient_bytes),
        ),
        attention_kernel=scenario.attention_kernel or base.attention_kernel,
        norm_kernel=scenario.norm_kernel or norm,
        tp_overlap=bool(scenario.tp_overlap),
        changed=tuple(
            f"{key} {_word(value)}" for key in SWITCHES if (value := getattr(scenario, key)) is not None
        ),
    )  # fmt: skip


def _twin(stack: Recipe, compiled: bool | None) -> Recipe:
    """The recipe of the same stack that was measured compiled, or not; the stack itself where there is none."""
    if compiled is None or compiled == stack.compiled:
        return stack
    twins = [other for other in recipes().values() if other.stack == stack.stack and other.compiled == compiled]
    return max(twins, key=lambda other: (other.until, other.since), default=stack)


def _word(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
