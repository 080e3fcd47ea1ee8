"""The kernel laws in their limits, and the shipped constants."""

from __future__ import annotations

import dataclasses
import tomllib
from importlib import resources
from typing import Any

import numpy as np
import pint
import pytest

from isocost.catalog.kernel_constants import (
    attention_constants,
    expert_constants,
    gemm_constants,
    measured_accelerators,
)
from isocost.errors import DataError
from isocost.laws.kernels import flash_attention_forward_s, gemm_s, grouped_gemm_s
from isocost.units import unit_of

IDEAL_GEMM = {
    "rate_flop_per_s": 1e15,
    "bytes_per_s": 1e12,
    "m_half": 0.0,
    "n_half": 0.0,
    "k_half": 0.0,
    "mn_half": 0.0,
    "quantise_bytes": 0.0,
    "launch_s": 0.0,
    "a_bytes": 2.0,
    "b_bytes": 2.0,
    "out_bytes": 2.0,
}
IDEAL_ATTENTION = {
    "head_dim": 128.0,
    "v_head_dim": 128.0,
    "value_bytes": 2.0,
    "rate_flop_per_s": 1e15,
    "bytes_per_s": 1e30,
    "keys_half": 0.0,
    "rows_half": 0.0,
    "kv_reads": 1.0,
    "launch_s": 0.0,
}
IDEAL_EXPERTS = {
    "matrices": 3.0,
    "rate_flop_per_s": 1e15,
    "bytes_per_s": 1e30,
    "rows_half": 0.0,
    "hidden_half": 0.0,
    "width_half": 0.0,
    "row_bytes": 0.0,
    "token_bytes": 0.0,
    "launch_s": 0.0,
    "weight_bytes": 2.0,
}
ONE_SEQUENCE = {
    "sequences": 1.0,
    "queries": 4096.0,
    "keys": 2048.0,
    "kv_tokens": 4096.0,
    "heads": 32.0,
    "kv_heads": 8.0,
}
ONE_LAYER = {"tokens": 8192.0, "rows": 65536.0, "experts": 64.0, "hidden": 4096.0, "expert_hidden": 1536.0}


def arguments(constants: object) -> dict[str, Any]:
    """Return the constants as keyword arguments of their law."""
    names = [field.name for field in dataclasses.fields(constants)]  # type: ignore[arg-type]
    return {name: getattr(constants, name) for name in names if name != "provenance"}


def test_large_product_takes_its_flop_over_the_rate() -> None:
    """Without losses and with ample bandwidth the time is 2 m n k / rate."""
    seconds = gemm_s(m=4096.0, n=8192.0, k=8192.0, **{**IDEAL_GEMM, "bytes_per_s": 1e30})
    assert seconds == pytest.approx(2 * 4096 * 8192 * 8192 / 1e15, rel=1e-12)


def test_thin_product_takes_its_bytes_over_the_bandwidth() -> None:
    """With one row the weights' bytes bound the time: 2 (k + n k + n) / bandwidth."""
    seconds = gemm_s(m=1.0, n=8192.0, k=8192.0, **IDEAL_GEMM)
    assert seconds == pytest.approx(2 * (8192 + 8192 * 8192 + 8192) / 1e12, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "half"), [("m_half", 512.0), ("n_half", 4096.0), ("k_half", 1024.0), ("mn_half", 512.0 * 4096.0)]
)
def test_a_half_size_doubles_the_arithmetic_time(name: str, half: float) -> None:
    """At the half size of any loss a compute-bound product takes twice as long."""
    shape = {"m": 512.0, "n": 4096.0, "k": 1024.0}
    ideal = {**IDEAL_GEMM, "bytes_per_s": 1e30}
    assert gemm_s(**shape, **{**ideal, name: half}) == pytest.approx(2.0 * gemm_s(**shape, **ideal), rel=1e-12)


