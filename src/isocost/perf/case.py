"""A case is one configuration with every choice made; its levels say which constants apply to it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from isocost.catalog.records import Accelerator
from isocost.catalog.stacks import Recipe
from isocost.perf.columns import Coefficients
from isocost.perf.constants import Constant, product
from isocost.perf.layout import Layout
from isocost.workload.architecture import Architecture

SIXTEEN_BIT = ("bf16", "fp16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One training configuration on one kind of machine, complete."""

    architecture: Architecture
    kind: str  # pretrain, sft, lora
    accelerator: Accelerator
    nic_bytes_per_s: float
    nic_latency_s: float = 5e-6  # of a step across nodes on the nearest tier: a 2-hop RDMA write
    site: str  # whose fabric: "" when unknown
    user: str = ""  # name of the calibration whose constants apply on top, where its stack or chip is that of the case
    recipe: Recipe
    precision: str
    fp8_recipe: str
    attention_kernel: str
    norm_kernel: str
    seq_len: int
    global_batch_seqs: int
    layout: Layout
    tp_overlap: bool = False  # asynchronous tensor parallelism

    @property
    def gpus(self) -> int:
        """Accelerators of the case."""
        return self.layout.gpus

    def with_axes(self, **changes: Any) -> Case:
        """Return the case with another value on these axes of its layout."""
        return replace(self, layout=replace(self.layout, **changes))


def generation(chip: Accelerator) -> str:
    """Return the silicon generation of a chip: kernels are written for one; its own id where no other shares it."""
    return chip.generation or chip.id


def levels_of(case: Case) -> dict[str, str]:
    """Return the levels at which constants may differ, for this case."""
    rate = "16bit" if case.precision in SIXTEEN_BIT else case.precision
    chip = case.accelerator.id
    return {
        "chip": chip,
        "rate": f"{chip}@{rate}",
        "family": case.recipe.family,
        "stack": case.recipe.id,
        "site": case.site,
        "user": f"{case.user}:{case.recipe.id}" if case.user else "",
        "user_chip": f"{case.user}@{chip}" if case.user else "",
        "generation": generation(case.accelerator),
        "attention": case.attention_kernel,
        "attention_on": f"{case.attention_kernel}@{generation(case.accelerator)}",
        "sinks": "yes" if any(block.attention_sinks for block in case.architecture.blocks) else "",
        "norm": case.norm_kernel,
        "compiled": "yes" if case.recipe.compiled else "no",
        "graphs": "yes" if case.recipe.cuda_graphs else "no",
        "cast": case.fp8_recipe or case.precision,
        "tp_overlap": "yes" if case.tp_overlap else "no",
        "dispatch": "deduplicated" if deduplicates(case) else "plain",
        "quantised": "no" if case.precision in SIXTEEN_BIT else "yes",
    }


def deduplicates(case: Case) -> bool:
    """Whether a token goes once to each domain: Megatron-Bridge's DeepSeek recipes do so, its others use all-to-all."""
    return case.recipe.deduplicated_dispatch and any(block.mla for block in case.architecture.blocks)


def coefficients_of(case: Case, constants: dict[str, Constant]) -> dict[str, float]:
    """Every fitted coefficient of the case."""
    levels = levels_of(case)
    return {f.name: product(f.name, levels, constants) for f in fields(Coefficients)}
