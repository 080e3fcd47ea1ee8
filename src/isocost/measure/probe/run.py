"""Train a few real architectures for some steps on one GPU and write rows in the isocost evidence format.

    python -m isocost.measure.probe --out my_runs.csv

See docs/probe.md.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from isocost.measure.probe.plan import QUICK_MODELS, SHAPES, TINY_SHAPES, Case, plan
from isocost.measure.probe.rows import Measurement, ProbeError, Recorder, Site, evidence_row, guess_accelerator, row_id

WARMUP = 3  # the first step allocates and compiles, the second still fills caches
STEPS = 10
QUICK_STEPS = 5
MOST_STEPS = 10_000
LIST_MEMORY_GB = 80.0
CPU_MEMORY_BYTES = 2e9  # bound on the states of a model on the CPU, where only the tiny ones make sense
OUT_OF_MEMORY = re.compile(r"(CUDA|HIP)( error:)? out of memory|not enough memory|can't allocate memory")
FAILED_LENGTH = 500  # of an error kept in the side file


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for, checked."""

    out: Path
    models: tuple[str, ...]  # empty: those that suit the device
    device: str
    quick: bool
    resume: bool
    accelerator: str
    source: str
    attention: str
    budget_s: float
    steps: int
    listed: bool
    list_memory_bytes: float


def main(argv: list[str] | None = None) -> int:
    """Run the probe; 0 if at least one row is in the file, 2 for a mistake in the call."""
    try:
        options = parse(argv)
        if options.listed:
            return _list(options)
        return _run(options)
    except (ProbeError, OSError) as error:  # a file that cannot be written, a disk that is full
        print(f"probe: {error}", file=sys.stderr)
        return 2


