"""Small logs in every format, the truth known: 30 steps of 2 s (the first of 6), loss 3, 1,000 tokens/s/GPU."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

STEPS = 30
STEP_S = 2.0
FIRST_S = 6.0
STEP_TIMES = (FIRST_S, *[STEP_S] * (STEPS - 1))


def clock(step: int) -> str:
    """Return the time at the end of a step of a run that began at 12:00."""
    seconds = sum(STEP_TIMES[:step])
    return f"2026-01-31 12:{int(seconds) // 60:02}:{int(seconds) % 60:02}"


def torchtitan(step: int, rank: int | None = 0) -> str:
    """Return a line of torchtitan."""
    head = "" if rank is None else f"[rank{rank}]:"
    return (
        f"{head}[titan] {clock(step)},500 - root - INFO - step: {step:2}  loss: {3.0:8.5f}  grad_norm: {1.5:7.4f}  "
        f"memory: {24.1:5.2f}GiB(30.45%)  tps: {1000:,}  tflops: {71.43:,.2f}  mfu: {22.9:.2f}%\n"
    )


def megatron_2021(step: int, seconds: float) -> str:
    """Return a line of Megatron-LM in 2021."""
    return (
        f" iteration {step:8d}/    1000 | consumed samples: {step * 8:12d} | elapsed time per iteration (ms): "
        f"{seconds * 1e3:.1f} | learning rate: 1.500E-04 | global batch size:     8 | lm-loss: "
        f"3.000000E+00 | loss scale: "
        "12.0 | grad norm: 67.593 | number of skipped iterations:   0 | number of nan iterations:   0 |\n"
    )


def megatron(step: int, seconds: float) -> str:
    """Return a line of Megatron-LM now."""
    return (
        f" [{clock(step)}] iteration {step:8d}/    1000 | consumed samples: {step * 8:12d} | elapsed time "
        f"per iteration "
        f"(ms): {seconds * 1e3:.1f} | throughput per GPU (TFLOP/s/GPU): 71.4 | learning rate: 1.500000E-04 "
        f"| global batch "
        "size:     8 | lm loss: 3.000000E+00 | loss scale: 1.0 | grad norm: 1.234 | number of skipped "
        "iterations:   0 | "
        "number of nan iterations:   0 |\n"
    )


def _bridge(step: int, seconds: float) -> str:
    return f"Step Time : {seconds:.2f}s GPU utilization: 71.4MODEL_TFLOP/s/GPU\n" + megatron_2021(step, seconds)


def _nemo(step: int, seconds: float) -> str:
    return (
        f"Training epoch 0, iteration {step - 1}/29 | lr: 1e-05 | global_batch_size: 8 | global_step: {step - 1} | "
        f"reduced_train_loss: 3.0 | train_step_timing in s: {seconds:.4g} | consumed_samples: {step * 8}\n"
    )


def _dlll(step: int, seconds: float) -> str:
    data = {"train_step_timing in s": seconds, "reduced_train_loss": 3.0}
    return "DLLL " + json.dumps({"timestamp": "1", "type": "LOG", "step": step, "data": data}) + "\n"


def _maxtext(step: int, seconds: float) -> str:
    return (
        f"completed step: {step}, seconds: {seconds:.3f}, TFLOP/s/device: 71.400, Tokens/s/device: 1000.000, "
        "total_weights: 65536, loss: 3.000\n"
    )


def _nanotron(step: int, seconds: float) -> str:
    return (
        f"01/31/2026 {clock(step)[11:]} [INFO|DP=0|PP=0|TP=0]: iteration: {step} / 100 | consumed_tokens: 21M | "
        f"time_per_iteration_ms: {seconds:.3g}K | tokens_per_sec: 16K | tokens_per_sec_per_gpu: 1K | "
        f"global_batch_size: 8 "
        "| lm_loss: 3 | lr: 0.0003 | model_tflops_per_gpu: 71.4 | eta: 1:00:00\n"
    )


def _deepspeed(step: int, seconds: float) -> str:
    head = "" if step > 1 else "[config.py] train_batch_size ............. 8\n"
    return (
        f"{head}[{clock(step)},500] [INFO] [logging.py:60:log_dist] [Rank 0] step={step}, skipped=0, "
        f"lr=[5e-05], mom=[0.9]\n"
        f"[{clock(step)},501] [INFO] [timer.py:197:stop] epoch=0/micro_step={8 * step}/global_step={step}, "
        f"RunningAvgSamplesPerSec=3.9, CurrSamplesPerSec={8 / seconds}, MemAllocated=5.87GB, MaxMemAllocated=24.1GB\n"
    )


def _nanogpt(step: int, seconds: float) -> str:
    return f"iter {step}: loss 3.0000, time {seconds * 1e3:.2f}ms, mfu {22.9 if step > 5 else -100:.2f}%\n"


def _composer(step: int, seconds: float) -> str:
    return (
        f"[batch={step}/30]:\n\t Train time/batch: {step - 1}\n\t Train loss/train/total: 3.0000\n"
        f"\t Train throughput/batches_per_sec: {1 / seconds}\n\t Train throughput/device/tokens_per_sec: 1000.0\n"
        "\t Train throughput/device/mfu: 0.2290\n"
    )


def _olmo(step: int, seconds: float) -> str:
    return (
        f"{clock(step)}.500\thost:0\tolmo_core.train.callbacks.console_logger:60\tINFO\t[step={step}/30,epoch=1]\n"
        f"    throughput/device/TPS=1,000\n    throughput/device/BPS={1 / seconds}\n"
        "    throughput/device/MFU=22.9\n    train/CE loss=3.000\n"
    )


def _lightning(step: int, seconds: float) -> str:
    return f"Epoch 0:  10%|#         | {step}/30 [00:10<01:30, {1 / seconds:.6f}it/s, v_num=0, train_loss=3.0]\r"


def _jsonl(step: int, seconds: float) -> str:
    return json.dumps({"step": step, "loss": 3.0, "step_time": seconds, "tps": 1000}) + "\n"


def _csv(step: int, seconds: float) -> str:
    head = "step,loss,step_time_s,tokens_per_s_per_gpu\n" if step == 1 else ""
    return f"{head}{step},3.0,{seconds},1000\n"


def _steps(line: Callable[[int, float], str]) -> str:
    return "".join(line(step, seconds) for step, seconds in enumerate(STEP_TIMES, start=1))


def hf_trainer() -> str:
    """Return a console log with a bar, losses every tenth step, and the final dict."""
    text = "***** Running training *****\n  Total optimization steps = 30\n"
    for step in range(STEPS + 1):
        elapsed = int(sum(STEP_TIMES[:step]) * 10)  # steps of 20 s: the clock of the bar has whole seconds
        text += f"\r  3%|#         | {step}/30 [{elapsed // 60:02}:{elapsed % 60:02}<10:00, 20.00s/it]"
        if step and step % 10 == 0:
            text += f"\n{{'loss': 3.0, 'grad_norm': 1.2, 'learning_rate': 4.5e-05, 'epoch': {step / 30:.2f}}}\n"
    return text + "\n{'train_runtime': 640.0, 'train_samples_per_second': 0.4, 'train_steps_per_second': 0.047}\n"


def trainer_state() -> str:
    """Return a trainer_state.json of 30 steps in 70 s, 6 of them in an evaluation."""
    history: list[dict[str, float]] = [{"epoch": step / 30, "loss": 3.0, "step": step} for step in range(1, 31)]
    history.insert(15, {"epoch": 0.5, "eval_loss": 2.9, "eval_runtime": 6.0, "step": 15})
    history.append(
        {"epoch": 1.0, "step": 30, "total_flos": 1e18, "train_runtime": 70.0, "train_steps_per_second": 0.43}
    )
    return json.dumps({"best_metric": None, "global_step": 30, "log_history": history}, indent=2)


LOGS: Mapping[str, tuple[str, str]] = {  # name -> format, text
    "torchtitan": ("torchtitan", "".join(torchtitan(step) for step in range(1, STEPS + 1))),
    "megatron_2021": ("megatron", _steps(megatron_2021)),
    "megatron": ("megatron", _steps(megatron)),
    "megatron_bridge": ("megatron_bridge", _steps(_bridge)),
    "nemo": ("nemo", _steps(_nemo)),
    "dlll": ("nemo", _steps(_dlll)),
    "maxtext": ("maxtext", _steps(_maxtext)),
    "nanotron": ("nanotron", _steps(_nanotron)),
    "deepspeed": ("deepspeed", _steps(_deepspeed)),
    "nanogpt": ("nanogpt", _steps(_nanogpt)),
    "composer": ("composer", _steps(_composer)),
    "olmo_core": ("olmo_core", _steps(_olmo)),
    "lightning": ("lightning", _steps(_lightning)),
    "jsonl": ("jsonl", _steps(_jsonl)),
    "csv": ("csv", _steps(_csv)),
    "hf_trainer": ("hf_trainer", hf_trainer()),
    "trainer_state": ("trainer_state", trainer_state()),
}
