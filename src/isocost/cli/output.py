"""Where a result goes: standard output, or a file that is whole or not there."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from isocost.errors import InputError, Problem, nearest
from isocost.render.file import write_whole

_BY_SUFFIX: Final = {".json": "json", ".csv": "csv", ".md": "md", ".html": "html", ".txt": "table"}
_PATIENCE_S: Final = 1.0  # before a word about progress


def chosen_format(given: str | None, output: str | None) -> str:
    """Return the format that was asked for, or the one that the name of the output file says."""
    from isocost.render.formats import FORMATS

    if given is None:
        return _BY_SUFFIX.get(Path(output).suffix.casefold(), "table") if output else "table"
    wanted = given.strip().casefold()
    if wanted not in FORMATS:
        close = nearest(wanted, FORMATS)
        raise InputError([Problem("--format", "is not a format", given, ", ".join(FORMATS), close)])
    return wanted


def emit(text: str, output: str | None, *, quiet: bool = False) -> None:
    """Write a result to standard output, or whole to a file."""
    if output in (None, "-"):
        _print(text)
        return
    write_whole(str(output), text, "-o")
    if not quiet and sys.stderr.isatty():
        print(f"isocost: wrote {output}", file=sys.stderr)


def _print(text: str) -> None:
    """Print to standard output; a reader that has gone (``| head``) ends the output quietly."""
    try:
        sys.stdout.write(bold_lead(text))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the exit does not complain either


def bold_lead(text: str) -> str:
    """Return the text with its sentence, the lines before the first gap or table, in bold on a terminal with colors."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    if text.startswith(("{", "[", "<", "|")):
        return text
    first, *rest = text.split("\n")
    while "" in rest[:-1] and rest[0] and not rest[0].startswith((" ", "-")):
        first += "\n" + rest.pop(0)
    return "\n".join([f"\033[1m{first}\033[0m", *rest])


@contextlib.contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[None]:
    """Say what is going on, on a terminal only, and only when it takes more than a second."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    said = threading.Event()

    def say() -> None:
        said.set()
        print(f"isocost: {what} ...", end="", file=sys.stderr, flush=True)

    timer = threading.Timer(_PATIENCE_S, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if said.is_set():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
