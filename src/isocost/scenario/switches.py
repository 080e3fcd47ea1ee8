"""The switches of a software stack that a scenario can change; what it leaves out stays as in the stack's recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from isocost.catalog import stacks as recipes
from isocost.catalog.stacks import Recipe
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
    run = recipes.switched(
        stack,
        compiled=scenario.compiled,
        cuda_graphs=scenario.cuda_graphs,
        gradient_precision=scenario.gradient_precision,
    )
    norm = run.norm_kernel
    if norm == "compiled" and not run.compiled:
        norm = "eager"  # nothing else compiles it
    return Switched(
        recipe=run,
        attention_kernel=scenario.attention_kernel or run.attention_kernel,
        norm_kernel=scenario.norm_kernel or norm,
        tp_overlap=bool(scenario.tp_overlap),
        changed=tuple(f"{key} {_word(value)}" for key in SWITCHES if (value := getattr(scenario, key)) is not None),
    )


def _word(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
