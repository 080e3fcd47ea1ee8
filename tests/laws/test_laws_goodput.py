"""Laws of failures, checkpoints, stragglers and storage against hand figures, limits and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from isocost.laws import checkpoint, failures, storage, stragglers
from isocost.units import DAY_S

RSC1 = 6.5e-3 / DAY_S


def test_linear_form_is_the_published_one() -> None:
    """F3 equals (1 - N r (u + tau / 2)) / (1 + d / tau) to 1e-9, and its check values."""
    for nodes, rate, u, tau, d in ((2000, RSC1, 300, 3600, 0), (1500, RSC1, 300, 411, 10), (48, 3e-8, 900, 10500, 40)):
        expected = (1 - nodes * rate * (u + tau / 2)) / (1 + d / tau)
        got = failures.ettr_linear_frac(nodes=nodes, node_failures_per_s=rate, recovery_s=u, interval_s=tau, save_s=d)
        assert got == pytest.approx(expected, rel=1e-9)
    hour = failures.ettr_linear_frac(nodes=2000, node_failures_per_s=RSC1, recovery_s=300.0, interval_s=3600.0)
    five = failures.ettr_linear_frac(nodes=2000, node_failures_per_s=RSC1, recovery_s=300.0, interval_s=300.0)
    assert round(float(hour), 3) == 0.684
    assert round(float(five), 3) == 0.932


def test_renewal_form_is_exact_where_the_linear_one_fails() -> None:
    """F4 gives 0.721 where the linear form has 0.684, and both agree where losses are small."""
    mttf_s = 1.0 / (2000 * RSC1)
    exact = failures.ettr_renewal_frac(mttf_s=mttf_s, recovery_s=300.0, interval_s=3600.0)
    assert round(float(exact), 3) == 0.721
    calm = {"recovery_s": 10.0, "interval_s": 100.0, "save_s": 0.1}
    linear = failures.ettr_linear_frac(nodes=1.0, node_failures_per_s=1e-6, **calm)
    assert failures.ettr_renewal_frac(mttf_s=1e6, **calm) == pytest.approx(float(linear), abs=1e-7)


@pytest.mark.parametrize(("handled_s", "exposed_s"), [(900.0, 0.0), (0.0, 900.0)])
def test_general_form_has_f4_and_f5_as_limits(handled_s: float, exposed_s: float) -> None:
    """Kept share over stretch is F4 when nothing strikes during recovery, and F5 when everything may, to 1e-12."""
    rate, tau, d = 1.0 / 20_000.0, 1500.0, 30.0
    kept = failures.running_kept_frac(lost_stops_per_s=rate, interval_s=tau, save_s=d)
    wall = failures.wall_per_running(failures_per_s=rate, handled_s=handled_s, exposed_s=exposed_s)
    law = failures.ettr_renewal_frac if handled_s else failures.ettr_daly_frac
    expected = law(mttf_s=1.0 / rate, recovery_s=900.0, interval_s=tau, save_s=d)
    assert kept / wall == pytest.approx(float(expected), rel=1e-12)


def test_nothing_fails_nothing_is_lost() -> None:
    """At rate 0 the kept share is that of the saves alone, and the stretch is 1."""
    kept = failures.running_kept_frac(lost_stops_per_s=0.0, interval_s=990.0, save_s=10.0, persist_s=50.0)
    assert kept == pytest.approx(0.99, rel=1e-12)
    assert failures.wall_per_running(failures_per_s=0.0, handled_s=1e6, exposed_s=1e6) == 1.0


@pytest.mark.parametrize("ratio", [1 / 50, 1 / 200, 1 / 5000])
def test_daly_is_within_two_percent_of_brute_force(ratio: float) -> None:
    """For d < M / 50 Daly's interval is within 2 % of the best on a fine grid, and the exact one within its spacing."""
    mttf_s = 30_000.0
    d = ratio * mttf_s * 0.999
    grid = np.geomspace(d / 2, mttf_s, 200_001)
    best = grid[np.argmax(failures.ettr_renewal_frac(mttf_s=mttf_s, recovery_s=600.0, interval_s=grid, save_s=d))]
    assert checkpoint.daly_interval_s(save_s=d, mttf_s=mttf_s) == pytest.approx(best, rel=0.02)
    assert checkpoint.exact_interval_s(save_s=d, mttf_s=mttf_s) == pytest.approx(best, rel=1e-3)
    assert checkpoint.young_interval_s(save_s=d, mttf_s=mttf_s) == pytest.approx(math.sqrt(2 * d * mttf_s), rel=1e-12)


def test_exact_interval_solves_its_equation_everywhere() -> None:
    """1 - y = exp(-y - d / M) holds to rounding from d = M / 1e9 to d = 100 M, where Daly's form has switched to M."""
    blocked = np.array([1e-9, 1e-4, 0.02, 0.5, 2.0, 100.0])
    y = np.asarray(checkpoint.exact_interval_s(save_s=blocked, mttf_s=1.0))
    np.testing.assert_allclose(y, -np.expm1(-(y + blocked)), rtol=1e-9)
    assert checkpoint.daly_interval_s(save_s=3.0, mttf_s=1.0) == 1.0


