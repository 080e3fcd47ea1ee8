"""Speed and memory of reading logs and traces: generated files, each read in a process of its own.

    python benchmarks/read_speed.py [--bytes 1e9] [--trace-bytes 1e8] [--check]

Logs are of three kinds: torchtitan with every line a step of one of eight ranks (the worst case), Megatron with noise,
and the same compressed. ``--check`` exits with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

LOG_S, LOG_BYTES, TRACE_S = 20.0, 500e6, 30.0  # targets, for a log of 1 GB and a trace of 100 MB
LAYERS = 32


def torchtitan(rows: int) -> Iterator[str]:
    for row in range(rows):
        step, rank = divmod(row, 8)
        clock = f"{step // 3600 % 24:02}:{step // 60 % 60:02}:{step % 60:02},{row % 1000:03}"
        yield (
            f"[rank{rank}]:[titan] 2026-01-{1 + step // 86400 % 28:02} {clock} - root - INFO - step: {step:2}  "
            f"loss: {2 + 1 / (step + 1):8.5f}  grad_norm:  1.2345  memory: 24.10GiB(30.45%)  tps: {6600 + row % 50:,}  "
            f"tflops: {401 + row % 7:.2f}  mfu: {40.5 + row % 3:.2f}%\n"
        )


def megatron(rows: int) -> Iterator[str]:
    for row in range(rows):
        yield (
            f" [2026-01-01 {row // 3600 % 24:02}:{row // 60 % 60:02}:{row % 60:02}] iteration {row + 1:8d}/{rows:8d} | "
            f"consumed samples: {row * 256:12d} | elapsed time per iteration (ms): {1000 + row % 9:.1f} | "
            f"throughput per "
            f"GPU (TFLOP/s/GPU): {400 + row % 5:.1f} | learning rate: 1.500000E-04 | global batch size:   "
            f"256 | lm loss: "
            "2.123456E+00 | loss scale: 1.0 | grad norm: 1.234 | number of skipped iterations:   0 | number of nan "
            "iterations:   0 |\n"
        )
        for rank in range(4):
            yield (
                f"[Rank {rank}] (after {row} iterations) memory (MB) | allocated: 19494.453125 | max "
                f"allocated: 22106.0\n"
            )


def trace(layers: int) -> Iterator[str]:
    """One profiler step after another: a GEMM, a norm, an all-gather per layer, with the ops and launches of each."""
    yield '{"schemaVersion": 1, "distributedInfo": {"backend": "nccl", "rank": 0, "world_size": 8}, "traceEvents": [\n'
    kinds = (
        ("sm90_xmma_gemm_bf16bf16_bf16f32_tn_n_tilesize128x128x64", 7, 80.0, {}),
        ("void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>>", 7, 12.0, {}),
        ("ncclDevKernel_AllGather_RING_LL(ncclDevKernelArgsStorage<4096ul>)", 20, 60.0,
         {"Collective name": "_allgather_base", "In msg nelems": 1048576, "Out msg nelems": 8388608, "Group size": 8,
          "dtype": "BFloat16"}),
    )  # fmt: skip
    clock = 0.0
    for layer in range(layers):
        if layer % LAYERS == 0:
            step = {"ph": "X", "cat": "user_annotation", "name": f"ProfilerStep#{layer // LAYERS}", "pid": 1, "tid": 1,
                    "ts": clock, "dur": LAYERS * 100.0}  # fmt: skip
            yield json.dumps(step) + ",\n"
        for number, (name, stream, dur, more) in enumerate(kinds):
            link = 3 * layer + number
            op = {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "pid": 1, "tid": 1, "ts": clock, "dur": 5.0,
                  "args": {"External id": link, "Input Dims": [[4096, 4096], [4096, 4096]],
                           "Input type": ["c10::BFloat16", "c10::BFloat16"]}}  # fmt: skip
            launch = {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 1, "tid": 1, "ts": clock,
                      "dur": 4.0, "args": {"External id": link, "correlation": link}}  # fmt: skip
            kernel = {"ph": "X", "cat": "kernel", "name": name, "pid": 0, "tid": stream, "ts": clock + 5.0, "dur": dur,
                      "args": {"External id": link, "device": 0, "stream": stream, "correlation": link,
                               "grid": [64, 1, 1], "block": [256, 1, 1], **more}}  # fmt: skip
            yield ",\n".join(json.dumps(event) for event in (op, launch, kernel)) + ",\n"
        clock += 100.0
    yield '{"ph": "i", "name": "end", "ts": 0}]}\n'


def write(path: Path, pieces: Callable[[int], Iterator[str]], size: float) -> None:
    """Write about as many bytes as asked for."""
    sample = sum(len(piece) for piece in pieces(1000)) / 1000
    with gzip.open(path, "wt", compresslevel=1) if path.suffix == ".gz" else path.open("w") as stream:
        stream.writelines(pieces(int(size / sample)))


def measure(path: str, is_trace: bool, send: object) -> None:
    """Read a file in this process and send back seconds, peak bytes and what was read."""
    from isocost.measure import read_log, read_trace, summarise

    started, worked = time.perf_counter(), time.process_time()
    if is_trace:
        what = f"{read_trace([path]).ranks[0].events:,} events"
    else:
        reading = read_log(path)
        summary = summarise(reading)
        what = f"{reading.steps_seen:,} steps, {summary.steps_used:,} used"
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    send.send((seconds, time.process_time() - worked, peak, what))  # type: ignore[attr-defined]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bytes", type=float, default=1e9)
    parser.add_argument("--trace-bytes", type=float, default=1e8)
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    cases = (
        ("torchtitan, all steps", "titan.log", torchtitan, asked.bytes),
        ("Megatron with noise", "megatron.log", megatron, asked.bytes),
        ("Megatron, gzip", "megatron.log.gz", megatron, asked.bytes),
        ("Kineto trace", "trace.json", trace, asked.trace_bytes),
    )
    missed = False
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        for title, name, pieces, size in cases:
            path = Path(folder, name)
            write(path, pieces, size)
            here, there = context.Pipe()
            child = context.Process(target=measure, args=(str(path), pieces is trace, there))
            child.start()
            there.close()
            seconds, worked_s, peak, what = here.recv()
            child.join()
            bound_s = TRACE_S * size / 1e8 if pieces is trace else LOG_S * size / 1e9
            missed |= seconds > bound_s or (pieces is not trace and peak > LOG_BYTES)
            print(
                f"{title:24} {size / 1e6:8,.0f} MB  {seconds:6.1f} s  {worked_s:5.1f} CPU-s  "
                f"{peak / 1e6:6,.0f} MB peak  {what}"
            )
            path.unlink()
    return int(missed and asked.check)


if __name__ == "__main__":
    sys.exit(main())
