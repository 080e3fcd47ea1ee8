"""No dead law: every registered term is called by a verb on a small example, or is listed here with its caller."""

from __future__ import annotations

import importlib
import os
import pkgutil
import shlex
from contextlib import chdir, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import isocost
import isocost.laws
import isocost.money
from isocost import scaling, term
from isocost.cli import run
from isocost.search import chunks
from isocost.term import TERMS, Node

for package in (isocost.laws, isocost.money):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)

EXAMPLES = Path(__file__).parents[2] / "examples"

SMALL = {"model": "llama-3.1-8b", "tokens": "100 B", "on": "h100-sxm5-80gb", "gpus": 64, "deadline": "60 d"}
UNPRICED = SMALL | {"on": "v100-sxm2-32gb", "precision": "fp16", "deadline": None}
SERVING = {"name": "chat", "serve": "4 ktoken/s", "model": "llama-3.1-8b", "efficiency": "15 %", "until": "4 weeks"}
OFFER = {"name": "on demand", "accelerator": "h100-sxm5-80gb", "price": "3.90 USD/gpu/h", "available": 64}

# Commands in examples/: between them and ``_in_python`` they take every branch that has a law of its own.
COMMANDS = (
    "estimate deepseek-v3.toml --gpus 1024 --precision fp8",
    "estimate run.toml --cp 2 --sharding zero3",
    "goodput llama-3.1-405b.toml --checkpoint-interval auto",
    "tco run.toml --years 3 --wait '6 months'",
    "tco owned-h100.toml --years 3",
    "program startup.toml",
    "frontier startup.toml --serve '1 T'",
    "scaling optimum --flop 1e24 --law besiroglu,hoffmann,llama3",
    "doctor run.log --scenario run.toml",
    "calibrate my_runs.csv",
    "catalog check",
    "model deepseek-v3",
    "validate",
)


def _in_python() -> None:
    isocost.plan(SMALL, reliability={"age": "10 d"}).explain()
    isocost.explain(isocost.plan(UNPRICED), "cost")
    isocost.compare(SMALL, SMALL | {"fabric": "roce-400"}).explain()
    isocost.fleet({"start": "2027-01-04", "workload": [SERVING], "offer": [OFFER]}).explain()
    scaling.tokens_for_loss(2.2, 7e9)
    for law in ("kaplan", "krajewski"):
        scaling.loss_of(7e9, 1e12, law)


# Called by no verb: who calls it instead.
ELSEWHERE = {
    "ettr_linear_frac": "docs/goodput.md: a published closed form that ours is compared with",
    "ettr_renewal_frac": "docs/goodput.md: a published closed form that ours is compared with",
    "mean_time_to_failure_s": "docs/goodput.md: published failure rates at other sizes",
    "evaluation_excess": "docs/goodput.md: the pauses of BLOOM",
    "dense_training_flop": "docs/money.md: whole runs by 6 N D",
    "training_accelerator_s": "docs/money.md: whole runs by 6 N D",
    "useful_usd_per_s": "docs/money.md: an owned accelerator from Python; plans have dollars a run",
}


@cache
def called() -> frozenset[str]:
    """Return the terms that the examples call, also where an explanation records a part of its own.

    Threads have no recorder, so chunks are evaluated in this one.
    """
    names = set()

    def noted(**fields: Any) -> Node:
        names.add(fields["name"])
        return Node(**fields)

    with pytest.MonkeyPatch.context() as patch, chdir(EXAMPLES), open(os.devnull, "w") as nowhere:
        patch.setattr(term, "Node", noted)
        patch.setattr(chunks, "MOST_THREADS", 1)
        with term.recording(), redirect_stdout(nowhere):
            codes = {command: run(shlex.split(command)) for command in COMMANDS}
            _in_python()
    assert [command for command, code in codes.items() if code] == []
    return frozenset(names)


def test_every_term_is_reached() -> None:
    """A term without a caller is dead: give it one, or take it out with its tests and sources."""
    assert sorted(TERMS.keys() - called() - ELSEWHERE.keys()) == []


def test_what_is_called_elsewhere_is_not_reached() -> None:
    """The list holds terms, and none that a verb has come to call."""
    assert sorted(ELSEWHERE.keys() - TERMS.keys()) == []
    assert sorted(ELSEWHERE.keys() & called()) == []
