"""Reading and writing of laws as TOML: the shipped ones, and those fitted to a user's own runs."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np
import tomli_w

from isocost.errors import DataError, InputError, Problem, nearest
from isocost.laws.scaling import optimal_params
from isocost.scaling.law import COUNTS, FORMS, GRADES, INFORMATION, Law, Parameter

SHIPPED: Final = "data/scaling_laws.toml"
DEFAULT_LAW: Final = "besiroglu"
_TEXTS: Final = ("title", "form", "counts", "corpus", "source", "as_of", "grade")
_RANGES: Final = ("params_range", "tokens_range", "flop_range")
_OTHERS: Final = ("note", "allocation", "from_memory", "covariance", "parameters")
# A power of size or data beyond this is no power: A and alpha, or B and beta, were exchanged.
_MOST_POWER: Final = 2.0
_POWERS: Final = ("alpha", "beta", "power", "params_power", "tokens_power", "work_power")
_LONGEST_FILE_BYTES: Final = 1 << 20
# A law's best size for the arithmetic of its runs, or of a usual small run, lies between these.
_USUAL_FLOP: Final = 1e21
_SMALLEST, _LARGEST = 1e2, 1e15


@cache
def shipped_tables() -> Mapping[str, Any]:
    """Return the shipped file as tables."""
    return tomllib.loads((resources.files("isocost") / SHIPPED).read_text(encoding="utf-8"))


@cache
def laws() -> Mapping[str, Law]:
    """Return the shipped laws, in order of the file."""
    return read_laws(shipped_tables(), SHIPPED, shipped=True)


def find_law(name: str) -> Law:
    """Return a shipped law by its id, or the one that a TOML file holds."""
    wanted = name.strip()
    if wanted.endswith(".toml"):
        return _law_of_file(Path(wanted))
    if wanted not in laws():
        fix = "see 'isocost scaling list', or give the path of a .toml file"
        close = nearest(wanted, laws())
        raise InputError([Problem("law", "is not a known law", name, nearest=close, fix=fix)])
    return laws()[wanted]


def _law_of_file(path: Path) -> Law:
    fix = "write one with 'isocost scaling fit my_runs.csv -o my_law.toml'"
    try:
        if path.stat().st_size > _LONGEST_FILE_BYTES:
            raise InputError([Problem(str(path), "is too large for a law", fix=fix)])
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError([Problem(str(path), f"cannot be read: {error.strerror}", fix=fix)]) from None
    except UnicodeDecodeError:
        raise InputError([Problem(str(path), "is not UTF-8 text", fix=fix)]) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError([Problem(str(path), f"is not TOML: {error}", fix=fix)]) from None
    found = read_laws(tables, str(path))
    if len(found) != 1:
        problem = Problem(str(path), f"holds {len(found)} laws", allowed="one table [law.NAME]", fix=fix)
        raise InputError([problem])
    law = next(iter(found.values()))
    _refuse_absurd(law, f"{path}: law.{law.id}.parameters")
    return law


def _refuse_absurd(law: Law, place: str) -> None:
    """Refuse a surface whose best size, within its own runs, is no size of a model."""
    if not law.has_surface:
        return
    scales = {"params_scale": law.value("A"), "tokens_scale": law.value("B")}
    powers = {"params_power": law.value("alpha"), "tokens_power": law.value("beta")}
    for flop in law.flop_range or (_USUAL_FLOP,):
        with np.errstate(over="ignore"):
            params = float(optimal_params(flop=flop, **scales, **powers))
        if not _SMALLEST < params < _LARGEST:
            message = f"make {params:.3g} parameters the best size for {flop:.3g} FLOP"
            fix = "are two of A, B, alpha and beta exchanged, or is one in another unit?"
            raise InputError([Problem(place, message, fix=fix)])


def read_laws(tables: Mapping[str, Any], place: str, *, shipped: bool = False) -> dict[str, Law]:
    """Return the laws of a file's tables; all problems are reported at once, with their place."""
    problems: list[Problem] = []
    found = {}
    entries = tables.get("law")
    if not isinstance(entries, dict):
        problems.append(Problem(place, "has no table [law.NAME]", fix="start the law with a line [law.my_law]"))
        entries = {}
    for key, entry in entries.items():
        where = f"{place}: law.{key}"
        if not isinstance(entry, dict):
            problems.append(Problem(where, "is not a table", fix=f"write [law.{key}]"))
            continue
        before = len(problems)
        _check(entry, where, problems)
        parameters = _parameters(entry, where, problems)
        covariance = _covariance(entry, where, problems)
        if len(problems) == before:
            found[key] = _law(key, entry, parameters, covariance)
    if problems:
        raise DataError(problems) if shipped else InputError(problems)
    return found


def _law(key: str, entry: Mapping[str, Any], parameters: dict[str, Parameter], covariance: Any) -> Law:
    ranges: dict[str, Any] = {
        name: (float(entry[name][0]), float(entry[name][1])) if name in entry else None for name in _RANGES
    }
    texts: dict[str, Any] = {name: str(entry[name]) for name in _TEXTS}
    return Law(
        id=key,
        parameters=parameters,
        note=str(entry.get("note", "")),
        allocation=bool(entry.get("allocation", True)),
        from_memory=bool(entry.get("from_memory", False)),
        covariance=covariance,
        **texts,
        **ranges,
    )


