"""Layouts: which are legal, what became of the others, and the small axes that the search evaluates."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from oracles.brute import brute_layouts

from isocost.laws.pipeline import SCHEDULES
from isocost.perf.layout import AXES, BLOCK_AXES, STAGE_AXES, Layout
from isocost.perf.layouts import Axes, Layouts, default_axes, legal_layouts, small_axis
from isocost.search.question import Candidate
from isocost.workload.presets import preset

DENSE, EXPERT = preset("tinyllama-1.1b"), preset("deepseek-v2-lite")
ONE = Axes(
    gpus=(64,), tp=(1,), pp=(1,), vp=(1,), cp=(1,), ep=(1,), micro_batch=(1,), sequence_parallel=(False,),
    recompute=("none",), sharding=("none",), schedule=("none",),
)  # fmt: skip


def _legal(arch, axes: Axes, seq_len: int = 2048, batch: int = 64, domain: int = 8) -> Layouts:
    return legal_layouts(arch, axes, seq_len=seq_len, global_batch_seqs=batch, domain=domain)


@pytest.mark.parametrize(
    ("arch", "batch"), [(DENSE, 48), (EXPERT, 64)], ids=["dense, a batch with a factor of 3", "experts"]
)
def test_legal_layouts_are_those_of_plain_loops(arch, batch: int) -> None:
    """Joining an axis at a time finds the layouts that trying every member of the product finds, each once."""
    axes = dataclasses.replace(
        default_axes(arch, (1, 8, 12, 16), schedules=tuple(SCHEDULES)), micro_batch=(1, 2, 3), vp=(1, 2, 3, 11),
        pp=(1, 2, 3, 4, 6, 12), cp=(1, 2), tp=(1, 2, 4, 8), recompute=("none", "full"),
    )  # fmt: skip
    found = _legal(arch, axes, batch=batch, domain=4)
    rows = [found.row(k) for k in range(len(found))]
    expected = list(brute_layouts(arch, axes, 2048, batch, 4))
    assert len(expected) > 500
    assert sorted(rows, key=repr) == sorted(expected, key=repr)
    assert [row.gpus for row in rows] == found.gpus.tolist()


@pytest.mark.parametrize("arch", [DENSE, EXPERT], ids=["dense", "experts"])
def test_every_member_of_the_product_is_accounted_for(arch) -> None:
    """Legal layouts and those dropped, by reason, add up to the full product of the axes."""
    axes = default_axes(arch, (7, 24, 64, 96), schedules=tuple(SCHEDULES))
    layouts = _legal(arch, axes)
    assert len(layouts) > 0
    assert len(layouts) + sum(layouts.illegal.values()) == axes.size


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tp": (64,), "gpus": (64,)}, "heads not divisible by tp"),
        ({"tp": (16,)}, "tp beyond the scale-up domain"),
        ({"cp": (3,), "gpus": (192,)}, "sequence not divisible by 2 cp"),
        ({"pp": (32,), "schedule": ("1f1b",)}, "layers fewer than pp"),
        ({"pp": (16,), "schedule": ("1f1b",)}, "a pipeline stage without layers"),
        ({"pp": (5,), "schedule": ("1f1b",)}, "GPUs not divisible by tp x pp x cp"),
        ({"gpus": (7,)}, "batch not divisible by dp"),
        ({"micro_batch": (2,)}, "batch not divisible by dp x micro-batch"),
        ({"ep": (2,)}, "no experts for ep > 1"),
        ({"schedule": ("1f1b",)}, "a schedule needs pp > 1"),
        ({"pp": (2,)}, "pp > 1 needs a schedule"),
        ({"pp": (2,), "vp": (11,), "schedule": ("1f1b",)}, "vp > 1 needs the interleaved schedule"),
        ({"pp": (2,), "schedule": ("interleaved",)}, "the interleaved schedule needs vp > 1"),
        ({"pp": (2,), "vp": (20,), "schedule": ("interleaved",)}, "layers fewer than pp x vp"),
        ({"pp": (2,), "vp": (7,), "schedule": ("interleaved",)}, "layers do not divide into pp x vp chunks"),
        ({"pp": (2,), "schedule": ("zb-v",), "gpus": (128,)}, "fewer micro-batches than the schedule needs"),
        ({"pp": (11,), "schedule": ("dualpipe",), "gpus": (11,)}, "the schedule needs an even pp"),
        ({"sharding": ("zero1",), "gpus": (1,)}, "nothing to shard over: dp x cp = 1"),
        ({"pp": (2,), "schedule": ("1f1b",), "sharding": ("zero3",)}, "zero2 and zero3 exclude pp > 1"),
        ({"sequence_parallel": (True,)}, "sequence parallelism needs tp > 1"),
    ],
)  # fmt: skip
def test_reason_of_an_illegal_layout(change: dict, reason: str) -> None:
    """A layout is dropped under the first rule it breaks; TinyLlama has 22 layers, 32 heads, 4 key heads."""
    layouts = _legal(DENSE, dataclasses.replace(ONE, **change))
    assert dict(layouts.illegal) == {reason: 1}
    assert len(layouts) == 0


def test_embedding_and_head_count_as_layers() -> None:
    """22 layers fill 24 chunks: one holds the embedding only and one the head only; 28 are too many."""
    change = {"pp": (4,), "schedule": ("interleaved",), "gpus": (4,)}
    assert len(_legal(DENSE, dataclasses.replace(ONE, vp=(6,), **change))) == 1
    assert len(_legal(DENSE, dataclasses.replace(ONE, vp=(7,), **change))) == 0


def test_experts_need_a_group_that_holds_them() -> None:
    """Expert parallelism divides the experts and runs over ranks of dp, cp and tp."""
    assert dict(_legal(EXPERT, dataclasses.replace(ONE, ep=(5,))).illegal) == {"experts not divisible by ep": 1}
    few = dataclasses.replace(ONE, ep=(8,), gpus=(4,))
    assert dict(_legal(EXPERT, few).illegal) == {"ep does not divide dp x cp x tp": 1}
    assert len(_legal(EXPERT, dataclasses.replace(few, gpus=(8,)))) == 1


def test_an_axis_has_its_values_its_column_and_its_figure() -> None:
    """The records of axes, of layouts and of a plan have the axes of a layout; dp follows from the others."""
    names = ["gpus", *AXES]
    assert {f.name for f in dataclasses.fields(Axes)} == {*names} - {"dp"}
    assert {f.name for f in dataclasses.fields(Layouts)} == {*names, "axes", "illegal"}
    layout = Layout(tp=2, dp=4, recompute="full")
    assert [getattr(layout, name) for name in names] == [8, 2, 1, 1, 1, 1, 4, 1, False, "full", "none", "none"]
    assert all(isinstance(getattr(Candidate, name), property) for name in names)


def test_a_fixed_value_is_the_only_one() -> None:
    """A fixed value replaces its axis, also where it is none of the usual ones."""
    axes = default_axes(DENSE, (64, 8, 64), {"micro_batch": 3, "recompute": "full"})
    assert (axes.micro_batch, axes.recompute, axes.gpus) == ((3,), ("full",), (8, 64))
    assert axes.tp == (1, 2, 4, 8, 16, 32, 64)


def test_layouts_cannot_be_changed() -> None:
    """Columns are read-only."""
    layouts = _legal(DENSE, ONE)
    with pytest.raises(ValueError, match="read-only"):
        layouts.tp[0] = 2


def test_rows_come_by_gpu_count() -> None:
    """GPU counts ascend: the search takes the best of each by slices."""
    layouts = _legal(DENSE, default_axes(DENSE, (64, 8, 32)))
    assert (np.diff(layouts.gpus) >= 0).all()


@pytest.mark.parametrize("names", [BLOCK_AXES, STAGE_AXES], ids=["blocks", "stages"])
def test_small_axis_gives_every_layout_its_own(names: tuple[str, ...]) -> None:
    """Taking the small axis at the places of the layouts restores the columns, and no combination is on it twice."""
    layouts = _legal(EXPERT, default_axes(EXPERT, (32, 64)))
    unique, place = small_axis(layouts, names)
    for name in names:
        assert np.array_equal(unique[name][place], getattr(layouts, name))
    rows = list(zip(*(unique[name].tolist() for name in names), strict=True))
    assert len(set(rows)) == len(rows) < len(layouts)


def test_no_layouts_have_no_small_axis() -> None:
    """An empty set of layouts has empty axes."""
    layouts = _legal(DENSE, dataclasses.replace(ONE, gpus=(7,)))
    unique, place = small_axis(layouts, BLOCK_AXES)
    assert (len(layouts), len(place), len(unique["tp"])) == (0, 0, 0)