def test_quantising_adds_its_bytes_and_the_launch_its_gap() -> None:
    """Quantisation costs bytes m k / bandwidth, and the launch adds unchanged."""
    shape = {"m": 2048.0, "n": 4096.0, "k": 1024.0}
    plain = gemm_s(**shape, **IDEAL_GEMM)
    quantised = gemm_s(**shape, **{**IDEAL_GEMM, "quantise_bytes": 5.0, "launch_s": 1e-6})
    assert quantised - plain == pytest.approx(5 * 2048 * 1024 / 1e12 + 1e-6, rel=1e-9)


def test_causal_attention_has_half_the_flop_of_full() -> None:
    """A compute-bound kernel takes 4 rows keys head_dim / rate, so half the keys take half the time."""
    full = flash_attention_forward_s(**{**ONE_SEQUENCE, "keys": 4096.0}, **IDEAL_ATTENTION)
    causal = flash_attention_forward_s(**ONE_SEQUENCE, **IDEAL_ATTENTION)
    assert full == pytest.approx(4 * 32 * 4096 * 4096 * 128 / 1e15, rel=1e-12)
    assert causal == pytest.approx(full / 2, rel=1e-12)


def test_attention_saturates_with_keys_and_rows() -> None:
    """At keys_half keys, and at rows_half rows, the arithmetic time doubles."""
    ideal = flash_attention_forward_s(**ONE_SEQUENCE, **IDEAL_ATTENTION)
    few_keys = flash_attention_forward_s(**ONE_SEQUENCE, **{**IDEAL_ATTENTION, "keys_half": 2048.0})
    few_rows = flash_attention_forward_s(**ONE_SEQUENCE, **{**IDEAL_ATTENTION, "rows_half": 32 * 4096.0})
    assert few_keys == pytest.approx(2 * ideal, rel=1e-12)
    assert few_rows == pytest.approx(2 * ideal, rel=1e-12)


def test_grouped_queries_save_only_the_reading_of_keys_and_values() -> None:
    """Memory-bound, 8 of 32 key-value heads move (32 + 8) / (32 + 32) of the bytes; compute-bound they save nothing."""
    slow_memory = {**IDEAL_ATTENTION, "bytes_per_s": 1e9, "rate_flop_per_s": 1e30}
    all_heads = {**ONE_SEQUENCE, "kv_heads": 32.0}
    ratio = flash_attention_forward_s(**ONE_SEQUENCE, **slow_memory) / flash_attention_forward_s(
        **all_heads, **slow_memory
    )
    assert ratio == pytest.approx(40 / 64, rel=1e-9)
    compute_bound = flash_attention_forward_s(**ONE_SEQUENCE, **IDEAL_ATTENTION)
    assert flash_attention_forward_s(**all_heads, **IDEAL_ATTENTION) == pytest.approx(compute_bound, rel=1e-12)


def test_experts_without_losses_take_their_flop_over_the_rate() -> None:
    """Three gated matrices: 6 rows hidden width / rate."""
    seconds = grouped_gemm_s(**ONE_LAYER, **IDEAL_EXPERTS)
    assert seconds == pytest.approx(6 * 65536 * 4096 * 1536 / 1e15, rel=1e-12)


def test_one_expert_of_all_tokens_is_three_products() -> None:
    """A single expert with every token costs as much arithmetic as its three products."""
    layer = {"tokens": 4096.0, "rows": 4096.0, "experts": 1.0, "hidden": 2048.0, "expert_hidden": 8192.0}
    product = gemm_s(m=4096.0, n=8192.0, k=2048.0, **{**IDEAL_GEMM, "bytes_per_s": 1e30})
    assert grouped_gemm_s(**layer, **IDEAL_EXPERTS) == pytest.approx(3 * product, rel=1e-12)


def test_rows_per_expert_decide_the_efficiency() -> None:
    """At rows_half rows per expert the arithmetic time doubles, however many experts there are."""
    half = {**IDEAL_EXPERTS, "rows_half": 1024.0}  # 65,536 rows over 64 experts
    ideal = grouped_gemm_s(**ONE_LAYER, **IDEAL_EXPERTS)
    assert grouped_gemm_s(**ONE_LAYER, **half) == pytest.approx(2 * ideal, rel=1e-12)


