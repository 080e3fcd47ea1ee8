"""The command line as typer knows it, made from the registry of verbs.

Only the verb that is asked for is loaded, so that help comes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Final

import typer

from isocost.cli.sections import Sectioned
from isocost.verbs.registry import GROUPS, VERBS, Verb
from isocost.version import __version__

_ABOUT: Final = "Plan AI training: time, memory and money of a training run, with the reasons."
_START: Final = "Start with: isocost plan --model llama-3.1-70b --tokens '15 T' --deadline '60 d'"
_HELP: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """Return the command line with the verb that the arguments name; of the others it knows the summary."""
    words = [word for word in arguments if not word.startswith("-")][:2]
    app = typer.Typer(
        name="isocost",
        help=_ABOUT,
        epilog=_START,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings=_HELP,
    )
    app.callback()(_main)
    groups: dict[str, typer.Typer] = {}
    for group in GROUPS:
        groups[group.name] = typer.Typer(
            name=group.name,
            help=group.about,
            epilog=f"Example: {group.example}",
            no_args_is_help=True,
            rich_markup_mode=None,
        )
    for verb in VERBS:
        loaded = verb.name.split() == words[: len(verb.name.split())]
        function = _loaded(verb) if loaded else _not_loaded
        name, example = verb.name.rpartition(" ")[2], f"Example: {verb.example}"
        style = None if verb.group else Sectioned
        groups.get(verb.group, app).command(name, cls=style, short_help=verb.summary, epilog=example)(function)
    for group in GROUPS:
        app.add_typer(groups[group.name], short_help=group.summary)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"isocost {__version__}")
        raise typer.Exit


def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Say what isocost is; the verbs do the rest."""


def _not_loaded() -> None:
    """Stand for a verb that was not asked for."""


def _loaded(verb: Verb) -> Callable[..., None]:
    from isocost.cli.command import function_of  # the options and what they are declared in

    return function_of(verb)
