"""The answer where a trace was given: the parts of the waterfall are measured, and stand beside the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from isocost.constants import Constant
from isocost.doctor.measured import (
    TermDifference,
    compare_terms,
    measured_parts,
    measured_waterfall,
    replayed,
    with_data_stalls,
)
from isocost.measure.trace import TraceSummary
from isocost.report.doctor import Examination, LogExamination, RunExamination, TraceExamination
from isocost.report.examination import figures, four
from isocost.report.prescription import PrescribedRun
from isocost.report.result import Result
from isocost.report.table import Report, Section, Table

_MOST_FRAC = 99.0  # a hundred times the prediction: there was none


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TracedRun(Result):
    """The answer with a scenario and a trace: what to change, after where the trace says that the time goes."""

    run: PrescribedRun
    trace: TraceSummary
    terms: tuple[TermDifference, ...]

    def events_csv(self) -> str:
        """Return pauses, restarts and slow periods of the log, one a row."""
        return self.run.events_csv()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, units in the keys."""
        terms = [
            {
                "name": term.name,
                "measured_s": term.measured_s,
                "predicted_s": term.predicted_s,
                "difference_s": term.difference_s,
                "difference_frac": term.difference_frac,
                "suggests": term.suggests,
            }
            for term in self.terms
        ]
        return self.run.to_dict() | {"terms": terms, "gemm_of_peak_frac": self._gemm_of_peak()}

    def report(self) -> Report:
        """Return the sentence and the sections: the comparison follows the waterfall."""
        whole = self.run.report()
        said = [text for text in (self._gemms(), self._largest()) if text]
        compared = Section(title="The trace beside the model, seconds of a step", body=(self.terms_table(), *said))
        return Report(lead=whole.lead, sections=(whole.sections[0], compared, *whole.sections[1:]))

    def rows(self) -> Table:
        """Return the single changes, as without a trace."""
        return self.run.rows()

    def terms_table(self) -> Table:
        """Return measured beside predicted, and what a large difference suggests."""
        shown = [*self.terms, _total(self.terms)]
        rows: list[dict[str, Any]] = [
            {
                "name": term.name,
                "measured": term.measured_s,
                "predicted": term.predicted_s,
                "difference": term.difference_s,
                "frac": _percent(term),
                "suggests": term.suggests,
            }
            for term in shown
        ]
        heads = ("part", "measured", "predicted", "difference", "%", "suggests")
        return figures(("name", "measured", "predicted", "difference", "frac", "suggests"), heads, rows)

    def _gemm_of_peak(self) -> float | None:
        rates = [rank.gemm_flop_per_s for rank in self.trace.ranks if rank.gemm_flop_per_s]
        return sum(rates) / len(rates) / self.run.run.peak_flop_per_s if rates else None

    def _gemms(self) -> str:
        share = self._gemm_of_peak()
        if share is None:
            return ""
        rate = share * self.run.run.peak_flop_per_s / 1e12
        return f"GEMMs run at {four(rate)} TFLOP/s while they run, {share:.1%} of the peak of the scenario's precision"

    def _largest(self) -> str:
        term = max(self.terms, key=lambda term: abs(term.difference_s))
        more = "more" if term.difference_s > 0.0 else "less"
        return f"largest difference: {term.name}, {four(abs(term.difference_s))} s {more} than predicted"


def _percent(term: TermDifference) -> str | None:
    """Return the difference over the prediction; nothing where next to nothing is predicted."""
    if term.difference_frac is None or term.difference_frac > _MOST_FRAC:
        return None
    return f"{term.difference_frac:+.0%}"


def _total(terms: tuple[TermDifference, ...]) -> TermDifference:
    return TermDifference(
        name="step",
        measured_s=math.fsum(term.measured_s for term in terms),
        predicted_s=math.fsum(term.predicted_s for term in terms),
        suggests="",
    )


def with_measured(
    found: PrescribedRun, examined: Examination | None, constants: Mapping[str, Constant]
) -> PrescribedRun | TracedRun:
    """Return the answer with what files measured of the step in the place of what the model infers."""
    trace = None
    if isinstance(examined, (TraceExamination, RunExamination)):
        trace = examined.summary if isinstance(examined, TraceExamination) else examined.trace.summary
    parts = {} if trace is None else measured_parts(found.run, trace)
    if trace is None or not parts:
        stalls = examined.summary.data_s if isinstance(examined, LogExamination) else None
        return found if stalls is None else replace(found, drops=with_data_stalls(found.drops, stalls.p50))
    again = replayed(found.run, constants)
    drops = measured_waterfall(found.run, parts, again)
    return TracedRun(run=replace(found, drops=drops), trace=trace, terms=compare_terms(found.run, parts, again))
