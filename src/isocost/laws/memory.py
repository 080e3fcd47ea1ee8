"""Memory of a rank: what a stage keeps of its activations, what a chip has, and the chance that a peak fits."""

from __future__ import annotations

import numpy as np

from isocost.num import Num
from isocost.term import term
from isocost.units import GIB

USABLE_FRAC = 0.99  # of the marketed GB, read as 2**30: the driver keeps about 1 % (A100 80 GB: 79.15 GiB visible)
FIT_SIGMA = 0.09  # spread of log(measured / predicted) peak of runs whose recipe is known


@term(unit="B", source="korthikanti2022")
def stage_activation_bytes(
    *, in_flight: Num, layers: Num, saved_bytes: Num, ends_bytes: Num, stage_output_bytes: Num
) -> Num:
    """bytes = in_flight (layers saved_bytes + ends_bytes + stage_output_bytes).

    Activations a stage keeps for the micro-batches whose backward pass is still to come.

    Args:
        in_flight: micro-batches in flight on the stage (chunks in flight over chunks a stage).
        layers: blocks of the stage.
        saved_bytes: kept per block and micro-batch.
        ends_bytes: kept per micro-batch by the embedding or the head.
        stage_output_bytes: kept per micro-batch by stacks that hold on to what a stage sends.

    Source: korthikanti2022, section 4.2.3.
    """
    return in_flight * (layers * saved_bytes + ends_bytes + stage_output_bytes)


@term(unit="1", source="abramowitz1964", domain={"total_bytes": (1e9, 1e12), "capacity_bytes": (1e9, 1e12)})
def fits_probability(*, total_bytes: Num, capacity_bytes: Num, sigma: Num) -> Num:
    """p = Phi(ln(capacity_bytes / total_bytes) / sigma).

    Probability that a predicted peak fits, its error being log-normal. The normal distribution function is the
    rational approximation 26.2.17, whose absolute error is below 7.5e-8.

    Args:
        total_bytes: predicted peak, positive.
        capacity_bytes: memory a program can use.
        sigma: standard deviation of the log of measured over predicted.

    Source: abramowitz1964, 26.2.17.
    """
    z = np.log(capacity_bytes / total_bytes) / sigma
    t = 1.0 / (1.0 + 0.2316419 * np.abs(z))
    series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    upper_tail = 0.3989422804014327 * np.exp(-0.5 * z * z) * series
    return np.where(z > 0, 1.0 - upper_tail, upper_tail)[()]


@term(unit="B", source="hagemann2023", domain={"marketed_bytes": (1e9, 1e12)})
def usable_bytes(*, marketed_bytes: Num, usable_frac: Num) -> Num:
    """bytes = marketed_bytes / 1e9 2^30 usable_frac.

    Memory a program can use of a card sold as so many "GB" (1e9): the cards hold binary gigabytes, and the driver
    keeps about 1 %.

    Args:
        marketed_bytes: 80e9 for an "80 GB" card.
        usable_frac: share left by the driver.

    Source: hagemann2023 (out-of-memory labels of A100 80 GB).
    """
    return marketed_bytes * (GIB / 1e9) * usable_frac
