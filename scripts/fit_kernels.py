"""Fit the kernel laws on measured kernel times; write src/isocost/data/kernels.toml and docs/kernels.md.

    python scripts/fit_kernels.py TABLES

TABLES holds gemm.parquet, attention_forward.parquet and moe_forward.parquet, distilled from the measurements in the
package aiconfigurator-core 0.12.0. Least squares on the logarithm of time, robust (soft L1), each constant fitted as
its logarithm with a weak prior. A fixed subsample of each table carries the fit; the errors are those of all its
rows. The same tables give the same files.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # sums in a fixed order; the matrices are tiny

import tomllib

import numpy as np
import pandas as pd
from kernel_report import docs_text, toml_text
from scipy.optimize import least_squares

from isocost import units
from isocost.laws import kernels

ROOT = Path(__file__).resolve().parents[1]
PRECISION_OF_TABLE = {"bf16": "bf16", "fp8": "fp8", "fp8-block": "mxfp8", "nvfp4": "nvfp4"}
# Bytes an element: 4-bit values carry one 8-bit scale for 16 of them; the scales of 8-bit blocks are negligible.
OPERAND_BYTES = {"bf16": 2.0, "fp8": 1.0, "mxfp8": 1.0, "nvfp4": 0.5625}
HEAD_DIMS = (64, 128, 192, 256)
# Of one prior, in units of the fit's log residuals: about 2,000 rows outweigh it wherever they say anything.
PRIOR_WEIGHT = 0.05
SAMPLE_ROWS = 320  # per octave of m, or per (head_dim, windowed or not)
# Ungrouped or untuned kernels, kept where nothing else was measured: they tell of the engine, not of the chip.
SLOW_EXPERT_KERNELS = "triton|^vllm_fused_moe$"

Columns = dict[str, np.ndarray]
Fits = dict[str, dict[str, dict[str, float]]]  # constants by chip and precision
Model = Callable[[dict[str, float], Columns], np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Where a constant starts, how far it is expected to go, and where it stops being physical."""

    centre: float
    log_sigma: float
    least: float = 0.0
    most: float = np.inf


def memory_prior(hbm: float) -> Prior:
    """Return the prior of the memory bandwidth a kernel reaches: streaming copies reach 80 to 93 % of the datasheet."""
    return Prior(centre=0.8 * hbm, log_sigma=0.2, least=0.4 * hbm, most=0.95 * hbm)


def fit(model: Model, priors: dict[str, Prior], sample: Columns, spread: float) -> dict[str, float]:
    """Return the constants that make ``model`` match the sample's seconds; errors beyond ``spread`` count linearly."""
    names = list(priors)
    start = np.log([priors[name].centre for name in names])
    sigma = np.array([priors[name].log_sigma for name in names])
    seconds = np.log(sample["seconds"])

    def residuals(logs: np.ndarray) -> np.ndarray:
        off = np.log(model(dict(zip(names, np.exp(logs), strict=True)), sample)) - seconds
        return np.concatenate([off, PRIOR_WEIGHT * (logs - start) / sigma])

    with np.errstate(divide="ignore"):
        bounds = (np.log([priors[name].least for name in names]), np.log([priors[name].most for name in names]))
    found = least_squares(residuals, start, bounds=bounds, loss="soft_l1", f_scale=spread, max_nfev=300)
    return {name: float(value) for name, value in zip(names, np.exp(found.x), strict=True)}


def errors(seconds: np.ndarray, predicted: np.ndarray) -> tuple[int, float, float]:
    """Return the number of rows, the median and the 90th percentile of the absolute relative error."""
    off = np.abs(predicted / seconds - 1.0)
    return len(off), float(np.median(off)), float(np.quantile(off, 0.9))


def scored(model: Model, constants: dict[str, float], columns: Columns, training: np.ndarray) -> dict[str, float]:
    """Return the errors over all rows, and over those of the size that training runs."""
    predicted = model(constants, columns)
    n, median, p90 = errors(columns["seconds"], predicted)
    _, training_median, training_p90 = errors(columns["seconds"][training], predicted[training])
    return {
        "n": n,
        "median_error_frac": median,
        "p90_error_frac": p90,
        "training_median_error_frac": training_median,
        "training_p90_error_frac": training_p90,
    }


