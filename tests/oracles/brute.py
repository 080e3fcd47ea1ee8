"""The search once more in plain loops, a layout at a time: slow, and written from the rules, not from the code."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from isocost.perf.layout import Layout
from isocost.perf.layouts import Axes
from isocost.workload.architecture import Architecture


def brute_layouts(arch: Architecture, axes: Axes, seq_len: int, batch: int, domain: int) -> Iterator[Layout]:
    """Every legal layout, by trying every member of the product of the axes."""
    for gpus, tp, pp, vp, cp, ep, mb, sp, recompute, sharding, schedule in itertools.product(
        axes.gpus, axes.tp, axes.pp, axes.vp, axes.cp, axes.ep, axes.micro_batch, axes.sequence_parallel,
        axes.recompute, axes.sharding, axes.schedule,
    ):  # fmt: skip
        dp, rest = divmod(gpus, tp * pp * cp)
        if rest or not dp or batch % (dp * mb):
            continue
        if tp > domain or (cp > 1 and seq_len % (2 * cp)) or (sp and (tp == 1 or seq_len % (cp * tp))):
            continue
        if not all(_block_splits(block, tp, ep) for block in arch.blocks):
            continue
        if ep > 1 and not any(b.experts for b in arch.blocks):
            continue
        if (dp * cp * tp) % ep or not _stages(arch.layers, pp, vp, schedule, batch // (dp * mb)):
            continue
        if sharding != "none" and dp * cp == 1:
            continue
        if sharding in ("zero2", "zero3") and pp > 1:
            continue
        yield Layout(
            tp=tp, pp=pp, vp=vp, cp=cp, ep=ep, dp=dp, micro_batch=mb, sequence_parallel=sp, recompute=recompute,
            sharding=sharding, schedule=schedule,
        )  # fmt: skip


def _block_splits(block, tp: int, ep: int) -> bool:
    if block.heads % tp or block.ffn_hidden % tp or block.shared_ffn_hidden % tp:
        return False
    if not block.mla and block.kv_heads % tp and tp % block.kv_heads:
        return False
    if not block.experts:
        return True
    return block.experts % ep == 0 and (ep > 1 or block.moe_ffn_hidden % tp == 0)


def _even(layers: int, chunks: int) -> bool:
    return layers % chunks == 0 or (layers + 1) % chunks == 0 or (layers + 2) % chunks == 0


def _stages(layers: int, pp: int, vp: int, schedule: str, micro_batches: int) -> bool:
    if pp == 1:
        return schedule == "none" and vp == 1
    if schedule == "none" or (vp > 1) != (schedule == "interleaved") or pp > layers:
        return False
    if not _even(layers, pp):
        per = -(-layers // pp)
        if layers <= per * (pp - 1):
            return False
    if schedule == "interleaved":
        return _even(layers, pp * vp) and micro_batches % pp == 0
    if schedule in ("zb-v", "dualpipe"):
        enough = 2 * pp <= layers + 2 and micro_batches >= 2 * pp
        return enough and (schedule == "zb-v" or (pp % 2 == 0 and micro_batches % 2 == 0))
    return True
