"""From all combinations around a run to what to change: single gains, the best combination, and each change's share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from isocost.stats.shapley import MAX_GROUPS, shapley
from isocost.verbs.doctor.describe import Describer, Prescription, worth_frac
from isocost.verbs.doctor.neighbourhood import LAYOUT, Neighbourhood
from isocost.verbs.doctor.run import CLIFF_FRAC, Calibrated, ExaminedRun
from isocost.verbs.doctor.switches import BEYOND
from isocost.verbs.doctor.trial import NOISE_FRAC
from isocost.verbs.doctor.unpriced import Unpriced, unpriced

MOST_MOVES: Final = MAX_GROUPS
# Kernels take so much of the step where there is little else to win.
COMPUTE_BOUND_FRAC: Final = 0.75
KERNELS: Final = ("gemm_s", "expert_s", "attention_s", "head_s")
UNEXPLAINED_FRAC: Final = (
    0.1  # of the step: more is worth a look before anything else; steps are predicted to 5 to 10 %
)
SHOWN_CLIFFS: Final = 5
UNMOVED_FRAC: Final = 1e-6  # of the step: less is no effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What the doctor says of a run."""

    singles: tuple[Prescription, ...]  # the best setting of each lever alone, what is worth most to try first
    best: Prescription | None  # on these accelerators and precision; None: nothing above the noise
    beyond: tuple[Prescription, ...]  # the best combination with lower precision, another batch or a faster network
    shares: Mapping[str, float]  # of the time saved by the best combination, seconds; they add up
    worthless_alone: tuple[str, ...]
    no_effect: tuple[str, ...]  # levers that move nothing in the run's own layout
    try_first: tuple[Prescription, ...]  # worth their trial, that of most value first
    unpriced: tuple[Unpriced, ...]
    cliffs: tuple[str, ...]
    verdict: str  # "", nothing to gain, or already compute-bound
    evaluated: int
    tokens_left: float


