"""A small question and what several files ask of the search with it."""

from __future__ import annotations

import dataclasses
import math

from isocost.calibration.priors import PRIORS
from isocost.catalog import Accelerator, load_catalog
from isocost.catalog.stacks import recipe
from isocost.perf.constants import Constant
from isocost.search import Answer, Candidate, Option, Question, plan
from isocost.search.plan import Searcher
from isocost.search.pool import Evaluations
from isocost.workload.presets import preset

CATALOG = load_catalog()
# The prior values, so that a new fit of the shipped constants changes no expectation here.
CONSTANTS = {
    name: Constant(value=p.value, prior=p.value, sd=p.sd, posterior_sd=p.sd, rows=0, unit=p.unit, meaning=p.meaning)
    for name, p in PRIORS.items()
}
TINY, EXPERT = preset("tinyllama-1.1b"), preset("deepseek-v2-lite")
DAY = 86400.0


def option_of(name: str, price: float | None = 1e-3, **changes: object) -> Option:
    """Return an accelerator with its network and price."""
    accelerator: Accelerator = dataclasses.replace(CATALOG.accelerator(name), **changes)  # type: ignore[arg-type]
    return Option(
        accelerator=accelerator, fabric=CATALOG.fabric_of(accelerator), label=name, median_usd_per_s=price,
        low_usd_per_s=price and 0.5 * price, high_usd_per_s=price and 2 * price,
    )  # fmt: skip


H100, A100, H200 = option_of("h100-sxm5-80gb"), option_of("a100-sxm4-80gb", 5e-4), option_of("h200-sxm-141gb", 1.3e-3)
QUESTION = Question(
    architecture=TINY, tokens=300e9, seq_len=2048, options=(H100, A100), gpu_counts=(8, 16, 24), global_batch_seqs=96,
    recipe=recipe("megatron-core"),
)  # fmt: skip
change = dataclasses.replace


def pool_of(question: Question) -> Evaluations:
    """Return all layouts of a question, evaluated."""
    return Searcher(CATALOG, CONSTANTS).pool(question)


def plan_of(question: Question) -> Answer:
    """Return the answer to a question."""
    return plan(question, CATALOG, CONSTANTS)


def cost_of(candidate: Candidate | None) -> float:
    """Return the median bill of a plan; infinite without one."""
    return math.inf if candidate is None or candidate.cost_usd is None else candidate.cost_usd.median


def fields_of(candidate: Candidate) -> dict[str, object]:
    """Return the fields of a plan."""
    return {f.name: getattr(candidate, f.name) for f in dataclasses.fields(candidate)}
