"""What an hour of an accelerator costs its owner: capital, site, energy, people and maintenance.

Costs that run whether or not the accelerator works are spread over the hours it is used; the idle part of its energy
too. Dividing by goodput as well gives the price of a *useful* hour, the one to hold against an offer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isocost.money.check import FRACTION, NOT_NEGATIVE, POSITIVE, USED, Bound, problems_of, refuse
from isocost.num import Num
from isocost.term import term
from isocost.units import YEAR_S

# Below any rate of interest, and large enough that years times it stays a normal number.
_NO_INTEREST_FRAC = 1e-150


@term(unit="1", source="definition", domain={"interest_periods": (1.0, 365.0)})
def effective_interest_frac(*, interest_frac: Num, interest_periods: Num) -> Num:
    """(1 + interest / periods)^periods - 1

    Interest of a whole year from a nominal rate that is compounded several times in it.

    interest_frac: nominal rate a year. interest_periods: compoundings a year; 12 for a loan, 1 for an effective rate.
    Ignores: fees and warrants, which lenders to young operators charge on top.
    Source: definition.
    """
    return np.expm1(interest_periods * np.log1p(np.divide(interest_frac, interest_periods)))


@term(unit="1", source="definition", domain={"years": (0.5, 20.0)})
def capital_recovery_factor(*, interest_frac: Num, years: Num) -> Num:
    """interest / (1 - (1 + interest)^-years)

    Equal payment at the end of each year that repays one dollar with interest. Without interest it is 1 / years; the
    formula gets there without a branch, because a rate of 1e-150 in place of 0 changes no digit.

    interest_frac: effective interest a year. years: number of payments; need not be whole.
    Ignores: that hours are used all year and paid for at its end, which overstates by about half a year's interest.
    Source: definition.
    """
    rate = np.maximum(interest_frac, _NO_INTEREST_FRAC)
    return np.divide(rate, -np.expm1(-years * np.log1p(rate)))


@term(unit="USD", source="definition")
def overnight_usd(*, server_usd: Num, network_frac: Num, storage_frac: Num, installation_frac: Num) -> Num:
    """server / (1 - network - storage) * (1 + installation)

    Capital of one accelerator ready to run, as if built overnight. Network and storage are shares of the hardware of
    the whole cluster, so the server's share of it is what they leave.

    server_usd: accelerator with its share of the server. network_frac, storage_frac: of cluster hardware.
    installation_frac: over hardware. Ignores: spares, interest during delivery, import duties.
    Source: definition.
    """
    hardware = np.divide(server_usd, 1.0 - (network_frac + storage_frac))
    return hardware * (1.0 + installation_frac)


@term(unit="1", source="definition", domain={"years": (0.5, 10.0), "residual_years": (1.0, 5.0)})
def resale_frac(*, residual_frac: Num, residual_years: Num, years: Num) -> Num:
    """residual^(years / residual_years)

    Share of the purchase price that resale brings after some years, when it falls by the same factor every year.

    residual_frac: share left after residual_years. years: when it is sold.
    Ignores: steps when a successor ships; a market that is empty when everybody sells.
    Source: definition.
    """
    return np.power(residual_frac, np.divide(years, residual_years))


@term(unit="USD", source="definition")
def capital_annuity_usd(*, overnight_usd: Num, resale_frac: Num, recovery_frac: Num, interest_frac: Num) -> Num:
    """overnight * ((1 - resale) * recovery + resale * interest)

    Capital cost of a year: the value lost is repaid by equal payments, what comes back at the end bears interest.

    overnight_usd: capital. resale_frac: of it, at the end. recovery_frac: capital recovery factor.
    interest_frac: effective interest a year. Ignores: taxes and the depreciation they allow.
    Source: definition.
    """
    return overnight_usd * ((1.0 - resale_frac) * recovery_frac + resale_frac * interest_frac)


@term(unit="USD/s", source="definition")
def spread_usd_per_s(*, yearly_usd: Num, year_s: Num, utilisation_frac: Num) -> Num:
    """yearly / (year * utilisation)

    A yearly cost spread over the seconds that are used.

    yearly_usd: cost of a year. year_s: seconds of a year. utilisation_frac: share of them in use.
    Source: definition.
    """
    return np.divide(yearly_usd, year_s * utilisation_frac)


@term(unit="USD/s", source="cbre_h2_2024", domain={"utilisation_frac": (0.1, 1.0)})
def colocation_usd_per_s(*, power_w: Num, colocation_usd_per_w_per_s: Num, utilisation_frac: Num) -> Num:
    """power * colocation / utilisation

    Rent of space and cooled power, for an accelerator-second in use. It is charged on what the server may draw at most.

    power_w: maximum draw of an accelerator with its share of the server. colocation_usd_per_w_per_s: rent of a watt.
    utilisation_frac: share of time in use. Ignores: fees for cross-connects and remote hands.
    Source: cbre_h2_2024.
    """
    return np.divide(power_w * colocation_usd_per_w_per_s, utilisation_frac)


@term(unit="USD/s", source="epoch_costs", domain={"pue": (1.0, 2.0), "utilisation_frac": (0.1, 1.0)})
def owned_energy_usd_per_s(
    *, power_w: Num, draw_frac: Num, idle_draw_frac: Num, pue: Num, electricity_usd_per_j: Num, utilisation_frac: Num
) -> Num:
    """power * PUE * electricity * (draw + idle_draw * (1 - utilisation) / utilisation)

    Energy of an accelerator-second in use, with its share of the seconds in which it idles.

    power_w: maximum draw of an accelerator with its share of the server. draw_frac, idle_draw_frac: of it, training and
    idle. pue: of the site. electricity_usd_per_j: tariff. utilisation_frac: share of time in use.
    Ignores: charges for peak power. Source: epoch_costs.
    """
    idle = np.divide(idle_draw_frac * (1.0 - utilisation_frac), utilisation_frac)
    return power_w * pue * electricity_usd_per_j * (draw_frac + idle)


@term(unit="USD/s", source="definition", domain={"staff_per_gpu": (0.001, 0.01)})
def owned_staff_usd_per_s(*, staff_per_gpu: Num, salary_usd_per_s: Num, utilisation_frac: Num) -> Num:
    """staff_per_gpu * salary / utilisation

    People who keep the accelerator running, for a second in use.

    staff_per_gpu: full-time people an accelerator. salary_usd_per_s: loaded cost of one.
    utilisation_frac: share of time in use. Ignores: that a small cluster needs a whole person too.
    Source: definition.
    """
    return np.divide(staff_per_gpu * salary_usd_per_s, utilisation_frac)


@term(unit="USD/s", source="definition", domain={"goodput_frac": (0.1, 1.0)})
def useful_usd_per_s(*, price_usd_per_s: Num, goodput_frac: Num) -> Num:
    """price / goodput

    Price of a useful accelerator-second: one in which the model moved forward and the progress was kept.

    price_usd_per_s: of an accelerator-second in use. goodput_frac: useful share of it.
    Source: definition.
    """
    return np.divide(price_usd_per_s, goodput_frac)


_YEARS = Bound(least=0.1, most=30.0, fix="give years, such as 3")
_INTEREST = Bound(most=1.0)
BOUNDS = {
    "server_usd": POSITIVE,
    "network_frac": Bound(most=0.5),
    "storage_frac": Bound(most=0.4),
    "installation_frac": FRACTION,
    "years": _YEARS,
    "residual_frac": FRACTION,
    "residual_years": _YEARS,
    "interest_frac": _INTEREST,
    "interest_periods": Bound(least=1.0, most=365.0),
    "power_w": NOT_NEGATIVE,
    "colocation_usd_per_w_per_s": NOT_NEGATIVE,
    "build_usd_per_w": NOT_NEGATIVE,
    "build_years": _YEARS,
    "pue": Bound(least=1.0, most=5.0, fix="PUE is power of the site over power of its servers"),
    "draw_frac": FRACTION,
    "idle_draw_frac": FRACTION,
    "electricity_usd_per_j": NOT_NEGATIVE,
    "staff_per_gpu": NOT_NEGATIVE,
    "salary_usd_per_s": NOT_NEGATIVE,
    "maintenance_frac": FRACTION,
    "utilisation_frac": USED,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OwnedInputs:
    """What has to be known to own one accelerator; every field is a number or an array of draws.

    Colocation and a facility built for oneself are alternatives: the one not used is zero.
    """

    server_usd: Num  # an accelerator with its share of the server
    years: Num  # until it is sold
    residual_frac: Num  # resale value after ``residual_years``
    interest_frac: Num  # nominal, a year
    utilisation_frac: Num  # share of owned time in use
    power_w: Num  # maximum draw of an accelerator with its share of the server
    electricity_usd_per_j: Num
    network_frac: Num = 0.0  # of the hardware of the cluster
    storage_frac: Num = 0.0
    installation_frac: Num = 0.0
    residual_years: Num = 3.0
    interest_periods: Num = 12.0  # loans are quoted as a nominal rate compounded monthly
    colocation_usd_per_w_per_s: Num = 0.0
    build_usd_per_w: Num = 0.0  # of maximum draw
    build_years: Num = 15.0
    pue: Num = 1.0
    draw_frac: Num = 1.0
    idle_draw_frac: Num = 0.0
    staff_per_gpu: Num = 0.0
    salary_usd_per_s: Num = 0.0
    maintenance_frac: Num = 0.0  # a year, of overnight cost

    def __post_init__(self) -> None:
        """Refuse what cannot be owned, all at once."""
        refuse(problems_of(self, BOUNDS, "owned"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OwnedCost:
    """USD per accelerator-second in use; the parts add up to the total."""

    capital_usd_per_s: Num
    site_usd_per_s: Num
    energy_usd_per_s: Num
    staff_usd_per_s: Num
    maintenance_usd_per_s: Num
    overnight_usd: Num

    @property
    def total_usd_per_s(self) -> Num:
        """Price of an accelerator-second in use."""
        fixed = self.capital_usd_per_s + self.site_usd_per_s + self.staff_usd_per_s + self.maintenance_usd_per_s
        return fixed + self.energy_usd_per_s

    def useful_usd_per_s(self, goodput_frac: Num) -> Num:
        """Price of an accelerator-second that moves the model forward."""
        return useful_usd_per_s(price_usd_per_s=self.total_usd_per_s, goodput_frac=goodput_frac)

    def lines(self) -> dict[str, Num]:
        """The parts by name."""
        return {
            "capital": self.capital_usd_per_s,
            "site": self.site_usd_per_s,
            "energy": self.energy_usd_per_s,
            "staff": self.staff_usd_per_s,
            "maintenance": self.maintenance_usd_per_s,
        }


def owned_cost(inputs: OwnedInputs) -> OwnedCost:
    """Return the cost of an accelerator-second in use, part by part."""
    o = inputs
    interest = effective_interest_frac(interest_frac=o.interest_frac, interest_periods=o.interest_periods)
    overnight = overnight_usd(
        server_usd=o.server_usd,
        network_frac=o.network_frac,
        storage_frac=o.storage_frac,
        installation_frac=o.installation_frac,
    )
    annuity = capital_annuity_usd(
        overnight_usd=overnight,
        resale_frac=resale_frac(residual_frac=o.residual_frac, residual_years=o.residual_years, years=o.years),
        recovery_frac=capital_recovery_factor(interest_frac=interest, years=o.years),
        interest_frac=interest,
    )
    building = capital_annuity_usd(
        overnight_usd=o.power_w * o.build_usd_per_w,
        resale_frac=0.0,
        recovery_frac=capital_recovery_factor(interest_frac=interest, years=o.build_years),
        interest_frac=interest,
    )
    colocation = colocation_usd_per_s(
        power_w=o.power_w,
        colocation_usd_per_w_per_s=o.colocation_usd_per_w_per_s,
        utilisation_frac=o.utilisation_frac,
    )
    return OwnedCost(
        capital_usd_per_s=_spread(annuity, o),
        site_usd_per_s=colocation + _spread(building, o),
        energy_usd_per_s=owned_energy_usd_per_s(
            power_w=o.power_w,
            draw_frac=o.draw_frac,
            idle_draw_frac=o.idle_draw_frac,
            pue=o.pue,
            electricity_usd_per_j=o.electricity_usd_per_j,
            utilisation_frac=o.utilisation_frac,
        ),
        staff_usd_per_s=owned_staff_usd_per_s(
            staff_per_gpu=o.staff_per_gpu, salary_usd_per_s=o.salary_usd_per_s, utilisation_frac=o.utilisation_frac
        ),
        maintenance_usd_per_s=_spread(overnight * o.maintenance_frac, o),
        overnight_usd=overnight,
    )


def _spread(yearly_usd: Num, inputs: OwnedInputs) -> Num:
    return spread_usd_per_s(yearly_usd=yearly_usd, year_s=YEAR_S, utilisation_frac=inputs.utilisation_frac)
