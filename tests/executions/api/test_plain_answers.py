"""Starts and submits take a shorter way than other requests, to the same result."""

from __future__ import annotations

from typing import Any

import pytest
from knox.models import AuthToken
from rest_framework.exceptions import ValidationError

from executions import services
from executions.api import plain_bodies
from executions.api.execution_serializers import StartSerializer, SubmitSerializer
from tests.conftest import Scenario
from tests.factories import FindingFactory, WorkflowFactory, call, form, line, save_line, user_in
from tests.workflows.api.clients import Client
from workflows.editing import save_graph
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

NUMBERS = {
    "bbb": 1e23,
    "a": {"zz": -0.0, "y": [1e16, 1.5, 0.1]},
    "é": "ü",
    "cc": 2**50,
    "b": 1e-7,
    "none": None,
}


@pytest.fixture
def api(transactional_db: None) -> Client:
    """A client with a token: its requests read ahead."""
    user = user_in("operator")
    user.groups.add(*user_in("participant").groups.all())
    client = Client()
    client.credentials(HTTP_AUTHORIZATION=f"Token {AuthToken.objects.create(user=user)[1]}")
    return client


def assert_same_as_stored(client: Client, answer: Any) -> dict[str, Any]:
    """Assert that an answer is, byte by byte, that of a GET. Return the execution."""
    execution: dict[str, Any] = answer.json()
    assert answer.content == client.get(f"executions/{execution['cuid']}/").content
    return execution


def save(workflow: Workflow, source: dict[str, Any]) -> None:
    save_graph(workflow, source, based_on=workflow.latest_version.number)


def branches(*nodes: dict[str, Any]) -> dict[str, Any]:
    """Return a graph in which these nodes are open at the same time."""
    middle = [node["id"] for node in nodes]
    return {
        "nodes": [
            {"id": "start", "type": "start"},
            {"id": "fork", "type": "parallel"},
            *nodes,
            {"id": "join", "type": "join"},
            form("last"),
            {"id": "end", "type": "end"},
        ],
        "edges": [
            {"source": "start", "target": "fork"},
            *({"source": "fork", "target": name} for name in middle),
            *({"source": name, "target": "join"} for name in middle),
            {"source": "join", "target": "last"},
            {"source": "last", "target": "end"},
        ],
    }


def graphs(callee: Workflow) -> dict[str, dict[str, Any]]:
    waiting = {"id": "wait", "type": "wait", "data": {"interval": "P1D"}}
    stage = {"id": "stage", "type": "set_state", "data": {"state": "Open", "progress": 50}}
    values = {"id": "set", "type": "set_field", "data": {"values": {"rate": 1e17, "b": 1}}}
    assigned: dict[str, Any] = {"assignees": {"groups": ["participant"]}}
    return {
        "form": line(form(), form("second")),
        "end": line(),
        "stage and fields": line(stage, values, form(), {**values, "id": "again"}, form("second")),
        "deadline": line(form(deadline={"after": "PT1H"}), waiting),
        "assigned": line(form(**assigned), form("second", **assigned)),
        "wait": line(waiting),
        "failure": line(form(), last={"id": "fail", "type": "fail", "data": {"message": "No."}}),
        "call": line(form(), call(callee), form("second"), call(callee, "again"), form("third")),
        "branches": branches(form("form"), form("second"), call(callee), waiting),
    }


@pytest.mark.parametrize("name", list(graphs(Workflow(cuid="x"))))
@pytest.mark.parametrize("inner", ["waits", "ends"])
def test_answers_of_start_and_submits_are_those_of_get(
    api: Client, scenario: Scenario, name: str, inner: str
) -> None:
    callee = scenario.callee
    save_line(callee, *([form("inner")] if inner == "waits" else ()))
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    save(workflow, graphs(callee)[name])
    finding = FindingFactory(entity_name_type=scenario.limitation, fields=NUMBERS)
    body = {"workflow": workflow.cuid, "entity": finding.cuid}
    # The second start takes the cached closure.
    for _ in range(2):
        execution = assert_same_as_stored(api, api.post("executions/", body))
    for node in ("form", "second", "third", "last"):
        path = f"executions/{execution['cuid']}/submit/"
        answer = api.post(path, {"node": node, "data": {"note": "n"}})
        if answer.status_code == 200:
            assert_same_as_stored(api, answer)


