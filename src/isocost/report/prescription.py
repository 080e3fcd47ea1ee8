"""The doctor's answer with a scenario: measured efficiency, the waterfall, what to change and what it saves."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from isocost.constants import shipped
from isocost.doctor.neighbourhood import neighbourhood
from isocost.doctor.prescribe import Doctor, Findings, Prescription
from isocost.doctor.run import DOUBTFUL_FACTOR, Calibrated, Drop, MeasuredRun, calibrate, measured_run, waterfall
from isocost.errors import InputError, Problem
from isocost.memory_choices import capacity_bytes
from isocost.report.doctor import NEEDS_SCENARIO, Examination, LogExamination, TraceExamination
from isocost.report.result import SCHEMA_VERSION, Result
from isocost.report.table import Column, Report, Section, Table
from isocost.scenario import load_tables, read_scenario
from isocost.scenario.question import question_of
from isocost.search.question import MFU_DEFINITION
from isocost.units import parse

DIFFERS_FRAC = 0.02  # a log whose tokens differ from the scenario's by more is of another run


def prescribe(
    examined: Examination | None,
    step_time: str | None,
    scenario: str | None,
    changes: Mapping[str, object],
    places: Mapping[str, str],
    tokens_left: str | None = None,
) -> PrescribedRun:
    """Return what to change in a run: of a log or trace, or of a step time alone, and a scenario."""
    today = datetime.date.today()
    tables = load_tables(scenario) if scenario else {}
    wrote = {key: f"{scenario}: {key}" for key in tables} | dict(places)
    if "model" in changes:
        tables.pop("architecture", None)
    if tokens_left is not None:
        tables.setdefault("tokens", tokens_left)
    checked, catalog = read_scenario({**tables, **changes}, wrote, today)
    question, _ = question_of(checked, catalog, today)
    left = checked.tokens if tokens_left is None else float(parse(tokens_left, "token", "--tokens-left"))
    constants = question.calibration.merged(shipped()) if question.calibration else shipped()
    step_s = _step_s(examined) if step_time is None else _given_s(step_time)
    found = measured_run(question, catalog, constants, step_s)
    if (mfu := found.mfu_at(step_s)) > 1.0:
        message = f"of {step_s:,.4g} s would be {mfu:.0%} MFU, more than the chip can do"
        fix = "check the global batch, the sequence length, the GPUs and the unit of the step time"
        raise InputError([Problem("step time", message, fix=fix)])
    fitted = calibrate(found)
    findings = Doctor(found, fitted, neighbourhood(found, fitted, constants), left).findings()
    return PrescribedRun(
        examined=examined, run=found, calibrated=fitted, drops=waterfall(found), findings=findings
    )  # fmt: skip


def _given_s(text: str) -> float:
    """Return a step time as the user wrote it: a number is in seconds."""
    plain = text.strip().replace(".", "", 1).isdigit()
    step_s = float(parse(f"{text} s" if plain else text, "s", "--step-time"))
    if not step_s > 0.0:
        raise InputError([Problem("--step-time", "is zero", text, "more than 0 s")])
    return step_s


def _step_s(examined: Examination | None) -> float:
    if isinstance(examined, LogExamination) and examined.summary.step_s is not None:
        return examined.summary.step_s.p50
    if isinstance(examined, TraceExamination) and examined.summary.step_s is not None:
        return examined.summary.step_s
    raise InputError([Problem("--step-time", "is missing, and no file says it", fix="give --step-time '11.2 s'")])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrescribedRun(Result):
    """The answer of ``isocost doctor`` with a scenario."""

    examined: Examination | None
    run: MeasuredRun
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
        best = findings.best
        return {
            "schema_version": SCHEMA_VERSION,
            "input": base["input"],
            "measured": measured,
            "waterfall": self.drops,
            "levers": findings.singles,
            "best_combination": None
            if best is None
            else {
                **{field.name: getattr(best, field.name) for field in fields(best)},
                "shares_s": findings.shares,
                "worthless_alone": findings.worthless_alone,
            },
            "beyond": findings.beyond,
            "cliffs": findings.cliffs,
            "verdict": findings.verdict,
            "combinations": findings.evaluated,
            "unknown": self._unknown(base.get("unknown", [])),
        }

    def _unknown(self, before: list[str]) -> list[str]:
        run = self.run
        found = [text for text in before if text != NEEDS_SCENARIO]
        found += self._disagreements()
        if run.left_open:
            found.append(f"the layout in full: {', '.join(run.left_open)} not given, taken as the fastest that fits")
        if run.option.median_usd_per_s is None:
            found.append("dollars: nobody lists a price of this accelerator; add [purchase] to the scenario")
        full = run.peak_bytes / capacity_bytes(run.case.accelerator.memory_bytes)
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
            printed = summary.tokens_per_s_per_gpu.p50 * summary.step_s.p50 * case.gpus
            said = case.global_batch_seqs * case.seq_len
            if abs(printed / said - 1.0) > DIFFERS_FRAC:
                found.append(f"which is right: the log has {printed:,.0f} tokens a step, the scenario {said:,}")
        return found

    def lead(self) -> str:
        """Return the answer in one sentence."""
        mfu, best = self.run.mfu_at(self.run.measured_s), self.findings.best
        if best is None:
            return f"{mfu:.1%} MFU: {self.findings.verdict}."
        money = "" if best.usd_saved is None else f" and {_dollars(best.usd_saved)}"
        return (
            f"{mfu:.1%} MFU, {best.mfu_low:.0%} to {best.mfu_high:.0%} is reachable on these GPUs: {_words(best)}; "
            f"{best.days_saved:,.1f} days{money} saved on the {_tokens(self.findings.tokens_left)} tokens left."
        )

    def report(self) -> Report:
        """Return the sentence and the sections."""
        findings = self.findings
        off = self.calibrated.off_frac
        notes = [
            f"model before this run: {self.run.predicted_s:,.4g} s a step; measured is {off:+.1%} from it, and the "
            "model is calibrated to that",
            f"HFU {self.run.hfu:.1%}; MFU: {MFU_DEFINITION}",
            f"{findings.evaluated:,} combinations evaluated; global batch and sequence length stay",
            "days are of steps alone, without interruptions; dollars are rent at the median price",
        ]
        sections = [
            Section(title="From peak to MFU", body=(_waterfall(self.drops), *notes[:2])),
            Section(title="One change at a time", body=(self.rows(), *notes[2:])),
        ]
        if findings.best is not None:
            sections.append(self._combination(findings.best))
        if findings.beyond:
            sections.append(Section(title="With lower precision or another network", body=(_levers(findings.beyond),)))
        if findings.cliffs:
            sections.append(Section(title="Faster, but over the edge of memory", body=findings.cliffs))
        unknown = tuple(self._unknown(self.examined.to_dict()["unknown"] if self.examined else []))
        return Report(
            lead=self.lead(), sections=(*sections, Section(title="Not known from this input", body=unknown))
        )  # fmt: skip

    def _combination(self, best: Prescription) -> Section:
        shares = ", ".join(f"{name} {value:,.3g} s" for name, value in self.findings.shares.items())
        alone = self.findings.worthless_alone
        lines = [f"saved a step: {shares} (Shapley shares; they add up)"]
        if alone:
            lines.append(f"worth nothing alone, only together: {', '.join(alone)}")
        lines += [f"numerics: {best.numerics}", f"evidence: {best.evidence}"]
        return Section(title="Together", body=(_levers((best,)), *lines))

    def rows(self) -> Table:
        """Return the single changes, those that fit first, the largest gain first."""
        return _levers(self.findings.singles)


def _words(found: Prescription) -> str:
    return ", ".join(f"{key} {old} to {new}" for key, (old, new) in found.changes.items())


def _dollars(usd: float) -> str:
    return f"${usd / 1e6:,.2f}M" if usd >= 1e6 else f"${usd:,.0f}"


def _tokens(count: float) -> str:
    return f"{count / 1e12:,.3g} T" if count >= 1e12 else f"{count / 1e9:,.3g} B"


def _days(value: float) -> str:
    return f"{round(value, 2) + 0.0:,.2f}"  # no minus in front of a zero


def _rounded(value: float) -> str:
    return f"{round(value) + 0:,}"


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _waterfall(drops: tuple[Drop, ...]) -> Table:
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


def _fit(found: Prescription) -> str:
    return "does not fit" if not found.fits else f"{found.fits_probability:.0%}{', cliff' if found.cliff else ''}"


def _levers(found: tuple[Prescription, ...]) -> Table:
    columns = (
        Column(head="change", key="change", value=_words, left=True),
        Column(head="step, s", key="step_s", value=lambda p: p.step_s, show=lambda value: f"{value:,.4g}"),
        Column(head="MFU", key="mfu", value=lambda p: p.mfu, show=_percent),
        Column(head="a gain?", key="gain_probability", value=lambda p: p.gain_probability, show=lambda v: f"{v:.0%}"),
        Column(head="memory", key="memory_frac", value=lambda p: p.memory_frac, show=lambda v: f"{v:.0%}"),
        Column(head="fits", key="fits", value=_fit),
        Column(head="days saved", key="days_saved", value=lambda p: p.days_saved, show=_days),
        Column(head="USD saved", key="usd_saved", value=lambda p: p.usd_saved, show=_rounded),
        Column(head="effort", key="effort", value=lambda p: p.effort, left=True),
        Column(head="numerics", key="numerics", value=lambda p: p.numerics.partition(":")[0], left=True),
    )
    return Table(columns=columns, rows=found)
