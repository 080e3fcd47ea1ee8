"""The scenario: one question about a training run, with the same keys in TOML, as flags and in Python."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from isocost.catalog import Catalog, load_catalog
from isocost.catalog.records import TERMS, TRAINING_PRECISIONS
from isocost.catalog.stacks import ATTENTION_KERNELS
from isocost.errors import DataError, InputError, Problem
from isocost.laws.pipeline import SCHEDULES
from isocost.perf.layout import RECOMPUTES, SHARDINGS
from isocost.scenario import values
from isocost.scenario.settings import Settings, settings
from isocost.scenario.supply import room_problems, supply_problems
from isocost.scenario.values import ALIASES, Context, Model, choice, choices, count, quantity, reads
from isocost.workload.architecture import Architecture

MAX_BYTES: Final = 1_000_000
NORM_KERNELS: Final = ("fused", "eager", "compiled")
GRADIENT_PRECISIONS: Final = ("bf16", "fp16", "fp32")
_PATHS: Final = ("model", "catalog", "calibration")  # relative to the folder of the scenario
_PATHS_IN: Final = (("reliability", "events"), ("programme", "items"), ("frontier", "family"), ("frontier", "laws"))
_NEEDS_MODEL: Final = (
    "name a shipped model (isocost catalog list models), the path of a config.json, or write an [architecture] table"
)
_Degree = Annotated[int | None, reads(count(values.MAX_DEGREE))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A question, read and checked: what to train, by when, for how much, on what. ``None`` is left to the search."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    tokens: Annotated[float, reads(quantity("token"))]
    title: Annotated[str, reads(values.read_text)] = ""
    model: Annotated[Model | None, reads(values.read_model)] = None
    architecture: Annotated[Architecture | None, reads(values.read_architecture)] = None
    seq_len: Annotated[int | None, reads(count(values.MAX_SEQ_LEN))] = None
    global_batch_seqs: Annotated[int | None, Field(alias="global_batch"), reads(count(values.MAX_BATCH))] = None
    deadline_s: Annotated[float | None, Field(alias="deadline"), reads(values.read_deadline)] = None
    budget_usd: Annotated[float | None, Field(alias="budget"), reads(quantity("USD"))] = None
    power_w: Annotated[float | None, Field(alias="power_cap"), reads(quantity("W"))] = None
    on: Annotated[tuple[str, ...], reads(values.read_accelerators)] = ()
    gpu_counts: Annotated[tuple[int, ...], Field(alias="gpus"), reads(values.read_gpus)] = ()
    fabric: Annotated[str | None, reads(values.read_fabric)] = None
    term: Annotated[str | None, reads(choice(*TERMS))] = None
    stack: Annotated[str | None, reads(values.read_stack)] = None
    precisions: Annotated[tuple[str, ...], Field(alias="precision"), reads(choices(*TRAINING_PRECISIONS))] = ()
    tp: _Degree = None
    pp: _Degree = None
    vp: _Degree = None
    cp: _Degree = None
    ep: _Degree = None
    micro_batch: _Degree = None
    recompute: Annotated[str | None, reads(choice(*RECOMPUTES))] = None
    sharding: Annotated[str | None, reads(choice(*SHARDINGS))] = None
    schedule: Annotated[str | None, reads(choice(*SCHEDULES))] = None
    attention_kernel: Annotated[str | None, reads(choice(*ATTENTION_KERNELS))] = None
    norm_kernel: Annotated[str | None, reads(choice(*NORM_KERNELS))] = None
    gradient_precision: Annotated[str | None, reads(choice(*GRADIENT_PRECISIONS))] = None
    compiled: Annotated[bool | None, reads(values.read_flag)] = None
    cuda_graphs: Annotated[bool | None, reads(values.read_flag)] = None
    tp_overlap: Annotated[bool | None, reads(values.read_flag)] = None
    catalog: Annotated[tuple[str, ...], reads(values.read_catalogs)] = ()
    calibration: Annotated[str | None, reads(values.read_calibration)] = None
    top: Annotated[int | None, reads(count(values.MAX_TOP))] = None
    confidence: Annotated[float | None, reads(values.read_confidence)] = None
    facility: Annotated[Settings | None, reads(settings("facility"))] = None
    reliability: Annotated[Settings | None, reads(settings("reliability"))] = None
    checkpoint: Annotated[Settings | None, reads(settings("checkpoint"))] = None
    storage: Annotated[Settings | None, reads(settings("storage"))] = None
    support: Annotated[Settings | None, reads(settings("support"))] = None
    purchase: Annotated[Settings | None, reads(settings("purchase"))] = None
    owned: Annotated[Settings | None, reads(settings("owned"))] = None
    programme: Annotated[Settings | None, reads(settings("programme"))] = None
    tuning: Annotated[Settings | None, reads(settings("tuning"))] = None
    frontier: Annotated[Settings | None, reads(settings("frontier"))] = None

    @property
    def shape(self) -> Architecture:
        """The architecture, however it was given."""
        if self.architecture is not None:
            return self.architecture
        assert self.model is not None, "read_scenario refuses a scenario without a model"
        return self.model.architecture


KEYS: Final = tuple(ALIASES.get(field.name, field.name) for field in fields(Scenario))


@cache
def _adapter() -> TypeAdapter[Scenario]:
    return TypeAdapter(Scenario)


def load_tables(path: str | Path) -> dict[str, Any]:
    """Return the tables of a scenario file, its relative paths resolved against its folder; not yet checked."""
    file = Path(path)
    text = _text(file)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError([Problem(str(path), f"is not valid TOML: {error}", fix="correct the file")]) from None
    except RecursionError:
        raise InputError([Problem(str(path), "is nested too deeply", fix="correct the file")]) from None
    for name, key in _PATHS_IN:
        if isinstance(inner := tables.get(name), dict) and key in inner:
            value = inner[key]
            if name == "frontier" and isinstance(value, str):  # the lists of this table may be text with commas
                value = [part.strip() for part in value.split(",")]
            tables[name] = {**inner, key: beside(file, value)}
    return {key: beside(file, value) if key in _PATHS else value for key, value in tables.items()}


def _text(file: Path) -> str:
    place = str(file)
    try:
        if not file.is_file():
            why = "is a directory" if file.is_dir() else "does not exist, or is not a regular file"
            raise InputError([Problem(place, why, fix="give the path of a scenario in TOML, such as examples/*.toml")])
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            limit = f"at most {MAX_BYTES // 10**6} MB"
            raise InputError([Problem(place, "is too large for a scenario", allowed=limit)])
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            [Problem(place, f"is not UTF-8 text (byte {error.start:,})", fix="save it as UTF-8")]
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError([Problem(place, f"cannot be read: {reason}")]) from None


def beside(file: Path, value: object) -> object:
    """Return a path relative to the scenario's folder as one that can be opened; names of models stay."""
    if isinstance(value, list):
        return [beside(file, part) for part in value]
    if not isinstance(value, str) or "\0" in value or len(value) > 4096:
        return value
    path = file.parent / value
    return str(path) if "/" in value or path.exists() else value


