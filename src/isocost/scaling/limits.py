"""What a law and the world's text do not reach: extrapolation, over-training, repetition, and the stock of data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from isocost.errors import InputError, Problem
from isocost.scaling.law import Law
from isocost.scaling.store import shipped_tables
from isocost.units import show

MOST_TOKENS_PER_PARAM: Final = 1000.0  # sardana2024
_BEYOND: Final = 1.1  # an extrapolation by less is none


def warnings(
    law: Law, params: float, tokens: float, flop: float | None = None, unique: float | None = None
) -> tuple[str, ...]:
    """Return what to know about a point: extrapolation, over-training, repetition, and the stock of public text."""
    said = []
    for name, value, ends in (
        ("parameters", params, law.params_range),
        ("tokens", tokens, law.tokens_range),
        ("FLOP", flop, law.flop_range),
    ):
        if ends is not None and value is not None and value > ends[1] * _BEYOND:
            said.append(
                f"extrapolated: {value / ends[1]:,.1f} times the most {name} of the law's runs ({_count(ends[1])})"
            )
        elif ends is not None and value is not None and value < ends[0] / _BEYOND:
            said.append(f"extrapolated: below the fewest {name} of the law's runs ({_count(ends[0])})")
    ratio = tokens / params
    if ratio > MOST_TOKENS_PER_PARAM:
        said.append(f"{ratio:,.0f} tokens a parameter: laws fitted at ordinary ratios overrate tokens beyond 1,000")
    if unique is not None and tokens > unique:
        valued = ", valued by the law of repeated data" if law.has_surface else ", taken as if they were new"
        said.append(f"{tokens / unique:.1f} epochs over {_count(unique)} unique tokens{valued}")
    return (*said, *stock_warning(min(tokens, unique) if unique is not None else tokens))


def _count(value: float) -> str:
    return show(value, "token") if value < 1e15 else f"{value:.3g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """Public human text in tokens, with its interval and year."""

    low: float
    median: float
    high: float
    exhausted: str
    source: str
    as_of: str
    warn_above_frac: float


def stock() -> Stock:
    """Return the stock of public human text."""
    entry = shipped_tables()["stock"]["public_text"]
    return Stock(
        low=entry["low"],
        median=entry["median"],
        high=entry["high"],
        exhausted=entry["exhausted"],
        source=entry["source"],
        as_of=entry["as_of"],
        warn_above_frac=entry["warn_above"],
    )


def stock_warning(unique_tokens: float) -> tuple[str, ...]:
    """Return a warning where a run needs more than a tenth of the public text there is."""
    text = stock()
    if unique_tokens <= text.warn_above_frac * text.median:
        return ()
    return (
        f"needs {unique_tokens / text.median:.0%} of the stock of public text, {text.median / 1e12:.0f} T tokens "
        f"({text.low / 1e12:.0f} to {text.high / 1e12:.0f} T, {text.source}, {text.as_of}; all used {text.exhausted})",
    )


def check_amounts(**given: float | None) -> None:
    """Refuse amounts that are given and not above zero, all at once."""
    problems = [
        Problem(name, "is not positive", value, fix="give an amount above zero")
        for name, value in given.items()
        if value is not None and not (np.isfinite(value) and value > 0.0)
    ]
    if problems:
        raise InputError(problems)
