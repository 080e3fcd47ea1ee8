"""Readers: every format gives the truth it was written with, whatever the file went through."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from samples.measure_logs import FIRST_S, LOGS, STEP_S, STEPS, megatron, megatron_2021, torchtitan

from isocost.errors import InputError
from isocost.measure import Reading, read_log, summarise
from isocost.measure.logs.readers import READERS
from isocost.verbs.doctor.of_log import LogExamination

TIMED = sorted(LOGS.keys() - {"hf_trainer", "trainer_state"})
WITH_TIME_PRINTED = sorted(set(TIMED) - {"torchtitan"})
TOKENS = ("torchtitan", "maxtext", "nanotron", "composer", "olmo_core", "jsonl", "csv")
TFLOPS = ("torchtitan", "megatron", "megatron_bridge", "maxtext", "nanotron")
MFU = ("torchtitan", "composer", "olmo_core")


def _write(folder: Path, text: str | bytes, name: str = "train.log") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def _step_s(reading: Reading) -> float:
    found = summarise(reading).step_s
    assert found is not None
    return found.median


def test_every_reader_has_a_log() -> None:
    """No format is without a log here."""
    assert {name for name, _ in LOGS.values()} == set(READERS)


@pytest.mark.parametrize("name", sorted(LOGS))
def test_the_format_is_found(name: str, tmp_path: Path) -> None:
    """The format is found, every step is a record, and naming the format gives the same."""
    path = _write(tmp_path, LOGS[name][1])
    reading = read_log(path)
    assert (reading.format, len(reading.records), dict(reading.dropped)) == (LOGS[name][0], STEPS, {})
    assert list(read_log(path, format_of=reading.format).records) == list(reading.records)


@pytest.mark.parametrize("name", WITH_TIME_PRINTED)
def test_times_are_the_printed_ones(name: str, tmp_path: Path) -> None:
    """The printed step time is read in seconds, and the steady one is its median."""
    reading = read_log(_write(tmp_path, LOGS[name][1]))
    summary = summarise(reading)
    assert summary.step_s is not None
    assert (summary.step_s.low, summary.step_s.median, summary.step_s.high) == (STEP_S, STEP_S, STEP_S)
    assert (summary.steps_seen, summary.steps_used, dict(summary.dropped)) == (30, 29, {"warm-up": 1})
    assert summary.buckets["start_up_s"] == pytest.approx(FIRST_S - STEP_S, rel=1e-3)  # some print three digits


@pytest.mark.parametrize("name", TIMED)
def test_other_values_are_the_printed_ones(name: str, tmp_path: Path) -> None:
    """Loss, throughput, TFLOP/s and MFU have the units of a record."""
    last = read_log(_write(tmp_path, LOGS[name][1])).records[-1]
    assert last.loss == (None if name == "deepspeed" else 3.0)  # the engine does not print it
    assert last.tokens_per_s_per_gpu == (1000.0 if name in TOKENS else None)
    assert last.tflops_per_gpu == pytest.approx(71.4, abs=0.04) if name in TFLOPS else last.tflops_per_gpu is None
    assert last.mfu == (0.229 if name in (*MFU, "nanogpt") else None)


def test_torchtitan_in_full(tmp_path: Path) -> None:
    """A torchtitan line has step, loss, memory, rates, rank, line and time; the step time is between the lines."""
    reading = read_log(_write(tmp_path, "noise\n" + LOGS["torchtitan"][1]))
    record = reading.records[1]
    assert (record.step, record.rank, record.line, record.loss) == (2, 0, 3, 3.0)
    assert record.memory_bytes == pytest.approx(24.1 * 2**30, rel=1e-6)
    assert record.time_stamp == 1769860808.5  # 2026-01-31 12:00:08.5 UTC
    summary = summarise(reading)
    assert summary.timed_by == "time between lines"
    assert summary.step_s is not None
    assert summary.step_s.median == STEP_S
    assert summary.printed_peak_flop_per_s == pytest.approx(71.43e12 / 0.229, rel=1e-6)
    assert summary.printed_flop_per_token == pytest.approx(71.43e9, rel=1e-6)


@pytest.mark.parametrize(
    "line",
    [
        "step:  1  loss: 12.24000  memory:  1.00GiB(2.00%)  wps: 1,234  mfu: 12.00%\n",
        "step:  1  loss: 12.24000  grad_norm:  nan  memory:  1.00GiB(2.00%)  tps: 1,234  tflops: 5.00  mfu: N/A\n",
    ],
)
def test_torchtitan_old_and_new(line: str, tmp_path: Path) -> None:
    """Fields that a version lacks, and N/A, are unknown; the rest is read."""
    record = read_log(_write(tmp_path, line)).records[0]
    assert (record.step, record.tokens_per_s_per_gpu, record.loss) == (1, 1234.0, 12.24)
    assert record.mfu == (None if "N/A" in line else 0.12)


def test_validation_is_no_step(tmp_path: Path) -> None:
    """torchtitan's validation line looks like a step; it is counted, and marks an evaluation."""
    line = torchtitan(7).replace("step:  7", "validate step:  7")
    text = torchtitan(7) + line + torchtitan(8)
    reading = read_log(_write(tmp_path, text))
    assert ([record.step for record in reading.records], dict(reading.dropped)) == ([7, 8], {"validation": 1})
    assert [(mark.kind, mark.line, mark.step) for mark in reading.marks] == [("evaluation", 2, 7)]


