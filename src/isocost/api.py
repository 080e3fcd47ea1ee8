"""The verbs in Python: the same as on the command line, with the keys of a scenario as keyword arguments.

import isocost
plan = isocost.plan(model="llama-3.1-70b", tokens="15 T", deadline="60 d", on=["h100-sxm5-80gb"])
print(plan.table())
"""

from __future__ import annotations

import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from isocost.catalog import Catalog, load_catalog
from isocost.report import catalogs
from isocost.report.catalogs import Check, Entry, Listing
from isocost.report.models import ModelSummary
from isocost.scenario.values import MAX_SEQ_LEN, find_model, whole
from isocost.workload.architecture import Architecture

SEQ_LEN = (
    8192  # of a plan that names none: what Llama 3, DeepSeek-V3 and OLMo 2 were mostly trained at (4,096 to 8,192)
)


def load_model(model: str | Path) -> Architecture:
    """Return a shipped model by name, or what a config.json (the file, or its folder) describes."""
    return find_model(model, "model").architecture


def default_seq_len(architecture: Architecture) -> int:
    """Return the sequence length of a question that names none: 8,192, or the model's longest if that is shorter."""
    return min(SEQ_LEN, architecture.max_seq_len or SEQ_LEN)


def model_summary(model: str | Path | Architecture, seq_len: int | str | None = None) -> ModelSummary:
    """Return parameters, FLOPs per token by operator and bytes of state of a model."""
    tokens = None if seq_len is None else whole(seq_len, "seq_len", MAX_SEQ_LEN)
    architecture = model if isinstance(model, Architecture) else load_model(model)
    return ModelSummary(architecture=architecture, seq_len=tokens or default_seq_len(architecture))


def catalog_list(kind: str, catalog: Catalog | None = None) -> Listing:
    """Return all entries of a kind: accelerators, nodes, fabrics, offers, rates, stacks or models."""
    return catalogs.listing(catalog or load_catalog(), kind)


def catalog_show(name: str, catalog: Catalog | None = None) -> Entry:
    """Return one entry of the catalogue in full, with its sources and prices."""
    return catalogs.entry(catalog or load_catalog(), name)


def catalog_check(catalog: Catalog | None = None, today: datetime.date | None = None) -> Check:
    """Return the facts that are stale, disputed, recalled from memory, missing or without a price."""
    return catalogs.checked(catalog or load_catalog(), today or datetime.date.today())


def validate(runs: str | Path | None = None) -> Any:
    """Return the comparison of predictions with measured runs: the shipped ones, or those of a CSV file."""
    return import_module("isocost.validate").validate(runs)
