"""Edit steps of a graph, and merging of two edited graphs."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workflows.graphs import choice, line, node
from workflows.graph import START_TO_END, node_types, parse
from workflows.graph.comparison import compare_graphs, edge_key
from workflows.graph.edit_steps import (
    GraphEditError,
    add_node_after,
    connect_nodes,
    delete_node,
    disconnect_nodes,
    duplicate_node,
    list_incoming,
    list_targets,
    node_data,
    require_editable,
    set_node_data,
)
from workflows.graph.merging import merge_graphs


def edge_keys(source: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {edge_key(row) for row in source["edges"]}


def ids(source: dict[str, Any]) -> list[str]:
    return [row["id"] for row in source["nodes"]]


@st.composite
def edited_sources(draw: Any, begin: Any = None) -> list[dict[str, Any]]:
    """Graphs after a series of random edit steps."""
    states = [copy.deepcopy(begin or draw(st.sampled_from([START_TO_END, choice()])))]
    for _ in range(draw(st.integers(1, 8))):
        source = states[-1]
        before = copy.deepcopy(source)
        one, other = (draw(st.sampled_from(ids(source))) for _ in range(2))
        exit_, target = draw(st.sampled_from([*list_targets(source, one), (None, None)]))
        kind = draw(st.sampled_from(sorted(node_types())))
        branches = draw(st.lists(st.sampled_from(["high", "low"]), unique=True))
        data = {"label": "New", "branches": [{"handle": name, "rule": {}} for name in branches]}
        steps = [
            lambda: add_node_after(source, one, kind, exit_=exit_, before=target)[0],  # noqa: B023
            lambda: connect_nodes(source, one, other, exit_=exit_),  # noqa: B023
            lambda: disconnect_nodes(source, one, target or "", exit_=exit_),  # noqa: B023
            lambda: delete_node(source, one),  # noqa: B023
            lambda: duplicate_node(source, one, "Copy")[0],  # noqa: B023
            lambda: set_node_data(source, one, data, renamed={"high": "low"}),  # noqa: B023
        ]
        with suppress(GraphEditError):
            states.append(draw(st.sampled_from(steps))())
        assert source == before
    return states


@given(edited_sources())
def test_edit_steps_keep_ids_unique_and_edges_connected(
    states: list[dict[str, Any]],
) -> None:
    for source in states:
        found = ids(source)
        assert len(found) == len(set(found))
        assert require_editable(source) is source
        assert {end for one in edge_keys(source) for end in one[:2]} <= set(found)
        assert len(edge_keys(source)) == len(source["edges"])
        names = [row["id"] for row in source["edges"] if "id" in row]
        assert len(names) == len(set(names))
        assert [row["type"] for row in source["nodes"]].count("start") == 1


@given(st.data())
def test_inserted_node_keeps_the_graph_valid_and_deleting_it_restores_the_graph(
    data: st.DataObject,
) -> None:
    source = choice()
    one = data.draw(st.sampled_from(["start", "choose", "review"]))
    # Exits that need no edge may have no target.
    connected = [(exit_, end) for exit_, end in list_targets(source, one) if end is not None]
    exit_, target = data.draw(st.sampled_from(connected))
    kind = data.draw(st.sampled_from(["approval", "user_action", "parallel", "join"]))
    more, new = add_node_after(source, one, kind, exit_=exit_, before=target)
    if kind == "approval":
        more = set_node_data(more, new, {"users": ["ada"]})
    parse(more)
    assert {end for _, end in list_targets(more, new) if end is not None} == {target}
    assert edge_keys(delete_node(more, new)) == edge_keys(source)


def test_copy_of_a_node_follows_it_when_it_has_one_next_step() -> None:
    source = line(node("ask", "user_action", label="Ask", fields=[{"name": "severity"}]))
    more, new = duplicate_node(source, "ask", "Ask (copy)")
    parse(more)
    assert list_targets(more, "ask")[0] == (None, new)
    assert list_targets(more, new)[0] == (None, "end")
    (copied,) = [row for row in more["nodes"] if row["id"] == new]
    assert node_data(copied) == {"label": "Ask (copy)", "fields": [{"name": "severity"}]}


def test_copy_of_a_branch_is_one_more_branch_of_its_fork() -> None:
    source, fork = add_node_after(
        line(node("ask", "user_action")), "start", "parallel", before="ask"
    )
    source, _join = add_node_after(source, "ask", "join", before="end")
    more, new = duplicate_node(source, "ask", "Ask again")
    parse(more)
    assert [end for _, end in list_targets(more, fork)] == ["ask", new]
    assert list_targets(more, new) == list_targets(more, "ask")


@given(st.data())
def test_merge_applies_my_changes_to_their_graph(data: st.DataObject) -> None:
    base = choice()
    mine = data.draw(edited_sources(base))[-1]
    theirs = data.draw(edited_sources(base))[-1]
    assert not compare_graphs(merge_graphs(base, mine, base).source, mine)
    assert not compare_graphs(merge_graphs(base, base, theirs).source, theirs)
    merged = merge_graphs(base, mine, theirs)
    found = ids(merged.source)
    assert len(found) == len(set(found))
    assert {end for one in edge_keys(merged.source) for end in one[:2]} <= set(found)
    own, remaining = (
        {row["id"]: row for row in source["nodes"]} for source in (mine, merged.source)
    )
    for key, state in compare_graphs(base, mine).nodes.items():
        assert (key in remaining) == (state != "removed")
        assert remaining.get(key) == own.get(key)


def test_merge_reports_conflicts_and_keeps_mine() -> None:
    base = line(node("ask", "user_action", label="Ask"))
    mine = set_node_data(base, "ask", {"label": "Mine"})
    theirs, new = add_node_after(base, "ask", "join", before="end")
    theirs = set_node_data(theirs, "ask", {"label": "Theirs"})
    merged = merge_graphs(base, mine, theirs)
    assert merged.conflicts == ["ask"]
    assert node_data(merged.source["nodes"][1]) == {"label": "Mine"}
    assert edge_keys(merged.source) == edge_keys(theirs)
    assert new in ids(merged.source)
    assert merge_graphs(base, mine, mine).conflicts == []


def test_inserted_end_leaves_the_later_nodes_unconnected() -> None:
    more, new = add_node_after(line(), "start", "fail", before="end")
    assert edge_keys(more) == {("start", new, "")}
    assert list_targets(more, new) == []


def test_connect_adds_a_branch_to_a_fork_and_replaces_other_edges() -> None:
    source = line(node("fork", "parallel"), node("one", "join"), node("two", "join"))
    more = connect_nodes(source, "fork", "two")
    assert list_targets(more, "fork") == [(None, "one"), (None, "two")]
    assert list_incoming(more, "two") == [("one", "two", ""), ("fork", "two", "")]
    more, new = add_node_after(more, "fork", "join")
    assert list_targets(more, "fork")[-1] == (None, new)
    assert list_targets(connect_nodes(source, "one", "end"), "one") == [(None, "end")]


def test_edges_follow_a_renamed_exit() -> None:
    branches = [{"handle": "severe", "rule": {}}]
    moved = set_node_data(choice(), "choose", {"branches": branches}, renamed={"high": "severe"})
    assert list_targets(moved, "choose") == [("severe", "review"), ("default", "end")]
    changed = set_node_data(choice(), "choose", {"branches": branches})
    assert list_targets(changed, "choose") == [("severe", None), ("default", "end")]
    later, new = add_node_after(changed, "choose", "join", exit_="severe")
    assert list_targets(later, "choose")[0] == ("severe", new)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda one: delete_node(one, "start"), "The start node cannot be deleted"),
        (lambda one: delete_node(one, "none"), "no longer has the node 'none'"),
        (lambda one: connect_nodes(one, "end", "review"), "Nothing can follow this node"),
        (lambda one: connect_nodes(one, "review", "start"), "No edge may lead to the start node"),
        (lambda one: connect_nodes(one, "choose", "end"), "no longer has this exit"),
        (
            lambda one: connect_nodes(one, "choose", "end", exit_="default"),
            "already leads to that node",
        ),
        (lambda one: disconnect_nodes(one, "review", "end"), "no longer exists"),
        (lambda one: add_node_after(one, "review", "start"), "exactly one start"),
        (lambda one: add_node_after(one, "review", "magic"), "Unknown node type 'magic'"),
        (lambda one: add_node_after(one, "review", "join"), "already leads to a node"),
        (
            lambda one: add_node_after(one, "review", "join", before="end"),
            "no longer leads to that node",
        ),
        (lambda one: add_node_after(one, "end", "join"), "Nothing can follow this node"),
    ],
)
def test_impossible_edit_raises_an_error(step: Any, words: str) -> None:
    with pytest.raises(GraphEditError, match=words):
        step(choice())


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ([], "is an object"),
        ({"nodes": []}, "is an object"),
        ({"nodes": [1], "edges": []}, "list of objects"),
        ({"nodes": {}, "edges": []}, "list of objects"),
        ({"nodes": [{"id": ""}], "edges": []}, 'needs an "id"'),
        ({"nodes": [node("a", "end"), node("a", "end")], "edges": []}, "Two nodes have the id"),
    ],
)
def test_source_that_cannot_be_edited_raises_an_error(source: Any, words: str) -> None:
    with pytest.raises(GraphEditError, match=words):
        require_editable(source)
