"""What to train: scaling laws, their fit, and the size and data that arithmetic, data, serving and money allow.

The functions of ``isocost.scaling.ask`` are names of this package: ``from isocost import scaling`` and
``scaling.best_size(1e24)``. They are imported when first used, as most of isocost needs one law and no more.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isocost.scaling.ask import (
        all_laws,
        batches,
        best_served,
        best_size,
        fit_law,
        law_file,
        law_of,
        loss_of,
        make_shape,
        size_for_loss,
        tokens_for_loss,
    )

__all__ = [
    "all_laws",
    "batches",
    "best_served",
    "best_size",
    "fit_law",
    "law_file",
    "law_of",
    "loss_of",
    "make_shape",
    "size_for_loss",
    "tokens_for_loss",
]


def __getattr__(name: str) -> Any:
    """Import a function when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'isocost.scaling' has no attribute {name!r}")
    return getattr(import_module("isocost.scaling.ask"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
