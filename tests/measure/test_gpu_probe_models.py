"""The models of the GPU probe, trained on the CPU; needs the extra ``torch``."""

import importlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from isocost.evidence.runs import read_runs

torch = pytest.importorskip("torch")
probe = importlib.import_module("isocost.measure.probe.run")
probe_plan = importlib.import_module("isocost.measure.probe.plan")
probe_model = importlib.import_module("isocost.measure.probe.model")
probe_measure = importlib.import_module("isocost.measure.probe.timing")

TINY = tuple(probe_plan.TINY_SHAPES)


def _tiny(name: str, **changes: Any) -> Any:
    setting = probe_plan.Setting(seq_len=16, micro_batch=2)
    return probe_plan.Case(shape=probe_plan.TINY_SHAPES[name], setting=replace(setting, **changes))


@pytest.mark.parametrize("name", TINY)
def test_models_have_the_parameters_that_the_row_states(name: str) -> None:
    """Counted parameters of the trained model equal the formula of the row."""
    model = probe_model.build(_tiny(name), "cpu")
    assert sum(p.numel() for p in model.parameters()) == _tiny(name).params
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", TINY)
def test_recomputation_changes_no_gradient(name: str) -> None:
    """With and without recomputation the loss and every gradient are the same, bit for bit."""
    found = []
    for recompute in ("none", "full"):
        torch.manual_seed(1)
        model = probe_model.build(_tiny(name, recompute=recompute), "cpu")
        tokens = torch.randint(256, (2, 17))
        loss = model(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        found.append([loss.detach(), *(p.grad for p in model.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_later_tokens_do_not_reach_back() -> None:
    """A block is causal: what it gives at a position does not depend on later ones."""
    model = probe_model.build(_tiny("tiny-llama"), "cpu")
    x = torch.randn(1, 16, 64).bfloat16()
    changed = x.clone()
    changed[:, 8:] += 1
    before, after = (model.blocks[0](y, model.table) for y in (x, changed))
    assert torch.equal(before[:, :8], after[:, :8])
    assert not torch.equal(before[:, 8:], after[:, 8:])


def test_experts_sum_what_each_token_was_sent_to() -> None:
    """Permuted batched experts equal a plain loop over tokens and their experts."""
    torch.manual_seed(2)
    moe = probe_model.Experts(replace(probe_plan.TINY_SHAPES["tiny-moe"], shared_experts=0)).double()
    x = torch.randn(1, 8, 64, dtype=torch.double)
    scores = torch.softmax((x[0] @ moe.router.weight.T).float(), -1)
    rows = []
    for token in range(8):
        chosen = [(token * 2 + k) % 4 for k in range(2)]
        shares = scores[token, chosen] / scores[token, chosen].sum()
        gates_and_ups = [(x[0, token] @ moe.up[e]).chunk(2) for e in chosen]
        outputs = [
            (torch.nn.functional.silu(g) * u) @ moe.down[e] for (g, u), e in zip(gates_and_ups, chosen, strict=True)
        ]
        rows.append(sum(share.double() * y for share, y in zip(shares, outputs, strict=True)))
    torch.testing.assert_close(moe(x)[0], torch.stack(rows))


def test_fp8_products_are_near_the_exact_ones() -> None:
    """Output and both gradients of the fp8 product are within the rounding of fp8 of the exact ones."""
    product = probe_model.Fp8Product
    torch.manual_seed(3)
    x = torch.randn(32, 64).bfloat16().requires_grad_()
    weight = torch.randn(48, 64).requires_grad_()
    gradient = torch.randn(32, 48).bfloat16()
    try:
        y = product.apply(x, weight)
    except (NotImplementedError, RuntimeError) as error:
        pytest.skip(f"no fp8 product on this CPU: {error}")
    y.backward(gradient)
    exact = (x.float() @ weight.T, gradient.float() @ weight, gradient.float().T @ x.float())
    found = (y, x.grad, weight.grad)
    errors = [((a.float() - b).norm() / b.norm()).item() for a, b in zip(found, exact, strict=True)]
    # e4m3 rounds by up to 1/16 and e5m2 by up to 1/8: about 0.027 and 0.053 root mean square
    assert [0.01 < error < bound for error, bound in zip(errors, (0.05, 0.08, 0.08), strict=True)] == [True] * 3


def test_the_probe_runs_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three tiny models train with and without recomputation and accumulation, and give rows the reader accepts."""
    settings = (
        probe_plan.Setting(seq_len=1024, micro_batch=2, accumulation=2),
        probe_plan.Setting(seq_len=2048, micro_batch=1, recompute="full"),
    )
    monkeypatch.setattr(probe_plan, "SETTINGS", settings)
    call = ["--out", str(tmp_path / "runs.csv"), "--models", ",".join(TINY)]
    assert probe.main([*call, "--device", "cpu", "--steps", "3"]) == 0
    table = read_runs(tmp_path / "runs.csv")
    assert (table.invalid, table.warnings, len(table.runs)) == ((), (), 6)
    side = json.loads((tmp_path / "runs.json").read_text())
    for run in table.runs:
        detail = side["cases"][run.id]
        assert len(detail["steps_s"]) == 3
        assert len(detail["warmup_s"]) == 3
        assert run.step_s == float(f"{sorted(detail['steps_s'])[1]:.6g}")
        assert detail["losses"][-1] < detail["losses"][0]  # it trains: the batch is the same at each step
        assert math.isclose(detail["losses"][0], math.log(256), rel_tol=0.1)


def test_the_budget_buys_whole_steps_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A case gets the steps that fit the time left; with fewer than three it is given up rather than written."""
    case, common = _tiny("tiny-llama"), {"attention": "flash", "warmup": 1, "steps": 5}
    monkeypatch.setattr(probe_measure, "_timed", lambda step, count, device: [step() or 2.0] * count)
    assert len(probe_measure.measure(case, "cpu", deadline=lambda: math.inf, **common).steps_s) == 5
    assert len(probe_measure.measure(case, "cpu", deadline=lambda: 7.0, **common).steps_s) == 3
    with pytest.raises(probe_measure.BudgetSpentError):
        probe_measure.measure(case, "cpu", deadline=lambda: 5.0, **common)
