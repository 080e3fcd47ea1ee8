"""Run the examples of docs/goodput.md and judge every published case, and write both into the page.

make pages
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
from pathlib import Path

from pages.goodput_cases import CaseResult, check_cases

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "goodput.md"
EXAMPLE = re.compile(r"```python\n(?P<code>.*?)```\n\n```text\n.*?```", re.DOTALL)
_CASES = re.compile(r"(?<=<!-- cases:begin -->\n).*?(?=<!-- cases:end -->)", re.DOTALL)


def with_output(text: str) -> str:
    """Return a page with what its examples print; each sees the names of those before it."""
    names: dict[str, object] = {}

    def ran(match: re.Match[str]) -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(match["code"], "example", "exec"), names)
        return f"```python\n{match['code']}```\n\n```text\n{out.getvalue()}```"

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return EXAMPLE.sub(ran, text)


def cases() -> str:
    """Return the table of published cases."""
    head = ["| case | kind | metric | published | predicted | verdict |", "|---|---|---|---|---|---|"]
    rows = [_row(result) for result in check_cases(ROOT / "evidence" / "goodput_cases.csv")]
    return "\n" + "\n".join([*head, *rows]) + "\n\n"


def _row(result: CaseResult) -> str:
    low, high = (f"{x:,.4g}" for x in result.published)
    published = low if low == high else f"{low} to {high}"
    predicted = ""
    if result.predicted is not None:
        p10, p50, p90 = (f"{x:,.4g}" for x in result.predicted)
        predicted = p50 if p10 == p90 else f"{p50} ({p10} to {p90})"
    verdict = f"{result.verdict}: {result.reason}" if result.verdict == "explained" else result.verdict
    return f"| `{result.case_id}` | {result.kind} | {result.metric} | {published} | {predicted} | {verdict} |"


def page(text: str) -> str:
    """Return the page with the output of its examples and the table of cases."""
    return _CASES.sub(lambda _: cases(), with_output(text))


if __name__ == "__main__":
    os.environ.setdefault("NO_COLOR", "1")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
