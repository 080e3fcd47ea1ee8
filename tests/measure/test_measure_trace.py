"""Traces: small ones whose times are known to the microsecond."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.cli import run
from isocost.errors import InputError
from isocost.measure import RankTrace, read_trace
from isocost.measure.logs.intervals import covered, gaps, length, overlap, union
from isocost.measure.traces.collectives import Group
from isocost.measure.traces.kernels import bus_factor, collective, gemm_flop, kernel_class

GEMM = "sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64_warpgroupsize1x1x1_execute_segment_k_off_kernel"
NORM = "void at::native::(anonymous namespace)::vectorized_layer_norm_kernel<float, float>(int, float)"
REDUCE = "ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)"
PARTS = (
    "compute_s", "exposed_communication_s", "exposed_copy_s", "host_wait_s", "kernel_wait_s", "unknown_wait_s",
)  # fmt: skip


def _event(category: str, name: str, start: float, lasting: float, **args: Any) -> dict[str, Any]:
    return {"ph": "X", "cat": category, "name": name, "pid": 0, "tid": 7, "ts": start, "dur": lasting, "args": args}


def _launch(start: float, link: int) -> dict[str, Any]:
    return _event("cuda_runtime", "cudaLaunchKernel", start, 4.0, correlation=link)


def _events(slow: float = 0.0) -> list[dict[str, Any]]:
    """Return a step of 1,000 us: GEMM 100-400, norm 400-450, all-reduce 300-600, copy 700-750 launched at 650."""
    shapes = [[1024, 4096], [4096, 2048]]
    sizes = {"Collective name": "allreduce", "In msg nelems": 3_000_000, "Group size": 4, "dtype": "BFloat16"}
    return [
        _event("user_annotation", "ProfilerStep#7", 0.0, 1000.0),
        _event("cpu_op", "aten::mm", 10.0, 5.0, **{"Input Dims": shapes, "Input type": ["c10::BFloat16"] * 2}),
        _event("cpu_op", "aten::linear", 9.0, 8.0, **{"Input Dims": [[1024, 4096], [2048, 4096]]}),
        _launch(20.0, 1),
        _event("kernel", GEMM, 100.0, 300.0 + slow, correlation=1, stream=7),
        _launch(25.0, 2),
        _event("kernel", NORM, 400.0 + slow, 50.0, correlation=2, stream=7),
        _launch(30.0, 3),
        _event("kernel", REDUCE, 300.0 + slow, 300.0 - slow, correlation=3, stream=20, **sizes),
        _launch(650.0, 4),
        _event("gpu_memcpy", "Memcpy HtoD (Pinned -> Device)", 700.0, 50.0, correlation=4, stream=8),
        {"ph": "s", "id": 1, "pid": 0, "tid": 7, "ts": 100, "cat": "ac2g", "name": "ac2g"},
    ]


def _trace(path: Path, events: list[dict[str, Any]], rank: int = 0, **more: Any) -> Path:
    whole = {"schemaVersion": 1, "deviceProperties": [{"id": 0, "name": "NVIDIA H100 80GB HBM3"}],
             "distributedInfo": {"backend": "nccl", "rank": rank, "world_size": 4},
             "traceEvents": events, **more}  # fmt: skip
    path.write_text(json.dumps(whole, indent=1), encoding="utf-8")
    return path


def _sum(rank: RankTrace) -> float:
    return sum(getattr(rank, name) for name in PARTS)


def test_a_step_of_known_times(tmp_path: Path) -> None:
    """Each microsecond of the window is in one part, by what ran; idle is told apart by the launch that ends it."""
    (rank,) = read_trace(_trace(tmp_path / "a.json", _events())).ranks
    assert (rank.rank, rank.world_size, rank.device, rank.kernels) == (0, 4, "NVIDIA H100 80GB HBM3", 4)
    assert (rank.steps, rank.step_s) == (("ProfilerStep#7",), (1e-3,))
    assert rank.window_s == 1e-3
    assert rank.compute_s == pytest.approx(350e-6, rel=1e-12)
    assert rank.communication_s == pytest.approx(300e-6, rel=1e-12)
    assert rank.exposed_communication_s == pytest.approx(150e-6, rel=1e-12)
    assert rank.exposed_copy_s == pytest.approx(50e-6, rel=1e-12)
    assert rank.host_wait_s == pytest.approx((20 + 50 + 250) * 1e-6, rel=1e-12)  # before launches, and after the last
    assert rank.kernel_wait_s == pytest.approx((80 + 50) * 1e-6, rel=1e-12)
    assert _sum(rank) == pytest.approx(rank.window_s, rel=1e-12)
    assert {name: round(seconds * 1e6) for name, seconds in rank.by_class_s.items()} == {
        "gemm": 300, "norm": 50, "communication": 300, "memcpy": 50,
    }  # fmt: skip


def test_flop_and_bandwidth(tmp_path: Path) -> None:
    """GEMM FLOPs are 2mnk of the product, its wrapper not counted again; bus bandwidth is that of nccl-tests."""
    (rank,) = read_trace(_trace(tmp_path / "a.json", _events())).ranks
    assert rank.gemm_flop == 2.0 * 1024 * 4096 * 2048
    assert rank.gemm_flop_per_s == pytest.approx(2.0 * 1024 * 4096 * 2048 / 300e-6, rel=1e-12)
    (reduce,) = rank.collectives
    assert (reduce.kind, reduce.number, reduce.payload_bytes) == ("all_reduce", 1, 6e6)
    assert reduce.bus_bytes_per_s == pytest.approx(6e6 * 2 * 3 / 4 / 300e-6, rel=1e-12)


def test_classes_and_steps_sum_to_the_window(tmp_path: Path) -> None:
    """Kernels that overlap count once, for the first class; parts sum to compute, to the window and to each step."""
    events = [
        *_events(),
        _event("kernel", NORM, 350.0, 100.0, correlation=9),  # 50 us under the GEMM, 50 us with the norm before
        _event("user_annotation", "ProfilerStep#8", 1000.0, 500.0),
        _event("kernel", "flash_fwd_kernel", 1100.0, 200.0, correlation=10),
    ]
    (rank,) = read_trace(_trace(tmp_path / "a.json", events)).ranks
    assert {name: round(seconds * 1e6) for name, seconds in rank.alone_s.items()} == {
        "gemm": 300, "attention": 200, "norm": 50,
    }  # fmt: skip
    assert sum(rank.alone_s.values()) == pytest.approx(rank.compute_s, rel=1e-12)
    parts = {name: [round(value * 1e6) for value in values] for name, values in rank.step_parts_s.items()}
    assert parts == {
        "gemm": [300, 0], "attention": [0, 200], "norm": [50, 0], "exposed communication": [150, 0],
        "memcpy": [50, 0], "idle": [450, 300],
    }  # fmt: skip
    assert [sum(step) for step in zip(*rank.step_parts_s.values(), strict=True)] == pytest.approx(rank.step_s)


def test_collectives_are_told_apart_by_group(tmp_path: Path) -> None:
    """Kind, group and stride are the trace's; what is exposed is shared out among the groups and adds up."""
    tensor = {"Collective name": "_allgather_base", "In msg nelems": 5, "Out msg nelems": 10, "Group size": 2,
              "dtype": "BFloat16", "Process Group Description": "mesh_tp", "Process Group Ranks": "[4, 5]"}  # fmt: skip
    data = tensor | {"Group size": 4, "Process Group Name": "7", "Process Group Ranks": "[0, 2, 4...",
                     "Process Group Description": ""}  # fmt: skip
    events = [
        _event("kernel", GEMM, 0.0, 100.0),
        _event("kernel", "ncclDevKernel_AllGather_RING_LL", 50.0, 200.0, **data),
        _event("kernel", "ncclDevKernel_AllGather_RING_LL", 240.0, 60.0, **tensor),
    ]
    listed = [{"pg_name": "7", "pg_desc": "mesh_dp_shard", "pg_size": 4, "ranks": [0, 2, 4, 6]}]
    info = {"distributedInfo": {"rank": 4, "world_size": 8, "pg_config": listed}}
    (rank,) = read_trace(_trace(tmp_path / "a.json", events, **info)).ranks
    found = [(part.group, round(part.kernel_s * 1e6), round(part.exposed_s * 1e6)) for part in rank.collectives]
    assert found == [
        (Group(description="mesh_dp_shard", size=4, stride=2), 200, 150),
        (Group(description="mesh_tp", size=2, stride=1), 60, 50),
    ]
    assert rank.exposed_communication_s == pytest.approx(200e-6)
    assert rank.collectives[1].bus_bytes_per_s == pytest.approx(10 * 2 * 0.5 / 60e-6)


