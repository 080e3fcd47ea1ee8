"""The verbs: each hands its options to the Python call of the same name and prints what comes back.

Imports of the rest of isocost are inside the verbs, so that help comes at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from isocost.cli import flags, whole
from isocost.cli.calibrate import calibrate
from isocost.cli.compare import compare
from isocost.cli.doctor import doctor
from isocost.cli.fleet import fleet
from isocost.cli.frontier import frontier
from isocost.cli.output import chosen_format, emit, progress
from isocost.cli.program import program
from isocost.cli.scaling import scaling
from isocost.cli.sections import Sectioned
from isocost.cli.tco import tco
from isocost.version import __version__

if TYPE_CHECKING:
    from isocost.catalog import Catalog
    from isocost.render.result import Renders

_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
app = typer.Typer(
    name="isocost",
    help="Plan AI training: time, memory and money of a training run, with the reasons.",
    epilog="Start with: isocost plan --model llama-3.1-70b --tokens '15 T' --deadline '60 d'",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=_HELP,
)
catalog = typer.Typer(
    name="catalog",
    help="The dated facts: chips, networks, prices, models, software stacks.",
    epilog="Example: isocost catalog show h100-sxm5-80gb",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"isocost {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Plan AI training: time, memory and money of a training run, with the reasons."""


def _show(result: Renders, form: str, output: str | None, quiet: bool, show: str | None = None) -> None:
    emit(result.rendered(form, show or ""), output, quiet=quiet)


def _catalogue(files: str | None) -> Catalog:
    from isocost.catalog import load_catalog

    return load_catalog(*(part.strip() for part in (files or "").split(",") if part.strip()))


def _answer(context: typer.Context, verb: str) -> None:
    """Ask with the options of a command line, print the answer, and leave with 4 when there is no plan."""
    from isocost import api
    from isocost.scenario import KEYS
    from isocost.verbs.plan.gates import failures, read_gates

    given = context.params
    form = chosen_format(given["format"], given["output"])
    changes = {key: given[key] for key in KEYS if given.get(key) is not None}
    places = {key: f"--{key.replace('_', '-')}" for key in changes}
    gates = read_gates(given["max_cost"], given["max_days"], given["fail_if"] or ())
    with progress("searching", quiet=given["quiet"]):
        answer = api.ask(verb, given["scenario"], changes, places, explained=given.get("explain", False))
    _show(answer, form, given["output"], given["quiet"], given["show"])
    if not answer.feasible:
        if form != "table" or given["output"]:
            typer.echo(f"isocost: {answer.sentence}", err=True)
        raise typer.Exit(4)
    if gates and (reasons := failures(gates, answer)):
        for reason in reasons:
            typer.echo(f"isocost: failed: {reason}", err=True)
        raise typer.Exit(1)


@flags.taking(
    flags.WHAT, flags.LIMITS, {"top": flags.Top}, flags.WHERE, flags.LAYOUT, flags.SWITCHES,
    {"confidence": flags.Confidence}, flags.GATES, {"show": flags.Show}, flags.RESULT,
)  # fmt: skip
def plan(context: typer.Context, scenario: flags.Scenario = None, **options: object) -> None:
    """Choose accelerator, GPU count and layout: days, cost, and why the others lost."""
    _answer(context, "plan")


@flags.taking(
    flags.WHAT, flags.LIMITS, {"top": flags.Top}, flags.WHERE, flags.LAYOUT, flags.SWITCHES, flags.GATES,
    {"explain": flags.Explain, "show": flags.Show}, flags.RESULT,
)  # fmt: skip
def estimate(context: typer.Context, scenario: flags.Scenario = None, **options: object) -> None:
    """Say what a given number of GPUs takes and costs; what is left out of the layout is chosen."""
    _answer(context, "estimate")


def explain(
    plan: Annotated[str, typer.Argument(metavar="PLAN.json", help="What 'isocost plan --format json' wrote.")],
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="step_time, memory or cost.")] = "step_time",
    format: flags.Format = None,
    output: flags.Output = None,
    quiet: flags.Quiet = False,
) -> None:
    """Show how a number came about: every term with its formula, inputs, units and source."""
    from isocost import api

    form = chosen_format(format, output)
    _show(api.explain(plan, topic), form, output, quiet)


def show(
    answer: Annotated[str, typer.Argument(metavar="ANSWER.json", help="What --format json wrote.")],
    show: flags.Show = None,
    format: flags.Format = None,
    output: flags.Output = None,
    quiet: flags.Quiet = False,
) -> None:
    """Show a saved answer in any format, without computing it again."""
    from isocost.verbs.show.ask import show as saved

    _show(saved(answer), chosen_format(format, output), output, quiet, show)


def model(
    model: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A shipped model, or a config.json.")],
    seq_len: flags.SeqLen = None,
    format: flags.Format = None,
    output: flags.Output = None,
    quiet: flags.Quiet = False,
) -> None:
    """Show a model: parameters, layers, FLOPs per token by operator, bytes of training state."""
    from isocost import api_facts

    form = chosen_format(format, output)
    _show(api_facts.model_summary(model, seq_len), form, output, quiet)


@catalog.command("list", epilog="Example: isocost catalog list accelerators")
def catalog_list(
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND", help="accelerators, nodes, fabrics, offers, rates, stacks or models."),
    ],
    catalog: flags.Catalog = None,
    format: flags.Format = None,
    output: flags.Output = None,
    quiet: flags.Quiet = False,
) -> None:
    """List all entries of a kind, with their dates."""
    from isocost import api_facts

    form = chosen_format(format, output)
    _show(api_facts.catalog_list(kind, _catalogue(catalog)), form, output, quiet)


