"""Write docs/prices.md: what training well-known models takes and costs, beside what was published of it.

make pages
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import isocost
from isocost.errors import InputError
from isocost.forecast import Forecast
from isocost.units import HOUR_S, show
from pages.whole_runs import Estimate as Hours
from pages.whole_runs import PublishedRun, compare_runs, read_published, read_reasons

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "prices.md"
# Published run -> shipped model, and what was published of how it was trained: software, network, precision.
RUNS: Mapping[str, dict[str, Any]] = {
    "GPT-3 175B": {
        "model": "gpt3-175b",
        "seq_len": 2048,
        "global_batch": 1536,
        "gpus": 8192,
        "precision": "fp16",
        "stack": "megatron-lm-2021",
    },
    "LLaMA-65B": {"model": "llama-65b", "seq_len": 2048, "global_batch": 2048, "gpus": 2048},
    "Llama 2 70B": {"model": "llama-2-70b", "seq_len": 4096, "global_batch": 1024, "gpus": 2048},
    "Llama 3.1 70B": {"model": "llama-3.1-70b", "seq_len": 8192, "global_batch": 2048, "gpus": 8192},
    "Llama 3.1 405B": {
        "model": "llama-3.1-405b",
        "seq_len": 8192,
        "global_batch": 2048,
        "gpus": 16384,
        "fabric": "roce-400-llama3",
    },
    "DeepSeek-V3 (pre-training)": {
        "model": "deepseek-v3",
        "seq_len": 4096,
        "global_batch": 15360,
        "gpus": 2048,
        "precision": "fp8",
        "stack": "hai-llm",
    },
}
# Layouts as published: the planner's own is forecast above, this one beside it.
LAYOUTS: Mapping[str, dict[str, int]] = {
    "Llama 3.1 405B": {"tp": 8, "pp": 16},
    "DeepSeek-V3 (pre-training)": {"tp": 1, "pp": 16, "cp": 1, "ep": 64},
}
# Of runs on chips that nobody lists a price of: the same run on one that is for rent.
TODAY: Mapping[str, dict[str, Any]] = {
    "GPT-3 175B": {"on": "h100-sxm5-80gb", "gpus": 1024, "precision": "bf16", "stack": "megatron-core"},
    "DeepSeek-V3 (pre-training)": {"on": "h100-sxm5-80gb"},
}
# Published hours are of the final run: what comes before its first step is not in them.
CONDITIONS: Mapping[str, Any] = {"support": {"level": "expert", "standby": "warm", "bring_up": "1 s"}}
# Of misses against a forecast that knows attention and the layout; run_cost_misses.csv is about 6 N D alone.
REASONS: Mapping[str, str] = {
    "Llama 3.1 70B": "the hours hold the stages with sequences of up to 131,072 tokens, which this forecast at 8,192 "
    "leaves out; the 70B model of the release before, without them, took 6.4 million (0.79 with it). GPUs, layout and "
    "goodput of the run are not published, so that the rest is open",
    "GPT-3 175B": "the hours are no count but an estimate (Patterson et al., 10,000 V100 at 24.6 TFLOP/s, 20 % of peak)"
    "; the software of 2020 is not published, and that of 2021, which is assumed here, was faster",
}
HEAD = """# Prices

What training well-known models takes, forecast by the planner: on the accelerators and their number as used, under the
software and on the network as published, else those that are usual today; the layout is searched. Interruptions and
stragglers are in; bring-up is left out, as published hours leave it out. The bill is at today's prices on demand. In
brackets: the interval that holds 90 % of the draws. `make pages` writes this page.

"""
BESIDE = """
## With the published layout

Above, the planner takes the fastest layout that fits. Where the layout was published, this is the forecast with it:

