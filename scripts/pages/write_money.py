"""Run the Python blocks of docs/money.md, and write what each prints below it.

make pages
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "money.md"
# A block of Python, and below it what it prints: as text, or as markdown between comments.
_BLOCK = re.compile(
    r"```python\n(?P<code>.*?)```\n\n(?:```text\n.*?```|<!-- printed -->\n.*?<!-- end of printed -->)", re.DOTALL
)


def with_output(text: str) -> str:
    """Return the page with the output of every block, run in order in one namespace from the root of the project."""
    names: dict[str, Any] = {}

    def run(match: re.Match[str]) -> str:
        code, printed = match["code"], io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(PAGE), "exec"), names)
        shown = printed.getvalue().rstrip()
        below = f"```text\n{shown}\n```"
        if "<!-- printed -->" in match[0]:
            below = f"<!-- printed -->\n{shown}\n<!-- end of printed -->"
        return f"```python\n{code}```\n\n{below}"

    here = os.getcwd()
    os.chdir(ROOT)
    try:
        return _BLOCK.sub(run, text)
    finally:
        os.chdir(here)


if __name__ == "__main__":
    PAGE.write_text(with_output(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
