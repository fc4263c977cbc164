"""Parsing of whole graphs: exits, reachability, calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.workflows.graphs import choice, edge, line, node, only, problems
from workflows import graph
from workflows.graph import NodesManager, NodeType, WorkflowValidationError, parse

# Starts, ends and exits


def test_graph_needs_a_start():
    assert only({"nodes": [node("end", "end")], "edges": []}) == (
        "/nodes",
        "The graph has no start node.",
    )


def test_second_start_is_refused():
    source = line()
    source["nodes"].append(node("again", "start"))
    source["edges"].append(edge("again", "end"))
    pointer, detail = only(source)
    assert pointer == "/nodes/2/type"
    assert detail.startswith("“again” is a second start node")


def test_graph_needs_an_end_or_a_fail():
    source = {
        "nodes": [node("start", "start"), node("a", "user_action")],
        "edges": [edge("start", "a"), edge("a", "a")],
    }
    assert only(source)[0] == "/nodes"
    source["nodes"].append(node("stop", "fail"))
    source["edges"][1]["target"] = "stop"
    assert parse(source)


def test_empty_graph_has_two_problems():
    assert [pointer for pointer, _ in problems({"nodes": [], "edges": []})] == ["/nodes", "/nodes"]


def test_node_without_next_step_is_refused():
    source = line(node("a", "user_action"))
    source["edges"].pop()
    assert only(source) == ("/nodes/1", "“a” has no next step.")


def test_second_edge_of_an_unnamed_exit_is_refused():
    source = line(node("a", "user_action"))
    source["edges"].append(edge("a", "end", "other"))
    pointer, detail = only(source)
    assert pointer == "/nodes/1"
    assert detail.startswith("“a” has 2 next steps. Only ")


def test_named_exit_without_edge_is_refused():
    source = choice()
    del source["edges"][2]
    assert only(source) == ("/nodes/1", "The exit 'default' of “choose” has no next step.")


def test_second_edge_of_a_named_exit_is_refused():
    source = choice()
    source["edges"].append(edge("choose", "stop", "high"))
    pointer, detail = only(source)
    assert pointer == "/edges/4/sourceHandle"
    assert "'high'" in detail


@pytest.mark.parametrize("handle", ["hihg", None])
def test_edge_of_an_unknown_exit_is_refused(handle):
    source = choice()
    source["edges"].append(edge("choose", "stop", handle))
    pointer, detail = only(source)
    assert pointer == "/edges/4/sourceHandle"
    assert detail.endswith("Its exits: 'high', 'default'.")


def test_exits_of_unsound_branches_are_not_checked():
    source = choice()
    source["nodes"][1]["data"]["branches"][0]["handle"] = 7
    assert only(source)[0] == "/nodes/1/data/branches/0/handle"


def test_problem_in_data_does_not_hide_a_missing_next_step():
    source = line(node("a", "user_action", title=3))
    source["edges"].pop()
    assert [pointer for pointer, _ in problems(source)] == ["/nodes/1/data/title", "/nodes/1"]


# Reachability


def test_unreachable_node_is_refused():
    source = line()
    source["nodes"].append(node("island", "user_action"))
    source["edges"].append(edge("island", "end"))
    assert only(source) == ("/nodes/2", "“island” cannot be reached from the start.")


def test_node_that_reaches_no_end_is_refused():
    source = choice()
    source["edges"][3]["target"] = "review"
    source["nodes"].pop()
    assert only(source) == ("/nodes/2", "No end can be reached from “Review it”.")


def test_problem_in_data_does_not_hide_an_unreachable_node():
    source = line(node("a", "user_action", title=3))
    source["nodes"].append(node("island", "fail"))
    found = [pointer for pointer, _ in problems(source)]
    assert found == ["/nodes/1/data/title", "/nodes/3"]


# Many problems


def test_all_problems_are_reported_with_pointers():
    source = choice()
    source["nodes"][1]["data"]["branches"][0]["rule"] = {"field": "x", "op": "like", "value": 1}
    source["nodes"][2]["data"] = {"fields": [{"name": "1st"}, {"name": "ok", "type": "txt"}]}
    source["nodes"].append(node("who", "usr_action"))
    source["edges"][3]["target"] = "gone"
    source["edges"].append(edge("end", "review"))
    assert [pointer for pointer, _ in problems(source)] == [
        "/nodes/1/data/branches/0/rule/op",
        "/nodes/2/data/fields/0/name",
        "/nodes/2/data/fields/1/type",
        "/nodes/5/type",
        "/edges/3/target",
        "/edges/4/source",
    ]


def test_long_list_of_problems_is_truncated_with_a_count():
    found = problems(line(*(node(f"n{index}", "user_action", x=1) for index in range(250))))
    assert len(found) == graph.MAX_PROBLEMS
    assert found[-1][1] == "There are 151 more problems."


def test_hundred_problems_are_all_reported():
    found = problems(line(*(node(f"n{index}", "user_action", x=1) for index in range(100))))
    assert found[-1][0] == "/nodes/100/data/x"


def test_largest_chain_is_parsed():
    middle = [node(f"n{index}", "user_action") for index in range(graph.MAX_NODES - 2)]
    parsed = parse(line(*middle))
    assert len(parsed.nodes) == graph.MAX_NODES


def test_largest_broken_chain_is_checked():
    source = line(*(node(f"n{index}", "user_action") for index in range(graph.MAX_NODES - 2)))
    source["edges"][2500]["target"] = "n2000"
    assert len(problems(source)) == graph.MAX_PROBLEMS


# Node types


def test_second_class_of_a_node_type_is_refused():
    class Impostor(NodeType):
        name = "start"

    with pytest.raises(ValueError, match="'start'"):
        graph.register(Impostor())


def test_node_type_can_be_registered_again():
    known = graph.node_types()["start"]
    graph.register(type(known)())
    assert isinstance(graph.node_types()["start"], type(known))


# Callees


@dataclass(frozen=True)
class Context:
    key: str
    type_cuid: str


LIMITATION = Context("Finding:1:", "limitation")
EXCEPTION = Context("Finding:2:", "exception")


def validate_calls(source: dict[str, Any], **callees: Context) -> graph.Graph:
    return NodesManager.validate_nodes_data(
        source["nodes"], edges=source["edges"], context=LIMITATION, callees=callees
    )


def test_callee_of_the_same_context_is_accepted():
    source = line(node("call", "run_workflow", workflow="sub"))
    assert validate_calls(source, sub=LIMITATION).callee_cuids() == ["sub"]


def test_missing_callee_is_refused():
    with pytest.raises(WorkflowValidationError) as caught:
        validate_calls(line(node("call", "run_workflow", workflow="sub")))
    (problem,) = caught.value.problems
    assert problem.pointer == "/nodes/1/data/workflow"
    assert problem.code == caught.value.code == "invalid_graph"
    assert problem.detail == "No workflow has the cuid 'sub'."


def test_callee_of_another_context_is_refused():
    with pytest.raises(WorkflowValidationError) as caught:
        validate_calls(line(node("call", "run_workflow", workflow="sub")), sub=EXCEPTION)
    (problem,) = caught.value.problems
    assert problem.pointer == "/nodes/1/data/workflow"
    assert problem.code == caught.value.code == "incompatible_entity_types"
    (message,) = caught.value.messages
    assert message == (
        "Run Workflow: Incompatible entity name types. Current workflow has type 'limitation' "
        "but referenced workflow has type 'exception'."
    )


def test_missing_callees_are_reported_before_crossing_ones():
    source = line(
        node("a", "run_workflow", workflow="other"),
        node("b", "run_workflow", workflow="same"),
        node("c", "run_workflow", workflow="gone"),
    )
    with pytest.raises(WorkflowValidationError) as caught:
        validate_calls(source, other=EXCEPTION, same=LIMITATION)
    assert [(problem.pointer, problem.code) for problem in caught.value.problems] == [
        ("/nodes/3/data/workflow", "invalid_graph"),
        ("/nodes/1/data/workflow", "incompatible_entity_types"),
    ]
    assert caught.value.code == "invalid_graph"


def test_callees_are_checked_only_in_a_valid_graph():
    with pytest.raises(WorkflowValidationError) as caught:
        NodesManager.validate_nodes_data(None, edges=[], context=LIMITATION, callees={})
    assert caught.value.problems[0].pointer == "/nodes"