| run | layout as published | predicted, GPU-h | 90 % interval | predicted / published |
|---|---|---:|---:|---:|
"""
ENOUGH = """
For DeepSeek-V3 the layout without tensor parallelism fits here only if the whole forward pass is recomputed, which
takes a fifth of the step. The run recomputed norms and up-projections only, which is no choice of the planner yet.
"""


def forecast(run: PublishedRun, **changes: Any) -> Forecast | None:
    """Return the forecast of a published run, or of one changed; None where it is not one of these."""
    known = RUNS.get(run.model)
    if known is None or run.tokens_b is None:
        return None
    asked = {**known, **CONDITIONS, "on": run.accelerator, "tokens": f"{run.tokens_b} B", **changes}
    found = isocost.estimate(asked)
    if found.answer.forecast is None:
        raise InputError([isocost.Problem(run.model, found.sentence)])
    return found.answer.forecast


def hours_of(o: Forecast | None) -> Hours | None:
    """Return the hours of a forecast with their interval."""
    if o is None:
        return None
    q = o.quantiles()["gpu_hours"]
    return Hours(low_s=HOUR_S * q["p05"], median_s=HOUR_S * q["p50"], high_s=HOUR_S * q["p95"])


def forecasts(runs: list[PublishedRun], by_model: Mapping[str, Forecast | None]) -> str:
    """Return the table of days and bills, with the price of an hour behind each, its spread and date."""
    lines = ["| run | on | days | full bill | price of a GPU-hour | goodput |", "|---|---|---:|---:|---:|---:|"]
    for run in runs:
        known = by_model[run.model]
        gpus = RUNS[run.model]["gpus"]
        lines += [] if known is None else [_line(run.model, run.accelerator, gpus, known)]
        if other := TODAY.get(run.model):
            today = forecast(run, **other)
            chip, gpus = other["on"], other.get("gpus", gpus)
            lines += [] if today is None else [_line(f"{run.model}, today", chip, gpus, today)]
    return "\n".join(lines) + "\n"


def _line(name: str, chip: str, gpus: int, o: Forecast) -> str:
    q = o.quantiles()
    days = f"{q['days']['p50']:,.0f} ({q['days']['p05']:,.0f} to {q['days']['p95']:,.0f})"
    offer = isocost.load_catalog().reference_offer(chip)
    bill, price = "-", "nobody lists one"
    if "cost_usd" in q and offer is not None:
        low, middle, high = (show(q["cost_usd"][end], "USD") for end in ("p05", "p50", "p95"))
        bill = f"{middle} ({low} to {high})"
        low, middle, high = (
            f"{HOUR_S * end:.2f}" for end in (offer.low_usd_per_s, offer.median_usd_per_s, offer.high_usd_per_s)
        )
        price = f"${middle} ({low} to {high}), {offer.fact.as_of}"
    return f"| {name} | {gpus:,} x {chip} | {days} | {bill} | {price} | {q['goodput_frac']['p50']:.0%} |"


def beside(runs: list[PublishedRun]) -> str:
    """Return the forecasts with the layouts as published."""
    lines = []
    for run in runs:
        layout = LAYOUTS.get(run.model)
        found = None if layout is None else hours_of(forecast(run, **layout))
        if layout is None or found is None or run.gpu_hours is None:
            continue
        low, middle, high = (f"{float(f'{s / HOUR_S:.3g}'):,.0f}" for s in (found.low_s, found.median_s, found.high_s))
        words = ", ".join(f"{name} {size}" for name, size in layout.items())
        ratio = found.median_s / HOUR_S / run.gpu_hours
        lines.append(f"| {run.model} | {words} | {middle} | {low} to {high} | {ratio:.2f} |")
    return BESIDE + "\n".join(lines) + "\n" + ENOUGH


def page() -> str:
    """Return the page."""
    runs = [run for run in read_published(ROOT / "evidence" / "run_costs.csv") if run.model in RUNS]
    by_model = {run.model: forecast(run) for run in runs}
    reasons = read_reasons(ROOT / "evidence" / "run_cost_misses.csv") | dict(REASONS)
    table = compare_runs(runs, lambda run: hours_of(by_model[run.model]), reasons)
    against = "\n## Against published hours\n\n" + table.markdown()
    return HEAD + forecasts(runs, by_model) + against + beside(runs)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