def test_answer_of_submit_shows_a_change_between_its_reads(
    api: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that another request starts after the first read is not missing in the answer."""
    save_line(scenario.callee)
    graph = branches(form("form"), form("second"))
    graph["nodes"].append(call(scenario.callee))
    graph["edges"].remove({"source": "second", "target": "join"})
    graph["edges"] += [
        {"source": "second", "target": "call"},
        {"source": "call", "target": "join"},
    ]
    save(scenario.caller, graph)
    body = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    execution = api.post("executions/", body).json()
    read = services.read_for_submit

    def read_later(cuid: str) -> Any:
        monkeypatch.undo()
        path = f"executions/{cuid}/submit/"
        assert api.post(path, {"node": "second", "data": {"note": "n"}}).status_code == 200
        return read(cuid)

    monkeypatch.setattr(services, "read_for_submit", read_later)
    path = f"executions/{execution['cuid']}/submit/"
    answer = api.post(path, {"node": "form", "data": {"note": "n"}})
    assert len(assert_same_as_stored(api, answer)["children"]) == 1


def test_scheduled_start_answers_as_get(api: Client, scenario: Scenario) -> None:
    body = {
        "workflow": scenario.caller.cuid,
        "entity": scenario.finding.cuid,
        "scheduled_for": "2999-01-01T00:00:00+02:00",
    }
    assert assert_same_as_stored(api, api.post("executions/", body))["status"] == "scheduled"


def test_fields_are_hidden_from_those_who_may_not_read_them(scenario: Scenario) -> None:
    client = Client()
    user = user_in("operator")
    client.credentials(HTTP_AUTHORIZATION=f"Token {AuthToken.objects.create(user=user)[1]}")
    body = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    assert client.post("executions/", body).json()["entity"]["fields"] == {}
    permissions = user.groups.get().permissions
    permissions.remove(*permissions.filter(codename__endswith="_finding"))
    assert client.post("executions/", body).json()["entity"]["fields"] is None


# Bodies


def compare(plain: Any, serializer: Any, body: Any) -> bool:
    """Assert that a plain body is valid and means the same. Return True if it is plain."""
    sent = serializer(data=body)
    try:
        sent.is_valid(raise_exception=True)
    except ValidationError:
        assert plain is None, body
        return False
    if plain is None:
        return False
    values = dict(sent.validated_data)
    assert plain == values, body
    for name, value in values.items():
        if hasattr(value, "__dict__"):
            same = {key: getattr(plain[name], key) for key in vars(value) if key[0] != "_"}
            assert same == {key: item for key, item in vars(value).items() if key[0] != "_"}
    return True


ODD_TEXTS: list[Any] = [
    *("", " ", "x", " x", "x\n", "\0", "\ud800", "x" * 5000, "é", "\u200b", "\x07", "\u00a0"),
    *(None, 0, 1.5, True, [], {}, ["x"]),
]
ODD_BODIES: list[Any] = [None, [], "x", 1, True, {}, {"dry_run": True}]


def test_plain_body_of_start_means_what_its_serializer_says(scenario: Scenario) -> None:
    plain = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    moments: list[Any] = ["2999-01-01T00:00:00Z", "tomorrow"]
    bodies = [
        *ODD_BODIES,
        *({**plain, name: value} for name in (*plain, "extra") for value in ODD_TEXTS),
        *({**plain, "scheduled_for": value} for value in (*moments, *ODD_TEXTS)),
        *({**plain, "dry_run": value} for value in (False, *ODD_TEXTS)),
        *({name: plain[name]} for name in plain),
        {"workflow": plain["entity"], "entity": plain["workflow"]},
        {**plain, "workflow": plain["workflow"].upper()},
    ]
    for body in bodies:
        compare(plain_bodies.recognize_start(body), StartSerializer, body)
    for body in (plain, {**plain, "dry_run": True}, {**plain, "scheduled_for": None}):
        assert compare(plain_bodies.recognize_start(body), StartSerializer, body)


def test_plain_body_of_submit_means_what_its_serializer_says(transactional_db: None) -> None:
    plain = {"node": "form", "data": {"note": "n"}}
    bodies = [
        *ODD_BODIES,
        *({**plain, name: value} for name in ("node", "step", "extra") for value in ODD_TEXTS),
        *({**plain, "dry_run": value} for value in (False, *ODD_TEXTS)),
        *({name: plain[name]} for name in plain),
    ]
    for body in bodies:
        compare(plain_bodies.recognize_submit(body), SubmitSerializer, body)
    values: list[Any] = [{}, None, "text", [1], 0]
    for value in values:
        body = {"step": "x", "data": value}
        assert compare(plain_bodies.recognize_submit(body), SubmitSerializer, body)


# Idempotency keys


def test_refusal_with_a_key_undoes_what_the_request_has_written(
    api: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = services.start

    def refuse(*args: Any, **kwargs: Any) -> None:
        begin(*args, **kwargs)
        raise ValidationError("No.")

    monkeypatch.setattr(services, "start", refuse)
    body = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    first = api.post("executions/", body, headers={"Idempotency-Key": "k"})
    monkeypatch.undo()
    again = api.post("executions/", body, headers={"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code) == (400, 400)
    assert again.content == first.content and "Idempotency-Replayed" in again.headers
    assert api.get("executions/").json()["results"] == []
