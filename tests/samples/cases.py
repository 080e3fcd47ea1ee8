"""A plain case to vary, and the step times of cases."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from isocost.catalog import load_catalog
from isocost.catalog.stacks import recipe
from isocost.perf.case import Case
from isocost.perf.layout import Layout
from isocost.perf.predict import predict
from isocost.workload.presets import preset

CATALOG = load_catalog()


def case(model: str = "llama-3.1-8b", chip: str = "h100-sxm5-80gb", **changes: Any) -> Case:
    """A plain case: 8 GPUs, ZeRO-1, no recompute."""
    plain = Case(
        architecture=preset(model),
        kind="pretrain",
        accelerator=CATALOG.accelerator(chip),
        nic_bytes_per_s=50e9,
        site="",
        recipe=recipe("megatron-core"),
        precision="bf16",
        fp8_recipe="",
        attention_kernel="cudnn",
        norm_kernel="fused",
        seq_len=8192,
        global_batch_seqs=128,
        layout=Layout(dp=8, shard_group=8, sharding="zero1"),
    )
    return varied(plain, **changes)


def varied(case: Case, **changes: Any) -> Case:
    """Return the case with these fields changed, its own or those of its layout."""
    axes = {f.name for f in fields(Layout)} & changes.keys()
    layout = replace(case.layout, **{name: changes.pop(name) for name in axes})
    return replace(case, layout=layout, **changes)


def step_s(*cases: Case) -> list[float]:
    """Step times of cases evaluated together."""
    return predict(cases).step_s.tolist()  # type: ignore[no-any-return]
