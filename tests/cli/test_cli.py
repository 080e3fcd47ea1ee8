"""The command line itself: help, exit codes, files, signals, and what must never happen."""

from __future__ import annotations

import io
import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import isocost
from isocost.cli import output, run
from isocost.render import file

ROOT = Path(__file__).parents[2]
EDGES = ROOT / "tests" / "edges"
SNAPSHOT = runpy.run_path(str(EDGES / "snapshot.py"))
EXPECTED: dict[str, Any] = json.loads((EDGES / "snapshots.json").read_text(encoding="utf-8"))
VERBS = (
    "plan", "estimate", "show", "explain", "compare", "goodput", "tco", "program", "frontier", "fleet", "doctor",
    "calibrate", "validate", "model", "catalog", "scaling",
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(SNAPSHOT["cases"]()))
def test_malformed_input(name: str) -> None:
    """One line for each problem with place, value and fix; exit code 2; nothing on standard output; no traceback."""
    found = SNAPSHOT["outcome"](SNAPSHOT["cases"]()[name])
    assert found == EXPECTED[name]
    assert found["code"] == 2
    assert found["stdout"] == ""
    assert all(line.startswith("isocost: ") for line in found["stderr"])


def test_no_snapshot_is_left_over() -> None:
    """Every snapshot belongs to a case."""
    assert set(EXPECTED) == set(SNAPSHOT["cases"]())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["pln"], "pln"), (["plan", "--modle", "gpt2"], "--modle"), (["plan", "--model"], "--model"), (["model"], "NAME")],
)
def test_usage_errors_are_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong verb, flag or missing value: exit code 2 and one line that points to the help."""
    assert run(arguments) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "--help" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["-h"],
        *([verb, "--help"] for verb in VERBS),
        *(["catalog", verb, "--help"] for verb in ("list", "show", "check")),
        *(["scaling", verb, "--help"] for verb in ("list", "show", "fit", "optimum")),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("columns", [80, 120])
def test_help_teaches(
    arguments: list[str], columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every verb has a help with an example, within the width of the terminal."""
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run(arguments) == 0
    out = capsys.readouterr().out
    assert "Example: isocost" in out or "Start with: isocost plan" in out
    assert max(len(line) for line in out.splitlines()) <= columns


def test_help_names_every_verb_with_a_whole_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """The list of verbs starts with plan, has them all, and cuts no sentence short."""
    assert run(["--help"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.partition("Commands:\n")[2].splitlines()]
    listed = {words[0]: words[1] for words in lines[: len(VERBS)]}
    assert tuple(listed) == VERBS
    assert all(about.endswith(".") and "..." not in about for about in listed.values())


def test_help_puts_options_under_headings(capsys: pytest.CaptureFixture[str]) -> None:
    """An option stands under the heading of its group."""
    assert run(["plan", "--help"]) == 0
    blocks = dict(block.split(":\n", 1) for block in capsys.readouterr().out.split("\n\n") if ":\n" in block)
    assert "--deadline" in blocks["Goal"]
    assert "--on" in blocks["Where"]
    assert "--fail-if" in blocks["Gates for scripts"]


def test_help_needs_none_of_the_heavy_libraries() -> None:
    """Help and version come without numpy, which takes longer to import than all the rest."""
    code = (
        "import sys; from isocost.cli import run; run(['--help']); run(['--version']);"
        "assert 'numpy' not in sys.modules, sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert isocost.__version__ in done.stdout


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    """A failed write leaves the old file and no other; a good one replaces it and keeps its permissions."""
    path = tmp_path / "plan.json"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o640)
    with pytest.raises(UnicodeEncodeError):
        file._replace(path, "half \ud800")
    assert path.read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["plan.json"]
    assert run(["model", "gpt2", "-o", str(path)]) == 0
    assert json.loads(path.read_text(encoding="utf-8"))["name"] == "gpt2"
    assert path.stat().st_mode & 0o777 == 0o640


def test_the_name_of_the_file_says_the_format(tmp_path: Path) -> None:
    """Without --format, .csv is CSV; with it, the flag wins."""
    path = tmp_path / "flop.csv"
    assert run(["model", "gpt2", "-o", str(path)]) == 0
    assert path.read_text(encoding="utf-8").startswith("operator,")
    assert run(["model", "gpt2", "-o", str(path), "--format", "md"]) == 0
    assert path.read_text(encoding="utf-8").startswith("**gpt2")


def test_a_link_is_written_through(tmp_path: Path) -> None:
    """Writing to a symbolic link replaces the file it points to, and the link stays."""
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_text("old", encoding="utf-8")
    link.symlink_to(target)
    assert run(["model", "gpt2", "-o", str(link)]) == 0
    assert link.is_symlink()
    assert json.loads(target.read_text(encoding="utf-8"))["name"] == "gpt2"


def test_a_defect_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An unexpected exception is exit code 3 and one line that says how to report it."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr("isocost.verbs.model.ask.load_model", broken)
    monkeypatch.delenv("ISOCOST_DEBUG", raising=False)
    assert run(["model", "gpt2"]) == 3
    err = capsys.readouterr().err
    assert err.startswith("isocost: internal error: ZeroDivisionError: division by zero at test_cli.py:")
    assert "report this line" in err
    assert err.count("\n") == 1


def test_interruption_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C is exit code 130 and a clean line."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("isocost.verbs.model.ask.load_model", interrupted)
    assert run(["model", "gpt2"]) == 130
    assert capsys.readouterr().err.strip() == "isocost: interrupted"


def test_a_signal_leaves_no_traceback() -> None:
    """SIGINT in the middle of a search, which here never ends by itself, leaves with 130 and one line."""
    code = """
import sys
from isocost.verbs.plan import ask
from isocost.cli import main

search = ask.search

def over_and_over(*question):
    print("searching", flush=True)
    while True:
        search(*question)

ask.search = over_and_over
sys.argv = ["isocost", "plan", "examples/llama-3.1-70b.toml"]
main()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "searching\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "isocost: interrupted\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    """``isocost ... | head -1`` ends quietly."""
    command = f"{sys.executable} -m isocost catalog list offers --format json | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "{\n"
    assert done.stderr == ""


def test_colour_only_on_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence is bold on a terminal, and plain with NO_COLOR, on a dumb terminal, in a pipe, and in JSON."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert output.bold_lead("answer\nrest") == "answer\nrest"
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert output.bold_lead("answer\nrest") == "\033[1manswer\033[0m\nrest"
    assert output.bold_lead("a long\nanswer\n\nrest\n") == "\033[1ma long\nanswer\033[0m\n\nrest\n"
    assert output.bold_lead("id\n--\nx\n") == "\033[1mid\033[0m\n--\nx\n"
    assert output.bold_lead("{\n}") == "{\n}"
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.bold_lead("answer\nrest") == "answer\nrest"