def test_old_traces_tell_collectives_by_their_calls(tmp_path: Path) -> None:
    """Without names in the kernels, the call that launched one tells its kind and its size."""
    events = [
        _event("user_annotation", "nccl:all_to_all", 10.0, 20.0, **{"Input Dims": [[8, 100]], "Input type": ["float"]}),
        _launch(15.0, 1),
        _event("kernel", "ncclKernel_SendRecv_RING_SIMPLE", 40.0, 10.0, correlation=1),
        _launch(35.0, 2),
        _event("kernel", "ncclKernel_SendRecv_RING_SIMPLE", 60.0, 10.0, correlation=2),
    ]
    (rank,) = read_trace(_trace(tmp_path / "a.json", events)).ranks
    found = {part.kind: (part.group.size, part.payload_bytes, part.bus_bytes_per_s) for part in rank.collectives}
    assert found == {"all_to_all": (4, 3200.0, pytest.approx(3200 * 0.75 / 10e-6)), "send_recv": (None, None, None)}


def test_waits_for_data_are_part_of_idle(tmp_path: Path) -> None:
    """Idle time of the GPU while the host is in the data loader is a wait for data; busy time is not."""
    name = "enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__"
    (rank,) = read_trace(_trace(tmp_path / "a.json", [*_events(), _event("user_annotation", name, 700.0, 200.0)])).ranks
    assert rank.data_wait_s == pytest.approx(150e-6)
    assert rank.idle_s == pytest.approx(450e-6)


