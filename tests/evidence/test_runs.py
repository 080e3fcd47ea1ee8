"""Reading measured runs: the shipped file, faults of rows, faults of files."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from isocost.errors import InputError
from isocost.evidence import columns, contradictions, runs
from isocost.evidence.runs import InvalidRow, MeasuredRun, read_runs

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "evidence" / "training_runs.csv"
MALFORMED = ROOT / "tests" / "malformed"
PEAKS = {"h100-sxm5-80gb": {"bf16": 989.4e12, "fp8": 1978.9e12}}

PRECISIONS = "bf16, fp16, fp8, mxfp8, nvfp4"
SCHEDULES = "none, 1f1b, interleaved, zb-h1, zb-h2, zb-v, dualpipe"

# File -> the rows refused, as (line, id, column, reason).
BAD_ROWS: dict[str, tuple[tuple[int, str, str, str], ...]] = {
    "numbers": (
        (3, "nan", "step_s", "step_s is 'NaN', not a number above 0, at most 10000000"),
        (4, "inf", "step_s", "step_s is '-inf', not a number above 0, at most 10000000"),
        (5, "huge", "step_s", "step_s is '1e300', not a number above 0, at most 10000000"),
        (6, "negative", "peak_mem_gb", "peak_mem_gb is '-60', not a number above 0, at most 1000000"),
        (7, "zero", "gpus", "gpus is '0', not a whole number from 1 to 10000000"),
        (8, "text", "hidden", "hidden is 'four thousand', not a whole number from 1 to 10000000"),
        (9, "unit", "peak_mem_gb", "peak_mem_gb is '60 GB', not a number above 0, at most 1000000"),
        (10, "half", "layers", "layers is '32.5', not a whole number from 1 to 100000"),
        (11, "underscore", "vocab", "vocab is '128_256', not a whole number from 1 to 100000000"),
        (12, "wide-digits", "heads", "heads is '\uff13\uff12', not a whole number from 1 to 1000000"),
        (13, "thousands", "vocab", "vocab is '128,256', not a whole number from 1 to 100000000"),
    ),
    "choices": (
        (3, "precision", "precision", f"precision is 'bf-16', not one of {PRECISIONS} (nearest: bf16)"),
        (4, "outcome", "outcome", "outcome is 'crashed', not one of ran, oom"),
        (5, "flag", "complete", "complete is 'maybe', not true or false"),
        (6, "schedule", "schedule", f"schedule is 'interleave', not one of {SCHEDULES} (nearest: interleaved)"),
    ),
    "contradictions": (
        (3, "product", "gpus", "gpus is 64, but tp 2 x pp 1 x cp 1 x dp 16 = 32"),
        (4, "batch", "global_batch_seqs", "global_batch_seqs is 100, not a multiple of dp 32 x micro_batch 1"),
        (5, "heads", "heads", "heads is 30, not a multiple of tp 4; heads is 30, not a multiple of kv_heads 8"),
        (6, "kv", "heads", "heads is 32, not a multiple of kv_heads 5"),
        (7, "topk", "experts_topk", "experts_topk is 9, more than the 8 experts"),
        (8, "experts-ep", "experts", "experts is 10, not a multiple of ep 4"),
        (9, "ep", "ep", "ep is 128, which does not divide tp x cp x dp = 64"),
        (10, "dense-ep", "ep", "ep is 2, but the model has no experts"),
        (11, "empty-stages", "pp", "pp x vpp makes 64 chunks of 32 layers: some would be empty"),
        (12, "context", "seq_len", "seq_len is 1000, not a multiple of cp 64"),
        (13, "oom-with-time", "step_s", "step_s is 2.5, but the outcome is oom"),
    ),
    "duplicate_ids": (
        (3, "good", "id", "id is the same as on line 2"),
        (4, "good", "id", "id is the same as on line 2"),
        (6, "", "id", "id is blank"),
    ),
    "row_17": (
        (17, "row17", "", "27 cells where the header has 26"),
        (18, "row18", "layers", "3 cells where the header has 26"),
    ),
    "open_quote": ((3, "", "", "a quote is not closed"),),
    "stray_quote": ((3, "", "", "not CSV: ',' expected after '\"'"),),
    "nul": ((3, "", "", "the line holds a NUL byte, so it is not text"),),
    "latin1": ((3, "", "", "byte 4 of the line is not UTF-8"),),
    "header_only": (),
    "extra_columns": (),
    "faster_than_peak": (
        (
            3,
            "fast",
            "step_s",
            "step_s is 0.01 s, faster than the peak: the matrix products alone need 0.4256 s on 64 x h100-sxm5-80gb",
        ),
    ),
}

# File -> the problems of the whole file, after its path.
BAD_FILES: dict[str, tuple[str, ...]] = {
    "empty": (": the file is empty; fix: start with a line of column names",),
    "missing_columns": (
        ":1: column gpus is missing; did you mean gpu?; fix: add the column gpus",
        ":1: column global_batch_seqs is missing; fix: add the column global_batch_seqs",
        ":1: column precision is missing; fix: add the column precision",
    ),
    "repeated_column": (":1: column 'tp' appears 2 times; fix: keep one",),
    "semicolons": (":1: cells are separated by ';'; fix: save the file with commas",),
    "utf16": (
        ":1: the header cannot be read: the line holds a NUL byte, so it is not text; fix: save the file as CSV, UTF-8",
    ),
    "not_csv": (
        ":1: the header cannot be read: byte 1 of the line is not UTF-8; fix: save the file as CSV, UTF-8",
    ),
}  # fmt: skip

GOOD = {
    "id": "a", "accelerator": "h100-sxm5-80gb", "gpus": "64", "layers": "32", "hidden": "4096", "heads": "32",
    "vocab": "128256", "ffn_hidden": "14336", "seq_len": "8192", "global_batch_seqs": "128", "micro_batch": "1",
    "tp": "2", "pp": "1", "precision": "bf16", "step_s": "2.5",
}  # fmt: skip


def _write(path: Path, *rows: dict[str, str]) -> Path:
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, *([row.get(name, "") for name in names] for row in rows)]
    path.write_text("".join(",".join(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", BAD_ROWS)
def test_bad_rows_are_named_and_the_others_used(name: str) -> None:
    """Every refused row is reported with line, id, column and reason; every other row is read."""
    path = MALFORMED / f"runs_{name}.csv"
    table = read_runs(path, peaks=PEAKS)
    assert table.invalid == tuple(
        InvalidRow(line=line, id=id_, column=column, reason=reason) for line, id_, column, reason in BAD_ROWS[name]
    )
    physical_rows = path.read_bytes().count(b"\n") - 1
    assert len(table.runs) + len(table.invalid) == physical_rows


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_not_in_the_format_is_one_error(name: str) -> None:
    """A file without a readable, whole header raises InputError with all its problems."""
    path = MALFORMED / f"runs_{name}.csv"
    with pytest.raises(InputError) as caught:
        read_runs(path)
    assert str(caught.value) == "\n".join(f"{path}{tail}" for tail in BAD_FILES[name])


def test_the_corpus_is_whole() -> None:
    """Every malformed file has its expected messages and every expectation its file."""
    assert {path.stem.removeprefix("runs_") for path in MALFORMED.glob("runs_*.csv")} == {*BAD_ROWS, *BAD_FILES}


def test_shipped_evidence_is_read_whole() -> None:
    """Each of the 3,061 shipped rows is used, except three that contradict themselves, each named."""
    table = read_runs(SHIPPED)
    assert (len(table.runs), len(table.invalid)) == (3058, 3)
    assert [(bad.line, bad.id, bad.reason) for bad in table.invalid] == [
        (843, "repo-0573", "ep is 64, which does not divide tp x cp x dp = 32"),
        (1124, "repo-1096", "global_batch_seqs is 32, not a multiple of dp 32 x micro_batch 2"),
        (1125, "repo-1097", "global_batch_seqs is 32, not a multiple of dp 32 x micro_batch 2"),
    ]
    younger = (
        "recipe",
        "compiled",
        "cuda_graphs",
        "gradient_precision",
        "tp_overlap",
    )  # columns added to the format after these rows were collected
    assert table.columns == tuple(column.name for column in columns.COLUMNS if column.name not in younger)
    assert (table.ignored_columns, table.warnings) == ((), ())
    complete = [run for run in table.runs if run.complete]
    assert sum(run.outcome == "ran" for run in complete) == 2457
    assert sum(run.outcome == "oom" for run in complete) == 341
    assert all(run.step_s is not None for run in complete if run.outcome == "ran")


def test_shipped_evidence_is_typed() -> None:
    """A row has the types of its columns, and a blank is None."""
    run = read_runs(SHIPPED).runs[0]
    assert (run.line, run.id) == (2, "hagemann23-13b-2048-64g-m-132178")
    assert (run.gpus, run.step_s, run.ffn_gated, run.tied_embeddings) == (64, 26.5395, True, False)
    assert (type(run.gpus), type(run.step_s), type(run.params_b)) == (int, float, float)
    assert (run.fabric, run.experts, run.peak_mem_gb, run.complete) == (None, None, None, True)


def test_partial_rows_are_kept_as_not_complete() -> None:
    """A shipped row that lacks its layout is read and marked not complete."""
    by_id = {run.id: run for run in read_runs(SHIPPED).runs}
    gopher = by_id["gopher-280b"]
    assert (gopher.complete, gopher.tp, gopher.layers) == (False, None, 80)


def test_the_record_has_the_columns_of_the_format() -> None:
    """A measured run has one field per column, in order, after its line; types follow the table of columns."""
    fields = dataclasses.fields(MeasuredRun)
    assert [f.name for f in fields] == ["line", *(column.name for column in columns.COLUMNS)]
    python = {"text": "str", "int": "int", "float": "float", "bool": "bool"}
    always = {"line": "int", "id": "str", "complete": "bool"}
    expected = {column.name: f"{python[column.kind]} | None" for column in columns.COLUMNS} | always
    assert {f.name: f.type for f in fields} == expected


def test_the_documentation_page_is_the_table_of_columns() -> None:
    """docs/evidence-format.md is what the table of columns generates."""
    page = (ROOT / "docs" / "evidence-format.md").read_text(encoding="utf-8")
    assert page == columns.format_page()


def test_a_byte_order_mark_and_crlf_are_read(tmp_path: Path) -> None:
    """A file as spreadsheets save it, with a byte-order mark and CRLF, reads as the plain one does."""
    plain = _write(tmp_path / "plain.csv", GOOD)
    marked = tmp_path / "marked.csv"
    marked.write_bytes(b"\xef\xbb\xbf" + plain.read_bytes().replace(b"\n", b"\r\n"))
    assert read_runs(marked).runs == read_runs(plain).runs
    assert len(read_runs(plain).runs) == 1


def test_a_line_break_inside_quotes_belongs_to_its_cell(tmp_path: Path) -> None:
    """A quoted note may span lines; the rows after it keep their physical line numbers."""
    path = _write(tmp_path / "f.csv", {**GOOD, "notes": '"two\nlines"'}, {**GOOD, "id": "b"})
    table = read_runs(path)
    assert [(run.line, run.notes) for run in table.runs] == [(2, "two\nlines"), (4, None)]


def test_unknown_columns_are_ignored_aloud() -> None:
    """A column outside the format is listed and warned about with the nearest known name."""
    table = read_runs(MALFORMED / "runs_extra_columns.csv")
    assert table.ignored_columns == ("tpp", "comment")
    assert table.warnings[0] == "column 'tpp' is not part of the format and was ignored (nearest: tp)"
    assert len(table.warnings) == 2


def test_complete_is_worked_out_where_blank(tmp_path: Path) -> None:
    """A row with all it needs is complete; one that says so without is not, and a warning says which."""
    rows = [GOOD, {**GOOD, "id": "b", "complete": "true", "vocab": ""}, {**GOOD, "id": "c", "complete": "false"}]
    table = read_runs(_write(tmp_path / "f.csv", *rows))
    assert [run.complete for run in table.runs] == [True, False, False]
    assert len(table.warnings) == 1
    assert table.warnings[0].startswith("1 rows say complete but lack one of accelerator, gpus,")
    assert table.warnings[0].endswith("(first: line 3)")


def test_all_bad_cells_of_a_row_are_reported_at_once(tmp_path: Path) -> None:
    """A row with two bad cells names both; the column is the first."""
    table = read_runs(_write(tmp_path / "f.csv", {**GOOD, "gpus": "many", "precision": "int4"}))
    (bad,) = table.invalid
    assert bad.column == "gpus"
    assert bad.reason == (
        "gpus is 'many', not a whole number from 1 to 10000000; "
        f"precision is 'int4', not one of {PRECISIONS}"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("half", "shard_group is 'half', not a whole number or all"),
        ("128", "shard_group is '128', not from 1 to the 64 gpus"),
        ("9" * 5000, None),
    ],
)
def test_a_shard_group_is_a_count_or_all(tmp_path: Path, value: str, reason: str | None) -> None:
    """A shard group that is neither a count of GPUs nor "all" is refused, whatever its length."""
    (bad,) = read_runs(_write(tmp_path / "f.csv", {**GOOD, "shard_group": value})).invalid
    assert bad.column == "shard_group"
    assert reason is None or bad.reason == reason


def test_the_least_work_of_a_step_is_counted_by_hand(tmp_path: Path) -> None:
    """least_step_flop is 6 x (attention + gated feed-forward + head weights) x tokens; 4 x with frozen weights."""
    row = {**GOOD, "kv_heads": "8", "head_dim": "128", "ffn_gated": "true", "attention": "full", "kind": "pretrain"}
    full, lora = read_runs(_write(tmp_path / "f.csv", row, {**row, "id": "b", "kind": "lora"})).runs
    # Llama-3-8B: 32 x (2 x 4096 x (4096 + 1024) + 3 x 4096 x 14336) + 4096 x 128256 weights, 128 x 8192 tokens.
    weights = 32 * (41_943_040 + 176_160_768) + 525_336_576
    assert contradictions.least_step_flop(full) == 6 * weights * 128 * 8192
    assert contradictions.least_step_flop(lora) == 4 * weights * 128 * 8192


def test_a_precision_without_a_peak_is_held_to_the_fastest(tmp_path: Path) -> None:
    """A row whose precision has no peak of its own is judged by the chip's fastest, so it is never refused wrongly."""
    row = {**GOOD, "precision": "mxfp8", "step_s": "0.25"}
    table = read_runs(_write(tmp_path / "f.csv", row, {**row, "id": "b", "precision": "bf16"}), peaks=PEAKS)
    assert [run.id for run in table.runs] == ["a"]
    assert [bad.id for bad in table.invalid] == ["b"]


