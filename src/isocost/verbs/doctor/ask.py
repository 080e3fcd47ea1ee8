"""What a run's log or traces say; with the run's scenario, where its MFU goes and what would raise it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Unpack

from isocost.render.file import write_whole
from isocost.scenario.given import Changes
from isocost.scenario.written import Given, tables_of
from isocost.verbs import options
from isocost.verbs.doctor.examine import Diagnosis, diagnose
from isocost.verbs.options import Argument, Command, Option

_RUN = "The run"
_FILES = Argument(
    metavar="FILE", about="A log, traces of one or more ranks, both; or an old and a new log.", kind=list[str] | None
)
_AGAINST = Option(
    metavar="FILE", about="The old run, to compare with: log or traces. Repeatable.", kind=list[str] | None
)
_FORMAT_OF = Option(metavar="NAME", about="Format of the file; left out: it is found.")
_COLUMNS = Option(metavar="KEY=NAME,...", about="Columns of a table: step=it,step_ms=dt.")
_EVENTS_OUT = Option(metavar="FILE.csv", about="Write pauses, restarts, slow periods: goodput reads it.")
_SCENARIO = Option(metavar="RUN.toml", about="The run: flags override its keys.", panel=_RUN)
_STEP_TIME = Option(metavar="TIME", about="Of the run, without a log: 11.2.", panel=_RUN)
_TOKENS_LEFT = Option(metavar="AMOUNT", about="To train on; left out: all of the scenario.", panel=_RUN)


@Command(
    "Read a log or a trace: step time, where the time went; with the run's scenario: MFU, and what would raise it.",
    (
        options.WHAT,
        options.WHERE,
        options.LAYOUT,
        options.SWITCHES,
    ),
    doing="reading",
)
def doctor(
    *files: Annotated[str | Path, _FILES],
    against: Annotated[str | Path | Sequence[str | Path] | None, _AGAINST] = None,
    format_of: Annotated[str | None, _FORMAT_OF] = None,
    columns: Annotated[str | Mapping[str, str] | None, _COLUMNS] = None,
    events_out: Annotated[str | Path | None, _EVENTS_OUT] = None,
    scenario: Annotated[Given, _SCENARIO] = None,
    step_time: Annotated[str | float | None, _STEP_TIME] = None,
    tokens_left: Annotated[str | None, _TOKENS_LEFT] = None,
    **changes: Unpack[Changes],
) -> Diagnosis:
    """Return what a run's log or traces say; with its scenario, where its MFU goes and what would raise it.

    Times of the result's ``to_dict()`` are in seconds a step, MFU is a share of the dense peak of the run's precision,
    savings are in days and dollars of the tokens left.

    Args:
        files: a log, in any format that the doctor reads, or the traces of one or more ranks; two logs are compared.
        against: files of another, earlier run, to compare with.
        format_of: the log's format; None: it is found.
        columns: of a table or of JSON Lines, {"step": "it", "step_ms": "dt"}.
        events_out: file to write pauses, restarts and slow periods to, as CSV that ``goodput`` reads.
        scenario: what the run is (a TOML file, a mapping, a scenario): model, accelerator, GPU count, batch, layout.
        step_time: of the run, without a log: "11.2 s", or seconds.
        tokens_left: such as "0.4 T"; None: all of the scenario.
        changes: other keys of the scenario.

    Raises:
        InputError: there is nothing to read, no step can be read, or the scenario is wrong; every problem is listed.

    Example:
        >>> sorted(isocost.doctor("examples/run.log").to_dict())
        ['best_combination', 'input', 'levers', 'measured', 'schema_version', 'unknown', 'waterfall']
    """
    path = str(scenario) if isinstance(scenario, (str, Path)) else None
    inline = tables_of(scenario) if path is None else {}
    others = [against] if isinstance(against, (str, Path)) else against or ()
    if isinstance(columns, Mapping):
        columns = ",".join(f"{key}={name}" for key, name in columns.items())
    found = diagnose(
        [str(file) for file in files],
        against=[str(file) for file in others],
        format_of=format_of,
        columns=columns,
        scenario=path,
        step_time=None if step_time is None else str(step_time),
        tokens_left=tokens_left,
        changes=inline | {key: value for key, value in changes.items() if value is not None},
    )
    if events_out is not None:
        write_whole(events_out, found.events_csv(), "events_out")
    return found
