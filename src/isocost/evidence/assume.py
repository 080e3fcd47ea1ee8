"""From a measured run to a complete case: every blank filled by a stated rule, every rule that was used named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from isocost.catalog import Accelerator, Catalog
from isocost.catalog.stacks import ATTENTION_KERNELS, Recipe, recipe, recipe_of, recipes, switched
from isocost.evidence.corrections import corrected
from isocost.evidence.run import MeasuredRun
from isocost.perf.case import Case
from isocost.perf.layout import Layout
from isocost.perf.predict import resolve_recompute
from isocost.workload.architecture import Architecture, Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """A complete case and what was assumed to complete it (column -> value and rule)."""

    case: Case
    assumed: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsupported:
    """A run that cannot be predicted, and why."""

    reason: str


NOT_FLASH = ("unfused", "fused-softmax")
REQUIRED = (
    "accelerator",
    "gpus",
    "layers",
    "hidden",
    "heads",
    "head_dim",
    "ffn_hidden",
    "vocab",
    "seq_len",
    "global_batch_seqs",
    "tp",
    "pp",
    "dp",
    "precision",
)


def architecture_of(run: MeasuredRun) -> Architecture:
    """Return the architecture a row describes; MLA ranks, which have no columns, are those of DeepSeek-V3."""
    heads, width, ffn_hidden, layers = run.heads or 1, run.head_dim or 1, run.ffn_hidden or 1, run.layers or 1
    attention = run.attention or "full"
    gated = run.ffn_gated is not False
    base = Block(
        count=layers,
        heads=heads,
        kv_heads=run.kv_heads or heads,
        head_dim=width,
        v_head_dim=width,
        ffn_hidden=ffn_hidden,
        ffn_gated=gated,
        attention_sinks=(run.model or "").lower().startswith("gpt-oss"),
    )
    if attention == "mla":
        base = replace(base, q_lora_rank=1536, kv_lora_rank=512, qk_rope_head_dim=64, v_head_dim=128)
    blocks = [base]
    if run.experts:
        expert_width = run.moe_ffn_hidden or ffn_hidden
        dense = run.dense_layers or 0
        routed = replace(
            base,
            count=layers - dense,
            ffn_hidden=0,
            experts=run.experts,
            experts_topk=run.experts_topk or 1,
            moe_ffn_hidden=expert_width,
            shared_ffn_hidden=expert_width * (run.shared_experts or 0),
        )
        blocks = [routed] if not dense else [replace(base, count=dense), routed]
    window = re.fullmatch(r"sliding:(\d+)(?:,(alternating|(\d+):1))?", attention)
    if window:
        every = {"alternating": 1}.get(window[2] or "", int(window[3] or 0))
        split = []
        for block in blocks:
            full = block.count // (every + 1) if every else 0
            split.append(replace(block, count=block.count - full, window=int(window[1])))
            if full:
                split.append(replace(block, count=full))
        blocks = split
    return Architecture(
        name=run.model or "unnamed",
        model_type="custom",
        hidden=run.hidden or 1,
        vocab=run.vocab or 1,
        blocks=tuple(blocks),
        tied_embeddings=bool(run.tied_embeddings),
        layer_norm=not gated,
        dropout=not gated,
    )


def _site(run: MeasuredRun) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", (run.source or "").lower()).strip("-")
    return f"{words[:24].strip('-')}@{run.accelerator}"


def assume_all(runs: Sequence[MeasuredRun], catalog: Catalog) -> list[Assumed | Unsupported]:
    """Return the complete case of every run, or why there is none."""
    found = [_assume(run, catalog) for run in runs]
    blank = {
        row: x
        for row, (run, x) in enumerate(zip(runs, found, strict=True))
        if isinstance(x, Assumed) and run.recompute is None
    }
    if blank:
        cases = resolve_recompute([x.case for x in blank.values()])
        for (row, x), case in zip(blank.items(), cases, strict=True):
            note = f"{case.layout.recompute} (the fastest that fits)"
            found[row] = Assumed(case=case, assumed={**x.assumed, "recompute": note})
    return found


def assume(run: MeasuredRun, catalog: Catalog) -> Assumed | Unsupported:
    """Return the complete case of a run, or why there is none; for many runs ``assume_all`` is faster."""
    return assume_all([run], catalog)[0]


def _assume(run: MeasuredRun, catalog: Catalog) -> Assumed | Unsupported:
    """Return the case with every blank filled but the recompute policy."""
    reason = _why_not(run, catalog)
    if reason:
        return Unsupported(reason=reason)
    acc = catalog.accelerators[run.accelerator or ""]
    run, assumed = corrected(run)
    stack, overlap = _stack(run, acc, assumed)
    kernel = str(_fill(run, assumed, "attention_kernel", stack.attention_kernel, f"as {stack.id} runs"))
    if kernel == "flash":  # a row that names no version: the one the stack ran
        kernel = stack.attention_kernel if stack.attention_kernel not in NOT_FLASH else "flash2"
    norm = str(_fill(run, assumed, "norm_kernel", stack.norm_kernel, f"as {stack.id} runs"))
    sharding = str(_fill(run, assumed, "sharding", stack.usual_sharding, "usual for the stack"))
    tp, pp, cp, dp = run.tp or 1, run.pp or 1, run.cp or 1, run.dp or 1
    usual = tp > 1 and stack.usual_sequence_parallel
    parallel = bool(_fill(run, assumed, "sequence_parallel", usual, "usual for the stack"))
    vp = run.vpp or _virtual_stages(run.layers or 1, pp, assumed)
    usual_schedule = "none" if pp == 1 else "interleaved" if vp > 1 else "1f1b"
    schedule = str(_fill(run, assumed, "schedule", usual_schedule, "from pp and vpp"))
    if run.micro_batch is None:
        assumed["micro_batch"] = "1 (as large models run)"
    group = int(run.shard_group) if run.shard_group and run.shard_group.isdigit() else 0
    layout = Layout(
        tp=tp,
        pp=pp,
        vp=vp,
        cp=cp,
        ep=run.ep or 1,
        dp=dp,
        micro_batch=run.micro_batch or 1,
        sequence_parallel=parallel,
        recompute=run.recompute or "none",
        sharding=sharding,
        schedule=schedule,
        shard_group=0 if group == dp * cp else group,
    )
    case = Case(
        architecture=architecture_of(run),
        kind=run.kind or "pretrain",
        accelerator=acc,
        nic_bytes_per_s=_nic_bytes_per_s(run, acc, assumed),
        site=_site(run),
        recipe=stack,
        precision=run.precision or "bf16",
        fp8_recipe=run.fp8_recipe or "",
        attention_kernel=kernel if kernel in ATTENTION_KERNELS else "flash2",
        norm_kernel=norm,
        seq_len=run.seq_len or 1,
        global_batch_seqs=run.global_batch_seqs or 1,
        layout=layout,
        tp_overlap=overlap,
    )
    return Assumed(case=case, assumed=assumed)


def _why_not(run: MeasuredRun, catalog: Catalog) -> str:
    """Why a run cannot be predicted; empty where it can."""
    missing = [name for name in REQUIRED if getattr(run, name) is None]
    if missing:
        return "unknown " + ", ".join(missing)
    if run.accelerator is None or run.accelerator not in catalog.accelerators:
        return f"accelerator {run.accelerator} is not in the catalogue"
    if (run.attention or "full").startswith("hybrid"):
        return "state-space (Mamba) blocks have no law yet"
    if run.recipe and run.recipe not in recipes():
        return f"unknown recipe {run.recipe}: see isocost catalog list stacks"
    return ""


def _fill(run: MeasuredRun, assumed: dict[str, str], column: str, value: object, rule: str) -> object:
    """Return what the run says, or the value by a rule, which is noted."""
    given = getattr(run, column)
    if given is not None:
        return given
    assumed[column] = f"{value} ({rule})"
    return value


def _stack(run: MeasuredRun, acc: Accelerator, assumed: dict[str, str]) -> tuple[Recipe, bool]:
    """Return the stack with its switches as the run had them, and whether its tensor parallelism is asynchronous."""
    stack = recipe(run.recipe) if run.recipe else recipe_of(run.stack, run.stack_version, run.year, acc.device)
    if stack is None:
        stack = recipe("megatron-core")
        assumed["stack"] = f"{stack.id} (stack not known)"
    # Two switches that early rows of the format have in their notes only.
    notes = (run.notes or "").lower()
    eager = False if stack.compiled and "eager" in notes else None
    compiled = run.compiled if run.compiled is not None else eager
    stack = switched(stack, compiled=compiled, cuda_graphs=run.cuda_graphs, gradient_precision=run.gradient_precision)
    return stack, run.tp_overlap if run.tp_overlap is not None else "asynctp" in notes


def _virtual_stages(layers: int, pp: int, assumed: dict[str, str]) -> int:
    """Two blocks a virtual stage, as tuned runs have, where the layers divide."""
    if pp == 1:
        return 1
    if layers % (2 * pp):
        assumed["vpp"] = "1 (the layers do not divide)"
        return 1
    vp = layers // (2 * pp)
    assumed["vpp"] = f"{vp} (two blocks a virtual stage, as tuned runs have)"
    return vp


def _nic_bytes_per_s(run: MeasuredRun, acc: Accelerator, assumed: dict[str, str]) -> float:
    """Return the network of a GPU: the run's, or what is usual for its chip."""
    if run.scale_out_gbit_per_gpu:
        return run.scale_out_gbit_per_gpu * 1e9 / 8.0
    usual = acc.nic_bytes_per_s or acc.scaleup_bytes_per_s / 8.0
    if (run.gpus or 1) > (acc.scaleup_domain or 8):
        assumed["scale_out_gbit_per_gpu"] = f"{usual * 8e-9:.0f} (usual for {acc.id})"
    return usual
