"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path

from isocost.errors import InputError, Problem


def write_whole(path: str | Path, text: str, place: str) -> None:
    """Write a file beside its place and rename it there, so that nobody ever reads half of it.

    Args:
        path: of the file; a device or a pipe is written to as it is, "-" is standard output.
        text: all of it, in UTF-8.
        place: where the user named the file, for the problem of one that cannot be written.

    Raises:
        InputError: the file cannot be written.
    """
    if str(path) == "-":
        sys.stdout.write(text)
        return
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file() and not target.is_dir():
            target.write_text(text, encoding="utf-8")  # a device or a pipe cannot be replaced
            return
        if target.is_dir():
            raise IsADirectoryError(0, "is a directory")
        _replace(target, text)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problem = Problem(place, f"cannot be written: {reason}", str(path), fix="name a file in a folder you can write")
        raise InputError([problem]) from None


def _replace(target: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:50]}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
