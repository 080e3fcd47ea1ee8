"""The answer where a trace was given: the parts of the waterfall are measured, and stand beside the model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from isocost.measure.traces.trace import TraceSummary
from isocost.perf.constants import Constant
from isocost.render.document import Report, Section, Table
from isocost.render.result import Result
from isocost.verbs.doctor.answer import PrescribedRun
from isocost.verbs.doctor.examination import figures, four
from isocost.verbs.doctor.measured_parts import (
    TermDifference,
    compare_terms,
    measured_parts,
    measured_waterfall,
    replayed,
    with_data_stalls,
)
from isocost.verbs.doctor.of_traces import Examination, LogExamination, RunExamination, TraceExamination

# What the answer without a trace says that one would tell.
UNEXPLAINED_PARTS = "which part of the step the unexplained seconds belong to: a profiler trace of one rank would tell"
_MOST_FRAC = 99.0  # a hundred times the prediction: there was none


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadRun(Result):
    """The answer with a scenario and files: what was read, where a trace says that the time goes, what to change."""

    run: PrescribedRun
    examined: Examination
    told: Mapping[str, object]  # keys of the scenario that only the log tells
    terms: tuple[TermDifference, ...] = ()  # of a trace

    def events_csv(self) -> str:
        """Return pauses, restarts and slow periods of the log, one a row."""
        return self.run.events_csv()

    @property
    def trace(self) -> TraceSummary | None:
        """The traces, where there are any."""
        return traces_of(self.examined)

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
        found = self.run.to_dict()
        found["input"] |= {"told_by_log": dict(self.told)}
        found["unknown"] = self._unknown(found["unknown"])
        return found | {"terms": terms, "gemm_of_peak_frac": self._gemm_of_peak()}

    def _unknown(self, texts: list[str]) -> list[str]:
        """Leave out that a trace would tell more where it did."""
        return [text for text in texts if not (self.terms and text == UNEXPLAINED_PARTS)]

    def report(self) -> Report:
        """Return the sentence and the sections: the comparison with a trace follows the waterfall."""
        whole = self.run.report()
        waterfall, *others, last = whole.sections
        more = []
        if self.terms:
            said = [text for text in (self._gemms(), self._largest()) if text]
            title = "The trace beside the model, seconds of a step"
            more.append(Section(title=title, body=(self.terms_table(), *said)))
        read = Section(title="What was read", body=tuple(self._read()))
        unknown = replace(last, body=tuple(self._unknown([str(text) for text in last.body])))
        return Report(lead=whole.lead, sections=(waterfall, *more, *others, read, unknown))

    def _read(self) -> list[str]:
        lines = [str(self.examined.report().lead)]
        if self.told:
            said = ", ".join(f"{key} {value:,}" for key, value in self.told.items())
            lines.append(f"from the header of the log, as the scenario does not say it: {said}")
        given = self.examined.to_dict()["input"]
        if given["dropped"]:
            lines.append("not used: " + ", ".join(f"{why} {count:,}" for why, count in given["dropped"].items()))
        return [*lines, *given["notes"], *given.get("trace", {}).get("notes", ())]

    def rows(self) -> Table:
        """Return the single changes, as without a file."""
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
        ranks = self.trace.ranks if self.trace is not None else ()
        rates = [rank.gemm_flop_per_s for rank in ranks if rank.gemm_flop_per_s]
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


def traces_of(examined: Examination | None) -> TraceSummary | None:
    """Return the traces of an examination, if it has any."""
    if isinstance(examined, RunExamination):
        return examined.trace.summary
    return examined.summary if isinstance(examined, TraceExamination) else None


def with_measured(
    found: PrescribedRun, examined: Examination, told: Mapping[str, object], constants: Mapping[str, Constant]
) -> ReadRun:
    """Return the answer with what files measured of the step in the place of what the model infers."""
    trace = traces_of(examined)
    parts = {} if trace is None else measured_parts(found.run, trace)
    if not parts:
        stalls = examined.summary.data_s if isinstance(examined, LogExamination) else None
        drops = (
            found.drops if stalls is None else with_data_stalls(found.drops, min(stalls.median, found.run.measured_s))
        )
        return ReadRun(run=replace(found, drops=drops), examined=examined, told=told)
    again = replayed(found.run, constants)
    drops = measured_waterfall(found.run, parts, again)
    terms = compare_terms(found.run, parts, again)
    return ReadRun(run=replace(found, drops=drops), examined=examined, told=told, terms=terms)
