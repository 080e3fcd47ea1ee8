"""Words and tables of the doctor's answer: changes as a person would ask for them, levers, trials, the waterfall."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from isocost.render.document import Column, Table
from isocost.verbs.doctor.describe import Prescription
from isocost.verbs.doctor.run import DATA_PATH, SLOW_RANK, Drop
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
