"""Gates for scripts: limits and expressions over the figures of a plan that make the command fail.

An expression is read with Python's grammar and walked node by node; nothing but the kinds named here is evaluated.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from isocost.errors import InputError, Problem, nearest
from isocost.forecast import Forecast
from isocost.units import DAY_S, parse, show
from isocost.verbs.plan.answer import Plan

_MOST_CHARS: Final = 500
_MOST_NODES: Final = 100
_PLAIN: Final = ("gpus", "mfu", "step_s", "peak_bytes", "fits_probability", "tokens_per_s_per_gpu")
_CHANCES: Final = ("deadline_chance", "budget_chance", "both_chance")
_COMPARE: Final[Mapping[type[ast.cmpop], Callable[[float, float], bool]]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: Final[Mapping[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_QUANTILES: Final = ("p05", "p10", "p25", "p50", "p75", "p90", "p95")
FIGURES: Final = (
    "cost_usd",
    "days",
    "gpu_hours",
    "useful_gpu_hours",
    "useful_gpu_hours_per_usd",
    "goodput_frac",
    "effective_frac",
    "interruptions",
    "share_of_capital_frac",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What was asked for, read and checked before any plan is made."""

    max_cost_usd: float | None = None
    max_run_s: float | None = None
    fail_if: tuple[tuple[str, ast.expr], ...] = ()

    def __bool__(self) -> bool:
        """Whether anything was asked for."""
        return self.max_cost_usd is not None or self.max_run_s is not None or bool(self.fail_if)


def gate(given: Mapping[str, Any]) -> Callable[[Plan], Sequence[str] | None]:
    """Return the check that a command line asks for: why a plan fails, None where it passes."""
    gates = read_gates(given["max_cost"], given["max_days"], given["fail_if"] or ())
    return lambda plan: (failures(gates, plan) or None) if gates else None


def read_gates(max_cost: str | None, max_days: str | None, fail_if: Sequence[str]) -> Gates:
    """Return the gates of a command line; one InputError lists everything wrong with them."""
    problems: list[Problem] = []

    def read(value: str | None, unit: str, place: str) -> float | None:
        try:
            return None if value is None else parse(value, unit, place)
        except InputError as error:
            problems.extend(error.problems)
            return None

    days = None if max_days is None else _days(max_days)
    cost_usd, run_s = read(max_cost, "USD", "max_cost"), read(days, "s", "max_days")
    trees = []
    for text in fail_if:
        try:
            trees.append((text, _tree(text)))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return Gates(max_cost_usd=cost_usd, max_run_s=run_s, fail_if=tuple(trees))


def _days(text: str) -> str:
    """Return a bare number as days: the name of the flag says so."""
    try:
        float(text)
    except ValueError:
        return text
    return f"{text} d"


def _tree(text: str) -> ast.expr:
    place = "fail_if"
    if len(text) > _MOST_CHARS:
        raise InputError([Problem(place, "is too long", text, f"at most {_MOST_CHARS} characters")])
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        fix = 'write e.g. "cost_usd.p90 > 2e6 or days.p50 > 60"'
        raise InputError([Problem(place, "is not an expression", text, fix=fix)]) from None
    if sum(1 for _ in ast.walk(tree)) > _MOST_NODES:
        raise InputError([Problem(place, "has too many parts", text)])
    problems: list[Problem] = []
    kind = _check(tree, place, problems)
    if not problems and kind != "truth":
        fix = 'compare it, e.g. "cost_usd.p90 > 2e6"'
        problems.append(Problem(place, "is a number, not a condition", text, fix=fix))
    if problems:
        raise InputError(problems)
    return tree


def _check(node: ast.expr, place: str, problems: list[Problem]) -> str:
    """Return whether a node is a "number" or a "truth"; what is neither is a problem."""

    def need(part: ast.expr, kind: str) -> None:
        if _check(part, place, problems) not in (kind, "wrong"):
            message = f"needs a {'condition' if kind == 'truth' else 'number'}, not {ast.unparse(part)[:60]}"
            problems.append(Problem(place, message))

    if isinstance(node, ast.BoolOp):
        for part in node.values:
            need(part, "truth")
        return "truth"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub, ast.UAdd)):
        kind = "truth" if isinstance(node.op, ast.Not) else "number"
        need(node.operand, kind)
        return kind
    if isinstance(node, ast.Compare) and all(type(op) in _COMPARE for op in node.ops):
        for part in (node.left, *node.comparators):
            need(part, "number")
        return "truth"
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        need(node.left, "number")
        need(node.right, "number")
        return "number"
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return "number"
    return _check_name(node, place, problems)


