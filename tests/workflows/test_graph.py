"""Parsing of nodes and edges, and the messages for invalid ones."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.workflows.graphs import choice, edge, line, node, only, problems
from workflows import graph
from workflows.graph import parse

# Valid graphs


def test_source_of_a_new_workflow_is_valid():
    before = copy.deepcopy(graph.START_TO_END)
    parsed = parse(graph.START_TO_END)
    assert parsed.start.id == "start"
    assert parsed.follow("start").type == "end"
    assert before == graph.START_TO_END


def test_graph_is_followed_by_exits():
    parsed = parse(choice())
    assert list(parsed.nodes) == ["start", "choose", "review", "end", "stop"]
    assert parsed.follow("choose", "high").id == "review"
    assert parsed.follow("choose", "default").id == "end"
    assert [edge.index for edge in parsed.edges] == [0, 1, 2, 3]
    assert parsed.node("stop").index == 4


@pytest.mark.parametrize("handle", [None, "default", "unknown"])
def test_unnamed_exit_matches_every_handle(handle):
    source = line(node("review", "user_action"))
    source["edges"][1]["sourceHandle"] = "right"
    assert parse(source).follow("review", handle).id == "end"


def test_named_exit_is_followed_by_name_only():
    parsed = parse(choice())
    for node_id, handle in (("choose", None), ("choose", "low"), ("end", None)):
        with pytest.raises(LookupError):
            parsed.follow(node_id, handle)


def test_calls_are_listed_with_unique_cuids():
    source = line(
        node("a", "run_workflow", workflow="c1"),
        node("b", "run_workflow", workflow="c2"),
        node("c", "run_workflow", workflow="c1"),
    )
    parsed = parse(source)
    assert [call.id for call in parsed.calls] == ["a", "b", "c"]
    assert list(parsed.callee_cuids()) == ["c1", "c2"]


def test_node_label_falls_back_to_title_and_id():
    source = line(
        node("a", "user_action", label="Label", title="Title"),
        node("b", "user_action", title="Title"),
        node("c", "user_action"),
    )
    nodes = parse(source).nodes
    assert [nodes[key].label for key in "abc"] == ["Label", "Title", "c"]


def test_extra_keys_of_nodes_and_edges_are_accepted():
    source = line(node("a", "user_action"))
    source["nodes"][1] |= {"position": {"x": 1.5, "y": 2}, "style": {}, "measured": {"width": 3}}
    source["edges"][0] |= {"id": "e1", "animated": True, "targetHandle": None}
    assert parse(source).nodes["a"].data == {}


def test_data_is_optional_and_may_have_common_keys():
    source = line(node("a", "user_action", label="A", description="B", notes="C"))
    del source["nodes"][0]["data"]
    assert parse(source).start.data == {}


def test_loop_with_an_exit_is_allowed():
    source = choice()
    source["edges"][3]["target"] = "choose"
    source["nodes"].pop()
    assert parse(source).follow("review").id == "choose"


# The shape of the source


@pytest.mark.parametrize(
    ("source", "word"), [(None, "null"), ([], "a list"), ("{}", "text"), (3, "a number")]
)
def test_graph_must_be_an_object(source, word):
    assert only(source) == ("", f"A graph is an object with 'nodes' and 'edges', not {word}.")


def test_nodes_and_edges_are_required():
    assert [pointer for pointer, _ in problems({})] == ["/nodes", "/edges"]


def test_nodes_and_edges_must_be_lists():
    found = problems({"nodes": {}, "edges": "x"})
    assert found[0] == ("/nodes", "The 'nodes' of a graph must be a list, not an object.")
    assert found[1] == ("/edges", "The 'edges' of a graph must be a list, not text.")


def test_unknown_key_of_a_graph_is_refused():
    pointer, detail = only(line() | {"view/port": {}})
    assert pointer == "/view~1port"
    assert "'view/port'" in detail


def test_graph_size_is_limited():
    nodes = [node(str(index), "start") for index in range(graph.MAX_NODES + 1)]
    edges: list[dict[str, Any]] = [{}] * (graph.MAX_EDGES + 1)
    found = problems({"nodes": nodes, "edges": edges})
    assert [pointer for pointer, _ in found] == ["/nodes", "/edges"]
    assert "5001" in found[0][1] and "at most 5000" in found[0][1]


# Nodes


@pytest.mark.parametrize("node_id", [None, "", 3, [], {}])
def test_node_needs_an_id(node_id):
    source = line()
    source["nodes"].append({"id": node_id, "type": "end"})
    assert only(source)[0] == "/nodes/2/id"


def test_missing_id_is_the_only_problem_reported():
    source = line(node("a", "user_action"))
    del source["nodes"][0]["id"]
    assert only(source)[0] == "/nodes/0/id"


def test_id_length_is_limited():
    assert only(line(node("x" * 129, "user_action")))[0] == "/nodes/1/id"
    assert parse(line(node("x" * 128, "user_action")))


def test_node_id_must_be_unique():
    source = line(node("a", "user_action"))
    source["nodes"].append(node("a", "user_action"))
    assert only(source) == ("/nodes/3/id", "The id 'a' is used by an earlier node.")


def test_node_must_be_an_object():
    source = line()
    source["nodes"].append("end")
    assert only(source) == ("/nodes/2", "A node must be an object, not text.")


def test_unknown_type_is_reported_with_the_known_types():
    pointer, detail = only(line(node("review", "usr_action")))
    assert pointer == "/nodes/1/type"
    assert detail.startswith(
        "“review” has the unknown type 'usr_action'. Known types: approval, condition, "
    )


@pytest.mark.parametrize("node_type", [None, 3, [], {}])
def test_type_that_is_not_text_is_refused(node_type):
    assert only(line({"id": "a", "type": node_type}))[0] == "/nodes/1/type"


def test_node_needs_a_type():
    assert "has no type" in only(line({"id": "a"}))[1]


@pytest.mark.parametrize("data", [None, [], "x", 1])
def test_data_must_be_an_object(data):
    pointer, detail = only(line({"id": "a", "type": "user_action", "data": data}))
    assert pointer == "/nodes/1/data"
    assert "“a”" in detail


def test_unknown_key_in_data_is_refused():
    pointer, detail = only(line(node("a", "user_action", titel="x")))
    assert pointer == "/nodes/1/data/titel"
    assert "'titel'" in detail and "title" in detail


@pytest.mark.parametrize("key", ["label", "description", "notes"])
def test_label_description_and_notes_must_be_text(key):
    assert only(line(node("a", "user_action", **{key: 3})))[0] == f"/nodes/1/data/{key}"


def test_problems_of_a_node_type_point_into_its_data():
    fields = [{"name": "a", "type": "txt"}]
    pointer, detail = only(line(node("a", "user_action", fields=fields)))
    assert pointer == "/nodes/1/data/fields/0/type"
    assert detail.startswith("“a”: The type 'txt'")


# Unstorable values


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a\0b", "NUL"),
        ("\ud800", "surrogate"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        (10**400, "too large"),
        (object(), "not a JSON value"),
        ({1: 2}, "not text"),
        ({"a\0": 2}, "NUL"),
        ((1, 2), "not a JSON value"),
    ],
)
def test_unstorable_value_is_refused_at_any_depth(value, words):
    source = line(node("a", "set_field", values={"x": [value]}))
    pointer, detail = only(source)
    assert pointer.startswith("/nodes/1/data/values/x/0")
    assert words in detail
    detail.encode()


def test_unstorable_position_is_refused():
    source = line()
    source["nodes"][0]["position"] = {"x": float("nan")}
    assert only(source)[0] == "/nodes/0/position/x"


def test_pointer_to_an_unstorable_key_is_encodable():
    found = problems(line(node("a\ud800", "set_field", values={"~/\ud800": 1})))
    for pointer, detail in found:
        (pointer + detail).encode()
    assert any(pointer.startswith("/nodes/1/data/values/~0~1") for pointer, _ in found)


def test_nesting_depth_is_limited():
    def deep(levels: int) -> Any:
        value: Any = []
        for _ in range(levels - 1):
            value = [value]
        return value

    # The source, its nodes, the node, its data and the values are five levels.
    assert parse(line(node("a", "set_field", values={"x": deep(59)})))
    assert "64 levels" in only(line(node("a", "set_field", values={"x": deep(60)})))[1]
    assert only(line(node("a", "set_field", values={"x": deep(50_000)})))


# Edges


@pytest.mark.parametrize("raw", [None, [], "x"])
def test_edge_must_be_an_object(raw):
    source = line()
    source["edges"][0] = raw
    assert only(source)[0] == "/edges/0"


@pytest.mark.parametrize("end", ["source", "target"])
@pytest.mark.parametrize("value", [None, 3, []])
def test_edge_needs_source_and_target(end, value):
    source = line()
    source["edges"][0][end] = value
    assert only(source)[0] == f"/edges/0/{end}"


@pytest.mark.parametrize("end", ["source", "target"])
def test_edge_must_connect_existing_nodes(end):
    source = line(node("a", "user_action"))
    source["edges"][1][end] = "nowhere"
    pointer, detail = only(source)
    assert pointer == f"/edges/1/{end}"
    assert "'nowhere'" in detail


@pytest.mark.parametrize("handle", [3, [], True])
def test_source_handle_must_be_text_or_null(handle):
    source = line(node("a", "user_action"))
    source["edges"][1]["sourceHandle"] = handle
    assert only(source)[0] == "/edges/1/sourceHandle"


@pytest.mark.parametrize("edge_id", [None, "", 3])
def test_edge_id_must_be_text(edge_id):
    source = line()
    source["edges"][0]["id"] = edge_id
    assert only(source)[0] == "/edges/0/id"


def test_edge_id_must_be_unique():
    source = line(node("a", "user_action"))
    for raw in source["edges"]:
        raw["id"] = "e"
    assert only(source) == ("/edges/1/id", "The id 'e' is used by an earlier edge.")


def test_edge_to_the_start_node_is_refused():
    source = choice()
    source["edges"][3]["target"] = "start"
    assert (
        "/edges/3/target",
        "Edge 4 leads to the start node, which allows no incoming edges.",
    ) in problems(source)


def test_edge_from_an_end_node_is_refused():
    source = line(node("a", "user_action"))
    source["edges"].append(edge("end", "a"))
    pointer, detail = only(source)
    assert pointer == "/edges/2/source"
    assert "“end” is of the type end" in detail
