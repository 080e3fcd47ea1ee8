"""The GPU probe without PyTorch: its plan, its rows, its files and its command line."""

import importlib
import json
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from isocost.evidence.columns import BY_NAME, REQUIRED
from isocost.evidence.runs import read_runs

ROOT = Path(__file__).parents[2]
probe = importlib.import_module("isocost.measure.probe.run")
probe_plan = importlib.import_module("isocost.measure.probe.plan")
probe_rows = importlib.import_module("isocost.measure.probe.rows")

SITE = probe_rows.Site(
    accelerator="h100-sxm5-80gb", source="a site", year=2026, torch_version="2.9", device_type="cuda",
    attention_kernel="flash2",
)  # fmt: skip
RAN = probe_rows.Measurement(
    steps_s=(0.5, 0.25, 0.75), warmup_s=(9.0,), step_s=0.5, peak_allocated_bytes=2_000_000_000,
    peak_reserved_bytes=3_000_000_000,
)  # fmt: skip
OOM = probe_rows.Measurement(out_of_memory=True)
TINY = tuple(probe_plan.TINY_SHAPES)
CASE = probe_plan.Case(shape=probe_plan.SHAPES["llama-3-8b"], setting=probe_plan.SETTINGS[0])


@pytest.mark.parametrize(
    ("name", "seq_len", "published"),
    [
        ("smollm-135m", 2048, 134_515_008),
        ("tinyllama-1.1b", 2048, 1_100_048_384),
        ("llama-3.2-1b", 2048, 1_235_814_400),
        ("llama-3.2-3b", 2048, 3_212_749_824),
        ("llama-3-8b", 2048, 8_030_261_248),
        ("llama-2-7b", 2048, 6_738_415_616),
        ("mixtral-8x7b", 2048, 46_702_792_704),
        ("deepseek-moe-16b", 2048, 16_375_728_128),
        ("gpt2-124m", 1024, 124_439_808 + 47 * 768),  # vocabulary padded by 47
        ("gpt2-xl", 1024, 1_557_611_200 + 47 * 1600),
        ("olmoe-1b-7b", 2048, 6_919_161_856 - 16 * 2 * 2048),  # without the norms of queries and keys
        ("qwen3-30b-a3b", 2048, 30_532_122_624 - 48 * 2 * 128),
    ],
)
def test_shapes_are_the_published_models(name: str, seq_len: int, published: int) -> None:
    """At full depth a shape has the parameters of its published model, but for what the README says is left out."""
    assert probe_plan.SHAPES[name].params(seq_len) == published


@pytest.mark.parametrize("memory_bytes", [24e9, 80e9, 141e9, 288e9])
def test_layers_are_cut_to_the_memory(memory_bytes: float) -> None:
    """States take at most their share of the device, and one more layer would take more."""
    for shape in probe_plan.SHAPES.values():
        cut = probe_plan.reduced(shape, memory_bytes)
        if isinstance(cut, probe_plan.Skip):
            deep = replace(shape, layers=shape.dense_layers + 1)
        else:
            assert 18 * cut.params(16384) <= 0.6 * memory_bytes
            assert replace(cut, layers=shape.layers) == shape
            deep = replace(cut, layers=cut.layers + 1)
        assert deep.layers > shape.full_layers or 18 * deep.params(16384) > 0.6 * memory_bytes


def test_a_model_without_room_is_skipped_with_its_size() -> None:
    """A device too small for one layer gives a reason in gigabytes."""
    cases, skipped = probe_plan.plan(("llama-3-8b",), 24e9)
    # 2 x 128,256 x 4,096 at the ends and 218,112,000 in a layer, at 18 bytes each
    assert cases == []
    assert [skip.reason for skip in skipped] == [
        "weights, gradients and optimizer of its smallest cut take 22.8 GB, more than 60% of the 24.0 GB of the device"
    ]