def _check_name(node: ast.expr, place: str, problems: list[Problem]) -> str:
    plain = (*_PLAIN, *_CHANCES)
    if isinstance(node, ast.Name):
        if node.id in plain:
            return "number"
        fix = f"write {node.id}.p50 or another of {', '.join(_QUANTILES)}" if node.id in FIGURES else ""
        known = (*FIGURES, *plain)
        message = "needs a quantile" if node.id in FIGURES else "is not a figure of a plan"
        close = "" if node.id in FIGURES else nearest(node.id, known)
        problems.append(Problem(place, message, node.id, "" if fix else ", ".join(known), close, fix))
        return "wrong"
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        name, end = node.value.id, node.attr
        if name not in FIGURES:
            problems.append(Problem(place, "has no quantiles", name, ", ".join(FIGURES), nearest(name, FIGURES)))
        elif end not in _QUANTILES:
            problems.append(Problem(place, "is not a quantile", end, ", ".join(_QUANTILES), nearest(end, _QUANTILES)))
        else:
            return "number"
        return "wrong"
    allowed = "figures, numbers, + - * /, comparisons, and, or, not"
    problems.append(Problem(place, f"may not hold {ast.unparse(node)[:60]}", allowed=allowed))
    return "wrong"


def failures(gates: Gates, plan: Plan) -> tuple[str, ...]:
    """Return why a plan fails its gates, one line each; limits hold with the confidence of the question."""
    chosen, forecast = plan.answer.chosen, plan.answer.forecast
    if chosen is None or forecast is None:
        return ("there is no plan to hold against the gates",)
    found: list[str] = []
    share = plan.answer.question.confidence
    said = f"p{100 * share:02.0f}"
    if gates.max_run_s is not None and (run_s := float(np.quantile(forecast.wall_s, share))) > gates.max_run_s:
        found.append(f"days.{said} is {run_s / DAY_S:,.1f}, more than {gates.max_run_s / DAY_S:,.1f} (--max-days)")
    if gates.max_cost_usd is not None:
        if forecast.cost_usd is None:
            found.append("nothing is priced (--max-cost)")
        elif (cost := float(np.quantile(forecast.cost_usd, share))) > gates.max_cost_usd:
            most = show(gates.max_cost_usd, "USD")
            found.append(f"cost_usd.{said} is {show(cost, 'USD')}, more than {most} (--max-cost)")
    values = _values(plan, forecast)
    for text, tree in gates.fail_if:
        names = sorted({ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute) or _is_plain(n)})
        unknown = [name for name in names if values.get(name) is None]
        shown = ", ".join(f"{name} = {values[name]:.6g}" for name in names if values.get(name) is not None)
        if unknown:
            found.append(f"{text}: {', '.join(unknown)} is not known of this plan (--fail-if)")
        elif _value(tree, values):
            found.append(f"{text}: {shown} (--fail-if)")
    return tuple(found)


def _is_plain(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in (*_PLAIN, *_CHANCES)


def _values(plan: Plan, forecast: Forecast) -> dict[str, float | None]:
    found: dict[str, float | None] = {name: getattr(plan.answer.chosen, name) for name in _PLAIN}
    found |= {name: getattr(forecast, name) for name in _CHANCES}
    return found | {f"{n}.{end}": value for n, ends in forecast.quantiles().items() for end, value in ends.items()}


def _value(node: ast.expr, values: Mapping[str, float | None]) -> Any:
    if isinstance(node, ast.BoolOp):
        parts = (_value(part, values) for part in node.values)
        return all(parts) if isinstance(node.op, ast.And) else any(parts)
    if isinstance(node, ast.UnaryOp):
        inner = _value(node.operand, values)
        return not inner if isinstance(node.op, ast.Not) else -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.Compare):
        sides = [_value(part, values) for part in (node.left, *node.comparators)]
        return all(_COMPARE[type(op)](sides[k], sides[k + 1]) for k, op in enumerate(node.ops))
    if isinstance(node, ast.BinOp):
        try:
            return _ARITHMETIC[type(node.op)](float(_value(node.left, values)), float(_value(node.right, values)))
        except ZeroDivisionError:
            return float("nan")
    return node.value if isinstance(node, ast.Constant) else values[ast.unparse(node)]
