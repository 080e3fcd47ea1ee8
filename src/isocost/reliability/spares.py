"""Spare nodes: how many, and how often they are not enough. Nodes in repair are Poisson (M/G/infinity)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from isocost.num import Num

SHORT_FRAC = 0.01  # of the time, by convention: spares run out


def short_frac(mean_in_repair: Num, spares: Num) -> Num:
    """Return the probability that more nodes are in repair than there are spares."""
    mean, most = np.broadcast_arrays(np.asarray(mean_in_repair, dtype=float), np.asarray(spares, dtype=float))
    total = np.zeros(mean.shape)
    for count, term in zip(range(int(np.max(most, initial=0.0)) + 1), _terms(mean), strict=False):
        total = total + np.where(count <= most, term, 0.0)
    return np.clip(1.0 - total, 0.0, 1.0)[()]


def spares_needed(mean_in_repair: Num, short: float = SHORT_FRAC, correlated_nodes: float = 0.0) -> Num:
    """Return the fewest spares that run out at most ``short`` of the time, plus those for one correlated event."""
    mean = np.asarray(mean_in_repair, dtype=float)
    needed, total = np.zeros(mean.shape), np.zeros(mean.shape)
    enough = np.max(mean, initial=0.0) + 40.0 * math.sqrt(np.max(mean, initial=0.0)) + 100.0
    for count, term in enumerate(_terms(mean)):
        total = total + term
        short_of = total < 1.0 - short
        if not short_of.any() or count > enough:  # rounding may keep the sum below 1 - short
            break
        needed = needed + short_of
    return (needed + correlated_nodes)[()]


def wait_for_repair_s(mean_in_repair: Num, spares: Num, repair_s: Num) -> Num:
    """Return the mean wait of a stop for a node: where spares have run out, for the next of spares + 1 repairs."""
    return short_frac(mean_in_repair, spares) * np.divide(repair_s, np.asarray(spares, dtype=float) + 1.0)


# Beyond this mean exp(-mean) underflows, and terms cannot be had from the ones before them.
_MOST_MEAN = 500.0


def _terms(mean: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Yield the probabilities of 0, 1, 2, ... nodes: each from the one before it, which is cheap.

    Where the first is too small a number for that, each is computed anew.
    """
    large = bool(np.max(mean, initial=0.0) > _MOST_MEAN)
    term = _poisson(mean, 0)
    for count in itertools.count(1):
        yield term
        with np.errstate(under="ignore"):  # a term too small to matter
            term = _poisson(mean, count) if large else term * (mean / count)


def _poisson(mean: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    safe = np.maximum(mean, 1e-300)
    with np.errstate(under="ignore"):
        return np.asarray(np.exp(count * np.log(safe) - safe - math.lgamma(count + 1.0)))
