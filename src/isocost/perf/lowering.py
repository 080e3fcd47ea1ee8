"""Lowering: complete cases become the columns of numbers that the laws read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from isocost.catalog.kernel_constants import attention_constants, expert_constants, gemm_constants
from isocost.catalog.link_constants import link_constants
from isocost.catalog.memory_recipes import memory_recipe
from isocost.catalog.records import Accelerator, rates_by_precision
from isocost.catalog.stacks import ATTENTION_KERNELS
from isocost.laws.memory import MemoryBreakdown
from isocost.laws.pipeline import SCHEDULES
from isocost.perf.case import SIXTEEN_BIT, Case, T, deduplicates
from isocost.perf.columns import Attention, Experts, Gemm, Kinds, Machine, Model, Policy, Split, Tail
from isocost.perf.lowering_memory import block_choices, stage_choices
from isocost.perf.peak import BlockPolicy, MemoryPolicy, StagePolicy, block_peak, paced_blocks, peak_memory
from isocost.workload.architecture import Block

# 700 W and 989.4 TFLOP/s: the reference of the sustained rate.
H100_W_PER_FLOP_S = 700.0 / 989.4e12


# Memory bandwidth of streaming kernels over the datasheet, from the bandwidth-bound products of the GEMM table.
STREAM_FRAC = 0.85


# Shares of the forward, and of attention, that a recompute policy runs again; what is offloaded is kept.
REPLAY = {"none": (0.0, 0.0), "selective": (0.0, 1.0), "offload": (0.0, 0.0), "full": (1.0, 1.0)}


# Schedules that fold the pipeline: the first rank holds the first and the last blocks (qi2024v, deepseekv3).
FOLDED = ("zb-v", "dualpipe")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """Everything ``block_times`` and ``step_time`` read."""

    kinds: Kinds
    model: Model
    split: Split
    machine: Machine
    policy: Policy
    tail: Tail


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemoryColumns:
    """Everything ``block_peak`` and ``peak_memory`` read."""

    kinds: Kinds
    model: Model
    split: Split
    tail: Tail
    memory: MemoryPolicy


def kind_columns(block: Block) -> dict[str, float]:
    """Return a kind of block as numbers."""
    return {
        "count": block.count,
        "heads": block.heads,
        "kv_heads": block.kv_heads,
        "head_dim": block.head_dim,
        "v_head_dim": block.v_head_dim,
        "window": block.window,
        "chunked": float(block.chunked),
        "q_lora_rank": block.q_lora_rank,
        "kv_lora_rank": block.kv_lora_rank,
        "rope_head_dim": block.qk_rope_head_dim,
        "ffn_hidden": block.ffn_hidden,
        "ffn_matrices": 3.0 if block.ffn_gated else 2.0,
        "experts": block.experts,
        "experts_topk": block.experts_topk,
        "moe_ffn_hidden": block.moe_ffn_hidden,
        "shared_ffn_hidden": block.shared_ffn_hidden,
    }


def _model(case: Case) -> dict[str, float]:
    a = case.architecture
    return {
        "hidden": a.hidden,
        "vocab": a.vocab,
        "layers": a.layers,
        "mtp_blocks": a.mtp_layers,
        "seq_len": case.seq_len,
        "layer_norm": float(a.layer_norm),
        "dropout": float(a.dropout),
        "collectives_per_block": 1.0 if a.parallel_residual else 2.0,
        "tied_embeddings": float(a.tied_embeddings),
        "position_params": a.position_params,
        "trainable_frac": 0.02 if case.kind == "lora" else 1.0,
        # Fine-tuning benchmarks pack short samples into each sequence.
        "packed": float(case.kind in ("sft", "lora")),
    }


def _split(case: Case) -> dict[str, float]:
    x = case.layout
    return {
        "micro_batch": x.micro_batch,
        "tp": x.tp,
        "cp": x.cp,
        "ep": x.ep,
        # Megatron-Core keeps experts whole on a rank as soon as there is expert parallelism.
        "expert_tp": 1.0 if x.ep > 1 else x.tp,
        "sequence_parallel": float(x.sequence_parallel),
    }


def _peak(accelerator: Accelerator, precision: str) -> float:
    """Dense peak of ``precision``; a chip without it runs the layers in 16 bit."""
    names = (precision, *(("fp8",) if precision == "mxfp8" else ()), *SIXTEEN_BIT, "tf32", "fp32")
    return next(rate for rate in (rates_by_precision(accelerator)[name] for name in names) if rate)


def relative_power(accelerator: Accelerator) -> float:
    """Watts per 16-bit flop/s relative to an H100; 1 where the power limit is not known."""
    if not accelerator.tdp_w:
        return 1.0
    return accelerator.tdp_w / _peak(accelerator, "bf16") / H100_W_PER_FLOP_S


def _gemm(case: Case, precision: str) -> dict[str, float]:
    acc = case.accelerator
    x = gemm_constants(acc.id, precision, _peak(acc, precision), acc.hbm_bytes_per_s)
    values = {f.name: getattr(x, f.name) for f in fields(Gemm) if f.name != "element_bytes"}
    return {**values, "element_bytes": x.a_bytes}


def _attention(case: Case) -> list[dict[str, float]]:
    acc = case.accelerator
    out = []
    for block in case.architecture.blocks:
        x = attention_constants(acc.id, "bf16", block.head_dim, _peak(acc, "bf16"), acc.hbm_bytes_per_s)
        out.append({f.name: float(getattr(x, f.name)) for f in fields(Attention)})
    return out


def _experts(case: Case) -> dict[str, float]:
    acc = case.accelerator
    x = expert_constants(acc.id, case.precision, _peak(acc, case.precision), acc.hbm_bytes_per_s)
    return {f.name: getattr(x, f.name) for f in fields(Experts)}


def _links(case: Case) -> dict[str, float]:
    acc = case.accelerator
    link = link_constants(acc.id, acc.scaleup_link)
    return {
        "hbm_bytes_per_s": acc.hbm_bytes_per_s * STREAM_FRAC,
        "link_bytes_per_s": acc.scaleup_bytes_per_s * link.bandwidth_frac,
        "nic_bytes_per_s": case.nic_bytes_per_s,
        "domain": acc.scaleup_domain,
        "relative_power": relative_power(acc),
        "link_latency_s": link.latency_s,
        "nic_latency_s": case.nic_latency_s,
        "start_s": link.start_s,
        "half_size_bytes": link.half_size_bytes,
        "local_copy": link.local_copy,
    }


def _policy(case: Case) -> dict[str, float]:
    kernel = ATTENTION_KERNELS[case.attention_kernel]
    replay, replay_attention = REPLAY[case.layout.recompute]
    if case.layout.recompute == "selective" and case.recipe.stack == "torchtitan":
        replay, replay_attention = 0.5, 0.0
    return {
        "replay_frac": replay,
        "replay_attention_frac": replay_attention,
        "square_attention": kernel.square,
        "score_bytes": kernel.score_bytes,
        "gradient_bytes": case.recipe.gradient_bytes,
        "gather_bytes": case.recipe.gather_bytes,
        "expert_launches": float(not case.recipe.grouped_experts),
        "deduplicated": float(deduplicates(case)),
    }


def _tails(cases: Sequence[Case]) -> Tail:
    layers, pp, vp = np.array([(c.architecture.layers, c.layout.pp, c.layout.vp) for c in cases], float).T
    fullest, last = paced_blocks(layers, pp, vp)
    ends = zip(cases, np.asarray(fullest), np.asarray(last), strict=True)
    return _row(Tail, [{**_tail(case), "layers_max": most, "layers_last": end} for case, most, end in ends])


def _tail(case: Case) -> dict[str, float]:
    """All of it but the blocks of its stages."""
    x = case.layout
    schedule = SCHEDULES[x.schedule]
    return {
        "pp": x.pp,
        "vp": x.vp,
        "dp": x.dp,
        "micro_batches": case.global_batch_seqs / (x.dp * x.micro_batch),
        "zero1": float(x.sharding in ("zero1", "zero2", "zero3")),
        "zero3": float(x.sharding == "zero3"),
        "shard_group": x.sharded_over,
        "ramp_per_pp": schedule.ramp_per_pp,
        "forward_coef": schedule.forward_coef,
        "input_coef": schedule.input_coef,
        "weight_coef": schedule.weight_coef,
        "fill_per_ramp": schedule.fill_per_ramp,
        "vp_split": schedule.vp_split,
        "paired": schedule.paired,
        "ramp_hops": schedule.ramp_hops,
        "steady_hops": schedule.steady_hops,
        "in_flight_const": schedule.in_flight_const,
        "in_flight_per_pp": schedule.in_flight_per_pp,
        "in_flight_per_stage": schedule.in_flight_per_stage,
        "in_flight_per_micro_batch": schedule.in_flight_per_micro_batch,
        "model_copies": schedule.model_copies,
        "head_on_first": float(x.schedule in FOLDED),
    }


def _memory(cases: Sequence[Case], definitions: Sequence[str]) -> MemoryPolicy:
    """Choices that decide memory. A norm kernel that is the stack's own is the one of its memory recipe."""
    blocks, stages = [], []
    for case, definition in zip(cases, definitions, strict=True):
        recipe = memory_recipe(case.recipe.memory)
        norm = "" if case.norm_kernel == case.recipe.norm_kernel else case.norm_kernel
        blocks.append(block_choices(recipe, case.layout.recompute, case.attention_kernel, norm, case.precision))
        stages.append(stage_choices(recipe, case.layout.sharding, definition))
    return MemoryPolicy(block=_row(BlockPolicy, blocks), stage=_row(StagePolicy, stages))