def test_persistence_and_asynchronous_stall() -> None:
    """A save longer than the interval stalls by the excess; persistence costs exp(-p / M) of the kept share."""
    assert checkpoint.asynchronous_stall_s(copy_s=2.0, persist_s=90.0, interval_s=60.0) == 32.0
    assert checkpoint.asynchronous_stall_s(copy_s=2.0, persist_s=30.0, interval_s=60.0) == 2.0
    assert checkpoint.mean_rework_s(interval_s=600.0, persist_s=90.0) == 390.0
    rates = {"lost_stops_per_s": 1e-4, "interval_s": 600.0, "save_s": 2.0}
    late, prompt = (failures.running_kept_frac(**rates, persist_s=p) for p in (90.0, 0.0))
    assert late / prompt == pytest.approx(math.exp(-90e-4), rel=1e-12)


def test_checkpoint_sizes_and_times_of_published_runs() -> None:
    """13.07 bytes a parameter is BLOOM's 2.3 TB, at 57.5 GB/s 40 s; 405B at 13.06 is the 5.29 TB of MLPerf."""
    assert checkpoint.checkpoint_bytes(params=176e9, param_bytes=13.07) == pytest.approx(2.3e12, rel=1e-3)
    assert checkpoint.checkpoint_bytes(params=405e9, param_bytes=13.06) == pytest.approx(5.29e12, rel=1e-3)
    assert storage.transfer_s(payload_bytes=2.3e12, bytes_per_s=57.5e9) == pytest.approx(40.0)


def test_storage_is_the_smaller_of_nodes_and_file_system() -> None:
    """Nodes add up until the file system is full; needed bandwidth meets its loss by Young's interval."""
    few, many = (
        storage.storage_bytes_per_s(nodes=n, node_bytes_per_s=4e9, file_system_bytes_per_s=80e9) for n in (8, 128)
    )
    assert (few, many) == (32e9, 80e9)
    need = storage.needed_write_bytes_per_s(state_bytes=5.3e12, mttf_s=10_000.0, loss_frac=0.05)
    assert math.sqrt(2 * 5.3e12 / float(need) / 10_000.0) == pytest.approx(0.05, rel=1e-12)
    assert storage.retained_bytes(state_bytes=5e12, checkpoints_kept=2) == 15e12


def test_text_reads_nothing() -> None:
    """405B at 165 tokens/s/GPU reads 0.66 kB/s a GPU: no stall; half the rate needed doubles the step."""
    assert storage.training_read_bytes_per_s(tokens_per_s=165.0, token_bytes=4.0) == 660.0
    assert storage.data_stall_excess(needed_bytes_per_s=660.0, available_bytes_per_s=1e8) == 0.0
    assert storage.data_stall_excess(needed_bytes_per_s=2e9, available_bytes_per_s=1e9) == 1.0


def test_throttling_grows_only_the_part_that_computes() -> None:
    """Half the step at 80 % clock: 12.5 % longer; half the power leaves 0.794 of the clock at exponent 3."""
    assert stragglers.throttle_excess(compute_frac=0.5, slow_clock_frac=0.8) == pytest.approx(0.125)
    assert stragglers.clock_under_cap_frac(power_frac=0.5, power_exponent=3.0) == pytest.approx(0.5 ** (1 / 3))
    assert stragglers.clock_under_cap_frac(power_frac=1.2, power_exponent=3.0) == 1.0


def test_early_life_lemons_and_repair() -> None:
    """All early failures of a batch fall into a long run; lemons raise the mean rate; 25 nodes are in repair."""
    rate = failures.early_life_failures_per_s(
        early_failure_frac=0.065, gpus_per_node=8.0, age_s=0.0, run_s=3e9, decay_s=60 * DAY_S
    )
    assert rate * 3e9 == pytest.approx(0.52, rel=1e-6)
    assert failures.lemon_factor(lemon_frac=0.012, lemon_rate_ratio=101.0) == pytest.approx(2.2)
    assert failures.nodes_in_repair(nodes=2000.0, node_failures_per_s=3.125e-3 / DAY_S, repair_s=4 * DAY_S) == 25.0
    assert failures.usable_frac(available_frac=0.9, allocated_frac=0.8, productive_frac=0.5) == pytest.approx(0.36)


def test_two_regimes_of_mttf_are_kept_apart() -> None:
    """6.5 per 1000 node-days is 1.80 h at 16,384 GPUs and 0.23 h at 131,072, and 28.8 h, not 7.9 h, at 1,024."""
    hours = [
        float(failures.mean_time_to_failure_s(failures_per_s=nodes * RSC1)) / 3600.0 for nodes in (2048, 16384, 128)
    ]
    assert [round(x, 2) for x in hours] == [1.80, 0.23, 28.85]
