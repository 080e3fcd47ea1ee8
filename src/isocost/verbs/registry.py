"""The verbs: one line each. The command line, ``import isocost`` and a page read them from here.

A verb is a function of the same name in the ``ask`` module of its folder: plain arguments in, an answer out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb: its name (of two words where it belongs to a group), where it lives, what it answers, an example."""

    name: str
    module: str
    summary: str
    example: str

    @property
    def function(self) -> str:
        """The name of the function that answers, which is its name in Python too."""
        return self.name.replace(" ", "_").replace("-", "_")

    @property
    def group(self) -> str:
        """The group it belongs to; empty for a verb of one word."""
        return self.name.rpartition(" ")[0]

    def load(self) -> Callable[..., Any]:
        """Return the function that answers."""
        function: Callable[..., Any] = getattr(import_module(self.module), self.function)
        return function


@dataclass(frozen=True, slots=True)
class Group:
    """Verbs of two words that share the first."""

    name: str
    summary: str  # in the list of verbs
    about: str
    example: str


# In the order of the help: first one run, then what is around it, then your own runs, then facts.
VERBS: Final = (
    Verb(
        "plan",
        "isocost.verbs.plan.ask",
        "Choose accelerator, GPU count and layout for a run.",
        "isocost plan --model llama-3.1-70b --tokens '15 T' --deadline '60 d' --gpus 64..8192",
    ),
    Verb(
        "estimate",
        "isocost.verbs.plan.ask",
        "Say what a given number of GPUs takes and costs.",
        "isocost estimate examples/llama-3.1-70b.toml --gpus 1024 --tp 8 --pp 4 --micro-batch 1",
    ),
    Verb(
        "show",
        "isocost.verbs.show.ask",
        "Show a saved answer again, in any format.",
        "isocost show plan.json --format html -o plan.html",
    ),
    Verb(
        "explain",
        "isocost.verbs.plan.explain",
        "Show how a number came about, term by term.",
        "isocost explain plan.json step_time",
    ),
    Verb(
        "compare",
        "isocost.verbs.compare.ask",
        "Compare two offers for one run, or a plan with its run's log.",
        "isocost compare examples/purpose-built.toml examples/conventional.toml; or compare plan.json train.log",
    ),
    Verb(
        "goodput",
        "isocost.verbs.goodput.ask",
        "Show where the time of a run goes, and how often to save.",
        "isocost goodput examples/llama-3.1-405b.toml --checkpoint-interval auto",
    ),
    Verb(
        "tco",
        "isocost.verbs.tco.ask",
        "Show every way to pay for a plan, and where owning breaks even.",
        "isocost tco examples/llama-3.1-405b.toml --years 1,3,5 --wait '6 months'",
    ),
    Verb(
        "program",
        "isocost.verbs.program.ask",
        "Show the bill of the whole programme around a plan.",
        "isocost program examples/llama-3.1-70b.toml --people 20 --salary '300 kUSD'",
    ),
    Verb(
        "frontier",
        "isocost.verbs.frontier.ask",
        "Choose what to train for a budget, a deadline and data.",
        "isocost frontier --budget '2 MUSD' --deadline '60 d' --on b200-sxm-180gb --data '3 T'",
    ),
    Verb(
        "fleet",
        "isocost.verbs.fleet.ask",
        "Say how many nodes of which offer a mix of workloads needs.",
        "isocost fleet examples/fleet/year.toml",
    ),
    Verb(
        "doctor",
        "isocost.verbs.doctor.ask",
        "Read a log or a trace: where time went, what would raise MFU.",
        "isocost doctor train.log --format json",
    ),
    Verb(
        "calibrate",
        "isocost.verbs.calibrate.ask",
        "Fit your own stack and site on a handful of your runs.",
        "isocost calibrate examples/my_runs.csv -o my_site.toml",
    ),
    Verb(
        "validate",
        "isocost.verbs.validate.ask",
        "Compare predictions with measured runs: shipped, or your own.",
        "isocost validate --format json -o accuracy.json",
    ),
    Verb(
        "model",
        "isocost.verbs.model.ask",
        "Show a model: parameters, FLOPs per token, bytes of state.",
        "isocost model llama-3.1-70b --seq-len 8192 --format json",
    ),
    Verb(
        "catalog list",
        "isocost.verbs.catalog.ask",
        "List all entries of a kind, with their dates.",
        "isocost catalog list accelerators",
    ),
    Verb(
        "catalog show",
        "isocost.verbs.catalog.ask",
        "Show one entry in full: every fact, where it is from, and the prices.",
        "isocost catalog show h100-sxm5-80gb",
    ),
    Verb(
        "catalog check",
        "isocost.verbs.catalog.ask",
        "List facts that are stale, disputed, from memory, missing or without a price.",
        "isocost catalog check --catalog my-quotes.toml --strict",
    ),
    Verb(
        "scaling list",
        "isocost.verbs.scaling.ask",
        "List the shipped laws, with their reach and grade.",
        "isocost scaling list",
    ),
    Verb(
        "scaling show",
        "isocost.verbs.scaling.ask",
        "Show one law: parameters with their uncertainty, corpus, range of validity, source.",
        "isocost scaling show besiroglu",
    ),
    Verb(
        "scaling fit",
        "isocost.verbs.scaling.ask",
        "Fit E + A/N^alpha + B/D^beta to your own runs; '-o my_law.toml' writes the law for '--law my_law.toml'.",
        "isocost scaling fit my_runs.csv -o my_law.toml",
    ),
    Verb(
        "scaling optimum",
        "isocost.verbs.scaling.ask",
        "Say how large a model on how many tokens makes the least loss for an amount of arithmetic.",
        "isocost scaling optimum --law besiroglu --flop 1e24 --format json",
    ),
)
GROUPS: Final = (
    Group(
        "catalog",
        "The dated facts: chips, networks, prices, models, stacks.",
        "The dated facts: chips, networks, prices, models, software stacks.",
        "isocost catalog show h100-sxm5-80gb",
    ),
    Group(
        "scaling",
        "Scaling laws: what to train, and the fit of your own.",
        "Scaling laws: what to train on an amount of arithmetic, and the fit of a law to your own runs.",
        "isocost scaling optimum --flop 1e24 --law besiroglu,hoffmann,llama3",
    ),
)