def parse(argv: list[str] | None) -> Options:
    """Options from the command line; ProbeError says what is wrong."""
    given = _parser().parse_args(argv)
    models = tuple(dict.fromkeys(name.strip() for name in (given.models or "").split(",") if name.strip()))
    if given.models is not None and not models:
        raise ProbeError("--models is empty; name some, or leave it out")
    for name in models:
        if name not in SHAPES | TINY_SHAPES:
            near = get_close_matches(name, [*SHAPES, *TINY_SHAPES], n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join([*SHAPES, *TINY_SHAPES])}"
            raise ProbeError(f"no model {name!r}; {hint}")
    for flag, value in (("--budget-seconds", given.budget_seconds), ("--memory-gb", given.memory_gb)):
        if not value > 0:
            raise ProbeError(f"{flag} is {value:g}; it must be above 0")
    if given.steps is not None and not 1 <= given.steps <= MOST_STEPS:
        raise ProbeError(f"--steps is {given.steps}; it must be from 1 to {MOST_STEPS}")
    out = Path(given.out)
    if out.suffix != ".csv":
        raise ProbeError(f"--out is {out}; its name must end in .csv, and the side file goes beside it as .json")
    if not out.parent.is_dir() or out.is_dir():
        raise ProbeError(f"--out is {out}; its folder must exist and it must be a file")
    return Options(
        out=out,
        models=models,
        device=given.device,
        quick=given.quick,
        resume=given.resume,
        accelerator=given.accelerator.strip(),
        source=given.source,
        attention=given.attention,
        budget_s=given.budget_seconds,
        steps=given.steps or (QUICK_STEPS if given.quick else STEPS),
        listed=given.list,
        list_memory_bytes=given.memory_gb * 1e9,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    add = parser.add_argument
    add("--out", default="probe.csv", help="CSV to write; a side file with the same name ends in .json")
    add("--models", help=f"comma-separated: {', '.join([*SHAPES, *TINY_SHAPES])}")
    add("--quick", action="store_true", help="three small models, few layers, few settings: some minutes")
    add("--budget-seconds", type=float, default=math.inf, help="stop after this long; rows already written stay")
    add("--resume", action="store_true", help="add to an existing file what is not in it yet")
    add("--accelerator", default="", help="catalogue name; guessed from the device name if left out")
    add("--source", default="isocost probe", help="the source column: name your site, rows of one share constants")
    add("--attention", choices=("flash", "cudnn", "unfused"), default="flash", help="kernel of attention, on a GPU")
    add("--device", choices=("auto", "cuda", "cpu"), default="auto", help="the CPU is for testing the probe")
    add("--steps", type=int, help=f"steps timed after {WARMUP} of warm-up; default {STEPS}, quick {QUICK_STEPS}")
    add("--list", action="store_true", help="print what would be measured, and stop; needs no PyTorch")
    add("--memory-gb", type=float, default=LIST_MEMORY_GB, help="memory assumed by --list")
    return parser


def models_for(options: Options, device: str) -> tuple[str, ...]:
    """Names of the models to measure: those asked for, or those that suit the device."""
    if options.models:
        return options.models
    if device == "cpu":
        return tuple(TINY_SHAPES)
    return QUICK_MODELS if options.quick else tuple(SHAPES)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that caused it, says that memory ran out. Compilers wrap it in their own."""
    seen: BaseException | None = error
    while seen is not None:
        names = {cls.__name__ for cls in type(seen).__mro__}
        if names & {"OutOfMemoryError", "MemoryError"} or OUT_OF_MEMORY.search(str(seen)):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _list(options: Options) -> int:
    device = "cpu" if options.device == "cpu" else "cuda"
    cases, skipped = plan(models_for(options, device), options.list_memory_bytes, quick=options.quick)
    for case in cases:
        print(f"{case.params / 1e9:8.3f} B  {case.name}")
    for skip in skipped:
        print(f"   skipped  {skip.name}: {skip.reason}")
    return 0


def _run(options: Options) -> int:
    try:
        import torch
    except ImportError:
        raise ProbeError("needs PyTorch 2.5 or later: pip install 'isocost[torch]'") from None
    from isocost.measure.probe import timing

    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ProbeError("PyTorch sees no CUDA or ROCm device; --device cpu tests the probe without one")
    environment = timing.environment(device)
    site = _site(options, device, environment, timing.attention_kernel(device, options.attention))
    cases, skipped = plan(
        models_for(options, device),
        timing.memory_bytes(device) or CPU_MEMORY_BYTES,
        quick=options.quick,
        no_fp8=timing.no_fp8_reason(device),
    )
    recorder = Recorder(options.out, environment | {"accelerator": site.accelerator}, resume=options.resume)
    recorder.skipped({skip.name: skip.reason for skip in skipped})
    for skip in skipped:
        print(f"skipped {skip.name}: {skip.reason}")
    end = time.monotonic() + options.budget_s
    try:
        _measure_all(cases, site, options, recorder, lambda: end - time.monotonic())
    except (KeyboardInterrupt, timing.BudgetSpentError) as stop:
        why = "interrupted" if isinstance(stop, KeyboardInterrupt) else "the time is up"
        print(f"stopped: {why}; --resume goes on from here")
    print(f"{len(recorder.done)} rows in {recorder.out}, details in {recorder.side}")
    return 0 if recorder.done else 1


def _site(options: Options, device: str, environment: dict[str, Any], kernel: str) -> Site:
    guess = guess_accelerator(environment["device"])
    if not options.accelerator and not guess.sure and device == "cuda":
        hint = f" (nearest: {guess.hint})" if guess.hint else ""
        print(f"the catalogue has no {guess.name}{hint}: pass --accelerator, or add it to a catalogue of your own")
    return Site(
        accelerator=options.accelerator or guess.name,
        source=options.source,
        year=datetime.now(UTC).year,
        torch_version=environment["torch"],
        device_type=device,
        attention_kernel=kernel,
    )


def _measure_all(
    cases: list[Case], site: Site, options: Options, recorder: Recorder, left: Callable[[], float]
) -> None:
    """Measure what is not in the file yet, one case at a time."""
    from isocost.measure.probe import timing

    for at, case in enumerate(cases, start=1):
        name = row_id(case, site)
        if name in recorder.done:
            continue
        if left() <= 0:
            raise timing.BudgetSpentError
        found = _measure_one(case, site, options, left)
        if isinstance(found, str):
            recorder.failed(name, found)
            print(f"[{at}/{len(cases)}] {case.name}: failed: {found}", flush=True)
            continue
        row = evidence_row(case, site, found)
        recorder.measured(row, {"measured_at": datetime.now(UTC).isoformat(timespec="seconds"), **asdict(found)})
        said = (
            "out of memory" if found.out_of_memory else f"{found.step_s * 1e3:.2f} ms, {row['peak_mem_gb'] or '?'} GB"
        )
        print(f"[{at}/{len(cases)}] {case.name}: {said}", flush=True)


def _measure_one(case: Case, site: Site, options: Options, left: Callable[[], float]) -> Measurement | str:
    """Return what was measured, or why nothing was; an error's traceback holds the model, so it ends with this call."""
    from isocost.measure.probe import timing

    idle = timing.device_is_idle(site.device_type)
    try:
        return timing.measure(
            case, site.device_type, attention=options.attention, warmup=WARMUP, steps=options.steps, deadline=left
        )
    except timing.BudgetSpentError:
        raise
    except Exception as error:
        if out_of_memory(error) and idle:
            return Measurement(out_of_memory=True)
        if out_of_memory(error):
            return (
                "memory ran out, but some of it was held before the case began, so it says nothing; use an idle device"
            )
        return f"{type(error).__name__}: {error}"[:FAILED_LENGTH]
