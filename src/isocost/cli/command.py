"""A verb as a command: its options from its signature, its answer printed or written, its exit code.

What is common to all verbs is here, once.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import typer

from isocost.cli.output import chosen_format, emit, progress
from isocost.errors import InputError
from isocost.render.sections import refuse_unknown
from isocost.verbs.options import COMMANDS, RESULT, SECTIONS, Argument, Command, Option
from isocost.verbs.registry import Verb

FAILED: Final = 1
INFEASIBLE: Final = 4
_KEY: Final = re.compile(r"(\w+)(?=$|[.\[])")


def function_of(verb: Verb) -> Callable[..., None]:
    """Return what typer calls for a verb: its signature is that of the verb's own options and of those of all."""
    ask = verb.load()
    command = COMMANDS[ask]
    own = dict(_own(ask))
    last = {name: option for name, option in own.items() if _with_output(option)}
    options: dict[str, Argument | Option] = {name: option for name, option in own.items() if name not in last}
    for group in (
        *command.groups,
        command.gate_options or {},
        last,
        {} if command.sections is None else SECTIONS,
        RESULT,
    ):
        options.update({name: option for name, option in group.items() if name not in options})

    def run(**given: Any) -> None:
        _run(ask, command, options, own, given)

    parameters = [_parameter(name, option, _default(ask, name, option)) for name, option in options.items()]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__doc__ = command.about or verb.summary
    return run


def _own(ask: Callable[..., Any]) -> Iterator[tuple[str, Argument | Option]]:
    """Yield the options that the signature of a verb declares."""
    hints = get_type_hints(ask, include_extras=True)
    for name in inspect.signature(ask).parameters:
        if get_origin(hints[name]) is Annotated:
            for mark in get_args(hints[name])[1:]:
                if isinstance(mark, (Argument, Option)):
                    yield name, mark


def _with_output(option: Argument | Option) -> bool:
    return isinstance(option, Option) and option.panel == RESULT["format"].panel


def _default(ask: Callable[..., Any], name: str, option: Argument | Option) -> Any:
    """Return the default of an option: that of the function, where it has one."""
    parameter = inspect.signature(ask).parameters.get(name)
    if parameter is None:
        return None
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        return parameter.empty if option.kind == list[str] else None
    return parameter.default


def _parameter(name: str, option: Argument | Option, default: Any) -> inspect.Parameter:
    """Return an option as typer reads it from a signature."""
    if option.kind is bool and default is None:
        default = False
    if isinstance(option, Argument):
        info = typer.Argument(metavar=option.metavar, help=option.about)
    else:
        info = typer.Option(
            *option.flags_of(name),
            metavar=option.metavar or None,
            help=option.about,
            rich_help_panel=option.panel or None,
        )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[option.kind, info]
    )


def _run(
    ask: Callable[..., Any],
    command: Command,
    options: Mapping[str, Argument | Option],
    own: Mapping[str, Argument | Option],
    given: Mapping[str, Any],
) -> None:
    """Ask, print the answer, and leave with the code that it deserves."""
    output = None if "output" in own else given["output"]
    quiet = given["quiet"]
    form = chosen_format(given["format"], output)
    keys = {name for group in command.groups for name in group}
    asked = {name: value for name, value in given.items() if name in own or (name in keys and value is not None)}
    if command.sections:
        refuse_unknown(given["show"] or "", command.sections)
    try:
        judge = command.gate(given) if command.gate else None
        with progress(command.doing, quiet=quiet or not command.doing):
            answer = _call(ask, asked, quiet)
    except InputError as error:
        flags = {
            name: option.flags_of(name)[0]
            for name, option in options.items()
            if isinstance(option, Option) and (name in own or given[name] not in (None, False))
        }
        raise type(error)([replace(problem, path=_placed(problem.path, flags)) for problem in error.problems]) from None
    _deliver(answer, form, output, given, quiet)
    if command.hint and given["output"] is None and not quiet and sys.stderr.isatty():
        typer.echo(f"isocost: {command.hint}", err=True)
    if judge and (reasons := judge(answer)) is not None:
        for reason in reasons:
            typer.echo(f"isocost: failed: {reason}", err=True)
        raise typer.Exit(FAILED)


def _call(ask: Callable[..., Any], asked: Mapping[str, Any], quiet: bool) -> Any:
    """Return the answer: arguments that have a place only go by place."""
    places: list[Any] = []
    named = dict(asked)
    for name, parameter in inspect.signature(ask).parameters.items():
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            places.append(named.pop(name))
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            places += named.pop(name) or ()
        elif name == "say" and not quiet:
            named["say"] = lambda text: typer.echo(f"isocost: {text}", err=True)
    return ask(*places, **named)


def _deliver(answer: Any, form: str, output: str | None, given: Mapping[str, Any], quiet: bool) -> None:
    """Print or write an answer; one that is no plan leaves with its own code."""
    # An answer that is also a file for another verb (a scenario, a law) is written as that file.
    a_file = hasattr(type(answer), "toml")
    as_file = a_file and given["format"] is None and output is not None and output.endswith(".toml")
    feasible = getattr(answer, "feasible", True)
    if as_file and feasible:
        emit(answer.toml, output, quiet=quiet)
    emit(answer.rendered(form, given.get("show") or ""), None if as_file else output, quiet=quiet)
    if not feasible:
        if form != "table" or (output and not as_file):
            typer.echo(f"isocost: {answer.sentence}", err=True)
        raise typer.Exit(INFEASIBLE)


def _placed(path: str, flags: Mapping[str, str]) -> str:
    """Return where a problem is, as the user of a command line wrote it: gpus as --gpus."""
    found = _KEY.match(path)
    return flags[found[1]] + path[found.end() :] if found and found[1] in flags else path
