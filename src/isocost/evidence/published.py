"""The step time of a run that printed a rate instead: published MFU or TFLOP/s turned back into seconds."""

from __future__ import annotations

from isocost.catalog.records import rates_by_precision
from isocost.evidence.run import MeasuredRun
from isocost.perf.case import Case
from isocost.workload.flops import train_flop_per_token

# Four passes of arithmetic instead of three: what a "hardware" rate under full recompute counts.
REPLAYED = 4.0 / 3.0
HARDWARE = ("hardware", "counts recompute")
NOT_STATED = ("none", "unclear")


def published_step_s(run: MeasuredRun, case: Case) -> float | None:
    """Seconds of a step: as measured, or from the printed rate where its count of FLOPs is stated; None otherwise.

    A rate is taken to count 6 FLOPs a token and parameter without the input embedding and attention over the full
    square, as in the PaLM report; one called hardware counts the replay as well. MFU is over the dense 16-bit peak.
    """
    if run.step_s:
        return run.step_s
    convention = (run.flops_convention or "").lower()
    if not convention or convention.startswith(NOT_STATED):
        return None
    if run.published_tflops_per_gpu:
        rate = run.published_tflops_per_gpu * 1e12
    elif run.published_mfu:
        peak = rates_by_precision(case.accelerator)["bf16"]
        if peak is None:
            return None
        rate = run.published_mfu * peak
    else:
        return None
    flop = train_flop_per_token(case.architecture, case.seq_len, causal=False) * case.seq_len * case.global_batch_seqs
    counted = flop * (REPLAYED if any(word in convention for word in HARDWARE) else 1.0)
    return counted / (rate * case.gpus)
