"""Rows of the evidence format, the side file with everything else, and the guess of the accelerator's name.

Pure Python and free of isocost, so that the probe runs on a bare training host.
"""

from __future__ import annotations

import csv
import json
import os
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from isocost.measure.probe.plan import Case

SIDE_FORMAT = 1

# Columns of docs/evidence-format.md that a run on one device can fill.
COLUMNS = (
    "id",
    "source",
    "locator",
    "year",
    "stack",
    "stack_version",
    "kind",
    "accelerator",
    "gpus",
    "model",
    "params_b",
    "layers",
    "hidden",
    "heads",
    "kv_heads",
    "head_dim",
    "ffn_hidden",
    "ffn_gated",
    "vocab",
    "tied_embeddings",
    "experts",
    "experts_topk",
    "shared_experts",
    "moe_ffn_hidden",
    "dense_layers",
    "attention",
    "seq_len",
    "global_batch_seqs",
    "micro_batch",
    "tp",
    "pp",
    "vpp",
    "cp",
    "ep",
    "dp",
    "sharding",
    "sequence_parallel",
    "schedule",
    "recompute",
    "precision",
    "fp8_recipe",
    "attention_kernel",
    "norm_kernel",
    "memory_definition",
    "outcome",
    "step_s",
    "peak_mem_gb",
    "complete",
    "notes",
    "verified",
)

# Device name, as the driver prints it, to catalog name; the first match counts.
ACCELERATORS: tuple[tuple[str, str], ...] = (
    (r"V100-SXM2-16GB$", "v100-sxm2-16gb"),
    (r"V100-SXM2-32GB$", "v100-sxm2-32gb"),
    (r"A100-SXM4-40GB", "a100-sxm4-40gb"),
    (r"A100-SXM4-80GB", "a100-sxm4-80gb"),
    (r"A100-PCIE-40GB", "a100-pcie-40gb"),
    (r"A100 80GB PCIe", "a100-pcie-80gb"),
    (r"A800-SXM4-80GB", "a800-sxm4-80gb"),
    (r"H100 80GB HBM3", "h100-sxm5-80gb"),
    (r"H100 PCIe", "h100-pcie-80gb"),
    (r"H100 NVL", "h100-nvl-94gb"),
    (r"H800$", "h800-sxm5-80gb"),
    (r"H20$", "h20-96gb"),
    (r"\bH200$", "h200-sxm-141gb"),
    (r"\bB200$", "b200-sxm-180gb"),
    (r"\bGB200$", "gb200-nvl72"),
    (r"\bGB300$", "gb300-nvl72"),
    (r"\bB300\b", "b300-sxm-288gb"),
    (r"\bL4$", "l4-24gb"),
    (r"\bL40S$", "l40s-48gb"),
    (r"\bA10$", "a10-24gb"),
    (r"\bA10G$", "a10g-24gb"),
    (r"RTX 3090$", "rtx-3090-24gb"),
    (r"RTX 4090$", "rtx-4090-24gb"),
    (r"RTX 5090$", "rtx-5090-32gb"),
    (r"RTX A6000$", "rtx-a6000-48gb"),
    (r"RTX 6000 Ada", "rtx-6000-ada-48gb"),
    (r"MI300X", "mi300x"),
    (r"MI325X", "mi325x"),
    (r"MI355X", "mi355x"),
)


class ProbeError(Exception):
    """A mistake of the user, in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """Catalog name of the device; ``sure`` where the driver's name is known, otherwise ``hint`` is the nearest."""

    name: str
    sure: bool
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What is common to all rows of a run."""

    accelerator: str
    source: str
    year: int
    torch_version: str
    device_type: str  # cuda or cpu
    attention_kernel: str  # blank where the library chose it


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was measured of one case; blank lists and zeros where it ran out of memory."""

    steps_s: tuple[float, ...] = ()
    warmup_s: tuple[float, ...] = ()
    step_s: float = 0.0  # median
    peak_allocated_bytes: int = 0  # 0 where the device does not count
    peak_reserved_bytes: int = 0
    losses: tuple[float, ...] = ()
    clocks: dict[str, str] = field(default_factory=dict)
    out_of_memory: bool = False


