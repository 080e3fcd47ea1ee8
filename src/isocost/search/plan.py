"""The verbs: ``plan`` searches all layouts of a question, ``estimate`` evaluates the best one of a fixed layout."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from isocost.catalog.records import peak
from isocost.catalog.store import Catalog
from isocost.errors import InputError, Problem
from isocost.forecast import Forecast
from isocost.perf.case import Case
from isocost.perf.constants import Constant
from isocost.perf.layouts import Layouts, default_axes, legal_layouts
from isocost.search import choose
from isocost.search.assumptions import assumptions, not_modelled, with_batch
from isocost.search.candidates import candidates
from isocost.search.chosen import row_forecast
from isocost.search.chunks import evaluate
from isocost.search.evaluator import SmallAxes, Tables, base_case, nic_bytes_per_s, small_axes, tables
from isocost.search.pool import LIMITS, Evaluations, best_of_sizes, fit_ceiling_bytes, ordered, pool
from isocost.search.question import Alternative, Answer, Candidate, Question
from isocost.search.relaxations import relaxations
from isocost.search.site import Site, site


class Searcher:
    """Evaluates questions on one catalog; layouts and their small axes are shared between options."""

    def __init__(self, catalog: Catalog, constants: Mapping[str, Constant]) -> None:
        self._catalog = catalog
        self._constants = constants
        self.illegal: dict[str, int] = {}
        self.refused: dict[str, str] = {}

    def pool(self, question: Question) -> Evaluations:
        """All layouts of a question, evaluated: memory of each, step time of those that fit."""
        prepared: list[Tables] = []
        sites: list[Site] = []
        known: dict[tuple[int, tuple[int, ...]], tuple[Layouts, SmallAxes]] = {}
        self.illegal, self.refused = {}, {}
        counts = tuple(sorted(set(question.gpu_counts)))
        for option in question.options:
            nic = nic_bytes_per_s(option)
            domain = max(option.accelerator.scaleup_domain, 1)
            if (domain, counts) not in known:
                layouts = _layouts(question, counts, domain)
                known[domain, counts] = (layouts, small_axes(layouts))
            layouts, axes = known[domain, counts]
            for reason, count in layouts.illegal.items():
                self.illegal[reason] = self.illegal.get(reason, 0) + count
            for precision in question.precisions:
                rate, why = peak(option.accelerator, precision)
                if rate is None:
                    self.refused[option.label] = why
                elif len(layouts):
                    case = base_case(question, option, precision, nic)
                    prepared.append(tables(case, option, layouts, axes, self._constants))
                    sites.append(site(question, option, self._catalog))
        ceilings = [fit_ceiling_bytes(t.capacity_bytes, question.fit_probability) for t in prepared]
        return pool(question, evaluate(prepared, ceilings), sites, self._catalog)


def _layouts(question: Question, counts: tuple[int, ...], domain: int) -> Layouts:
    schedules = question.schedules or question.recipe.schedules
    fixed = dict.fromkeys(question.recipe.without, 1) | dict(question.fixed)
    axes = default_axes(question.architecture, counts, fixed, schedules=schedules)
    return legal_layouts(
        question.architecture,
        axes,
        seq_len=question.seq_len,
        global_batch_seqs=question.global_batch_seqs or 1,
        domain=domain,
    )


def plan(question: Question, catalog: Catalog, constants: Mapping[str, Constant]) -> Answer:
    """Return the cheapest plan that meets every limit, and all that a reader needs to judge it; no input or output."""
    started = time.perf_counter()
    asked, batch_note = with_batch(question)
    searcher = Searcher(catalog, constants)
    everything = searcher.pool(asked)
    illegal, refused = dict(searcher.illegal), dict(searcher.refused)
    best = best_of_sizes(everything)
    row = choose.choose(everything, best)
    chosen, why = None, "no layout meets every limit"
    held: tuple[float, float] | None = None
    forecast: Forecast | None = None
    near: tuple[Alternative, ...] = ()
    if row is not None:
        forecast = row_forecast(everything, row, best, catalog)
        known = {} if forecast is None else {row: forecast}
        chosen, why = choose.binding(everything, row, candidates(everything, [row], known)[0])
        near = choose.near_optimal(everything, row, chosen)
        held = float(everything.sure_run_s[row]), float(everything.sure_cost[row])
    elif not len(everything):
        common = ", ".join(_by_fault(illegal, asked)[:3])
        none_runs = {option.label for option in asked.options} <= refused.keys()  # then layouts are not the reason
        why = "; ".join(dict.fromkeys(refused.values())) if none_runs else f"no layout is legal: {common}"
    counts = np.bincount(everything.limit, minlength=len(LIMITS))
    edge = choose.frontier(everything, best)
    points = zip(edge, candidates(everything, edge), strict=True)
    shown = [chosen if chosen is not None and k == row else choose.binding(everything, k, c)[0] for k, c in points]
    return Answer(
        question=asked,
        chosen=chosen,
        why=why,
        alternatives=near,
        frontier=tuple(shown),
        others=choose.rejected_options(everything, best, row, refused),
        rejected={name: int(n) for name, n in zip(LIMITS[1:], counts[1:], strict=True) if n},
        illegal=illegal,
        relaxations=() if row is not None else relaxations(everything, searcher.pool),
        layouts_considered=len(everything),
        layouts_evaluated=sum(r.timed for r in everything.results),
        assumptions=assumptions(asked, catalog, everything, batch_note),
        not_modelled=not_modelled(asked),
        forecast=forecast,
        held=held,
        seconds=time.perf_counter() - started,
    )


def estimate(question: Question, catalog: Catalog, constants: Mapping[str, Constant]) -> Candidate:
    """Return the layout of ``question.fixed``; what it leaves open is the cheapest that fits, or the smallest."""
    asked, _ = with_batch(question)
    searcher = Searcher(catalog, constants)
    everything = searcher.pool(asked)
    if not len(everything):
        reasons = "; ".join(searcher.refused.values()) or ", ".join(_by_fault(searcher.illegal, asked))
        ways = relaxations(everything, searcher.pool) if not searcher.refused else ()
        raise InputError([Problem("layout", "is not legal: " + reasons, dict(asked.fixed), fix=", or ".join(ways))])
    best = best_of_sizes(everything)
    row = int(ordered(everything, best)[0]) if best.size else int(np.argmin(everything.peak_bytes))
    candidate = candidates(everything, [row])[0]
    return choose.binding(everything, row, candidate)[0] if candidate.fits else replace(candidate, binds="memory")


def _by_fault(illegal: Mapping[str, int], question: Question) -> list[str]:
    """Reasons why layouts are illegal: first those that name what was fixed, then by the number of layouts."""
    fixed = {key.replace("micro_batch", "micro-batch") for key in question.fixed}
    return sorted(illegal, key=lambda reason: (not fixed & set(reason.split()), -illegal[reason]))


def case_of(question: Question, candidate: Candidate) -> Case:
    """Return the case of a candidate, for whoever evaluates it again (explain)."""
    asked, _ = with_batch(question)
    nic = nic_bytes_per_s(candidate.option)
    case = base_case(asked, candidate.option, candidate.precision, nic)
    return replace(case, layout=candidate.layout)