def _row(cls: type[T], rows: Sequence[dict[str, float]]) -> T:
    """Return records of one row each as one record of columns."""
    values: dict[str, Any] = {f.name: np.array([r[f.name] for r in rows], float) for f in fields(cls)}  # type: ignore[arg-type]
    return cls(**values)


def _by_kind(cls: type[T], table: Sequence[list[dict[str, float]]]) -> T:
    """Return the same of shape (kinds, rows); a row with fewer kinds gets more of its first, with count 0."""
    depth = max(len(kinds) for kinds in table)
    full = [kinds + [{**kinds[0], "count": 0.0}] * (depth - len(kinds)) for kinds in table]
    values: dict[str, Any] = {
        f.name: np.array([[kinds[k][f.name] for kinds in full] for k in range(depth)], float)
        for f in fields(cls)  # type: ignore[arg-type]
    }
    return cls(**values)


def memory_columns(cases: Sequence[Case], definitions: Sequence[str] = ()) -> MemoryColumns:
    """Return what the memory of the cases is made of.

    ``definitions`` say what is counted for each: allocated, reserved, in-use, or "" as the recipe does. Without them it
    is all that the chip holds, as it must be to compare with a capacity.
    """
    return MemoryColumns(
        kinds=_by_kind(Kinds, [[kind_columns(b) for b in c.architecture.blocks] for c in cases]),
        model=_row(Model, [_model(c) for c in cases]),
        split=_row(Split, [_split(c) for c in cases]),
        tail=_tails(cases),
        memory=_memory(cases, definitions or ["in-use"] * len(cases)),
    )