def test_the_plan_covers_what_it_says() -> None:
    """Lengths 1k to 16k, both launch paths, both precisions, recomputation, several micro-batches; names unique."""
    cases, skipped = probe_plan.plan(tuple(probe_plan.SHAPES), 80e9)
    settings = [case.setting for case in cases]
    assert len({case.name for case in cases}) == len(cases)
    assert {run.seq_len for run in settings} == {1024, 2048, 4096, 8192, 16384}
    assert {(run.precision, run.compiled, run.recompute) for run in settings} == {
        ("bf16", False, "none"), ("bf16", False, "full"), ("bf16", True, "none"), ("bf16", True, "full"),
        ("fp8", False, "none"), ("fp8", True, "none"), ("fp8", True, "full"),
    }  # fmt: skip
    assert {run.micro_batch for run in settings} == {1, 2, 4, 8, 16, 32}
    assert [case.shape.name for case in cases[: len(probe_plan.SHAPES)]] == list(probe_plan.SHAPES)
    assert {skip.reason for skip in skipped} == {
        "experts run as one batched product, which torch._scaled_mm does not offer"
    }


def test_tokens_divide_over_experts() -> None:
    """Forced balance gives every expert the same whole number of tokens in every case of the plan."""
    cases, _ = probe_plan.plan((*probe_plan.SHAPES, *TINY), 288e9)
    visits = [
        (case.setting.micro_batch * case.setting.seq_len * case.shape.experts_topk, case.shape.experts)
        for case in cases
        if case.shape.experts
    ]
    assert len(visits) > 0
    assert [pair for pair in visits if pair[0] % pair[1]] == []


def test_fp8_is_skipped_with_the_reason_of_the_device() -> None:
    """Where fp8 cannot run, its cases are listed with the reason and the others stay."""
    cases, skipped = probe_plan.plan(("llama-3-8b",), 80e9, no_fp8="too old")
    assert {case.setting.precision for case in cases} == {"bf16"}
    assert [skip.reason for skip in skipped] == ["too old"] * 4


def test_columns_belong_to_the_format() -> None:
    """The probe writes columns of the evidence format only, in its order, with all that it requires."""
    assert list(probe_rows.COLUMNS) == [name for name in BY_NAME if name in probe_rows.COLUMNS]
    assert set(REQUIRED) <= set(probe_rows.COLUMNS)


@pytest.mark.parametrize("found", [RAN, OOM, replace(RAN, peak_allocated_bytes=0)], ids=["ran", "oom", "no-memory"])
def test_every_row_of_the_plan_is_read_back(tmp_path: Path, found: object) -> None:
    """Rows of all configurations pass the reader: none invalid, none incomplete, no warning."""
    cases, _ = probe_plan.plan((*probe_plan.SHAPES, *TINY), 141e9)
    recorder = probe_rows.Recorder(tmp_path / "runs.csv", {}, resume=False)
    recorder.out.write_text(
        "\n".join([",".join(probe_rows.COLUMNS), *(_line(probe_rows.evidence_row(c, SITE, found)) for c in cases)])
    )
    table = read_runs(recorder.out)
    assert (table.invalid, table.ignored_columns, table.warnings) == ((), (), ())
    assert [run.complete for run in table.runs] == [True] * len(cases)


def _line(row: dict[str, str]) -> str:
    return ",".join(f'"{cell}"' for cell in row.values())


def test_a_row_says_what_was_measured(tmp_path: Path) -> None:
    """Median, allocated peak, recipe and batch land in their columns with the units of the format."""
    case = replace(CASE, setting=replace(CASE.setting, micro_batch=2, accumulation=4, precision="fp8", compiled=True))
    recorder = probe_rows.Recorder(tmp_path / "runs.csv", {}, resume=False)
    recorder.measured(probe_rows.evidence_row(case, SITE, RAN), {})
    (run,) = read_runs(recorder.out).runs
    assert run.id == "probe-h100-sxm5-80gb-llama-3-8b-32l-s2048-mb2x4-fp8-compiled-recompute-none"
    assert (run.step_s, run.peak_mem_gb, run.memory_definition, run.outcome) == (0.5, 2.0, "allocated", "ran")
    assert (run.global_batch_seqs, run.micro_batch, run.dp) == (8, 2, 1)
    assert (run.precision, run.fp8_recipe, run.norm_kernel, run.attention_kernel) == (
        "fp8", "tensorwise", "fused", "flash2",
    )  # fmt: skip
    assert run.params_b == 8.03026125
    assert run.notes is not None
    assert run.notes.endswith("median of 3 steps after 1 of warm-up; peak reserved 3 GB")