class Doctor:
    """Ranks the combinations of a neighborhood."""

    def __init__(
        self,
        run: ExaminedRun,
        calibrated: Calibrated,
        near: Neighbourhood,
        tokens_left: float,
        step_noise_frac: float | None = None,
    ) -> None:
        self.run, self.calibrated, self.near, self.tokens_left = run, calibrated, near, tokens_left
        self.ceiling = run.ceiling_bytes
        self.moves = {lever: near.moved(lever) for lever in LAYOUT}
        self.describer = Describer(run, calibrated, near, tokens_left, step_noise_frac)

    def findings(self) -> Findings:
        """Return what to change."""
        singles, no_effect = self._singles()
        best, beyond = self._best(frozenset()), []
        for extra in BEYOND:
            found = self._best(frozenset({extra}))
            if found is not None and extra in self._levers(*found):
                beyond.append(self.described(*found))
        chosen = None if best is None else self.described(*best)
        if chosen is not None and chosen.gain_frac < NOISE_FRAC:
            chosen = None
        shares = {} if chosen is None or best is None else self._shares(*best)
        return Findings(
            singles=singles,
            best=chosen,
            beyond=tuple(beyond),
            shares=shares,
            worthless_alone=self._worthless_alone(singles, shares),
            no_effect=no_effect,
            try_first=_worth_trying(chosen, singles),
            unpriced=unpriced(self.run, self.calibrated, self.near.variants[0].constants, self.tokens_left),
            cliffs=self._cliffs(),
            verdict=self._verdict(chosen),
            evaluated=self.near.size,
            tokens_left=self.tokens_left,
        )

    def _worthless_alone(self, singles: tuple[Prescription, ...], shares: Mapping[str, float]) -> tuple[str, ...]:
        """Return the changes with a share of the gain above the noise that alone do not fit or gain nothing."""
        gains = {p.levers[0]: p.gain_frac for p in singles if p.fits}
        floor = NOISE_FRAC * self.run.measured_s
        return tuple(name for name, s in shares.items() if s >= floor and gains.get(name, 0.0) < NOISE_FRAC)

    def _levers(self, variant: int, layout: int) -> tuple[str, ...]:
        moved = (lever for lever in LAYOUT if self.moves[lever][layout])
        return (*moved, *(option.lever for option in self.near.variants[variant].chosen))

    def _singles(self) -> tuple[tuple[Prescription, ...], tuple[str, ...]]:
        """Return the best setting of each lever alone, each switch alone, and the levers that move nothing."""
        found = []
        for lever in LAYOUT:
            rows = self._alone(lever)
            if len(rows):
                found.append((0, self._fastest(0, rows)))
        own = self.near.own
        found += [(number, own) for number, variant in enumerate(self.near.variants) if len(variant.chosen) == 1]
        described = [self.described(*place) for place in found]
        moved = [p for p in described if abs(p.gain_frac) > UNMOVED_FRAC]
        idle = tuple(p.levers[0] for p in described if abs(p.gain_frac) <= UNMOVED_FRAC)
        return tuple(sorted(moved, key=lambda p: (not p.fits, -p.rank_days))), idle

    def _alone(self, lever: str) -> NDArray[np.intp]:
        """Layouts that differ from the run's in one lever only."""
        others = [moved for name, moved in self.moves.items() if name != lever]
        return np.flatnonzero(self.moves[lever] & ~np.logical_or.reduce(others))

    def _fastest(self, variant: int, rows: NDArray[np.intp]) -> int:
        """Return the fastest of these layouts that fits; the fastest of all where none does."""
        step = self.near.variants[variant].as_long_s[rows]
        fits = self.near.variants[variant].peak_bytes[rows] <= self.ceiling
        return int(rows[np.argmin(np.where(fits, step, np.inf) if fits.any() else step)])

    def _best(self, beyond: frozenset[str]) -> tuple[int, int] | None:
        """Return the fastest combination that fits, without the changes that add next to nothing to it."""
        best: tuple[float, int, int] | None = None
        for number, variant in enumerate(self.near.variants):
            if any(option.lever in BEYOND and option.lever not in beyond for option in variant.chosen):
                continue
            step = np.where(variant.peak_bytes <= self.ceiling, variant.as_long_s, np.inf)
            row = int(np.argmin(step))
            if best is None or step[row] < best[0]:
                best = (float(step[row]), number, row)
        if best is None or not math.isfinite(best[0]):
            return None
        return self._pruned(best[1], best[2])

    def _pruned(self, variant: int, layout: int) -> tuple[int, int]:
        """Take changes back, the least useful first, as long as the step stays within a small share."""
        while True:
            own = self.near.variants[variant].as_long_s[layout]
            levers = self._levers(variant, layout)
            back = [(name, self._place(frozenset(levers) - {name}, variant, layout)) for name in levers]
            there = [
                ((self.near.variants[place[0]].as_long_s[place[1]] / own - 1.0) / worth_frac(name), *place)
                for name, place in back
                if place is not None
            ]
            loss, v, k = min(there, default=(np.inf, 0, 0))
            if loss > 1.0:
                return variant, layout
            variant, layout = v, k

    def _place(self, levers: frozenset[str], variant: int, layout: int) -> tuple[int, int] | None:
        """Return the combination with these of the changes only; None where it is not legal or does not fit."""
        near = self.near
        target = {lever: words for lever, words in near.variants[variant].changes.items() if lever in levers}
        number = next((n for n, other in enumerate(near.variants) if other.changes == target), None)
        if number is None:
            return None
        changed = {name for lever, names in LAYOUT.items() if lever in levers for name in names}
        same = np.ones(len(near.layouts), bool)
        for name in {name for names in LAYOUT.values() for name in names}:
            column = near.column(name)
            same &= column == column[layout if name in changed else near.own]
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
                    options.append(self.run.measured_s - float(self.near.variants[place[0]].as_long_s[place[1]]))
                known[changed] = max(options) if changed else 0.0
            return known[changed]

        shares = shapley(saved_s, levers).shares
        return {lever: float(shares[lever]) for lever in sorted(levers, key=lambda name: -float(shares[name]))}

    def described(self, variant: int, layout: int) -> Prescription:
        """Return one combination with everything that is to be said of it."""
        return self.describer.described(variant, layout, self._levers(variant, layout))

    def _cliffs(self) -> tuple[str, ...]:
        """Return settings of one lever of the layout that would be faster and do not fit safely."""
        found = []
        own, here = self.near.own, self.near.variants[0]
        for lever in LAYOUT:
            for row in self._alone(lever).tolist():
                full = here.peak_bytes[row] / self.run.capacity_bytes
                if full > CLIFF_FRAC and here.step_s[row] < here.step_s[own] and here.peak_bytes[row] > self.ceiling:
                    words = ", ".join(f"{key} {new}" for key, (_, new) in self.describer.changes(0, row).items())
                    found.append((full, f"{words}: predicted peak {full:.0%} of the memory"))
        return tuple(text for _, text in sorted(found)[:SHOWN_CLIFFS])

    def _verdict(self, best: Prescription | None) -> str:
        if best is not None:
            return ""
        run = self.run
        nothing = f"nothing to gain above noise ({NOISE_FRAC:.0%}) by layout and switches"
        if math.fsum(float(getattr(run.time, name)) for name in KERNELS) >= COMPUTE_BOUND_FRAC * run.measured_s:
            return f"{nothing}; already compute-bound: only kernels or precision help"
        unexplained_frac = run.unexplained_s / run.measured_s
        if unexplained_frac > UNEXPLAINED_FRAC:
            return f"{nothing}; {unexplained_frac:.0%} of the step is unexplained: look there first"
        return nothing


def _worth_trying(best: Prescription | None, singles: tuple[Prescription, ...]) -> tuple[Prescription, ...]:
    """Return what saves more than its trial costs: the best combination and single changes, that of most value first.

    Where no combination gains, only what is predicted to gain by itself, such as lower precision.
    """
    tried = list(singles) if best is not None else [p for p in singles if p.fits and p.gain_frac >= NOISE_FRAC]
    found = [p for p in tried if p.value_days is not None and p.value_days > 0.0]
    if best is not None and len(best.levers) > 1:
        found.append(best)
    return tuple(sorted(found, key=lambda p: -p.rank_days))
