"""A layout: how a model and its global batch are spread over accelerators. Its axes are named here."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

RECOMPUTES = ("none", "selective", "full")
SHARDINGS = ("none", "zero1", "zero2", "zero3")


def _axis(default: Any, *, on: str, material: bool = False, fixable: bool = True) -> Any:
    """Return a field of ``Layout`` that is an axis of the search.

    ``on`` says what it decides: times of a block, of a pipeline stage, or neither. Plans that differ in what is
    ``material`` are different plans to a reader. A scenario may hold at a value what is ``fixable``.
    """
    return field(default=default, metadata={"on": on, "material": material, "fixable": fixable})


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One value of every axis; without any, a single accelerator with nothing split, replayed or sharded."""

    tp: int = _axis(1, on="block", material=True)
    pp: int = _axis(1, on="stage", material=True)
    vp: int = _axis(1, on="stage")
    cp: int = _axis(1, on="block", material=True)
    ep: int = _axis(1, on="block", material=True)
    dp: int = _axis(1, on="layout", fixable=False)  # follows from the accelerators and the other degrees
    micro_batch: int = _axis(1, on="block")
    sequence_parallel: bool = _axis(False, on="block", fixable=False)
    recompute: str = _axis("none", on="block", material=True)
    sharding: str = _axis("none", on="stage", material=True)
    schedule: str = _axis("none", on="stage")
    shard_group: int = 0  # ranks over which states are sharded; 0: all dp x cp that could

    @property
    def gpus(self) -> int:
        """Accelerators of the layout."""
        return self.tp * self.pp * self.cp * self.dp

    @property
    def sharded_over(self) -> int:
        """Ranks over which states are sharded."""
        return self.shard_group or self.dp * self.cp


_AXES = [f for f in fields(Layout) if f.metadata]

AXES = tuple(f.name for f in _AXES)
COUNTS = tuple(f.name for f in _AXES if type(f.default) is int)
CHOICES = tuple(f.name for f in _AXES if type(f.default) is str)  # by name
BLOCK_AXES = tuple(f.name for f in _AXES if f.metadata["on"] == "block")
STAGE_AXES = tuple(f.name for f in _AXES if f.metadata["on"] == "stage")
MATERIAL = tuple(f.name for f in _AXES if f.metadata["material"])
FIXABLE = tuple(f.name for f in _AXES if f.metadata["fixable"])
