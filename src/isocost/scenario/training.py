"""How the table [frontier] of a scenario is read: what there is to train with, and what the model is for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from isocost.errors import InputError, Problem
from isocost.scaling.law import Law
from isocost.scaling.shapes import Sparsity
from isocost.scaling.store import find_law
from isocost.scenario.values import MAX_LIST, Model, find_model, read_all
from isocost.units import parse

_PER_BILLION: Final = 1e9
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """A loss to reach: that of a model on its tokens, or in nats of the first law's corpus."""

    params: float = 0.0
    tokens: float = 0.0
    nats: float | None = None


def _every(value: object, place: str, read: Callable[[str], Any]) -> tuple[Any, ...]:
    """Read every entry of a list, or of text with commas; the problems of all entries at once."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or not parts or not all(isinstance(p, str) and p.strip() for p in parts):
        raise InputError([Problem(place, "is not a list of names or paths", str(value)[:80], 'e.g. ["a", "b"]')])
    if len(parts) > MAX_LIST:
        raise InputError([Problem(place, "is too long", allowed=f"at most {MAX_LIST} entries")])
    return tuple(read_all(dict.fromkeys(part.strip() for part in parts), read))


def read_laws(value: object, place: str) -> tuple[Law, ...]:
    """Return laws by name or file; the first one answers, so it has a loss."""
    found: tuple[Law, ...] = _every(value, place, find_law)
    if not found[0].has_surface:
        fix = "put a law with a loss first, such as besiroglu"
        raise InputError([Problem(place, "does not begin with a law that has a loss", str(value), fix=fix)])
    return found


def read_family(value: object, place: str) -> tuple[Model, ...]:
    """Return the models to choose among, by name or path of a configuration."""
    return _every(value, place, lambda part: find_model(part, place))


def read_experts(value: object, place: str) -> Sparsity:
    """Read "8/128": experts that a token uses, of all; "8/256+1" has a shared one."""
    used, _, rest = str(value).partition("/")
    total, _, shared = rest.partition("+")
    try:
        return Sparsity(experts=int(total), topk=int(used), shared=int(shared or 0))
    except ValueError:
        allowed = "experts used / experts (+ shared), e.g. '8/128' or '8/256+1'"
        raise InputError([Problem(place, "is not a mixture of experts", str(value), allowed)]) from None


def read_quality(value: object, place: str) -> Quality:
    """Read "70 B on 1.4 T", parameters on tokens, or "1.95", a loss in nats."""
    text = str(value).strip()
    if not isinstance(value, bool) and _NUMBER.fullmatch(text):
        return Quality(nats=float(text))
    params, on, tokens = text.partition(" on ")
    if not on:
        allowed = "e.g. '70 B on 1.4 T', or a loss such as '1.95'"
        raise InputError([Problem(place, "is not a model on tokens", text, allowed)])
    sizes = {part: parse(part, "token", place) for part in (params, tokens)}
    if not all(size > 0.0 for size in sizes.values()):
        raise InputError([Problem(place, "is of no size", text, "parameters and tokens above zero")])
    return Quality(params=sizes[params], tokens=sizes[tokens])


def read_price(value: object, place: str) -> float:
    """Return the price of one unique token, from that of a billion."""
    return parse(value, "USD", place) / _PER_BILLION