def test_hf_trainer_from_its_bar(tmp_path: Path) -> None:
    """Steps and times of the Trainer come from the bar; bars of other ranks are counted and left aside."""
    text = LOGS["hf_trainer"][1]
    bars = "".join(line for line in text.splitlines(keepends=True) if "it]" in line)
    reading = read_log(_write(tmp_path, text + "\n" + bars))
    assert reading.dropped == {"same step on another rank's progress bar": STEPS}
    assert [record.loss for record in reading.records if record.loss is not None] == [3.0, 3.0, 3.0]
    summary = summarise(reading)
    assert summary.step_s is not None
    assert summary.step_s.median == 20.0


def test_hf_trainer_without_times(tmp_path: Path) -> None:
    """trainer_state.json has no time of a step: the mean of the run without its evaluations, and a note."""
    summary = summarise(read_log(_write(tmp_path, LOGS["trainer_state"][1])))
    assert summary.step_s is not None
    assert summary.step_s.median == (70.0 - 6.0) / 30
    assert (summary.steps_used, summary.timed_by, summary.derived) == (0, "mean of the run, derived", True)
    assert "mean of the whole run" in summary.notes[0]


def test_a_cut_trainer_state_gives_what_it_has(tmp_path: Path) -> None:
    """Entries before the cut are read, and the cut is said."""
    text = LOGS["trainer_state"][1]
    reading = read_log(_write(tmp_path, text[: text.index('"step": 12')]))
    assert [record.step for record in reading.records] == list(range(1, 12))
    assert reading.notes == ("the file is cut off; the entries before the cut were read",)


def test_dlll_that_is_garbled_is_counted(tmp_path: Path) -> None:
    """A JSON line that does not parse, or lacks its step, is counted."""
    text = LOGS["dlll"][1] + 'DLLL {"step": 31, "data": {"train_step_timing in s": 2.0\n'
    assert read_log(_write(tmp_path, text)).dropped == {"cut off or garbled": 1}


def test_a_column_map(tmp_path: Path) -> None:
    """A table with names of its own is read through a map; an unknown key is refused with what is allowed."""
    path = _write(tmp_path, "it;dt;note\n1;5000;a\n2;2000;b\nx;2000;c\n3;2000\n", "own.csv")
    with pytest.raises(InputError, match="no line that looks like a training step"):
        read_log(path)
    reading = read_log(path, "csv", {"step": "it", "step_ms": "dt"})
    assert [(record.step, record.step_s) for record in reading.records] == [(1, 5.0), (2, 2.0)]
    assert reading.dropped == {"no step number in the row": 1, "cut off or garbled": 1}
    with pytest.raises(InputError, match="did you mean step_ms"):
        read_log(path, "csv", {"step_msec": "dt"})


def test_header_facts(tmp_path: Path) -> None:
    """Degrees, batch, sequence length and parameters are read where the header states them, rank noise around them."""
    head = (
        "using world size: 64, data-parallel-size: 1, tensor-model-parallel size: 4\n"
        "  virtual_pipeline_model_parallel_size ............ None\n  decoder_seq_length "
        ".............................. None\n"
        "  pipeline_model_parallel_size .................... 16\n  tensor_model_parallel_size "
        "...................... 4\n"
        "  global_batch_size ............................... 8\n  seq_length "
        "...................................... 1024\n"
        "[titan] Model llama3 70B size: 70,553,706,496 total parameters\n"
    )
    reading = read_log(_write(tmp_path, head + LOGS["megatron_2021"][1]))
    assert reading.facts == {
        "gpus": 64.0, "tp": 4.0, "pp": 16.0, "dp": 1.0, "global_batch": 8.0, "seq_len": 1024.0,
        "parameters": 70553706496.0,
    }  # fmt: skip
    rate = summarise(reading).tokens_per_s_per_gpu
    assert rate is not None
    assert rate.median == 8 * 1024 / 64 / STEP_S