@pytest.mark.parametrize("how", ["list", "gzip", "compact", "lines", "flags last"])
def test_the_same_in_every_wrapping(how: str, tmp_path: Path) -> None:
    """A bare list, gzip, one line, an event a line, and properties after the events give the same parts."""
    (plain,) = read_trace(_trace(tmp_path / "a.json", _events())).ranks
    path = tmp_path / "b.json"
    events = _events()
    if how == "list":
        path.write_text(json.dumps(events))
    elif how == "gzip":
        path.write_bytes(gzip.compress((tmp_path / "a.json").read_bytes()))
    elif how == "compact":
        path.write_text(json.dumps({"traceEvents": events}, separators=(",", ":")))
    elif how == "lines":
        path.write_text('{"traceEvents": [\n' + ",\n".join(map(json.dumps, events)) + "\n]}")
    else:
        path.write_text(json.dumps({"traceEvents": events, "distributedInfo": {"rank": 3}}))
    (rank,) = read_trace(path).ranks
    assert [getattr(rank, name) for name in PARTS] == [getattr(plain, name) for name in PARTS]
    assert rank.rank == (0 if how == "gzip" else 3 if how == "flags last" else None)
    assert rank.notes == ()


def test_a_large_trace_is_read_whole(tmp_path: Path) -> None:
    """Events over several blocks, one a line, are all read, and every profiler step is used."""
    events = [_event("user_annotation", f"ProfilerStep#{step}", 1000.0 * step, 1000.0) for step in range(40)]
    events += [
        _event("kernel", GEMM, 1000.0 * step + 10.0 * place, 5.0, correlation=1, pad="x" * 200)
        for step in range(40)
        for place in range(100)
    ] * 4
    path = tmp_path / "a.json"
    path.write_text('{"traceEvents": [\n' + ",\n".join(map(json.dumps, events)) + "\n]}")
    assert path.stat().st_size > 1 << 22
    (rank,) = read_trace(path).ranks
    assert (rank.kernels, len(rank.steps), rank.events) == (16_000, 40, 16_040)
    assert rank.compute_s == pytest.approx(4000 * 5e-6, rel=1e-9)


