"""The answer to a question: one sentence, the frontier, what lost and why, the arithmetic, the assumptions."""

from __future__ import annotations

import datetime
import re
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Final

from isocost.catalog import Catalog
from isocost.catalog.prices import block_limits
from isocost.forecast.program import ProgramBill
from isocost.money.terms import CAPACITY_BLOCK
from isocost.perf.layout import FIXABLE
from isocost.render.document import Column, Document, Part, Section, Table, as_text
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.scenario import Scenario, scenario_tables
from isocost.scenario.assumed import Assumed
from isocost.search.question import MFU_DEFINITION, Alternative, Answer, Assumption, Candidate, RejectedOption
from isocost.search.requirements import SiteRequirements, site_requirements
from isocost.units import show
from isocost.verbs.plan.certainty import certainty_dict, how_sure
from isocost.verbs.plan.explanation import Explanation
from isocost.verbs.plan.forecast import forecast_dict, whole_sections
from isocost.verbs.plan.layouts import (
    LAYOUT_LEGEND,
    PLAN,
    PLAN_CSV,
    candidate_dict,
    memory_stack,
    option_dict,
    waterfall,
)
from isocost.verbs.plan.limits import limits_dict, limits_section
from isocost.verbs.plan.one_screen import screen
from isocost.verbs.plan.program_line import program_dict, program_text
from isocost.verbs.plan.requirements import requirements_dict, requirements_section
from isocost.verbs.words import between, days, layout_text, money
from isocost.version import __version__

BRACKETS = "in brackets: the 90 % interval, see How sure"
# Assumptions of the search that the question states with more detail, or that stand under the frontier.
_SAID_ELSEWHERE = ("price of", "software", "MFU")
_DATE = re.compile(r", (\d{4}(?:-\d{2}){0,2})$")


def _dated(note: Assumption) -> Assumed:
    """Return an assumption of the search with its date apart from its source."""
    found = _DATE.search(note.source)
    source = note.source[: found.start()] if found else note.source
    return Assumed(name=note.name, value=note.value, source=source, as_of=found[1] if found else "")


def _note(note: Assumed) -> str:
    dated = f"{note.source}, {note.as_of}" if note.as_of else note.source
    graded = f"{dated}, {note.grade}" if note.grade else dated
    return f"{note.name}: {note.value} [{graded}]"


def _differs(a: Alternative) -> str:
    """Return what is different, but for the accelerator, which has a column of its own."""
    pairs = [(name, pair) for name, pair in a.differs.items() if name != "option"]
    return ", ".join(_difference(name.replace("_", "-"), *pair) for name, pair in pairs)


def _difference(name: str, here: object, there: object) -> str:
    if isinstance(there, bool):
        return f"{'with' if there else 'without'} {name}"
    return f"{'GPUs' if name == 'gpus' else name} {as_text(there)} (not {as_text(here)})"


ALTERNATIVES = (
    Column(head="accelerator", key="accelerator", value=lambda a: a.candidate.option.accelerator.id, left=True),
    Column(head="GPUs", key="gpus", value=lambda a: a.candidate.gpus),
    Column(head="cost", key="cost_frac", value=lambda a: a.cost_frac, show=lambda x: f"{x:+.1%}"),
    Column(head="days", key="days_more", value=lambda a: a.days, show=lambda x: f"{x:+,.1f}"),
    Column(head="differs in", key="differs", value=_differs, left=True),
)
LOSERS = (
    Column(head="option", key="label", value=lambda loser: loser.label, left=True),
    Column(head="why not", key="reason", value=lambda loser: loser.reason, left=True),
)
COUNTS = (
    Column(head="layouts", key="layouts", value=lambda row: row[1]),
    Column(head="first limit they break", key="limit", value=lambda row: row[0], left=True),
)


