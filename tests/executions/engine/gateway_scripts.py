"""Graphs of gateways in short notation, and scripts of the forms that they offer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tests.executions.engine.in_memory import Running
from tests.executions.engine.test_branches import source

TYPES = {"fork": "parallel", "join": "join", "end": "end", "start": "start"}
YES = {"field": "answer", "op": "eq", "value": True}
ANSWER = {"fields": [{"name": "answer", "type": "checkbox"}]}
Script = list[tuple[str, str]]
"""Pairs of a submitted form (``a`` or ``a=yes``) and the forms that are offered afterwards."""


def node(name: str) -> dict[str, Any]:
    kind = TYPES.get(name.partition("_")[0])
    if kind is not None:
        return {"type": kind}
    if name.startswith("ask"):
        return {"type": "condition", "data": {"branches": [{"handle": "yes", "rule": YES}]}}
    return {"type": "user_action", "data": ANSWER}


def source_of(lines: str, **own: dict[str, Any]) -> dict[str, Any]:
    """Return a source. ``a>b>c`` is a chain, ``a>b|c`` two edges, ``ask.yes>a`` an exit.

    Names make the types of nodes, except for those in ``own``: forms, unless they start with
    fork, join, ask (a condition) or end.
    """
    edges = []
    for line in lines.split():
        ends = line.split(">")
        for sources, targets in pairwise(ends):
            edges += [
                f"{one}>{other}" for one in sources.split("|") for other in targets.split("|")
            ]
    names = dict.fromkeys(name.partition(".")[0] for edge in edges for name in edge.split(">"))
    return source({name: own.get(name) or node(name) for name in names}, *edges)


def run(lines: str, script: Script) -> Running:
    running = Running(source_of(lines))
    for number, (given, offered) in enumerate(script):
        name, _, answer = given.partition("=")
        if name:
            running.submit(name, answer=answer == "yes")
        assert running.offered == sorted(offered.split()), script[: number + 1]
    assert running.is_completed == (not script[-1][1])
    return running


def in_order(names: str, last: str) -> Script:
    """Submit the forms in turn; assert that the last one is offered only then."""
    left = names.split()
    script = [("", names)]
    while left:
        script.append((left.pop(0), " ".join(left) or last))
    return script
