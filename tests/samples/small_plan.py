"""A small plan that several test files ask for: its flags, and its JSON made once."""

from __future__ import annotations

import functools
import io
import json
import sys
from typing import Any

from isocost.cli import run

SMALL = ["--model", "llama-3.1-8b", "--tokens", "100 B", "--on", "h100-sxm5-80gb", "--gpus", "64", "--seq-len", "4096"]
SMALL += ["--global-batch", "512", "--stack", "megatron-core"]


@functools.cache
def small_json() -> str:
    """Return the JSON of the small plan as printed."""
    buffer = io.StringIO()
    stdout, sys.stdout = sys.stdout, buffer
    try:
        assert run(["plan", *SMALL, "--format", "json"]) == 0
    finally:
        sys.stdout = stdout
    return buffer.getvalue()


def small_plan() -> dict[str, Any]:
    """Return the small plan as plain values, a copy for each caller."""
    values: dict[str, Any] = json.loads(small_json())
    return values
