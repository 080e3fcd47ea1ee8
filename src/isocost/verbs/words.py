"""How answers word layouts, money, days and ranges."""

from __future__ import annotations

from typing import Final

from isocost.search.question import Candidate, Interval, Spread
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
    degrees = [f"{name} {getattr(c, name)}" for name in ("tp", "pp", "vp", "cp", "ep", "dp")]
    shown = [text for text in degrees if not text.endswith(" 1")]
    shown.append(f"micro-batch {c.micro_batch}")
    shown += [f"{c.recompute} recompute"] if c.recompute != "none" else []
    shown += [c.sharding] if c.sharding != "none" else []
    shown += [c.schedule] if c.schedule != "none" else []
    return ", ".join(shown)


def money(spread: Spread | None, join: str = " to ") -> str:
    """Return a cost with its interval in the unit of the cost, "$13.6M (9.2 to 28)", or "not priced"."""
    if spread is None:
        return "not priced"
    middle = show(spread.median, "USD")
    scale = _PREFIXES.get(middle[-1], 1.0)
    return f"{middle} ({_round(spread.low / scale)}{join}{_round(spread.high / scale)})"


def days(c: Candidate) -> str:
    """Return the length of a run with its interval."""
    return f"{c.days:,.1f} d ({_round(c.intervals['days'].low)} to {_round(c.intervals['days'].high)})"


def _round(x: float) -> str:
    """Return an end of an interval: whole from ten on, below that two digits."""
    return f"{x:,.0f}" if x >= _WHOLE else f"{x:.2g}"


def between(interval: Interval, unit: str) -> str:
    """Return an interval in words."""
    return f"{show(interval.low, unit)} to {show(interval.high, unit)}"


def degrees(c: Candidate) -> str:
    """Return tp, pp (times vp), cp, ep and dp as one cell, those of 1 left out."""
    pp = f"pp{c.pp}" + (f"x{c.vp}" if c.vp > 1 else "")
    named = [("tp", c.tp), ("cp", c.cp), ("ep", c.ep), ("dp", c.dp)]
    parts = {name: f"{name}{value}" for name, value in named if value > 1} | ({"pp": pp} if c.pp > 1 else {})
    return " ".join(parts[name] for name in ("tp", "pp", "cp", "ep", "dp") if name in parts) or "one GPU"