def columns_of(frame: pd.DataFrame) -> Columns:
    """Return the numeric columns as float arrays."""
    return {name: frame[name].to_numpy(float) for name in frame.select_dtypes("number").columns}


def sampled(frame: pd.DataFrame, strata: object, rows: int) -> pd.DataFrame:
    """Return a fixed sample of at most ``rows`` of every stratum."""
    return pd.concat([part.sample(min(len(part), rows), random_state=0) for _, part in frame.groupby(strata)])


def gemm_fits(table: pd.DataFrame, chips: dict[str, dict[str, float]]) -> Fits:
    """Fit matrix products by chip and precision, on m a multiple of 128: what training runs."""
    table = table[table.accelerator.isin(chips)]
    fits: Fits = {}
    for (chip, dtype), any_m in table.groupby(["accelerator", "dtype"]):
        rows = any_m[any_m.m % 128 == 0]
        precision = PRECISION_OF_TABLE[dtype]
        peak, hbm = chips[chip][precision], chips[chip]["hbm"]
        operand = OPERAND_BYTES[precision]
        fixed = {"a_bytes": operand, "b_bytes": operand, "out_bytes": 2.0, "quantise_bytes": 0.0}
        priors = {
            "rate_flop_per_s": Prior(centre=0.75 * peak, log_sigma=0.3, most=peak),
            "bytes_per_s": memory_prior(hbm),
            "m_half": Prior(centre=60.0, log_sigma=2.0),
            "n_half": Prior(centre=60.0, log_sigma=2.0),
            "k_half": Prior(centre=150.0, log_sigma=2.0),
            "mn_half": Prior(centre=1e5, log_sigma=2.0),
            "launch_s": Prior(centre=5e-6, log_sigma=0.5),
        }
        if (
            precision != "bf16"
        ):  # what n costs beyond the same chip's 16-bit product is the quantisation of the activations
            del priors["n_half"], fixed["quantise_bytes"]
            fixed["n_half"] = fits[chip]["bf16"]["n_half"]
            priors["quantise_bytes"] = Prior(centre=4.0, log_sigma=0.7)

        def model(constants: dict[str, float], c: Columns, fixed: dict[str, float] = fixed) -> np.ndarray:
            return np.asarray(kernels.gemm_s(m=c["m"], n=c["n"], k=c["k"], **fixed, **constants))

        sample = columns_of(sampled(rows, np.floor(np.log2(rows.m)), SAMPLE_ROWS))
        found = fit(model, priors, sample, 0.05)
        everything = columns_of(rows)
        training = (everything["m"] >= 2048) & (everything["n"] >= 1024) & (everything["k"] >= 1024)
        constants = {**found, **{name: fixed[name] for name in ("n_half", "quantise_bytes") if name in fixed}}
        fits.setdefault(chip, {})[precision] = {
            "efficiency_frac": found["rate_flop_per_s"] / peak,
            "hbm_efficiency_frac": found["bytes_per_s"] / hbm,
            **constants,
            **scored(model, found, everything, training),
            **scored_on_any_m(model, found, columns_of(any_m)),
        }
    return fits


def scored_on_any_m(model: Model, constants: dict[str, float], columns: Columns) -> dict[str, float]:
    """Return the errors over every row of the table, the m = 128 j + 1 that carry no fit included."""
    _, median, p90 = errors(columns["seconds"], model(constants, columns))
    return {"any_m_median_error_frac": median, "any_m_p90_error_frac": p90}