def test_permuting_moves_bytes_per_row_and_per_token() -> None:
    """Row and token bytes add over the bandwidth, outside the maximum."""
    moving = {**IDEAL_EXPERTS, "bytes_per_s": 1e12, "rate_flop_per_s": 1e30, "weight_bytes": 0.0}
    seconds = grouped_gemm_s(**ONE_LAYER, **{**moving, "row_bytes": 10.0, "token_bytes": 4.0})
    assert seconds == pytest.approx((10 * 65536 + 4 * 8192) * 4096 / 1e12, rel=1e-9)


def test_a_block_without_experts_costs_the_launch_only() -> None:
    """No rows and no experts: zero arithmetic and bytes, without a warning or a not-a-number."""
    empty = {**ONE_LAYER, "tokens": 0.0, "rows": 0.0, "experts": 0.0, "expert_hidden": 0.0}
    assert grouped_gemm_s(**empty, **{**IDEAL_EXPERTS, "launch_s": 3e-5}) == 3e-5


@pytest.mark.parametrize(
    ("law", "shape", "constants"),
    [
        (gemm_s, {"m": 777.0, "n": 4096.0, "k": 1000.0}, gemm_constants("h100-sxm5-80gb", "fp8", 2e15, 3e12)),
        (
            flash_attention_forward_s,
            {**ONE_SEQUENCE, "head_dim": 192.0, "v_head_dim": 128.0},
            attention_constants("h100-sxm5-80gb", "bf16", 192.0, 1e15, 3e12),
        ),
        (
            grouped_gemm_s,
            {**ONE_LAYER, "matrices": 3.0},
            expert_constants("b200-sxm-180gb", "mxfp8", 4.5e15, 8e12),
        ),
    ],
)
def test_scalar_equals_row_and_seconds_come_out(law: Any, shape: dict[str, float], constants: object) -> None:
    """The law gives a scalar and a row the same bits, and seconds under units when a flop is a count."""
    given = {**shape, **arguments(constants)}
    scalar = law(**given)
    assert law(**{name: np.full(3, value) for name, value in given.items()}).tolist() == [scalar] * 3
    registry = pint.UnitRegistry(cache_folder=None)
    registry.define("flop = []")
    # Bytes and flop of an element are counts of the shape, so the law divides a bare count by flop/s and a byte by B/s.
    dimensions = {"B": "byte", "B/s": "byte/second", "s": "second", "flop/s": "1/second"}
    quantities = {name: registry.Quantity(value, dimensions.get(unit_of(name), "")) for name, value in given.items()}
    assert law(**quantities).to("second").magnitude == pytest.approx(scalar, rel=1e-12)


def test_every_shipped_constant_is_physical() -> None:
    """Rates stay below the peak, bandwidths below the datasheet's, all constants are finite and not negative."""
    facts = tomllib.loads(resources.files("isocost").joinpath("data/kernels.toml").read_text())
    for law in ("gemm", "attention", "experts"):
        for chip, entries in facts[law].items():
            for precision, entry in entries.items():
                numbers = {name: value for name, value in entry.items() if name != "grade"}
                assert all(np.isfinite(value) and value >= 0.0 for value in numbers.values()), (law, chip, precision)
                most = 2.0 if (law, precision) == ("attention", "fp8") else 1.0  # held against the 16-bit peak
                rates = [v for n, v in numbers.items() if n.startswith("efficiency") and n.endswith("_frac")]
                assert max(rates) <= most, (law, chip, precision)
                assert 0.39 < numbers["hbm_efficiency_frac"] <= 0.95, (law, chip, precision)


@pytest.mark.parametrize("precision", ["bf16", "fp8", "mxfp8", "nvfp4"])
def test_measured_products_meet_the_error_that_a_trial_reached(precision: str) -> None:
    """Median error of the product law, median over the chips: 5.5 % (6 % in 4 bit); 90th percentile 17 % at most."""
    facts = tomllib.loads(resources.files("isocost").joinpath("data/kernels.toml").read_text())["gemm"]
    entries = [facts[chip][precision] for chip in measured_accelerators("gemm") if precision in facts[chip]]
    assert np.median([entry["median_error_frac"] for entry in entries]) <= (0.06 if precision == "nvfp4" else 0.055)
    assert np.median([entry["p90_error_frac"] for entry in entries]) <= 0.17


