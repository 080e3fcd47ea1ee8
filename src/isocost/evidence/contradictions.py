"""Ways in which a row of measurements can contradict itself.

A row that does is not a measurement of anything one can name, so it is refused with its reason rather than predicted.
Only relations that hold for every framework are checked; habits (tensor parallelism inside a node, layers divisible by
stages) are not, because measured runs break them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from isocost.errors import shorten
from isocost.evidence.run import MeasuredRun

# Accelerator -> precision -> dense peak, FLOP/s.
Peaks = Mapping[str, Mapping[str, float]]

# Frameworks that balance stages count the embedding and the head as a layer each, so two chunks may hold no block.
_END_LAYERS = 2
# FLOPs per weight and token: forward 2, gradient of the input 2, gradient of the weight 2 (absent where it is frozen).
_FLOP_TRAINED = 6
_FLOP_FROZEN = 4
_DIGITS = 18  # enough for any count; Python refuses to read thousands of digits


class Contradiction(NamedTuple):
    """The column to look at first, and what does not fit."""

    column: str
    reason: str


def contradictions(run: MeasuredRun, peaks: Peaks | None = None) -> list[Contradiction]:
    """Everything in the row that cannot be true at once."""
    return [*_layout(run), *_groups(run), *_batch(run), *_shape(run), *_outcome(run, peaks)]


def _layout(run: MeasuredRun) -> Iterator[Contradiction]:
    degrees = {"tp": run.tp, "pp": run.pp, "cp": run.cp, "dp": run.dp}
    known = {name: value for name, value in degrees.items() if value is not None}
    if run.gpus is not None and known:
        product = math.prod(known.values())
        shown = " x ".join(f"{name} {value}" for name, value in known.items())
        if len(known) == len(degrees) and product != run.gpus:
            yield Contradiction("gpus", f"is {run.gpus}, but {shown} = {product}")
        elif run.gpus % product:
            yield Contradiction("gpus", f"is {run.gpus}, not a multiple of {shown} = {product}")
    if run.layers is not None and run.pp is not None:
        chunks = run.pp * (run.vpp or 1)
        if chunks > run.layers + _END_LAYERS:
            yield Contradiction("pp", f"x vpp makes {chunks} chunks of {run.layers} layers: some would be empty")


def _groups(run: MeasuredRun) -> Iterator[Contradiction]:
    """Return the groups of ranks: experts and shards."""
    if run.ep is not None and run.ep > 1 and run.tp is not None and run.dp is not None:
        ranks = run.tp * (run.cp or 1) * run.dp
        if ranks % run.ep:
            yield Contradiction("ep", f"is {run.ep}, which does not divide tp x cp x dp = {ranks}")
        if not run.experts:
            yield Contradiction("ep", f"is {run.ep}, but the model has no experts")
    if run.shard_group is not None and run.shard_group != "all":
        if not (run.shard_group.isascii() and run.shard_group.isdecimal()):
            yield Contradiction("shard_group", f"is {shorten(run.shard_group)}, not a whole number or all")
        elif run.gpus is not None and not 1 <= int(run.shard_group[:_DIGITS]) <= run.gpus:
            yield Contradiction("shard_group", f"is {shorten(run.shard_group)}, not from 1 to the {run.gpus} gpus")


def _batch(run: MeasuredRun) -> Iterator[Contradiction]:
    if run.global_batch_seqs is not None and run.micro_batch is not None:
        dp = _data_parallel(run)
        if dp and run.global_batch_seqs % (dp * run.micro_batch):
            yield Contradiction(
                "global_batch_seqs",
                f"is {run.global_batch_seqs}, not a multiple of dp {dp} x micro_batch {run.micro_batch}",
            )
    if run.seq_len is not None and run.cp is not None and run.seq_len % run.cp:
        yield Contradiction("seq_len", f"is {run.seq_len}, not a multiple of cp {run.cp}")


def _data_parallel(run: MeasuredRun) -> int:
    """Return the data-parallel degree, given or left over by the others; 0 where it cannot be known."""
    if run.dp is not None:
        return run.dp
    if run.gpus is None or run.tp is None or run.pp is None:
        return 0
    return run.gpus // (run.tp * run.pp * (run.cp or 1))


def _shape(run: MeasuredRun) -> Iterator[Contradiction]:
    if run.heads is not None:
        if run.tp is not None and run.heads % run.tp:
            yield Contradiction("heads", f"is {run.heads}, not a multiple of tp {run.tp}")
        if run.kv_heads is not None and run.heads % run.kv_heads:
            yield Contradiction("heads", f"is {run.heads}, not a multiple of kv_heads {run.kv_heads}")
    if run.experts is not None and run.experts_topk is not None and run.experts_topk > run.experts:
        yield Contradiction("experts_topk", f"is {run.experts_topk}, more than the {run.experts} experts")
    if run.experts and run.ep is not None and run.experts % run.ep:
        yield Contradiction("experts", f"is {run.experts}, not a multiple of ep {run.ep}")
    if run.dense_layers is not None and run.layers is not None and run.dense_layers > run.layers:
        yield Contradiction("dense_layers", f"is {run.dense_layers}, more than the {run.layers} layers")


def _outcome(run: MeasuredRun, peaks: Peaks | None) -> Iterator[Contradiction]:
    if run.outcome == "oom" and run.step_s is not None:
        yield Contradiction("step_s", f"is {run.step_s:g}, but the outcome is oom")
    peak = _peak_flop_per_s(run, peaks)
    if peak and run.step_s is not None and run.gpus is not None:
        least_s = least_step_flop(run) / (peak * run.gpus)
        if run.step_s < least_s:
            yield Contradiction(
                "step_s",
                f"is {run.step_s:g} s, faster than the peak: the matrix products alone need {least_s:.4g} s"
                f" on {run.gpus} x {run.accelerator}",
            )


def _peak_flop_per_s(run: MeasuredRun, peaks: Peaks | None) -> float:
    """Peak of the row's chip at its precision, its fastest where the precision is not listed, 0 if unknown."""
    by_precision = (peaks or {}).get(run.accelerator or "", {})
    if not by_precision:
        return 0.0
    return by_precision.get(run.precision or "", max(by_precision.values()))


def least_step_flop(run: MeasuredRun) -> float:
    """FLOPs no framework can avoid: the known weight matrices, once forward and backward, without attention scores.

    Unknown parts count as nothing, so a row is refused only where no reading of its blanks could save it.
    """
    layers, hidden = run.layers or 0, run.hidden or 0
    heads_width = (run.heads or 0) * (run.head_dim or 0)
    kv_width = (run.kv_heads or 0) * (run.head_dim or 0)
    # MLA factors its projections, so their size does not follow from the heads.
    projections = 0 if run.attention != "full" else 2 * hidden * (heads_width + kv_width)
    matrices = 3 if run.ffn_gated else 2
    dense_layers = layers if not run.experts else (run.dense_layers or 0)
    active_experts = (run.experts_topk or 0) + (run.shared_experts or 0)
    weights = (
        layers * projections
        + dense_layers * matrices * hidden * (run.ffn_hidden or 0)
        + (layers - dense_layers) * active_experts * matrices * hidden * (run.moe_ffn_hidden or 0)
        + hidden * (run.vocab or 0)
    )
    if run.attention == "hybrid-mamba":  # which layers hold a feed-forward is not in the format
        weights = hidden * (run.vocab or 0)
    per_weight = _FLOP_FROZEN if run.kind == "lora" else _FLOP_TRAINED
    return float(per_weight * weights) * (run.seq_len or 0) * (run.global_batch_seqs or 0)
