"""A run as a row of the evidence format, from its case; and rows as a file. The reverse of reading and of assuming."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from isocost.catalog.stacks import GRADIENT_BYTES, recipe
from isocost.evidence.columns import COLUMNS, REQUIRED
from isocost.evidence.run import MeasuredRun
from isocost.perf.case import Case
from isocost.workload.architecture import Architecture, Block


def run_of(case: Case, *, id: str, **measured: Any) -> MeasuredRun:
    """Return the row of a case; ``measured`` are the columns of what was measured, and where it was."""
    stack, x = recipe(case.recipe.id), case.layout
    by_bytes = {size: name for name, size in GRADIENT_BYTES.items()}
    return MeasuredRun(
        line=0,
        id=id,
        stack=stack.stack,
        recipe=stack.id,
        kind=case.kind,
        accelerator=case.accelerator.id,
        gpus=case.gpus,
        scale_out_gbit_per_gpu=case.nic_bytes_per_s * 8e-9,
        **_shape(case.architecture),
        seq_len=case.seq_len,
        global_batch_seqs=case.global_batch_seqs,
        micro_batch=x.micro_batch,
        tp=x.tp,
        pp=x.pp,
        vpp=x.vp,
        cp=x.cp,
        ep=x.ep,
        dp=x.dp,
        sharding=x.sharding,
        shard_group="all" if x.sharded_over == x.dp * x.cp else str(x.sharded_over),
        sequence_parallel=x.sequence_parallel,
        schedule=x.schedule,
        recompute=x.recompute if x.recompute != "offload" else None,
        precision=case.precision,
        fp8_recipe=case.fp8_recipe or None,
        attention_kernel=case.attention_kernel,
        norm_kernel=case.norm_kernel,
        compiled=_changed(case, "compiled"),
        cuda_graphs=_changed(case, "cuda_graphs"),
        gradient_precision=by_bytes[case.recipe.gradient_bytes] if _changed(case, "gradient_bytes") else None,
        tp_overlap=case.tp_overlap,
        outcome="ran",
        complete=True,
        **measured,
    )


def _changed(case: Case, name: str) -> Any:
    """Return a switch of the stack where it is not that of the recipe."""
    value = getattr(case.recipe, name)
    return None if value == getattr(recipe(case.recipe.id), name) else value


def _shape(model: Architecture) -> dict[str, Any]:
    """Return the columns of a model. What they have no room for is as ``architecture_of`` has it."""
    dense = [block for block in model.blocks if not block.experts]
    routed = [block for block in model.blocks if block.experts]
    first = model.blocks[0]
    shape: dict[str, Any] = {
        "model": model.name,
        "layers": model.layers,
        "hidden": model.hidden,
        "heads": first.heads,
        "kv_heads": first.kv_heads,
        "head_dim": first.head_dim,
        "ffn_gated": first.ffn_gated,
        "vocab": model.vocab,
        "ffn_hidden": dense[0].ffn_hidden if dense else routed[0].moe_ffn_hidden,
        "tied_embeddings": model.tied_embeddings,
        "attention": _attention(model.blocks),
    }
    if routed:
        width = routed[0].moe_ffn_hidden
        shape |= {
            "experts": routed[0].experts,
            "experts_topk": routed[0].experts_topk,
            "moe_ffn_hidden": width,
            "shared_experts": round(routed[0].shared_ffn_hidden / width),
            "dense_layers": sum(block.count for block in dense),
        }
    return shape


def _attention(blocks: Sequence[Block]) -> str:
    """Return the kind of attention; of a sliding window its width and how many such blocks there are to a full one."""
    if any(block.kv_lora_rank for block in blocks):
        return "mla"
    near = [block for block in blocks if block.window]
    if not near:
        return "full"
    full = sum(block.count for block in blocks if not block.window)
    if not full:
        return f"sliding:{near[0].window}"
    every = round(sum(block.count for block in near) / full)
    return f"sliding:{near[0].window},{'alternating' if every == 1 else f'{every}:1'}"


def runs_csv(runs: Sequence[MeasuredRun]) -> str:
    """Return the rows as a file of the format: columns that any row has, and those that a file must have."""
    names = [c.name for c in COLUMNS if c.name in REQUIRED or any(getattr(run, c.name) is not None for run in runs)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(value) for value in _values(run, names)] for run in runs)
    return out.getvalue()


def _values(run: MeasuredRun, names: Sequence[str]) -> Iterator[object]:
    return (getattr(run, name) for name in names)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else f"{value!r}" if isinstance(value, float) else str(value)
