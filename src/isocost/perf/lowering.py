"""Lowering: complete cases become the columns of numbers that the laws read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

from isocost.catalog.kernel_constants import attention_constants, expert_constants, gemm_constants
from isocost.catalog.link_constants import link_constants
from isocost.catalog.memory_recipes import SHARDING, memory_recipe
from isocost.catalog.records import Accelerator, rates_by_precision
from isocost.catalog.stacks import ATTENTION_KERNELS
from isocost.laws.pipeline import SCHEDULES
from isocost.perf.case import SIXTEEN_BIT, Case, deduplicates
from isocost.perf.columns import (
    Attention,
    BlockColumns,
    Columns,
    Experts,
    Gemm,
    Machine,
    MemoryColumns,
    MemoryPolicy,
    Model,
    ShardColumns,
    StackColumns,
    StageColumns,
    stacked,
    stacked_kinds,
)
from isocost.perf.lowering_memory import block_choices, stage_choices
from isocost.perf.peak import MemoryBreakdown, block_peak, paced_blocks, peak_memory, stage_blocks
from isocost.workload.architecture import Block

# 700 W and 989.4 TFLOP/s: the reference of the sustained rate.
H100_W_PER_FLOP_S = 700.0 / 989.4e12


# Memory bandwidth of streaming kernels over the datasheet, from the bandwidth-bound products of the GEMM table.
STREAM_FRAC = 0.85


def kind_columns(block: Block) -> BlockColumns:
    """Return a kind of block as numbers."""
    return BlockColumns(
        count=block.count,
        heads=block.heads,
        kv_heads=block.kv_heads,
        head_dim=block.head_dim,
        v_head_dim=block.v_head_dim,
        window=block.window,
        chunked=float(block.chunked),
        q_lora_rank=block.q_lora_rank,
        kv_lora_rank=block.kv_lora_rank,
        rope_head_dim=block.qk_rope_head_dim,
        ffn_hidden=block.ffn_hidden,
        ffn_matrices=3.0 if block.ffn_gated else 2.0,
        experts=block.experts,
        experts_topk=block.experts_topk,
        moe_ffn_hidden=block.moe_ffn_hidden,
        shared_ffn_hidden=block.shared_ffn_hidden,
    )


def _model(case: Case) -> Model:
    a = case.architecture
    return Model(
        hidden=a.hidden,
        vocab=a.vocab,
        layers=a.layers,
        mtp_blocks=a.mtp_layers,
        seq_len=case.seq_len,
        layer_norm=float(a.layer_norm),
        dropout=float(a.dropout),
        collectives_per_block=1.0 if a.parallel_residual else 2.0,
        tied_embeddings=float(a.tied_embeddings),
        position_params=a.position_params,
        trainable_frac=0.02 if case.kind == "lora" else 1.0,
        # Fine-tuning benchmarks pack short samples into each sequence.
        packed=float(case.kind in ("sft", "lora")),
    )


def _split(case: Case) -> ShardColumns:
    x = case.layout
    return ShardColumns(
        micro_batch=x.micro_batch,
        tp=x.tp,
        cp=x.cp,
        ep=x.ep,
        # Megatron-Core keeps experts whole on a rank as soon as there is expert parallelism.
        expert_tp=1.0 if x.ep > 1 else x.tp,
        sequence_parallel=float(x.sequence_parallel),
    )


def _peak(accelerator: Accelerator, precision: str) -> float:
    """Dense peak of ``precision``; a chip without it runs the layers in 16 bit."""
    names = (precision, *(("fp8",) if precision == "mxfp8" else ()), *SIXTEEN_BIT, "tf32", "fp32")
    return next(rate for rate in (rates_by_precision(accelerator)[name] for name in names) if rate)


def relative_power(accelerator: Accelerator) -> float:
    """Watts per 16-bit flop/s relative to an H100; 1 where the power limit is not known."""
    if not accelerator.tdp_w:
        return 1.0
    return accelerator.tdp_w / _peak(accelerator, "bf16") / H100_W_PER_FLOP_S


def _gemm(case: Case, precision: str) -> Gemm:
    acc = case.accelerator
    found = gemm_constants(acc.id, precision, _peak(acc, precision), acc.hbm_bytes_per_s)
    values = {f.name: getattr(found, f.name) for f in fields(Gemm) if f.name != "element_bytes"}
    return Gemm(**values, element_bytes=found.a_bytes)


def _attention(case: Case, block: Block) -> Attention:
    acc = case.accelerator
    found = attention_constants(acc.id, "bf16", block.head_dim, _peak(acc, "bf16"), acc.hbm_bytes_per_s)
    return Attention(**{f.name: getattr(found, f.name) for f in fields(Attention)})


def _machine(case: Case) -> Machine:
    """All of it but the attention, which depends on the block."""
    acc = case.accelerator
    link = link_constants(acc)
    experts = expert_constants(acc.id, case.precision, _peak(acc, case.precision), acc.hbm_bytes_per_s)
    return Machine(
        gemm=_gemm(case, case.precision),
        gemm_16bit=_gemm(case, "bf16"),
        attention=_attention(case, case.architecture.blocks[0]),
        experts=Experts(**{f.name: getattr(experts, f.name) for f in fields(Experts)}),
        hbm_bytes_per_s=acc.hbm_bytes_per_s * STREAM_FRAC,
        link_bytes_per_s=acc.scaleup_bytes_per_s * link.bandwidth_frac,
        nic_bytes_per_s=case.nic_bytes_per_s,
        domain=acc.scaleup_domain,
        relative_power=relative_power(acc),
        link_latency_s=link.latency_s,
        nic_latency_s=case.nic_latency_s,
        start_s=link.start_s,
        half_size_bytes=link.half_size_bytes,
        local_copy=link.local_copy,
    )


def _stack(case: Case) -> StackColumns:
    kernel = ATTENTION_KERNELS[case.attention_kernel]
    recompute = memory_recipe(case.recipe.memory).recompute(case.layout.recompute)
    return StackColumns(
        replay_frac=recompute.replay_frac,
        replay_attention_frac=recompute.replay_attention_frac,
        square_attention=kernel.square,
        score_bytes=kernel.score_bytes,
        gradient_bytes=case.recipe.gradient_bytes,
        gather_bytes=case.recipe.gather_bytes,
        expert_launches=float(not case.recipe.grouped_experts),
        deduplicated=float(deduplicates(case)),
    )


def _stage(case: Case) -> StageColumns:
    x, layers = case.layout, float(case.architecture.layers)
    schedule = SCHEDULES[x.schedule]
    fullest, with_head = paced_blocks(layers, x.pp, x.vp)
    first, inner, last = stage_blocks(layers, x.pp, x.vp, schedule.folded)
    return StageColumns(
        pp=x.pp,
        vp=x.vp,
        dp=x.dp,
        micro_batches=case.global_batch_seqs / (x.dp * x.micro_batch),
        shard_group=x.sharded_over,
        blocks_fullest=fullest,
        blocks_with_head=with_head,
        blocks_first=first,
        blocks_inner=inner,
        blocks_last=last,
        schedule=schedule,
        sharding=SHARDING[x.sharding],
    )


def _memory(case: Case, definition: str) -> MemoryPolicy:
    """Choices that decide memory. A norm kernel that is the stack's own is the one of its memory recipe."""
    recipe = memory_recipe(case.recipe.memory)
    norm = "" if case.norm_kernel == case.recipe.norm_kernel else case.norm_kernel
    return MemoryPolicy(
        block=block_choices(recipe, case.layout.recompute, case.attention_kernel, norm, case.precision),
        stage=stage_choices(recipe, case.layout.sharding, definition),
    )