def test_a_measured_chip_keeps_its_measured_rates() -> None:
    """The datasheet figures passed for a measured chip do not change its constants, and its errors come along."""
    constants = gemm_constants("h100-sxm5-80gb", "bf16", 1e15, 3e12)
    assert constants == gemm_constants("h100-sxm5-80gb", "bf16", 5e15, 9e12)
    assert constants.provenance.origin == "measured"
    assert constants.provenance.basis == "h100-sxm5-80gb"
    assert 0.0 < constants.provenance.error_frac < constants.provenance.error_p90_frac < 0.2


def test_the_same_silicon_scales_with_its_own_datasheet() -> None:
    """An H100 PCIe at half the H100 SXM's datasheet has half its rates; its spread is the prior's."""
    sxm = gemm_constants("h100-sxm5-80gb", "bf16", 989.4e12, 3.35e12)
    pcie = gemm_constants("h100-pcie-80gb", "bf16", 989.4e12 / 2, 3.35e12 / 2)
    assert pcie.rate_flop_per_s == pytest.approx(sxm.rate_flop_per_s / 2, rel=1e-3)
    assert pcie.bytes_per_s == pytest.approx(sxm.bytes_per_s / 2, rel=1e-3)
    assert (pcie.provenance.origin, pcie.provenance.basis) == ("same silicon", "h100-sxm5-80gb")
    assert pcie.provenance.error_frac >= 0.15


def test_an_unmeasured_chip_gets_the_prior_scaled_by_its_peak() -> None:
    """MI300X has no rows: its rate is the prior's efficiency times its peak, so twice the peak is twice the rate."""
    one = expert_constants("mi300x", "fp8", 2.6e15, 5.3e12)
    two = expert_constants("mi300x", "fp8", 5.2e15, 5.3e12)
    assert one.provenance.origin == "prior"
    assert one.provenance.error_frac >= 0.15
    assert two.rate_flop_per_s == pytest.approx(2 * one.rate_flop_per_s, rel=1e-12)


def test_a_precision_not_measured_on_a_measured_chip_falls_back_to_the_prior() -> None:
    """Experts on A100 were measured with an untuned kernel only, and 4-bit experts nowhere: both say prior."""
    assert expert_constants("a100-sxm4-80gb", "bf16", 312e12, 2e12).provenance.origin == "prior"
    assert expert_constants("b200-sxm-180gb", "nvfp4", 9e15, 8e12).provenance.origin == "prior"


def test_half_precision_formats_share_constants() -> None:
    """fp16 runs at the bf16 rate; block-scaled recipes run attention with the 8-bit kernel."""
    assert gemm_constants("a100-sxm4-80gb", "fp16", 1.0, 1.0) == gemm_constants("a100-sxm4-80gb", "bf16", 1.0, 1.0)
    block, eight = (attention_constants("b200-sxm-180gb", p, 128.0, 1.0, 1.0) for p in ("mxfp8", "fp8"))
    assert arguments(block) == arguments(eight)


def test_attention_rate_follows_head_dim() -> None:
    """Between measured head_dims the rate is linear, below 64 proportional, above 256 constant; arrays are taken."""
    dims = np.array([32.0, 64.0, 96.0, 128.0, 256.0, 512.0])
    rate = np.asarray(attention_constants("h100-sxm5-80gb", "bf16", dims, 1.0, 1.0).rate_flop_per_s)
    assert rate[0] == pytest.approx(rate[1] / 2)
    assert rate[2] == pytest.approx((rate[1] + rate[3]) / 2)
    assert rate[5] == rate[4]


def test_an_unknown_precision_is_refused_by_name() -> None:
    """A precision without constants is an error that lists those there are."""
    with pytest.raises(DataError, match=r"int4.*bf16, fp16, fp8, mxfp8, nvfp4"):
        gemm_constants("h100-sxm5-80gb", "int4", 1.0, 1.0)
