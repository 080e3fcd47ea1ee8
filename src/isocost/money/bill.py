"""The whole bill of a run, as named lines that add up.

Time of the accelerators is split by what it bought: progress, progress lost and repeated, bringing the cluster up, and
the idle part of a commitment. A programme is more than its last run: failed and exploratory runs are lines too.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from isocost.money.check import FRACTION, NOT_NEGATIVE, POSITIVE, problems_of, refuse
from isocost.money.rent import accelerator_s, rent_usd
from isocost.money.terms import Terms, committed_s, idle_commitment_usd, step_s
from isocost.num import Num
from isocost.term import term


@term(unit="USD", source="definition")
def stored_usd(*, stored_bytes: Num, stored_s: Num, storage_usd_per_bytes_per_s: Num) -> Num:
    """bytes * time * price

    Cost of keeping data: the training set for the run, or checkpoints for as long as they are kept.

    stored_bytes: mean size. stored_s: time. storage_usd_per_bytes_per_s: price.
    Ignores: charges by request and for throughput beyond what the price includes.
    Source: definition.
    """
    return stored_bytes * stored_s * storage_usd_per_bytes_per_s


@term(unit="USD", source="definition")
def egress_usd(*, egress_bytes: Num, egress_usd_per_bytes: Num) -> Num:
    """bytes * price

    Cost of moving data out of a provider: weights, checkpoints, a data set brought elsewhere.

    egress_bytes: traffic out. egress_usd_per_bytes: price.
    Ignores: free allowances and steps of volume.
    Source: definition.
    """
    return egress_bytes * egress_usd_per_bytes


@term(unit="USD", source="definition")
def staff_usd(*, people: Num, salary_usd_per_s: Num, staffed_s: Num) -> Num:
    """people * salary * time

    Cost of the people who run it.

    people: full-time. salary_usd_per_s: loaded cost of one. staffed_s: time they are on it.
    Ignores: research staff, which published splits of frontier models put at 29 to 49 % of the cost of development.
    Source: definition.
    """
    return people * salary_usd_per_s * staffed_s


@term(unit="1", source="definition")
def share_of_capital(*, bill_usd: Num, raised_usd: Num) -> Num:
    """bill / raised

    Part of the capital raised that a bill takes; more than 1 is more than there is.

    bill_usd: bill. raised_usd: capital raised. Source: definition.
    """
    return np.divide(bill_usd, raised_usd)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BillInputs:
    """What a bill is made of; every field is a number or an array of draws. Zero leaves a line out.

    ``useful_s`` and ``lost_s`` are wall clock and add up to the run; ``bring_up_s`` comes before it.
    """

    terms: Terms
    gpus: Num
    useful_s: Num
    lost_s: Num = 0.0
    bring_up_s: Num = 0.0
    data_bytes: Num = 0.0  # kept for the length of the run
    checkpoint_bytes: Num = 0.0  # kept at a time, all together
    checkpoints_kept_s: Num = 0.0  # beyond the run
    storage_usd_per_bytes_per_s: Num = 0.0
    egress_bytes: Num = 0.0
    egress_usd_per_bytes: Num = 0.0
    energy_usd: Num = 0.0  # where it is not in the price
    people: Num = 0.0
    salary_usd_per_s: Num = 0.0
    failed_runs: Num = 0.0  # accelerator time of runs thrown away, over that of the final run
    exploratory_runs: Num = 0.0  # of sweeps, ablations and small models, over that of the final run
    support_frac: Num = 0.0  # over the charge for accelerators and host
    raised_usd: Num | None = None  # capital raised

    def __post_init__(self) -> None:
        """Refuse impossible inputs, all at once."""
        bounds = {field.name: NOT_NEGATIVE for field in fields(self) if field.name not in ("terms", "raised_usd")}
        bounds |= {"gpus": POSITIVE, "support_frac": FRACTION, "useful_s": POSITIVE}
        if self.raised_usd is not None:
            bounds["raised_usd"] = POSITIVE
        refuse(problems_of(self, bounds, "bill"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bill:
    """USD by line; ``total_usd`` is their sum."""

    gpu_useful_usd: Num
    gpu_lost_usd: Num
    gpu_bring_up_usd: Num
    gpu_idle_commitment_usd: Num
    host_usd: Num
    storage_usd: Num
    checkpoints_usd: Num
    egress_usd: Num
    energy_usd: Num
    staff_usd: Num
    failed_runs_usd: Num
    exploratory_runs_usd: Num
    support_usd: Num
    raised_usd: Num | None = None

    def lines(self) -> dict[str, Num]:
        """The lines by name, without the unit."""
        named = (field.name for field in fields(self) if field.name != "raised_usd")
        return {name.removesuffix("_usd"): getattr(self, name) for name in named}

    @property
    def total_usd(self) -> Num:
        """Everything."""
        total: Num = 0.0
        for line in self.lines().values():
            total = total + line
        return total

    @property
    def final_run_usd(self) -> Num:
        """Accelerators of the last run alone: the figure that papers print."""
        return self.gpu_useful_usd + self.gpu_lost_usd

    @property
    def share_of_capital(self) -> Num | None:
        """Part of the capital raised; ``None`` where that was not given."""
        if self.raised_usd is None:
            return None
        return share_of_capital(bill_usd=self.total_usd, raised_usd=self.raised_usd)


def bill(inputs: BillInputs) -> Bill:
    """Return the bill of a run and of the programme around it."""
    i, t = inputs, inputs.terms
    run = i.useful_s + i.lost_s
    held = i.bring_up_s + run
    programme = 1.0 + i.failed_runs + i.exploratory_runs

    def rented(seconds: Num, usd_per_s: Num) -> Num:
        return rent_usd(accelerator_s=accelerator_s(gpus=i.gpus, run_s=seconds), price_usd_per_s=usd_per_s)

    # Failed and exploratory runs fill the commitment before anything idles.
    needed = i.bring_up_s + run * programme
    step = step_s(t.term, t.increment_s, needed)
    paid = committed_s(held_s=needed, minimum_s=t.minimum_s, increment_s=step)
    idle = idle_commitment_usd(
        gpus=i.gpus, idle_s=paid - needed, price_usd_per_s=t.price_usd_per_s, recovered_frac=t.recovered_frac
    )
    final = rented(run, t.price_usd_per_s)
    lines = {
        "gpu_useful_usd": rented(i.useful_s, t.price_usd_per_s),
        "gpu_lost_usd": rented(i.lost_s, t.price_usd_per_s),
        "gpu_bring_up_usd": rented(i.bring_up_s, t.price_usd_per_s),
        "gpu_idle_commitment_usd": idle,
        "host_usd": rented(paid, t.host_usd_per_s),
        "failed_runs_usd": final * i.failed_runs,
        "exploratory_runs_usd": final * i.exploratory_runs,
    }
    charged: Num = 0.0
    for line in lines.values():
        charged = charged + line
    return Bill(
        **lines,
        support_usd=charged * i.support_frac,
        storage_usd=_stored(i, i.data_bytes, held),
        checkpoints_usd=_stored(i, i.checkpoint_bytes, run + i.checkpoints_kept_s),
        egress_usd=egress_usd(egress_bytes=i.egress_bytes, egress_usd_per_bytes=i.egress_usd_per_bytes),
        energy_usd=i.energy_usd,
        staff_usd=staff_usd(people=i.people, salary_usd_per_s=i.salary_usd_per_s, staffed_s=held),
        raised_usd=i.raised_usd,
    )


def _stored(inputs: BillInputs, stored_bytes: Num, seconds: Num) -> Num:
    return stored_usd(
        stored_bytes=stored_bytes, stored_s=seconds, storage_usd_per_bytes_per_s=inputs.storage_usd_per_bytes_per_s
    )
