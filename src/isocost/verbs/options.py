"""The options of the verbs, each declared once: the command line, its help and, later, a page read them from here.

An option of one verb stands in the signature of its function, ``Annotated[str | None, Option(...)]``; those that verbs
take together stand in the groups below, keys of a scenario as they are declared there. All are text at the edge: the
scenario reads and checks them, together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final, Protocol, TypeVar

from isocost.scenario.record import KEYS

_GATES = "Gates for scripts"
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


def _keys(*names: str) -> Group:
    """Return keys of a scenario as options, in the words of their declarations."""
    return {name: Option(metavar=KEYS[name].metavar, about=KEYS[name].help, panel=KEYS[name].panel) for name in names}


def _flag(metavar: str, about: str, panel: str) -> Option:
    return Option(metavar=metavar, about=about, panel=panel)


SCENARIO: Final = Argument(metavar="SCENARIO.toml", about="A scenario; flags override its keys.")
ONE_SCENARIO: Final = Argument(metavar="SCENARIO.toml", about="A scenario.", kind=str)
WHAT: Final = _keys("model", "tokens", "seq_len", "global_batch")
LIMITS: Final = _keys("deadline", "budget", "power_cap")
CONFIDENCE: Final = _keys("confidence")
TOP: Final = _keys("top")
WHERE: Final = _keys("on", "gpus", "fabric", "term", "catalog")
LAYOUT: Final = _keys(
    "stack",
    "calibration",
    "precision",
    "tp",
    "pp",
    "vp",
    "cp",
    "ep",
    "micro_batch",
    "recompute",
    "sharding",
    "schedule",
)
SWITCHES: Final = _keys(
    "attention_kernel", "norm_kernel", "gradient_precision", "compiled", "cuda_graphs", "tp_overlap"
)
GATES: Final[Group] = {
    "max_cost": _flag("MONEY", "Leave with 1 if the bill is more: '2 MUSD'.", _GATES),
    "max_days": _flag("DAYS", "Leave with 1 if the run takes longer.", _GATES),
    "fail_if": Option(
        metavar="CONDITION",
        about="Leave with 1 if it holds: 'cost_usd.p90 > 2e6'.",
        panel=_GATES,
        kind=list[str] | None,
    ),
}
EXPLAIN: Final = Option(about="Add the terms of the step time and their constants.", panel=_OUT, kind=bool)
# What the command line adds to verbs whose answer has more sections than a screen, and to every verb.
SECTIONS: Final[Group] = {
    "show": _flag("NAME,...", "Sections to print after the sentence, or all.", _OUT),
}
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


Function = TypeVar("Function", bound=Callable[..., Any])
COMMANDS: Final[dict[Callable[..., Any], Command]] = {}


@dataclass(frozen=True, slots=True)
class Command:
    """How a verb stands on the command line; put above a function, which it leaves as it is."""

    about: str = ""  # its help; left out: the summary of the registry
    groups: tuple[Group, ...] = ()  # of options behind its own
    _: KW_ONLY
    doing: str = ""  # a word about progress
    gate: Gate | None = None
    gate_options: Group | None = None  # of the command line alone
    sections: tuple[str, ...] | None = None  # that --show can name; empty: known with the answer only; None: no --show
    hint: str = ""  # for a terminal, where the verb could have written a file and did not

    def __call__(self, function: Function) -> Function:
        """Keep the command of a function."""
        COMMANDS[function] = self
        return function
