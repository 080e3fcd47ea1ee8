"""The scenario: one question about a training run, with the same keys in TOML, as flags and in Python."""

# No "from __future__ import annotations": the keys are read off the annotations.

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, get_args

from isocost.scenario.keys import (
    GOAL,
    HOW,
    MAX_BATCH,
    MAX_DEGREE,
    MAX_SEQ_LEN,
    MAX_TOP,
    SWITCHES,
    WHAT,
    WHERE,
    Key,
    keys_of,
)
from isocost.scenario.tables import (
    Checkpoint,
    Facility,
    Frontier,
    Owned,
    Program,
    Purchase,
    Reliability,
    Storage,
    Support,
    Table,
    Tuning,
)

if TYPE_CHECKING:
    from isocost.scenario.values import Model
    from isocost.workload.architecture import Architecture

_Name: TypeAlias = str | None
_Count: TypeAlias = int | None
_Switch: TypeAlias = bool | None
_RECIPE: Final = "as the stack's recipe has it"
_CHOSEN: Final = "the search chooses"


def _degree(meaning: str, help: str) -> Key:
    return Key(kind="count", most=MAX_DEGREE, left_out=_CHOSEN, meaning=meaning, metavar="N", help=help, panel=HOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A question, read and checked: what to train, by when, for how much, on what. ``None`` is left to the search."""

    tokens: Annotated[
        float,
        Key(
            kind="amount",
            unit="token",
            meaning="tokens the run trains on; repeated ones count each time",
            metavar="AMOUNT",
            help="Tokens to train on, such as '15 T'.",
            panel=WHAT,
        ),
    ]
    title: Annotated[str, Key(kind="text", meaning="free text")] = ""
    model: Annotated[
        "Model | None",
        Key(
            kind="model",
            path=True,
            meaning="a shipped model, or the path of the `config.json` that describes one",
            metavar="NAME|PATH",
            help="A shipped model, or a config.json or its folder.",
            panel=WHAT,
        ),
    ] = None
    architecture: Annotated[
        "Architecture | None",
        Key(
            kind="architecture", meaning="the model by hand: hidden width, vocabulary, and kinds of blocks with counts"
        ),
    ] = None
    seq_len: Annotated[
        _Count,
        Key(
            kind="count",
            most=MAX_SEQ_LEN,
            left_out="8,192, or the model's longest if shorter",
            meaning="tokens of a sequence",
            metavar="TOKENS",
            help="Tokens of a sequence.",
            panel=WHAT,
        ),
    ] = None
    global_batch_seqs: Annotated[
        _Count,
        Key(
            name="global_batch",
            kind="count",
            most=MAX_BATCH,
            left_out="from a critical-batch law",
            meaning="sequences of one optimizer step, over all GPUs",
            metavar="SEQUENCES",
            help="Sequences of an optimizer step.",
            panel=WHAT,
        ),
    ] = None
    deadline_s: Annotated[
        float | None,
        Key(
            name="deadline",
            kind="deadline",
            unit="s",
            left_out="no limit",
            meaning="at most this long, or a date",
            metavar="TIME|DATE",
            help="At most this long: '60 d', or 2027-03-01.",
            panel=GOAL,
        ),
    ] = None
    budget_usd: Annotated[
        float | None,
        Key(
            name="budget",
            kind="amount",
            unit="USD",
            left_out="no limit",
            meaning="at most this much, at the median price",
            metavar="MONEY",
            help="At most this much: '40 MUSD'.",
            panel=GOAL,
        ),
    ] = None
    power_w: Annotated[
        float | None,
        Key(
            name="power_cap",
            kind="amount",
            unit="W",
            left_out="no limit",
            meaning="at most this much at the meter, at full draw",
            metavar="POWER",
            help="At most this much at the site: '20 MW'.",
            panel=GOAL,
        ),
    ] = None
    on: Annotated[
        tuple[str, ...],
        Key(
            kind="accelerators",
            left_out="those with most offers",
            meaning="accelerators to consider",
            metavar="ID,...",
            help="Accelerators: 'isocost catalog list accelerators'.",
            panel=WHERE,
        ),
    ] = ()
    gpu_counts: Annotated[
        tuple[int, ...],
        Key(
            name="gpus",
            kind="gpus",
            left_out="64 to 8,192, doubling",
            meaning="accelerators of the job (GPU, TPU or other chip: the unit that is rented and counted)",
            metavar="N,...",
            help="GPU counts: 1024, or 64,96,128, or 64..8192 by doubling.",
            panel=WHERE,
        ),
    ] = ()
    fabric: Annotated[
        _Name,
        Key(
            kind="fabric",
            left_out="usual for the accelerator",
            meaning="the scale-out network between scale-up domains",
            metavar="ID",
            help="The network: 'isocost catalog list fabrics'.",
            panel=WHERE,
        ),
    ] = None
    term: Annotated[
        _Name,
        Key(
            kind="term",
            left_out="on_demand",
            meaning="how capacity is bought",
            metavar="TERM",
            help="on_demand, spot, reserved_1y, reserved_3y, capacity_block.",
            panel=WHERE,
        ),
    ] = None
    stack: Annotated[
        _Name,
        Key(
            kind="stack",
            left_out="megatron-core, on TPUs maxtext-tpu",
            meaning="a dated recipe of the training software: kernels, precisions of gradients, overlap",
            metavar="ID",
            help="The software: 'isocost catalog list stacks'.",
            panel=HOW,
        ),
    ] = None
    precisions: Annotated[
        tuple[str, ...],
        Key(
            name="precision",
            kind="precisions",
            left_out="bf16",
            meaning="of the matrix products of the blocks; the head stays in 16 bit",
            metavar="NAME,...",
            help="bf16, fp16, fp8, mxfp8, nvfp4.",
            panel=HOW,
        ),
    ] = ()
    tp: Annotated[_Count, _degree("tensor parallel ranks: each layer is split over them", "Tensor parallel ranks.")] = (
        None
    )
    pp: Annotated[_Count, _degree("pipeline stages: consecutive layers", "Pipeline stages.")] = None
    vp: Annotated[
        _Count,
        _degree(
            "virtual stages of a rank in the interleaved schedule", "Virtual stages a rank (interleaved schedule)."
        ),
    ] = None
    cp: Annotated[
        _Count, _degree("context parallel ranks: each sequence is split over them", "Context parallel ranks.")
    ] = None
    ep: Annotated[
        _Count, _degree("expert parallel ranks: the experts are spread over them", "Expert parallel ranks.")
    ] = None
    micro_batch: Annotated[
        _Count,
        _degree(
            "sequences that go through the pipeline together, on one data parallel rank", "Sequences of a micro-batch."
        ),
    ] = None
    recompute: Annotated[
        _Name,
        Key(
            kind="recompute",
            left_out=_CHOSEN,
            meaning="what the backward pass computes again: selective is cheap to redo and large to keep",
            metavar="KIND",
            help="none, selective, full.",
            panel=HOW,
        ),
    ] = None
    sharding: Annotated[
        _Name,
        Key(
            kind="sharding",
            left_out=_CHOSEN,
            meaning="training state divided over data parallel ranks: zero1 optimizer, zero2 and gradients, "
            "zero3 and weights (FSDP)",
            metavar="KIND",
            help="none, zero1, zero2, zero3 (FSDP).",
            panel=HOW,
        ),
    ] = None
    schedule: Annotated[
        _Name,
        Key(
            kind="schedule",
            left_out=_CHOSEN,
            meaning="order of forward and backward passes in the pipeline",
            metavar="NAME",
            help="1f1b, interleaved, zb-h1, dualpipe, ...",
            panel=HOW,
        ),
    ] = None
    attention_kernel: Annotated[
        _Name,
        Key(
            kind="attention_kernel",
            left_out=_RECIPE,
            meaning="implementation of attention, by name",
            metavar="NAME",
            help="flash2, flash3, cudnn, unfused, ...",
            panel=SWITCHES,
        ),
    ] = None
    norm_kernel: Annotated[
        _Name,
        Key(
            kind="norm_kernel",
            left_out=_RECIPE,
            meaning="implementation of normalisation, by name",
            metavar="NAME",
            help="fused, eager, compiled.",
            panel=SWITCHES,
        ),
    ] = None
    gradient_precision: Annotated[
        _Name,
        Key(
            kind="gradient_precision",
            left_out=_RECIPE,
            meaning="of gradients in the data-parallel reduction",
            metavar="NAME",
            help="Of their reduction: bf16, fp16, fp32.",
            panel=SWITCHES,
        ),
    ] = None
    compiled: Annotated[
        _Switch,
        Key(
            kind="flag",
            left_out=_RECIPE,
            meaning="blocks are compiled as a whole",
            metavar="BOOL",
            help="Blocks are compiled: true or false.",
            panel=SWITCHES,
        ),
    ] = None
    cuda_graphs: Annotated[
        _Switch,
        Key(
            kind="flag",
            left_out=_RECIPE,
            meaning="launches of blocks are recorded once and replayed",
            metavar="BOOL",
            help="Launches are recorded once: true or false.",
            panel=SWITCHES,
        ),
    ] = None
    tp_overlap: Annotated[
        _Switch,
        Key(
            kind="flag",
            left_out="false",
            meaning="tensor-parallel traffic is split and overlapped with its products (asynchronous TP)",
            metavar="BOOL",
            help="Asynchronous tensor parallelism: true or false.",
            panel=SWITCHES,
        ),
    ] = None
    catalog: Annotated[
        tuple[str, ...],
        Key(
            kind="catalogs",
            path=True,
            meaning="your own dated facts and quotes, over the shipped ones",
            metavar="FILE,...",
            help="Your own facts and quotes over the shipped ones.",
            panel=WHERE,
        ),
    ] = ()
    calibration: Annotated[
        _Name,
        Key(
            kind="calibration",
            path=True,
            meaning="multipliers of your own stack and site on top of the shipped constants, fitted on your runs",
            metavar="FILE",
            help="What 'isocost calibrate' made of your own runs.",
            panel=HOW,
        ),
    ] = None
    top: Annotated[
        _Count,
        Key(
            kind="count",
            most=MAX_TOP,
            left_out="8",
            meaning="most near-optimal alternatives to show",
            metavar="N",
            help="Show at most N near-optimal alternatives.",
            panel=GOAL,
        ),
    ] = None
    confidence: Annotated[
        float | None,
        Key(
            kind="confidence",
            unit="1",
            left_out="50 %, the median",
            meaning="probability with which deadline and budget are kept",
            metavar="SHARE",
            help="Keep deadline and budget with this probability: '90 %'.",
            panel=GOAL,
        ),
    ] = None
    facility: Annotated[Facility, Key(kind="table", meaning="where the cluster stands")] = field(
        default_factory=Facility
    )
    reliability: Annotated[Reliability, Key(kind="table", meaning="what interrupts and slows a run")] = field(
        default_factory=Reliability
    )
    checkpoint: Annotated[Checkpoint, Key(kind="table", meaning="how training state is saved")] = field(
        default_factory=Checkpoint
    )
    storage: Annotated[Storage, Key(kind="table", meaning="where checkpoints and data are")] = field(
        default_factory=Storage
    )
    support: Annotated[Support, Key(kind="table", meaning="who looks after the cluster")] = field(
        default_factory=Support
    )
    purchase: Annotated[Purchase, Key(kind="table", meaning="how capacity is bought")] = field(default_factory=Purchase)
    owned: Annotated[Owned, Key(kind="table", meaning="what owning takes")] = field(default_factory=Owned)
    programme: Annotated[Program, Key(kind="table", meaning="what is run and paid for around the final run")] = field(
        default_factory=Program
    )
    tuning: Annotated[Tuning, Key(kind="table", meaning="what was measured of the software")] = field(
        default_factory=Tuning
    )
    frontier: Annotated[
        Frontier,
        Key(kind="table", meaning="what a model is to be trained with and for, when its size is the question"),
    ] = field(default_factory=Frontier)

    @property
    def shape(self) -> "Architecture":
        """The architecture, however it was given."""
        if self.architecture is not None:
            return self.architecture
        assert self.model is not None, "read_scenario refuses a scenario without a model"
        return self.model.architecture


KEYS: Final = keys_of(Scenario)
DEFAULTS: Final = Scenario(tokens=math.nan)  # of every other key
# The record of each key that is a table.
TABLES: Final[Mapping[str, type[Table]]] = {
    each.name: record
    for each in fields(Scenario)
    if isinstance(record := get_args(each.type)[0], type) and issubclass(record, Table)
}
