"""What makes steps slower than those of a healthy machine: hot chips, capped power, pauses to evaluate.

Machines that turned slow are a measured share of time, a fact of reliability.toml; jitter between healthy ranks is in
the law of the step.
"""

from __future__ import annotations

import numpy as np

from isocost.num import Num, safe_div
from isocost.term import term


@term(unit="ratio", source="derived", domain={"slow_clock_frac": (0.5, 1.0)})
def throttle_excess(*, compute_frac: Num, slow_clock_frac: Num) -> Num:
    """compute share (1 / clock - 1)

    Extra time, per second of healthy work, when chips run at a part of their clock: only the part of a step that waits
    for arithmetic grows.

    compute_frac: part of the step that scales with the clock. slow_clock_frac: mean clock over the nominal one.
    Ignores: that one hot chip slows all (give the clock of the slowest).
    Source: derived.
    """
    return compute_frac * (np.divide(1.0, slow_clock_frac) - 1.0)


@term(unit="ratio", source="chandrakasan1992", domain={"power_exponent": (1.5, 3.0)})
def clock_under_cap_frac(*, power_frac: Num, power_exponent: Num) -> Num:
    """min(1, power^(1 / a))

    Clock that is left when power or cooling caps the draw. Dynamic power goes with the clock times the square of the
    voltage; where voltage follows the clock, a = 3.

    power_frac: allowed draw over the draw at full clock. power_exponent: a.
    Ignores: static power, which makes the loss larger, and memory-bound phases, which draw less.
    Source: chandrakasan1992.
    """
    return np.minimum(1.0, np.power(power_frac, np.divide(1.0, power_exponent)))


@term(unit="ratio", source="bloom_chronicles", domain={"every_s": (1e3, 1e5)})
def evaluation_excess(*, evaluation_s: Num, every_s: Num) -> Num:
    """evaluation / interval

    Extra time, per second of training, for pauses to evaluate.

    evaluation_s: of one. every_s: training between two, 0 for never.
    Source: bloom_chronicles (12 minutes every 1,000 steps of 105 s).
    """
    return safe_div(evaluation_s, every_s)
