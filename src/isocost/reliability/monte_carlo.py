"""Monte Carlo of whole runs: the same process as the closed forms, with its spread.

All runs advance together, some stops a round: the time to the next stop, what it loses, whether the run is done first.
Handling does not move the running clock, so its times are drawn afterwards, for all stops of a cause in one go.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocost.errors import InputError, Problem
from isocost.num import Num
from isocost.reliability import closed_form as engine
from isocost.reliability.buckets import BUCKETS
from isocost.reliability.inputs import Cause, GoodputInputs

Row = NDArray[np.float64]
_MOST_STOPS = 2_000_000  # of one run, closed form: more never ends in practice
_STOPS_AT_ONCE = 32
QUANTILES = (0.05, 0.10, 0.50, 0.90, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulated:
    """Wall clock, buckets and counts of every simulated run."""

    runs: int
    columns: Mapping[str, Row]  # wall_s, goodput, effective_frac, interruptions, planned_stops and every bucket

    def quantile(self, name: str, share: float) -> float:
        """Return the value of a column that the given share of the runs does not exceed."""
        return float(np.quantile(self.columns[name], share))

    def quantiles(self, shares: Sequence[float] = QUANTILES) -> dict[str, dict[float, float]]:
        """Return the quantiles of every column."""
        return {
            name: dict(zip(shares, np.quantile(column, shares).tolist(), strict=True))
            for name, column in self.columns.items()
        }

    def mean(self, name: str) -> float:
        """Return the mean of a column."""
        return float(self.columns[name].mean())

    def share_within(self, wall_s: float) -> float:
        """Return the share of runs that take at most so long: the chance to meet a deadline."""
        return float(np.mean(self.columns["wall_s"] <= wall_s))


def simulate(run: GoodputInputs, runs: int = 10_000, seed: int = 0) -> Simulated:
    """Simulate ``runs`` runs; inputs that are arrays must have one value a run."""
    wide = _broadcast(run, runs)
    rng = np.random.default_rng(seed)
    stop = engine.stops(wide)
    steps_s, per_s = _row(engine.running_s(wide)), _row(stop.per_s)
    shape = _Cycle.of(wide, steps_s)
    clock, kinds = _advance(shape, stop, rng)
    begun_s = _row(wide.restart_s + wide.reload_s)
    exposed_s = begun_s + _row(wide.warm_up_s)
    halted = kinds.sum(axis=0)
    failed = _failed_starts(halted, per_s, exposed_s, rng)
    starts_s, warm_s = _time_of_starts(halted, failed, per_s, begun_s, exposed_s, rng)
    handled, announced = _handling(wide, kinds, failed, rng)
    service_s = clock + starts_s + warm_s + sum(handled.values(), start=np.zeros(runs))
    buckets = {
        **_known(wide, service_s),
        **handled,
        "checkpoint_stall_s": shape.total_s - steps_s,
        "lost_work_s": clock - shape.total_s,
        "restart_s": starts_s,
        "warm_up_s": warm_s,
        "rollback_s": _beside(service_s * wide.rollbacks_per_s, wide.rollback_s, rng),
        "facility_s": _beside(service_s * wide.outages_per_s, wide.outage_s, rng),
    }
    wall_s = sum((buckets[name] for name in BUCKETS), start=np.zeros(runs))
    kept_s = sum((buckets[name] for name in ("useful_s", "straggler_s", "throttle_s", "data_stall_s")), np.zeros(runs))
    columns: dict[str, Row] = {
        "wall_s": wall_s,
        "goodput": wide.compute_s / wall_s,
        "effective_frac": kept_s / (wall_s - wide.bring_up_s),
        "interruptions": _row(halted + failed - announced),
        "planned_stops": _row(announced),
        **{name: buckets[name] for name in BUCKETS},
    }
    return Simulated(runs=runs, columns=columns)


def _row(value: object) -> Row:
    return np.asarray(value, dtype=np.float64)


def _known(run: GoodputInputs, service_s: Row) -> dict[str, Row]:
    """Return the buckets that chance does not move, or moves only through the time in service."""
    throttle_s = run.compute_s * run.throttle_excess
    straggler_s = (run.compute_s + throttle_s) * run.straggler_excess
    slow_s = run.compute_s + throttle_s + straggler_s
    stall_s = slow_s * run.data_stall_excess
    return {
        "useful_s": _row(run.compute_s),
        "bring_up_s": _row(run.bring_up_s),
        "start_up_s": _row(run.start_up_s),
        "data_stall_s": _row(stall_s),
        "straggler_s": _row(straggler_s),
        "throttle_s": _row(throttle_s),
        "maintenance_s": _row(service_s * run.maintenance_per_s * run.maintenance_s),
        "evaluation_s": _row((slow_s + stall_s) * run.evaluation_excess),
    }


def _broadcast(run: GoodputInputs, runs: int) -> GoodputInputs:
    """Return the inputs with one value a run in every field that may vary."""
    problems: list[Problem] = []
    if isinstance(runs, bool) or not isinstance(runs, int) or not 1 <= runs <= 10_000_000:
        raise InputError([Problem("runs", "is not a number of runs", runs, "1 to 10,000,000")])

    def wide(value: object, path: str) -> Row:
        try:
            return np.broadcast_to(np.asarray(value, dtype=np.float64), (runs,))
        except ValueError:
            problems.append(
                Problem(path, f"has shape {np.asarray(value).shape}", allowed=f"a number, or {runs:,} of them")
            )
            return np.ones(runs)

    def widened(record: GoodputInputs | Cause, path: str) -> dict[str, Row]:
        names = (field.name for field in dataclasses.fields(record))
        kept = ("name", "causes")
        return {
            name: wide(getattr(record, name), f"{path}.{name}")
            for name in names
            if name not in kept and not name.endswith("_sigma")
        }

    causes = tuple(
        dataclasses.replace(cause, **widened(cause, f"goodput.causes ({cause.name})"))  # type: ignore[arg-type]
        for cause in run.causes
    )
    fields = widened(run, "goodput")
    if problems:
        raise InputError(problems)
    result = dataclasses.replace(run, causes=causes, **fields)  # type: ignore[arg-type]
    most = float(np.max(engine.goodput(result).interruptions))
    if not most < _MOST_STOPS:
        message = f"expects {most:,.0f} stops: the run does not end"
        raise InputError([Problem("goodput", message, fix="save more often, or on fewer nodes, or lower the rates")])
    return result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Cycle:
    """The running clock in cycles: steps, memory saves and one save to storage."""

    cycle_s: Row
    memory_cycle_s: Row  # steps and one memory save; 0 where there is no such tier
    persist_s: Row
    total_s: Row  # the running clock that the whole run needs when nothing fails

    @classmethod
    def of(cls, run: GoodputInputs, steps_s: Row) -> _Cycle:
        has = np.asarray(run.memory_interval_s) > 0
        interval_s = np.where(has, run.memory_interval_s, run.interval_s)
        save_s = np.where(has, run.memory_save_s, 0.0)
        blocked_s = run.save_s + np.maximum(0.0, run.persist_s - run.interval_s)
        cycle_s = run.interval_s * (1.0 + save_s / interval_s) + blocked_s
        return cls(
            cycle_s=cycle_s,
            memory_cycle_s=np.where(has, interval_s + save_s, 0.0),
            persist_s=np.asarray(run.persist_s, dtype=np.float64),
            total_s=steps_s * cycle_s / run.interval_s,
        )


def _advance(shape: _Cycle, stop: engine.Stops, rng: np.random.Generator) -> tuple[Row, NDArray[np.int64]]:
    """Return the running clock of every run, and its stops by kind: back to storage, back to memory, saved first."""
    if np.any(shape.memory_cycle_s > 0):
        return _advance_tiered(shape, stop, rng)
    clock, lost = _advance_plain(shape, _row(stop.lost_per_s + stop.memory_per_s), rng)
    # Stops that were saved before lose nothing: they do not move the clock, and are counted on it.
    saved = rng.poisson(np.broadcast_to(stop.saved_per_s, clock.shape) * clock)
    return clock, np.stack([lost, np.zeros_like(lost), saved])


def _advance_plain(shape: _Cycle, lost_per_s: Row, rng: np.random.Generator) -> tuple[Row, NDArray[np.int64]]:
    """Return the running clock and the stops of every run where all go back to storage, many stops at a time.

    Each stretch between stops keeps whole cycles whatever came before, so that where it begins is a sum. Runs that end
    leave the arrays, so that the slowest tenth does not cost ten times its share.
    """
    runs = shape.total_s.size
    clock, lost = np.zeros(runs), np.zeros(runs, dtype=np.int64)
    alive = np.arange(runs)
    columns = [shape.cycle_s, shape.persist_s, shape.total_s, 1.0 / np.maximum(lost_per_s, 1e-300), np.zeros(runs)]
    while alive.size:
        cycle, persist, total, mean, done = columns
        ran = rng.standard_exponential((_STOPS_AT_ONCE, alive.size)) * mean
        kept = np.floor(np.maximum(ran - persist, 0.0) / cycle) * cycle
        after = done + np.cumsum(kept, axis=0)
        left = total - (after - kept)  # at the beginning of each stretch
        ends = ran >= left
        over = ends.any(axis=0)
        whole = np.where(over, ends.argmax(axis=0), _STOPS_AT_ONCE)  # stretches before the last one
        stopped = np.arange(_STOPS_AT_ONCE)[:, None] < whole
        clock[alive] += np.where(stopped, ran, 0.0).sum(axis=0)
        clock[alive[over]] += left[whole[over], over.nonzero()[0]]
        lost[alive] += whole
        columns[4] = after[-1]
        alive = alive[~over]
        columns = [column[~over] for column in columns]
    return clock, lost


def _advance_tiered(shape: _Cycle, stop: engine.Stops, rng: np.random.Generator) -> tuple[Row, NDArray[np.int64]]:
    """Return the running clock and the stops of every run, a stop a round: what one loses depends on those before.

    ``done`` is the clock position of the newest save in storage, ``ahead`` what is kept beyond it. Runs that end leave
    the arrays, so that the slowest tenth does not cost ten times its share.
    """
    runs = shape.total_s.size
    clock = np.zeros(runs)
    kinds = np.zeros((3, runs), dtype=np.int64)
    safe_rate = np.maximum(stop.per_s, 1e-300)
    alive = np.arange(runs)
    columns = [
        shape.cycle_s,
        shape.memory_cycle_s,
        shape.persist_s,
        shape.total_s,
        1.0 / safe_rate,
        stop.lost_per_s / safe_rate,
        (stop.lost_per_s + stop.memory_per_s) / safe_rate,
        np.zeros(runs),
        np.zeros(runs),
    ]
    while alive.size:
        cycle, memory, persist, total, mean, lost_to, memory_to, done, ahead = columns
        ran = rng.standard_exponential(alive.size) * mean
        reached = ahead + ran
        ends = done + reached >= total
        clock[alive] += np.where(ends, total - done - ahead, ran)
        draw = rng.random(alive.size)
        kind = (draw >= lost_to).astype(np.int64) + (draw >= memory_to)
        saves = np.floor(np.maximum(reached - np.where(kind == 0, persist, 0.0), 0.0) / cycle)
        beyond = np.where(kind == 2, reached - saves * cycle, 0.0)
        whole = np.where(memory > 0, memory, 1.0)
        beyond = np.where(kind == 1, np.floor((reached - saves * cycle) / whole) * whole, beyond)
        columns[7], columns[8] = done + saves * cycle, beyond
        kinds[kind[~ends], alive[~ends]] += 1
        if ends.any():
            alive = alive[~ends]
            columns = [column[~ends] for column in columns]
    return clock, kinds


def _failed_starts(
    halted: NDArray[np.int64], per_s: Row, exposed_s: Row, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return how many starts fail before the job runs: geometric for each stop, negative binomial for all of a run."""
    success = np.exp(-per_s * exposed_s)
    failed = rng.negative_binomial(np.maximum(halted, 1), success)
    return np.where(halted > 0, failed, 0)