def attention_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows to fit: one a shape, the faster engine; no Triton, no windows in fp8, no slivers of work.

    An unknown window is none. Triton kernels are several times slower on data-centre chips and stand only where no
    other kernel was measured (head_dim 192 on Blackwell); two engines' fp8 kernels treat windows in two ways, a
    factor 2.5 apart.
    """
    table = table[~table.kernel.str.contains("triton") & table.head_dim.isin(HEAD_DIMS)].copy()
    table["window"] = table.window.fillna(0.0)
    shape = ["accelerator", "dtype", "batch_size", "seq", "heads", "kv_heads", "head_dim", "window"]
    table = table.groupby(shape, as_index=False).seconds.min()
    windowed = (table.window > 0) & (table.window < table.seq)
    window = np.where(windowed, table.window, table.seq).astype(float)
    table["keys"] = window - window * (window - 1) / (2.0 * table.seq)
    table["windowed"] = windowed.astype(float)
    enough = (table.seq >= 1024) & (table.batch_size * table.heads * table.seq >= 16384)
    return table[enough & ~(windowed & (table.dtype == "fp8"))]


def attention_fits(table: pd.DataFrame, chips: dict[str, dict[str, float]]) -> Fits:
    """Fit causal flash attention by chip and precision: one rate a head_dim, the rest shared."""
    table = attention_rows(table)
    fits: Fits = {}
    for (chip, dtype), rows in table[table.accelerator.isin(chips)].groupby(["accelerator", "dtype"]):
        peak, hbm = chips[chip]["bf16"], chips[chip]["hbm"]
        value_bytes = OPERAND_BYTES[dtype]
        dims = [dim for dim in HEAD_DIMS if (rows.head_dim == dim).any()]
        priors = {
            "bytes_per_s": memory_prior(hbm),
            "keys_half": Prior(centre=400.0, log_sigma=1.0),
            "rows_half": Prior(centre=2e4, log_sigma=1.0),
            "kv_reads": Prior(centre=1.0, log_sigma=0.5),
            "launch_s": Prior(centre=1e-5, log_sigma=0.5),
            **{f"rate_{dim}": Prior(centre=0.7 * peak, log_sigma=0.4, most=chips[chip][dtype]) for dim in dims},
        }

        def model(
            constants: dict[str, float], c: Columns, dims: list[int] = dims, b: float = value_bytes
        ) -> np.ndarray:
            rates = np.array([constants[f"rate_{dim}"] for dim in dims])
            shared = {name: value for name, value in constants.items() if not name.startswith("rate_")}
            seconds = kernels.flash_attention_forward_s(
                sequences=c["batch_size"],
                queries=c["seq"],
                keys=c["keys"],
                kv_tokens=c["seq"],
                heads=c["heads"],
                kv_heads=c["kv_heads"],
                head_dim=c["head_dim"],
                v_head_dim=c["head_dim"],
                value_bytes=b,
                rate_flop_per_s=rates[np.searchsorted(dims, c["head_dim"])],
                **shared,
            )
            return np.asarray(seconds)

        sample = columns_of(sampled(rows, ["head_dim", "windowed"], SAMPLE_ROWS))
        found = fit(model, priors, sample, 0.06)
        everything = columns_of(rows)
        filled = everything["batch_size"] * everything["heads"] * everything["seq"] >= 131072
        training = filled & (everything["seq"] >= 2048) & (everything["windowed"] == 0)
        fits.setdefault(chip, {})[dtype] = _attention_entry(model, found, dims, peak, hbm, everything, training)
    return fits


def _attention_entry(
    model: Model,
    found: dict[str, float],
    dims: list[int],
    peak: float,
    hbm: float,
    columns: Columns,
    training: np.ndarray,
) -> dict[str, float]:
    shared = {name: value for name, value in found.items() if not name.startswith("rate_")}
    return {
        **{f"efficiency_{dim}_frac": found[f"rate_{dim}"] / peak for dim in dims},
        "hbm_efficiency_frac": found["bytes_per_s"] / hbm,
        "peak_flop_per_s": peak,
        **shared,
        **scored(model, found, columns, training),
    }


def expert_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows to fit: gated experts under grouped kernels, at slices and groups that training uses.

    A shape that any engine ran ungated is left out: its fastest row may lack a third of the work. Beyond 8
    expert-parallel ranks every rank still permutes all tokens, which is not what dispatch by all-to-all does.
    """
    shape = ["hidden", "expert_hidden", "experts", "topk"]
    plain = table[table.kernel.str.contains("nongated")][shape].drop_duplicates()
    table = table.merge(plain.assign(plain=True), on=shape, how="left")
    grouped = ~table.kernel.str.contains(SLOW_EXPERT_KERNELS)
    keep = table.plain.isna() & grouped & (table.expert_hidden / table.tp >= 256) & (table.ep <= 8)
    return table[keep].drop(columns="plain")


