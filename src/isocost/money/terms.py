"""How capacity is bought: for the hours of the run, or for longer than it lasts.

A commitment longer than the run is paid to its end. What is resold or reused by other work at a stated share of its
price comes off; by default nothing does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from isocost.errors import Problem, nearest
from isocost.money.check import FRACTION, NOT_NEGATIVE, problems_of, refuse
from isocost.num import Num, safe_div
from isocost.term import term
from isocost.units import DAY_S, YEAR_S

ON_DEMAND, SPOT, RESERVED_1Y, RESERVED_3Y = "on_demand", "spot", "reserved_1y", "reserved_3y"
CAPACITY_BLOCK, QUOTE, OWNED = "capacity_block", "quote", "owned"
# Least length and step of what is bought; nought and nought: as long as it is used. The longest capacity block
# is a fact of the catalogue (commitment.capacity-block).
COMMITMENTS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        ON_DEMAND: (0.0, 0.0),
        SPOT: (0.0, 0.0),
        QUOTE: (0.0, 0.0),
        RESERVED_1Y: (YEAR_S, 0.0),
        RESERVED_3Y: (3 * YEAR_S, 0.0),
        CAPACITY_BLOCK: (DAY_S, DAY_S),
        OWNED: (0.0, 0.0),  # utilisation in ``OwnedInputs`` carries the idle hours of an owner
    }
)
# A capacity block longer than the first is sold in steps of the second (commitment.capacity-block of the catalogue).
_BY_THE_WEEK_FROM_S, _WEEK_S = 14 * DAY_S, 7 * DAY_S


def step_s(term: str, increment_s: Num, held_s: Num) -> Num:
    """Return the step in which capacity is sold for so long: of the term, or whole weeks for a long capacity block."""
    if term != CAPACITY_BLOCK:
        return increment_s
    return np.where(np.asarray(held_s) > _BY_THE_WEEK_FROM_S, np.maximum(increment_s, _WEEK_S), increment_s)


@term(unit="s", source="definition", domain={"minimum_s": (0.0, 1e3), "increment_s": (1.0, 100.0)})
def committed_s(*, held_s: Num, minimum_s: Num, increment_s: Num) -> Num:
    """max(minimum, held, ceil(held / increment) * increment)

    Time that is paid for when capacity is sold in steps and with a least length.

    held_s: time the accelerators are needed. minimum_s: least length of the contract. increment_s: step it is sold in.
    Ignores: renewal at another price when the run outlasts the contract.
    Source: definition.
    """
    stepped = np.ceil(safe_div(held_s, increment_s)) * increment_s
    return np.maximum(minimum_s, np.maximum(held_s, stepped))


@term(unit="USD", source="definition")
def idle_commitment_usd(*, gpus: Num, idle_s: Num, price_usd_per_s: Num, recovered_frac: Num) -> Num:
    """gpus * idle * price * (1 - recovered)

    Cost of capacity that is paid for and not used by the run.

    gpus: accelerators. idle_s: committed time beyond the run. price_usd_per_s: of one accelerator.
    recovered_frac: share of the price that resale or other work brings back.
    Ignores: that resale takes weeks and needs the provider's consent.
    Source: definition.
    """
    return gpus * idle_s * price_usd_per_s * (1.0 - recovered_frac)


@term(unit="1", source="definition", domain={"spot_usd_per_s": (1e-4, 1e-3), "price_usd_per_s": (1e-3, 1e-2)})
def spot_break_even_goodput(*, spot_usd_per_s: Num, price_usd_per_s: Num, goodput_frac: Num) -> Num:
    """goodput * spot / price

    Goodput at which interruptible capacity costs as much for a useful hour as steady capacity does; above it, it pays.

    spot_usd_per_s: interruptible price. price_usd_per_s, goodput_frac: of steady capacity.
    Ignores: that the run ends later, and that spot capacity may not be had for the whole of it.
    Source: definition.
    """
    return np.divide(goodput_frac * spot_usd_per_s, price_usd_per_s)


_BOUNDS = {
    "price_usd_per_s": NOT_NEGATIVE,
    "minimum_s": NOT_NEGATIVE,
    "increment_s": NOT_NEGATIVE,
    "recovered_frac": FRACTION,
    "host_usd_per_s": NOT_NEGATIVE,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """A way to pay for one accelerator: price, least length, step, and what idle time brings back."""

    term: str  # one of COMMITMENTS
    price_usd_per_s: Num  # of one accelerator; a price of hours in use where it is owned
    minimum_s: Num = 0.0
    increment_s: Num = 0.0
    recovered_frac: Num = 0.0  # share of the price of idle hours that resale or other work brings back
    host_usd_per_s: Num = 0.0  # of one accelerator, where the price leaves its host out

    def __post_init__(self) -> None:
        """Refuse terms nobody could sign, all problems at once."""
        found = problems_of(self, _BOUNDS, "terms")
        if self.term not in COMMITMENTS:
            close = nearest(str(self.term), COMMITMENTS)
            found.insert(0, Problem("terms.term", "is not a term", self.term, ", ".join(COMMITMENTS), close))
        refuse(found)


def terms_of(term: str, price_usd_per_s: Num, recovered_frac: Num = 0.0, host_usd_per_s: Num = 0.0) -> Terms:
    """Return the terms of a name with its usual commitment."""
    minimum, increment = COMMITMENTS.get(term, (0.0, 0.0))  # an unknown name is refused by Terms
    return Terms(
        term=term,
        price_usd_per_s=price_usd_per_s,
        minimum_s=minimum,
        increment_s=increment,
        recovered_frac=recovered_frac,
        host_usd_per_s=host_usd_per_s,
    )
