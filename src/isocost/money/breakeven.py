"""Where one way to pay overtakes another, and what better compute is worth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from isocost.money.check import POSITIVE, Bound, problems_of, refuse
from isocost.money.own import OwnedInputs, owned_cost
from isocost.num import Num, safe_div
from isocost.term import term


@term(unit="1", source="definition", domain={"rent_usd_per_s": (2e-2, 4e-2), "owned_fixed_usd_per_s": (1e-3, 1e-2)})
def break_even_utilisation(
    *, owned_fixed_usd_per_s: Num, rent_usd_per_s: Num, owned_running_usd_per_s: Num, owned_idle_usd_per_s: Num
) -> Num:
    """(fixed + idle) / (rent - running + idle)

    Share of owned time in use at which owning costs what renting the hours in use does; above it owning is cheaper. It
    solves fixed + running u + idle (1 - u) = rent u. More than 1: renting is cheaper however much it is used; below 0:
    an hour costs the owner more to run than to rent.

    owned_fixed_usd_per_s: capital, site, people, maintenance of an owned second. rent_usd_per_s: rent of a second in
    use. owned_running_usd_per_s, owned_idle_usd_per_s: energy of a second in use, and idle.
    Ignores: that rented hours must be had when they are needed. Source: definition.
    """
    return np.divide(
        owned_fixed_usd_per_s + owned_idle_usd_per_s, rent_usd_per_s - owned_running_usd_per_s + owned_idle_usd_per_s
    )


@term(unit="USD/s", source="definition")
def break_even_price_usd_per_s(
    *, price_usd_per_s: Num, accelerator_s: Num, better_accelerator_s: Num, other_usd: Num, better_other_usd: Num
) -> Num:
    """(price * accelerator_s + other - better_other) / better_accelerator_s

    Price of a better accelerator-second at which the same result costs the same; less the price paid, it is the premium
    that better compute is worth.

    price_usd_per_s, accelerator_s, other_usd: price, accelerator-seconds and all other cost of a result on the plain
    offer. better_accelerator_s, better_other_usd: the same on the better one. Put the value of days saved in the other
    cost. Source: definition.
    """
    return np.divide(price_usd_per_s * accelerator_s + (other_usd - better_other_usd), better_accelerator_s)


@term(unit="1", source="definition", domain={"share_frac": (0.2, 0.6), "gain_frac": (0.01, 0.1)})
def saved_frac(*, share_frac: Num, gain_frac: Num) -> Num:
    """gain / (share + gain)

    Part of time and of all cost that grows with it, saved when MFU, goodput or any other share it is inversely
    proportional to rises by some points.

    share_frac: the share now. gain_frac: what is added to it; 0.01 is one point.
    Ignores: that a commitment already signed is paid whether or not the run ends early.
    Source: definition.
    """
    return np.divide(gain_frac, share_frac + gain_frac)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PointWorth:
    """What a gain saves: dollars, seconds, and both as a share."""

    saved_frac: Num
    saved_usd: Num
    saved_s: Num


def point_worth(*, share_frac: Num, scaling_usd: Num, run_s: Num, points: Num = 1.0, place: str = "mfu") -> PointWorth:
    """Return what some points of MFU or goodput save of a run's time and of the cost that scales with it.

    Both have the same formula: time is inversely proportional to either. A negative number of points is a loss.
    """
    checked = _Point(share_frac=share_frac, scaling_usd=scaling_usd, run_s=run_s, after=share_frac + points / 100.0)
    bounds = {
        "share_frac": Bound(most=1.0, above=True),
        "after": Bound(most=1.0, above=True, fix="fewer points"),
        "scaling_usd": Bound(),
        "run_s": POSITIVE,
    }
    refuse(problems_of(checked, bounds, place))
    saved = saved_frac(share_frac=share_frac, gain_frac=points / 100.0)
    return PointWorth(saved_frac=saved, saved_usd=scaling_usd * saved, saved_s=run_s * saved)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Point:
    share_frac: Num
    scaling_usd: Num
    run_s: Num
    after: Num


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Offered:
    """One offer for one result: its price, and what the result takes on it."""

    price_usd_per_s: Num  # of an accelerator
    accelerator_s: Num  # held for the result, losses and bring-up in
    other_usd: Num = 0.0  # all other cost, and the value of the days it takes

    @property
    def total_usd(self) -> Num:
        """Cost of the result."""
        return self.price_usd_per_s * self.accelerator_s + self.other_usd


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Premium:
    """What a better offer may cost, an accelerator-second, before it stops being the better one."""

    break_even_usd_per_s: Num
    premium_usd_per_s: Num  # over the plain offer's price; negative: it must be cheaper by that much
    margin_usd_per_s: Num  # over the better offer's own price; negative: it is too dear
    commodity_is_fine: NDArray[np.bool_] | np.bool_


def premium(plain: Offered, better: Offered) -> Premium:
    """Return the break-even premium of one offer over another, for the same result."""
    bounds = {"price_usd_per_s": Bound(), "accelerator_s": POSITIVE}
    refuse([*problems_of(plain, bounds, "plain"), *problems_of(better, bounds, "better")])
    price = break_even_price_usd_per_s(
        price_usd_per_s=plain.price_usd_per_s,
        accelerator_s=plain.accelerator_s,
        better_accelerator_s=better.accelerator_s,
        other_usd=plain.other_usd,
        better_other_usd=better.other_usd,
    )
    margin = price - better.price_usd_per_s
    return Premium(
        break_even_usd_per_s=price,
        premium_usd_per_s=price - plain.price_usd_per_s,
        margin_usd_per_s=margin,
        commodity_is_fine=np.asarray(margin <= 0)[()],
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BreakEvenCurve:
    """Rent against own: utilisation of break-even for each horizon, and both costs on the grid of the two.

    Axes of the grid are (..., years, utilisation); leading axes are draws.
    """

    years: NDArray[np.float64]
    utilisation_frac: NDArray[np.float64]
    break_even: NDArray[np.float64]  # (..., years); more than 1: renting is cheaper at any use
    owned_usd_per_s: NDArray[np.float64]  # of a second in use
    rent_usd_per_s: NDArray[np.float64]

    @property
    def saved_by_owning_frac(self) -> NDArray[np.float64]:
        """Saving of owning over rent on the grid; negative where renting is cheaper."""
        return np.asarray(1.0 - safe_div(self.owned_usd_per_s, self.rent_usd_per_s))

    def years_to_break_even(self, utilisation_frac: float) -> NDArray[np.float64]:
        """Return the first horizon, between those of the curve, from which on owning is cheaper; inf if none is."""
        curve = self.break_even.reshape(-1, self.years.size)
        found = [_crossing(self.years, row, utilisation_frac) for row in curve]
        return np.array(found).reshape(self.break_even.shape[:-1])


def _crossing(years: NDArray[np.float64], needed: NDArray[np.float64], use: float) -> float:
    below = (needed <= use) & (needed > 0)
    if not below.any():
        return float("inf")
    first = int(np.argmax(below))
    if first == 0 or needed[first - 1] < 0:
        return float(years[first])
    before, after = needed[first - 1], needed[first]
    step = (before - use) / (before - after)
    return float(years[first - 1] + step * (years[first] - years[first - 1]))


def break_even_curve(
    owned: OwnedInputs, rent_usd_per_s: Num, years: NDArray[np.float64], utilisation_frac: NDArray[np.float64]
) -> BreakEvenCurve:
    """Return rent against own over horizons and utilisation; hardware is sold at the end of each horizon.

    ``owned`` gives everything but years and utilisation; its fields, and the rent, may be draws of shape (n, 1, 1).
    """
    horizon = np.asarray(years, dtype=np.float64)[:, None]
    use = np.asarray(utilisation_frac, dtype=np.float64)
    cost = owned_cost(replace(owned, years=horizon, utilisation_frac=use))
    full = owned_cost(replace(owned, years=horizon, utilisation_frac=1.0))  # a second in use is then a second owned
    idle = np.asarray(owned.power_w * owned.pue * owned.electricity_usd_per_j * owned.idle_draw_frac)
    needed = break_even_utilisation(
        owned_fixed_usd_per_s=full.total_usd_per_s - full.energy_usd_per_s,
        rent_usd_per_s=rent_usd_per_s,
        owned_running_usd_per_s=full.energy_usd_per_s,
        owned_idle_usd_per_s=idle,
    )
    total, rent = np.broadcast_arrays(
        np.asarray(cost.total_usd_per_s, dtype=np.float64), np.asarray(rent_usd_per_s, dtype=np.float64)
    )
    return BreakEvenCurve(
        years=horizon[:, 0],
        utilisation_frac=use,
        break_even=np.broadcast_to(np.asarray(needed), (*total.shape[:-1], 1))[..., 0],
        owned_usd_per_s=total,
        rent_usd_per_s=rent,
    )
