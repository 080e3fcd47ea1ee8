"""The options of the verbs, defined once. All are text: the scenario reads and checks them, together."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, TypeVar

import typer

Verb = TypeVar("Verb", bound=Callable[..., None])

_WHAT = "What to train"
_GOAL = "Goal"
_GATES = "Gates for scripts"
_WHERE = "Where"
_HOW = "How (left out: the search chooses)"
_STACK = "Switches of the stack (left out: as its recipe has them)"
_OUT = "Output"


def _flag(name: str, metavar: str, about: str, panel: str) -> typer.models.OptionInfo:
    option = typer.Option(name, metavar=metavar, help=about, rich_help_panel=panel, show_default=False)
    assert isinstance(option, typer.models.OptionInfo)
    return option


Text = str | None
Scenario = Annotated[
    Text, typer.Argument(metavar="SCENARIO.toml", help="A scenario; flags override its keys.", show_default=False)
]
Model = Annotated[Text, _flag("--model", "NAME|PATH", "A shipped model, or a config.json or its folder.", _WHAT)]
Tokens = Annotated[Text, _flag("--tokens", "AMOUNT", "Tokens to train on, such as '15 T'.", _WHAT)]
SeqLen = Annotated[Text, _flag("--seq-len", "TOKENS", "Tokens of a sequence.", _WHAT)]
GlobalBatch = Annotated[Text, _flag("--global-batch", "SEQUENCES", "Sequences of an optimizer step.", _WHAT)]
Deadline = Annotated[Text, _flag("--deadline", "TIME|DATE", "At most this long: '60 d', or 2027-03-01.", _GOAL)]
Budget = Annotated[Text, _flag("--budget", "MONEY", "At most this much: '40 MUSD'.", _GOAL)]
PowerCap = Annotated[Text, _flag("--power-cap", "POWER", "At most this much at the site: '20 MW'.", _GOAL)]
Confidence = Annotated[
    Text, _flag("--confidence", "SHARE", "Keep deadline and budget with this probability: '90 %'.", _GOAL)
]
MaxCost = Annotated[Text, _flag("--max-cost", "MONEY", "Leave with 1 if the bill is more: '2 MUSD'.", _GATES)]
MaxDays = Annotated[Text, _flag("--max-days", "DAYS", "Leave with 1 if the run takes longer.", _GATES)]
FailIf = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-if", metavar="CONDITION", help="Leave with 1 if it holds: 'cost_usd.p90 > 2e6'.",
        rich_help_panel=_GATES, show_default=False,
    ),
]  # fmt: skip
Top = Annotated[Text, _flag("--top", "N", "Show at most N near-optimal alternatives.", _GOAL)]
On = Annotated[Text, _flag("--on", "ID,...", "Accelerators: 'isocost catalog list accelerators'.", _WHERE)]
Gpus = Annotated[Text, _flag("--gpus", "N,...", "GPU counts: 1024, or 64,96,128, or 64..8192 by doubling.", _WHERE)]
Fabric = Annotated[Text, _flag("--fabric", "ID", "The network: 'isocost catalog list fabrics'.", _WHERE)]
Term = Annotated[Text, _flag("--term", "TERM", "on_demand, spot, reserved_1y, reserved_3y, capacity_block.", _WHERE)]
Catalog = Annotated[Text, _flag("--catalog", "FILE,...", "Your own facts and quotes over the shipped ones.", _WHERE)]
Stack = Annotated[Text, _flag("--stack", "ID", "The software: 'isocost catalog list stacks'.", _HOW)]
Calibration = Annotated[Text, _flag("--calibration", "FILE", "What 'isocost calibrate' made of your own runs.", _HOW)]
Precision = Annotated[Text, _flag("--precision", "NAME,...", "bf16, fp16, fp8, mxfp8, nvfp4.", _HOW)]
Tp = Annotated[Text, _flag("--tp", "N", "Tensor parallel ranks.", _HOW)]
Pp = Annotated[Text, _flag("--pp", "N", "Pipeline stages.", _HOW)]
Vp = Annotated[Text, _flag("--vp", "N", "Virtual stages a rank (interleaved schedule).", _HOW)]
Cp = Annotated[Text, _flag("--cp", "N", "Context parallel ranks.", _HOW)]
Ep = Annotated[Text, _flag("--ep", "N", "Expert parallel ranks.", _HOW)]
MicroBatch = Annotated[Text, _flag("--micro-batch", "N", "Sequences of a micro-batch.", _HOW)]
Recompute = Annotated[Text, _flag("--recompute", "KIND", "none, selective, full.", _HOW)]
Sharding = Annotated[Text, _flag("--sharding", "KIND", "none, zero1, zero2, zero3 (FSDP).", _HOW)]
Schedule = Annotated[Text, _flag("--schedule", "NAME", "1f1b, interleaved, zb-h1, dualpipe, ...", _HOW)]
Explain = Annotated[
    bool, typer.Option("--explain", help="Add the terms of the step time and their constants.", rich_help_panel=_OUT)
]
AttentionKernel = Annotated[Text, _flag("--attention-kernel", "NAME", "flash2, flash3, cudnn, unfused, ...", _STACK)]
NormKernel = Annotated[Text, _flag("--norm-kernel", "NAME", "fused, eager, compiled.", _STACK)]
GradientPrecision = Annotated[
    Text, _flag("--gradient-precision", "NAME", "Of their reduction: bf16, fp16, fp32.", _STACK)
]
Compiled = Annotated[Text, _flag("--compiled", "BOOL", "Blocks are compiled: true or false.", _STACK)]
CudaGraphs = Annotated[Text, _flag("--cuda-graphs", "BOOL", "Launches are recorded once: true or false.", _STACK)]
TpOverlap = Annotated[Text, _flag("--tp-overlap", "BOOL", "Asynchronous tensor parallelism: true or false.", _STACK)]
Show = Annotated[Text, _flag("--show", "NAME,...", "Sections to print after the sentence, or all.", _OUT)]
Format = Annotated[Text, _flag("--format", "NAME", "table, json, csv, md or html.", _OUT)]
Output = Annotated[
    Text,
    typer.Option("-o", "--output", metavar="FILE", help="Write here.", rich_help_panel=_OUT, show_default=False),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notes.", rich_help_panel=_OUT)]

# Options that verbs take together, in the order of their help. typer reads them from a signature: see ``taking``.
Group = Mapping[str, Any]
WHAT: Final[Group] = {"model": Model, "tokens": Tokens, "seq_len": SeqLen, "global_batch": GlobalBatch}
LIMITS: Final[Group] = {"deadline": Deadline, "budget": Budget, "power_cap": PowerCap}
WHERE: Final[Group] = {"on": On, "gpus": Gpus, "fabric": Fabric, "term": Term, "catalog": Catalog}
LAYOUT: Final[Group] = {
    "stack": Stack, "calibration": Calibration, "precision": Precision, "tp": Tp, "pp": Pp, "vp": Vp, "cp": Cp,
    "ep": Ep, "micro_batch": MicroBatch, "recompute": Recompute, "sharding": Sharding, "schedule": Schedule,
}  # fmt: skip
SWITCHES: Final[Group] = {
    "attention_kernel": AttentionKernel, "norm_kernel": NormKernel, "gradient_precision": GradientPrecision,
    "compiled": Compiled, "cuda_graphs": CudaGraphs, "tp_overlap": TpOverlap,
}  # fmt: skip
GATES: Final[Group] = {"max_cost": MaxCost, "max_days": MaxDays, "fail_if": FailIf}
RESULT: Final[Group] = {"format": Format, "output": Output, "quiet": Quiet}
_SWITCHED_OFF: Final = ("quiet", "explain")  # flags without a value; everything else is left out


def taking(*groups: Group) -> Callable[[Verb], Verb]:
    """Give a verb the options of groups beside its own; it reads them from its context."""

    def wrap(verb: Verb) -> Verb:
        own = inspect.signature(verb, eval_str=True).parameters.values()
        taken = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=False if name in _SWITCHED_OFF else None, annotation=kind
            )
            for group in groups
            for name, kind in group.items()
        ]
        parameters = [p for p in own if p.kind is not inspect.Parameter.VAR_KEYWORD] + taken
        verb.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        verb.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return verb

    return wrap
