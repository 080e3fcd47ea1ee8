"""Facts that the start of a log states about the run: sizes, degrees, GPU count, model."""

from __future__ import annotations

import re
from typing import Final

from isocost.measure.figures import figure

LOOKED_AT: Final = 1 << 24  # characters from the start; a scheduler's noise can fill the first megabytes

_NUMBER = r"([\d,]+)"
_ARGUMENT = r"[ .=:]+"  # Megatron pads its arguments with dots
_FACTS: Final = {
    "gpus": (
        rf"using world size: {_NUMBER}",
        rf"\bworld_size{_ARGUMENT}{_NUMBER}",
        r"Building [^\n]*?world size (\d+)",
    ),
    "tp": (rf"tensor_model_parallel_size{_ARGUMENT}{_NUMBER}", rf"--tensor-model-parallel-size[ =]{_NUMBER}"),
    "pp": (
        rf"(?<!virtual_)pipeline_model_parallel_size{_ARGUMENT}{_NUMBER}",
        rf"--pipeline-model-parallel-size[ =]{_NUMBER}",
    ),
    "cp": (rf"context_parallel_size{_ARGUMENT}{_NUMBER}",),
    "ep": (rf"expert_model_parallel_size{_ARGUMENT}{_NUMBER}",),
    "dp": (rf"data_parallel_size{_ARGUMENT}{_NUMBER}", rf"data-parallel-size: {_NUMBER}"),
    "global_batch": (
        rf"\bglobal_batch_size{_ARGUMENT}{_NUMBER}",
        rf"global batch size[ =:]+{_NUMBER}",
        rf"\btrain_batch_size{_ARGUMENT}{_NUMBER}",
        rf"Total train batch size[^=\n]*= {_NUMBER}",
    ),
    "micro_batch": (
        rf"\bmicro_batch_size{_ARGUMENT}{_NUMBER}",
        rf"train_micro_batch_size_per_gpu{_ARGUMENT}{_NUMBER}",
        rf"local batch size[ =:]+{_NUMBER}",
        rf"Instantaneous batch size per device = {_NUMBER}",
    ),
    "seq_len": (rf"(?<![_\w])seq_length{_ARGUMENT}{_NUMBER}", rf"sequence length[ =:]+{_NUMBER}"),
    "parameters": (
        rf"size: {_NUMBER} total parameters",
        r"[Nn]umber of (?:trainable )?parameters(?: in billions)?[ =:]+([\d,.]+[BM]?)\b",
    ),
    "layers": (rf"(?<![_\w])num_layers{_ARGUMENT}{_NUMBER}",),
    "hidden": (rf"(?<![_\w])hidden_size{_ARGUMENT}{_NUMBER}",),
    "full_recompute": (r"Applied (Full)AC activation checkpointing", r"Applied (full) activation checkpointing"),
}
_COMPILED: Final = {name: tuple(map(re.compile, patterns)) for name, patterns in _FACTS.items()}


def facts_of(block: str, known: dict[str, float]) -> None:
    """Add what a block of the header says; what is known already stays."""
    for name, patterns in _COMPILED.items():
        if name in known:
            continue
        for pattern in patterns:
            if found := pattern.search(block):
                value = 1.0 if name == "full_recompute" else figure(found.group(1))
                if value == value and value > 0.0:
                    known[name] = value
                    break