def test_an_eager_rms_norm_is_not_fused() -> None:
    """The norm is fused where it is compiled or LayerNorm, and eager otherwise."""
    eager = probe_rows.evidence_row(CASE, SITE, RAN)
    gpt = probe_rows.evidence_row(replace(CASE, shape=probe_plan.SHAPES["gpt2-xl"]), SITE, RAN)
    assert (eager["norm_kernel"], gpt["norm_kernel"]) == ("eager", "fused")


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-sxm5-80gb"),
        ("NVIDIA H100 PCIe", "h100-pcie-80gb"),
        ("NVIDIA H200", "h200-sxm-141gb"),
        ("NVIDIA GB200", "gb200-nvl72"),
        ("NVIDIA B200", "b200-sxm-180gb"),
        ("NVIDIA A100-SXM4-40GB", "a100-sxm4-40gb"),
        ("NVIDIA A100 80GB PCIe", "a100-pcie-80gb"),
        ("NVIDIA A10", "a10-24gb"),
        ("NVIDIA A10G", "a10g-24gb"),
        ("NVIDIA L4", "l4-24gb"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090-24gb"),
        ("AMD Instinct MI300X", "mi300x"),
    ],
)
def test_known_devices_get_their_catalogue_name(device: str, expected: str) -> None:
    """The driver's name of a device gives its name in the catalogue."""
    assert probe_rows.guess_accelerator(device) == probe_rows.Guess(name=expected, sure=True)


@pytest.mark.parametrize(
    ("device", "name", "hint"),
    [
        ("NVIDIA A100-SXM4-80GB MIG 3g.40gb", "nvidia-a100-sxm4-80gb-mig-3g-40gb", "a100-sxm4-80gb"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "nvidia-geforce-rtx-4090-laptop-gpu", "rtx-4090-24gb"),
        ("NVIDIA H200 NVL", "nvidia-h200-nvl", "h200-sxm-141gb"),
        ("cpu", "cpu", ""),
        ("", "unknown", ""),
    ],
)
def test_other_devices_are_not_taken_for_known_ones(device: str, name: str, hint: str) -> None:
    """A slice, a laptop part or a stranger keeps its own name, with the nearest one as a hint only."""
    assert probe_rows.guess_accelerator(device) == probe_rows.Guess(name=name, sure=False, hint=hint)


