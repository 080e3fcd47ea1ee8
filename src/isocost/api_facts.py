"""Facts in Python: models and the catalogue, without a scenario."""

from __future__ import annotations

import datetime
from pathlib import Path

from isocost.catalog import Catalog, load_catalog
from isocost.scenario.keys import MAX_SEQ_LEN
from isocost.scenario.question import default_seq_len
from isocost.scenario.values import find_model, whole
from isocost.verbs.catalog import answer as catalogs
from isocost.verbs.catalog.answer import Check, Entry, Listing
from isocost.verbs.catalog.stacks import StackEntry
from isocost.verbs.model.answer import ModelSummary
from isocost.workload.architecture import Architecture


def load_model(model: str | Path) -> Architecture:
    """Return a shipped model by name, or what a config.json (the file, or its folder) describes.

    Raises:
        InputError: no model of this name is shipped, or the file is not a configuration that can be read.

    Example:
        >>> isocost.load_model("gpt2").hidden
        768
    """
    return find_model(model, "model").architecture


def model_summary(model: str | Path | Architecture, seq_len: int | str | None = None) -> ModelSummary:
    """Return parameters, FLOPs per token by operator and bytes of training state of a model.

    Args:
        model: a shipped name, a config.json or its folder, or an architecture.
        seq_len: tokens of a sequence; None for 8,192, or the model's longest if that is shorter.

    Raises:
        InputError: there is no such model, or the length is not one.

    Example:
        >>> isocost.model_summary("llama-3.1-8b").to_dict()["params"]
        8030261248
    """
    tokens = None if seq_len is None else whole(seq_len, "seq_len", MAX_SEQ_LEN)
    architecture = model if isinstance(model, Architecture) else load_model(model)
    return ModelSummary(architecture=architecture, seq_len=tokens or default_seq_len(architecture))


def catalog_list(kind: str, catalog: Catalog | None = None) -> Listing:
    """Return all entries of a kind: accelerators, nodes, fabrics, offers, rates, stacks (or recipes), or models.

    Raises:
        InputError: there is no such kind.

    Example:
        >>> "h100-sxm5-80gb" in isocost.catalog_list("accelerators").csv()
        True
    """
    return catalogs.listing(catalog or load_catalog(), kind)


def catalog_show(name: str, catalog: Catalog | None = None) -> Entry | StackEntry:
    """Return one entry of the catalogue in full, with its sources and prices; a kind may stand before its name.

    Raises:
        InputError: there is no such entry, or two kinds have it.

    Example:
        >>> print(isocost.catalog_show("h100-sxm5-80gb").table().splitlines()[0])
        h100-sxm5-80gb (accelerator)
    """
    return catalogs.entry(catalog or load_catalog(), name)


def catalog_check(catalog: Catalog | None = None, today: datetime.date | None = None) -> Check:
    """Return the facts that are stale, disputed, recalled from memory, missing or without a price.

    Args:
        catalog: None for the shipped one. today: the day of the check; None for now.
        today: see catalog.

    Example:
        >>> found = isocost.catalog_check(today=datetime.date(2027, 1, 1)).findings
        >>> any(finding.kind == "stale" for finding in found)
        True
    """
    return catalogs.checked(catalog or load_catalog(), today or datetime.date.today())
