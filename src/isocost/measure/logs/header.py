"""Facts that the start of a log states about the run: sizes, degrees, GPU count, model."""

from __future__ import annotations

import re
from typing import Final

from isocost.measure.logs.figures import figure

LOOKED_AT: Final = 1 << 24  # characters from the start; a scheduler's noise can fill the first megabytes

_NUMBER: Final = r"([\d,]+)"
_IS: Final = rf"[ .=:]+{_NUMBER}"  # Megatron pads its arguments with dots
# Fact -> (a word that is searched for, what stands around it); the first that is found counts.
_FACTS: Final = {
    "gpus": (
        ("world size", rf"using world size: {_NUMBER}"),
        ("world_size", rf"\bworld_size{_IS}"),
        ("world size", rf"[Ww]orld size{_IS}"),
    ),
    "tp": (
        ("tensor_model_parallel_size", rf"tensor_model_parallel_size{_IS}"),
        ("tensor-model-parallel-size", rf"--tensor-model-parallel-size[ =]{_NUMBER}"),
    ),
    "pp": (
        ("pipeline_model_parallel_size", rf"(?<!virtual_)pipeline_model_parallel_size{_IS}"),
        ("pipeline-model-parallel-size", rf"--pipeline-model-parallel-size[ =]{_NUMBER}"),
    ),
    "cp": (("context_parallel_size", rf"context_parallel_size{_IS}"),),
    "ep": (("expert_model_parallel_size", rf"expert_model_parallel_size{_IS}"),),
    "dp": (
        ("data_parallel_size", rf"data_parallel_size{_IS}"),
        ("data-parallel-size", rf"data-parallel-size: {_NUMBER}"),
    ),
    "global_batch": (
        ("global_batch_size", rf"\bglobal_batch_size{_IS}"),
        ("global batch size", rf"global batch size[ =:]+{_NUMBER}"),
        ("train_batch_size", rf"\btrain_batch_size{_IS}"),
        ("Total train batch size", rf"Total train batch size[^=\n]*= {_NUMBER}"),
    ),
    "micro_batch": (
        ("micro_batch_size", rf"\bmicro_batch_size{_IS}"),
        ("train_micro_batch_size_per_gpu", rf"train_micro_batch_size_per_gpu{_IS}"),
        ("local batch size", rf"local batch size[ =:]+{_NUMBER}"),
        ("batch size per device", rf"Instantaneous batch size per device = {_NUMBER}"),
    ),
    "seq_len": (
        ("seq_length", rf"(?<![_\w])seq_length{_IS}"),
        ("sequence length", rf"sequence length[ =:]+{_NUMBER}"),
    ),
    "parameters": (
        ("total parameters", rf"size: {_NUMBER} total parameters"),
        ("umber of trainable parameters", rf"umber of trainable parameters = {_NUMBER}"),
        ("umber of parameters:", r"umber of parameters: ([\d,.]+[BM]?)\b"),
    ),
    "layers": (("num_layers", rf"(?<![_\w])num_layers{_IS}"),),
    "hidden": (("hidden_size", rf"(?<![_\w])hidden_size{_IS}"),),
    "full_recompute": (("activation checkpointing", r"Applied ([Ff]ull)(?:AC)? activation checkpointing"),),
}
_COMPILED: Final = {name: tuple((word, re.compile(text)) for word, text in said) for name, said in _FACTS.items()}
_MOST_LOOKS: Final = 200  # at a word that never says what is looked for
_AROUND: Final = 100  # characters


def facts_of(block: str, known: dict[str, float]) -> None:
    """Add what a block of the header says; what is known already stays."""
    for name, said in _COMPILED.items():
        for word, pattern in said if name not in known else ():
            value = _value(block, word, pattern, name)
            if value is not None:
                known[name] = value
                break


def _value(block: str, word: str, pattern: re.Pattern[str], name: str) -> float | None:
    at = block.find(word)
    for _ in range(_MOST_LOOKS):
        if at < 0:
            return None
        start = max(block.rfind("\n", max(at - _AROUND, 0), at) + 1, at - _AROUND, 0)
        found = pattern.search(block, start, at + _AROUND)
        if found:
            value = 1.0 if name == "full_recompute" else figure(found.group(1))
            if value > 0.0:
                return value
        at = block.find(word, at + len(word))
    return None
