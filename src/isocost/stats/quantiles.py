"""The middle of draws and the range that holds 90 % of them: three quantiles, and the record of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

QUANTILES: Final = (0.05, 0.5, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A low, a median and a high: p05, p50 and p95 of draws, or what is taken for them."""

    low: float
    median: float
    high: float

    @property
    def width(self) -> float:
        """From low to high."""
        return self.high - self.low

    def times(self, factor: float) -> Interval:
        """Return the interval of a multiple."""
        return Interval(low=self.low * factor, median=self.median * factor, high=self.high * factor)

    def percentiles(self) -> dict[str, float]:
        """Return the three by the names that tables and JSON have for them."""
        return {"p05": self.low, "p50": self.median, "p95": self.high}


def quantiles(values: ArrayLike) -> NDArray[np.float64]:
    """Return p05, p50 and p95 over the leading axis; a number is one draw."""
    return np.asarray(np.quantile(np.atleast_1d(values), QUANTILES, axis=0))


def interval(values: ArrayLike) -> Interval:
    """Return the interval of all draws."""
    low, median, high = quantiles(np.ravel(values)).tolist()
    return Interval(low=low, median=median, high=high)
