"""Shapes, clusters, the joint optimum over an evaluator, and the bill of a programme."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from isocost.errors import InputError
from isocost.forecast.program import (
    Item,
    MainRun,
    Staff,
    ladder,
    program_bill,
    shipped_items,
)
from isocost.laws.critical_batch import critical_batch_tokens, expected_loss
from isocost.scaling.cluster import batch_advice, largest_useful
from isocost.scaling.law import loss, surface
from isocost.scaling.optimum import optimum
from isocost.scaling.serving import serving_optimum
from isocost.scaling.shapes import Rules, Sparsity, law_params, shape, sizes
from isocost.scaling.solver import Array
from isocost.scaling.store import laws
from isocost.stats.quantiles import Interval
from isocost.units import DAY_S
from isocost.verbs.frontier.candidates import Evaluated, Limits, Table, isocost_line, tabulate
from isocost.verbs.frontier.joint import cheapest_to, joint_optimum
from isocost.workload.architecture import Architecture
from isocost.workload.params import parameter_count

BESIROGLU = laws()["besiroglu"]
RATE = np.array([400e12 * 512, 900e12 * 256])  # flop/s of each offer
USD_PER_S = np.array([2.5 * 512, 4.5 * 256]) / 3600
OFFERS = ("h100", "b200")


@pytest.mark.parametrize("size", [1e8, 5e8, 1.2e9, 3e9, 7e9, 13e9, 34e9, 70e9, 1.8e11, 4.05e11, 1e12])
@pytest.mark.parametrize("tp", [1, 4, 8])
def test_dense_shapes(size: float, tp: int) -> None:
    """A shape has the size asked for, whole tiles on every rank, and proportions of real models."""
    made = shape(size, tp=tp)
    block = made.blocks[0]
    assert law_params(made) == pytest.approx(size, rel=0.03)
    assert made.hidden == block.heads * block.head_dim
    assert made.hidden % 128 == 0
    assert block.heads % tp == 0
    assert block.heads % block.kv_heads == 0
    assert block.kv_heads % tp == 0 or tp % block.kv_heads == 0
    assert block.ffn_hidden % (128 * tp) == 0
    assert block.count % 2 == 0
    assert 30 < made.hidden / block.count < 210
    assert 2.0 < block.ffn_hidden / made.hidden < 5.5


def test_the_shape_of_eight_billion_is_llama() -> None:
    """At the size of Llama 3 8B the rules give Llama 3 8B."""
    made = shape(8.03e9)
    block = made.blocks[0]
    assert (made.hidden, block.count, block.heads, block.kv_heads, block.ffn_hidden) == (4096, 32, 32, 8, 14336)
    assert parameter_count(made).total == 8_030_261_248


@pytest.mark.parametrize("sparsity", [Sparsity(experts=128, topk=8), Sparsity(experts=256, topk=8, shared=1)])
@pytest.mark.parametrize("size", [3e9, 22e9, 37e9])
def test_sparse_shapes(sparsity: Sparsity, size: float) -> None:
    """Of a mixture the size is what a token uses; experts are as many as asked and whole tiles wide."""
    made = shape(size, sparsity=sparsity)
    block = made.blocks[0]
    assert law_params(made) == pytest.approx(size, rel=0.03)
    assert (block.experts, block.experts_topk) == (sparsity.experts, sparsity.topk)
    assert block.shared_ffn_hidden == sparsity.shared * block.moe_ffn_hidden
    assert block.moe_ffn_hidden % 128 == 0
    assert parameter_count(made).total > 5 * size


def test_sizes_without_embedding() -> None:
    """Counted without embedding and head, a shape is as large as asked in its blocks."""
    made = shape(1e9, counts="non_embedding")
    assert law_params(made, "non_embedding") == pytest.approx(1e9, rel=0.03)
    assert law_params(made) > 1.1e9


@pytest.mark.parametrize("size", [0.0, -1e9, float("nan"), 1e15, 2e6])
def test_impossible_sizes(size: float) -> None:
    """A size that is none, or smaller than its vocabulary, is refused."""
    with pytest.raises(InputError, match="params"):
        shape(size)


def test_impossible_mixtures() -> None:
    """A mixture uses fewer experts than it has."""
    with pytest.raises(InputError, match="not a mixture"):
        Sparsity(experts=8, topk=8)


def test_own_rules() -> None:
    """A user's own proportions are kept."""
    narrow = shape(1e9, rules=Rules(aspect=50.0, ffn=4.0, head_dim=64, kv_heads=4, vocab=32000))
    assert (narrow.vocab, narrow.blocks[0].head_dim) == (32000, 64)