def _time_of_starts(
    halted: NDArray[np.int64],
    failed: NDArray[np.int64],
    per_s: Row,
    begun_s: Row,
    exposed_s: Row,
    rng: np.random.Generator,
) -> tuple[Row, Row]:
    """Return time in restart and reload, and time in warm-up: whole for starts that succeed, cut for others."""
    owner = np.repeat(np.arange(halted.size), failed)
    rate, limit = per_s[owner], exposed_s[owner]
    cut = -np.log1p(rng.random(owner.size) * np.expm1(-rate * limit)) / np.maximum(rate, 1e-300)
    in_start = np.minimum(cut, begun_s[owner])
    size = halted.size
    starts = halted * begun_s + np.bincount(owner, in_start, size)
    warm = halted * (exposed_s - begun_s) + np.bincount(owner, cut - in_start, size)
    return starts, warm


def _handling(
    run: GoodputInputs, kinds: NDArray[np.int64], failed: NDArray[np.int64], rng: np.random.Generator
) -> tuple[dict[str, Row], NDArray[np.int64]]:
    """Return the time in detection, diagnosis and queue, and the number of announced stops, failed starts with them."""
    runs = failed.size
    parts = {name: np.zeros(runs) for name in ("detection_s", "diagnosis_s", "queue_s")}
    announced = kinds[2].copy()
    if not run.causes:
        return parts, announced
    rates = np.stack([np.asarray(engine.cause_rate(run, cause)) for cause in run.causes])
    memory = np.stack([np.asarray(engine.memory_frac(run, cause)) for cause in run.causes])
    saved = np.stack([np.asarray(cause.saved_frac) for cause in run.causes])
    weights = (rates * np.maximum(1.0 - memory - saved, 0.0), rates * memory, rates * saved, rates)
    counts = np.zeros((len(run.causes), runs), dtype=np.int64)
    for number, weight in zip((*kinds, failed), weights, strict=True):
        counts += _divided(number, weight, rng)
    announced += rng.binomial(failed, (rates * saved).sum(axis=0) / np.maximum(rates.sum(axis=0), 1e-300))
    for cause, count in zip(run.causes, counts, strict=True):
        by_hand = rng.binomial(count, cause.by_hand_frac)
        parts["detection_s"] += _sum_of_draws(count, np.asarray(cause.detect_s), run.detect_sigma, rng)
        parts["diagnosis_s"] += _sum_of_draws(count - by_hand, np.asarray(cause.diagnose_s), run.diagnose_sigma, rng)
        parts["diagnosis_s"] += _sum_of_draws(by_hand, np.asarray(cause.by_hand_s), run.by_hand_sigma, rng)
        parts["queue_s"] += _sum_of_draws(count, np.asarray(cause.queue_s), run.queue_sigma, rng)
    return parts, announced