def test_ranks_are_compared(tmp_path: Path) -> None:
    """The rank that computes longest and waits least in collectives is named; the ranks that were not read are told."""
    paths = [_trace(tmp_path / f"{rank}.json", _events(100.0 if rank == 2 else 0.0), rank) for rank in range(3)]
    summary = read_trace(paths)
    assert (summary.slow_rank, summary.world_size, summary.notes) == (2, 4, ("3 of 4 ranks were read",))
    assert summary.skew_frac["compute_s"] == pytest.approx(100 / 350, rel=1e-9)
    assert summary.step_s == 1e-3


def test_no_gpu_kernels_is_an_answer(tmp_path: Path) -> None:
    """A trace of the host alone has steps and no parts of a GPU."""
    (rank,) = read_trace(_trace(tmp_path / "a.json", _events()[:3])).ranks
    assert (rank.kernels, rank.step_s, rank.busy_s, rank.unknown_wait_s) == (0, (1e-3,), 0.0, 1e-3)
    assert "no GPU kernels" in rank.notes[0]


def test_without_steps_the_window_is_that_of_the_kernels(tmp_path: Path) -> None:
    """Kernels alone are enough; a kernel without a launch makes the wait before it unknown."""
    events = [_event("Kernel", GEMM, 10.0, 5.0), _event("Kernel", GEMM, 30.0, 5.0)]
    (rank,) = read_trace(_trace(tmp_path / "a.json", events)).ranks
    assert (rank.window_s, rank.unknown_wait_s, rank.steps) == (pytest.approx(25e-6), pytest.approx(15e-6), ())


def test_kernels_that_a_cut_took_are_no_idle_time(tmp_path: Path) -> None:
    """Of a cut trace, no wait and no rate of products is told: operators are in the file before their kernels."""
    path = _trace(tmp_path / "a.json", _events())
    path.write_text(path.read_text().partition('"ncclDev')[0])
    (rank,) = read_trace(path).ranks
    assert (rank.cut, rank.kernels, rank.compute_s) == (True, 2, pytest.approx(350e-6))
    assert (rank.host_wait_s, rank.kernel_wait_s, rank.unknown_wait_s) == (0.0, 0.0, pytest.approx(650e-6))
    assert (rank.gemm_flop, rank.gemm_flop_per_s) == (None, None)


def test_gpus_of_one_process_are_told_apart(tmp_path: Path) -> None:
    """A trace with kernels of two GPUs gives the time of each, not of both on one."""
    events = [
        _event("user_annotation", "ProfilerStep#7", 0.0, 1000.0),
        _event("kernel", GEMM, 0.0, 400.0, device=4),
        _event("kernel", GEMM, 100.0, 600.0, device=5),
    ]
    summary = read_trace(_trace(tmp_path / "a.json", events))
    assert [(rank.gpu, rank.kernels, round(rank.compute_s * 1e6)) for rank in summary.ranks] == [
        (4, 1, 400),
        (5, 1, 600),
    ]
    assert summary.skew_frac["compute_s"] == pytest.approx(0.4)
    assert run(["doctor", str(tmp_path / "a.json")]) == 0


