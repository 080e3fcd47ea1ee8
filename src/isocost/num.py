"""Elementwise helpers shared by the formulas: a number or an array in, the broadcast shape out.

Powers go through ``np.power`` and quotients through ``np.divide``: the operators ``**`` and ``/`` take another code
path for Python floats than for arrays, which may differ in the last bit or raise on zero, and a formula must give a
scalar and a row the same bits.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Num: TypeAlias = float | NDArray[np.float64]


def ceil_div(a: Num, b: Num) -> Num:
    """Return the smallest whole number not below ``a / b`` (exact for counts whose quotient stays below 2**53 / b)."""
    return np.ceil(np.divide(a, b))


def safe_div(a: Num, b: Num) -> Num:
    """Return ``a / b``, and 0 where ``b`` is 0 whatever ``a`` is, without a warning."""
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = np.divide(a, b)
    # [()] turns the 0-d array that np.where makes of scalars back into a scalar.
    return np.where(b == 0, 0.0, quotient)[()]


def smooth_max(a: Num, b: Num, power: Num) -> Num:
    """Return ``(a**power + b**power) ** (1 / power)`` for non-negative a and b: a maximum with a rounded corner.

    The maximum is factored out, so that only a ratio of at most 1 is raised to the power: no overflow, and any unit
    will do.
    """
    with np.errstate(under="ignore"):  # a ratio that underflows, or whose power does, adds nothing, as it should
        ratio = safe_div(np.minimum(a, b), np.maximum(a, b))
        rounded = np.power(1.0 + np.power(ratio, power), np.divide(1.0, power))
    return np.maximum(a, b) * rounded
