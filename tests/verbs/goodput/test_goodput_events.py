"""Own events narrow the published prior; a file of events is refused once, with every fault."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from isocost.cli import run
from isocost.errors import InputError
from isocost.reliability import Conditions, RunShape, goodput, inputs_of
from isocost.reliability.posterior import narrow, read_events

ROOT = Path(__file__).parents[3]
HEADER = "start,end,node,cause\n"


def _file(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "events.csv"
    path.write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_events_narrow_the_rate(tmp_path: Path) -> None:
    """Twelve stops in 30 days on 128 nodes: the interval shrinks around 3.1 per 1000 node-days and holds it."""
    lines = [f"2026-03-{day:02d}T10:00,2026-03-{day:02d}T10:30,node{day},gpu" for day in range(1, 25, 2)]
    found = narrow(read_events(_file(tmp_path, *lines)), nodes=128, days=30)
    low, middle, high = found.interval()
    assert found.events == 12
    assert found.node_days == pytest.approx((30 - 12 * 30 / 1440) * 128)
    assert found.mean_recovery_s == 1800.0
    assert low < 12 / found.node_days < high
    assert high - low < 0.4 * (found.prior.quantile(0.9) - found.prior.quantile(0.1))
    shape = found.prior.shape + 12
    assert found.total.mean == pytest.approx(shape / (found.prior.node_days + found.node_days))
    assert middle == pytest.approx(found.total.mean, rel=0.05)


def test_causes_add_up_to_the_total(tmp_path: Path) -> None:
    """Posterior rates by cause sum to the total; what was seen rises, what was not falls; operators are no failures."""
    lines = ["2026-03-01T10:00,2026-03-01T10:30,a,hbm", "2026-03-02T10:00,2026-03-02T10:30,a,hbm",
             "2026-03-03T10:00,2026-03-03T10:10,,operator"]  # fmt: skip
    found = narrow(read_events(_file(tmp_path, *lines)), nodes=64, days=30)
    assert found.events == 2
    assert sum(gamma.mean for gamma in found.by_cause.values()) == pytest.approx(found.total.mean, rel=1e-12)
    assert found.by_cause["gpu"].mean < found.prior.mean * 190 / 419
    assert found.by_cause["hbm"].mean > found.by_cause["host"].mean


def test_no_event_is_evidence() -> None:
    """A year without an event on 100 nodes means a low rate."""
    found = narrow((), nodes=100, days=365)
    assert found.total.quantile(0.9) < 1e-4
    assert np.isnan(found.mean_recovery_s)


def test_a_posterior_feeds_the_plan() -> None:
    """The narrowed rate takes the place of the prior in the inputs of a plan."""
    plan = RunShape(
        chip="any", gpus=1024, gpus_per_node=8, step_s=5.0, steps=250_000, tokens=1e12, params=8e10,
        param_state_bytes=12.5,
    )  # fmt: skip
    calm = narrow((), nodes=100, days=365).total
    prior, own = (goodput(inputs_of(plan, Conditions(node_rate=rate), {}).inputs) for rate in (None, calm))
    assert own.interruptions < 0.1 * prior.interruptions
    assert own.wall_s < prior.wall_s


def test_every_fault_of_a_file_is_listed(tmp_path: Path) -> None:
    """Reversed, overlapping and unreadable times and an unknown cause: four problems, each with its line and fix."""
    path = _file(
        tmp_path,
        "2026-03-01T10:00,2026-03-01T09:00,a,gpu",
        "2026-03-02T10:00,2026-03-02T12:00,b,nic",
        "2026-03-02T11:00,2026-03-02T13:00,b,nic",
        "2026-03-02T11:00,2026-03-02T13:00,c,gppu",
        "yesterday,2026-03-02T13:00,c,gpu",
    )
    with pytest.raises(InputError) as caught:
        read_events(path)
    text = str(caught.value).replace(str(path), "events.csv").splitlines()
    assert len(text) == 4
    assert any(line.startswith("events.csv:2: end: '2026-03-01T09:00:00' is before start") for line in text)
    assert any(
        line.startswith("events.csv:4: start:") and "overlaps line 3, where node b is down" in line for line in text
    )
    assert any("'gppu' is unknown" in line and "did you mean gpu?" in line for line in text)
    assert any(line.startswith("events.csv:6: start: 'yesterday' is not a time") for line in text)


@pytest.mark.parametrize(
    ("header", "message"), [("begin,end\n", "lacks the column start"), ("", "lacks the column start, end")]
)
def test_a_file_without_its_columns_is_refused(tmp_path: Path, header: str, message: str) -> None:
    """The columns start and end are needed, and named."""
    with pytest.raises(InputError, match=message):
        read_events(_file(tmp_path, header=header))


def test_other_faults_of_files(tmp_path: Path) -> None:
    """A missing file, bytes that are no text, and times with and without a zone are one-line errors."""
    with pytest.raises(InputError, match="cannot be read"):
        read_events(tmp_path / "none.csv")
    (tmp_path / "odd.csv").write_bytes(b"\xff\xfe\x00start")
    with pytest.raises(InputError, match="is not UTF-8"):
        read_events(tmp_path / "odd.csv")
    mixed = _file(tmp_path, "2026-03-01T10:00,2026-03-01T11:00,a,gpu", "2026-03-02T10:00Z,2026-03-02T11:00Z,a,gpu")
    with pytest.raises(InputError, match="mixes times with and without a zone"):
        read_events(mixed)


def test_the_watched_time_holds_the_events(tmp_path: Path) -> None:
    """Events over nine days cannot have been watched for five; nodes and days are positive; all said at once."""
    lines = ["2026-03-01T10:00,2026-03-01T10:30,a,gpu", "2026-03-10T10:00,2026-03-10T10:30,a,gpu"]
    events = read_events(_file(tmp_path, *lines))
    with pytest.raises(InputError) as caught:
        narrow(events, nodes=-1, days=5)
    assert [problem.path for problem in caught.value.problems] == ["nodes", "days"]


def test_events_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command of docs/goodput.md narrows the rate and tells own recovery; a bad file is one error, exit code 2."""
    page = (ROOT / "docs" / "goodput.md").read_text(encoding="utf-8")
    command = next(line for line in page.splitlines() if line.startswith("    isocost goodput ") and "--events" in line)
    words = [str(ROOT / word) if word.startswith("examples/") else word for word in shlex.split(command)[1:]]
    assert run([*words, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    own = narrow(read_events(ROOT / "examples" / "events.csv"), nodes=64, days=70)
    assert found["failures_per_node_day"] == pytest.approx(own.total.quantile(0.5), rel=1e-12)
    assert run(words) == 0
    assert "your stops took 2.58 h each" in capsys.readouterr().out
    bad = _file(tmp_path, "2026-03-01T10:00,2026-03-01T09:00,a,gpu", "2026-03-02T10:00,2026-03-02T12:00,b,nic",
                "2026-03-02T11:00,2026-03-02T13:00,b,nic")  # fmt: skip
    words[words.index("--events") + 1] = str(bad)
    assert run(words) == 2
    said = capsys.readouterr().err
    assert f"{bad}:2: end: '2026-03-01T09:00:00' is before start" in said
    assert f"{bad}:4: start: '2026-03-02T11:00:00' overlaps line 3" in said