def _check(entry: Mapping[str, Any], where: str, problems: list[Problem]) -> None:
    for name in _TEXTS:
        if not isinstance(entry.get(name), str) or not entry[name]:
            problems.append(Problem(f"{where}.{name}", "is missing", fix=f'add {name} = "..."'))
    for name, allowed in (("form", tuple(FORMS)), ("counts", COUNTS), ("grade", GRADES)):
        value = entry.get(name)
        if isinstance(value, str) and value and value not in allowed:
            close = nearest(value, allowed)
            problems.append(Problem(f"{where}.{name}", "is not known", value, ", ".join(allowed), close))
    for name in _RANGES:
        ends = entry.get(name)
        if ends is None:
            continue
        if not (isinstance(ends, list) and len(ends) == 2 and all(_is_number(end) and end > 0 for end in ends)):
            problems.append(Problem(f"{where}.{name}", "is not two positive numbers", ends, "[low, high]"))
        elif ends[0] > ends[1]:
            problems.append(Problem(f"{where}.{name}", "is reversed", str(ends), "[low, high]", fix="exchange the two"))
    for name in entry:
        if name not in (*_TEXTS, *_RANGES, *_OTHERS):
            close = nearest(name, (*_TEXTS, *_RANGES, *_OTHERS))
            problems.append(Problem(f"{where}.{name}", "is not a key of a law", nearest=close))


def _parameters(entry: Mapping[str, Any], where: str, problems: list[Problem]) -> dict[str, Parameter]:
    given = entry.get("parameters", {})
    if not isinstance(given, dict):
        problems.append(Problem(f"{where}.parameters", "is not a table"))
        return {}
    form = entry.get("form")
    needed = FORMS.get(form, ()) if isinstance(form, str) else ()
    for name in needed:
        if name not in given:
            fix = f"add {name} = {{ value = ... }} under [law....parameters]"
            problems.append(Problem(f"{where}.parameters.{name}", f"is missing: the form {form} needs it", fix=fix))
    return {
        name: parameter
        for name, value in given.items()
        if (parameter := _parameter(value, name, f"{where}.parameters.{name}", form, problems)) is not None
    }


def _parameter(value: Any, name: str, place: str, form: Any, problems: list[Problem]) -> Parameter | None:
    parts = value if isinstance(value, dict) else {"value": value}
    allowed = ("value", "sd", "low", "high")
    if "value" not in parts or not set(parts) <= set(allowed) or not all(_is_number(part) for part in parts.values()):
        allowed_text = "a number, or { value, sd, low, high }"
        problems.append(Problem(place, "is not a parameter", None if value is None else str(value), allowed_text))
        return None
    number = float(parts["value"])
    if form != INFORMATION and number <= 0.0:
        problems.append(Problem(place, "is not positive", number, fix="all parameters of a law are above zero"))
    elif form != INFORMATION and name in _POWERS and number > _MOST_POWER:
        fix = "is it exchanged with the scale that it belongs to?"
        problems.append(Problem(place, "is too large for a power", number, f"0 to {_MOST_POWER:g}", fix=fix))
    low, high = parts.get("low", -math.inf), parts.get("high", math.inf)
    if low > high:
        problems.append(Problem(place, "has a reversed interval", f"{low:g} to {high:g}", fix="exchange low and high"))
    elif not low <= number <= high:
        problems.append(Problem(place, "is outside its own interval", number, f"{low:g} to {high:g}"))
    return Parameter(**{key: float(part) for key, part in parts.items()})


def _covariance(entry: Mapping[str, Any], where: str, problems: list[Problem]) -> tuple[tuple[float, ...], ...]:
    given = entry.get("covariance")
    if given is None:
        return ()
    rows = given if isinstance(given, list) else [given]
    square = len(rows) == 5 and all(
        isinstance(row, list) and len(row) == 5 and all(_is_number(cell) for cell in row) for row in rows
    )
    matrix = np.array(rows, dtype=float) if square else np.zeros((5, 5))
    if not square or not np.allclose(matrix, matrix.T) or np.linalg.eigvalsh(matrix).min() <= 0.0:
        allowed = "5 rows of 5, symmetric, positive definite: of log E, log A, log B, alpha, beta"
        problems.append(Problem(f"{where}.covariance", "is not a covariance", allowed=allowed))
        return ()
    return tuple(tuple(row) for row in matrix.tolist())


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def law_text(law: Law) -> str:
    """Return a law as TOML that ``find_law`` reads back to the same value."""
    said = {name: text for name in (*_TEXTS, "note") if (text := getattr(law, name))}
    ranges = {name: ends for name in _RANGES if (ends := getattr(law, name)) is not None}
    flags = ({} if law.allocation else {"allocation": False}) | ({"from_memory": True} if law.from_memory else {})
    covariance = {"covariance": law.covariance} if law.covariance else {}
    parameters = {name: _said(parameter) for name, parameter in law.parameters.items()}
    return tomli_w.dumps({"law": {law.id: {**said, **flags, **ranges, **covariance, "parameters": parameters}}})


def _said(parameter: Parameter) -> dict[str, float]:
    return {name: part for name in ("value", "sd", "low", "high") if (part := getattr(parameter, name)) is not None}
