"""What a drawing must be as a whole: its exits, what can be reached, whom it calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.workflows.drawings import choice, edge, line, node, only, problems
from workflows import graph
from workflows.graph import NodesManager, NodeType, WorkflowValidationError, parse

# Starts, ends and exits


def test_a_graph_has_a_start():
    assert only({"nodes": [node("end", "end")], "edges": []}) == (
        "/nodes",
        "The graph has no start node.",
    )


def test_a_graph_has_only_one_start():
    source = line()
    source["nodes"].append(node("again", "start"))
    source["edges"].append(edge("again", "end"))
    pointer, detail = only(source)
    assert pointer == "/nodes/2/type"
    assert detail.startswith("“again” is a second start node")


def test_a_graph_has_an_end_or_a_fail():
    source = {
        "nodes": [node("start", "start"), node("a", "user_action")],
        "edges": [edge("start", "a"), edge("a", "a")],
    }
    assert only(source)[0] == "/nodes"
    source["nodes"].append(node("stop", "fail"))
    source["edges"][1]["target"] = "stop"
    assert parse(source)


def test_an_empty_graph_lacks_both():
    assert [pointer for pointer, _ in problems({"nodes": [], "edges": []})] == ["/nodes", "/nodes"]


def test_a_node_has_a_way_out():
    source = line(node("a", "user_action"))
    source["edges"].pop()
    assert only(source) == ("/nodes/1", "“a” has no next step.")


def test_a_node_without_named_exits_has_only_one_way_out():
    source = line(node("a", "user_action"))
    source["edges"].append(edge("a", "end", "other"))
    pointer, detail = only(source)
    assert pointer == "/nodes/1"
    assert detail.startswith("“a” has 2 next steps. Only ")


def test_every_named_exit_has_an_edge():
    source = choice()
    del source["edges"][2]
    assert only(source) == ("/nodes/1", "The exit 'default' of “choose” has no next step.")


def test_a_named_exit_has_only_one_edge():
    source = choice()
    source["edges"].append(edge("choose", "stop", "high"))
    pointer, detail = only(source)
    assert pointer == "/edges/4/sourceHandle"
    assert "'high'" in detail


@pytest.mark.parametrize("handle", ["hihg", None])
def test_an_edge_leaves_by_an_exit_that_exists(handle):
    source = choice()
    source["edges"].append(edge("choose", "stop", handle))
    pointer, detail = only(source)
    assert pointer == "/edges/4/sourceHandle"
    assert detail.endswith("Its exits: 'high', 'default'.")


def test_unsound_branches_leave_their_exits_unjudged():
    source = choice()
    source["nodes"][1]["data"]["branches"][0]["handle"] = 7
    assert only(source)[0] == "/nodes/1/data/branches/0/handle"


def test_a_flaw_in_the_data_of_a_node_does_not_hide_that_it_has_no_way_out():
    source = line(node("a", "user_action", title=3))
    source["edges"].pop()
    assert [pointer for pointer, _ in problems(source)] == ["/nodes/1/data/title", "/nodes/1"]


# Reach


def test_every_node_is_reached_from_the_start():
    source = line()
    source["nodes"].append(node("island", "user_action"))
    source["edges"].append(edge("island", "end"))
    assert only(source) == ("/nodes/2", "“island” cannot be reached from the start.")


def test_from_every_node_an_end_is_reached():
    source = choice()
    source["edges"][3]["target"] = "review"
    source["nodes"].pop()
    assert only(source) == ("/nodes/2", "No end can be reached from “Review it”.")


def test_a_flaw_in_data_does_not_hide_an_unreachable_node():
    source = line(node("a", "user_action", title=3))
    source["nodes"].append(node("island", "fail"))
    found = [pointer for pointer, _ in problems(source)]
    assert found == ["/nodes/1/data/title", "/nodes/3"]


# All at once


def test_all_problems_are_reported_at_once_each_at_its_place():
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


def test_a_long_list_of_problems_is_cut_and_says_so():
    found = problems(line(*(node(f"n{index}", "user_action", x=1) for index in range(250))))
    assert len(found) == graph.MAX_PROBLEMS
    assert found[-1][1] == "There are 151 more problems."


def test_a_hundred_problems_are_all_told():
    found = problems(line(*(node(f"n{index}", "user_action", x=1) for index in range(100))))
    assert found[-1][0] == "/nodes/100/data/x"


def test_a_chain_of_the_largest_size_is_parsed():
    middle = [node(f"n{index}", "user_action") for index in range(graph.MAX_NODES - 2)]
    parsed = parse(line(*middle))
    assert len(parsed.nodes) == graph.MAX_NODES


def test_a_broken_chain_of_the_largest_size_is_judged():
    source = line(*(node(f"n{index}", "user_action") for index in range(graph.MAX_NODES - 2)))
    source["edges"][2500]["target"] = "n2000"
    assert len(problems(source)) == graph.MAX_PROBLEMS


# Node types


def test_two_classes_cannot_share_the_name_of_a_node_type():
    class Impostor(NodeType):
        name = "start"

    with pytest.raises(ValueError, match="'start'"):
        graph.register(Impostor())


def test_registering_a_node_type_again_is_harmless():
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


def judge(source: dict[str, Any], **callees: Context) -> graph.Graph:
    return NodesManager.validate_nodes_data(
        source["nodes"], edges=source["edges"], context=LIMITATION, callees=callees
    )


def test_a_callee_of_the_same_context_is_accepted():
    source = line(node("call", "run_workflow", workflow="sub"))
    assert judge(source, sub=LIMITATION).callee_cuids() == ["sub"]


def test_a_callee_must_exist():
    with pytest.raises(WorkflowValidationError) as caught:
        judge(line(node("call", "run_workflow", workflow="sub")))
    (problem,) = caught.value.problems
    assert problem.pointer == "/nodes/1/data/workflow"
    assert problem.code == caught.value.code == "invalid_graph"
    assert problem.detail == "No workflow has the cuid 'sub'."


def test_a_callee_of_another_context_is_refused_with_both_types_named():
    with pytest.raises(WorkflowValidationError) as caught:
        judge(line(node("call", "run_workflow", workflow="sub")), sub=EXCEPTION)
    (problem,) = caught.value.problems
    assert problem.pointer == "/nodes/1/data/workflow"
    assert problem.code == caught.value.code == "incompatible_entity_types"
    (message,) = caught.value.messages
    assert message == (
        "Run Workflow: Incompatible entity name types. Current workflow has type 'limitation' "
        "but referenced workflow has type 'exception'."
    )


def test_every_call_is_judged_and_a_missing_callee_comes_first():
    source = line(
        node("a", "run_workflow", workflow="other"),
        node("b", "run_workflow", workflow="same"),
        node("c", "run_workflow", workflow="gone"),
    )
    with pytest.raises(WorkflowValidationError) as caught:
        judge(source, other=EXCEPTION, same=LIMITATION)
    assert [(problem.pointer, problem.code) for problem in caught.value.problems] == [
        ("/nodes/3/data/workflow", "invalid_graph"),
        ("/nodes/1/data/workflow", "incompatible_entity_types"),
    ]
    assert caught.value.code == "invalid_graph"


def test_callees_are_judged_only_in_a_sound_graph():
    with pytest.raises(WorkflowValidationError) as caught:
        NodesManager.validate_nodes_data(None, edges=[], context=LIMITATION, callees={})
    assert caught.value.problems[0].pointer == "/nodes"
