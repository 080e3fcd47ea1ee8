"""From all combinations around a run to what to change: single gains, the best combination, and each change's share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isocost.attribution import MAX_GROUPS, shapley
from isocost.calibrate.site import NINETY
from isocost.doctor.neighbourhood import BEYOND, LAYOUT, Neighbourhood
from isocost.doctor.run import Calibrated, MeasuredRun
from isocost.laws.memory import FIT_SIGMA, fits_probability
from isocost.memory_choices import capacity_bytes
from isocost.search.pool import fit_ceiling_bytes
from isocost.search.question import DAY_S
from isocost.search.tables import with_layout
from isocost.uncertain import certainty_of

NOISE_FRAC: Final = 0.02  # two runs of the same configuration differ by as much
# A change that adds less to the best combination is left out of it; one that changes the numerics, if below the noise.
WORTH_FRAC: Final = 0.005
CLIFF_FRAC: Final = 0.95  # of the memory: above it the allocator retries, and a step takes several times as long
MOST_MOVES: Final = MAX_GROUPS
# Kernels take so much of the step where there is little else to win.
COMPUTE_BOUND_FRAC: Final = 0.75
KERNELS: Final = ("gemm_s", "expert_s", "attention_s", "head_s")

EFFORT: Final[Mapping[str, str]] = {
    "fabric": "high", "precision": "medium", "cuda_graphs": "medium", "tp_overlap": "medium",
    "attention_kernel": "medium", "pp": "medium",
}  # fmt: skip
NUMERICS: Final[Mapping[str, str]] = {
    "precision": "changed: matrix products in fewer bits; compare losses first",
    "gradient_precision": "changed: gradients are summed in 16 bit",
    "compile": "order of sums only",
    "attention_kernel": "order of sums only",
}
SAME: Final = "same up to the order of sums"


def _worth_frac(lever: str) -> float:
    return NOISE_FRAC if NUMERICS.get(lever, SAME).startswith("changed") else WORTH_FRAC


@dataclass(frozen=True, slots=True, kw_only=True)
class Prescription:
    """One set of changes and what it is worth."""

    levers: tuple[str, ...]
    changes: Mapping[str, tuple[str, str]]  # key: (as run, here)
    step_s: float
    mfu: float  # over the peak of the run's precision
    mfu_low: float  # 90 % interval
    mfu_high: float
    gain_frac: float  # throughput over the run's, minus 1
    gain_probability: float  # that it is a gain at all
    peak_bytes: float
    memory_frac: float
    fits_probability: float
    fits: bool
    cliff: bool
    days_saved: float
    usd_saved: float | None
    effort: str
    numerics: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the doctor says of a run."""

    singles: tuple[Prescription, ...]  # the best setting of each lever alone, largest gain first
    best: Prescription | None  # on these accelerators and precision; None: nothing above the noise
    beyond: tuple[Prescription, ...]  # the best combination with lower precision or a faster network
    shares: Mapping[str, float]  # of the time saved by the best combination, seconds; they add up
    worthless_alone: tuple[str, ...]
    cliffs: tuple[str, ...]
    verdict: str  # "", nothing to gain, or already compute-bound
    evaluated: int
    tokens_left: float


