"""An event simulation of one run, written apart from the formulas: the oracle of their tests.

The cluster process makes steps, saves and waits; the failure process interrupts it wherever a failure counts. Work is
kept as seconds of steps; a save is worth something only once it has reached storage.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy


@dataclass
class Job:
    """What a run is made of (seconds), and what came of it."""

    work_s: float
    mttf_s: float
    interval_s: float
    save_s: float
    persist_s: float
    handled_s: float  # cannot fail
    exposed_s: float  # can fail, and then starts anew after being handled
    memory_share: float = 0.0  # of the failures: go back to the memory of peers
    memory_interval_s: float = 0.0
    memory_save_s: float = 0.0
    stops: int = 0
    wall_s: float = 0.0
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def run(self) -> Job:
        """Run to the end."""
        env = simpy.Environment()
        worker = env.process(self._work(env))
        env.run(until=worker)
        self.wall_s = env.now
        return self

    def _work(self, env: simpy.Environment) -> Generator[Any, Any, None]:
        stored = remembered = 0.0  # work that storage, and the memory of peers, hold
        while True:
            at = max(stored, remembered)
            fails = env.timeout(self.rng.exponential(self.mttf_s))
            pending: list[tuple[float, float]] = []  # (when it reaches storage, work)
            failed = False
            while at < self.work_s:
                piece = self._next(at) - at
                done = env.timeout(piece)
                yield done | fails
                if fails.processed:
                    failed = True
                    break
                at += piece
                if at >= self.work_s:
                    break
                stall = 0.0
                if (
                    self.memory_interval_s
                    and abs(at / self.memory_interval_s - round(at / self.memory_interval_s)) < 1e-6
                ):
                    stall += self.memory_save_s
                to_storage = abs(at / self.interval_s - round(at / self.interval_s)) < 1e-6
                if to_storage:
                    stall += self.save_s
                if stall:
                    yield env.timeout(stall) | fails
                    if fails.processed:
                        failed = True
                        break
                if self.memory_interval_s:
                    remembered = at
                if to_storage:
                    pending.append((env.now + self.persist_s, at))
            stored = max([stored, *(work for when, work in pending if when <= env.now)])
            if not failed:
                return
            self.stops += 1
            if self.rng.random() >= self.memory_share:
                remembered = 0.0
            yield from self._recover(env)

    def _next(self, at: float) -> float:
        marks = [self.work_s, (np.floor(at / self.interval_s + 1e-9) + 1.0) * self.interval_s]
        if self.memory_interval_s:
            marks.append((np.floor(at / self.memory_interval_s + 1e-9) + 1.0) * self.memory_interval_s)
        return min(marks)

    def _recover(self, env: simpy.Environment) -> Generator[Any, Any, None]:
        while True:
            yield env.timeout(self.handled_s)
            fails = self.rng.exponential(self.mttf_s)
            yield env.timeout(min(fails, self.exposed_s))
            if fails >= self.exposed_s:
                return
            self.stops += 1
