"""What sets two sources apart, as the page that compares versions tells it."""

from __future__ import annotations

import copy
from typing import Any

from workflows.graph import START_TO_END
from workflows.graph.changes import ADDED, CHANGED, REMOVED, changes


def source(*nodes: dict[str, Any], edges: tuple[tuple[str, ...], ...] = ()) -> dict[str, Any]:
    names = ("source", "target", "sourceHandle")
    return {"nodes": list(nodes), "edges": [dict(zip(names, row, strict=False)) for row in edges]}


def test_what_is_the_same_is_no_difference_nor_is_where_a_node_stands_or_the_order() -> None:
    moved = copy.deepcopy(START_TO_END)
    moved["nodes"][0]["position"] = {"x": 7, "y": 7}
    moved["nodes"].reverse()
    assert not changes(START_TO_END, moved)


def test_nodes_and_edges_are_added_and_removed() -> None:
    one, other = ({"id": key, "type": "end"} for key in "ab")
    found = changes(source(one, edges=(("a", "a"),)), source(other, edges=(("b", "b", "yes"),)))
    assert found.nodes == {"b": ADDED, "a": REMOVED}
    assert found.edges == {("b", "b", "yes"): ADDED, ("a", "a", ""): REMOVED}


def test_a_change_of_a_node_is_told_field_by_field() -> None:
    def node(**data: Any) -> dict[str, Any]:
        return source({"id": "a", "type": "user_action", "data": data})

    before = node(label="Old", fields=[{"name": "x", "required": False}], deadline="P1D")
    after = node(label="New", fields=[{"name": "x", "required": 0}], title="T")
    found = changes(before, after)
    assert found.nodes == {"a": CHANGED}
    assert [(row.path, row.kind, row.before, row.after) for row in found.fields["a"]] == [
        ("data.label", CHANGED, "Old", "New"),
        ("data.fields[0].required", CHANGED, False, 0),
        ("data.title", ADDED, None, "T"),
        ("data.deadline", REMOVED, "P1D", None),
    ]


def test_what_is_damaged_is_compared_as_far_as_it_can_be_read() -> None:
    damaged = {"nodes": ["x", {"type": "end"}], "edges": None}
    assert changes(None, damaged).nodes == {"None": ADDED}
    assert not changes([], {})
