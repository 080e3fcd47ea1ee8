"""The keys of a scenario as keyword arguments: what may be written, before it is read."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypedDict

if TYPE_CHECKING:
    from isocost.workload.architecture import Architecture

Quantity: TypeAlias = str | float | None  # text with a unit: "60 d", "40 MUSD"; None: left out
Count: TypeAlias = int | str | None
Name: TypeAlias = str | None
Names: TypeAlias = str | Sequence[str] | None  # one, several with commas, or a list
File: TypeAlias = str | Path | None
Files: TypeAlias = str | Path | Sequence[str | Path] | None
Switch: TypeAlias = bool | str | None
Table: TypeAlias = Mapping[str, object] | None


class Changes(TypedDict, total=False):
    """Keys of a scenario, all of them optional; see docs/how-to.md for what each means and takes."""

    tokens: Quantity
    title: Name
    model: File
    architecture: Mapping[str, object] | Architecture | None
    seq_len: Count
    global_batch: Count
    deadline: str | datetime.date | None
    budget: Quantity
    power_cap: Quantity
    on: Names
    gpus: int | str | Sequence[int | str] | None
    fabric: Name
    term: Name
    stack: Name
    precision: Names
    tp: Count
    pp: Count
    vp: Count
    cp: Count
    ep: Count
    micro_batch: Count
    recompute: Name
    sharding: Name
    schedule: Name
    attention_kernel: Name
    norm_kernel: Name
    gradient_precision: Name
    compiled: Switch
    cuda_graphs: Switch
    tp_overlap: Switch
    catalog: Files
    calibration: File
    top: Count
    confidence: Quantity
    facility: Table
    reliability: Table
    checkpoint: Table
    storage: Table
    support: Table
    purchase: Table
    owned: Table
    programme: Table
    tuning: Table
    frontier: Table