def expert_fits(table: pd.DataFrame, chips: dict[str, dict[str, float]], gemm: Fits) -> Fits:
    """Fit a balanced layer of experts by chip and precision; its products are never faster than plain ones."""
    table = expert_rows(table)
    table = table[(table.distribution == "balanced") & table.accelerator.isin(chips)]
    fits: Fits = {}
    for (chip, dtype), rows in table.groupby(["accelerator", "dtype"]):
        precision = PRECISION_OF_TABLE[dtype]
        peak, hbm = chips[chip][precision], chips[chip]["hbm"]
        plain = gemm[chip][precision]["rate_flop_per_s"]
        priors = {
            "rate_flop_per_s": Prior(centre=0.9 * plain, log_sigma=0.5, most=plain),
            "bytes_per_s": memory_prior(hbm),
            "rows_half": Prior(centre=60.0, log_sigma=2.0),
            "hidden_half": Prior(centre=300.0, log_sigma=1.0),
            "width_half": Prior(centre=60.0, log_sigma=2.0),
            "row_bytes": Prior(centre=8.0, log_sigma=1.0),
            "token_bytes": Prior(centre=4.0, log_sigma=1.0),
            "launch_s": Prior(centre=3e-5, log_sigma=0.7),
        }

        def model(constants: dict[str, float], c: Columns, b: float = OPERAND_BYTES[precision]) -> np.ndarray:
            seconds = kernels.grouped_gemm_s(
                tokens=c["tokens"],
                rows=c["tokens"] * c["topk"] / c["ep"],
                experts=c["experts"] / c["ep"],
                hidden=c["hidden"],
                expert_hidden=c["expert_hidden"] / c["tp"],
                matrices=3.0,
                weight_bytes=b,
                **constants,
            )
            return np.asarray(seconds)

        found = fit(model, priors, columns_of(sampled(rows, "tokens", SAMPLE_ROWS // 3)), 0.1)
        everything = columns_of(rows)
        fits.setdefault(chip, {})[precision] = {
            "efficiency_frac": found["rate_flop_per_s"] / peak,
            "hbm_efficiency_frac": found["bytes_per_s"] / hbm,
            **found,
            **scored(model, found, everything, everything["tokens"] >= 4096),
        }
    return fits


def imbalance(table: pd.DataFrame) -> pd.DataFrame:
    """Return the median time of a skewed routing over that of a balanced one, by expert-parallel ranks."""
    table = expert_rows(table)
    shape = ["accelerator", "dtype", "tokens", "hidden", "expert_hidden", "experts", "topk", "tp", "ep"]
    wide = table.pivot_table(index=shape, columns="distribution", values="seconds")
    skewed = [name for name in wide.columns if name != "balanced"]
    ratios: pd.DataFrame = wide[skewed].div(wide["balanced"], axis=0).groupby("ep").median()
    return ratios


def datasheet() -> dict[str, dict[str, float]]:
    """Return the dense peak of each precision and the memory bandwidth, by accelerator."""
    facts = tomllib.loads((ROOT / "src/isocost/data/accelerators.toml").read_text())["accelerator"]
    chips: dict[str, dict[str, float]] = {}
    for chip, fact in facts.items():
        peaks = {p: units.parse(fact[p], "flop/s", p) for p in ("bf16", "fp8", "nvfp4") if p in fact}
        if "fp8" in peaks:
            peaks["mxfp8"] = peaks["fp8"]  # blocks scaled in software run the same instructions
        chips[chip] = {**peaks, "hbm": units.parse(fact["hbm"], "B/s", "hbm")}
    return chips


def main() -> None:
    """Fit all three laws and write the constants and the page that judges them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, help="directory of the parquet tables")
    tables = parser.parse_args().tables
    chips = datasheet()
    experts = pd.read_parquet(tables / "moe_forward.parquet")
    gemm = gemm_fits(pd.read_parquet(tables / "gemm.parquet"), chips)
    fits = {
        "gemm": gemm,
        "attention": attention_fits(pd.read_parquet(tables / "attention_forward.parquet"), chips),
        "experts": expert_fits(experts, chips, gemm),
    }
    (ROOT / "src/isocost/data/kernels.toml").write_text(toml_text(fits, OPERAND_BYTES, HEAD_DIMS))
    (ROOT / "docs/kernels.md").write_text(docs_text(fits, imbalance(experts), HEAD_DIMS))


if __name__ == "__main__":
    main()
