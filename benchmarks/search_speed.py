"""Speed of the search: layouts a second with memory and step time both evaluated, and the wall time of an example plan.

    python benchmarks/search_speed.py [--threads 2] [--repeat 7] [--check]

``--check`` exits with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable

from isocost.catalog import Catalog, load_catalog
from isocost.catalog.stacks import recipe
from isocost.laws.pipeline import SCHEDULES
from isocost.perf.constants import shipped
from isocost.perf.layouts import default_axes, legal_layouts
from isocost.search import Option, Question, plan
from isocost.search import chunks as evaluation
from isocost.search.evaluator import base_case, nic_bytes_per_s, small_axes, tables
from isocost.units import DAY_S
from isocost.workload.presets import preset

LAYOUTS_PER_S = 1e6
PEAK_BYTES = 2e9
PLAN_S = 3.0
PLAN_ACCELERATORS = ("h100-sxm5-80gb", "h200-sxm-141gb", "b200-sxm-180gb")


def option(catalog: Catalog, name: str) -> Option:
    chip, offer = catalog.accelerator(name), catalog.reference_offer(name)
    assert offer is not None
    return Option(
        accelerator=chip, fabric=catalog.fabric_of(chip), label=name, low_usd_per_s=offer.low_usd_per_s,
        median_usd_per_s=offer.median_usd_per_s, high_usd_per_s=offer.high_usd_per_s, fact=offer.fact,
    )  # fmt: skip


def evaluate_all(question: Question) -> tuple[int, float]:
    """Enumerate, prepare and evaluate every layout, fitting or not; returns their number and the seconds it took."""
    (chip,) = question.options
    started = time.perf_counter()
    axes = default_axes(question.architecture, question.gpu_counts, schedules=tuple(SCHEDULES))
    layouts = legal_layouts(
        question.architecture, axes, seq_len=question.seq_len, global_batch_seqs=question.global_batch_seqs or 1,
        domain=chip.accelerator.scaleup_domain,
    )  # fmt: skip
    small, nic = small_axes(layouts), nic_bytes_per_s(chip)
    prepared = [
        tables(base_case(question, chip, precision, nic), chip, layouts, small, shipped())
        for precision in question.precisions
    ]
    results = evaluation.evaluate(prepared, [math.inf] * len(prepared))
    seconds = time.perf_counter() - started
    assert all(result.timed == len(layouts) for result in results)
    return len(layouts) * len(prepared), seconds


def repeated(run: Callable[[], tuple[int, float]], repeat: int) -> tuple[int, float, float]:
    """Number of layouts, median and least seconds, after a first run that fills the caches of the catalogue."""
    run()
    runs = [run() for _ in range(repeat)]
    return runs[0][0], statistics.median(seconds for _, seconds in runs), min(seconds for _, seconds in runs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    evaluation.MOST_THREADS = arguments.threads
    catalog, stack = load_catalog(), recipe("megatron-core")
    print(f"{arguments.threads} threads on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    rates = []
    for model, seq_len, batch in (("llama-3.1-70b", 8192, 2048), ("gpt3-175b", 2048, 1536)):
        question = Question(
            architecture=preset(model), tokens=1e12, seq_len=seq_len, options=(option(catalog, "h100-sxm5-80gb"),),
            gpu_counts=(512,), recipe=stack, global_batch_seqs=batch, precisions=("bf16", "fp8"),
        )  # fmt: skip
        cpu_s = time.process_time()
        count, median, least = repeated(lambda q=question: evaluate_all(q), arguments.repeat)
        cpu_s = (time.process_time() - cpu_s) / (arguments.repeat + 1)
        rates.append(count / median)
        print(
            f"{model} on 512 GPUs: {count:,} layouts in {median:.3f} s (least {least:.3f}): "
            f"{count / median / 1e6:.2f} M layouts/s (best {count / least / 1e6:.2f}; "
            f"{count / cpu_s / 1e6:.2f} M a CPU-second)"
        )
    counts = tuple(sorted({2**k for k in range(6, 14)} | set(range(64, 8193, 8))))
    question = Question(
        architecture=preset("llama-3.1-70b"), tokens=15e12, seq_len=8192, gpu_counts=counts, recipe=stack,
        options=tuple(option(catalog, name) for name in PLAN_ACCELERATORS), deadline_s=60 * DAY_S,
    )  # fmt: skip
    walls = [plan(question, catalog, shipped()) for _ in range(3)]
    slowest = max(answer.seconds for answer in walls)
    print(
        f"plan on {len(PLAN_ACCELERATORS)} accelerators, {len(counts):,} GPU counts of 64 to 8,192: slowest of 3 "
        f"{slowest:.2f} s ({walls[0].layouts_considered:,} layouts, {walls[0].layouts_evaluated:,} with step time)"
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"peak memory {peak / 1e6:.0f} MB")
    met = max(rates) >= LAYOUTS_PER_S and peak < PEAK_BYTES and slowest < PLAN_S
    return 0 if met or not arguments.check else 1


if __name__ == "__main__":
    sys.exit(main())
