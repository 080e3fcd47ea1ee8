"""How two uncertain factors of one number make its interval."""

from __future__ import annotations

import numpy as np

from isocost.num import Num
from isocost.term import term


@term(unit="ratio", source="definition", domain={"first": (1.0, 4.0), "second": (1.0, 4.0)})
def combined_ratio(*, first: Num, second: Num) -> Num:
    """exp(sqrt(ln(first)^2 + ln(second)^2))

    End of the interval of a product, over its middle, from the same end of its two factors over theirs: independent
    errors, normal in the logarithm. One that is certain (1) leaves the other as it is. The other end is the inverse, as
    the squares do not tell up from down.

    first, second: end over middle, of either factor.
    Ignores: that a tight market moves prices and queues together; the shape of the tails.
    Source: definition.
    """
    # hypot squares without overflow.
    return np.exp(np.hypot(np.log(first), np.log(second)))
