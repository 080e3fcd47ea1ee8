"""Run the commands of docs/capacity.md, budget.md, doctor.md and scaling.md, and write what each prints below it.

make pages

A comment "only: TITLE" between a command and its output keeps the first line and the section of that title.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
from pathlib import Path

from isocost.cli import run

ROOT = Path(__file__).parents[2]
PAGES = tuple(ROOT / "docs" / f"{name}.md" for name in ("capacity", "budget", "doctor", "scaling"))
_BLOCK = re.compile(
    r"```sh\n(?P<command>isocost [^\n]*)\n```\n\n(?P<only><!-- only: (?P<title>[^\n]*) -->\n\n)?```text\n.*?```",
    re.DOTALL,
)
INFEASIBLE = 4  # an answer too: what cannot be done, and what would make room


def printed(command: str) -> str:
    """Return what a command prints, from the root of the project."""
    out = io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(out):
        code = run(shlex.split(command)[1:])
    if code not in (0, INFEASIBLE):
        raise SystemExit(f"{command}: exit code {code}")
    return out.getvalue().rstrip()


def _shown(match: re.Match[str]) -> str:
    command, title = match["command"], match["title"]
    text = printed(command)
    if title:
        lead, *sections = text.split("\n\n")
        text = "\n\n".join([lead, next(section for section in sections if section.startswith(title))])
    return f"```sh\n{command}\n```\n\n{match['only'] or ''}```text\n{text}\n```"


def with_output(text: str) -> str:
    """Return a page with the output of every command."""
    return _BLOCK.sub(_shown, text)


if __name__ == "__main__":
    os.environ.setdefault("NO_COLOR", "1")
    os.environ.pop("COLUMNS", None)  # of the terminal: pages have a width of their own
    for page in PAGES:
        page.write_text(with_output(page.read_text(encoding="utf-8")), encoding="utf-8")
