"""Registered formulas, and the record of how one number came about.

``@term`` registers a formula with its unit and source. It costs one context-variable look-up a call until
``recording()`` is active; then every call leaves a node with its inputs, its value and the terms it called in turn.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import numpy as np

from isocost import units

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A registered formula: what it returns, in which unit, from which source, and how it reads."""

    name: str
    unit: str
    source: str  # keys of sources.toml, separated by commas
    formula: str  # first line of the docstring
    arguments: tuple[str, ...]
    function: Callable[..., object]
    domain: Mapping[str, tuple[float, float]]  # ranges in which generated tests sample an argument


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """One recorded call of a term; it grows while the call runs, and is not changed after."""

    name: str
    unit: str = ""
    formula: str = ""
    source: str = ""
    inputs: dict[str, object] = field(default_factory=dict)
    value: object = None
    children: list[Node] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A term whose value differs between two recordings; ``None`` where one of them lacks it."""

    path: str
    unit: str
    before: object
    after: object


TERMS: dict[str, Term] = {}
_current: ContextVar[Node | None] = ContextVar("isocost_recording", default=None)


def term(
    unit: str, source: str, domain: Mapping[str, tuple[float, float]] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a formula that returns ``unit``; its docstring's first line must be the formula in plain text."""

    def register(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        name = function.__name__
        formula = (function.__doc__ or "").strip().partition("\n")[0]
        if not formula:
            raise ValueError(f"term {name} needs a docstring whose first line is the formula")
        if name in TERMS and TERMS[name].function.__module__ != function.__module__:
            raise ValueError(f"term {name} is already registered by {TERMS[name].function.__module__}")

        @functools.wraps(function)
        def recorded(*args: P.args, **kwargs: P.kwargs) -> R:
            parent = _current.get()
            if parent is None:
                return function(*args, **kwargs)
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            node = Node(name=name, unit=unit, formula=formula, source=source, inputs=dict(bound.arguments))
            parent.children.append(node)
            token = _current.set(node)
            try:
                value = function(*args, **kwargs)
            finally:
                _current.reset(token)
            node.value = value
            return value

        TERMS[name] = Term(
            name=name,
            unit=unit,
            source=source,
            formula=formula,
            arguments=tuple(signature.parameters),
            function=recorded,
            domain=dict(domain or {}),
        )
        return recorded

    return register


@contextmanager
def recording(name: str = "recording") -> Iterator[Node]:
    """Record every term called inside the block under the node that is yielded."""
    root = Node(name=name)
    token = _current.set(root)
    try:
        yield root
    finally:
        _current.reset(token)


def render(node: Node) -> str:
    """Return the tree as indented text: value, formula and source, then the inputs, then the terms below."""
    return "\n".join(_lines(node, ""))


def _lines(node: Node, indent: str) -> Iterator[str]:
    head = node.name if node.value is None else f"{node.name} = {_shown(node.value, node.unit)}"
    yield indent + head + (f"  {node.formula}" if node.formula else "") + (f"  [{node.source}]" if node.source else "")
    if node.inputs:
        shown = (f"{name} = {_shown(value, units.unit_of(name))}" for name, value in node.inputs.items())
        yield f"{indent}    with {', '.join(shown)}"
    for child in node.children:
        yield from _lines(child, indent + "  ")


def _shown(value: object, unit: str) -> str:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        return str(value)
    if array.size == 1:
        return units.show(float(array.reshape(())), unit)
    low, high = (units.show(float(end), unit) for end in (array.min(), array.max())) if array.size else ("", "")
    return f"{low} to {high} ({array.size:,} values)" if array.size else "no values"


def to_dict(node: Node) -> dict[str, object]:
    """Return the tree as plain dicts, lists and numbers, ready for JSON."""
    return {
        "name": node.name,
        "unit": node.unit,
        "formula": node.formula,
        "source": node.source,
        "inputs": {name: _plain(value) for name, value in node.inputs.items()},
        "value": _plain(node.value),
        "children": [to_dict(child) for child in node.children],
    }


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def bibliography(node: Node) -> list[str]:
    """Return the source keys of the terms that ran, in order of first use."""
    keys = (key.strip() for part in node.walk() for key in part.source.split(","))
    return list(dict.fromkeys(key for key in keys if key))


def compare(a: Node, b: Node) -> list[Change]:
    """Pair two trees by place and name, and list the terms whose value moved, appeared or vanished."""
    before, after = dict(_places(a, "")), dict(_places(b, ""))
    changes = []
    for path in dict.fromkeys([*before, *after]):
        old, new = before.get(path), after.get(path)
        if old is None or new is None or not np.array_equal(np.asarray(old.value), np.asarray(new.value)):
            unit = (old or new or a).unit
            changes.append(Change(path=path, unit=unit, before=old and old.value, after=new and new.value))
    return changes


def _places(node: Node, prefix: str) -> Iterator[tuple[str, Node]]:
    seen: dict[str, int] = {}
    for child in node.children:
        seen[child.name] = seen.get(child.name, 0) + 1
        path = f"{prefix}{child.name}" + (f"#{seen[child.name]}" if seen[child.name] > 1 else "")
        yield path, child
        yield from _places(child, path + "/")