def _divided(number: NDArray[np.int64], weight: Row, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return how a number of stops per run falls on the causes, one binomial after another."""
    left = number.copy()
    remaining = weight.sum(axis=0)
    counts = np.zeros(weight.shape, dtype=np.int64)
    for place, part in enumerate(weight):
        share = np.clip(part / np.where(remaining > 0, remaining, 1.0), 0.0, 1.0)
        # Rounding must not leave stops to causes that cannot have caused them: the last with any weight takes the rest.
        last = ~(weight[place + 1 :] > 0).any(axis=0) & (part > 0)
        counts[place] = np.where(last, left, rng.binomial(left, share))
        left = left - counts[place]
        remaining = remaining - part
    return counts


def _sum_of_draws(count: NDArray[np.int64], mean: Row, sigma: float, rng: np.random.Generator) -> Row:
    """Return the sum of ``count`` log-normal draws of a mean, per run."""
    if sigma == 0 or not mean.any():
        return count * mean
    some = count > 0
    if not some.any():
        return np.zeros(count.size)
    draws = rng.standard_normal(int(count.sum()), dtype=np.float32)
    draws *= np.float32(sigma)
    np.exp(draws, out=draws)
    total = np.zeros(count.size)
    firsts = (np.cumsum(count) - count)[some]
    total[some] = np.add.reduceat(draws, firsts, dtype=np.float64)
    return total * mean * math.exp(-sigma * sigma / 2.0)


def _beside(expected: Num, mean_s: Num, rng: np.random.Generator) -> Row:
    """Return the time of a Poisson number of events of exponential length, per run."""
    number = rng.poisson(expected)
    return np.where(number > 0, rng.standard_gamma(np.maximum(number, 1)) * mean_s, 0.0)
