"""A plain case to vary, and the step times of cases."""

from __future__ import annotations

from dataclasses import replace

from isocost.catalog import load_catalog
from isocost.catalog.stacks import recipe
from isocost.perf.case import Case
from isocost.perf.predict import predict
from isocost.workload.presets import preset

CATALOG = load_catalog()


def case(model: str = "llama-3.1-8b", chip: str = "h100-sxm5-80gb", **changes: object) -> Case:
    """A plain case: 8 GPUs, ZeRO-1, no recompute."""
    plain = Case(
        architecture=preset(model), kind="pretrain", accelerator=CATALOG.accelerator(chip), nic_bytes_per_s=50e9,
        site="", recipe=recipe("megatron-core"), precision="bf16", fp8_recipe="", attention_kernel="cudnn",
        norm_kernel="fused", recompute="none", sharding="zero1", seq_len=8192, global_batch_seqs=128, micro_batch=1,
        tp=1, pp=1, vp=1, cp=1, ep=1, dp=8, shard_group=8, sequence_parallel=False, schedule="none",
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def step_s(*cases: Case) -> list[float]:
    """Step times of cases evaluated together."""
    return predict(cases).step_s.tolist()  # type: ignore[no-any-return]
