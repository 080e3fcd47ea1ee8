"""Shipped models: the fields of published ``config.json`` files that decide the shape, each with source and date."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from isocost.errors import DataError, InputError, Problem, nearest
from isocost.workload.architecture import Architecture
from isocost.workload.hf import architecture_from_config

GRADES: Final = ("measured", "vendor", "derived", "estimate", "reported")
_SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A shipped model: its configuration, and where and when it is from."""

    name: str
    source: str  # address of the published configuration, or the paper
    as_of: str
    grade: str
    note: str
    config: Mapping[str, object]


def _folder() -> Traversable:
    return resources.files("isocost") / "data" / "models"


@cache
def preset_names() -> tuple[str, ...]:
    """Return the names of the shipped models, in alphabetical order."""
    files = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in files if name.endswith(_SUFFIX)))


@cache
def preset_facts(name: str) -> Preset:
    """Return the configuration of a shipped model with its source; an unknown name names the nearest."""
    if name not in preset_names():
        close = nearest(name, preset_names())
        fix = "see the list of models, or give the path of a config.json"
        raise InputError([Problem("model", "is not a shipped model", name, nearest=close, fix=fix)])
    entry = json.loads((_folder() / f"{name}{_SUFFIX}").read_text(encoding="utf-8"))
    place = f"data/models/{name}{_SUFFIX}"
    problems = [Problem(f"{place}: {key}", "is missing") for key in ("source", "as_of", "grade") if not entry.get(key)]
    if entry.get("grade") not in (None, "", *GRADES):
        problems.append(Problem(f"{place}: grade", "is not a grade", entry["grade"], ", ".join(GRADES)))
    if not isinstance(entry.get("config"), dict):
        problems.append(Problem(f"{place}: config", "is not an object"))
    if problems:
        raise DataError(problems)
    return Preset(
        name=name,
        source=entry["source"],
        as_of=entry["as_of"],
        grade=entry["grade"],
        note=entry.get("note", ""),
        config=entry["config"],
    )


@cache
def preset(name: str) -> Architecture:
    """Return the architecture of a shipped model; an unknown name is an error that names the nearest."""
    return architecture_from_config(preset_facts(name).config, name, f"data/models/{name}{_SUFFIX}")
