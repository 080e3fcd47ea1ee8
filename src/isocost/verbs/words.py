"""How answers word layouts, money, days and ranges."""

from __future__ import annotations

from typing import Final

from isocost.perf.layout import COUNTS
from isocost.search.question import Candidate, Range
from isocost.stats.quantiles import Interval
from isocost.units import show

_PREFIXES: Final = {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


_WHOLE: Final = 10  # from here on an end of an interval is shown without decimals


# What each part of a step is, in the words of the waterfall.
STEP_PARTS: Final = {
    "gemm_s": "matrix products of the blocks",
    "expert_s": "matrix products of the routed experts",
    "attention_s": "attention core",
    "pointwise_s": "norms, activations, residuals: memory traffic",
    "recompute_s": "forward replayed in the backward pass",
    "head_s": "head, loss and embedding, where they set the pace",
    "host_s": "waiting for the host to launch kernels",
    "tp_s": "tensor-parallel traffic not hidden",
    "cp_s": "context-parallel traffic not hidden",
    "ep_s": "expert dispatch and combine not hidden",
    "pp_s": "sends between pipeline stages not hidden",
    "bubble_s": "pipeline bubble",
    "dp_s": "gradient and parameter traffic not hidden",
    "optimizer_s": "optimizer step",
    "other_s": "jitter between ranks, which grows with their number",
}


MEMORY_PARTS: Final = {
    "weights_bytes": "parameters",
    "gradients_bytes": "gradients",
    "optimizer_bytes": "master copies and optimizer states",
    "activations_bytes": "saved activations and the working set of a block",
    "logits_bytes": "logits and loss",
    "buffers_bytes": "gathered parameters, communication buffers",
    "context_bytes": "runtime, libraries, communicators",
}


def layout_text(c: Candidate) -> str:
    """Return a layout as one phrase: "tp 8, pp 4, dp 32, micro-batch 1, selective recompute, zero1"."""
    x = c.layout
    degrees = {name: getattr(x, name) for name in COUNTS if name != "micro_batch"}
    shown = [f"{name} {degree}" for name, degree in degrees.items() if degree > 1]
    shown.append(f"micro-batch {x.micro_batch}")
    shown += [f"{x.recompute} recompute"] if x.recompute != "none" else []
    shown += [word for word in (x.sharding, x.schedule) if word != "none"]
    return ", ".join(shown)


def money(interval: Interval | None, join: str = " to ") -> str:
    """Return a cost with its interval in the unit of the cost, "$13.6M (9.2 to 28)", or "not priced"."""
    if interval is None:
        return "not priced"
    middle = show(interval.median, "USD")
    scale = _PREFIXES.get(middle[-1], 1.0)
    return f"{middle} ({_round(interval.low / scale)}{join}{_round(interval.high / scale)})"


def days(c: Candidate) -> str:
    """Return the length of a run with its interval."""
    return f"{c.days:,.1f} d ({_round(c.intervals['days'].low)} to {_round(c.intervals['days'].high)})"


def _round(x: float) -> str:
    """Return an end of an interval: whole from ten on, below that two digits."""
    return f"{x:,.0f}" if x >= _WHOLE else f"{x:.2g}"


def between(ends: Range, unit: str) -> str:
    """Return an interval in words."""
    return f"{show(ends.low, unit)} to {show(ends.high, unit)}"


def degrees(c: Candidate) -> str:
    """Return tp, pp (times vp), cp, ep and dp as one cell, those of 1 left out."""
    x = c.layout
    parts = {name: f"{name}{degree}" for name in COUNTS if (degree := getattr(x, name)) > 1}
    if x.vp > 1:
        parts["pp"] += f"x{x.vp}"
    return " ".join(text for name, text in parts.items() if name not in ("vp", "micro_batch")) or "one GPU"
