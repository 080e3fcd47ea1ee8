"""Bill, terms, energy and carbon of a run, by hand."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.catalog import load_catalog
from isocost.catalog.prices import region
from isocost.errors import InputError
from isocost.money.bill import Bill, BillInputs, bill
from isocost.money.energy import EnergyInputs, carbon_kg, embodied_kg, energy_use
from isocost.money.terms import Terms, committed_s, spot_break_even_goodput, terms_of
from isocost.units import DAY_S, HOUR_S, YEAR_S

TWO_USD = 2.0 / HOUR_S
CATALOG = load_catalog()
FULL = BillInputs(
    terms=Terms(term="reserved_1y", price_usd_per_s=TWO_USD, minimum_s=YEAR_S, host_usd_per_s=TWO_USD / 4),
    gpus=1000.0,
    useful_s=90 * DAY_S,
    lost_s=10 * DAY_S,
    bring_up_s=5 * DAY_S,
    data_bytes=1e15,
    checkpoint_bytes=1e14,
    checkpoints_kept_s=30 * DAY_S,
    storage_usd_per_bytes_per_s=0.023 / 1e9 / (30 * DAY_S),
    egress_bytes=1e13,
    egress_usd_per_bytes=0.09 / 1e9,
    energy_usd=1e5,
    people=4.0,
    salary_usd_per_s=400e3 / YEAR_S,
    failed_runs=0.2,
    exploratory_runs=0.5,
    support_frac=0.03,
    raised_usd=100e6,
)


def test_every_line_by_hand() -> None:
    """1,000 GPUs at 2 USD an hour are 48,000 USD a day; the year is paid, and every other line by its own price."""
    lines = {name: float(line) for name, line in bill(FULL).lines().items()}
    day, used = 48_000.0, 5 + 100 * 1.7
    gpu = {
        "gpu_useful": 90 * day,
        "gpu_lost": 10 * day,
        "gpu_bring_up": 5 * day,
        "gpu_idle_commitment": (365.25 - used) * day,
        "host": 365.25 * day / 4,
        "failed_runs": 100 * day * 0.2,
        "exploratory_runs": 100 * day * 0.5,
    }
    assert lines == pytest.approx(
        {
            **gpu,
            "support": 0.03 * sum(gpu.values()),
            "storage": 1e6 * 0.023 * 105 / 30,
            "checkpoints": 1e5 * 0.023 * 130 / 30,
            "egress": 900.0,
            "energy": 1e5,
            "staff": 4 * 400e3 * 105 / 365.25,
        },
        rel=1e-12,
    )


def test_lines_are_all_there_is() -> None:
    """Every field of a bill but the capital raised is a line, the lines sum to the total, and share is of the total."""
    made = bill(FULL)
    assert len(made.lines()) == len(fields(Bill)) - 1 == 13
    assert made.total_usd == pytest.approx(sum(map(float, made.lines().values())), rel=1e-12)
    assert made.share_of_capital == pytest.approx(float(made.total_usd) / 100e6, rel=1e-15)
    assert bill(replace(FULL, raised_usd=None)).share_of_capital is None
    assert made.final_run_usd == pytest.approx(100 * 48_000.0, rel=1e-14)


@given(st.floats(0.1, 10.0), st.floats(1.0, 1e4), st.floats(1.0, 100.0))
def test_twice_the_price_twice_the_bill(price: float, gpus: float, days: float) -> None:
    """Where the accelerators are all there is to pay, the bill is proportional to price and to their number."""

    def total(usd: float, count: float) -> float:
        rented = terms_of("on_demand", usd / HOUR_S)
        return float(bill(BillInputs(terms=rented, gpus=count, useful_s=days * DAY_S)).total_usd)

    assert total(2 * price, gpus) == pytest.approx(2 * total(price, gpus), rel=1e-12)
    assert total(price, 2 * gpus) == pytest.approx(2 * total(price, gpus), rel=1e-12)


def test_bring_up_of_the_8192_gpu_story() -> None:
    """17 days of bring-up on 8,192 GPUs are 3.34 M GPU-hours and 6.7 MUSD at 2 USD."""
    made = bill(
        BillInputs(terms=terms_of("quote", TWO_USD), gpus=8192.0, useful_s=DAY_S, bring_up_s=17 * DAY_S),
    )
    assert float(made.gpu_bring_up_usd) == 17 * 24 * 8192 * 2 == 6_684_672


def test_a_year_paid_for_a_two_month_run() -> None:
    """A reservation of a year for 60 days costs 6.1 times the run; with half of the idle time resold, 3.5 times."""
    run = BillInputs(terms=terms_of("reserved_1y", TWO_USD), gpus=8.0, useful_s=60 * DAY_S)
    made = bill(run)
    assert float(made.total_usd / made.final_run_usd) == pytest.approx(365.25 / 60, rel=1e-12)
    resold = bill(replace(run, terms=terms_of("reserved_1y", TWO_USD, recovered_frac=0.5)))
    assert float(resold.total_usd / made.final_run_usd) == pytest.approx((365.25 + 60) / 120, rel=1e-12)


def test_commitments() -> None:
    """Demand is paid as used, a block by the day, a reservation at least to its end."""
    days = np.array([0.5, 10.2, 400.0]) * DAY_S
    kinds = {name: terms_of(name, 1.0) for name in ("on_demand", "capacity_block", "reserved_1y", "reserved_3y")}
    paid = {
        name: committed_s(held_s=days, minimum_s=t.minimum_s, increment_s=t.increment_s) / DAY_S
        for name, t in kinds.items()
    }
    assert paid["on_demand"] == pytest.approx([0.5, 10.2, 400.0], rel=1e-15)
    assert paid["capacity_block"] == pytest.approx([1.0, 11.0, 400.0], rel=1e-15)
    assert paid["reserved_1y"] == pytest.approx([365.25, 365.25, 400.0], rel=1e-15)
    assert paid["reserved_3y"] == pytest.approx([1095.75] * 3, rel=1e-15)


def test_spot_pays_above_its_break_even() -> None:
    """At 1 against 4 USD and a goodput of 0.9, interruptible capacity pays from a goodput of 0.225 on."""
    even = spot_break_even_goodput(spot_usd_per_s=1.0, price_usd_per_s=4.0, goodput_frac=0.9)
    assert even == pytest.approx(0.225, rel=1e-15)


def test_bad_bills_and_terms() -> None:
    """Every impossible field is named at once, with the nearest term."""
    with pytest.raises(InputError) as caught:
        Terms(term="reserve_1y", price_usd_per_s=-1.0, recovered_frac=30.0)
    assert [problem.path for problem in caught.value.problems] == [
        "terms.term",
        "terms.price_usd_per_s",
        "terms.recovered_frac",
    ]
    assert caught.value.problems[0].nearest == "reserved_1y"
    assert caught.value.problems[2].fix == "write 0.3 for 30 %"
    with pytest.raises(InputError) as caught:
        replace(FULL, gpus=0.0, lost_s=-1.0, raised_usd=0.0)
    assert [(problem.path, problem.message) for problem in caught.value.problems] == [
        ("bill.gpus", "is zero"),
        ("bill.lost_s", "is negative"),
        ("bill.raised_usd", "is zero"),
    ]


def test_energy_of_two_cards() -> None:
    """400 W around the clock for 8,760 h are 3,504 kWh, 289 USD at 0.0826 USD/kWh and 1,295 kg on the US grid."""
    place = region(CATALOG, "us")
    used = energy_use(
        EnergyInputs(
            gpus=2.0,
            held_s=8760 * HOUR_S,
            tdp_w=200.0,
            power_over_tdp=1.0,
            pue=1.0,
            draw_frac=1.0,
            electricity_usd_per_j=place.electricity.median,
            carbon_kg_per_j=place.carbon.median,
            making_kg=165.0,
            lifetime_s=5 * YEAR_S,
        )
    )
    assert float(used.energy_j) / 3.6e6 == pytest.approx(3504.0, rel=1e-15)
    assert float(used.energy_usd) == pytest.approx(3504 * 0.0826, rel=1e-12)
    assert float(used.carbon_kg) == pytest.approx(3504 * 0.3695, rel=1e-12)
    assert float(used.embodied_kg) == pytest.approx(2 * 165 * 8760 / (5 * 8766), rel=1e-12)


def test_carbon_by_hand() -> None:
    """1 MWh at 100 g/kWh is 100 kg; an accelerator held for a fifth of its life is charged a fifth of its making."""
    assert carbon_kg(energy_j=3.6e9, carbon_kg_per_j=0.1 / 3.6e6) == pytest.approx(100.0, rel=1e-14)
    assert embodied_kg(accelerator_s=1.0, making_kg=150.0, lifetime_s=5.0) == pytest.approx(30.0, rel=1e-15)


def test_bad_energy() -> None:
    """A PUE below 1 and a draw above 1 are refused together."""
    with pytest.raises(InputError) as caught:
        EnergyInputs(
            gpus=1.0,
            held_s=1.0,
            tdp_w=1.0,
            power_over_tdp=1.0,
            pue=0.9,
            draw_frac=75.0,
            electricity_usd_per_j=0.0,
        )
    assert [problem.path for problem in caught.value.problems] == ["energy.pue", "energy.draw_frac"]
    assert caught.value.problems[1].fix == "write 0.75 for 75 %"


def test_a_long_block_is_billed_in_whole_weeks() -> None:
    """A capacity block is paid by the day up to 14 days, then by the week: 13.2 are 14 days, 14.2 and 20 are 21."""
    days = np.array([13.2, 14.0, 14.2, 20.0, 21.0]) * DAY_S
    made = bill(BillInputs(terms=terms_of("capacity_block", TWO_USD), gpus=8.0, useful_s=days))
    paid = np.asarray(made.total_usd) / (8.0 * TWO_USD * DAY_S)
    assert paid == pytest.approx([14.0, 14.0, 21.0, 21.0, 21.0], rel=1e-12)