def _kinds(cases: Sequence[Case]) -> list[list[Block]]:
    """Return the kinds of block of every case; one with fewer than another gets its first again, with count 0."""
    most = max(len(case.architecture.blocks) for case in cases)
    rows = [case.architecture.blocks for case in cases]
    return [[*blocks, *[replace(blocks[0], count=0)] * (most - len(blocks))] for blocks in rows]


def memory_columns(cases: Sequence[Case], definitions: Sequence[str] = ()) -> MemoryColumns:
    """Return what the memory of the cases is made of.

    ``definitions`` say what is counted for each: allocated, reserved, in-use, or "" as the recipe does. Without them it
    is all that the chip holds, as it must be to compare with a capacity.
    """
    counts = definitions or ["in-use"] * len(cases)
    return MemoryColumns(
        kinds=stacked_kinds([[kind_columns(block) for block in blocks] for blocks in _kinds(cases)]),
        model=stacked([_model(case) for case in cases]),
        split=stacked([_split(case) for case in cases]),
        stage=stacked([_stage(case) for case in cases]),
        memory=stacked([_memory(case, definition) for case, definition in zip(cases, counts, strict=True)]),
    )


def memory_of(cases: Sequence[Case], definitions: Sequence[str] = ()) -> MemoryBreakdown:
    """Peak memory of every case, by part; see ``memory_columns``."""
    x = memory_columns(cases, definitions)
    return peak_memory(block_peak(x), x)


def columns(cases: Sequence[Case]) -> Columns:
    """Stack cases into columns: shape (kinds, rows) for the kinds of block, (rows,) for the rest."""
    kinds = _kinds(cases)
    attention = [[_attention(case, block) for block in blocks] for case, blocks in zip(cases, kinds, strict=True)]
    return Columns(
        kinds=stacked_kinds([[kind_columns(block) for block in blocks] for blocks in kinds]),
        model=stacked([_model(case) for case in cases]),
        split=stacked([_split(case) for case in cases]),
        machine=replace(stacked([_machine(case) for case in cases]), attention=stacked_kinds(attention)),
        stack=stacked([_stack(case) for case in cases]),
        stage=stacked([_stage(case) for case in cases]),
    )