def test_largest_useful_cluster() -> None:
    """At 20 % waste the batch is a fifth of the critical one, and the run is six times its floor."""
    got = largest_useful(
        params=70e9, tokens=1.4e12, critical_tokens=10e6, seq_len=4000, replica_gpus=8, replica_flop_per_s=3.2e15
    )
    assert got.batch_tokens == 2e6
    assert got.gpus == 500 * 8
    assert got.tokens == pytest.approx(1.2 * 1.4e12)
    assert got.steps * got.batch_tokens == pytest.approx(got.tokens)
    assert got.run_s == pytest.approx(6 * got.floor_s)
    assert got.floor_s == pytest.approx(1.4e12 / 10e6 * 6 * 70e9 * 4000 / 3.2e15)
    with pytest.raises(InputError, match="replica_gpus"):
        largest_useful(
            params=70e9, tokens=1.4e12, critical_tokens=10e6, seq_len=4000, replica_gpus=0, replica_flop_per_s=3.2e15
        )


def test_batch_advice_names_its_laws() -> None:
    """Every law of batch or rate is there with its source; the critical batch is that of the plan."""
    advice = batch_advice(7e9, 1e12)
    assert [each.batch_tokens is None for each in advice] == [False, False, False, False, True]
    assert advice[1].rate == pytest.approx(8.27e-4, rel=5e-3)
    assert advice[0].batch_tokens == critical_batch_tokens(loss=expected_loss(params=7e9, tokens=1e12))


def _evaluator(architecture: Architecture, tokens: Array) -> Evaluated:
    """Time by arithmetic alone; the second offer is too small for more than 100 B parameters."""
    params = law_params(architecture)
    run_s = 6 * params * tokens[None, :] / RATE[:, None]
    run_s[1] = run_s[1] if params < 100e9 else np.inf
    return Evaluated(offers=OFFERS, run_s=run_s, cost_usd=run_s * USD_PER_S[:, None], mfu=np.full(len(OFFERS), 0.4))


@pytest.fixture(scope="module")
def table() -> Table:
    """Return sixty sizes on two offers."""
    return tabulate([shape(n) for n in sizes(1e9, 3e11, 60)], _evaluator)


def test_the_joint_optimum_is_the_closed_form(table: Table) -> None:
    """Where time and money are arithmetic only, the optimum is the law's, on the offer of the cheapest FLOP."""
    budget = 2e6
    got = joint_optimum(table, Limits(budget_usd=budget), BESIROGLU)
    assert got.chosen is not None
    flop = budget * (RATE / USD_PER_S).max()
    best = optimum(BESIROGLU, flop)
    assert got.chosen.offer == ("b200" if got.chosen.params < 100e9 else "h100")
    assert got.chosen.loss == pytest.approx(best.loss, abs=2e-3)
    assert got.chosen.total_usd == pytest.approx(budget, rel=1e-9)
    assert got.chosen.binds == "budget"
    assert got.spread is not None
    assert got.spread.params is not None
    assert got.spread.loss.low < got.chosen.loss < got.spread.loss.high
    assert got.spread.params.low < got.chosen.params <= got.spread.params.high