def guess_accelerator(device_name: str) -> Guess:
    """Nearest catalog name of a device name. A slice or a laptop part is not the chip it is named after."""
    if not re.search(r"\bMIG\b|Laptop|Max-Q", device_name):
        for pattern, name in ACCELERATORS:
            if re.search(pattern, device_name):
                return Guess(name=name, sure=True)
    slug = re.sub(r"[^a-z0-9]+", "-", device_name.lower()).strip("-") or "unknown"
    short = re.sub(r"^(nvidia|amd|tesla|geforce|instinct|-)+", "", slug)
    names = [name for _, name in ACCELERATORS]
    kin = [name for name in names if name.split("-")[0] in short.split("-")]  # the same chip in another form
    near = get_close_matches(short, kin or names, n=1, cutoff=0.4)
    return Guess(name=slug, sure=False, hint=near[0] if near else "")


def row_id(case: Case, site: Site) -> str:
    """Name of the row."""
    return f"probe-{site.accelerator}-{case.name}"


def evidence_row(case: Case, site: Site, found: Measurement) -> dict[str, str]:
    """One row of the evidence format; a blank is unknown."""
    cells: dict[str, Any] = {
        "id": row_id(case, site),
        "source": site.source,
        "locator": "side file, case of the same id",
        "year": site.year,
        "stack": "pytorch",
        "stack_version": f"isocost-probe {_launch(case)}, torch {site.torch_version}",
        "kind": "pretrain",
        "accelerator": site.accelerator,
        **_model_cells(case),
        **_recipe_cells(case, site),
        **_measured_cells(found),
        "complete": True,
        "notes": _notes(case, site, found),
        "verified": "yes",
    }
    return {name: _text(cells.get(name)) for name in COLUMNS}


def _model_cells(case: Case) -> dict[str, Any]:
    shape = case.shape
    cut = "" if shape.layers == shape.full_layers else f", {shape.layers} of {shape.full_layers} layers"
    cells: dict[str, Any] = {
        "model": f"{shape.name} (probe{cut})",
        "params_b": f"{case.params / 1e9:.9g}",
        "layers": shape.layers,
        "hidden": shape.hidden,
        "heads": shape.heads,
        "kv_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "ffn_hidden": shape.ffn_hidden or None,
        "ffn_gated": not shape.gpt,
        "vocab": shape.vocab,
        "tied_embeddings": shape.tied,
        "attention": "full",
    }
    if shape.experts:
        cells |= {
            "experts": shape.experts,
            "experts_topk": shape.experts_topk,
            "shared_experts": shape.shared_experts,
            "moe_ffn_hidden": shape.moe_ffn_hidden,
            "dense_layers": shape.dense_layers,
        }
    return cells


def _recipe_cells(case: Case, site: Site) -> dict[str, Any]:
    run = case.setting
    return {
        **dict.fromkeys(("gpus", "tp", "pp", "vpp", "cp", "ep", "dp"), 1),
        "seq_len": run.seq_len,
        "global_batch_seqs": run.micro_batch * run.accumulation,
        "micro_batch": run.micro_batch,
        "sharding": "none",
        "sequence_parallel": False,
        "schedule": "none",
        "recompute": run.recompute,
        "precision": run.precision,
        "fp8_recipe": "tensorwise" if run.precision == "fp8" else None,
        "attention_kernel": site.attention_kernel or None,
        # LayerNorm is one kernel in PyTorch; the RMSNorm of the probe is one only where it is compiled.
        "norm_kernel": "fused" if run.compiled or case.shape.gpt else "eager",
    }


def _measured_cells(found: Measurement) -> dict[str, Any]:
    if found.out_of_memory:
        return {"outcome": "oom"}
    peak = found.peak_allocated_bytes
    return {
        "outcome": "ran",
        "step_s": f"{found.step_s:.6g}",
        "peak_mem_gb": f"{peak / 1e9:.6g}" if peak else None,
        "memory_definition": "allocated" if peak else None,
    }


def _launch(case: Case) -> str:
    return "compiled" if case.setting.compiled else "eager"


