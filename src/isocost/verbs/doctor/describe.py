"""Everything that is to be said of one change: time, memory, what it saves, what trying it costs, risk and evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from isocost.laws.memory import FIT_SIGMA, fits_probability
from isocost.perf.case import generation
from isocost.perf.site import NINETY
from isocost.units import DAY_S
from isocost.verbs.doctor.neighbourhood import LAYOUT, Neighbourhood
from isocost.verbs.doctor.pairs import SEVERAL, pair_figures, tested_as, widening
from isocost.verbs.doctor.run import CLIFF_FRAC, DATA_PATH, SLOW_RANK, Calibrated, ExaminedRun
from isocost.verbs.doctor.switches import left_open
from isocost.verbs.doctor.trial import NOISE_FRAC, Trial, outcome, trial_of

# A change that adds less to the best combination is left out of it; one that changes the numerics, if below the noise.
WORTH_FRAC: Final = 0.005

LOW, MEDIUM, HIGH = "low", "medium", "high"
EFFORT: Final[Mapping[str, str]] = {
    "fabric": HIGH,
    SLOW_RANK: MEDIUM,
    DATA_PATH: MEDIUM,
    "precision": MEDIUM,
    "tp_overlap": MEDIUM,
    "attention_kernel": MEDIUM,
    "norm_kernel": MEDIUM,
    "pp": MEDIUM,
    "schedule": MEDIUM,
}
# Risk of a change, from the worst: what the run learns, how it counts, or nothing but the order of sums.
SEMANTICS, NUMERICS, NONE = "semantics", "numerics", "none"
RISK: Final[Mapping[str, tuple[str, str]]] = {
    "global_batch": (
        SEMANTICS,
        "fewer and larger steps: set the learning rate again; more tokens for the same loss are counted in",
    ),
    "precision": (NUMERICS, "matrix products in fewer bits: compare losses first"),
    "gradient_precision": (NUMERICS, "gradients are summed in 16 bit"),
}
SAME: Final = (NONE, "the same up to the order of sums")


def worth_frac(lever: str) -> float:
    """Gain below which a change is not worth having in a combination."""
    return NOISE_FRAC if lever in RISK else WORTH_FRAC


@dataclass(frozen=True, slots=True, kw_only=True)
class Prescription:
    """One set of changes and what it is worth."""

    levers: tuple[str, ...]
    changes: Mapping[str, tuple[str, str]]  # key: (as run, here)
    step_s: float
    mfu: float  # over the peak of the run's precision
    mfu_low: float  # 90 % interval
    mfu_high: float
    gain_frac: float  # of the speed at which the run gets ahead, minus 1
    gain_probability: float  # that it is a gain above the noise
    peak_bytes: float
    memory_frac: float
    fits_probability: float
    fits: bool
    cliff: bool
    days_saved: float  # on the tokens left, as predicted
    usd_saved: float | None
    expected_days_saved: float  # kept only if a trial proves it
    expected_usd_saved: float | None
    trial: Trial | None  # None: the run's own machines cannot try it
    value_days: float | None  # expected saving less the trial
    value_usd: float | None
    effort: str
    risk: str
    risk_note: str
    evidence: str
    pairs: Mapping[str, int]  # of measured runs that differ in one of its levers only, by lever

    @property
    def rank_days(self) -> float:
        """What prescriptions are ranked by."""
        return self.expected_days_saved if self.value_days is None else self.value_days


class Describer:
    """Describes combinations of a neighborhood."""

    def __init__(
        self,
        run: ExaminedRun,
        calibrated: Calibrated,
        near: Neighbourhood,
        tokens_left: float,
        step_noise_frac: float | None,
    ) -> None:
        self.run, self.calibrated, self.near, self.step_noise_frac = run, calibrated, near, step_noise_frac
        self.before = near.time(0, near.own)
        steps = tokens_left / (run.case.global_batch_seqs * run.case.seq_len)
        self.days_left = run.measured_s * steps / DAY_S

    def described(self, variant: int, layout: int, levers: tuple[str, ...]) -> Prescription:
        """Return one combination with everything that is to be said of it."""
        run, here, changes = self.run, self.near.variants[variant], self.changes(variant, layout)
        names = {lever: tested_as(lever, changes[lever][1]) if lever in changes else lever for lever in levers}
        step_s, peak_bytes = float(here.step_s[layout]), float(here.peak_bytes[layout])
        ratio = step_s * here.per_step / run.measured_s
        sd = self._sd(variant, layout, tuple(names.values()))
        fits = 1.0 if peak_bytes <= run.peak_bytes else self._fits_probability(peak_bytes)
        found = outcome(ratio=ratio, sd=sd, fits_probability=fits)
        effort = next((word for word in (HIGH, MEDIUM) if word in {EFFORT.get(name, LOW) for name in levers}), LOW)
        price = None if "fabric" in levers else run.option.median_usd_per_s  # nobody says what it adds to the rent
        trial = trial_of(
            effort, step_s=step_s, gpus=run.case.gpus, usd_per_gpu_s=price, step_noise_frac=self.step_noise_frac
        )
        usd_per_day = None if price is None else price * run.case.gpus * DAY_S
        saved, expected = (self.days_left * frac for frac in (1.0 - ratio, found.saved_frac))
        value = None if trial is None else expected - trial.days
        same_batch = ratio * run.measured_s / self._more_tokens(variant)
        risk, note = _risk(levers)
        return Prescription(
            levers=levers,
            changes=changes,
            step_s=step_s,
            mfu=run.mfu_at(same_batch),
            mfu_low=run.mfu_at(same_batch * math.exp(NINETY * sd)),
            mfu_high=run.mfu_at(same_batch * math.exp(-NINETY * sd)),
            gain_frac=1.0 / ratio - 1.0,
            gain_probability=found.gain_probability,
            peak_bytes=peak_bytes,
            memory_frac=peak_bytes / run.capacity_bytes,
            fits_probability=fits,
            fits=peak_bytes <= run.ceiling_bytes,
            cliff=peak_bytes > CLIFF_FRAC * run.capacity_bytes,
            days_saved=saved,
            usd_saved=_times(saved, usd_per_day),
            expected_days_saved=expected,
            expected_usd_saved=_times(expected, usd_per_day),
            trial=trial,
            value_days=value,
            value_usd=_times(value, usd_per_day),
            effort=effort,
            risk=risk,
            risk_note=note,
            evidence=_evidence(tuple(names.values()), generation(run.case.accelerator)),
            pairs={lever: pair_figures()[name].pairs if name in pair_figures() else 0 for lever, name in names.items()},
        )

    def changes(self, variant: int, layout: int) -> dict[str, tuple[str, str]]:
        """Return what differs from the run, by key of a scenario: as run, here."""
        before, after = self.near.layouts.row(self.near.own), self.near.layouts.row(layout)
        names = dict.fromkeys(name for columns in LAYOUT.values() for name in columns)
        pairs = {name: (str(getattr(before, name)), str(getattr(after, name))) for name in names}
        moved = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
        return moved | self.near.variants[variant].changes

    def _sd(self, variant: int, layout: int, names: tuple[str, ...]) -> float:
        """Spread of the log of the new step time, as wide as pairs of measured runs ask for."""
        here, first = self.near.variants[variant], self.near.variants[0]
        unsure = left_open(self.run.case, here.tables.case, first.constants, here.constants)
        sd = self.calibrated.gain_sd(self.before, self.near.time(variant, layout), unsure)
        # The pairs were measured with the noise that a trial averages out.
        wide = widening(names) * math.hypot(sd, NOISE_FRAC)
        return math.sqrt(max(wide**2 - NOISE_FRAC**2, 0.0))

    def _fits_probability(self, peak_bytes: float) -> float:
        capacity = self.run.capacity_bytes
        return float(fits_probability(total_bytes=peak_bytes, capacity_bytes=capacity, sigma=FIT_SIGMA))

    def _more_tokens(self, variant: int) -> float:
        return math.prod(option.tokens_frac for option in self.near.variants[variant].chosen)


def _times(days: float | None, usd_per_day: float | None) -> float | None:
    return None if days is None or usd_per_day is None else days * usd_per_day


def _risk(levers: tuple[str, ...]) -> tuple[str, str]:
    """Return the worst risk of the changes, and what each that has one does."""
    found = [RISK[name] for name in levers if name in RISK]
    worst = next((word for word in (SEMANTICS, NUMERICS) if word in {risk for risk, _ in found}), NONE)
    return worst, "; ".join(note for _, note in found) or SAME[1]


def _evidence(names: tuple[str, ...], chip: str) -> str:
    """On how many pairs of measured runs such a change was tested, and for what of it there is none."""
    known = pair_figures()
    tested = [name for name in names if name in known]
    said = [f"{name}: measured in this run" for name in names if name in (DATA_PATH, SLOW_RANK)]
    if len(names) > 1 or tested:
        row, what = (known[SEVERAL], "several levers") if len(names) > 1 else (known[names[0]], f"{names[0]} only")
        said.append(f"{row.pairs:,} pairs of runs differ in {what}, median error {row.median_error_frac:.1%}")
    if without := [name for name in names if name not in known and name not in (DATA_PATH, SLOW_RANK)]:
        said.append(f"no pair of runs for {', '.join(without)}")
    if elsewhere := [name for name in tested if chip not in known[name].generations]:
        said.append(f"none on {chip} for {', '.join(elsewhere)}")
    return "; ".join(said)