def test_every_point_of_the_line_costs_the_same(table: Table) -> None:
    """The isocost line has one total and the loss of its own point; nothing on it beats the chosen one."""
    limits = Limits(budget_usd=5e5)
    got = joint_optimum(table, limits, BESIROGLU)
    assert got.chosen is not None
    bound = [each for each in got.line if each.binds == "budget"]
    assert len(bound) > 40
    assert {each.binds for each in got.line} == {"budget", "range"}
    for each in bound:
        assert each.total_usd == pytest.approx(5e5, rel=1e-9)
        assert each.loss == pytest.approx(float(np.asarray(loss(BESIROGLU, each.params, each.tokens))), rel=1e-12)
        assert each.loss >= got.chosen.loss


def test_a_deadline_binds(table: Table) -> None:
    """With a short deadline time binds, days are worth something and money nothing."""
    got = joint_optimum(table, Limits(budget_usd=1e9, deadline_s=5 * DAY_S), BESIROGLU)
    assert got.chosen is not None
    assert got.chosen.binds == "deadline"
    assert got.chosen.run_s == pytest.approx(5 * DAY_S, rel=1e-9)
    worth = {each.more: each.loss for each in got.marginals}
    assert worth["10 % more money"] == 0.0
    assert worth["10 more days"] < -1e-3
    assert worth["5 points more MFU"] < 0.0


def test_faster_steps_leave_the_start_as_it_is(table: Table) -> None:
    """A quarter more speed divides what tokens take, in time and money, and not what precedes the first one."""
    started = replace(table, run_s=table.run_s + 1e5, cost_usd=table.cost_usd + 1e4)
    got = started.faster(0.25)
    able = np.isfinite(table.run_s)
    assert got.run_s[able] == pytest.approx(1e5 + table.run_s[able] / 1.25, rel=1e-12)
    assert got.cost_usd[able] == pytest.approx(1e4 + table.cost_usd[able] / 1.25, rel=1e-12)
    assert np.isinf(got.run_s[~able]).all()


def test_limits_are_kept_with_more_than_the_median(table: Table) -> None:
    """Where a bill and a time are to be kept with a probability, their margins and no more are left."""
    sure = replace(table, late=np.array([1.5, 1.5]), dear=np.array([2.0, 2.0]))
    got = joint_optimum(sure, Limits(budget_usd=2e6), BESIROGLU).chosen
    assert got is not None
    assert got.total_usd == pytest.approx(1e6, rel=1e-9)
    soon = joint_optimum(sure, Limits(budget_usd=1e9, deadline_s=6 * DAY_S), BESIROGLU).chosen
    assert soon is not None
    assert soon.run_s == pytest.approx(4 * DAY_S, rel=1e-9)


def test_more_of_anything_never_hurts(table: Table) -> None:
    """A larger budget, a later deadline or more data never raise the loss."""
    base = Limits(budget_usd=3e5, deadline_s=20 * DAY_S, unique_tokens=50e9)
    first = joint_optimum(table, base, BESIROGLU).chosen
    assert first is not None
    for more in (
        replace(base, budget_usd=6e5),
        replace(base, deadline_s=40 * DAY_S),
        replace(base, unique_tokens=1e11),
    ):
        then = joint_optimum(table, more, BESIROGLU).chosen
        assert then is not None
        assert then.loss <= first.loss


def test_one_more_offer_never_hurts(table: Table) -> None:
    """Without the second offer no size gets more tokens."""
    one = replace(table, offers=("h100",), run_s=table.run_s[:, :1], cost_usd=table.cost_usd[:, :1], mfu=None)
    limits = Limits(budget_usd=1e6, deadline_s=30 * DAY_S)
    for with_one, with_both in zip(
        isocost_line(one, limits, BESIROGLU), isocost_line(table, limits, BESIROGLU), strict=True
    ):
        assert with_one.tokens <= with_both.tokens


