"""The goals of the model beside what it reaches, fitted and left out: met or not, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from isocost.calibration.left_out import DENSE, MOE
from isocost.evidence import score
from isocost.evidence.run import MeasuredRun
from isocost.perf.case import Case
from isocost.verbs.validate.tables import UNKNOWN, Table
from pages.accuracy_study import Study, is_moe


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One figure, what it should be, and what it is; a share."""

    what: str
    on: str
    goal: float
    reached: float | None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether it is reached; None where nothing was measured."""
        if self.reached is None:
            return None
        return self.reached >= self.goal if self.at_least else self.reached <= self.goal


def goals_table(study: Study) -> Table:
    """All goals with what is reached."""
    rows = tuple(
        (
            goal.what,
            goal.on,
            f"{'at least' if goal.at_least else 'at most'} {100 * goal.goal:g} %",
            UNKNOWN if goal.reached is None else f"{100 * goal.reached:.1f} %",
            {True: "yes", False: "no", None: UNKNOWN}[goal.met],
        )
        for goal in goals(study)
    )
    return Table(title="Goals", head=("figure", "rows", "goal", "reached", "met"), rows=rows)


def goals(study: Study) -> Iterator[Goal]:
    """Return the goals, fitted and left out."""
    fitted, seen = "fitted", "source left out"
    yield from _errors(study, "dense", fitted, lambda run, case: not is_moe(run, case), 0.03, 0.045)
    yield from _unseen(study, "dense", seen, ("new site", DENSE), 0.06, 0.09)
    yield from _unseen(study, "dense", "chip left out", ("new chip", DENSE), 0.05, 0.08)
    yield from _unseen(study, "dense", "stack left out", ("new stack", DENSE), 0.12, None)
    stack = study.unseen("new stack", DENSE)
    covered = stack.held_coverage_frac if stack else None
    on = "stack left out, band of the others"
    yield Goal(what="dense, 90 % interval covers", on=on, goal=0.85, reached=covered, at_least=True)
    yield from _errors(study, "mixture of experts", fitted, is_moe, 0.08, 0.12)
    yield from _unseen(study, "mixture of experts", seen, ("new site", MOE), 0.13, None)
    table = "Korthikanti et al. 2022, R"
    yield from _errors(study, "Korthikanti", fitted, _of(table), None, 0.03)
    line = study.unseen("new site", DENSE, table)
    yield Goal(what="Korthikanti, mean", on=seen, goal=0.05, reached=line.mean_frac if line else None)
    yield from _errors(study, "vTrain", fitted, _of("Bang"), 0.045, 0.06)
    yield from _rest(study)


def _of(source: str) -> Callable[[MeasuredRun, Case], bool]:
    return lambda run, case: (run.source or "").startswith(source)


def _errors(
    study: Study, what: str, on: str, keep: Callable[[MeasuredRun, Case], bool], median: float | None, mean: float
) -> Iterator[Goal]:
    found = study.summary(keep)
    if median is not None:
        yield Goal(what=f"{what}, median", on=on, goal=median, reached=found.median_abs_error_frac)
    yield Goal(what=f"{what}, mean", on=on, goal=mean, reached=found.mean_abs_error_frac)


def _unseen(
    study: Study, what: str, on: str, left: tuple[str, str], median: float, mean: float | None
) -> Iterator[Goal]:
    line = study.unseen(*left)
    yield Goal(what=f"{what}, median", on=on, goal=median, reached=line.median_frac if line else None)
    if mean is not None:
        yield Goal(what=f"{what}, mean", on=on, goal=mean, reached=line.mean_frac if line else None)


def _rest(study: Study) -> Iterator[Goal]:
    """Memory, intervals and the choice of layout."""
    scores, everything = study.validation.scores, study.summaries(lambda run, case: "")[0]
    memory = next((a.median_abs_error_frac for a in scores.memory if a.label == score.TOTAL), None)
    fits = next((f.balanced_accuracy for f in scores.fits if f.label == score.TOTAL), None)
    yield Goal(what="peak memory, median", on="fitted", goal=0.05, reached=memory)
    yield Goal(what="fits or not, balanced accuracy", on="fitted", goal=0.95, reached=fits, at_least=True)
    width = everything.step.half_width_frac
    yield Goal(what="half-width of the 90 % interval, median", on="fitted", goal=0.20, reached=width)
    within = everything.regret.within_tolerance_frac if everything.regret else None
    yield Goal(what="layout within 5 % of the best", on="fitted", goal=0.95, reached=within, at_least=True)
    line = study.unseen("new site", DENSE)
    within = line.layouts_within_frac if line else None
    on = "dense, source left out"
    yield Goal(what="layout within 5 % of the best", on=on, goal=0.90, reached=within, at_least=True)
    yield Goal(what="layout, largest loss", on=on, goal=0.10, reached=line.worst_regret_frac if line else None)
