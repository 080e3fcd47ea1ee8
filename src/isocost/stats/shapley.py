"""Which group of inputs makes the difference between two answers: Shapley shares, which add up to the whole.

Gains of changes that are made together do not add up: one may pay only once another is there. All 2^k combinations of
k groups are evaluated; the share of a group is its gain averaged over every order in which the groups can be changed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np

from isocost.errors import InputError, Problem
from isocost.num import Num

MAX_GROUPS = 12  # 4,096 evaluations


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attribution:
    """The change from one answer to another, by group of inputs. Everything has the shape of the answers."""

    before: Num
    after: Num
    shares: Mapping[str, Num]  # add up to after - before
    alone: Mapping[str, Num]  # gain of a group that is changed alone
    last: Mapping[str, Num]  # gain of a group that is changed after all others
    evaluations: int

    @property
    def whole(self) -> Num:
        """The change that is shared out."""
        return self.after - self.before

    @property
    def interaction(self) -> Num:
        """What the single gains miss, or count twice."""
        alone: Num = 0.0
        for gain in self.alone.values():
            alone = alone + gain
        return self.whole - alone


def shapley(evaluate: Callable[[frozenset[str]], Num], groups: Sequence[str]) -> Attribution:
    """Return the shares of groups; ``evaluate`` takes the set of changed groups and returns a number or an array."""
    _check_groups(groups)
    k = len(groups)
    answers = {changed: np.asarray(evaluate(changed), dtype=np.float64) for changed in _subsets(groups)}
    everything, nothing = frozenset(groups), frozenset[str]()
    # A subset of s other groups stands before this one in s! (k - 1 - s)! of the k! orders.
    weights = [factorial(s) * factorial(k - 1 - s) / factorial(k) for s in range(k)]
    shares: dict[str, Num] = {}
    for group in groups:
        others = [name for name in groups if name != group]
        gains = (weights[len(held)] * (answers[held | {group}] - answers[held]) for held in _subsets(others))
        shares[group] = np.sum(list(gains), axis=0)
    return Attribution(
        before=answers[nothing][()],
        after=answers[everything][()],
        shares=shares,
        alone={group: (answers[frozenset({group})] - answers[nothing])[()] for group in groups},
        last={group: (answers[everything] - answers[everything - {group}])[()] for group in groups},
        evaluations=len(answers),
    )


def shapley_between(
    evaluate: Callable[[Mapping[str, Any]], Num],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    groups: Mapping[str, Sequence[str]],
) -> Attribution:
    """Return the shares of groups of inputs in the change from one set of inputs to another.

    Every input that differs must be in a group, and in one only, or a part of the change would go unnamed.
    """
    _check_inputs(before, after, groups)

    def mixed(changed: frozenset[str]) -> Num:
        taken = {name for group in changed for name in groups[group]}
        return evaluate({name: (after if name in taken else before)[name] for name in before})

    return shapley(mixed, list(groups))


def _subsets(groups: Iterable[str]) -> list[frozenset[str]]:
    names = list(groups)
    return [frozenset(some) for size in range(len(names) + 1) for some in itertools.combinations(names, size)]


def _check_groups(groups: Sequence[str]) -> None:
    allowed = f"1 to {MAX_GROUPS} groups, each once"
    if not 1 <= len(groups) <= MAX_GROUPS or len(set(groups)) != len(groups):
        fix = "join groups: the number of evaluations doubles with each"
        raise InputError([Problem("groups", f"has {len(groups)} entries", list(groups), allowed, fix=fix)])


def _check_inputs(before: Mapping[str, Any], after: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> None:
    problems = [
        Problem(f"inputs.{name}", "is in one of the two sets only", fix="give it in both")
        for name in sorted(set(before) ^ set(after))
    ]
    named = [name for names in groups.values() for name in names]
    for name in sorted(set(named)):
        if named.count(name) > 1:
            problems.append(Problem(f"groups.{name}", "is in more than one group", fix="keep it in one"))
        if name not in before:
            problems.append(Problem(f"groups.{name}", "is not an input"))
    for name in sorted(set(before) & set(after) - set(named)):
        if not np.array_equal(np.asarray(before[name]), np.asarray(after[name])):
            problems.append(Problem(f"inputs.{name}", "differs and is in no group", fix="put it in a group"))
    if problems:
        raise InputError(problems)
