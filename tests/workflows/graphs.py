"""Helpers to build graphs and read the problems of invalid ones."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

import executions.engine.nodes  # noqa: F401  (makes the node types known)
from workflows.graph import WorkflowValidationError, parse


def node(node_id: str, node_type: str, **data: Any) -> dict[str, Any]:
    return {"id": node_id, "type": node_type, "data": data}


def edge(source: str, target: str, handle: str | None = None) -> dict[str, Any]:
    return {"source": source, "target": target, "sourceHandle": handle}


def line(*middle: dict[str, Any]) -> dict[str, Any]:
    """Return start → the nodes, one after the other → end."""
    nodes = [node("start", "start"), *middle, node("end", "end")]
    pairs = pairwise(nodes)
    return {"nodes": nodes, "edges": [edge(one["id"], next_["id"]) for one, next_ in pairs]}


def choice() -> dict[str, Any]:
    rule = {"field": "severity", "op": "gte", "value": 3}
    return {
        "nodes": [
            node("start", "start"),
            node("choose", "condition", branches=[{"handle": "high", "rule": rule}]),
            node("review", "user_action", title="Review it"),
            node("end", "end"),
            node("stop", "fail", message="Too bad."),
        ],
        "edges": [
            edge("start", "choose"),
            edge("choose", "review", "high"),
            edge("choose", "end", "default"),
            edge("review", "stop"),
        ],
    }


def problems(source: object) -> list[tuple[str, str]]:
    with pytest.raises(WorkflowValidationError) as caught:
        parse(source)
    assert {problem.code for problem in caught.value.problems} == {"invalid_graph"}
    assert caught.value.code == "invalid_graph"
    assert caught.value.messages == [caught.value.problems[0].detail]
    return [(problem.pointer, problem.detail) for problem in caught.value.problems]


def only(source: object) -> tuple[str, str]:
    found = problems(source)
    assert len(found) == 1, found
    return found[0]