def memory_of(cases: Sequence[Case], definitions: Sequence[str] = ()) -> MemoryBreakdown:
    """Peak memory of every case, by part; see ``memory_columns``."""
    c = memory_columns(cases, definitions)
    return peak_memory(block_peak(c.kinds, c.model, c.split, c.memory), c.model, c.split, c.tail, c.memory)


def columns(cases: Sequence[Case]) -> Columns:
    """Stack cases into columns: shape (kinds, rows) for the kinds of block, (rows,) for the rest."""
    return Columns(
        kinds=_by_kind(Kinds, [[kind_columns(b) for b in c.architecture.blocks] for c in cases]),
        model=_row(Model, [_model(c) for c in cases]),
        split=_row(Split, [_split(c) for c in cases]),
        machine=Machine(
            gemm=_row(Gemm, [_gemm(c, c.precision) for c in cases]),
            gemm_16bit=_row(Gemm, [_gemm(c, "bf16") for c in cases]),
            attention=_by_kind(Attention, [_attention(c) for c in cases]),
            experts=_row(Experts, [_experts(c) for c in cases]),
            **{name: np.array([_links(c)[name] for c in cases]) for name in _links(cases[0])},
        ),
        policy=_row(Policy, [_policy(c) for c in cases]),
        tail=_tails(cases),
    )