def test_a_missing_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    """A path that is not a regular file is an InputError that names it."""
    with pytest.raises(InputError) as caught:
        read_runs(tmp_path / "no.csv")
    assert str(caught.value) == f"{tmp_path / 'no.csv'}: there is no such file; fix: check the path"
    with pytest.raises(InputError) as caught:
        read_runs(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a folder, not a file of runs; fix: name the CSV file in it"
    with pytest.raises(InputError, match="cannot be read"):
        read_runs("a\0b")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    """A path that would block on opening is refused."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is not a regular file"):
        read_runs(tmp_path / "pipe")


def test_a_file_above_the_size_limit_is_refused_unread(tmp_path: Path) -> None:
    """A file larger than the limit is refused by its size alone."""
    path = tmp_path / "large.csv"
    with path.open("wb") as stream:
        stream.truncate(runs.MAX_FILE_BYTES + 1)  # sparse: takes no space
    with pytest.raises(InputError, match="is 500 MB, too large to be a table of runs; allowed: at most 500 MB"):
        read_runs(path)


def test_a_line_without_end_costs_one_row(tmp_path: Path) -> None:
    """A line longer than any row is skipped and reported; the rows after it are read."""
    path = _write(tmp_path / "f.csv", GOOD)
    with path.open("ab") as stream:
        stream.write(b"," * (3 * runs.MAX_LINE_BYTES) + b"\n")
    with path.open("a", encoding="utf-8") as stream:
        stream.write(",".join({**GOOD, "id": "b"}.values()) + "\n")
    table = read_runs(path)
    assert [(run.line, run.id) for run in table.runs] == [(2, "a"), (4, "b")]
    assert [(bad.line, bad.reason) for bad in table.invalid] == [(3, "the line is longer than 1,000,000 bytes")]


def test_too_many_rows_or_columns_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row and column counts are bounded, so that memory is."""
    monkeypatch.setattr(runs, "MAX_ROWS", 2)
    path = _write(tmp_path / "f.csv", *({**GOOD, "id": str(i)} for i in range(3)))
    with pytest.raises(InputError, match="more than 2 rows; fix: split the file"):
        read_runs(path)
    wide = tmp_path / "wide.csv"
    wide.write_text(",".join(f"c{i}" for i in range(1001)) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="has 1,001 columns; allowed: at most 1,000"):
        read_runs(wide)


def test_the_documentation_page_can_be_written_by_command() -> None:
    """``python -m isocost.evidence.columns`` prints the page."""
    done = subprocess.run(
        [sys.executable, "-m", "isocost.evidence.columns"], capture_output=True, check=True, encoding="utf-8"
    )
    assert done.stdout == columns.format_page()
