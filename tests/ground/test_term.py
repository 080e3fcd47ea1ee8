"""The registry of formulas and the record of a calculation."""

import json
from collections.abc import Iterator

import numpy as np
import pytest

from isocost import term as term_module
from isocost.num import Num
from isocost.term import TERMS, Node, bibliography, compare, recording, render, term, to_dict


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the registry of the package as it was."""
    monkeypatch.setattr(term_module, "TERMS", TERMS)
    before = dict(TERMS)
    yield
    TERMS.clear()
    TERMS.update(before)


def _laws():
    @term(unit="s", source="hockney1994")
    def send_s(payload_bytes: Num, link_bytes_per_s: Num, latency_s: Num = 1e-6) -> Num:
        """seconds = latency_s + payload_bytes / link_bytes_per_s.

        More words.
        """
        return latency_s + payload_bytes / link_bytes_per_s

    @term(unit="s", source="thakur2005, hockney1994")
    def ring_s(payload_bytes: Num, link_bytes_per_s: Num, ranks: Num) -> Num:
        """seconds = 2 (ranks - 1) send_s(payload / ranks)."""
        return 2 * (ranks - 1) * send_s(payload_bytes / ranks, link_bytes_per_s)

    return send_s, ring_s


def _record(ranks: float = 4.0) -> Node:
    send_s, ring_s = _laws()
    with recording("plan") as tree:
        ring_s(4e9, 1e9, ranks=ranks)
        send_s(1e9, 1e9)
    return tree


def test_registry_knows_the_formula() -> None:
    """A registered term keeps unit, source, formula, arguments and domain."""
    send_s, _ = _laws()
    entry = TERMS["send_s"]
    assert (entry.unit, entry.source) == ("s", "hockney1994")
    assert entry.formula == "seconds = latency_s + payload_bytes / link_bytes_per_s."
    assert entry.arguments == ("payload_bytes", "link_bytes_per_s", "latency_s")
    assert entry.function is send_s
    assert send_s.__name__ == "send_s"


def test_a_term_without_formula_is_refused() -> None:
    """A term must carry its formula as docstring."""

    def bare_s(x_s: Num) -> Num:
        return x_s

    with pytest.raises(ValueError, match="bare_s needs a docstring"):
        term(unit="s", source="x")(bare_s)


def test_two_terms_of_one_name_are_refused() -> None:
    """A name belongs to one module, so that an explanation is unambiguous."""
    _laws()

    def send_s(x_s: Num) -> Num:
        """seconds = x_s."""
        return x_s

    send_s.__module__ = "elsewhere"
    with pytest.raises(ValueError, match=f"already registered by {__name__}"):
        term(unit="s", source="x")(send_s)


def test_nested_calls_are_recorded_with_inputs_and_values() -> None:
    """The tree has the calls in order, each with its bound arguments, defaults included, and its result."""
    tree = _record()
    ring, send = tree.children
    (inner,) = ring.children
    assert [node.name for node in tree.walk()] == ["plan", "ring_s", "send_s", "send_s"]
    assert ring.inputs == {"payload_bytes": 4e9, "link_bytes_per_s": 1e9, "ranks": 4.0}
    assert inner.inputs == {"payload_bytes": 1e9, "link_bytes_per_s": 1e9, "latency_s": 1e-6}
    assert inner.value == send.value == 1.000001
    assert ring.value == 6 * 1.000001


def test_nothing_is_recorded_outside_the_block() -> None:
    """Calls before and after the block leave no trace, and blocks nest."""
    send_s, _ = _laws()
    with recording() as outer:
        send_s(1.0, 1.0)
        with recording() as inner:
            send_s(2.0, 1.0)
    send_s(3.0, 1.0)
    assert [node.inputs["payload_bytes"] for node in outer.children] == [1.0]
    assert [node.inputs["payload_bytes"] for node in inner.children] == [2.0]


def test_an_exception_ends_the_recording_cleanly() -> None:
    """A term that fails leaves the recorder as it was."""
    send_s, _ = _laws()
    with recording() as tree:
        with pytest.raises(ZeroDivisionError):
            send_s(1.0, 0.0)
        send_s(1.0, 1.0)
    assert [node.value for node in tree.children] == [None, 1.000001]


def test_recorded_and_plain_results_are_the_same() -> None:
    """Recording changes no bit of a result."""
    send_s, _ = _laws()
    row = np.array([1e3, 1e6])
    with recording():
        recorded = send_s(row, 3e9)
    assert np.array_equal(recorded, send_s(row, 3e9))


def test_rendered_tree() -> None:
    """The explanation shows each value in readable units, formula, source and inputs, indented by depth."""
    assert render(_record()) == "\n".join(
        [
            "plan",
            "  ring_s = 6 s  seconds = 2 (ranks - 1) send_s(payload / ranks).  [thakur2005, hockney1994]",
            "      with payload_bytes = 3.73 GiB, link_bytes_per_s = 1 GB/s, ranks = 4",
            "    send_s = 1 s  seconds = latency_s + payload_bytes / link_bytes_per_s.  [hockney1994]",
            "        with payload_bytes = 954 MiB, link_bytes_per_s = 1 GB/s, latency_s = 1 µs",
            "  send_s = 1 s  seconds = latency_s + payload_bytes / link_bytes_per_s.  [hockney1994]",
            "      with payload_bytes = 954 MiB, link_bytes_per_s = 1 GB/s, latency_s = 1 µs",
        ]
    )


def test_a_row_is_rendered_as_its_range() -> None:
    """An array is shown by its ends and its length, not by its million entries."""
    send_s, _ = _laws()
    with recording() as tree:
        send_s(np.linspace(1e9, 2e9, 1000), 1e9, 0.0)
    assert "send_s = 1 s to 2 s (1,000 values)" in render(tree)


def test_tree_as_json() -> None:
    """The tree survives JSON, arrays included."""
    send_s, _ = _laws()
    with recording() as tree:
        send_s(np.array([1.0, 3.0]), np.float64(1.0), 0.0)
    (child,) = json.loads(json.dumps(to_dict(tree)))["children"]
    assert child["inputs"] == {"payload_bytes": [1.0, 3.0], "link_bytes_per_s": 1.0, "latency_s": 0.0}
    assert child["value"] == [1.0, 3.0]
    assert (child["unit"], child["source"], child["children"]) == ("s", "hockney1994", [])


def test_bibliography_lists_what_ran_once_in_order() -> None:
    """Only sources of terms that ran appear, each once."""
    assert bibliography(_record()) == ["thakur2005", "hockney1994"]
    assert bibliography(Node(name="empty")) == []


def test_compare_lists_what_moved() -> None:
    """Two recordings differ in exactly the terms whose value changed, paired by place."""
    changes = compare(_record(ranks=4.0), _record(ranks=8.0))
    assert [(change.path, change.unit) for change in changes] == [("ring_s", "s"), ("ring_s/send_s", "s")]
    assert changes[1].before == 1.000001
    assert changes[1].after == 0.500001


def test_compare_of_equal_trees_is_empty() -> None:
    """The same calculation twice moves nothing."""
    assert compare(_record(), _record()) == []


def test_compare_names_what_appeared() -> None:
    """A term that only one of the trees has is listed, with None on the other side."""
    send_s, _ = _laws()
    with recording() as one:
        send_s(1.0, 1.0, 0.0)
    with recording() as two:
        send_s(1.0, 1.0, 0.0)
        send_s(2.0, 1.0, 0.0)
    (change,) = compare(one, two)
    assert (change.path, change.before, change.after) == ("send_s#2", None, 2.0)
