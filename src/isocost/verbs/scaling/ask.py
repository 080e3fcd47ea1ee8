"""Scaling laws: list, show, fit, optimum."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from isocost.scaling.store import DEFAULT_LAW
from isocost.verbs.options import Argument, Command, Option
from isocost.verbs.scaling.answer import FitResult, LawEntry, LawList, entry, fitted, listing
from isocost.verbs.scaling.optimum import OptimumResult, best

_LAW = Argument(metavar="LAW|FILE.toml", about="A law that 'isocost scaling list' shows.", kind=str)
_RUNS = Argument(metavar="RUNS.csv", about="Columns params, tokens (or flop), loss.", kind=str)
_NAME = Option(metavar="ID", about="Name of the law.", kind=str)
_FLOP = Option(metavar="FLOP", about="Arithmetic of the run, 6 N D: '1e24'.", kind=str)
_LAWS = Option(metavar="LAW,...", about="Laws, or files of laws; the first is the answer.", kind=str)
_DATA = Option(metavar="AMOUNT", about="Unique tokens there are: '3 T'.")
_SERVE = Option(metavar="AMOUNT", about="Tokens served over the life of the model: '5 T'.")
_COST = Option(metavar="RATIO", about="Cost of a FLOP that serves over one that trains; 1.")


@Command()
def scaling_list() -> LawList:
    """Return the shipped laws, with their reach and grade.

    Example:
        >>> "besiroglu" in isocost.scaling_list().csv()
        True
    """
    return listing()


@Command()
def scaling_show(law: Annotated[str, _LAW], /) -> LawEntry:
    """Return one law, a shipped one or that of a file: parameters, corpus, range of validity, source.

    Raises:
        InputError: there is no such law.

    Example:
        >>> isocost.scaling_show("besiroglu").law.id
        'besiroglu'
    """
    return entry(law)


@Command(doing="fitting")
def scaling_fit(runs: Annotated[str | Path, _RUNS], /, *, name: Annotated[str, _NAME] = "my_law") -> FitResult:
    """Return E + A/N^alpha + B/D^beta fitted to your own runs; its ``toml`` is a law for ``laws=``.

    Args:
        runs: CSV file with columns params, tokens (or flop), loss.
        name: of the law.

    Raises:
        InputError: the file cannot be read, or holds too few runs.

    Example:
        >>> isocost.scaling_fit("evidence/chinchilla_points.csv").fit.law.id
        'my_law'
    """
    return fitted(runs, name)


@Command()
def scaling_optimum(
    *,
    flop: Annotated[float | str, _FLOP],
    law: Annotated[str, _LAWS] = DEFAULT_LAW,
    data: Annotated[object, _DATA] = None,
    serve: Annotated[object, _SERVE] = None,
    serving_cost: Annotated[object, _COST] = None,
) -> OptimumResult:
    """Return how large a model on how many tokens makes the least loss for an amount of arithmetic.

    Args:
        flop: arithmetic of the run, 6 N D.
        law: laws, or files of laws, with commas; the first is the answer.
        data: unique tokens there are; serve: tokens served over the life of the model.
        serve: see data.
        serving_cost: of a FLOP that serves over one that trains.

    Raises:
        InputError: a law or an amount is wrong.

    Example:
        >>> isocost.scaling_optimum(flop=1e24).optima[0].law.id
        'besiroglu'
    """
    return best(flop, law, data, serve, serving_cost)
