"""What each node type takes as data, and what it does when an execution arrives."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from executions.engine import nodes
from executions.engine.forms import FormInvalid
from executions.engine.nodes.behaviour import Behaviour, NotSubmittable, Visit
from workflows.graph import Node, find_data_problems, node_types

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
TYPES = (
    "start",
    "user_action",
    "approval",
    "condition",
    "set_field",
    "set_state",
    "wait",
    "parallel",
    "join",
    "run_workflow",
    "end",
    "fail",
)


class Recorder:
    """A visit that remembers what it was told."""

    def __init__(self, node_type: str, data: dict[str, Any], **fields: Any) -> None:
        self.node = Node("n", node_type, data, 0)
        self.fields: Mapping[str, Any] = fields
        self.now = NOW
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

    def start_child(self, callee_cuid: str) -> None:
        self.calls.append(("call", callee_cuid))

    def end_branch(self) -> None:
        self.calls.append(("finish",))

    def fail(self, message: str) -> None:
        self.calls.append(("fail", message))

    def open_incident(self, code: str, detail: str) -> None:
        self.calls.append(("incident", code, detail))

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
def test_every_node_type_is_registered_and_has_a_behaviour(name):
    assert isinstance(node_types()[name], Behaviour)
    assert nodes.behaviour(name).name == name


def test_importing_the_node_types_twice_is_harmless():
    before = set(node_types())
    importlib.reload(nodes)
    assert set(node_types()) == before


def test_an_unknown_node_type_has_no_behaviour():
    with pytest.raises(LookupError, match="'usr_action'"):
        nodes.behaviour("usr_action")


@pytest.mark.parametrize("name", [name for name in TYPES if name != "user_action"])
def test_only_a_node_that_waits_for_a_person_takes_a_form(name):
    with pytest.raises(NotSubmittable) as caught:
        nodes.behaviour(name).submit(Recorder(name, {}), {}, None)
    assert caught.value.code == "not_submittable"


@pytest.mark.parametrize("name", TYPES)
def test_nothing_follows_an_end_or_a_fail_only(name):
    assert nodes.behaviour(name).ends is (name in ("end", "fail"))


# Start, end, fail


def test_a_start_goes_on_at_once():
    assert enter("start") == [("leave", None, None)]


def test_an_end_finishes_its_branch():
    assert enter("end") == [("finish",)]


def test_a_fail_node_fails_with_its_message():
    assert enter("fail", {"message": "Too bad."}) == [("fail", "Too bad.")]


@pytest.mark.parametrize("data", [{"label": "Stop"}, {"label": "Stop", "message": "  "}])
def test_a_fail_node_without_a_message_names_itself(data):
    assert enter("fail", data) == [("fail", "The workflow failed at 'Stop'.")]


def test_the_message_of_a_fail_node_is_text_of_a_limited_length():
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
def test_a_condition_leaves_by_the_first_branch_that_holds_else_by_default(fields, handle):
    told = enter("condition", {"branches": BRANCHES}, **fields)
    assert told == [("leave", handle, {"handle": handle})]


def test_a_condition_has_an_exit_for_each_branch_and_default():
    condition = nodes.behaviour("condition")
    assert condition.handles({"branches": BRANCHES}) == ("high", "any", "default")


@pytest.mark.parametrize("data", [{}, {"branches": 3}, {"branches": [3, {}, {"handle": []}]}])
def test_the_exits_of_an_unsound_condition_can_be_asked_for(data):
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
def test_each_branch_has_a_handle_of_its_own_and_a_rule(branches, expected):
    assert pointers("condition", {"branches": branches}) == expected


# Set field


def test_set_field_writes_clears_and_goes_on():
    told = enter("set_field", {"values": {"a": [1]}, "clear": ["b"]})
    assert told == [
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
def test_set_field_names_fields_each_once(data, expected):
    assert pointers("set_field", data) == expected


# Run workflow


def test_run_workflow_calls_the_workflow_that_it_names():
    assert enter("run_workflow", {"workflow": "cuid1"}) == [("call", "cuid1")]


@pytest.mark.parametrize("data", [{}, {"workflow": ""}, {"workflow": 3}])
def test_run_workflow_must_name_a_workflow(data):
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
def test_a_user_action_waits_until_its_deadline(data, due):
    assert pointers("user_action", data) == []
    waits = [("wait", due)]
    comes_back = [] if due is None else [("later", "deadline", due)]
    assert enter("user_action", data) == waits + comes_back


def test_a_submitted_form_is_written_and_passed_on():
    data = {"fields": [{"name": "n", "type": "number"}]}
    recorder = Recorder("user_action", data)
    nodes.behaviour("user_action").submit(recorder, {"n": "3"}, None)
    assert recorder.calls == [("write", {"n": 3}, []), ("leave", None, {"n": 3})]


def test_a_form_that_is_refused_changes_nothing():
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
def test_what_is_wrong_in_a_user_action_is_told_with_its_place(data, expected):
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
def test_a_deadline_is_a_positive_duration_of_a_sensible_length(deadline):
    assert pointers("user_action", {"deadline": deadline}) == ["/deadline"]
