"""The command line: verbs without logic. Exit codes: 0 done; 1 a check failed; 2 the input is wrong; 3 a defect of
isocost; 4 no plan meets the question; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Final

import typer

from isocost.errors import IsocostError, NoPlanError

DONE, FAILED, WRONG_INPUT, DEFECT, INFEASIBLE, INTERRUPTED = 0, 1, 2, 3, 4, 130
_USAGE: Final[type[BaseException]] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
_DEBUG: Final = "ISOCOST_DEBUG"


def main() -> None:
    """Run the command line and leave with its exit code."""
    code = run(sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the answer is out: an interrupt may not spoil the interpreter's exit
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Return the exit code of a command line; whatever happens, no traceback."""
    for stream in (sys.stdout, sys.stderr):  # a terminal without Greek letters gets question marks, not a crash
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        from isocost.cli.app import app_for

        code = app_for(arguments)(args=list(arguments), prog_name="isocost", standalone_mode=False)
        return _left(code if isinstance(code, int) else DONE)
    except typer.Exit as leave:
        return _left(int(leave.exit_code))
    except (KeyboardInterrupt, typer.Abort):
        return _left(INTERRUPTED)
    except IsocostError as error:
        print("\n".join(f"isocost: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return INFEASIBLE if isinstance(error, NoPlanError) else WRONG_INPUT
    except _USAGE as error:
        return _usage(error)
    except SystemExit as leave:  # the reader of our output has gone
        return leave.code if isinstance(leave.code, int) else DEFECT
    except Exception as error:
        return _defect(error)


def _left(code: int) -> int:
    """Return the code, with a word where the user broke off (typer turns that into a code or an exception)."""
    if code == INTERRUPTED:
        print("isocost: interrupted", file=sys.stderr)
    return code


def _usage(error: BaseException) -> int:
    """Say in one line what is wrong with the command line."""
    message = str(getattr(error, "format_message", lambda: error)())
    context = getattr(error, "ctx", None)
    where = getattr(context, "command_path", "isocost")
    if type(error).__name__ == "NoArgsIsHelpError":  # a bare "isocost" or "isocost catalog"
        print(message, file=sys.stderr)
    else:
        print(f"isocost: {' '.join(message.split())} Try '{where} --help'.", file=sys.stderr)
    return WRONG_INPUT


def _defect(error: Exception) -> int:
    """Say in one line that isocost itself failed, and how to report it."""
    if os.environ.get(_DEBUG):
        traceback.print_exception(error)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" at {os.path.basename(frame.filename)}:{frame.lineno}" for frame in last)
    reason = " ".join(str(error).split())[:200]
    print(
        f"isocost: internal error: {type(error).__name__}: {reason}{place}; this is a defect of isocost: report this "
        f"line with your command and 'isocost --version' ({_DEBUG}=1 shows where it happened)",
        file=sys.stderr,
    )
    return DEFECT
