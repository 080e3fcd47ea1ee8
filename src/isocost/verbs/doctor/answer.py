"""The doctor's answer with a scenario: measured efficiency, the waterfall, what to change and what it saves."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from isocost.catalog import Catalog
from isocost.errors import InputError, Problem
from isocost.measure.logs.summary import RunSummary
from isocost.perf.site import NINETY
from isocost.render.document import Column, Document, Section, Table
from isocost.render.result import SCHEMA_VERSION, Result
from isocost.scenario import Scenario, read_scenario
from isocost.scenario.question import question_of
from isocost.scenario.written import overridden
from isocost.search.question import MFU_DEFINITION, Question
from isocost.units import parse
from isocost.verbs.doctor.describe import NONE, Prescription
from isocost.verbs.doctor.levers import Doctor, Findings
from isocost.verbs.doctor.measured_parts import DATA, IMBALANCE, measured_parts
from isocost.verbs.doctor.neighbourhood import neighbourhood
from isocost.verbs.doctor.of_traces import NEEDS_SCENARIO, Examination, LogExamination, RunExamination, TraceExamination
from isocost.verbs.doctor.run import (
    DATA_PATH,
    DOUBTFUL_FACTOR,
    SLOW_RANK,
    Calibrated,
    Drop,
    ExaminedRun,
    Wait,
    calibrate,
    examined_run,
    waterfall,
)
from isocost.verbs.doctor.trial import NOISE_FRAC
from isocost.verbs.doctor.unpriced import Unpriced

Changes = Mapping[str, tuple[str, str]]
SHARDINGS: Final = {
    "none": "no sharding",
    "zero1": "shard the optimizer (ZeRO-1)",
    "zero2": "shard optimizer and gradients (ZeRO-2)",
    "zero3": "shard with FSDP",
}
SHOWN_TRIALS: Final = 5


def words(found: Prescription) -> str:
    """Return the changes as one clause: drop TP 8 to 1 and shard with FSDP, compile, micro-batch 6."""
    said = [_PHRASES[lever](found.changes) for lever in found.levers]
    if "tp" in found.levers and "sharding" in found.levers:
        sharding = said.pop(found.levers.index("sharding"))
        said[found.levers.index("tp")] += f" and {sharding}"
    return ", ".join(said)


def phrase(found: Prescription, lever: str) -> str:
    """One of the changes."""
    return _PHRASES[lever](found.changes)


def _tp(changes: Changes) -> str:
    parallel = changes.get("sequence_parallel", ("", ""))[1]
    if "tp" not in changes:
        return "sequence parallelism" if parallel == "True" else "no sequence parallelism"
    old, new = changes["tp"]
    without = " without sequence parallelism" if parallel == "False" and new != "1" else ""
    return f"{'drop' if int(new) < int(old) else 'raise'} TP {old} to {new}{without}"


def _pp(changes: Changes) -> str:
    old, new = changes["pp"]
    return f"no pipeline (PP {old} to 1)" if new == "1" else f"PP {old} to {new} ({_schedule_words(changes)})"


def _schedule(changes: Changes) -> str:
    return f"schedule {_schedule_words(changes)}"


def _schedule_words(changes: Changes) -> str:
    schedule, vp = (changes.get(key, ("", ""))[1] for key in ("schedule", "vp"))
    return " with ".join(part for part in (schedule, f"{vp} chunks a rank" if vp else "") if part) or "same schedule"


def _degree(key: str) -> Callable[[Changes], str]:
    return lambda changes: f"{key.upper()} {changes[key][0]} to {changes[key][1]}"


def _new(key: str, text: str) -> Callable[[Changes], str]:
    return lambda changes: text.format(changes[key][1])


def _plain(text: str) -> Callable[[Changes], str]:
    return lambda changes: text


_PHRASES: Final[Mapping[str, Callable[[Changes], str]]] = {
    "tp": _tp,
    "pp": _pp,
    "schedule": _schedule,
    "cp": _degree("cp"),
    "ep": _degree("ep"),
    "sharding": lambda changes: SHARDINGS[changes["sharding"][1]],
    "micro_batch": _new("micro_batch", "micro-batch {}"),
    "recompute": lambda changes: f"{changes['recompute'][1].replace('none', 'no')} recompute",
    "attention_kernel": _new("attention_kernel", "{} attention"),
    "norm_kernel": _plain("fused norms"),
    "compile": _plain("compile"),
    "gradient_precision": _new("gradient_precision", "reduce gradients in {}"),
    "tp_overlap": _plain("asynchronous TP"),
    "shard_group": lambda changes: f"shard {changes['shard_group'][1]} (HSDP)",
    "precision": _new("precision", "{} matrix products"),
    "global_batch": _new("global_batch", "global batch {}"),
    DATA_PATH: lambda changes: f"no waits for data ({changes[DATA_PATH][0]})",
    SLOW_RANK: lambda changes: f"no waits of {changes[SLOW_RANK][0]}",
    "fabric": _plain("twice the network bandwidth"),
}


def dollars(usd: float | None) -> str:
    """Return an amount in three digits or so."""
    if usd is None:
        return "-"
    sign, size = "-" if usd < 0.0 else "", abs(usd)
    if size >= 1e6:
        return f"{sign}${size / 1e6:,.1f}M"
    return f"{sign}${size / 1e3:,.0f}k" if size >= 1e4 else f"{sign if round(size) else ''}${size:,.0f}"


def days(value: float | None) -> str:
    """Return a length in days, in three digits or so."""
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 100.0 else 1 if abs(value) >= 10.0 else 2
    return f"{round(value, digits) + 0.0:,.{digits}f}"  # no minus in front of a zero


def tokens(count: float) -> str:
    """Return a number of tokens."""
    return f"{count / 1e12:,.3g} T" if count >= 1e12 else f"{count / 1e9:,.3g} B"


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _whole_percent(value: float) -> str:
    return f"{value:.0%}"


def _fit(found: Prescription) -> str:
    return "no" if not found.fits else f"{found.fits_probability:.0%}{' cliff' if found.cliff else ''}"


def _tested(found: Prescription) -> str:
    return _tested_on(min(found.levers, key=lambda lever: found.pairs[lever]), found)


def _tested_on(lever: str, found: Prescription) -> str:
    if lever in (DATA_PATH, SLOW_RANK):
        return "this run"
    count = found.pairs[lever]
    return f"{count:,} pair{'s' if count != 1 else ''}" if count else "no pair"


def waterfall_table(drops: tuple[Drop, ...]) -> Table:
    """Return the waterfall: peak, drops, achieved."""
    ideal, *others = drops
    shown = [d for d in others if not math.isclose(d.s, 0.0, abs_tol=5e-7 * ideal.s) or d.name == "unexplained"]
    rows = [
        {"name": "peak", "s": ideal.s, "mfu": 1.0, "how": ""},
        *({"name": d.name, "s": d.s, "mfu": d.mfu, "how": d.how} for d in shown),
        {"name": "achieved", "s": math.fsum(d.s for d in drops), "mfu": ideal.mfu, "how": "measured"},
    ]
    columns = (
        Column(head="part", key="part", value=lambda row: row["name"], left=True),
        Column(head="s", key="s", value=lambda row: row["s"], show=lambda value: f"{value:,.3f}"),
        Column(head="MFU", key="mfu", value=lambda row: row["mfu"], show=_percent),
        Column(head="how known", key="how", value=lambda row: row["how"], left=True),
    )
    return Table(columns=columns, rows=tuple(rows))


def levers_table(found: tuple[Prescription, ...]) -> Table:
    """Return the changes with what they are worth, one a row."""
    columns = (
        Column(head="change", key="change", value=words, left=True),
        Column(head="step, s", key="step_s", value=lambda p: p.step_s, show=lambda value: f"{value:,.4g}"),
        Column(head="MFU", key="mfu", value=lambda p: p.mfu, show=_percent),
        Column(head="gain?", key="gain_probability", value=lambda p: p.gain_probability, show=_whole_percent),
        Column(head="memory", key="memory_frac", value=lambda p: p.memory_frac, show=_whole_percent),
        Column(head="fits", key="fits", value=_fit),
        Column(head="days", key="days_saved", value=lambda p: p.days_saved, show=days),
        Column(head="USD", key="usd_saved", value=lambda p: p.usd_saved, show=dollars),
        Column(head="effort", key="effort", value=lambda p: p.effort, left=True),
        Column(head="risk", key="risk", value=lambda p: p.risk, left=True),
        Column(head="tested on", key="pairs", value=_tested, left=True),
    )
    return Table(columns=columns, rows=found)


def trials_table(found: tuple[Prescription, ...], named: Mapping[tuple[str, ...], str]) -> Table:
    """Return what to try first; ``named`` has words for combinations that are described elsewhere."""
    columns = (
        Column(head="try", key="change", value=lambda p: named.get(p.levers) or words(p), left=True),
        Column(head="gain?", key="gain_probability", value=lambda p: p.gain_probability, show=_whole_percent),
        Column(head="fits", key="fits_probability", value=lambda p: p.fits_probability, show=_whole_percent),
        Column(head="days expected", key="expected_days_saved", value=lambda p: p.expected_days_saved, show=days),
        Column(head="trial, h", key="trial_hours", value=lambda p: p.trial.hours, show=lambda v: f"{v:,.1f}"),
        Column(head="risk", key="risk", value=lambda p: p.risk, left=True),
        Column(head="steps", key="trial_steps", value=lambda p: p.trial.steps),
        Column(head="trial, USD", key="trial_usd", value=lambda p: p.trial.usd, show=dollars),
        Column(head="worth, days", key="value_days", value=lambda p: p.value_days, show=days),
        Column(head="worth, USD", key="value_usd", value=lambda p: p.value_usd, show=dollars),
    )
    return Table(columns=columns, rows=found[:SHOWN_TRIALS])


def shares_table(found: Prescription, shares: Mapping[str, float], measured_s: float) -> Table:
    """Return the changes of a combination with the share of each in the time saved."""
    columns = (
        Column(head="change", key="change", value=lambda lever: phrase(found, lever), left=True),
        Column(head="saves, s", key="share_s", value=lambda lever: shares[lever], show=lambda v: f"{v:,.3g}"),
        Column(head="of the step", key="share_frac", value=lambda lever: shares[lever] / measured_s, show=_percent),
        Column(head="tested on", key="pairs", value=lambda lever: _tested_on(lever, found), left=True),
    )
    return Table(columns=columns, rows=tuple(shares))


def unpriced_table(found: tuple[Unpriced, ...]) -> Table:
    """Return levers without a price: what they are worth at most, and what to measure."""
    columns = (
        Column(head="lever", key="lever", value=lambda row: row.lever, left=True),
        Column(head="at most, s", key="at_most_s", value=lambda row: row.at_most_s, show=lambda v: f"{v:,.3g}"),
        Column(head="days", key="at_most_days", value=lambda row: row.at_most_days, show=days),
        Column(head="measure", key="measure", value=lambda row: row.measure, left=True),
    )
    return Table(columns=columns, rows=found)


# Of a prescription in the list of what to try first.
TRY_FIRST = (
    "levers",
    "changes",
    "gain_probability",
    "fits_probability",
    "expected_days_saved",
    "expected_usd_saved",
    "trial",
    "value_days",
    "value_usd",
)
SURE = 0.9  # a gain of less probability says so in the sentence
DIFFERS_FRAC = 0.02  # a log whose tokens differ from the scenario's by more is of another run


def run_of(
    scenario: str | None, changes: Mapping[str, object], places: Mapping[str, str], tokens_left: str | None
) -> tuple[Scenario, Catalog, Question]:
    """Return what the scenario of a run says, with changes over it; ``places`` is where those were told.

    The tokens left stand for all where the scenario names none.
    """
    today = datetime.date.today()
    tables, wrote = overridden(scenario, changes)
    if tokens_left is not None:
        tables.setdefault("tokens", tokens_left)
    checked, catalog = read_scenario(tables, wrote | dict(places), today)
    return checked, catalog, question_of(checked, catalog, today)[0]


def prescribe(
    examined: Examination | None,
    step_time: str | None,
    scenario: str | None,
    changes: Mapping[str, object],
    places: Mapping[str, str],
    tokens_left: str | None = None,
) -> PrescribedRun:
    """Return what to change in a run: of a log or trace, or of a step time alone, and a scenario."""
    checked, catalog, question = run_of(scenario, changes, places, tokens_left)
    left = checked.tokens if tokens_left is None else float(parse(tokens_left, "token", "tokens_left"))
    constants = question.constants
    step_s = _step_s(examined) if step_time is None else _given_s(step_time)
    found = examined_run(question, catalog, constants, step_s)
    found = replace(found, waits=_waits(examined, found))
    if (mfu := found.mfu_at(step_s)) > 1.0:
        message = f"of {step_s:,.4g} s would be {mfu:.0%} MFU, more than the chip can do"
        fix = "check the global batch, the sequence length, the GPUs and the unit of the step time"
        raise InputError([Problem("step time", message, fix=fix)])
    fitted = calibrate(found)
    findings = Doctor(found, fitted, neighbourhood(found, fitted, constants, left), left, _noise(examined)).findings()
    return PrescribedRun(examined=examined, run=found, calibrated=fitted, drops=waterfall(found), findings=findings)


def _given_s(text: str) -> float:
    """Return a step time as the user wrote it: a number is in seconds."""
    plain = text.strip().replace(".", "", 1).isdigit()
    step_s = float(parse(f"{text} s" if plain else text, "s", "step_time"))
    if not step_s > 0.0:
        raise InputError([Problem("step_time", "is zero", text, "more than 0 s")])
    return step_s


def _step_s(examined: Examination | None) -> float:
    if isinstance(examined, LogExamination) and examined.summary.step_s is not None:
        return examined.summary.step_s.median
    if isinstance(examined, TraceExamination) and examined.summary.step_s is not None:
        return examined.summary.step_s
    raise InputError([Problem("step_time", "is missing, and no file says it", fix="give --step-time '11.2 s'")])


def _waits(examined: Examination | None, run: ExaminedRun) -> dict[str, Wait]:
    """Return waits for data, as a log or a trace shows them, and for slower ranks, of which only traces tell."""
    found = {}
    trace = examined.trace if isinstance(examined, RunExamination) else examined
    if isinstance(trace, TraceExamination) and (parts := measured_parts(run, trace.summary)):
        slow = trace.summary.slow_rank
        who = "the slowest" if slow is None else f"rank {slow}"
        found = {
            DATA_PATH: Wait(s=parts[DATA], words=f"{parts[DATA]:.3g} s a step"),
            SLOW_RANK: Wait(s=parts[IMBALANCE], words=f"{parts[IMBALANCE]:.3g} s a step for {who}"),
        }
    elif isinstance(examined, LogExamination) and examined.summary.data_s is not None:
        waits_s = min(examined.summary.data_s.median, run.measured_s)
        found = {DATA_PATH: Wait(s=waits_s, words=f"{waits_s:.3g} s a step")}
    return {lever: wait for lever, wait in found.items() if wait.s > 0.0}


def _noise(examined: Examination | None) -> float | None:
    """Spread of single steps over their mean, where a log shows it."""
    if not isinstance(examined, LogExamination) or examined.summary.step_s is None:
        return None
    usual = examined.summary.step_s
    return usual.width / (2.0 * NINETY) / usual.median or None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrescribedRun(Result):
    """The answer of ``isocost doctor`` with a scenario."""

    examined: Examination | None
    run: ExaminedRun
    calibrated: Calibrated
    drops: tuple[Drop, ...]
    findings: Findings

    def events_csv(self) -> str:
        """Return pauses, restarts and slow periods, one a row."""
        if self.examined is None:
            raise InputError([Problem("--events", "needs a log")])
        return self.examined.events_csv()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, units in the keys."""
        run, findings = self.run, self.findings
        step = run.measured_s
        flat = {"p05": step, "p50": step, "p95": step}
        given: dict[str, Any] = {"path": None, "format": "step time", "lines": 0, "steps_seen": 0, "steps_used": 0}
        base: dict[str, Any] = {"input": given | {"dropped": {}}, "measured": {"step_s": flat}}
        if self.examined is not None:
            base = self.examined.to_dict()
        rate = base["measured"].get("tokens_per_s_per_gpu")
        measured = {
            **base["measured"],
            "tokens_per_s_per_gpu": rate or dict.fromkeys(flat, run.tokens_per_s_per_gpu),
            "mfu": run.mfu_at(step),
            "hfu": run.hfu,
            "definition": MFU_DEFINITION,
            "predicted_step_s": run.predicted_s,
        }
        return {
            "schema_version": SCHEMA_VERSION,
            "input": base["input"],
            "measured": measured,
            "waterfall": self.drops,
            "levers": findings.singles,
            "best_combination": self._best(),
            "try_first": [{key: getattr(found, key) for key in TRY_FIRST} for found in findings.try_first],
            "beyond": findings.beyond,
            "no_effect": findings.no_effect,
            "not_priced": findings.unpriced,
            "cliffs": findings.cliffs,
            "verdict": findings.verdict,
            "combinations": findings.evaluated,
            "unknown": self._unknown(base.get("unknown", [])),
        }

    def _best(self) -> dict[str, Any] | None:
        best = self.findings.best
        if best is None:
            return None
        more = {"shares_s": self.findings.shares, "worthless_alone": self.findings.worthless_alone}
        return {field.name: getattr(best, field.name) for field in fields(best)} | more

    def _unknown(self, before: list[str]) -> list[str]:
        run = self.run
        found = [text for text in before if text != NEEDS_SCENARIO]
        found += self._disagreements()
        if run.left_open:
            found.append(f"the layout in full: {', '.join(run.left_open)} not given, taken as the fastest that fits")
        if run.option.median_usd_per_s is None:
            found.append("dollars: nobody lists a price of this accelerator; add [purchase] to the scenario")
        full = run.peak_bytes / run.capacity_bytes
        if full > 1.0:
            found.append(
                f"memory: the run's own peak is predicted at {full:.0%} of the memory, though it ran; the chances of "
                "fitting are as much too low"
            )
        factor = run.measured_s / run.predicted_s
        if max(factor, 1.0 / factor) > DOUBTFUL_FACTOR:
            found.append(f"whether the scenario is this run's: measured is {factor:.2f} times the prediction")
        found.append(
            "which part of the step the unexplained seconds belong to: a profiler trace of one rank would tell"
        )
        return found

    def _disagreements(self) -> list[str]:
        if not isinstance(self.examined, LogExamination):
            return []
        case, summary, found = self.run.case, self.examined.summary, []
        gpus = self.examined.reading.facts.get("gpus")
        if gpus and gpus != case.gpus:
            found.append(f"which is right: the log is of {gpus:,.0f} GPUs, the scenario of {case.gpus:,}")
        if summary.tokens_per_s_per_gpu is not None and summary.step_s is not None:
            printed = summary.tokens_per_s_per_gpu.median * summary.step_s.median * case.gpus
            said = case.global_batch_seqs * case.seq_len
            if abs(printed / said - 1.0) > DIFFERS_FRAC:
                found.append(f"which is right: the log has {printed:,.0f} tokens a step, the scenario {said:,}")
        return found + self._other_definition(summary)

    def _other_definition(self, summary: RunSummary) -> list[str]:
        """Return what the log means by MFU, where it prints another than that of the definition here."""
        if summary.printed_mfu is None:
            return []
        printed, mfu = summary.printed_mfu.median, self.run.mfu_at(self.run.measured_s)
        if abs(printed / mfu - 1.0) <= DIFFERS_FRAC:
            return []
        counts = []
        if (flop := summary.printed_flop_per_token) is not None:
            counts.append(f"counts {flop / 1e9:,.1f} GFLOP a token (here {self.run.flop_per_token / 1e9:,.1f})")
        if (peak := summary.printed_peak_flop_per_s) is not None:
            counts.append(f"divides by {peak / 1e12:,.0f} TFLOP/s (here {self.run.peak_flop_per_s / 1e12:,.0f})")
        why = f"; it {' and '.join(counts)}" if counts else ""
        return [f"what the log means by MFU: it prints {printed:.1%}, by the definition above it is {mfu:.1%}{why}"]

    def lead(self) -> str:
        """Return the answer in one sentence."""
        mfu, best = self.run.mfu_at(self.run.measured_s), self.findings.best
        if best is None:
            return f"{mfu:.1%} MFU: {self.findings.verdict}."
        money = "" if best.usd_saved is None else f" and {dollars(best.usd_saved)}"
        chance = "" if best.gain_probability >= SURE else f", a gain at {best.gain_probability:.0%}"
        low = max(best.mfu_low, mfu)  # a change that is none is not kept
        return (
            f"{mfu:.1%} MFU, {low:.0%} to {best.mfu_high:.0%} is reachable on these GPUs: {words(best)}; "
            f"{days(best.days_saved)} days{money} saved on the {tokens(self.findings.tokens_left)} tokens left{chance}."
        )

    def document(self) -> Document:
        """Return the sentence and the sections."""
        findings = self.findings
        sections = [self._waterfall()]
        if findings.best is not None:
            sections.append(self._together(findings.best))
        sections.append(self._singles())
        if findings.try_first:
            sections.append(self._try_first())
        if findings.beyond:
            notes = dict.fromkeys(note for p in findings.beyond if p.risk != NONE for note in p.risk_note.split("; "))
            title = "With lower precision, another batch or another network"
            sections.append(Section(title=title, body=(levers_table(findings.beyond), *notes)))
        if findings.cliffs:
            sections.append(Section(title="Faster, but over the edge of memory", body=findings.cliffs))
        if findings.unpriced:
            sections.append(self._not_priced())
        unknown = tuple(self._unknown(self.examined.to_dict()["unknown"] if self.examined else []))
        return Document(
            lead=self.lead(), sections=(*sections, Section(title="Not known from this input", body=unknown))
        )

    def _waterfall(self) -> Section:
        off = self.calibrated.off_frac
        lines = (
            f"model before this run: {self.run.predicted_s:,.4g} s a step; measured is {off:+.1%} from it, and the "
            "model is calibrated to that",
            f"HFU {self.run.hfu:.1%}; MFU: {MFU_DEFINITION}",
        )
        return Section(title="From peak to MFU", body=(waterfall_table(self.drops), *lines))

    def _together(self, best: Prescription) -> Section:
        alone, shares = self.findings.worthless_alone, self.findings.shares
        head = (
            f"{best.step_s:,.4g} s a step, {best.mfu:.1%} MFU; a gain at {best.gain_probability:.0%}; "
            f"{best.memory_frac:.0%} of the memory, fits at {best.fits_probability:.0%}; effort {best.effort}; "
            f"risk {best.risk}: {best.risk_note}"
        )
        lines = ["shares are Shapley values of all orders, and add up", f"evidence: {best.evidence}"]
        if alone:
            lines.append(f"worth nothing alone, only together: {', '.join(phrase(best, name) for name in alone)}")
        table = shares_table(best, shares, self.run.measured_s)
        return Section(title="Together", body=(head, table, *lines))

    def _singles(self) -> Section:
        findings = self.findings
        lines = [
            f"{findings.evaluated:,} combinations evaluated; global batch and sequence length stay unless said",
            f"gain?: chance of more than {NOISE_FRAC:.0%}, the noise between two runs; tested on: pairs of measured "
            "runs that differ in this only",
            "days and USD: of steps alone, without interruptions, at the median rent",
        ]
        if findings.no_effect:
            lines.append(f"no effect in this layout: {', '.join(findings.no_effect)}")
        return Section(title="One change at a time", body=(self.rows(), *lines))

    def _try_first(self) -> Section:
        best = self.findings.best
        named = {} if best is None or len(best.levers) == 1 else {best.levers: "all of them together"}
        table = trials_table(self.findings.try_first, named)
        lines = (
            "days expected: the change is kept only where the trial fits and gains more than the noise; worth: less "
            "the trial on all GPUs, without anybody's time",
        )
        return Section(title="What to try first", body=(table, *lines))

    def _not_priced(self) -> Section:
        why = (f"{row.lever}: {row.why}" for row in self.findings.unpriced)
        return Section(title="Not priced: worth at most", body=(unpriced_table(self.findings.unpriced), *why))

    def rows(self) -> Table:
        """Return the single changes, those that fit first, what is worth most to try first."""
        return levers_table(self.findings.singles)
