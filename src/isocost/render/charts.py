"""Charts drawn: bars as text and as SVG, plots as SVG and as a Vega-Lite specification."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from isocost.render.document import Axis, Bars, Column, Lines, Plot, Table

_BAR_PX: Final = (180, 11)  # of the longest bar
_SIZE_PX: Final = (640, 440)
_EDGE_PX: Final = (70, 190, 20, 50)  # left, right (names of lines), top, bottom
_COLORS: Final = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#9d755d", "#bab0ac")
_VEGA: Final = "https://vega.github.io/schema/vega-lite/v5.json"


def with_bars(bars: Bars) -> Table:
    """Return the table with a last column of "#", as long as the bars."""
    rounded = math.ceil if bars.up else round
    drawn = ["#" * rounded(bars.characters * fraction) for fraction in bars.fractions()]
    columns = tuple(replace(column, value=_of_row(column.value)) for column in bars.table.columns)
    columns = tuple(replace(c, text=None if c.text is None else _of_row(c.text)) for c in columns)
    bar = Column(head="", key="bar", value=lambda pair: pair[1], left=True)
    return replace(bars.table, columns=(*columns, bar), rows=tuple(zip(bars.table.rows, drawn, strict=True)))


def _of_row(of: Any) -> Any:
    """Return a function of a row as one of a pair of a row and its bar."""
    return lambda pair: of(pair[0])


def bar_svg(fraction: float) -> str:
    """Return one bar of so much of the longest."""
    width, height = _BAR_PX
    return (
        f'<svg width="{width}" height="{height}" role="img" aria-label="{fraction:.0%} of the longest">'
        f'<rect width="{width * fraction:.1f}" height="{height}" fill="{_COLORS[0]}"/></svg>'
    )


class _Scale:
    """Places of the values of one axis, in pixels."""

    def __init__(self, axis: Axis, values: list[float], start: float, end: float) -> None:
        self._log = axis.log
        placed = [self._along(value) for value in values] or [0.0, 1.0]
        self._low, self._high = min(placed), max(placed)
        self._start, self._end = start, end

    def _along(self, value: float) -> float:
        return math.log10(value) if self._log else value

    def __call__(self, value: float) -> float:
        span = (self._high - self._low) or 1.0
        return self._start + (self._along(value) - self._low) / span * (self._end - self._start)

    def ticks(self) -> Iterator[float]:
        """Yield round values within the axis: 1, 2 and 5 of each power of ten, or ends and middle."""
        if not self._log:
            yield from (self._low, (self._low + self._high) / 2, self._high)
            return
        for power in range(math.floor(self._low), math.ceil(self._high) + 1):
            for digit in (1.0, 2.0, 5.0):
                if self._low <= math.log10(digit) + power <= self._high:
                    yield float(digit * 10.0**power)


def plot_svg(plot: Plot) -> str:
    """Return lines and points over two axes, each line named at its end."""
    width, height = _SIZE_PX
    left, right, top, bottom = _EDGE_PX
    points = [point for layer in plot.layers for line in layer.lines for point in line.points]
    points += [mark.at for mark in plot.marks]
    x = _Scale(plot.x, [point[0] for point in points], left, width - right)
    y = _Scale(plot.y, [point[1] for point in points], height - bottom, top)
    parts = [*_axes(plot, x, y), *_curves(plot.layers, x, y)]
    for mark in plot.marks:
        told = html.escape(", ".join(f"{key} {value}" for key, value in mark.values.items()))
        parts.append(f'<circle cx="{x(mark.at[0]):.1f}" cy="{y(mark.at[1]):.1f}" r="5"><title>{told}</title></circle>')
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{html.escape(plot.about)}" font-family="sans-serif" font-size="11" fill="currentColor">'
        f"{''.join(parts)}</svg>"
    )


def _axes(plot: Plot, x: _Scale, y: _Scale) -> Iterator[str]:
    width, height = _SIZE_PX
    left, right, top, bottom = _EDGE_PX
    base, titles = height - bottom, [html.escape(axis.title) for axis in (plot.x, plot.y)]
    yield f'<path d="M{left} {top}V{base}H{width - right}" fill="none" stroke="currentColor"/>'
    for value in x.ticks():
        yield f'<text x="{x(value):.1f}" y="{base + 16}" text-anchor="middle">{value:.3g}</text>'
    for value in y.ticks():
        yield f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>'
    yield f'<text x="{(left + width - right) / 2:.1f}" y="{height - 10}" text-anchor="middle">{titles[0]}</text>'
    yield f'<text x="{left - 55}" y="{top - 6}">{titles[1]}</text>'


def _curves(layers: tuple[Lines, ...], x: _Scale, y: _Scale) -> Iterator[str]:
    colors = iter(_COLORS * (1 + sum(len(layer.lines) for layer in layers) // len(_COLORS)))
    for layer in layers:
        style = 'stroke-dasharray="4 3" opacity="0.6"' if layer.dashed else 'stroke-width="3"'
        for line, color in zip(layer.lines, colors, strict=False):
            places = [(x(a), y(b)) for a, b in line.points]
            path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
            yield f'<polyline points="{path}" fill="none" stroke="{color}" {style}/>'
            if places:
                a, b = places[-1]
                yield f'<text x="{a + 4:.1f}" y="{b + 4:.1f}" fill="{color}">{html.escape(line.name)}</text>'


def vega_lite(plot: Plot) -> dict[str, Any]:
    """Return a plot as a Vega-Lite specification that holds its numbers."""
    axes = {side: _encoding(axis) for side, axis in (("x", plot.x), ("y", plot.y))}
    named = {"field": "line", "type": "nominal", "title": None}
    layers: list[dict[str, Any]] = []
    for layer in plot.layers:
        rows = [{plot.x.key: a, plot.y.key: b, "line": line.name} for line in layer.lines for a, b in line.points]
        mark = {"strokeDash": [4, 3], "opacity": 0.6} if layer.dashed else {"strokeWidth": 3}
        layers.append(
            {"data": {"values": rows}, "mark": {"type": "line", **mark}, "encoding": {**axes, "color": named}}
        )
    for point in plot.marks:
        tips = [
            {"field": key, "type": "nominal" if isinstance(value, str) else "quantitative"}
            for key, value in point.values.items()
        ]
        row = {plot.x.key: point.at[0], plot.y.key: point.at[1], **point.values}
        style = {"type": "point", "filled": True, "size": 120}
        layers.append({"data": {"values": [row]}, "mark": style, "encoding": {**axes, "tooltip": tips}})
    size = {"width": _SIZE_PX[0], "height": _SIZE_PX[1]}
    return {"$schema": _VEGA, "description": plot.about, **size, "layer": layers}


def _encoding(axis: Axis) -> dict[str, Any]:
    scale = {"scale": {"type": "log"}} if axis.log else {}
    return {"field": axis.key, "type": "quantitative", **scale, "title": axis.title}