def test_guesses_are_in_the_catalogue() -> None:
    """Every name the probe can guess is a name of the shipped catalogue."""
    shipped = tomllib.loads((ROOT / "src/isocost/data/accelerators.toml").read_text(encoding="utf-8"))["accelerator"]
    assert [name for _, name in probe_rows.ACCELERATORS if name not in shipped] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "llama-3-8"], "no model 'llama-3-8'; did you mean llama-3-8b?"),
        (["--models", " , "], "--models is empty; name some, or leave it out"),
        (["--budget-seconds", "0"], "--budget-seconds is 0; it must be above 0"),
        (["--budget-seconds", "nan"], "--budget-seconds is nan; it must be above 0"),
        (["--memory-gb", "-1"], "--memory-gb is -1; it must be above 0"),
        (["--steps", "0"], "--steps is 0; it must be from 1 to 10000"),
        (
            ["--out", "runs.txt"],
            "--out is runs.txt; its name must end in .csv, and the side file goes beside it as .json",
        ),
        (["--out", "nowhere/runs.csv"], "--out is nowhere/runs.csv; its folder must exist and it must be a file"),
    ],
)
def test_mistakes_in_the_call_are_said(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bad option ends with status 2 and one sentence, before anything is written."""
    monkeypatch.chdir(tmp_path)
    assert probe.main(arguments) == 2
    assert capsys.readouterr().err == f"probe: {message}\n"
    assert list(tmp_path.iterdir()) == []


def test_the_plan_is_listed_without_torch(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """--list needs no PyTorch and prints parameters and names in the order of measurement."""
    monkeypatch.setitem(sys.modules, "torch", None)
    assert probe.main(["--list", "--quick"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "   0.057 B  smollm-135m-8l-s2048-mb1x1-bf16-eager-recompute-none"
    assert len(printed) == 15


def test_without_torch_the_probe_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host without PyTorch gets the command that installs it, and no file."""
    monkeypatch.setitem(sys.modules, "torch", None)
    assert probe.main(["--out", str(tmp_path / "runs.csv")]) == 2
    assert capsys.readouterr().err == "probe: needs PyTorch 2.5 or later: pip install 'isocost[torch]'\n"
    assert list(tmp_path.iterdir()) == []


class _BudgetSpentError(Exception):
    pass


class _Device:
    """Stands in for PyTorch and the measuring module: every case takes ten seconds of a clock that only it moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: dict[str, Exception], *, idle: bool = True) -> None:
        self.now_s, self.answers, self.seen = 0.0, answers, []
        fake = ModuleType("isocost.measure.probe.timing")
        fake.BudgetSpentError = _BudgetSpentError  # type: ignore[attr-defined]
        fake.environment = lambda device: {"device": "NVIDIA H200", "torch": "2.9"}  # type: ignore[attr-defined]
        fake.memory_bytes = lambda device: 0  # type: ignore[attr-defined]
        fake.no_fp8_reason = lambda device: "none here"  # type: ignore[attr-defined]
        fake.attention_kernel = lambda device, wanted: ""  # type: ignore[attr-defined]
        fake.device_is_idle = lambda device: idle  # type: ignore[attr-defined]
        fake.measure = self.measure  # type: ignore[attr-defined]
        torch = ModuleType("torch")
        torch.cuda = SimpleNamespace(is_available=lambda: False)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "isocost.measure.probe.timing", fake)
        monkeypatch.setitem(sys.modules, "torch", torch)
        monkeypatch.setattr(probe.time, "monotonic", lambda: self.now_s)

    def measure(self, case: object, device: str, **_: object) -> object:
        self.now_s += 10
        self.seen.append(case.shape.name)  # type: ignore[attr-defined]
        if case.shape.name in self.answers:  # type: ignore[attr-defined]
            raise self.answers[case.shape.name]  # type: ignore[attr-defined]
        return RAN


def _call(tmp_path: Path, *more: str) -> int:
    return int(probe.main(["--out", str(tmp_path / "runs.csv"), "--models", ",".join(TINY), *more]))


def test_the_budget_stops_between_cases_and_resume_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows written before the time is up stay; --resume measures the rest once and nothing twice."""
    device = _Device(monkeypatch, {})
    assert _call(tmp_path, "--quick", "--budget-seconds", "25") == 0
    first = (tmp_path / "runs.csv").read_text()
    assert len(read_runs(tmp_path / "runs.csv").runs) == len(device.seen) == 3
    assert _call(tmp_path, "--quick", "--resume") == 0
    assert (tmp_path / "runs.csv").read_text().startswith(first)
    assert len(read_runs(tmp_path / "runs.csv").runs) == len(device.seen) == 12
    assert read_runs(tmp_path / "runs.csv").invalid == ()


def test_running_out_of_memory_is_a_row_and_a_failure_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of memory becomes outcome oom; any other error goes to the side file with its reason, and the run goes on."""
    errors = {"tiny-gpt": RuntimeError("CUDA out of memory. Tried to allocate"), "tiny-moe": ValueError("odd")}
    _Device(monkeypatch, errors)
    assert _call(tmp_path, "--quick") == 0
    runs = read_runs(tmp_path / "runs.csv").runs
    assert {(run.id.split("-2l")[0], run.outcome, run.step_s) for run in runs} == {
        ("probe-h200-sxm-141gb-tiny-llama", "ran", 0.5),
        ("probe-h200-sxm-141gb-tiny-gpt", "oom", None),
    }
    side = json.loads((tmp_path / "runs.json").read_text())
    assert set(side["failed"].values()) == {"ValueError: odd"}
    assert side["environment"] == {"device": "NVIDIA H200", "torch": "2.9", "accelerator": "h200-sxm-141gb"}
    assert side["cases"][runs[0].id]["steps_s"] == [0.5, 0.25, 0.75]


def test_memory_that_others_hold_gives_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of memory on a device that was not empty is no evidence: it is noted as failed."""
    _Device(monkeypatch, {name: MemoryError() for name in TINY}, idle=False)
    assert _call(tmp_path, "--quick") == 1
    assert read_runs(tmp_path / "runs.csv").runs == ()
    reasons = set(json.loads((tmp_path / "runs.json").read_text())["failed"].values())
    assert reasons == {
        "memory ran out, but some of it was held before the case began, so it says nothing; use an idle device"
    }


def test_out_of_memory_is_recognised_where_a_compiler_wraps_it() -> None:
    """The cause of an error counts, and an unrelated error does not."""
    wrapped = RuntimeError("backend compiler failed")
    wrapped.__cause__ = RuntimeError("HIP out of memory")
    assert probe.out_of_memory(wrapped)
    assert not probe.out_of_memory(RuntimeError("an illegal memory access was encountered"))


def test_an_existing_file_is_not_written_over(tmp_path: Path) -> None:
    """Without --resume, a file of rows or a side file in the way is an error and stays as it is."""
    (tmp_path / "runs.json").write_text("mine")
    with pytest.raises(probe_rows.ProbeError, match=r"runs.json exists; pass --resume"):
        probe_rows.Recorder(tmp_path / "runs.csv", {}, resume=False)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("runs.json", "mine")]


