"""The chart of a frontier: isocost lines over lines of equal loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from isocost.render.document import Axis, Line, Lines, Mark, Plot
from isocost.scaling.serving import tokens_to_reach
from isocost.units import show
from isocost.verbs.frontier.candidates import Choice, isocost_line
from isocost.verbs.frontier.frontier import Frontier

_ISOLOSS: Final = (-0.04, -0.02, 0.0, 0.02, 0.04)  # contours, in nats from the chosen loss
_MONEY: Final = (0.5, 1.0, 2.0)  # isocost lines, of the money of the chosen point
_FAR: Final = 100.0  # contours end where they need this many times the most tokens of the line


def chart(found: Frontier) -> Plot | None:
    """Return a plot over parameters and tokens; ``None`` where nothing fits."""
    chosen = found.joint.chosen
    if chosen is None:
        return None
    values: dict[str, str | float] = {"name": chosen.architecture.name, "loss": chosen.loss}
    return Plot(
        about="Isocost lines over lines of equal loss; the point is the recommended model.",
        x=Axis(title="parameters", key="params", log=True),
        y=Axis(title="tokens", key="tokens", log=True),
        layers=(Lines(lines=_isoloss(found, chosen), dashed=True), Lines(lines=_isocost(found, chosen))),
        marks=(Mark(at=(chosen.params, chosen.tokens), values=values),),
    )


def _isoloss(found: Frontier, chosen: Choice) -> tuple[Line, ...]:
    """Return contours of the loss, those above the floor of the law."""
    law, limits = found.joint.law, found.joint.limits
    params, tokens = _sizes(found.joint.line)
    lines: list[Line] = []
    for loss in (chosen.loss + step for step in _ISOLOSS):
        if loss <= law.value("E"):
            continue
        needed = np.asarray(tokens_to_reach(law, loss, params, limits.unique_tokens))
        points = tuple(
            (float(n), float(d))
            for n, d in zip(params, needed, strict=True)
            if np.isfinite(d) and d < _FAR * tokens.max()
        )
        lines.append(Line(name=f"loss {loss:.3f}", points=points))
    return tuple(lines)


def _isocost(found: Frontier, chosen: Choice) -> tuple[Line, ...]:
    """Return what half, all and twice the money buys of every size."""
    limits = found.joint.limits
    usd = limits.budget_usd if found.joint.target is None else chosen.total_usd
    lines: list[Line] = []
    for share in _MONEY:
        line = isocost_line(found.table, replace(limits, budget_usd=usd * share), found.joint.law)
        points = tuple((each.params, each.tokens) for each in line)
        lines.append(Line(name=f"isocost {show(usd * share, 'USD')}", points=points))
    return tuple(lines)


def _sizes(line: Sequence[Choice]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    return np.array([each.params for each in line]), np.array([each.tokens for each in line])
