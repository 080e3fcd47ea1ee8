"""Values as JSON holds them."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def plain(value: object) -> Any:
    """Return a value as JSON can hold it: records as objects, arrays as lists, and no infinity: null is unknown."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(part) for part in value]
    if isinstance(value, (datetime.date, Path)):
        return str(value)
    if hasattr(value, "tolist"):  # an array or a scalar of numpy
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_json(values: Mapping[str, Any]) -> str:
    """Return indented JSON with a final line feed."""
    return json.dumps(plain(values), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