def test_resume_drops_a_half_written_line(tmp_path: Path) -> None:
    """A run killed while writing costs that row only."""
    row = probe_rows.evidence_row(CASE, SITE, RAN)
    probe_rows.Recorder(tmp_path / "runs.csv", {}, resume=False).measured(row, {})
    whole = (tmp_path / "runs.csv").read_bytes()
    (tmp_path / "runs.csv").write_bytes(whole + b"probe-h100-sxm5")
    again = probe_rows.Recorder(tmp_path / "runs.csv", {}, resume=True)
    assert (tmp_path / "runs.csv").read_bytes() == whole
    assert again.done == {row["id"]}


def test_resume_refuses_another_machine_and_strange_files(tmp_path: Path) -> None:
    """Rows of two devices or releases do not share a file; a file the probe did not write is left alone."""
    out = tmp_path / "runs.csv"
    probe_rows.Recorder(out, {"torch": "2.9"}, resume=False)
    with pytest.raises(probe_rows.ProbeError, match=r"torch was '2.9', is '2.10'"):
        probe_rows.Recorder(out, {"torch": "2.10"}, resume=True)
    (tmp_path / "runs.json").write_text("[]")
    with pytest.raises(probe_rows.ProbeError, match="is not a side file of the probe"):
        probe_rows.Recorder(out, {"torch": "2.9"}, resume=True)
    out.write_bytes(b"\xff\xfe\n")
    with pytest.raises(probe_rows.ProbeError, match="was not written by this version of the probe"):
        probe_rows.Recorder(out, {"torch": "2.9"}, resume=True)
    assert out.read_bytes() == b"\xff\xfe\n"