@catalog.command("show", epilog="Example: isocost catalog show h100-sxm5-80gb")
def catalog_show(
    name: Annotated[list[str], typer.Argument(metavar="[KIND] ID", help="Any id that 'isocost catalog list' shows.")],
    catalog: flags.Catalog = None,
    format: flags.Format = None,
    output: flags.Output = None,
    quiet: flags.Quiet = False,
) -> None:
    """Show one entry in full: every fact, where it is from, and the prices."""
    from isocost import api_facts

    form = chosen_format(format, output)
    _show(api_facts.catalog_show(" ".join(name), _catalogue(catalog)), form, output, quiet)


@catalog.command("check", epilog="Example: isocost catalog check --catalog my-quotes.toml --strict")
def catalog_check(
    catalog: flags.Catalog = None,
    strict: Annotated[bool, typer.Option("--strict", help="Leave with exit code 1 if there is a finding.")] = False,
    format: flags.Format = None,
    output: flags.Output = None,
    quiet: flags.Quiet = False,
) -> None:
    """List facts that are stale, disputed, from memory, missing or without a price."""
    from isocost import api_facts

    form = chosen_format(format, output)
    result = api_facts.catalog_check(_catalogue(catalog))
    _show(result, form, output, quiet)
    if strict and result.findings:
        raise typer.Exit(1)


def validate(
    runs: Annotated[
        str | None,
        typer.Option(
            "--runs", metavar="FILE.csv", help="Your measured runs, in the format of docs/evidence-format.md."
        ),
    ] = None,
    leave_out: Annotated[
        str | None, typer.Option("--leave-out", metavar="GROUP", help="Refit without each source, stack or chip.")
    ] = None,
    only: Annotated[str | None, typer.Option("--only", metavar="NAME", help="Leave out this group only.")] = None,
    calibrated: Annotated[
        int, typer.Option("--calibrated", metavar="N", help="With --leave-out: then calibrate on N runs of it.")
    ] = 0,
    format: flags.Format = None,
    output: flags.Output = None,
    quiet: flags.Quiet = False,
) -> None:
    """Compare predictions with measured runs: the shipped ones, or your own."""
    from isocost import api_measured

    form = chosen_format(format, output)
    if leave_out is None and (only or calibrated):
        from isocost.errors import InputError, Problem

        flag = "--only" if only else "--calibrated"
        fix = "say of which groups: --leave-out source, stack or chip"
        raise InputError([Problem(flag, "leaves nothing out without --leave-out", only or calibrated, fix=fix)])
    if leave_out is not None:

        def say(text: str) -> None:
            if not quiet:
                typer.echo(f"isocost: {text}", err=True)

        names = [only] if only else []
        _show(
            api_measured.left_out(leave_out, runs=runs, only=names, calibrated=calibrated, say=say), form, output, quiet
        )
        return
    with progress("predicting every run", quiet=quiet):
        result = api_measured.validate(runs)
    _show(result, form, output, quiet)


# The verbs in the order of the help: first one run, then what is around it, then your own runs, then facts.
_VERBS: Final[tuple[tuple[Callable[..., None], str, str], ...]] = (
    (
        plan, "Choose accelerator, GPU count and layout for a run.",
        "isocost plan --model llama-3.1-70b --tokens '15 T' --deadline '60 d' --gpus 64..8192",
    ),
    (
        estimate, "Say what a given number of GPUs takes and costs.",
        "isocost estimate examples/llama-3.1-70b.toml --gpus 1024 --tp 8 --pp 4 --micro-batch 1",
    ),
    (show, "Show a saved answer again, in any format.", "isocost show plan.json --format html -o plan.html"),
    (explain, "Show how a number came about, term by term.", "isocost explain plan.json step_time"),
    (
        compare, "Compare two offers for one run, or a plan with its run's log.",
        "isocost compare examples/purpose-built.toml examples/conventional.toml; or compare plan.json train.log",
    ),
    (
        whole.goodput, "Show where the time of a run goes, and how often to save.",
        "isocost goodput examples/llama-3.1-405b.toml --checkpoint-interval auto",
    ),
    (
        tco, "Show every way to pay for a plan, and where owning breaks even.",
        "isocost tco examples/llama-3.1-405b.toml --years 1,3,5 --wait '6 months'",
    ),
    (
        program, "Show the bill of the whole programme around a plan.",
        "isocost program examples/llama-3.1-70b.toml --people 20 --salary '300 kUSD'",
    ),
    (
        frontier, "Choose what to train for a budget, a deadline and data.",
        "isocost frontier --budget '2 MUSD' --deadline '60 d' --on b200-sxm-180gb --data '3 T'",
    ),
    (
        fleet, "Say how many nodes of which offer a mix of workloads needs.",
        "isocost fleet examples/fleet/year.toml",
    ),
    (
        doctor, "Read a log or a trace: where time went, what would raise MFU.",
        "isocost doctor train.log --format json",
    ),
    (
        calibrate, "Fit your own stack and site on a handful of your runs.",
        "isocost calibrate examples/my_runs.csv -o my_site.toml",
    ),
    (
        validate, "Compare predictions with measured runs: shipped, or your own.",
        "isocost validate --format json -o accuracy.json",
    ),
    (
        model, "Show a model: parameters, FLOPs per token, bytes of state.",
        "isocost model llama-3.1-70b --seq-len 8192 --format json",
    ),
)  # fmt: skip
for _verb, _short, _example in _VERBS:
    app.command(cls=Sectioned, short_help=_short, epilog=f"Example: {_example}")(_verb)
app.add_typer(catalog, short_help="The dated facts: chips, networks, prices, models, stacks.")
app.add_typer(scaling, short_help="Scaling laws: what to train, and the fit of your own.")