class Doctor:
    """Ranks the combinations of a neighbourhood."""

    def __init__(self, run: MeasuredRun, calibrated: Calibrated, near: Neighbourhood, tokens_left: float) -> None:
        self.run, self.calibrated, self.near, self.tokens_left = run, calibrated, near, tokens_left
        self.capacity = capacity_bytes(run.case.accelerator.memory_bytes)
        # The run fits, whatever the prediction says: so does what needs no more than it.
        self.ceiling = max(fit_ceiling_bytes(self.capacity, run.question.fit_probability), run.peak_bytes)
        self.moves = {lever: near.moved(lever) for lever in LAYOUT}
        self.stays = ~np.logical_or.reduce(list(self.moves.values()))
        self.before = near.time(0, near.own)

    def findings(self) -> Findings:
        """Return what to change."""
        singles = self._singles()
        best, beyond = self._best(frozenset()), []
        for extra in BEYOND:
            found = self._best(frozenset({extra}))
            if found is not None and extra in self._levers(*found):
                beyond.append(self.described(*found))
        chosen = None if best is None else self.described(*best)
        if chosen is not None and chosen.gain_frac < NOISE_FRAC:
            chosen = None
        shares = {} if chosen is None or best is None else self._shares(*best)
        alone = {p.levers[0]: p for p in singles if p.fits}
        floor = NOISE_FRAC * self.run.measured_s
        worthless = tuple(
            lever
            for lever, share in shares.items()
            if share >= floor and (lever not in alone or alone[lever].gain_frac < NOISE_FRAC)
        )
        return Findings(
            singles=tuple(singles), best=chosen, beyond=tuple(beyond), shares=shares, worthless_alone=worthless,
            cliffs=self._cliffs(), verdict=self._verdict(chosen), evaluated=self.near.size,
            tokens_left=self.tokens_left,
        )  # fmt: skip

    def _levers(self, variant: int, layout: int) -> tuple[str, ...]:
        moved = (lever for lever in LAYOUT if self.moves[lever][layout])
        return (*moved, *self.near.variants[variant].changes)

    def _singles(self) -> list[Prescription]:
        found = []
        for lever, moved in self.moves.items():
            others = [self.moves[name] for name in LAYOUT if name != lever]
            rows = np.flatnonzero(moved & ~np.logical_or.reduce(others))
            if len(rows):
                found.append((0, self._fastest(0, rows)))
        own = self.near.own
        by_lever: dict[str, list[int]] = {}
        for number, variant in enumerate(self.near.variants):
            if len(variant.changes) == 1:
                by_lever.setdefault(next(iter(variant.changes)), []).append(number)
        for numbers in by_lever.values():
            found.append((min(numbers, key=lambda number: self.near.variants[number].step_s[own]), own))
        return sorted((self.described(*place) for place in found), key=lambda p: (not p.fits, p.step_s))

    def _fastest(self, variant: int, rows: NDArray[np.intp]) -> int:
        """The fastest of these layouts that fits; the fastest of all where none does."""
        step = self.near.variants[variant].step_s[rows]
        fits = self.near.variants[variant].peak_bytes[rows] <= self.ceiling
        return int(rows[np.argmin(np.where(fits, step, np.inf) if fits.any() else step)])

    def _best(self, beyond: frozenset[str]) -> tuple[int, int] | None:
        """The fastest combination that fits, without the changes that add next to nothing to it."""
        best: tuple[float, int, int] | None = None
        for number, variant in enumerate(self.near.variants):
            if any(name in variant.changes and name not in beyond for name in BEYOND):
                continue
            step = np.where(variant.peak_bytes <= self.ceiling, variant.step_s, np.inf)
            row = int(np.argmin(step))
            if best is None or step[row] < best[0]:
                best = (float(step[row]), number, row)
        if best is None or not math.isfinite(best[0]):
            return None
        return self._pruned(best[1], best[2])

    def _pruned(self, variant: int, layout: int) -> tuple[int, int]:
        """Take changes back, the least useful first, as long as the step stays within a small share."""
        while True:
            own = self.near.variants[variant].step_s[layout]
            levers = self._levers(variant, layout)
            back = [(name, self._place(frozenset(levers) - {name}, variant, layout)) for name in levers]
            there = [
                ((self.near.variants[place[0]].step_s[place[1]] / own - 1.0) / _worth_frac(name), *place)
                for name, place in back
                if place is not None
            ]
            loss, v, k = min(there, default=(np.inf, 0, 0))
            if loss > 1.0:
                return variant, layout
            variant, layout = v, k

    def _place(self, levers: frozenset[str], variant: int, layout: int) -> tuple[int, int] | None:
        """The combination with these of the changes only; None where it is not legal or does not fit."""
        near = self.near
        target = {
            lever: words for lever, words in near.variants[variant].changes.items() if lever in levers
        }  # fmt: skip
        number = next(n for n, other in enumerate(near.variants) if other.changes == target)
        same = np.ones(len(near.layouts), bool)
        for lever, names in LAYOUT.items():
            for name in names:
                column = near.column(name)
                same &= column == column[layout if lever in levers else near.own]
        rows = np.flatnonzero(same)
        if not len(rows) or near.variants[number].peak_bytes[rows[0]] > self.ceiling:
            return None
        return number, int(rows[0])

    def _shares(self, variant: int, layout: int) -> dict[str, float]:
        """Seconds saved by each change, averaged over every order; a change that does not fit waits until it does."""
        levers = self._levers(variant, layout)[:MOST_MOVES]
        known: dict[frozenset[str], float] = {}

        def saved_s(changed: frozenset[str]) -> float:
            if changed not in known:
                place = self._place(changed, variant, layout)
                options = [saved_s(changed - {lever}) for lever in changed]
                if place is not None:
                    options.append(self.run.measured_s - float(self.near.variants[place[0]].step_s[place[1]]))
                known[changed] = max(options) if changed else 0.0
            return known[changed]

        shares = shapley(saved_s, levers).shares
        return {lever: float(shares[lever]) for lever in sorted(levers, key=lambda name: -float(shares[name]))}

    def described(self, variant: int, layout: int) -> Prescription:
        """Return one combination with everything that is to be said of it."""
        near, run = self.near, self.run
        here = near.variants[variant]
        levers = self._levers(variant, layout)
        step, peak_bytes = float(here.step_s[layout]), float(here.peak_bytes[layout])
        saved_s = (run.measured_s - step) * self.tokens_left / (run.case.global_batch_seqs * run.case.seq_len)
        price = run.option.median_usd_per_s
        sd = self.calibrated.gain_sd(self.before, near.time(variant, layout))
        ratio = math.log(run.measured_s / step)
        case = with_layout(here.tables.case, near.layouts.row(layout))
        kept = tuple(text for text in dict.fromkeys(NUMERICS.get(name, SAME) for name in levers))
        changed = tuple(text for text in kept if text.startswith("changed"))
        effort = [EFFORT.get(name, "low") for name in levers]
        return Prescription(
            levers=levers,
            changes=self._changes(variant, layout),
            step_s=step,
            mfu=run.mfu_at(step),
            mfu_low=run.mfu_at(step * math.exp(NINETY * sd)),
            mfu_high=run.mfu_at(step * math.exp(-NINETY * sd)),
            gain_frac=run.measured_s / step - 1.0,
            gain_probability=0.5 * math.erfc(-ratio / sd / math.sqrt(2.0)) if sd > 0.0 else float(ratio > 0.0),
            peak_bytes=peak_bytes,
            memory_frac=peak_bytes / self.capacity,
            fits_probability=float(
                fits_probability(total_bytes=peak_bytes, capacity_bytes=self.capacity, sigma=FIT_SIGMA)
            ),
            fits=peak_bytes <= self.ceiling,
            cliff=peak_bytes > CLIFF_FRAC * self.capacity,
            days_saved=saved_s / DAY_S,
            usd_saved=None if price is None or "fabric" in levers else saved_s * run.case.gpus * price,
            effort=next((word for word in ("high", "medium") if word in effort), "low"),
            numerics="; ".join(changed) or SAME,
            evidence="; ".join(certainty_of(case).meaning),
        )

    def _changes(self, variant: int, layout: int) -> dict[str, tuple[str, str]]:
        before, after = self.near.layouts.row(self.near.own), self.near.layouts.row(layout)
        names = [name for columns in LAYOUT.values() for name in columns]
        moved = {name: (str(before[name]), str(after[name])) for name in names if before[name] != after[name]}
        return moved | dict(self.near.variants[variant].changes)

    def _cliffs(self) -> tuple[str, ...]:
        """Settings of one lever of the layout that would be faster and do not fit safely."""
        found = []
        own, here = self.near.own, self.near.variants[0]
        for lever, moved in self.moves.items():
            others = [self.moves[name] for name in LAYOUT if name != lever]
            rows = np.flatnonzero(moved & ~np.logical_or.reduce(others))
            for row in rows.tolist():
                full = here.peak_bytes[row] / self.capacity
                if full > CLIFF_FRAC and here.step_s[row] < here.step_s[own] and here.peak_bytes[row] > self.ceiling:
                    words = ", ".join(f"{key} {new}" for key, (_, new) in self._changes(0, row).items())
                    found.append((full, f"{words}: predicted peak {full:.0%} of the memory"))
        return tuple(text for _, text in sorted(found)[:5])

    def _verdict(self, best: Prescription | None) -> str:
        if best is not None:
            return ""
        nothing = f"nothing to gain above noise ({NOISE_FRAC:.0%}) by layout and switches"
        if math.fsum(self.calibrated.shares[name] for name in KERNELS) < COMPUTE_BOUND_FRAC:
            return nothing
        return f"{nothing}; already compute-bound: only kernels or precision help"
