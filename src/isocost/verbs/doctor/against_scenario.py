"""A log or a trace beside the scenario of its run: where they disagree, and what one tells the other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from isocost.catalog.records import peak
from isocost.measure import Definition, RunSummary, summarise
from isocost.measure.logs.records import Reading
from isocost.measure.logs.steady import IMPOSSIBLE
from isocost.measure.traces.trace import TraceSummary
from isocost.search.question import MFU_DEFINITION, Question
from isocost.verbs.doctor.of_traces import Examination, LogExamination, RunExamination, TraceExamination
from isocost.workload.flops import train_flop_per_token
from isocost.workload.params import parameter_count

# Tokens of a step that differ by more are of another run: what logs count differs by per cents (padding, one token).
OTHER_TOKENS_FRAC: Final = 0.1
# Parameters that differ by more are another model's: counts with and without embeddings differ by less.
OTHER_PARAMETERS_FRAC: Final = 0.3
# Keys of a scenario that the header of a log may tell.
TOLD: Final = ("global_batch", "tp", "pp", "cp", "ep", "micro_batch")
_CHIP: Final = re.compile(r"\b(?:[A-Z]{1,2}\d{2,4}|MI\d{3}[A-Z]?)(?=\b|[A-Z_-])")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioFacts:
    """What the scenario says of the run, as far as a log can be held against it."""

    parameters: float
    layers: int
    hidden: int
    seq_len: float
    tokens_per_step: float | None
    gpus: float | None
    name: str  # of the accelerator
    device: str  # name and id of it
    definition: Definition | None
    layout: Mapping[str, object]  # as far as it is fixed

    @classmethod
    def of(cls, question: Question) -> ScenarioFacts:
        """Return what a question says; what it leaves open, or gives many values of, is None."""
        tokens = question.global_batch_seqs * question.seq_len if question.global_batch_seqs else None
        chip, definition = question.options[0].accelerator, None
        rate, _ = peak(chip, question.precisions[0])
        if rate is not None:
            flop = train_flop_per_token(question.architecture, question.seq_len, causal=False)
            definition = Definition(model_flop_per_token=flop, peak_flop_per_s=rate, name=MFU_DEFINITION)
        return cls(
            parameters=parameter_count(question.architecture).total,
            layers=question.architecture.layers,
            hidden=question.architecture.hidden,
            seq_len=float(question.seq_len),
            tokens_per_step=tokens,
            gpus=float(question.gpu_counts[0]) if len(question.gpu_counts) == 1 else None,
            name=chip.name,
            device=f"{chip.name} {chip.id}",
            definition=definition,
            layout=question.fixed,
        )


def inferred_from_log(examined: Examination | None, given: Mapping[str, object]) -> dict[str, float]:
    """Return keys of a scenario that nobody gave and the header of the log tells."""
    if not isinstance(examined, LogExamination):
        return {}
    facts = dict(examined.reading.facts)
    if examined.summary.global_batch is not None:
        facts["global_batch"] = examined.summary.global_batch
    return {key: int(facts[key]) for key in TOLD if key in facts and given.get(key) is None}


def checked_against(examined: Examination, question: Question) -> Examination:
    """Return an examination that knows the scenario, or says why the scenario is of another run."""
    said = ScenarioFacts.of(question)
    if isinstance(examined, TraceExamination):
        against = _against_trace(examined.summary, said)
        return TraceExamination(examined.summary, against, checked_against=not against)
    if not isinstance(examined, LogExamination):
        return examined
    reading = examined.reading
    summary = summarise(reading, definition=said.definition, tokens_per_step=said.tokens_per_step, gpus=said.gpus)
    against = _against_log(reading, summary, said)
    if isinstance(examined, RunExamination):
        against = (*against, *_against_trace(examined.trace.summary, said))
    if against:
        summary = summarise(reading)
    log = LogExamination(examined.path, reading, summary, against)
    return RunExamination(log, examined.trace, against) if isinstance(examined, RunExamination) else log


def _against_trace(trace: TraceSummary, said: ScenarioFacts) -> tuple[str, ...]:
    found = []
    if trace.world_size is not None and said.gpus is not None and trace.world_size != said.gpus:
        found.append(f"the trace is of {trace.world_size:,} GPUs, the scenario of {said.gpus:,.0f}")
    for device in dict.fromkeys(rank.device for rank in trace.ranks if rank.device):
        chip = _CHIP.search(device.upper())
        if chip and not re.search(rf"(?<![A-Z0-9]){chip.group()}(?![0-9])", said.device.upper()):
            found.append(f"the trace is of {device}, the scenario of {said.name}")
    return tuple(found)


def _against_log(reading: Reading, summary: RunSummary, said: ScenarioFacts) -> tuple[str, ...]:
    found = []
    parameters = reading.facts.get("parameters")
    if parameters and _differs(parameters, said.parameters, OTHER_PARAMETERS_FRAC):
        found.append(
            f"the log is of a model of {_billions(parameters)} parameters, the scenario's has "
            f"{_billions(said.parameters)}"
        )
    for name, own in (("layers", said.layers), ("hidden", said.hidden)):
        if reading.facts.get(name, own) != own:
            word = "layers" if name == "layers" else "hidden width"
            found.append(f"the log is of a model with {word} {reading.facts[name]:,.0f}, the scenario's has {own:,}")
    found += [
        f"the log is of {key} {reading.facts[key]:,.0f}, the scenario of {said.layout[key]}"
        for key in TOLD
        if key in reading.facts and said.layout.get(key, reading.facts[key]) != reading.facts[key]
    ]
    rates = reading.records.column("tflops_per_gpu")
    if summary.dropped.get(IMPOSSIBLE, 0) > reading.steps_seen / 2 and np.isfinite(rates).any():
        rate = float(np.nanmedian(rates))
        found.append(f"the log prints {rate:,.0f} TFLOP/s a GPU, more than the peak of the scenario's {said.name}")
    tokens = _tokens_per_step(reading, summary, said)
    if tokens and said.tokens_per_step and _differs(tokens, said.tokens_per_step, OTHER_TOKENS_FRAC):
        found.append(f"the log has {tokens:,.0f} tokens a step, the scenario {said.tokens_per_step:,.0f}")
    return tuple(found)


def _tokens_per_step(reading: Reading, summary: RunSummary, said: ScenarioFacts) -> float | None:
    """Return the tokens of a step that the log tells: by batch and length, or by rate and time that are its own."""
    batch = summary.global_batch or reading.facts.get("global_batch")
    if batch:
        return batch * reading.facts.get("seq_len", said.seq_len)
    gpus = reading.facts.get("gpus") or said.gpus
    printed = reading.records.has("tokens_per_s_per_gpu")
    if summary.derived or not printed or gpus is None or summary.step_s is None or not summary.tokens_per_s_per_gpu:
        return None
    return summary.tokens_per_s_per_gpu.median * summary.step_s.median * gpus


def _differs(one: float, other: float, most_frac: float) -> bool:
    return abs(one / other - 1.0) > most_frac


def _billions(count: float) -> str:
    return f"{count / 1e9:,.3g} B"
