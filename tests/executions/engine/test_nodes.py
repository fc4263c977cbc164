"""Node types: their data, and their behaviour on arrival."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from executions.engine import nodes
from executions.engine.forms import FormInvalid
from executions.engine.nodes.behaviour import Behaviour, Item, NotSubmittable, Visit
from workflows.graph import Node, find_data_problems, node_types

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
TYPES = sorted(node_types())


class Recorder:
    """A visit that records the calls of a behaviour."""

    def __init__(self, node_type: str, data: dict[str, Any], **fields: Any) -> None:
        self.node = Node("n", node_type, data, 0)
        self.fields: Mapping[str, Any] = fields
        self.now = NOW
        self.item: Item | None = None
        self.calls: list[tuple[Any, ...]] = []

    def leave(self, handle: str | None = None, output: Mapping[str, Any] | None = None) -> None:
        self.calls.append(("leave", handle, output))

    def wait(self, due: datetime | None = None) -> None:
        self.calls.append(("wait", due))

    def schedule_job(self, kind: str, at: datetime) -> None:
        self.calls.append(("later", kind, at))

    def fork(self) -> None:
        self.calls.append(("fork",))

    def join(self) -> None:
        self.calls.append(("join",))

    def perform(self, kind: str, fields: Iterable[str]) -> None:
        self.calls.append(("perform", kind, list(fields)))

    def set_stage(self, state: str, progress: float | None) -> None:
        self.calls.append(("stage", state, progress))

    def start_child(self, callee_cuid: str, variables: Mapping[str, Any]) -> None:
        self.calls.append(("call", callee_cuid, dict(variables)))

    def start_items(self, items: list[Any]) -> None:
        self.calls.append(("items", items))

    def end_branch(self) -> None:
        self.calls.append(("finish",))

    def complete(self) -> None:
        self.calls.append(("complete",))

    def fail(self, message: str) -> None:
        self.calls.append(("fail", message))

    def open_incident(self, code: str, detail: str) -> None:
        self.calls.append(("incident", code, detail))

    def find_files(self, ids: Sequence[str]) -> Mapping[str, str]:
        return {}

    def attach_files(self, files: Mapping[str, Sequence[str]]) -> Mapping[str, Any]:
        return {}

    def write_fields(self, values: Mapping[str, Any], clear: Iterable[str] = ()) -> None:
        self.calls.append(("write", dict(values), list(clear)))


def enter(node_type: str, data: dict[str, Any] | None = None, **fields: Any) -> list[Any]:
    recorder = Recorder(node_type, data or {}, **fields)
    visit: Visit = recorder
    nodes.behaviour(node_type).enter(visit)
    return recorder.calls


def pointers(node_type: str, data: dict[str, Any]) -> list[str]:
    found = list(find_data_problems(node_types()[node_type], data))
    assert all(sentence.endswith(".") for _, sentence in found)
    return [pointer for pointer, _ in found]


# The registry


@pytest.mark.parametrize("name", TYPES)
def test_every_node_type_has_a_behaviour(name):
    assert isinstance(node_types()[name], Behaviour)
    assert nodes.behaviour(name).name == name


def test_importing_the_node_types_twice_is_harmless():
    before = set(node_types())
    importlib.reload(nodes)
    assert set(node_types()) == before


def test_unknown_node_type_has_no_behaviour():
    with pytest.raises(LookupError, match="'usr_action'"):
        nodes.behaviour("usr_action")


@pytest.mark.parametrize("name", [name for name in TYPES if name != "user_action"])
def test_submit_is_refused_when_the_node_takes_no_form(name):
    with pytest.raises(NotSubmittable) as caught:
        nodes.behaviour(name).submit(Recorder(name, {}), {}, None)
    assert caught.value.code == "not_submittable"


@pytest.mark.parametrize("name", TYPES)
def test_only_end_and_fail_have_no_exit(name):
    assert nodes.behaviour(name).ends is (name in ("end", "fail"))


# Start, end, fail


def test_start_continues_at_once():
    assert enter("start") == [("leave", None, None)]


def test_end_ends_its_branch():
    assert enter("end") == [("finish",)]


def test_fail_fails_with_its_message():
    assert enter("fail", {"message": "Too bad."}) == [("fail", "Too bad.")]


@pytest.mark.parametrize("data", [{"label": "Stop"}, {"label": "Stop", "message": "  "}])
def test_fail_without_a_message_names_the_node(data):
    assert enter("fail", data) == [("fail", "The workflow failed at 'Stop'.")]


def test_message_of_fail_is_limited():
    assert pointers("fail", {"message": 3}) == ["/message"]
    assert pointers("fail", {"message": "x" * 501}) == ["/message"]
    assert pointers("fail", {"message": "x" * 500}) == []
    assert pointers("fail", {}) == []


# Condition

BRANCHES = [
    {"handle": "high", "rule": {"field": "severity", "op": "gte", "value": 3}},
    {"handle": "any", "rule": {"field": "severity", "op": "exists"}},
]


@pytest.mark.parametrize(
    ("fields", "handle"), [({"severity": 4}, "high"), ({"severity": 1}, "any"), ({}, "default")]
)
def test_condition_takes_the_first_branch_that_holds(fields, handle):
    calls = enter("condition", {"branches": BRANCHES}, **fields)
    assert calls == [("leave", handle, {"handle": handle})]


def test_condition_has_an_exit_per_branch_and_default():
    condition = nodes.behaviour("condition")
    assert condition.handles({"branches": BRANCHES}) == ("high", "any", "default")


@pytest.mark.parametrize("data", [{}, {"branches": 3}, {"branches": [3, {}, {"handle": []}]}])
def test_invalid_condition_still_has_exits(data):
    assert nodes.behaviour("condition").handles(data) == ("default",)


@pytest.mark.parametrize(
    ("branches", "expected"),
    [
        (None, ["/branches"]),
        ([], ["/branches"]),
        ({}, ["/branches"]),
        (["x"], ["/branches/0"]),
        ([{"handle": "a"}], ["/branches/0/rule"]),
        ([BRANCHES[0] | {"handle": ""}], ["/branches/0/handle"]),
        ([BRANCHES[0] | {"handle": 3}], ["/branches/0/handle"]),
        ([BRANCHES[0] | {"handle": "x" * 65}], ["/branches/0/handle"]),
        ([BRANCHES[0] | {"handle": "default"}], ["/branches/0/handle"]),
        ([BRANCHES[0], BRANCHES[0]], ["/branches/1/handle"]),
        ([BRANCHES[0] | {"rules": 1}], ["/branches/0/rules"]),
        ([{"handle": "a", "rule": {"all": [3]}}], ["/branches/0/rule/all/0"]),
    ],
)
def test_branch_needs_a_unique_handle_and_a_rule(branches, expected):
    assert pointers("condition", {"branches": branches}) == expected


# Set field


def test_set_field_sets_and_clears_fields():
    calls = enter("set_field", {"values": {"a": [1]}, "clear": ["b"]})
    assert calls == [
        ("write", {"a": [1]}, ["b"]),
        ("leave", None, {"values": {"a": [1]}, "clear": ["b"]}),
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"values": {"a": None}}, []),
        ({"clear": ["a"]}, []),
        ({}, [""]),
        ({"values": {}, "clear": []}, [""]),
        ({"values": []}, ["/values"]),
        ({"clear": "a"}, ["/clear"]),
        ({"values": {"1st": 1}}, ["/values/1st"]),
        ({"clear": ["ok", "not ok", 3]}, ["/clear/1", "/clear/2"]),
        ({"clear": ["a", "a"]}, ["/clear"]),
        ({"values": {"a": 1}, "clear": ["a"]}, ["/clear/0"]),
    ],
)
def test_set_field_is_refused_when_a_field_is_named_twice(data, expected):
    assert pointers("set_field", data) == expected


# Run workflow


def test_run_workflow_starts_a_child():
    assert enter("run_workflow", {"workflow": "cuid1"}) == [("call", "cuid1", {})]


@pytest.mark.parametrize("data", [{}, {"workflow": ""}, {"workflow": 3}])
def test_run_workflow_needs_a_workflow(data):
    assert pointers("run_workflow", data) == ["/workflow"]


# User action


@pytest.mark.parametrize(
    ("data", "due"),
    [
        ({}, None),
        ({"deadline": "P3D"}, NOW + timedelta(days=3)),
        ({"deadline": "PT90M"}, NOW + timedelta(minutes=90)),
        ({"deadline": 90}, NOW + timedelta(seconds=90)),
        ({"deadline": 0.5}, NOW + timedelta(seconds=0.5)),
    ],
)
def test_user_action_waits_until_its_deadline(data, due):
    assert pointers("user_action", data) == []
    waits = [("wait", due)]
    comes_back = [] if due is None else [("later", "deadline", due)]
    assert enter("user_action", data) == waits + comes_back


def test_submitted_form_is_written():
    data = {"fields": [{"name": "n", "type": "number"}]}
    recorder = Recorder("user_action", data)
    nodes.behaviour("user_action").submit(recorder, {"n": "3"}, None)
    assert recorder.calls == [("write", {"n": 3}, []), ("leave", None, {"n": 3})]


def test_refused_form_changes_nothing():
    recorder = Recorder("user_action", {})
    with pytest.raises(FormInvalid):
        nodes.behaviour("user_action").submit(recorder, {"n": 3}, None)
    assert recorder.calls == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"title": 1, "button_label": None}, ["/title", "/button_label"]),
        ({"fields": {}}, ["/fields"]),
        ({"fields": [{"name": "a", "type": "txt"}]}, ["/fields/0/type"]),
        ({"assignees": []}, ["/assignees"]),
        ({"assignees": {"group": []}}, ["/assignees/group"]),
        ({"assignees": {"groups": "staff"}}, ["/assignees/groups"]),
        ({"assignees": {"users": ["ada", "", 3]}}, ["/assignees/users/1", "/assignees/users/2"]),
    ],
)
def test_invalid_user_action_is_reported_with_a_pointer(data, expected):
    assert pointers("user_action", data) == expected


@pytest.mark.parametrize(
    "deadline",
    [
        None,
        True,
        "",
        "soon",
        "3",
        "3 00:00:00",
        "P",
        "P1.5Y",
        "P101Y",
        "P1H",
        "P1D2M",
        "-P3D",
        "P0D",
        0,
        -1,
        [],
    ]
    + [float("inf"), float("nan"), 1e12, 10**400, "P99999999999D"],
)
def test_deadline_must_be_positive_and_at_most_100_years(deadline):
    assert pointers("user_action", {"deadline": deadline}) == ["/deadline"]
