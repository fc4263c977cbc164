"""Graphs of all node types, made from blocks that hypothesis can draw and shrink."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Exit = tuple[str, str | None]
Block = tuple[Any, ...]

LEAVES = (
    *("form", "sleep", "no_date", "vote", "set", "source", "stage", "call", "each", "jump", "fail"),
    *("decide", "safe_call", "stop", "four_eyes", "safe_each", "request", "ask_other", "escalate"),
)
JOINS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "all": {},
    "first": {"needed": 1},
    "race": {"needed": 1, "others": "cancel"},
    "two": {"needed": 2, "others": "cancel"},
    "absorb": {"needed": 1, "others": "wait"},
}
"""The data of the join behind a fork; None for no join."""
VOTER, OTHER_VOTER, SECRET = "voter", "voter2", "HOOK"

_leaf = st.tuples(st.sampled_from(LEAVES), st.integers(0, 30))


def _around(blocks: st.SearchStrategy[Block]) -> st.SearchStrategy[Block]:
    several = st.lists(blocks, min_size=2, max_size=3)
    return st.one_of(
        st.tuples(st.just("row"), several),
        st.tuples(st.just("fork"), several, st.sampled_from(sorted(JOINS))),
        st.tuples(st.just("either"), several),
    )


blocks: st.SearchStrategy[Block] = st.recursive(_leaf, _around, max_leaves=9)


class RandomGraph:
    """One graph: every node is reached from the start and reaches the end by its defaults."""

    def __init__(self, block: Block, callees: list[str]) -> None:
        self.callees = callees
        self.nodes: list[dict[str, Any]] = []
        self.edges: list[dict[str, Any]] = []
        self.jumps: list[tuple[str, int]] = []
        exits = self.block(block, self.node("start", []))
        self.node("end", exits)
        # Not to another jump: two could lead to one another and to nothing else.
        landings = {node["id"] for node in self.nodes[1:]} - {jump for jump, _ in self.jumps}
        targets = sorted(landings)
        for jump, number in self.jumps:
            self.edge((jump, None), targets[number % len(targets)])

    @property
    def source(self) -> dict[str, Any]:
        return {"nodes": self.nodes, "edges": self.edges}

    def edge(self, exit_: Exit, target: str) -> None:
        self.edges.append({"source": exit_[0], "sourceHandle": exit_[1], "target": target})

    def node(self, kind: str, exits: list[Exit], **data: Any) -> list[Exit]:
        name = f"{kind}{len(self.nodes)}"
        self.nodes.append({"id": name, "type": kind, "data": data})
        for exit_ in exits:
            self.edge(exit_, name)
        return [(name, None)]

    def condition(self, exits: list[Exit], rule: dict[str, Any]) -> str:
        branches = [{"handle": "yes", "rule": rule}]
        return self.node("condition", exits, branches=branches)[0][0]

    def block(self, block: Block, exits: list[Exit]) -> list[Exit]:
        kind, *more = block
        if kind in LEAVES:
            return self.leaf(kind, more[0], exits)
        if kind == "row":
            for each in more[0]:
                exits = self.block(each, exits)
            return exits
        if kind == "either":
            way = self.condition(exits, {"field": "again", "op": "eq", "value": True})
            first, *others = more[0]
            left = self.block(first, [(way, "yes")])
            right: list[Exit] = [(way, "default")]
            for each in others:
                right = self.block(each, right)
            return left + right
        fork = self.node("parallel", exits)
        left = [exit_ for each in more[0] for exit_ in self.block(each, fork)]
        join = JOINS[more[1]]
        return left if join is None else self.node("join", left, **join)

    def leaf(self, kind: str, number: int, exits: list[Exit]) -> list[Exit]:
        if kind == "form":
            fields = [{"name": "again", "type": "checkbox"}]
            return self.node("user_action", exits, fields=fields)
        if kind == "sleep":
            return self.node("wait", exits, interval="P1D")
        if kind == "no_date":
            return self.node("wait", exits, at_field="date")
        if kind == "vote":
            ((vote, _),) = self.node("approval", exits, users=[VOTER])
            return [(vote, "approved"), (vote, "rejected")]
        if kind in ("call", "each") and self.callees:
            callee = self.callees[number % len(self.callees)]
            more = {"input": {"sum": {"variable": "sum"}}, "output": {"sum": "sum"}}
            if kind == "each":
                each = {"items": ["a", {"field": "date"}], "as": "item", "collect": "results"}
                more["for_each"] = each | [{}, {"limit": 1}, {"needed": 1}][number % 3]
            return self.node("run_workflow", exits, workflow=callee, **more)
        if kind == "source":
            # A collected list cannot be added: that is an incident.
            name = "$results" if number % 4 == 0 else "$sum"
            values = {"$sum": {"add": [{"variable": name[1:]}, 1]}, "$text": {"text": "{{$sum}}"}}
            return self.node("set_field", exits, values=values if number % 2 else {"$sum": 1})
        if kind == "safe_call" and self.callees:
            callee = self.callees[number % len(self.callees)]
            ((call, _),) = self.node("run_workflow", exits, workflow=callee, deadline="P9D")
            return [(call, None), (call, "failed"), (call, "timeout")]
        if kind == "decide":
            actions = [
                {"handle": "yes", "label": "Yes"},
                {"handle": "no", "label": "No", "validates": False},
            ]
            fields = [{"name": "again", "type": "checkbox"}]
            data = {"fields": fields, "actions": actions, "deadline": "P9D"}
            ((form, _),) = self.node("user_action", exits, **data)
            return [(form, "yes"), (form, "no"), (form, "timeout")]
        if kind == "four_eyes":
            data = {"users": [VOTER, OTHER_VOTER], "exclude": ["starter", "submitter"]}
            needed = [1, 2, "all"][number % 3]
            ((vote, _),) = self.node("approval", exits, needed=needed, deadline="P9D", **data)
            return [(vote, "approved"), (vote, "rejected"), (vote, "timeout")]
        if kind == "safe_each" and self.callees:
            callee = self.callees[number % len(self.callees)]
            data = {
                "workflow": callee,
                "for_each": {"items": [1, 2], "as": "item", "collect": "results"},
                "deadline": "P9D",
            }
            ((call, _),) = self.node("run_workflow", exits, **data)
            return [(call, None), (call, "failed"), (call, "timeout")]
        if kind == "request":
            # The settings allow no host, so that it fails without a network.
            ((call, _),) = self.node("http_request", exits, url="https://example.com/{{$sum}}")
            return [(call, None)] if number % 2 else [(call, None), (call, "failed")]
        if kind == "ask_other":
            ((webhook, _),) = self.node("webhook", exits, secret=SECRET, deadline="P9D")
            return [(webhook, None), (webhook, "timeout")]
        if kind == "escalate":
            late = {"after": "P9D", "remind": ["P1D"], "escalate": {"users": [OTHER_VOTER]}}
            fields = [{"name": "sum", "type": "number", "scope": "execution"}]
            assignees = {"users": [VOTER]}
            return self.node(
                "user_action", exits, fields=fields, assignees=assignees, deadline=late
            )
        if kind == "stop":
            way = self.condition(exits, {"field": "again", "op": "eq", "value": True})
            self.node("end", [(way, "yes")], terminate=True)
            return [(way, "default")]
        if kind == "set":
            return self.node("set_field", exits, values={f"field{number}": len(self.nodes)})
        if kind in ("jump", "fail"):
            way = self.condition(exits, {"field": "again", "op": "eq", "value": True})
            if kind == "fail":
                self.node("fail", [(way, "yes")])
            else:
                # Each jump uses up what a form has set, so that no loop feeds itself.
                ((back, _),) = self.node("set_field", [(way, "yes")], values={"again": False})
                self.jumps.append((back, number))
            return [(way, "default")]
        return self.node("set_state", exits, state=f"stage {number}")
