"""A calibration as a file: written whole, read with every problem at once."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import tomli_w

from isocost.errors import InputError, Problem, nearest
from isocost.perf.constants import Constant
from isocost.perf.site import USER, Errors, SiteCalibration
from isocost.render.file import write_whole

SCHEMA_VERSION: Final = 1
KIND: Final = "isocost calibration"
MAX_BYTES: Final = 5_000_000
MOST: Final = 100.0  # a multiplier beyond this, or below its inverse, is no calibration
_HEAD: Final = """\
# Multipliers of one stack and site, on top of the constants of isocost. Made by isocost calibrate.
# Use it: isocost plan ... --calibration {name}.toml
# base: fingerprint of the constants it rests on.
# strength: share of the prior spreads that did best on layouts left out.
# spread: of the log of a step time, beyond that of the multipliers.
# band: 90 % interval of measured over predicted, on layouts like those measured.
"""
_FIX: Final = "make one with: isocost calibrate my_runs.csv -o my_site.toml"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_SCALARS: Final[Mapping[str, type]] = {
    "name": str,
    "created_from": str,
    "base": str,
    "rows": int,
    "layouts": int,
    "strength": float,
    "spread": float,
}
_PAIRS: Final = ("before", "after", "left_out")


def usable_name(text: str) -> str:
    """Return a name for a calibration, from that of a file: it becomes part of the names of its constants."""
    words = re.sub(r"[^a-z0-9_.-]+", "-", text.lower()).strip("-._")
    return words[:40] or "mine"


def calibration_toml(calibration: SiteCalibration) -> str:
    """Return the calibration as TOML, its numbers to six digits."""
    return _HEAD.format(name=calibration.name) + tomli_w.dumps(_as_tables(calibration))


def _as_tables(calibration: SiteCalibration) -> dict[str, object]:
    c = calibration
    low, high = c.band
    errors = {name: found for name in _PAIRS if (found := getattr(c, name)) is not None}
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "name": c.name,
        "created_from": c.created_from,
        "rows": c.row_count,
        "layouts": c.layout_count,
        "stacks": c.stacks,
        "chips": c.chips,
        "base": c.base,
        "strength": _rounded(c.strength),
        "spread": _rounded(c.spread),
        "notes": c.notes,
        "band": {"low": _rounded(low), "high": _rounded(high)},
        "errors": {
            name: {"median_frac": _rounded(found.median_frac), "mean_frac": _rounded(found.mean_frac)}
            for name, found in errors.items()
        },
        "constant": {
            name: {
                "value": _rounded(constant.value),
                "prior": _rounded(constant.prior),
                "sd": _rounded(constant.sd),
                "posterior_sd": _rounded(constant.posterior_sd),
                "rows": constant.rows,
                "covariance": [_rounded(x, 9) + 0.0 for x in row],  # no negative zeros
            }
            for row, (name, constant) in zip(c.covariance, c.constants.items(), strict=True)
        },
    }


def _rounded(value: float, digits: int = 6) -> float:
    return float(f"{value:.{digits}g}")


def is_calibration(path: Path) -> bool:
    """Whether a file is a calibration, so that a new one may replace it."""
    try:
        return path.stat().st_size <= MAX_BYTES and tomllib.loads(path.read_text("utf-8")).get("kind") == KIND
    except (OSError, ValueError, RecursionError):
        return False


def refuse_to_replace(path: str | Path) -> None:
    """Raise ``InputError`` where a file other than a calibration is in the place of a new one."""
    target = Path(path)
    try:
        taken = target.exists() and not is_calibration(target)
    except (OSError, ValueError) as error:
        raise InputError([Problem("output", f"cannot be written: {error}", str(path))]) from None
    if taken:
        fix = "name another file, or remove it first"
        raise InputError(
            [Problem("output", "exists and is not a calibration: it is left as it is", str(path), fix=fix)]
        )


def save(calibration: SiteCalibration, path: str | Path) -> None:
    """Write a calibration as a file that is whole or not there; only another calibration is replaced."""
    refuse_to_replace(path)
    write_whole(path, calibration_toml(calibration), "output")


def load_calibration(path: str | Path) -> SiteCalibration:
    """Read a calibration.

    Raises:
        InputError: the file cannot be used; every problem of it is listed.
    """
    place = str(path)
    tables = _tables(Path(path), place)
    if tables.get("kind") != KIND:
        raise InputError([Problem(place, "is not a calibration", fix=_FIX)])
    if tables.get("schema_version") != SCHEMA_VERSION:
        given = tables.get("schema_version")
        raise InputError(
            [
                Problem(
                    f"{place}: schema_version", "is another format", given, str(SCHEMA_VERSION), fix="calibrate again"
                )
            ]
        )
    problems: list[Problem] = []
    scalars = {key: _scalar(tables, key, kind, place, problems) for key, kind in _SCALARS.items()}
    if isinstance(scalars["name"], str) and not _NAME.fullmatch(scalars["name"]):
        problems.append(
            Problem(f"{place}: name", "is not a name", scalars["name"], "letters, digits, '-', '_' and '.'")
        )
    lists = {key: _list(tables, key, place, problems) for key in ("stacks", "chips", "notes")}
    errors = {key: _errors(tables, key, place, problems) for key in _PAIRS}
    band = _numbers(tables.get("band"), f"{place}: band", ("low", "high"), problems)
    if band is not None and not 0 < band["low"] <= 1 <= band["high"]:
        problems.append(Problem(f"{place}: band", "must have 0 < low <= 1 <= high"))
    constants, rows = _constants(tables, place, problems)
    covariance = _covariance(rows, place, problems) if not problems else np.zeros((0, 0))
    if problems or band is None or errors["before"] is None or errors["after"] is None:
        raise InputError(problems)
    return SiteCalibration(
        name=scalars["name"],
        created_from=scalars["created_from"],
        base=scalars["base"],
        row_count=scalars["rows"],
        layout_count=scalars["layouts"],
        strength=scalars["strength"],
        spread=scalars["spread"],
        stacks=lists["stacks"],
        chips=lists["chips"],
        notes=lists["notes"],
        band=(band["low"], band["high"]),
        before=errors["before"],
        after=errors["after"],
        left_out=errors["left_out"],
        constants=constants,
        covariance=covariance,
    )


def _tables(file: Path, place: str) -> dict[str, Any]:
    try:
        if not file.is_file():
            why = "is a folder" if file.is_dir() else "does not exist, or is not a regular file"
            raise InputError([Problem(place, why, fix=_FIX)])
        if file.stat().st_size > MAX_BYTES:
            raise InputError([Problem(place, "is too large for a calibration", allowed=f"{MAX_BYTES // 10**6} MB")])
        return tomllib.loads(file.read_text("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError([Problem(place, "is not UTF-8 text", fix=_FIX)]) from None
    except RecursionError:
        raise InputError([Problem(place, "is nested too deeply", fix=_FIX)]) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError([Problem(place, f"is not valid TOML: {error}", fix=_FIX)]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError([Problem(place, f"cannot be read: {reason}")]) from None


def _scalar(tables: Mapping[str, Any], key: str, kind: type, place: str, problems: list[Problem]) -> Any:
    value = tables.get(key)
    where = f"{place}: {key}"
    if kind is str:
        if not isinstance(value, str):
            problems.append(Problem(where, "is missing or is not text"))
        return value
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    if not number or (kind is int and not isinstance(value, int)):
        problems.append(Problem(where, f"is missing or is not a {'whole ' if kind is int else ''}number from 0"))
        return kind(0)
    return kind(value)


def _list(tables: Mapping[str, Any], key: str, place: str, problems: list[Problem]) -> tuple[str, ...]:
    value = tables.get(key)
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        problems.append(Problem(f"{place}: {key}", "is missing or is not a list of texts"))
        return ()
    return tuple(value)


def _numbers(table: object, place: str, names: tuple[str, ...], problems: list[Problem]) -> dict[str, float] | None:
    """Finite numbers of a table, or None and a problem for each that is not."""
    if not isinstance(table, Mapping):
        problems.append(Problem(place, "is missing or is not a table"))
        return None
    bad = [
        name
        for name in names
        if not isinstance(x := table.get(name), (int, float)) or isinstance(x, bool) or not math.isfinite(x)
    ]
    problems += [Problem(f"{place}.{name}", "is missing or is not a finite number") for name in bad]
    return None if bad else {name: float(table[name]) for name in names}


def _errors(tables: Mapping[str, Any], key: str, place: str, problems: list[Problem]) -> Errors | None:
    groups = tables.get("errors")
    table = groups.get(key) if isinstance(groups, Mapping) else None
    if key == "left_out" and table is None:
        return None  # too few layouts to leave one out
    values = _numbers(table, f"{place}: errors.{key}", ("median_frac", "mean_frac"), problems)
    return None if values is None else Errors(**values)


def _constants(
    tables: Mapping[str, Any], place: str, problems: list[Problem]
) -> tuple[dict[str, Constant], list[object]]:
    """Return the multipliers and the rows of their covariance."""
    table = tables.get("constant")
    if not isinstance(table, Mapping) or not table:
        problems.append(Problem(f"{place}: constant", "is missing: there is nothing to apply"))
        return {}, []
    constants: dict[str, Constant] = {}
    rows: list[object] = []
    for name, entry in table.items():
        where = f"{place}: constant.{name}"
        coefficient, _, level = name.partition("|")
        if coefficient not in USER or not level.startswith(f"{USER[coefficient][0]}="):
            close = nearest(coefficient, USER)
            problems.append(Problem(where, "is not a multiplier that a calibration may set", nearest=close))
            continue
        values = _numbers(entry, where, ("value", "prior", "sd", "posterior_sd", "rows"), problems)
        if values is None:
            continue
        if not 1 / MOST <= values["value"] <= MOST:
            problems.append(
                Problem(f"{where}.value", "is no multiplier", values["value"], f"from {1 / MOST:g} to {MOST:g}")
            )
        problems += [
            Problem(f"{where}.{key}", "is not above 0", values[key])
            for key in ("prior", "sd", "posterior_sd")
            if values[key] <= 0
        ]
        constants[name] = Constant(
            value=values["value"],
            prior=values["prior"],
            sd=values["sd"],
            posterior_sd=values["posterior_sd"],
            rows=int(values["rows"]),
        )
        rows.append(entry.get("covariance"))
    return constants, rows


def _covariance(rows: list[object], place: str, problems: list[Problem]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the covariance of the multipliers: square, finite, symmetric, without negative spreads."""
    try:
        matrix = np.array(rows, float)
    except (TypeError, ValueError):
        matrix = np.zeros((0, 0))
    fine = matrix.shape == (len(rows), len(rows)) and bool(np.isfinite(matrix).all())
    if fine:
        fine = (
            bool(np.allclose(matrix, matrix.T, rtol=1e-6, atol=1e-12))
            and float(np.linalg.eigvalsh(matrix).min()) > -1e-9
        )
    if not fine:
        problems.append(
            Problem(f"{place}: constant", "has covariances that are not those of one set of numbers", fix=_FIX)
        )
    return matrix
