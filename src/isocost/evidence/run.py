"""One measured training run, as a row of the evidence format gives it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRun:
    """One row of the evidence format. Names are those of the columns; None is a blank, which means unknown.

    Units are those of the format (``peak_mem_gb`` in units of 1e9 bytes), because the record mirrors the file.
    """

    line: int  # physical line of the file where the row starts; 0: of no file
    id: str
    source: str | None = None
    locator: str | None = None
    year: int | None = None
    stack: str | None = None
    stack_version: str | None = None
    recipe: str | None = None
    kind: str | None = None
    accelerator: str | None = None
    gpus: int | None = None
    gpus_per_node: int | None = None
    scale_out_gbit_per_gpu: float | None = None
    fabric: str | None = None
    model: str | None = None
    params_b: float | None = None
    layers: int | None = None
    hidden: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    head_dim: int | None = None
    ffn_hidden: int | None = None
    ffn_gated: bool | None = None
    vocab: int | None = None
    tied_embeddings: bool | None = None
    experts: int | None = None
    experts_topk: int | None = None
    shared_experts: int | None = None
    moe_ffn_hidden: int | None = None
    dense_layers: int | None = None
    attention: str | None = None
    seq_len: int | None = None
    global_batch_seqs: int | None = None
    micro_batch: int | None = None
    tp: int | None = None
    pp: int | None = None
    vpp: int | None = None
    cp: int | None = None
    ep: int | None = None
    dp: int | None = None
    sharding: str | None = None
    shard_group: str | None = None
    sequence_parallel: bool | None = None
    schedule: str | None = None
    recompute: str | None = None
    precision: str | None = None
    fp8_recipe: str | None = None
    attention_kernel: str | None = None
    norm_kernel: str | None = None
    compiled: bool | None = None
    cuda_graphs: bool | None = None
    gradient_precision: str | None = None
    tp_overlap: bool | None = None
    memory_definition: str | None = None
    outcome: str | None = None
    step_s: float | None = None
    peak_mem_gb: float | None = None
    published_mfu: float | None = None
    published_tflops_per_gpu: float | None = None
    flops_convention: str | None = None
    complete: bool
    notes: str | None = None
    verified: str | None = None

    @property
    def release(self) -> str:
        """Which release of a stack ran: its version and the year. A schedule named after it is layout, not release."""
        version = (self.stack_version or "").partition(", schedule")[0]
        return f"{version} {self.year or ''}"