def read_scenario(
    tables: Mapping[str, object],
    places: Mapping[str, str] | None = None,
    today: datetime.date | None = None,
) -> tuple[Scenario, Catalog]:
    """Return the scenario that ``tables`` describe and its catalogue; one InputError lists every problem.

    ``places`` says where the user wrote each key, and ``today`` is when a deadline given as a date starts to count.
    """
    given = {key: value for key, value in tables.items() if value is not None}
    problems: list[Problem] = []
    place = dict(places or {})
    catalog = _catalog(given, place, problems)
    context = Context(catalog=catalog, today=today or datetime.date.today(), places=place)
    scenario = None
    try:
        scenario = _adapter().validate_python(given, context=context)
    except ValidationError as error:
        problems += values.problems_of(error.errors(include_url=False), context, KEYS)
    if ("model" in given) == ("architecture" in given):
        message = "is given twice: by name and by [architecture]" if "model" in given else "is missing"
        fix = "keep one of the two" if "model" in given else _NEEDS_MODEL
        problems.append(Problem(context.place("model"), message, fix=fix))
    if "confidence" in given and not {"deadline", "budget"} & given.keys():
        fix = "add a deadline or a budget, or leave it out"
        problems.append(Problem(context.place("confidence"), "has no limit to keep", given["confidence"], fix=fix))
    problems += room_problems(given, context) + supply_problems(given, context)
    if scenario is not None and not problems:
        problems += _position_problems(scenario, context)
    if problems:
        raise InputError(problems)
    assert scenario is not None
    assert catalog is not None
    return scenario, catalog


def _position_problems(scenario: Scenario, context: Context) -> list[Problem]:
    """Return the problem of a sequence that is longer than the learned positions of the model; others extrapolate."""
    shape, asked = scenario.shape, scenario.seq_len
    if asked is None or not shape.position_params or not 0 < shape.max_seq_len < asked:
        return []
    message = f"is beyond the {shape.max_seq_len:,} learned positions of {shape.name}"
    fix = f"ask for {shape.max_seq_len:,} tokens at most, or write an [architecture] with more positions"
    return [Problem(context.place("seq_len"), message, asked, fix=fix)]


def _catalog(given: Mapping[str, object], places: Mapping[str, str], problems: list[Problem]) -> Catalog | None:
    """Return the catalogue with the user's files over it; ``None`` when one of them is broken."""
    try:
        context = Context(catalog=None, today=datetime.date.min, places=places)
        paths = values.read_catalogs(given["catalog"], context.place("catalog"), context) if "catalog" in given else ()
    except InputError:
        return None  # reported by the validation of the key
    try:
        return load_catalog(*paths)
    except DataError as error:
        problems += error.problems
        return None


def load_scenario(path: str | Path, today: datetime.date | None = None, **changes: object) -> Scenario:
    """Return the scenario in a TOML file; ``changes`` override its keys, as flags do on the command line.

    ``today`` is the day that a deadline given as a date counts from; None for now. Quantities of the result are in SI
    units and US dollars. An InputError lists every problem of the file and the changes.

    Example:
        >>> isocost.load_scenario("examples/llama-3.1-70b.toml", deadline="45 d").deadline_s
        3888000.0
    """
    tables = load_tables(path)
    places = {key: f"{path}: {key}" for key in tables}
    return read_scenario({**tables, **changes}, {**places, **{key: key for key in changes}}, today)[0]
