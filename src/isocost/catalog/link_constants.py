"""Constants of the collective laws on a chip's scale-up link: measured, of the same link generation, or a prior."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from isocost.catalog.records import Accelerator


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConstants:
    """Arguments of a ring's law beyond payload and members."""

    bandwidth_frac: float
    latency_s: float
    start_s: float
    half_size_bytes: float
    local_copy: float


@cache
def _facts() -> dict[str, Any]:
    return tomllib.loads(resources.files("isocost").joinpath("data/collectives.toml").read_text(encoding="utf-8"))


def link_constants(chip: Accelerator) -> LinkConstants:
    """Constants of an all-gather between the GPUs of one scale-up domain."""
    table = _facts()["all_gather"]
    prior = "prior_pcie" if "pcie" in chip.scaleup_link.lower() and "prior_pcie" in table else "prior"
    entry = table.get(chip.id) or table.get(chip.same_link_as, table[prior])
    names = ("bandwidth_frac", "latency_s", "start_s", "half_size_bytes", "local_copy")
    return LinkConstants(**{name: entry[name] for name in names})