def test_serving_moves_to_smaller_models(table: Table) -> None:
    """With tokens to serve the budget buys a smaller model; training and serving add up to it."""
    alone = joint_optimum(table, Limits(budget_usd=1e6), BESIROGLU).chosen
    served = joint_optimum(table, Limits(budget_usd=1e6, served_tokens=5e12), BESIROGLU).chosen
    assert alone is not None
    assert served is not None
    assert served.params < alone.params
    assert served.train_usd + served.serving_usd == pytest.approx(1e6, rel=1e-9)
    found = serving_optimum(BESIROGLU, served.loss, 5e12)  # the same question asked of the law alone
    assert served.params == pytest.approx(found.params, rel=0.1)


def test_alternatives_are_smaller_and_near(table: Table) -> None:
    """Alternatives are smaller models within a hundredth of a nat, trained for longer."""
    got = joint_optimum(table, Limits(budget_usd=1e6), BESIROGLU)
    assert len(got.alternatives) > 3
    for each in got.alternatives:
        assert 0.0 <= each.loss <= 0.01
        assert each.size_frac < 1.0 < each.tokens_frac
        assert each.serving_frac == each.size_frac


def test_data_on_the_bill(table: Table) -> None:
    """Paid tokens are a part of the total, unique ones only."""
    limits = Limits(budget_usd=1e6, unique_tokens=1e11, usd_per_unique_token=1e-6)
    got = joint_optimum(table, limits, BESIROGLU).chosen
    assert got is not None
    assert got.data_usd == pytest.approx(1e5, rel=1e-9)
    assert got.total_usd == pytest.approx(1e6, rel=1e-9)
    licensed = joint_optimum(table, replace(limits, licence_usd=3e5), BESIROGLU).chosen
    assert licensed is not None
    assert licensed.data_usd == pytest.approx(4e5, rel=1e-9)
    assert licensed.total_usd == pytest.approx(1e6, rel=1e-9)


def test_nothing_fits(table: Table) -> None:
    """Too little money for the smallest model: no choice, and by how much to relax."""
    got = joint_optimum(table, Limits(budget_usd=1.0, deadline_s=DAY_S), BESIROGLU)
    assert got.chosen is None
    cheapest = table.cost_usd[..., 0].min()
    assert got.relax[0].startswith(f"budget + {np.ceil(100.0 * (cheapest - 1.0)):.0f} % (")


def test_the_edge_of_the_sizes_is_said(table: Table) -> None:
    """A best size at the end of those tried is no optimum, and the answer says so."""
    got = joint_optimum(table, Limits(budget_usd=1e9), BESIROGLU)
    assert any("widen" in note for note in got.notes)


def test_cheapest_way_to_a_loss(table: Table) -> None:
    """The cheapest model of a given quality reaches it, costs no more than any other, and is near the law's own."""
    target = float(np.asarray(loss(BESIROGLU, 70e9, 1.4e12)))
    got = cheapest_to(table, Limits(budget_usd=np.inf), BESIROGLU, target)
    assert got.chosen is not None
    assert float(np.asarray(loss(BESIROGLU, got.chosen.params, got.chosen.tokens))) == pytest.approx(target, rel=1e-9)
    assert got.chosen.total_usd == min(each.total_usd for each in got.line)
    assert got.chosen.params == pytest.approx(70e9, rel=0.1)
    assert [each.more for each in got.marginals] == ["5 points more MFU"]
    assert got.marginals[0].usd == pytest.approx(got.chosen.total_usd * (1 / (1 + 0.05 / 0.4) - 1), rel=1e-9)
    assert got.marginals[0].loss == 0.0
    for each in got.alternatives:
        assert 0.0 < each.usd <= 0.05 * got.chosen.total_usd
        assert each.size_frac < 1.0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"budget_usd": 0.0}, "budget"),
        ({"budget_usd": float("nan")}, "budget"),
        ({"budget_usd": 1.0, "unique_tokens": -1.0}, "data"),
        ({"budget_usd": 1.0, "served_tokens": -1.0}, "serve"),
        ({"budget_usd": 1.0, "deadline_s": 0.0}, "deadline"),
    ],
)
def test_impossible_limits(given: dict[str, float], said: str) -> None:
    """Limits are positive."""
    with pytest.raises(InputError, match=said):
        Limits(**given)


