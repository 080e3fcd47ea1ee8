"""Step times from printed rates."""

from __future__ import annotations

from dataclasses import replace

import pytest
from samples.cases import case

from isocost.evidence.published import published_step_s
from isocost.evidence.run import MeasuredRun
from isocost.workload.flops import train_flop_per_token

RUN = MeasuredRun(line=2, id="a", complete=False, published_mfu=0.4, flops_convention="model FLOPs, MFU on 989.4")
CASE = case()
FLOP = train_flop_per_token(CASE.architecture, 8192, causal=False) * 8192 * 128


def test_a_printed_mfu_becomes_seconds() -> None:
    """Model FLOPs of the step over the rate of all GPUs: MFU x dense 16-bit peak of the chip."""
    assert published_step_s(RUN, CASE) == pytest.approx(FLOP / (0.4 * 989.4e12 * 8), rel=1e-3)


def test_a_printed_rate_becomes_seconds_and_replays_count_where_said() -> None:
    """TFLOP/s need no peak; a hardware count has four passes where the model's has three."""
    rate = replace(RUN, published_mfu=None, published_tflops_per_gpu=400.0, flops_convention="hardware, 4 passes")
    assert published_step_s(rate, CASE) == pytest.approx(FLOP * 4 / 3 / (400e12 * 8), rel=1e-12)


def test_a_measured_time_is_taken_as_it_is() -> None:
    """Where the row has seconds, no rate is asked."""
    assert published_step_s(replace(RUN, step_s=3.0), CASE) == 3.0


@pytest.mark.parametrize("convention", [None, "none (step time from logs)", "unclear (see notes)"])
def test_a_rate_that_counts_nobody_knows_what_is_left_out(convention: str | None) -> None:
    """Without a stated count of FLOPs there is no time."""
    assert published_step_s(replace(RUN, flops_convention=convention), CASE) is None