def test_a_cut_trace_gives_what_it_has(tmp_path: Path) -> None:
    """Events before the cut are used, and the cut is said; so are events without a usable time."""
    events = [
        *_events(),
        *({"ph": "X", "cat": "kernel", "name": GEMM, "ts": bad} for bad in ("soon", None, float("nan"))),
    ]
    path = _trace(tmp_path / "a.json", events)
    (rank,) = read_trace(path).ranks
    assert rank.notes == ("3 events without a usable time were left out",)
    path.write_text(path.read_text()[:-600])
    (rank,) = read_trace(path).ranks
    assert rank.kernels == 4
    assert rank.notes[0] == "the trace is cut off; the events before the cut were read"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("hello", "is no trace: it does not begin as JSON does"),
        ("{}", "has no trace events"),
        ('{"traceEvents": []}', "has no trace events"),
        ('{"a": ' + "[" * 200_000, "has no trace events .a value is nested too deeply"),
        ('{"traceEvents": [' + '{"args":' * 200_000, "has no trace events .a value is nested too deeply"),
    ],
    ids=["empty", "text", "no key", "no events", "bomb", "bomb in an event"],
)
def test_what_is_no_trace_is_one_message(text: str, said: str, tmp_path: Path) -> None:
    """Nothing readable is one problem that says why."""
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as error:
        read_trace(path)
    assert len(error.value.problems) == 1


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_TNT", "gemm"),
        ("Cijk_Alik_Bljk_SB_Bias_AS_SAV_UserArgs_MT64x16x32", "gemm"),
        ("void cutlass::Kernel<cutlass_80_tensorop_s1688gemm_64x64_16x6_nn_align4>", "gemm"),
        ("ampere_sgemm_128x64_nn", "gemm"),
        ("void flash::flash_fwd_kernel<Flash_fwd_kernel_traits<128, 128>>", "attention"),
        ("fmha_cutlassF_bf16_aligned_64x64_rf_sm80", "attention"),
        ("cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_knob_3", "attention"),
        ("void at::native::(anonymous namespace)::multi_tensor_apply_kernel<FusedAdamMathFunctor>", "optimizer"),
        ("triton_poi_fused_add_cos_sin_0", "pointwise"),
        ("void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>>", "pointwise"),
        ("Memset (Device)", "memcpy"),
        ("ncclDevKernel_ReduceScatter_Sum_f32_RING_LL", "communication"),
        ("_ZN7cutlass_sm80_xmma_wgrad_implicit_gemm_indexed_tf32f32", "convolution"),
    ],
)
def test_kernel_classes(name: str, kind: str) -> None:
    """Names of the usual libraries fall into their classes."""
    assert kernel_class(name) == kind


def test_collectives_and_their_bus_factors() -> None:
    """Kinds are known by NCCL's and PyTorch's names; factors are those of nccl-tests."""
    assert collective("ncclDevKernel_ReduceScatter_Sum_f32_RING_LL") == "reduce_scatter"
    assert collective("_allgather_base") == "all_gather"
    assert collective("ncclKernel_SendRecv_RING_SIMPLE_Sum_int8_t(ncclWorkElem)") == "send_recv"
    assert bus_factor("all_reduce", 8.0) == 1.75
    assert bus_factor("all_gather", 8.0) == 0.875
    assert bus_factor("broadcast", 8.0) == 1.0
    assert bus_factor("all_reduce", 1.0) == 0.0


@pytest.mark.parametrize(
    ("name", "dims", "flop"),
    [
        ("aten::mm", [[2, 3], [3, 5]], 60.0),
        ("aten::addmm", [[5], [2, 3], [3, 5], [], []], 60.0),
        ("aten::bmm", [[7, 2, 3], [7, 3, 5]], 420.0),
        ("aten::linear", [[2, 3], [5, 3], [5]], 0.0),
        ("aten::mm", [[], []], 0.0),
        ("aten::mm", "nonsense", 0.0),
    ],
)
def test_gemm_flop(name: str, dims: object, flop: float) -> None:
    """2mnk of products; wrappers and shapes that are none count nothing."""
    assert gemm_flop(name, dims) == flop


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 30)), max_size=30))
def test_union_and_gaps_make_the_window(pairs: list[tuple[int, int]]) -> None:
    """A union is as long as the moments it covers, and with its gaps as long as the window."""
    starts = np.array([float(start) for start, _ in pairs])
    ends = np.array([float(start + lasting) for start, lasting in pairs])
    found = union(starts, ends)
    covered_by = {moment for start, lasting in pairs for moment in range(start, start + lasting)}
    assert length(found) == len(covered_by)
    assert length(found) + length(gaps(found, 0.0, 130.0)) == 130.0
    assert covered(found, np.array([0.0, 50.5, 130.0])).tolist() == [
        0.0, sum(moment <= 49 for moment in covered_by) + 0.5 * (50 in covered_by), length(found),
    ]  # fmt: skip
    assert overlap(found, np.array([[10.0, 20.0]])) == len(covered_by & set(range(10, 20)))
