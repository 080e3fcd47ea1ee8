"""Constants of the kernel laws by accelerator and precision: measured, of the same silicon, or a datasheet prior.

A measured chip has its own rates, as fitted. A chip of the same silicon has the measured chip's efficiencies, and any
other the medians of the measured ones, both applied to the datasheet peak and bandwidth that the caller passes.
``provenance`` says which.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final, Literal, cast

import numpy as np

from isocost.errors import DataError, Problem
from isocost.num import Num

Origin = Literal["measured", "same silicon", "prior"]

# 16-bit formats run at one rate. Attention has no kernels of its own in block-scaled formats: 8 bit at most.
_TABLE_OF: Final[Mapping[str, str]] = MappingProxyType({"fp16": "bf16"})
_ATTENTION_TABLE_OF: Final[Mapping[str, str]] = MappingProxyType({"fp16": "bf16", "mxfp8": "fp8", "nvfp4": "fp8"})
_HEAD_DIMS: Final = (64.0, 128.0, 192.0, 256.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where constants come from and how far off the law is with them."""

    origin: Origin
    basis: str  # the measured chip, or "prior"
    error_frac: (
        float  # measured: median error of the law on that chip's rows; else the spread between chips (one sigma, log)
    )
    error_p90_frac: float  # measured: 90th percentile; else that of a normal error of the spread


@dataclass(frozen=True, slots=True, kw_only=True)
class GemmConstants:
    """Arguments of ``gemm_s`` beyond the shape."""

    rate_flop_per_s: float
    bytes_per_s: float
    m_half: float
    n_half: float
    k_half: float
    mn_half: float
    quantise_bytes: float
    launch_s: float
    a_bytes: float
    b_bytes: float
    out_bytes: float
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionConstants:
    """Arguments of ``flash_attention_forward_s`` beyond the shape; the rate follows head_dim, so it may be an array."""

    rate_flop_per_s: Num
    bytes_per_s: float
    keys_half: float
    rows_half: float
    kv_reads: float
    launch_s: float
    value_bytes: float
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertConstants:
    """Arguments of ``grouped_gemm_s`` beyond the shape."""

    rate_flop_per_s: float
    bytes_per_s: float
    rows_half: float
    hidden_half: float
    width_half: float
    row_bytes: float
    token_bytes: float
    launch_s: float
    weight_bytes: float
    provenance: Provenance


@cache
def _facts() -> dict[str, Any]:
    return tomllib.loads(resources.files("isocost").joinpath("data/kernels.toml").read_text(encoding="utf-8"))


def measured_accelerators(law: Literal["gemm", "attention", "experts"]) -> tuple[str, ...]:
    """Return the accelerators on which the law was fitted."""
    return tuple(name for name in _facts()[law] if name != "prior")


def gemm_constants(
    accelerator_id: str, precision: str, peak_flop_per_s: float, hbm_bytes_per_s: float
) -> GemmConstants:
    """Return the constants of a matrix product; the peak is that of ``precision``."""
    entry, provenance = _entry("gemm", accelerator_id, _TABLE_OF.get(precision, precision))
    operand_bytes = _operand_bytes(_TABLE_OF.get(precision, precision))
    return GemmConstants(
        rate_flop_per_s=_rate(entry, provenance, "efficiency_frac", peak_flop_per_s),
        bytes_per_s=_bandwidth(entry, provenance, hbm_bytes_per_s),
        m_half=entry["m_half"],
        n_half=entry["n_half"],
        k_half=entry["k_half"],
        mn_half=entry["mn_half"],
        quantise_bytes=entry["quantise_bytes"],
        launch_s=entry["launch_s"],
        a_bytes=operand_bytes,
        b_bytes=operand_bytes,
        out_bytes=_operand_bytes("bf16"),  # products of every precision are written in 16 bit
        provenance=provenance,
    )


