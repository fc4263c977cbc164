"""Edit steps of several nodes. No database."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflows.graphs import edge, line, node
from workflows.graph import MAX_NODES
from workflows.graph.edit_steps import GraphEditError
from workflows.graph.node_groups import SHIFT, copy_nodes, delete_nodes, paste_nodes
from workflows.graph.positions import list_positions, with_positions


def source() -> dict[str, Any]:
    return line(node("a", "set_state", state="A", label="First"), node("b", "set_state", state="B"))


def links(graph: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["source"], row["target"]) for row in graph["edges"]]


def test_copy_has_the_nodes_and_the_edges_between_them_without_the_start() -> None:
    copied = copy_nodes(source(), ["start", "b", "a", "a"])
    assert [row["id"] for row in copied["nodes"]] == ["b", "a"]
    assert links(copied) == [("a", "b")]


@pytest.mark.parametrize("ids", [[], ["start"], ["a", "unknown"]])
def test_copy_of_unknown_or_no_nodes_is_refused(ids: list[str]) -> None:
    with pytest.raises(GraphEditError):
        copy_nodes(source(), ids)


def test_pasted_nodes_have_new_ids_and_labels_and_their_edges() -> None:
    before = source()
    changed, fresh = paste_nodes(before, copy_nodes(before, ["a", "b"]))
    assert fresh == ["set_state", "set_state_2"]
    assert changed["nodes"][: len(before["nodes"])] == before["nodes"]
    assert [row["data"].get("label") for row in changed["nodes"][-2:]] == ["First (copy)", None]
    assert links(changed) == [*links(before), ("set_state", "set_state_2")]
    ids = [row.get("id") for row in changed["edges"] if row.get("id")]
    assert len(ids) == len(set(ids))
    again, more = paste_nodes(changed, copy_nodes(before, ["a", "b"]))
    assert not set(fresh) & set(more)
    assert len(again["nodes"]) == len(before["nodes"]) + 4


def test_pasted_nodes_lie_beside_the_copied_ones_in_an_arranged_graph() -> None:
    arranged = with_positions(source(), {"a": {"x": 0, "y": 99_990}})
    copied = copy_nodes(arranged, ["a", "b"])
    changed, fresh = paste_nodes(arranged, copied)
    assert list_positions(changed)[fresh[0]] == {"x": SHIFT, "y": 100_000}
    assert list_positions(paste_nodes(source(), copied)[0]) == {}


def test_paste_of_too_many_nodes_is_refused() -> None:
    full = {"nodes": [node(str(key), "end") for key in range(MAX_NODES)], "edges": []}
    with pytest.raises(GraphEditError):
        paste_nodes(full, copy_nodes(source(), ["a"]))


def test_deleted_nodes_are_bridged() -> None:
    assert links(delete_nodes(source(), ["a", "b"])) == [("start", "end")]
    looped = source()
    looped["edges"].append(edge("b", "a"))
    assert {"a", "b"}.isdisjoint(
        row["id"] for row in delete_nodes(looped, ["b", "a", "b"])["nodes"]
    )
    with pytest.raises(GraphEditError):
        delete_nodes(source(), ["a", "start"])
