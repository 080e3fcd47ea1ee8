"""Quantities as text at the edge, plain SI floats inside: ``parse("3.35 TB/s", "B/s")`` and ``show(3.35e12, "B/s")``.

GB is 1e9 bytes, GiB is 2**30, Gb is bits. The canonical units are B, s, flop, W, J, kg (of CO2 equivalent), USD,
token, "1" (a fraction, 0 to 1) and "ratio" (any bare number), and quotients of them such as B/s, flop/s, USD/s (a rate
of money, also "2.49 USD/gpu/h") and USD/J.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping

from isocost.errors import InputError, Problem, nearest

_DECIMAL = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18, "Z": 1e21, "Y": 1e24}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60}
_WORDS = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_COUNTED = _DECIMAL | _WORDS | {"K": 1e3, "B": 1e9, "bn": 1e9, "": 1.0}  # money and tokens: 2.5 B is billions
_NONE = {"": 1.0}
_FRACTIONS = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "n": 1e-9}
MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86_400.0
YEAR_S = 365.25 * DAY_S
GIB = 1 << 30

# spelling -> (base unit, factor to it, prefixes it takes)
_UNITS: dict[str, tuple[str, float, Mapping[str, float]]] = {
    **dict.fromkeys(("B", "byte", "bytes"), ("B", 1.0, _DECIMAL | _BINARY)),
    **dict.fromkeys(("b", "bit", "bits"), ("B", 1 / 8, _DECIMAL | _BINARY)),
    **dict.fromkeys(("s", "sec", "second", "seconds"), ("s", 1.0, _FRACTIONS)),
    **dict.fromkeys(("min", "minute", "minutes"), ("s", MINUTE_S, _NONE)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), ("s", HOUR_S, _NONE)),
    **dict.fromkeys(("d", "day", "days"), ("s", DAY_S, _NONE)),
    **dict.fromkeys(("wk", "week", "weeks"), ("s", 7 * DAY_S, _NONE)),
    **dict.fromkeys(("month", "months", "mo"), ("s", YEAR_S / 12, _NONE)),
    **dict.fromkeys(("y", "yr", "year", "years"), ("s", YEAR_S, _NONE)),
    **dict.fromkeys(("flop", "flops", "FLOP", "FLOPs"), ("flop", 1.0, _DECIMAL)),
    "FLOPS": ("flop/s", 1.0, _DECIMAL),
    "Bps": ("B/s", 1.0, _DECIMAL),
    "bps": ("B/s", 1 / 8, _DECIMAL),
    **dict.fromkeys(("W", "watt", "watts"), ("W", 1.0, _DECIMAL)),
    **dict.fromkeys(("J", "joule", "joules"), ("J", 1.0, _DECIMAL)),
    "Wh": ("J", HOUR_S, _DECIMAL),
    "g": ("kg", 1e-3, {"": 1.0, "k": 1e3}),
    **dict.fromkeys(("tonne", "tonnes"), ("kg", 1e3, _NONE)),
    **dict.fromkeys(("USD", "usd", "$"), ("USD", 1.0, _COUNTED)),
    **dict.fromkeys(("token", "tokens", "tok"), ("token", 1.0, _COUNTED)),
    **dict.fromkeys(("gpu", "gpus", "GPU", "GPUs"), ("1", 1.0, _NONE)),
    **dict.fromkeys(("gpuh", "GPUh", "gpuhour", "GPUhour", "gpuhr", "GPUhr"), ("s", HOUR_S, _NONE)),  # "USD/GPU-hour"
    "%": ("1", 0.01, _NONE),
    "1": ("1", 1.0, _NONE),
    "ratio": ("1", 1.0, _NONE),
}

# Canonical unit -> (what it is, example, the largest believable value: beyond it the text has a slip of units).
_KINDS: dict[str, tuple[str, str, float]] = {
    "B": ("a size in bytes", "80 GiB", 1e21),
    "B/s": ("a bandwidth", "3.35 TB/s", 1e18),
    "s": ("a duration", "60 d", 1e10),
    "flop": ("an amount of arithmetic", "3.8e25 flop", 1e32),
    "flop/s": ("a rate of arithmetic", "989 TFLOP/s", 1e24),
    "W": ("a power", "700 W", 1e12),
    "J": ("an energy", "13 MWh", 1e21),
    "kg": ("a mass of CO2 equivalent", "165 kg", 1e15),
    "kg/J": ("a carbon intensity", "370 g/kWh", 1e-5),
    "USD": ("an amount of money", "40 MUSD", 1e13),
    "USD/s": ("a price by time", "2.49 USD/gpu/h", 1e9),
    "USD/J": ("a price of energy", "0.08 USD/kWh", 1.0),
    "USD/W": ("a price of capacity", "16 MUSD/MW", 1e4),
    "USD/W/s": ("a price of capacity by time", "184 USD/kW/month", 1e-2),
    "USD/B": ("a price of traffic", "0.09 USD/GB", 1e-3),
    "USD/B/s": ("a price of storage by time", "0.023 USD/GB/month", 1e-9),
    "token": ("a number of tokens", "15 T", 1e18),
    "token/s": ("a rate of tokens", "400 ktoken/s", 1e15),
    "1": ("a fraction between 0 and 1", "45 %", 1.0),
    "ratio": ("a number", "1.2", 1e9),
}
_LARGEST = 1e30  # of any other quotient of units
_PLAIN_FROM = 1e4  # a bare number from here on is taken, in suggestions only, for one in base units
_MAX_CHARS = 100
_NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_PART = re.compile(rf"\s*({_NUMBER})\s*((?:[^\d\s.,+-][^\d.,+]*)?)")
_ODD_CHARACTERS = str.maketrans({"\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u2212": "-", "\u03bc": "\u00b5"})

Dimension = tuple[tuple[str, int], ...]  # base units with their exponents, sorted


class _Slip(Exception):
    """What is wrong with a quantity, and the fix; ``parse`` adds the place."""

    def __init__(self, message: str, fix: str = "", close: str = "") -> None:
        super().__init__(message)
        self.message, self.fix, self.close = message, fix, close


def parse(text: object, unit: str, path: str = "value") -> float:
    """Return the quantity in ``text`` in SI ``unit``; an InputError names what was expected, with an example.

    Example:
        >>> isocost.units.parse("60 d", "s")
        5184000.0
    """
    kind, example, largest = _kind(unit)
    try:
        total = _total(text, unit)
        if total > largest and unit == "1":
            # 10 was meant as 10 %; 1.2 is as likely 120 %, which is no share.
            percent = f"write '{total:.6g} %'" if total >= 2 else f"write a share of 1, or '{total:.6g} %' if meant"
            raise _Slip("is more than 1", percent if total <= 100 and "%" not in str(text) else "")
        if total > largest:
            raise _Slip(f"is beyond belief (more than {show(largest, unit)})", "check the unit")
    except _Slip as slip:
        allowed = f"{kind}, e.g. '{example}'"
        raise InputError([Problem(path, slip.message, text, allowed, slip.close, slip.fix)]) from None
    return total


def _total(text: object, unit: str) -> float:
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise _Slip("is not a quantity")
    if isinstance(text, str) and len(text) > _MAX_CHARS:
        raise _Slip("is too long for a quantity")
    try:
        parts = _parts(text) if isinstance(text, str) else [(float(text), "")]
    except OverflowError:
        raise _Slip("is beyond belief") from None
    if len(parts) > 1 and unit != "s":  # only a duration is written in parts: "2 h 30 min"
        raise _Slip("is more than one quantity")
    for number, _ in parts:
        if not math.isfinite(number):
            raise _Slip("is not a finite number")
        if math.copysign(1.0, number) < 0:
            raise _Slip("is negative")
    return math.fsum(number * _factor(spelled, unit, number) for number, spelled in parts)


def _parts(text: str) -> list[tuple[float, str]]:
    """Split "2 h 30 min" into numbers and units; a leading dollar sign becomes the unit USD."""
    rest = text.translate(_ODD_CHARACTERS).strip()
    dollars = re.match(r"(?:US)?\$\s*", rest)
    rest = rest[dollars.end() :] if dollars else rest
    found = list(_PART.finditer(rest))
    if not found or "".join(match[0] for match in found) != rest:
        raise _Slip("is not a quantity")
    parts = [(float(match[1].replace(",", "")), match[2].strip()) for match in found]
    if dollars:
        number, spelled = parts[0]
        prefix, per, below = re.sub(r"\s+per\s+|^per\s+", "/", spelled).partition("/")
        parts[0] = (number, f"{prefix.strip()}USD{per}{below}")
    return parts


def _factor(spelled: str, unit: str, number: float) -> float:
    """Return what one of the spelled unit is in ``unit``, or raise a slip that says why it is none."""
    kind, example, _ = _kind(unit)
    if unit == "token" and spelled in _COUNTED and spelled:
        return _COUNTED[spelled]
    if not spelled and unit not in ("1", "ratio"):
        plain = number >= _PLAIN_FROM  # 15e12 tokens are meant as they stand, 15 tokens are not
        like = unit if plain else re.sub(_NUMBER, "", example, count=1).strip()
        raise _Slip("needs a unit", f"write e.g. '{number:.15g} {like}'")
    if re.match(r"EUR|GBP|CNY|JPY|€|£|¥", spelled):
        raise _Slip("is not in US dollars", "convert it to USD")
    dimension, factor = _dimension(spelled or "1")
    if dimension != _dimension(unit)[0]:
        raise _Slip(f"is {_describe(dimension)}, not {kind}")
    return factor


@functools.lru_cache(maxsize=1024)
def _dimension(spelled: str) -> tuple[Dimension, float]:
    """Return the dimension and the SI factor of a unit such as "USD/gpu/h"."""
    text = re.sub(r"\s+per\s+|^per\s+", "/", spelled)
    powers: dict[str, int] = {}
    factor = 1.0
    for place, symbol in enumerate(re.sub(r"[\s-]", "", text).split("/")):
        sign = 1 if place == 0 else -1
        if not symbol and place == 0:
            continue
        base, size = _symbol(symbol)
        factor = factor * size if sign > 0 else factor / size
        for position, name in enumerate(base.split("/")):
            if name != "1":
                powers[name] = powers.get(name, 0) + (sign if position == 0 else -sign)
    return tuple(sorted((name, power) for name, power in powers.items() if power)), factor


def _symbol(symbol: str) -> tuple[str, float]:
    spellings = _spellings()
    if symbol in spellings:
        return spellings[symbol]
    alike = sorted(name for name in spellings if name.casefold() == symbol.casefold())
    if len({spellings[name] for name in alike}) == 1:  # "TOKENS", "kwh": only one reading
        return spellings[alike[0]]
    close = " or ".join(f"'{name}'" for name in alike) or nearest(symbol, spellings)
    raise _Slip(f"has an unknown unit '{symbol}'", close=close)


@functools.cache
def _spellings() -> dict[str, tuple[str, float]]:
    """Return every prefixed spelling; a bare one wins over a prefixed one ("min" is minutes)."""
    prefixed = {
        prefix + name: (base, size * scale)
        for name, (base, size, prefixes) in _UNITS.items()
        for prefix, scale in prefixes.items()
    }
    return prefixed | {name: (base, size) for name, (base, size, _) in _UNITS.items()}


def _kind(unit: str) -> tuple[str, str, float]:
    return _KINDS.get(unit, (f"a quantity in {unit}", f"1 {unit}", _LARGEST))


def _describe(dimension: Dimension) -> str:
    for unit, (kind, _, _) in _KINDS.items():
        if _dimension(unit)[0] == dimension:
            return kind if unit != "1" else "a bare number"
    return "a different kind of quantity"


def show(x: float, unit: str, digits: int = 3) -> str:
    """Return ``x``, in SI ``unit``, as text with ``digits`` significant digits: "71.5 GiB", "$1.93M", "23.4 d".

    Example:
        >>> isocost.units.show(5184000.0, "s")
        '60 d'
    """
    if math.isnan(x):
        return "unknown"
    sign, size = ("-" if x < 0 else ""), abs(x)
    if math.isinf(x):
        return f"{sign}unlimited"
    if unit in _MONEY:
        return sign + _show_money(size, unit, digits)
    if unit in ("", "1", "ratio"):
        return sign + _figure(size, digits)
    if unit == "%":
        return f"{sign}{_figure(size * 100, digits)} %"
    number, name = _scaled(size, _steps(unit), digits)
    return f"{sign}{number} {name}".rstrip()


_MONEY = {
    "USD": (1.0, ""),
    "USD/s": (HOUR_S, "/h"),
    "USD/J": (1e3 * HOUR_S, "/kWh"),
    "USD/W": (1.0, "/W"),
    "USD/W/s": (1e3 * YEAR_S / 12, "/kW/month"),
    "USD/B": (1e9, "/GB"),
    "USD/B/s": (1e9 * YEAR_S / 12, "/GB/month"),
}


def counted(number: float, noun: str) -> str:
    """Return a whole number with its noun: "1 GPU", "2,048 GPUs"."""
    return f"{number:,.0f} {noun}{'' if round(number) == 1 else 's'}"


def _show_money(size: float, unit: str, digits: int) -> str:
    scale, per = _MONEY[unit]
    size *= scale
    number, prefix = _scaled(size, (("", 1.0), ("k", 1e3), ("M", 1e6), ("B", 1e9), ("T", 1e12)), digits)
    if not prefix and 0.01 <= size < 1000:
        number = f"{size:.2f}"  # dollars and cents
    return f"${number}{prefix}{per}"


@functools.lru_cache(maxsize=256)
def _steps(unit: str) -> tuple[tuple[str, float], ...]:
    """Return the names and sizes a value in ``unit`` is shown in, smallest first."""
    if unit == "B":
        return (("B", 1.0), *((f"{prefix}B", size) for prefix, size in _BINARY.items()))
    if unit == "s":
        return (("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("min", MINUTE_S), ("h", HOUR_S), ("d", DAY_S))
    if unit == "J":
        return (("J", 1.0), ("kJ", 1e3), *((f"{prefix}Wh", HOUR_S * _DECIMAL[prefix]) for prefix in "kMGT"))
    if unit == "kg":
        return (("kg", 1.0), ("tonnes", 1e3))
    if unit == "kg/J":
        return (("g/kWh", 1e-3 / (1e3 * HOUR_S)),)
    if unit == "token":
        return (("", 1.0), ("k", 1e3), ("M", 1e6), ("B", 1e9), ("T", 1e12))
    top, per, below = unit.partition("/")
    name = {"flop": "FLOP"}.get(top, top)
    if name in ("B", "FLOP", "W", "token"):
        return tuple((prefix + name + per + below, size) for prefix, size in _DECIMAL.items())
    return ((name + per + below, 1.0),)


# A longer duration unit is used from two of it on: "90 min" reads better than "1.5 h", "36 h" than "1.5 d".
_FROM = {"min": 2.0, "h": 2.0, "d": 2.0}


def _scaled(size: float, steps: tuple[tuple[str, float], ...], digits: int) -> tuple[str, str]:
    """Return the figure and the largest step that is not more than the rounded size."""
    size = float(f"{size:.{digits}g}") if size < steps[-1][1] else size  # 999.6 GB rounds to 1 TB, not to 1,000 GB
    name, step = steps[0]
    for candidate, value in steps if size else ():
        if size >= value * _FROM.get(candidate, 1.0):
            name, step = candidate, value
    if not size:  # zero is zero of the base unit, whatever the smallest step
        name, step = next(((name, value) for name, value in steps if value == 1.0), steps[0])
    return _figure(size / step, digits), name


def _figure(size: float, digits: int) -> str:
    """Return ``size`` to ``digits`` significant digits, without an exponent where it stays readable."""
    if size == 0:
        return "0"
    if not 1e-4 <= size < 1e9:
        return f"{size:.{digits}g}".replace("e+", "e")
    whole_digits = math.floor(math.log10(size)) + 1
    text = f"{size:,.{max(digits - whole_digits, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


_UNIT_WORDS = {
    "s": "s",
    "bytes": "B",
    "byte": "B",
    "flop": "flop",
    "w": "W",
    "j": "J",
    "kg": "kg",
    "usd": "USD",
    "frac": "1",
}


def unit_of(name: str) -> str:
    """Return the unit that the suffix of an argument name carries: "hbm_bytes_per_s" is "B/s", "tp" is "1"."""
    first, *below = re.split(r"_per_", name)
    stem, _, word = first.rpartition("_")
    if below and below[-1].endswith("_frac"):
        return "1"
    bare_letter = not stem and len(word) == 1 and not below  # ``s`` and ``w`` alone are counts
    top = "1" if bare_letter else _UNIT_WORDS.get(word, "1")
    units = [_UNIT_WORDS[part] for part in below if part in _UNIT_WORDS]
    return "/".join([top, *units])
