"""What a model is made of: parameters, FLOPs per token, bytes of state."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from isocost.scenario.keys import MAX_SEQ_LEN
from isocost.scenario.question import default_seq_len
from isocost.scenario.values import find_model, whole
from isocost.verbs import options
from isocost.verbs.model.answer import ModelSummary
from isocost.verbs.options import Argument, Command, Option
from isocost.workload.architecture import Architecture

_MODEL = Argument(metavar="NAME|PATH", about="A shipped model, or a config.json.", kind=str)
_SEQ_LEN: Option = options.WHAT["seq_len"]


def load_model(model: str | Path) -> Architecture:
    """Return a shipped model by name, or what a config.json (the file, or its folder) describes.

    Raises:
        InputError: no model of this name is shipped, or the file is not a configuration that can be read.

    Example:
        >>> isocost.load_model("gpt2").hidden
        768
    """
    return find_model(model, "model").architecture


@Command("Show a model: parameters, layers, FLOPs per token by operator, bytes of training state.")
def model(
    name: Annotated[str | Path | Architecture, _MODEL], /, seq_len: Annotated[int | str | None, _SEQ_LEN] = None
) -> ModelSummary:
    """Return parameters, FLOPs per token by operator and bytes of training state of a model.

    Args:
        name: of a shipped model, a config.json or its folder, or an architecture.
        seq_len: tokens of a sequence; None for 8,192, or the model's longest if that is shorter.

    Raises:
        InputError: there is no such model, or the length is not one.

    Example:
        >>> isocost.model("llama-3.1-8b").to_dict()["params"]
        8030261248
    """
    tokens = None if seq_len is None else whole(seq_len, "seq_len", MAX_SEQ_LEN)
    architecture = name if isinstance(name, Architecture) else load_model(name)
    return ModelSummary(architecture=architecture, seq_len=tokens or default_seq_len(architecture))