MAIN = MainRun(cost_usd=Interval(low=1.6e6, median=2e6, high=2.4e6), gpu_hours=8e5, flop=1e24, run_s=60 * DAY_S)


def _fixed(value: float) -> Interval:
    return Interval(low=value, median=value, high=value)


def test_programme_without_spread_is_a_sum() -> None:
    """With one figure each, every unit is priced by the final run's rates and the total is the sum."""
    main = replace(MAIN, cost_usd=_fixed(2e6))
    items = (
        Item(name="failed", amount=_fixed(0.25)),
        Item(name="sweeps", amount=_fixed(1e5), unit="gpu_hours", begins=-1.0),
        Item(name="ladder", amount=_fixed(1e23), unit="flop"),
        Item(name="licences", amount=_fixed(3e5), unit="usd"),
    )
    staff = Staff(people=10, usd_per_year=_fixed(3e5), length_s=31557600.0 / 2)
    got = program_bill(main, items, staff, raised_usd=1e7)
    expected = [2e6, 0.5e6, 0.25e6, 0.2e6, 0.3e6, 1.5e6]
    assert [line.cost_usd.median for line in got.lines] == pytest.approx(expected, rel=1e-12)
    assert got.total_usd.low == pytest.approx(4.75e6, rel=1e-12)
    assert got.total_usd.high == pytest.approx(4.75e6, rel=1e-12)
    assert got.share_of_capital is not None
    assert got.share_of_capital.median == pytest.approx(0.475, rel=1e-12)
    assert [line.begins_s for line in got.lines] == [0.0, 0.0, -60 * DAY_S, 0.0, 0.0, -60 * DAY_S]
    assert sum(line.share_frac for line in got.lines) == pytest.approx(1.0, rel=1e-12)


def test_programme_intervals() -> None:
    """The final run keeps its interval, means add up, and shares move with the price of the run."""
    got = program_bill(MAIN, shipped_items())
    assert got.lines[0].cost_usd.low == pytest.approx(1.6e6, rel=0.02)
    assert got.lines[0].cost_usd.high == pytest.approx(2.4e6, rel=0.02)
    assert sum(line.mean_usd for line in got.lines) == pytest.approx(got.mean_usd, rel=1e-12)
    assert got.total_usd.low < got.mean_usd < got.total_usd.high
    assert got == program_bill(MAIN, shipped_items())
    assert program_bill(MAIN, (Item(name="twin", amount=_fixed(1.0)),)).total_usd.high == pytest.approx(4.8e6, rel=0.02)


def test_ladder() -> None:
    """A ladder is the sum of 6 N D over its sizes and seeds."""
    assert ladder([1e8, 1e9], 20.0, seeds=3).amount.median == pytest.approx(3 * 120 * (1e16 + 1e18), rel=1e-12)


def test_malformed_programme() -> None:
    """Amounts out of order, unknown units and names used twice are reported together."""
    bad = (
        Item(name="a", amount=Interval(low=2.0, median=1.0, high=3.0)),
        Item(name="a", amount=_fixed(1.0)),
        Item(name="b", amount=_fixed(1.0), unit="hours"),
    )
    with pytest.raises(InputError) as caught:
        program_bill(MAIN, bad, raised_usd=0.0)
    for said in ("low, median and high", "name twice", "unknown unit", "raised"):
        assert said in str(caught.value)


def test_surface_of_draws_broadcasts() -> None:
    """A surface evaluates a column of draws against a row of sizes."""
    at = surface(BESIROGLU)
    got = np.asarray(replace(at, irreducible=np.array([[1.7], [1.8]])).loss(np.array([1e9, 1e10]), 1e12, 1e11))
    assert got.shape == (2, 2)
    assert (got[1] - got[0]) == pytest.approx([0.1, 0.1], rel=1e-9)