def attention_constants(
    accelerator_id: str, precision: str, head_dim: Num, peak_flop_per_s: float, hbm_bytes_per_s: float
) -> AttentionConstants:
    """Return the constants of flash attention in ``precision``; the peak is always the 16-bit one.

    The rate is linear in head_dim between 64, 128, 192 and 256. Narrower heads fall in proportion (the exponential, a
    key's work that does not depend on its width, limits them); wider ones keep the rate of 256.
    """
    table = _ATTENTION_TABLE_OF.get(precision, precision)
    entry, provenance = _entry("attention", accelerator_id, table)
    peak = entry["peak_flop_per_s"] if provenance.origin == "measured" else peak_flop_per_s
    efficiency = np.interp(head_dim, _HEAD_DIMS, [entry[f"efficiency_{dim:.0f}_frac"] for dim in _HEAD_DIMS])
    narrow = np.minimum(np.divide(head_dim, _HEAD_DIMS[0]), 1.0)
    return AttentionConstants(
        rate_flop_per_s=cast(Num, efficiency * narrow * peak),
        bytes_per_s=_bandwidth(entry, provenance, hbm_bytes_per_s),
        keys_half=entry["keys_half"],
        rows_half=entry["rows_half"],
        kv_reads=entry["kv_reads"],
        launch_s=entry["launch_s"],
        value_bytes=_operand_bytes(table),
        provenance=provenance,
    )


def expert_constants(
    accelerator_id: str, precision: str, peak_flop_per_s: float, hbm_bytes_per_s: float
) -> ExpertConstants:
    """Return the constants of a layer of experts; the peak is that of ``precision``."""
    table = _TABLE_OF.get(precision, precision)
    entry, provenance = _entry("experts", accelerator_id, table)
    return ExpertConstants(
        rate_flop_per_s=_rate(entry, provenance, "efficiency_frac", peak_flop_per_s),
        bytes_per_s=_bandwidth(entry, provenance, hbm_bytes_per_s),
        rows_half=entry["rows_half"],
        hidden_half=entry["hidden_half"],
        width_half=entry["width_half"],
        row_bytes=entry["row_bytes"],
        token_bytes=entry["token_bytes"],
        launch_s=entry["launch_s"],
        weight_bytes=_operand_bytes(table),
        provenance=provenance,
    )


def _entry(law: str, accelerator_id: str, precision: str) -> tuple[dict[str, float], Provenance]:
    facts = _facts()
    prior = facts[law]["prior"]
    if precision not in prior:
        known = sorted({*prior, "fp16"})
        problem = Problem(f"kernels.toml: {law}", "is not a precision with constants", precision, ", ".join(known))
        raise DataError([problem])
    spread = prior[precision]["spread_frac"]
    # 1.645 sigma: the 90th percentile of the absolute value of a normal error.
    unmeasured = {"error_frac": spread, "error_p90_frac": float(np.expm1(1.645 * spread))}
    origins: tuple[tuple[Origin, str], ...] = (
        ("measured", accelerator_id),
        ("same silicon", facts["same_silicon"].get(accelerator_id, "")),
    )
    for origin, basis in origins:
        entry = facts[law].get(basis, {}).get(precision)
        if basis != "prior" and entry is not None:
            fit = {"error_frac": entry["median_error_frac"], "error_p90_frac": entry["p90_error_frac"]}
            errors = fit if origin == "measured" else unmeasured
            return entry, Provenance(origin=origin, basis=basis, **errors)
    return prior[precision], Provenance(origin="prior", basis="prior", **unmeasured)


def _rate(entry: dict[str, float], provenance: Provenance, efficiency: str, peak_flop_per_s: float) -> float:
    if provenance.origin == "measured":
        return entry["rate_flop_per_s"]
    return entry[efficiency] * peak_flop_per_s


def _bandwidth(entry: dict[str, float], provenance: Provenance, hbm_bytes_per_s: float) -> float:
    if provenance.origin == "measured":
        return entry["bytes_per_s"]
    return entry["hbm_efficiency_frac"] * hbm_bytes_per_s


def _operand_bytes(precision: str) -> float:
    return float(_facts()["operand_bytes"][precision])
