"""The chart of a frontier: isocost lines over lines of equal loss, as a Vega-Lite specification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from isocost.scaling.serving import tokens_to_reach
from isocost.units import show
from isocost.verbs.frontier.candidates import Choice, isocost_line
from isocost.verbs.frontier.frontier import Frontier

_ISOLOSS: Final = (-0.04, -0.02, 0.0, 0.02, 0.04)  # contours, in nats from the chosen loss
_MONEY: Final = (0.5, 1.0, 2.0)  # isocost lines, of the money of the chosen point
_FAR: Final = 100.0  # contours end where they need this many times the most tokens of the line
_SIZE_PX: Final = (640, 440)


def chart(found: Frontier) -> dict[str, Any] | None:
    """Return a Vega-Lite chart over parameters and tokens; ``None`` where nothing fits."""
    chosen = found.joint.chosen
    if chosen is None:
        return None
    scale = {"type": "log"}
    axes = {
        "x": {"field": "params", "type": "quantitative", "scale": scale, "title": "parameters"},
        "y": {"field": "tokens", "type": "quantitative", "scale": scale, "title": "tokens"},
    }
    named = {"field": "line", "type": "nominal", "title": None}
    point = {"params": chosen.params, "tokens": chosen.tokens, "name": chosen.architecture.name, "loss": chosen.loss}
    tips = [{"field": field, "type": kind} for field, kind in (("name", "nominal"), ("loss", "quantitative"))]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "description": "Isocost lines over lines of equal loss; the point is the recommended model.",
        "width": _SIZE_PX[0],
        "height": _SIZE_PX[1],
        "layer": [
            {
                "data": {"values": _isoloss(found, chosen)},
                "mark": {"type": "line", "strokeDash": [4, 3], "opacity": 0.6},
                "encoding": {**axes, "color": named},
            },
            {
                "data": {"values": _isocost(found, chosen)},
                "mark": {"type": "line", "strokeWidth": 3},
                "encoding": {**axes, "color": named},
            },
            {
                "data": {"values": [point]},
                "mark": {"type": "point", "filled": True, "size": 120},
                "encoding": {**axes, "tooltip": tips},
            },
        ],
    }


def _isoloss(found: Frontier, chosen: Choice) -> list[dict[str, Any]]:
    """Return contours of the loss, those above the floor of the law."""
    law, limits = found.joint.law, found.joint.limits
    params, tokens = _sizes(found.joint.line)
    rows: list[dict[str, Any]] = []
    for loss in (chosen.loss + step for step in _ISOLOSS):
        if loss <= law.value("E"):
            continue
        needed = np.asarray(tokens_to_reach(law, loss, params, limits.unique_tokens))
        rows += [
            {"params": float(n), "tokens": float(d), "line": f"loss {loss:.3f}"}
            for n, d in zip(params, needed, strict=True)
            if np.isfinite(d) and d < _FAR * tokens.max()
        ]
    return rows


def _isocost(found: Frontier, chosen: Choice) -> list[dict[str, Any]]:
    """Return what half, all and twice the money buys of every size."""
    limits = found.joint.limits
    usd = limits.budget_usd if found.joint.target is None else chosen.total_usd
    rows: list[dict[str, Any]] = []
    for share in _MONEY:
        line = isocost_line(found.table, replace(limits, budget_usd=usd * share), found.joint.law)
        label = f"isocost {show(usd * share, 'USD')}"
        rows += [{"params": each.params, "tokens": each.tokens, "line": label} for each in line]
    return rows


def _sizes(line: Sequence[Choice]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    return np.array([each.params for each in line]), np.array([each.tokens for each in line])
