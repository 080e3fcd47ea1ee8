"""A user's own training runs as a CSV file: size, data or arithmetic, and final loss."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from isocost.errors import InputError, Problem, nearest
from isocost.laws.scaling import TRAIN_FLOP
from isocost.scaling.solver import PARAMETERS, Array

COLUMNS: Final = ("params", "tokens", "flop", "loss", "excluded")
_LONGEST_FILE_BYTES: Final = 64 << 20
_MOST_PROBLEMS: Final = 20  # one message stays readable
# Beyond these a cell is in another unit, or no number of a run: tokens of all text there is are 1e15.
_MOST: Final = {"params": 1e16, "tokens": 1e18, "flop": 1e32, "loss": 100.0}
_EXAMPLE: Final = "write a header such as 'params,tokens,loss', one run a row"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runs:
    """Runs to fit a law to; rows marked as excluded are counted and left out."""

    params: Array
    tokens: Array
    loss: Array
    excluded: int
    place: str


def read_runs(path: str | Path) -> Runs:
    """Return the runs of a CSV file; all problems are reported at once, with line and column."""
    place = str(path)
    try:
        if Path(path).stat().st_size > _LONGEST_FILE_BYTES:
            raise InputError([Problem(place, "is too large", allowed="64 MiB at most")])
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError([Problem(place, f"cannot be read: {error.strerror}", fix="check the path")]) from None
    except UnicodeDecodeError:
        raise InputError([Problem(place, "is not UTF-8 text", fix="save it as CSV in UTF-8")]) from None
    return _runs(text, place)


def _runs(text: str, place: str) -> Runs:
    try:
        rows = [row for row in csv.reader(io.StringIO(text), strict=True) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError([Problem(place, f"is not CSV: {error}", fix=_EXAMPLE)]) from None
    names = [name.strip().casefold() for name in rows[0]] if rows else []
    problems = _header(names, place)
    if problems:
        raise InputError(problems)
    kept: list[tuple[float, float, float]] = []
    excluded = 0
    for line, row in enumerate(rows[1:], start=2):
        cells = dict(zip(names, (cell.strip() for cell in row), strict=False))
        if len(row) != len(names):
            problems.append(Problem(f"{place}: row {line}", f"has {len(row)} cells, the header {len(names)}"))
        elif cells.get("excluded", "").casefold() in ("yes", "true", "1"):
            excluded += 1
        else:
            kept += _row(cells, f"{place}: row {line}", problems)
    if len(problems) > _MOST_PROBLEMS:
        rest = len(problems) - _MOST_PROBLEMS
        problems = [*problems[:_MOST_PROBLEMS], Problem(place, f"has {rest} more problems of this kind")]
    if not problems:
        problems = _enough(np.array(kept).reshape(-1, 3), place)
    if problems:
        raise InputError(problems)
    params, tokens, loss = np.array(kept).T
    return Runs(params=params, tokens=tokens, loss=loss, excluded=excluded, place=place)


def _header(names: list[str], place: str) -> list[Problem]:
    problems = [
        Problem(f"{place}: {name}", "is a missing column", fix=_EXAMPLE)
        for name in ("params", "loss")
        if name not in names
    ]
    if "tokens" not in names and "flop" not in names:
        problems.append(Problem(f"{place}: tokens", "is a missing column: tokens, or flop", fix=_EXAMPLE))
    for name in dict.fromkeys(names):
        if name not in COLUMNS:
            close = nearest(name, COLUMNS)
            problems.append(Problem(f"{place}: header", "is not a column", name, ", ".join(COLUMNS), close))
        elif names.count(name) > 1:
            problems.append(Problem(f"{place}: {name}", "is a column twice", fix="remove one"))
    return problems


def _row(cells: dict[str, str], place: str, problems: list[Problem]) -> list[tuple[float, float, float]]:
    """Return the row's size, tokens and loss, or nothing and its problems."""
    before = len(problems)
    found = {}
    for name in ("params", "tokens", "flop", "loss"):
        if name not in cells or (not cells[name] and name in ("tokens", "flop")):
            continue
        try:
            found[name] = float(cells[name])
        except ValueError:
            problems.append(Problem(f"{place}: {name}", "is not a number", cells[name], "a number such as 1.5e9"))
            continue
        if not (math.isfinite(found[name]) and found[name] > 0.0):
            problems.append(Problem(f"{place}: {name}", "is not positive", found[name], "a number above zero"))
        elif found[name] > _MOST[name]:
            problems.append(Problem(f"{place}: {name}", "is beyond belief", found[name], f"up to {_MOST[name]:g}"))
    if "tokens" not in found and "flop" not in found and len(problems) == before:
        problems.append(Problem(f"{place}: tokens", "is blank, and so is flop", fix="give one of them"))
    if len(problems) > before:
        return []
    tokens = found["tokens"] if "tokens" in found else found["flop"] / (TRAIN_FLOP * found["params"])
    return [(found["params"], tokens, found["loss"])]


def _enough(kept: Array, place: str) -> list[Problem]:
    """Return why these runs cannot tell the parameters of a law apart."""
    needed = len(PARAMETERS) + 1
    if len(kept) < needed:
        message = f"has {len(kept)} usable runs, fewer than the {len(PARAMETERS)} parameters of a law and one to spare"
        fix = f"add runs: at least {needed}, better 20 or more, at 3 sizes or more"
        return [Problem(place, message, fix=fix)]
    problems = []
    for name, column in (("params", kept[:, 0]), ("tokens", kept[:, 1])):
        different = len(np.unique(np.round(np.log(column), 2)))
        if different < 3:
            many = "one value" if different == 1 else "two values"
            message = f"has {many} in all runs: its power and its part of the loss cannot be told apart"
            problems.append(Problem(f"{place}: {name}", message, fix=f"add runs at other {name}, 3 values or more"))
    return problems
