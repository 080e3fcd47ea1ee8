"""What makes steps slower than those of a healthy machine: slow ranks, hot chips, capped power."""

from __future__ import annotations

import numpy as np

from isocost.num import Num, safe_div
from isocost.term import term


@term(unit="ratio", source="derived", domain={"ranks": (2.0, 16384.0), "variation_frac": (0.001, 0.1)})
def jitter_factor(*, ranks: Num, variation_frac: Num) -> Num:
    """1 + cv sqrt(2 ln N)

    Mean of the slowest of N ranks over the mean rank, for step times that vary independently (F17).

    ranks: that wait for each other, N. variation_frac: coefficient of variation of a rank's time, cv.
    Ignores: heavier tails than the normal one; the asymptotic form is up to 15 % high below N = 100.
    Source: derived; extreme value of normal variables.
    """
    return 1.0 + variation_frac * np.sqrt(2.0 * np.log(ranks))


@term(
    unit="ratio",
    source="falcon2024",
    domain={"events_per_s": (1e-7, 1e-5), "duration_s": (60.0, 36000.0), "slowdown": (1.0, 2.0)},
)
def fail_slow_excess(*, events_per_s: Num, duration_s: Num, slowdown: Num) -> Num:
    """1 / (1 - q + q / slowdown) - 1, q = rate duration / (1 + rate duration)

    Extra time, per second of healthy work, of periods in which a part of the machine is slow and all wait for it; at
    most slowdown - 1.

    events_per_s: fail-slow periods, per second of the job. duration_s: of one. slowdown: step time then over healthy.
    Source: falcon2024 (periods of tens of seconds to ten hours).
    """
    busy = events_per_s * duration_s
    slow_frac = np.divide(busy, 1.0 + busy)  # periods do not overlap: alternating renewal
    kept = 1.0 - slow_frac + np.divide(slow_frac, slowdown)
    return np.divide(1.0, kept) - 1.0


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
