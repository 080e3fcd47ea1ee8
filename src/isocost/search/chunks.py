"""Memory and step time of all layouts of an option, in chunks that fit the cache, on a few threads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from isocost.search.evaluator import Floats, Tables

# Rows a call of the laws: fewer leave the interpreter more to do between them, more leave the cache.
# Best of 2k to 64k as measured; see benchmarks/search_speed.py.
CHUNK = 16_384
# glibc returns freed blocks to the system and maps them anew, page by page, above a threshold of 128 KiB, which it
# raises to the largest block that was freed (at most 32 MiB). Without that, half of the time of a search goes there.
KEPT_BYTES = 30 * 2**20
# numpy releases the interpreter in its loops; beyond a few threads the calls between them are the limit.
MOST_THREADS = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluated:
    """Peak and step of every layout of one option at one precision; ``step_s`` is nan where it was not evaluated."""

    tables: Tables
    peak_bytes: Floats
    step_s: Floats

    @property
    def timed(self) -> int:
        """Layouts with both memory and step time."""
        return int(np.count_nonzero(~np.isnan(self.step_s)))


def evaluate(tables: Sequence[Tables], ceiling_bytes: Sequence[float], chunk: int = CHUNK) -> list[Evaluated]:
    """Evaluate all layouts of all tables: memory of each, step time of those whose peak is within the ceiling."""
    _keep_freed_blocks()
    results = [
        Evaluated(tables=t, peak_bytes=np.empty(len(t.layouts)), step_s=np.full(len(t.layouts), np.nan)) for t in tables
    ]
    work = [
        (result, ceiling, slice(start, min(start + chunk, len(result.peak_bytes))))
        for result, ceiling in zip(results, ceiling_bytes, strict=True)
        for start in range(0, len(result.peak_bytes), chunk)
    ]
    threads = min(os.cpu_count() or 1, MOST_THREADS, len(work))
    if threads <= 1:
        for item in work:
            _fill(item)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(_fill, work))
    for result in results:
        result.peak_bytes.flags.writeable = False
        result.step_s.flags.writeable = False
    return results


def _keep_freed_blocks() -> None:
    """Let the allocator keep the columns that the laws free, by freeing a large one that was never touched."""
    np.empty(KEPT_BYTES, np.uint8)


def _fill(item: tuple[Evaluated, float, slice]) -> None:
    """Evaluate one chunk in place."""
    result, ceiling, rows = item
    peak = result.tables.memory(rows).total
    result.peak_bytes[rows] = peak
    within = np.asarray(peak <= ceiling)
    if within.all():
        result.step_s[rows] = result.tables.time(rows).total_s
    elif within.any():
        index = rows.start + np.flatnonzero(within)
        result.step_s[index] = result.tables.time(index).total_s
