"""Comparison of two graphs."""

from __future__ import annotations

import copy
from typing import Any

from workflows.graph import START_TO_END
from workflows.graph.comparison import ADDED, CHANGED, REMOVED, compare_graphs


def source(*nodes: dict[str, Any], edges: tuple[tuple[str, ...], ...] = ()) -> dict[str, Any]:
    names = ("source", "target", "sourceHandle")
    return {"nodes": list(nodes), "edges": [dict(zip(names, row, strict=False)) for row in edges]}


def test_comparison_ignores_positions_and_order() -> None:
    moved = copy.deepcopy(START_TO_END)
    moved["nodes"][0]["position"] = {"x": 7, "y": 7}
    moved["nodes"].reverse()
    assert not compare_graphs(START_TO_END, moved)


def test_comparison_finds_added_and_removed_nodes_and_edges() -> None:
    one, other = ({"id": key, "type": "end"} for key in "ab")
    found = compare_graphs(
        source(one, edges=(("a", "a"),)), source(other, edges=(("b", "b", "yes"),))
    )
    assert found.nodes == {"b": ADDED, "a": REMOVED}
    assert found.edges == {("b", "b", "yes"): ADDED, ("a", "a", ""): REMOVED}


def test_comparison_lists_changed_fields_of_a_node() -> None:
    def node(**data: Any) -> dict[str, Any]:
        return source({"id": "a", "type": "user_action", "data": data})

    before = node(label="Old", fields=[{"name": "x", "required": False}], deadline="P1D")
    after = node(label="New", fields=[{"name": "x", "required": 0}], title="T")
    found = compare_graphs(before, after)
    assert found.nodes == {"a": CHANGED}
    assert [(row.path, row.operation, row.before, row.after) for row in found.fields["a"]] == [
        ("data.label", CHANGED, "Old", "New"),
        ("data.fields[0].required", CHANGED, False, 0),
        ("data.title", ADDED, None, "T"),
        ("data.deadline", REMOVED, "P1D", None),
    ]


def test_comparison_reads_damaged_sources() -> None:
    damaged = {"nodes": ["x", {"type": "end"}], "edges": None}
    assert compare_graphs(None, damaged).nodes == {"None": ADDED}
    assert not compare_graphs([], {})
