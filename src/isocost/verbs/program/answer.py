"""The bill of a whole program around a plan: lines with intervals, when each begins, and the share of the capital."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isocost.forecast.program import (
    ProgramBill,
)
from isocost.render.cells import keyed
from isocost.render.document import Document, Section, Table
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.units import DAY_S, show
from isocost.verbs.plan.answer import Plan


def _usd(value: float) -> str:
    return show(value, "USD")


LINES = (
    keyed("line", "name", left=True),
    keyed("p05", "usd_p05", _usd),
    keyed("median", "usd_median", _usd),
    keyed("p95", "usd_p95", _usd),
    keyed("mean", "usd_mean", _usd),
    keyed("share", "share_frac", lambda x: f"{x:.1%}"),
    keyed("begins, day", "begins_d", lambda x: f"{x:+.0f}"),
    keyed("from", "source", left=True),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProgramResult(Result):
    """A program and the plan at its center; ``bill`` is ``None`` where the question has no plan."""

    plan: Plan
    bill: ProgramBill | None

    @property
    def feasible(self) -> bool:
        """Whether there is a plan to build a program around."""
        return self.bill is not None

    @property
    def sentence(self) -> str:
        """The total in one sentence."""
        if self.bill is None:
            return self.plan.sentence
        total, final = self.bill.total_usd, self.bill.lines[0]
        share = self.bill.share_of_capital
        raised = f"; {share.median:.0%} of the capital ({share.low:.0%} to {share.high:.0%})" if share else ""
        return (
            f"the programme costs {_usd(total.median)} ({_usd(total.low)} to {_usd(total.high)}), "
            f"{total.median / final.cost_usd.median:.1f} times its final run of {_usd(final.cost_usd.median)}{raised}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the lines, the total, and the plan's sentence."""
        return {
            "schema_version": SCHEMA_VERSION,
            "sentence": self.sentence,
            "plan": self.plan.sentence,
            "total_usd": None if self.bill is None else self.bill.total_usd,
            "mean_usd": None if self.bill is None else self.bill.mean_usd,
            "share_of_capital": None if self.bill is None else self.bill.share_of_capital,
            "lines": self.rows().to_dicts(),
        }

    def rows(self) -> Table:
        """Return a row a line."""
        rows = tuple(
            {
                "name": line.name,
                "usd_p05": line.cost_usd.low,
                "usd_median": line.cost_usd.median,
                "usd_p95": line.cost_usd.high,
                "usd_mean": line.mean_usd,
                "share_frac": line.share_frac,
                "begins_d": line.begins_s / DAY_S,
                "source": line.source,
            }
            for line in (self.bill.lines if self.bill is not None else ())
        )
        return Table(columns=LINES, rows=rows)

    def document(self) -> Document:
        """Return the sentence, the lines, and the plan."""
        said = "means add up, percentiles do not; days count from the start of the final run"
        sections = (Section(title="Lines", body=(self.rows(), said)),) if self.bill is not None else ()
        return Document(lead=self.sentence, sections=(*sections, Section(title="Plan", body=(self.plan.sentence,))))
