"""Variables: the data of an execution, beside the fields of its entity."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from executions import services as running
from executions.engine import tree
from executions.engine.value_sources import InvalidValue
from executions.models import Entity, Execution, Status, Step, StepState, Visits
from tests.factories import (
    FindingFactory,
    WorkflowFactory,
    form,
    line,
    save_line,
    user_in,
    user_with,
)
from tests.workflows.api.clients import Client, client_of
from workflows import editing
from workflows.db import clock
from workflows.editing import graph_problems
from workflows.guards import InvalidTrigger
from workflows.models import Workflow

pytestmark = pytest.mark.django_db

AMOUNT = {"name": "amount", "type": "number", "scope": "execution"}


def saved(*nodes: dict[str, Any], **settings: Any) -> Workflow:
    workflow = WorkflowFactory(**settings)
    save_line(workflow, *nodes)
    return workflow


def started(workflow: Workflow, variables: Any = None, **fields: Any) -> Execution:
    finding = FindingFactory(entity_name_type=workflow.entity_name_type, fields=fields)
    return running.start(workflow, finding, variables=variables)


def setting(node_id: str = "set", **data: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "set_field", "data": data}


def again(execution: Execution) -> Execution:
    return Execution.objects.get(pk=execution.pk)


def fields_of(execution: Execution) -> dict[str, Any]:
    fields: dict[str, Any] = Entity.objects.get(pk=execution.entity_id).fields
    return fields


# Forms


def test_form_field_of_the_execution_writes_a_variable() -> None:
    execution = started(saved(form("form", AMOUNT, {"name": "note"}), form("last")))
    running.submit(execution, node="form", data={"amount": 5, "note": "n"})
    assert again(execution).variables == {"amount": 5}
    assert fields_of(execution) == {"note": "n"}


def test_blank_answer_clears_the_variable() -> None:
    execution = started(saved(form("form", AMOUNT), form("last")), {"amount": 3, "other": 1})
    running.submit(execution, node="form", data={"amount": None})
    assert again(execution).variables == {"other": 1}


def test_submit_is_refused_when_the_variables_are_too_large(monkeypatch: Any) -> None:
    monkeypatch.setattr(tree, "MAX_VARIABLES", 100)
    execution = started(saved(form("form", {"name": "note", "scope": "execution"})))
    with pytest.raises(InvalidValue, match="more than 100 characters"):
        running.submit(execution, node="form", data={"note": "x" * 100})
    assert again(execution).variables == {}
    running.submit(execution, node="form", data={"note": "x"})
    assert again(execution).status == Status.COMPLETED


# set_field


def test_set_field_reads_all_sources_before_it_writes() -> None:
    swap = {"a": {"field": "b"}, "b": {"field": "a"}, "$c": {"field": "a"}}
    execution = started(saved(setting(values=swap, clear=["$d"])), {"d": 1}, a=1, b=2)
    assert fields_of(execution) == {"a": 2, "b": 1}
    assert again(execution).variables == {"c": 1}
    (step,) = [step for step in Visits(execution) if step.type == "set_field"]
    assert step.output == {"values": {"a": 2, "b": 1, "$c": 1}, "clear": ["$d"]}


def test_value_that_cannot_be_computed_is_an_incident() -> None:
    values = {"$sum": {"add": [{"field": "a"}, 1]}}
    execution = started(saved(setting(values=values), form()), a="text")
    step = Step.objects.open().get(execution=execution)
    assert step.incident is not None
    assert (step.node_id, step.incident["code"]) == ("set", "invalid_value")
    Entity.objects.filter(pk=execution.entity_id).update(fields={"a": 2})
    running.retry(execution, node="set")
    assert again(execution).variables == {"sum": 3}


def test_loop_that_doubles_a_text_ends_as_an_incident() -> None:
    workflow = WorkflowFactory()
    double = setting(values={"$x": {"text": "{{$x}}{{$x}}"}})
    rule = {"field": "$x", "op": "exists"}
    loop = {"id": "loop", "type": "condition"}
    source = line(double, loop | {"data": {"branches": [{"handle": "again", "rule": rule}]}})
    source["edges"][-1]["sourceHandle"] = "default"
    source["edges"].append({"source": "loop", "target": "form", "sourceHandle": "again"})
    source["nodes"].append(form())
    source["edges"].append({"source": "form", "target": "set"})
    editing.save_graph(workflow, source, based_on=1)
    execution = started(workflow, {"x": "x" * 60_000})
    step = Step.objects.open().get(execution=execution)
    assert (step.node_id, step.state) == ("set", StepState.INCIDENT)


@pytest.mark.parametrize(
    ("node", "pointer"),
    [
        (setting(values={"$a": {"field": "x", "y": 1}}), "/nodes/1/data/values/$a/y"),
        (setting(values={"$a b": 1}), "/nodes/1/data/values/$a b"),
        (setting(clear=["$a", "$$b"]), "/nodes/1/data/clear/1"),
        (setting(values={"a": {"text": "{{secret:key}}"}}), "/nodes/1/data/values/a/text"),
        (form("form", {"name": "$a"}), "/nodes/1/data/fields/0/name"),
        (form("form", {"name": "a", "scope": "global"}), "/nodes/1/data/fields/0/scope"),
    ],
)
def test_save_refuses_invalid_sources_and_names(node: dict[str, Any], pointer: str) -> None:
    problems = graph_problems(WorkflowFactory(), line(node))
    assert [problem.pointer for problem in problems] == [pointer]


def test_rule_is_compared_with_the_type_of_a_variable() -> None:
    branches = [{"handle": "big", "rule": {"field": "$amount", "op": "gt", "value": "many"}}]
    source = line(form("form", AMOUNT), {"id": "if", "type": "condition"})
    source["nodes"][2]["data"] = {"branches": branches}
    source["edges"][-1]["sourceHandle"] = "default"
    source["edges"].append({"source": "if", "target": "end", "sourceHandle": "big"})
    (problem,) = graph_problems(WorkflowFactory(), source)
    assert problem.pointer == "/nodes/2/data/branches/0/rule/value"
    branches[0]["rule"]["value"] = {"field": "limit", "or": 3}
    (problem,) = graph_problems(WorkflowFactory(), source)
    assert problem.pointer == "/nodes/2/data/branches/0/rule/value/or"
    branches[0]["rule"]["value"] = {"field": "limit"}
    assert graph_problems(WorkflowFactory(), source) == []


def test_saved_rule_compares_with_a_list_in_a_variable() -> None:
    rule = {"field": "owner", "op": "in", "value": {"variable": "owners"}}
    data = {"branches": [{"handle": "known", "rule": rule}]}
    source = line({"id": "if", "type": "condition", "data": data})
    source["edges"][-1]["sourceHandle"] = "default"
    source["edges"].append({"source": "if", "target": "end", "sourceHandle": "known"})
    workflow = WorkflowFactory()
    editing.save_graph(workflow, source, based_on=1)
    execution = started(workflow, {"owners": ["ann"]}, owner="ann")
    assert Visits(execution)[1].handle == "known"


# Calls


def test_call_passes_input_and_copies_output() -> None:
    callee = saved(
        form("decide", {"name": "ok", "type": "checkbox", "scope": "execution"}),
        setting(values={"$seen": {"variable": "amount"}}),
    )
    call = {
        "id": "call",
        "type": "run_workflow",
        "data": {
            "workflow": callee.cuid,
            "input": {"amount": {"variable": "loss"}, "limit": {"field": "limit"}, "none": None},
            "output": {"approved": "ok", "copy": "seen", "gone": "nothing"},
        },
    }
    caller = saved(call, form("last"), entity_name_type=callee.entity_name_type)
    execution = started(caller, {"loss": 7, "gone": 1}, limit=3)
    child = execution.children.get()
    assert child.variables == {"amount": 7, "limit": 3}
    assert Visits(child)[0].input == {"variables": {"amount": 7, "limit": 3}}
    running.submit(child, node="decide", data={"ok": True})
    assert again(execution).variables == {"loss": 7, "approved": True, "copy": 7}
    assert again(child).variables == {"amount": 7, "limit": 3, "ok": True, "seen": 7}


def test_child_does_not_share_the_variables_of_its_caller() -> None:
    callee = saved(setting(values={"$a": 2}))
    call = {"id": "call", "type": "run_workflow", "data": {"workflow": callee.cuid}}
    caller = saved(call, form("last"), entity_name_type=callee.entity_name_type)
    execution = started(caller, {"a": 1})
    assert again(execution).variables == {"a": 1}
    assert execution.children.get().variables == {"a": 2}


def test_output_that_is_too_large_is_an_incident_of_the_call(monkeypatch: Any) -> None:
    callee = saved(form("form", {"name": "note", "scope": "execution"}))
    call = {"id": "call", "type": "run_workflow"}
    call["data"] = {"workflow": callee.cuid, "output": {"a": "note"}}  # type: ignore[assignment]
    caller = saved(call, form("last"), entity_name_type=callee.entity_name_type)
    execution = started(caller, {"b": "x" * 50})
    monkeypatch.setattr(tree, "MAX_VARIABLES", 100)
    running.submit(execution.children.get(), node="form", data={"note": "x" * 50})
    step = Step.objects.open().get(execution=execution)
    assert step.incident is not None
    assert (step.node_id, step.incident["code"]) == ("call", "invalid_value")
    running.skip(execution, node="call", why="too large")
    assert again(execution).variables == {"b": "x" * 50}


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({"input": {"a": {"variable": 3}}}, "/nodes/1/data/input/a/variable"),
        ({"input": {"$a": 1}}, "/nodes/1/data/input/$a"),
        ({"output": {"a": "$b"}}, "/nodes/1/data/output/a"),
        ({"output": {"a": {"variable": "b"}}}, "/nodes/1/data/output/a"),
    ],
)
def test_save_refuses_invalid_input_and_output(data: dict[str, Any], pointer: str) -> None:
    callee = WorkflowFactory()
    call = {"id": "call", "type": "run_workflow", "data": {"workflow": callee.cuid, **data}}
    problems = graph_problems(WorkflowFactory(), line(call))
    assert pointer in [problem.pointer for problem in problems]


# Other nodes


def test_wait_mail_and_request_read_variables() -> None:
    wait = {"id": "wait", "type": "wait", "data": {"at_field": "$until"}}
    mail = {"to": [{"field": "$owner"}], "subject": "{{$amount}} of {{name}}"}
    notify = {"id": "notify", "type": "notify", "data": mail}
    variables = {"until": "2100-01-01", "owner": "a@example.com", "amount": 5}
    execution = started(saved(wait, notify), variables, name="n")
    step = Step.objects.open().get(execution=execution)
    assert step.due_at is not None and step.due_at.year in (2099, 2100)
    running.wake(execution, node="wait")
    step = Step.objects.open().get(execution=execution)
    assert step.input == {"fields": {"$amount": 5, "$owner": "a@example.com", "name": "n"}}


def test_field_with_a_dollar_is_never_a_variable() -> None:
    values = {"a": {"variable": "x"}, "b": {"text": "{{$x}}"}}
    execution = started(saved(setting(values=values)), **{"$x": 1})
    assert fields_of(execution) == {"$x": 1}


def test_schedule_cannot_name_a_variable() -> None:
    workflow = saved(form())
    workflow.trigger = Workflow.Trigger.SCHEDULE
    workflow.trigger_data = {"cron": "0 9 * * *", "rule": {"field": "$x", "op": "gt", "value": 1}}
    with pytest.raises(InvalidTrigger, match=r"'\$x' is a variable"):
        workflow.save()


def test_trigger_cannot_name_a_variable() -> None:
    workflow = saved(form())
    workflow.trigger = Workflow.Trigger.CHANGED
    workflow.trigger_data = {"rule": {"field": "a", "op": "eq", "value": {"variable": "x"}}}
    with pytest.raises(InvalidTrigger, match=r"'\$x' is a variable"):
        workflow.save()
    workflow.trigger_data = {"rule": {"field": "a", "op": "gt", "value": {"field": "b"}}}
    workflow.save()
    finding = FindingFactory(entity_name_type=workflow.entity_name_type, fields={"a": 1, "b": 2})
    finding.fields = {"a": 1, "b": 0}
    finding.save()
    assert len(running.due_starts()) == 1


# Start and restart


@pytest.mark.parametrize(
    ("variables", "pointer"),
    [
        ({"$a": 1}, "/variables/$a"),
        ({"a b": 1}, "/variables/a b"),
        ({"a": ["\0"]}, "/variables/a/0"),
        ({"a": 2**60 + 1}, "/variables/a"),
        ([1], "/variables"),
    ],
)
def test_start_refuses_invalid_variables(variables: Any, pointer: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        started(saved(form()), variables)
    assert [problem.pointer for problem in refused.value.problems] == [pointer]
    assert not Execution.objects.exists()


def test_restart_starts_with_the_variables_of_the_first_start() -> None:
    execution = started(saved(setting(values={"$n": 2}), form()), {"n": 1, "m": None})
    assert again(execution).variables == {"n": 2}
    new = running.restart(execution, why="again")
    assert Visits(new)[0].input == {"variables": {"n": 1}}
    assert again(new).variables == {"n": 2}


def test_scheduled_start_keeps_its_variables() -> None:
    workflow = saved(form())
    finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    later = clock.now() + timedelta(days=1)
    execution = running.start(workflow, finding, scheduled_for=later, variables={"n": 1})
    assert again(execution).variables == {"n": 1}
    assert again(running.restart(execution)).variables == {"n": 1}


# Interfaces


def test_api_starts_with_variables_and_shows_them() -> None:
    workflow = saved(form("form", AMOUNT), form("last"))
    finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    client = client_of(superuser=True)
    body = {"workflow": workflow.cuid, "entity": finding.cuid, "variables": {"a": 1}}
    answer = client.post("executions/", body)
    assert (answer.status_code, answer.json()["variables"]) == (201, {"a": 1})
    path = f"executions/{answer.json()['cuid']}/"
    answer = client.post(f"{path}submit/", {"node": "form", "data": {"amount": 2}})
    assert answer.json()["variables"] == {"a": 1, "amount": 2}
    assert client.get(path).json()["variables"] == {"a": 1, "amount": 2}
    steps = client.get(f"{path}steps/").json()["results"]
    assert steps[0]["input"] == {"variables": {"a": 1}}
    for wrong, status in (({"$a": 1}, 400), ([1], 400), (None, 400)):
        assert client.post("executions/", body | {"variables": wrong}).status_code == status


def test_variables_are_hidden_like_the_fields_of_the_entity() -> None:
    execution = started(saved(form()), {"a": "visible-variable"})
    client = Client()
    client.force_authenticate(user_with("executions.view_execution"))
    assert client.get(f"executions/{execution.cuid}/").json()["variables"] is None
    url = reverse("admin:executions_execution_change", args=[execution.pk])
    for permission, displayed in (([], False), (["executions.view_finding"], True)):
        browser = Browser()
        user = user_with("executions.view_execution", *permission, is_staff=True)
        browser.force_login(user)
        page = browser.get(url).content.decode()
        assert ("visible-variable" in page) is displayed
        assert ("<code>$a</code>" in page) is displayed


@pytest.mark.parametrize("page", ["home", "tasks", "comments"])
def test_lists_of_steps_and_comments_do_not_read_variables(page: str) -> None:
    ada = user_in("participant", username="ada", is_staff=True)
    vote = {"id": "vote", "type": "approval", "data": {"users": ["ada"]}}
    source = line(form(), vote, form("last"))
    source["edges"][2]["sourceHandle"] = "approved"
    source["edges"].append({"source": "vote", "target": "end", "sourceHandle": "rejected"})
    workflow = WorkflowFactory()
    editing.save_graph(workflow, source, based_on=1)
    execution = started(workflow)
    running.submit(execution, node="form", data={"note": "n"}, by=ada)
    running.vote(execution, approves=True, by=ada)
    browser = Browser()
    browser.force_login(ada)
    urls = {
        "home": reverse("admin:index"),
        "tasks": reverse("api:task-list"),
        "comments": reverse("api:comment-list", args=[execution.cuid]),
    }
    with CaptureQueriesContext(connection) as captured:
        assert browser.get(urls[page]).status_code == 200
    assert not [query["sql"] for query in captured if '"variables"' in query["sql"]]


def test_variables_take_no_further_statement() -> None:
    counts = []
    for scope in ("entity", "execution"):
        field = {"name": "amount", "type": "number", "scope": scope}
        workflow = saved(form("form", field), form("last"))
        finding = FindingFactory(entity_name_type=workflow.entity_name_type)
        variables = {"b": 1} if scope == "execution" else None
        running.start(workflow, finding)
        with CaptureQueriesContext(connection) as captured:
            execution = running.start(workflow, finding, variables=variables)
            running.submit(execution, node="form", data={"amount": 2})
        counts.append(len(captured))
    # The field is a row of its own; the variable is written with the execution.
    assert counts[1] == counts[0] - 1
