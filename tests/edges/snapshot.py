"""Run the command lines that must fail, and compare or write what they say."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
SNAPSHOTS = HERE / "snapshots.json"
HUGE = "9" * 100_000


def cases() -> dict[str, list[str]]:
    """Return the command lines by name."""
    found: dict[str, list[str]] = tomllib.loads((HERE / "cases.toml").read_text(encoding="utf-8"))["case"]
    return found


def outcome(arguments: list[str]) -> dict[str, object]:
    """Return the exit code, and what was printed to standard error; today's date and temporary paths are masked."""
    from isocost.cli import run

    out, err = io.StringIO(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(HERE):
        gigabyte = os.path.join(folder, "config.json")
        if "{gigabyte}" in arguments:
            with open(gigabyte, "wb") as stream:
                stream.truncate(10**9)  # sparse: it takes no room
        filled = [part.replace("{huge}", HUGE).replace("{gigabyte}", gigabyte) for part in arguments]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(filled)
        said = err.getvalue().replace(gigabyte, "GIGABYTE").replace(datetime.date.today().isoformat(), "TODAY")
    return {"code": code, "stdout": out.getvalue(), "stderr": said.splitlines()}


if __name__ == "__main__":
    found = {name: outcome(arguments) for name, arguments in cases().items()}
    SNAPSHOTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
