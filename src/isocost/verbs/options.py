"""The options of the verbs, each declared once: the command line, its help and, later, a page read them from here.

An option of one verb stands in the signature of its function, ``Annotated[str | None, Option(...)]``; those that verbs
take together stand in the groups below. All are text at the edge: the scenario reads and checks them, together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

_WHAT = "What to train"
_GOAL = "Goal"
_GATES = "Gates for scripts"
_WHERE = "Where"
_HOW = "How (left out: the search chooses)"
_STACK = "Switches of the stack (left out: as its recipe has them)"
_OUT = "Output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A named option of a verb; its flag is its name with hyphens unless it says another."""

    about: str
    metavar: str = ""
    panel: str = ""
    flags: tuple[str, ...] = ()
    kind: Any = str | None  # of what the command line gives; bool for a switch

    def flags_of(self, name: str) -> tuple[str, ...]:
        """Return the flags of the option as a parameter called ``name``."""
        return self.flags or (f"--{name.replace('_', '-')}",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """An argument of a verb, named by its place."""

    about: str
    metavar: str
    kind: Any = str | None


Group = Mapping[str, Option]


def _flag(metavar: str, about: str, panel: str) -> Option:
    return Option(metavar=metavar, about=about, panel=panel)


SCENARIO: Final = Argument(metavar="SCENARIO.toml", about="A scenario; flags override its keys.")
ONE_SCENARIO: Final = Argument(metavar="SCENARIO.toml", about="A scenario.", kind=str)
WHAT: Final[Group] = {
    "model": _flag("NAME|PATH", "A shipped model, or a config.json or its folder.", _WHAT),
    "tokens": _flag("AMOUNT", "Tokens to train on, such as '15 T'.", _WHAT),
    "seq_len": _flag("TOKENS", "Tokens of a sequence.", _WHAT),
    "global_batch": _flag("SEQUENCES", "Sequences of an optimizer step.", _WHAT),
}
LIMITS: Final[Group] = {
    "deadline": _flag("TIME|DATE", "At most this long: '60 d', or 2027-03-01.", _GOAL),
    "budget": _flag("MONEY", "At most this much: '40 MUSD'.", _GOAL),
    "power_cap": _flag("POWER", "At most this much at the site: '20 MW'.", _GOAL),
}
CONFIDENCE: Final[Group] = {
    "confidence": _flag("SHARE", "Keep deadline and budget with this probability: '90 %'.", _GOAL)
}
TOP: Final[Group] = {"top": _flag("N", "Show at most N near-optimal alternatives.", _GOAL)}
WHERE: Final[Group] = {
    "on": _flag("ID,...", "Accelerators: 'isocost catalog list accelerators'.", _WHERE),
    "gpus": _flag("N,...", "GPU counts: 1024, or 64,96,128, or 64..8192 by doubling.", _WHERE),
    "fabric": _flag("ID", "The network: 'isocost catalog list fabrics'.", _WHERE),
    "term": _flag("TERM", "on_demand, spot, reserved_1y, reserved_3y, capacity_block.", _WHERE),
    "catalog": _flag("FILE,...", "Your own facts and quotes over the shipped ones.", _WHERE),
}
LAYOUT: Final[Group] = {
    "stack": _flag("ID", "The software: 'isocost catalog list stacks'.", _HOW),
    "calibration": _flag("FILE", "What 'isocost calibrate' made of your own runs.", _HOW),
    "precision": _flag("NAME,...", "bf16, fp16, fp8, mxfp8, nvfp4.", _HOW),
    "tp": _flag("N", "Tensor parallel ranks.", _HOW),
    "pp": _flag("N", "Pipeline stages.", _HOW),
    "vp": _flag("N", "Virtual stages a rank (interleaved schedule).", _HOW),
    "cp": _flag("N", "Context parallel ranks.", _HOW),
    "ep": _flag("N", "Expert parallel ranks.", _HOW),
    "micro_batch": _flag("N", "Sequences of a micro-batch.", _HOW),
    "recompute": _flag("KIND", "none, selective, full.", _HOW),
    "sharding": _flag("KIND", "none, zero1, zero2, zero3 (FSDP).", _HOW),
    "schedule": _flag("NAME", "1f1b, interleaved, zb-h1, dualpipe, ...", _HOW),
}
SWITCHES: Final[Group] = {
    "attention_kernel": _flag("NAME", "flash2, flash3, cudnn, unfused, ...", _STACK),
    "norm_kernel": _flag("NAME", "fused, eager, compiled.", _STACK),
    "gradient_precision": _flag("NAME", "Of their reduction: bf16, fp16, fp32.", _STACK),
    "compiled": _flag("BOOL", "Blocks are compiled: true or false.", _STACK),
    "cuda_graphs": _flag("BOOL", "Launches are recorded once: true or false.", _STACK),
    "tp_overlap": _flag("BOOL", "Asynchronous tensor parallelism: true or false.", _STACK),
}
GATES: Final[Group] = {
    "max_cost": _flag("MONEY", "Leave with 1 if the bill is more: '2 MUSD'.", _GATES),
    "max_days": _flag("DAYS", "Leave with 1 if the run takes longer.", _GATES),
    "fail_if": Option(
        metavar="CONDITION", about="Leave with 1 if it holds: 'cost_usd.p90 > 2e6'.", panel=_GATES,
        kind=list[str] | None,
    ),
}  # fmt: skip
EXPLAIN: Final = Option(about="Add the terms of the step time and their constants.", panel=_OUT, kind=bool)
# What the command line adds to every verb.
RESULT: Final[Group] = {
    "format": _flag("NAME", "table, json, csv, md or html.", _OUT),
    "output": Option(metavar="FILE", about="Write here.", panel=_OUT, flags=("-o", "--output")),
    "quiet": Option(about="No progress, no notes.", panel=_OUT, flags=("--quiet", "-q"), kind=bool),
}


class Gate(Protocol):
    """A check of an answer that is read before the answer is asked for."""

    def __call__(self, given: Mapping[str, Any], /) -> Callable[[Any], Sequence[str] | None]:
        """Return the check of an answer: why it fails, or None where it passes; InputError if it cannot be read."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How a verb stands on the command line: its help, the groups of options behind its own, and its gate."""

    about: str
    groups: tuple[Group, ...] = ()
    doing: str = ""  # a word about progress
    gate: Gate | None = None
    gate_options: Group | None = None  # of the command line alone
    hint: str = ""  # for a terminal, where the verb could have written a file and did not


Function = TypeVar("Function", bound=Callable[..., Any])
COMMANDS: Final[dict[Callable[..., Any], Command]] = {}


def command(
    about: str,
    *groups: Group,
    doing: str = "",
    gate: Gate | None = None,
    gate_options: Group | None = None,
    hint: str = "",
) -> Callable[[Function], Function]:
    """Say how a function stands on the command line; the function itself is left as it is."""

    def keep(function: Function) -> Function:
        COMMANDS[function] = Command(
            about=about, groups=groups, doing=doing, gate=gate, gate_options=gate_options, hint=hint
        )
        return function

    return keep