def test_names_that_are_not_known_are_told(tmp_path: Path) -> None:
    """A logger's "train/" in front changes no name; where no step time is found, the names are there to be mapped."""
    rows = [{"train/step": n, "train/step_time_ms": 2000, "lr": 1e-4} for n in range(1, 11)]
    reading = read_log(_write(tmp_path, "\n".join(map(json.dumps, rows))))
    assert (_step_s(reading), reading.unknown) == (2.0, ("lr",))
    other = [{"step": n, "dur": 2000, "loss": 3.0, "lr": 1e-4} for n in range(1, 11)]
    path = _write(tmp_path, "\n".join(map(json.dumps, other)))
    report = LogExamination(str(path), read_log(path), summarise(read_log(path))).to_dict()
    assert "--columns step_s=NAME: dur, lr are not known" in report["unknown"][0]
    assert _step_s(read_log(path, columns={"step_ms": "dur"})) == 2.0
    with pytest.raises(InputError, match="--columns step_s=NAME: dur are not known"):
        read_log(_write(tmp_path, '{"step": 1, "dur": 2000}\n'))


def test_the_memory_of_megatron_is_that_of_the_fullest_rank(tmp_path: Path) -> None:
    """Every rank prints its memory in MiB; a line that another broke into does not count; memory alone is no step."""
    lines = [
        f"[Rank {rank}] (after 10 iterations) memory (MB) | allocated: 9.5 | max allocated: 20000.25 | reserved: 1.0 | "
        f"max reserved: {reserved}\n"
        for rank, reserved in enumerate((99738.0, 20344.5, 19000.0))
    ]
    lines[0] = lines[0].rstrip() + "[Rank 3] (after\n"  # two ranks wrote at once
    path = _write(tmp_path, LOGS["megatron"][1] + lines[1] + lines[2] + lines[0])
    assert summarise(read_log(path)).memory_bytes == 20344.5 * 2**20
    with pytest.raises(InputError, match="no usable step"):
        read_log(_write(tmp_path, "".join(lines)), "megatron")


@pytest.mark.parametrize("name", ["torchtitan", "megatron", "hf_trainer"])
@pytest.mark.parametrize("how", ["utf-16", "utf-16-le", "utf-8-sig", "gzip", "crlf", "ansi", "nul"])
def test_the_file_may_have_gone_through_anything(name: str, how: str, tmp_path: Path) -> None:
    """Encodings, compression, line ends, colours and NUL bytes change nothing in the records."""
    text = LOGS[name][1]
    plain = read_log(_write(tmp_path, text, "plain.log"))
    if how == "gzip":
        data = gzip.compress(text.encode())
    elif how == "crlf":
        data = text.replace("\n", "\r\n").encode()
    elif how == "ansi":
        data = text.replace("step:", "\x1b[31mstep:\x1b[39m").replace("loss", "\x1b[0;32mloss\x1b[0m").encode()
    elif how == "nul":
        data = b"\x00" * 5000 + b"\n" + text.encode()
    else:
        data = text.encode(how)
    found = read_log(_write(tmp_path, data, "other.log"))
    shift = 1 if how == "nul" else 0
    assert [(r.step, r.step_s, r.time_stamp, r.line - shift) for r in found.records] == [
        (r.step, r.step_s, r.time_stamp, r.line) for r in plain.records
    ]