def _notes(case: Case, site: Site, found: Measurement) -> str:
    """Switches of the recipe that have no column, in words."""
    said = [
        f"compiled={'each block and the loss' if case.setting.compiled else 'no'}",
        "optimizer=AdamW fp32 states" + (" fused" if site.device_type == "cuda" else ""),
        "weights and gradients fp32 with bf16 copies (18 B a parameter)",
        "loss=cross-entropy on whole fp32 logits",
        "qkv and gate-up are one product each",
        "synthetic tokens",
        "no gradient clipping",
    ]
    if case.shape.experts:
        said.append("routing forced balanced; experts as one batched product; router without top-k")
    if case.setting.precision == "fp8":
        said.append("fp8 in the products of the blocks; head in bf16")
    if found.steps_s:
        said.append(f"median of {len(found.steps_s)} steps after {len(found.warmup_s)} of warm-up")
    if found.peak_reserved_bytes:
        said.append(f"peak reserved {found.peak_reserved_bytes / 1e9:.6g} GB")
    return "; ".join(said)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class Recorder:
    """The two files of a run. Every case is on disk before the next one starts."""

    def __init__(self, out: Path, environment: dict[str, Any], *, resume: bool) -> None:
        self.out = out
        self.side = out.with_suffix(".json")
        self.done: set[str] = set()
        self._side: dict[str, Any] = {
            "format": SIDE_FORMAT,
            "environment": environment,
            "cases": {},
            "failed": {},
            "skipped": {},
        }
        if resume and out.exists():
            self._take_up(environment)
        else:
            self._start()
        self._write_side()

    def _start(self) -> None:
        for path in (self.out, self.side):
            if path.exists():
                raise ProbeError(f"{path} exists; pass --resume to add to it, or name another file with --out")
        with self.out.open("x", newline="", encoding="utf-8") as stream:
            csv.writer(stream, lineterminator="\n").writerow(COLUMNS)

    def _take_up(self, environment: dict[str, Any]) -> None:
        """Read what an earlier run left, drop a half-written last line, refuse another machine's file."""
        raw = self.out.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        rows = list(csv.reader(whole.decode("utf-8", errors="replace").splitlines()))
        if not rows or tuple(rows[0]) != COLUMNS:
            raise ProbeError(f"{self.out} was not written by this version of the probe; name another file with --out")
        if not self.side.exists():
            raise ProbeError(f"{self.side} is missing, so what {self.out} was measured on is unknown")
        try:
            earlier = json.loads(self.side.read_text(encoding="utf-8"))
            before = {key: earlier["environment"].get(key) for key in environment}
            self._side["cases"] = dict(earlier["cases"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ProbeError(f"{self.side} is not a side file of the probe; name another file with --out") from None
        changed = [key for key in environment if before[key] != environment[key]]
        if changed:
            said = "; ".join(f"{key} was {before[key]!r}, is {environment[key]!r}" for key in changed)
            raise ProbeError(f"{self.out} was measured elsewhere ({said}); name another file with --out")
        if whole != raw:
            with self.out.open("r+b") as stream:
                stream.truncate(len(whole))
        self.done = {row[0] for row in rows[1:] if row}

    def measured(self, row: dict[str, str], detail: dict[str, Any]) -> None:
        """Append a row and its detail."""
        self._side["cases"][row["id"]] = detail
        self._write_side()
        with self.out.open("a", newline="", encoding="utf-8") as stream:
            csv.DictWriter(stream, COLUMNS, lineterminator="\n").writerow(row)
            stream.flush()
            os.fsync(stream.fileno())
        self.done.add(row["id"])

    def failed(self, name: str, reason: str) -> None:
        """Note a case that neither ran nor ran out of memory; it is tried again on --resume."""
        self._side["failed"][name] = reason
        self._write_side()

    def skipped(self, reasons: dict[str, str]) -> None:
        """Note what was not tried, and why."""
        self._side["skipped"] = reasons
        self._write_side()

    def _write_side(self) -> None:
        partial = self.side.with_suffix(".json.part")
        partial.write_text(json.dumps(self._side, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        partial.replace(self.side)
