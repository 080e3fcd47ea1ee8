"""Write docs/prices.md: what training well-known models takes and costs, beside what was published of it.

python scripts/prices_page.py
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import isocost
from isocost.errors import InputError
from isocost.forecast import Outlook
from isocost.units import show
from isocost.whole_runs import Estimate as Hours
from isocost.whole_runs import PublishedRun, compare_runs, read_published, read_reasons

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "prices.md"
# Published run -> shipped model, and what is known of how it was trained.
RUNS: Mapping[str, dict[str, Any]] = {
    "GPT-3 175B": {"model": "gpt3-175b", "seq_len": 2048, "global_batch": 1536, "gpus": 8192, "precision": "fp16",
                   "stack": "megatron-lm-2021"},
    "LLaMA-65B": {"model": "llama-65b", "seq_len": 2048, "global_batch": 2048, "gpus": 2048},
    "Llama 2 70B": {"model": "llama-2-70b", "seq_len": 4096, "global_batch": 1024, "gpus": 2048},
    "Llama 3.1 70B": {"model": "llama-3.1-70b", "seq_len": 8192, "global_batch": 2048, "gpus": 8192},
    "Llama 3.1 405B": {"model": "llama-3.1-405b", "seq_len": 8192, "global_batch": 2048, "gpus": 16384},
    "DeepSeek-V3 (pre-training)": {"model": "deepseek-v3", "seq_len": 4096, "global_batch": 15360, "gpus": 2048,
                                   "precision": "fp8"},
}  # fmt: skip
# Published hours are of the final run: what comes before its first step is not in them.
CONDITIONS: Mapping[str, Any] = {"support": {"level": "expert", "standby": "warm", "bring_up": "1 s"}}
# Of misses that the evidence does not explain.
REASONS: Mapping[str, str] = {
    "DeepSeek-V3 (pre-training)": "trained with a stack of its own, without tensor parallelism and with the traffic of "
    "experts behind compute; the default stack, which is assumed here, waits a quarter of its step for traffic and "
    "spends 30 % in the products of experts"
}
HEAD = """# Prices

What training well-known models takes, forecast by the planner: layout searched on the accelerators and their number as
used, interruptions and stragglers in, bring-up left out as published hours leave it out. Beside it what was published,
and the bill today on demand. Intervals hold 90 % of the draws. The planner takes the fastest layout under a stack of
today, so that a run of another stack and year took longer; `python scripts/prices_page.py` writes this page.

"""


def forecast(run: PublishedRun) -> Outlook | None:
    """Return the forecast of a published run; None where it is not one of these."""
    known = RUNS.get(run.model)
    if known is None or run.tokens_b is None:
        return None
    asked = {**known, **CONDITIONS, "on": run.accelerator, "tokens": f"{run.tokens_b} B"}
    found = isocost.estimate(asked)
    if found.answer.outlook is None:
        raise InputError([isocost.Problem(run.model, found.sentence)])
    return found.answer.outlook


def page() -> str:
    """Return the page."""
    runs = [run for run in read_published(ROOT / "evidence" / "run_costs.csv") if run.model in RUNS]
    outlooks = {run.model: forecast(run) for run in runs}

    def hours(run: PublishedRun) -> Hours | None:
        o = outlooks[run.model]
        q = None if o is None else o.quantiles()["gpu_hours"]
        return None if q is None else Hours(low_s=3600 * q["p05"], median_s=3600 * q["p50"], high_s=3600 * q["p95"])

    reasons = read_reasons(ROOT / "evidence" / "run_cost_misses.csv") | dict(REASONS)
    table = compare_runs(runs, hours, reasons)
    lines = ["| run | days | full bill | goodput |", "|---|---:|---:|---:|"]
    for name, o in outlooks.items():
        if o is None:
            continue
        q = o.quantiles()
        days = f"{q['days']['p50']:,.0f} ({q['days']['p05']:,.0f} to {q['days']['p95']:,.0f})"
        bill = "not priced"
        if "cost_usd" in q:
            low, middle, high = (show(q["cost_usd"][end], "USD") for end in ("p05", "p50", "p95"))
            bill = f"{middle} ({low} to {high})"
        lines.append(f"| {name} | {days} | {bill} | {q['goodput_frac']['p50']:.0%} |")
    return HEAD + "\n".join(lines) + "\n\n## Against published hours\n\n" + table.markdown()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