def test_a_cut_gzip_gives_what_it_has(tmp_path: Path) -> None:
    """The steps before the cut are read, the cut line is counted, and the cut is said."""
    data = gzip.compress("".join(megatron_2021(step, 2.0 + step % 7 / 10) for step in range(1, 2001)).encode())
    reading = read_log(_write(tmp_path, data[: len(data) // 2], "cut.log.gz"))
    assert 500 < len(reading.records) < 1500
    assert [record.step for record in reading.records] == list(range(1, len(reading.records) + 1))
    assert reading.notes == ("the gzip file is cut off; what comes before the cut was read",)


def test_a_line_that_is_cut_off_is_counted(tmp_path: Path) -> None:
    """A truncated log ends in a step that is counted, not used, and two steps glued into a line are two."""
    whole = megatron(1, 6.0) + megatron(2, 2.0).rstrip("\n") + megatron(3, 2.0)
    reading = read_log(_write(tmp_path, whole + megatron(4, 2.0)[:90]))
    assert [record.step for record in reading.records] == [1, 2, 3]
    assert reading.dropped == {"cut off or garbled": 1}


@pytest.mark.parametrize("named", [True, False])
def test_128_ranks_on_one_file(named: bool, tmp_path: Path) -> None:
    """Ranks that interleave out of order give one rank's steps; the rest is counted."""
    lines = [
        torchtitan(step + (rank % 3 == 0), rank if named else None) for step in range(1, STEPS) for rank in range(128)
    ]
    summary = summarise(read_log(_write(tmp_path, "".join(lines))))
    assert summary.restarts == 0
    assert summary.steps_seen == 29 * 128
    assert summary.dropped["another rank"] > 29 * 126
    assert summary.step_s is not None
    assert summary.step_s.median == STEP_S


def test_lines_longer_than_a_block(tmp_path: Path) -> None:
    """Steps around a line of several blocks are all read, with their line numbers."""
    text = megatron_2021(1, 2.0) + "x" * (1 << 24) + "\n" + megatron_2021(2, 2.0)
    reading = read_log(_write(tmp_path, text))
    assert [record.step for record in reading.records] == [1, 2]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"hello\n" * 10, "no line that looks like a training step in 10 lines"),
        (bytes(range(256)) * 400, "is not text"),
        (gzip.compress(b"")[:10], "is empty .the gzip file is cut off"),
        (b"\x1f\x8bgarbage", "the gzip file is damaged"),
        (b'{"a":' * 100_000, "no line that looks like a training step"),
    ],
    ids=["empty", "no step", "binary", "cut gzip", "damaged gzip", "bomb"],
)
def test_what_cannot_be_read_is_one_message(data: bytes, said: str, tmp_path: Path) -> None:
    """Nothing readable is one problem that says why."""
    with pytest.raises(InputError, match=said) as error:
        read_log(_write(tmp_path, data))
    assert len(error.value.problems) == 1


def test_a_json_bomb_line_is_counted(tmp_path: Path) -> None:
    """A line nested beyond reason does not stop the lines around it."""
    bomb = '{"step": ' + "[" * 200_000 + "\n"
    reading = read_log(_write(tmp_path, LOGS["jsonl"][1] + bomb, "a.jsonl"))
    assert (len(reading.records), dict(reading.dropped)) == (STEPS, {"cut off or garbled": 1})


def test_a_wrong_format_name_is_refused(tmp_path: Path) -> None:
    """A name that is no format is answered with the nearest, a wrong one with what was not found."""
    path = _write(tmp_path, LOGS["megatron"][1])
    with pytest.raises(InputError, match="did you mean megatron"):
        read_log(path, "megatronn")
    with pytest.raises(InputError, match="no usable step of the format maxtext"):
        read_log(path, "maxtext")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_log(tmp_path / "none.log")


@pytest.mark.parametrize("name", ["torchtitan", "maxtext", "nanogpt"])
def test_blocks_of_steps_alone_are_read_as_line_by_line(name: str, tmp_path: Path) -> None:
    """The quick way of reading lines that differ in nothing but numbers gives what the pattern gives."""
    numbers = [(step, 2.0 + step % 7 / 3.0) for step in range(990, 1200)]
    lines = {
        "torchtitan": [
            f"[rank{step % 12}]:[titan] 2026-01-31 12:{step % 60:02}:07,{step % 1000:03} - "
            f"torchtitan.tools.metrics - INFO - "
            f"step: {step:2}  loss: {time:8.5f}  grad_norm:  1.25  memory: {time * 10:5.2f}GiB(3.4%)  tps: "
            f"{step * 9:,}  "
            f"tflops: {time * 600:,.2f}  mfu: {time * 10:.2f}%\n"
            for step, time in numbers
        ],
        "maxtext": [
            f"completed step: {step}, seconds: {time:.3f}, TFLOP/s/device: {time * 99:.3f}, Tokens/s/device: "
            f"{time * 9999:.3f}, total_weights: {step}, loss: {time:.3f}\n"
            for step, time in numbers
        ],
        "nanogpt": [
            f"iter {step}: loss {time:.4f}, time {time * 1e3:.2f}ms, mfu {time * 9:.2f}%\n" for step, time in numbers
        ],
    }[name]
    quick = read_log(_write(tmp_path, "".join(lines), "quick.log")).records
    slow = read_log(_write(tmp_path, "x 1\n" + "".join(lines), "slow.log")).records
    assert [(r.step, r.line) for r in quick] == [(r.step, r.line - 1) for r in slow]
    for column in (
        "loss",
        "step_s",
        "tokens_per_s_per_gpu",
        "tflops_per_gpu",
        "mfu",
        "memory_bytes",
        "time_stamp",
        "rank",
    ):
        assert [getattr(r, column) for r in quick] == [getattr(r, column) for r in slow], column
    assert [r.step for r in quick] == [step for step, _ in numbers]