SECTIONS: Final = (
    "frontier",
    "run",
    "alternatives",
    "others",
    "relaxations",
    "layouts",
    "limits",
    "time",
    "bill",
    "drivers",
    "program",
    "step",
    "memory",
    "site",
    "certainty",
    "assumptions",
    "not-modelled",
    "explanation",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan(Result):
    """What ``plan`` and ``estimate`` return."""

    possible_sections: ClassVar = SECTIONS
    scenario: Scenario
    catalog: Catalog
    answer: Answer
    assumed: tuple[Assumed, ...]
    today: datetime.date
    verb: str = "plan"
    explained: Explanation | None = None  # of the step time, where asked for
    programme: ProgramBill | None = None  # around the chosen plan; None: not priced
    misfit: Candidate | None = None  # of an estimate that does not fit: the smallest layout that was asked for

    @property
    def facts_as_of(self) -> str:
        """Date of the newest price in the catalog."""
        return max((offer.fact.as_of for offer in self.catalog.offers), default="unknown")

    @property
    def feasible(self) -> bool:
        """Whether any layout meets the question."""
        return self.answer.chosen is not None

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        chosen = self.answer.chosen
        if chosen is None:
            ways = "; ".join(self.answer.relaxations)
            return f"No {self.verb}: {self.answer.why}" + (f"; nearest way out: {ways}" if ways else "")
        option = chosen.option
        price = "" if option.median_usd_per_s is None else f" at {show(option.median_usd_per_s, 'USD/s')} each"
        return (
            f"{chosen.gpus:,} x {option.accelerator.name}{price} ({option.label.split(', ', 1)[-1]}), "
            f"{days(chosen)} at {chosen.goodput:.0%} goodput, {money(chosen.cost_usd)}; {layout_text(chosen)}; "
            f"bound by {chosen.binds}{self._unsold(chosen)}"
        )

    def _unsold(self, chosen: Candidate) -> str:
        """Return why the price of a capacity block cannot be had for an estimate, or nothing."""
        limits = block_limits(self.catalog, chosen.option.accelerator.id)
        if chosen.option.term != CAPACITY_BLOCK or chosen.run_s <= limits.longest_s:
            return ""
        return f"; not to be had at that price: {limits}"

    def rows(self) -> Table:
        """Return the frontier, days against cost, with all that a row can hold."""
        return self.frontier(PLAN_CSV)

    def frontier(self, columns: tuple[Column, ...]) -> Table:
        """Return the frontier, the chosen row marked."""
        chosen = self.answer.chosen
        rows = tuple(self.answer.frontier) or ((chosen,) if chosen else ())
        place = [i for i, row in enumerate(rows) if chosen is not None and _same(row, chosen)]
        if chosen is not None and not place:  # the cheapest within the limits can lie off the frontier by rounding
            rows, place = (chosen, *rows), [0]
        return Table(columns=columns, rows=rows, marked=frozenset(place))

    def document(self) -> Document:
        """Return the sentence and everything behind it, in the order of a reader's questions."""
        chosen, answer = self.answer.chosen, self.answer
        sections = [self._frontier_section()] if answer.frontier or chosen else []
        # First what is asked: days, bill and the chance of the limits. What else there was to choose comes after.
        figures, *parts = whole_sections(answer.forecast) if chosen and answer.forecast is not None else (None,)
        sections += [figures] if figures is not None else []
        if answer.alternatives:
            table = Table(columns=ALTERNATIVES, rows=answer.alternatives)
            cost = "cost" if chosen and chosen.cost_usd else "GPU-hours (nothing is priced)"
            near = f"within {answer.question.near_frac:.0%} of the chosen {cost}, and how they differ from it"
            sections.append(Section(title=f"Near-optimal alternatives: {near}", body=(table,), name="alternatives"))
        if answer.others:
            table = Table(columns=LOSERS, rows=answer.others)
            sections.append(Section(title="Why the others lost", body=(table,), name="others"))
        sections.append(self._rejected())
        if not self.feasible and answer.relaxations:
            sections.append(Section(title="Nearest ways out", body=answer.relaxations, name="relaxations"))
        if chosen is not None:
            which = "the chosen layout"
            sections += limits_section(answer) if self.verb == "estimate" else ()
            sections += parts
            if self.programme is not None:
                text = program_text(self.programme)
                title = "Beside this bill: the whole programme around the run"
                sections.append(Section(title=title, body=(text,), name="program"))
            sections += [_time_section(chosen, which, answer.why), _memory_section(chosen, which)]
            sections += [] if self.needs is None else [requirements_section(self.needs)]
            sections.append(how_sure(chosen, answer))
        elif self.misfit is not None:
            sections.append(_memory_section(self.misfit, f"the smallest layout: {layout_text(self.misfit)}"))
        sections += self._explanation()
        notes = tuple(_note(note) for note in self.assumptions())
        dated = f"Assumptions (newest price of {self.facts_as_of})"
        sections.append(Section(title=dated, body=notes, name="assumptions"))
        sections.append(Section(title="Not modelled", body=answer.not_modelled, name="not-modelled"))
        return Document(lead=self.sentence, sections=tuple(sections), screen=(*screen(self), *self._explanation()))

    def _explanation(self) -> tuple[Section, ...]:
        """Return the terms of the step time, where they were asked for."""
        sections = () if self.explained is None else self.explained.document().sections
        return tuple(replace(section, name="explanation") for section in sections)

    def _frontier_section(self) -> Section:
        title = "Frontier: days against cost (* chosen)"
        if self.verb == "estimate":
            title = "Estimate (* best)"
        body = (self.frontier(PLAN), BRACKETS, LAYOUT_LEGEND, f"MFU: {MFU_DEFINITION}")
        return Section(title=title, body=body, name="frontier")

    def _rejected(self) -> Section:
        answer = self.answer
        counts = sorted(answer.rejected.items(), key=lambda item: -item[1])
        line = (
            f"{answer.layouts_evaluated:,} layouts evaluated, time and memory, of {answer.layouts_considered:,} legal, "
            f"in {answer.seconds:.2f} s"
        )
        table = (Table(columns=COUNTS, rows=tuple(counts)),) if counts else ()
        return Section(title="Layouts", body=(line, *table), name="layouts")

    @cached_property
    def needs(self) -> SiteRequirements | None:
        """What the chosen layout needs of its site; worked out once, for every format."""
        chosen, question = self.answer.chosen, self.answer.question
        if chosen is None:
            return None
        return site_requirements(question, chosen, self.answer.forecast, self.catalog, question.constants)

    def assumptions(self) -> tuple[Assumed, ...]:
        """Return what was assumed, by the question and by the search, each once."""
        found = [_dated(note) for note in self.answer.assumptions if not note.name.startswith(_SAID_ELSEWHERE)]
        return tuple(note if note.as_of else replace(note, as_of=self._year(note)) for note in (*self.assumed, *found))

    def _year(self, note: Assumed) -> str:
        """Return the year of the newest source of an assumption that has no date of its own."""
        sources = (self.catalog.source(key.strip()) for key in note.source.split(","))
        return str(max((source.year for source in sources if source is not None), default="")) or ""

    def to_dict(self) -> dict[str, Any]:
        """Return the whole answer as plain values."""
        answer = self.answer
        return {
            "schema_version": SCHEMA_VERSION,
            "isocost_version": __version__,
            "verb": self.verb,
            "summary": self.sentence,
            "inputs": self._inputs(),
            "chosen": candidate_dict(answer.chosen) if answer.chosen else None,
            "misfit": candidate_dict(self.misfit) if self.misfit else None,
            "why": answer.why,
            "limits": limits_dict(answer),
            "whole_run": forecast_dict(answer.forecast) if answer.forecast else None,
            "needs": requirements_dict(self.needs) if self.needs else None,
            "programme": program_dict(self.programme),
            "how_sure": certainty_dict(answer.chosen, answer.question) if answer.chosen else None,
            "frontier": [candidate_dict(c) for c in answer.frontier],
            "alternatives": [_alternative(a) for a in answer.alternatives],
            "others": [_loser(loser) for loser in answer.others],
            "rejected": dict(answer.rejected),
            "illegal": dict(answer.illegal),
            "relaxations": list(answer.relaxations),
            "search": {
                "layouts_considered": answer.layouts_considered,
                "layouts_evaluated": answer.layouts_evaluated,
                "seconds": answer.seconds,
            },
            "explanation": self.explained.to_dict() if self.explained else None,
            "definitions": {"mfu": MFU_DEFINITION},
            "assumptions": [asdict(note) for note in self.assumptions()],
            "not_modelled": list(answer.not_modelled),
        }

    def _inputs(self) -> dict[str, Any]:
        """Return the question as it was understood; ``scenario`` is enough to ask it again."""
        question = self.answer.question
        model = self.scenario.model
        scenario = scenario_tables(self.scenario) | {"architecture": asdict(self.scenario.shape)}
        return {
            "today": self.today.isoformat(),
            "facts_as_of": self.facts_as_of,
            "model": {"given": model.given, "source": model.source, "as_of": model.as_of} if model else None,
            "tokens": question.tokens,
            "seq_len": question.seq_len,
            "global_batch_seqs": question.global_batch_seqs,
            "deadline_s": question.deadline_s,
            "budget_usd": question.budget_usd,
            "power_cap_w": question.power_w,
            "confidence_frac": question.confidence,
            "options": [option_dict(option) for option in question.options],
            "gpu_counts": question.gpu_counts,
            "stack": question.recipe.id,
            "precisions": question.precisions,
            "fixed": {key: question.fixed[key] for key in FIXABLE if key in question.fixed},
            "pue": question.pue,
            "electricity": question.electricity,
            "scenario": {key: value for key, value in scenario.items() if key != "model"},
        }


def _same(a: Candidate, b: Candidate) -> bool:
    return a.option.label == b.option.label and (a.precision, a.layout) == (b.precision, b.layout)


def _alternative(a: Alternative) -> dict[str, Any]:
    differs = {name: {"chosen": here, "here": there} for name, (here, there) in a.differs.items()}
    return {"cost_frac": a.cost_frac, "days_more": a.days, "differs": differs, "plan": candidate_dict(a.candidate)}


def _loser(loser: RejectedOption) -> dict[str, Any]:
    plan = candidate_dict(loser.candidate) if loser.candidate else None
    return {"label": loser.label, "reason": loser.reason, "plan": plan}


def _time_section(c: Candidate, which: str, why: str) -> Section:
    lead = (
        f"{show(c.step_s, 's')} ({between(c.intervals['step_s'], 's')}) a step of {c.global_batch_seqs:,} sequences, "
        f"{c.micro_batches:,} micro-batches a rank; {c.steps:,} steps; {c.tokens_per_s_per_gpu:,.0f} tokens/s/GPU"
    )
    body: tuple[Part, ...] = (lead, *([f"bound by {why}"] if why else []), waterfall(c))
    return Section(title=f"Step time of {which}", body=body, name="step")


def _memory_section(c: Candidate, which: str) -> Section:
    spare = c.capacity_bytes - c.peak_bytes
    left = f"{show(spare, 'B')} to spare" if spare >= 0 else f"{show(-spare, 'B')} too much"
    interval = between(c.intervals["peak_bytes"], "B")
    lead = (
        f"{show(c.peak_bytes, 'B')} ({interval}) of {show(c.capacity_bytes, 'B')} on the fullest rank, {left}; "
        f"fits with a probability of {c.fits_probability:.0%}"
    )
    return Section(title=f"Memory of {which}", body=(lead, memory_stack(c)), name="memory")
