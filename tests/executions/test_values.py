"""Values: missing ones, numbers and moments mean the same through every interface."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from executions import guards
from executions import services as running
from executions.engine.http_client import Answer
from executions.engine.nodes.http_request import _value
from executions.engine.nodes.tasks import GiveUp
from executions.models import Entity, Execution, Finding
from executions.webhooks.incoming import InvalidDelivery, parse_body
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    WorkflowFactory,
    form,
    line,
    save_line,
    user_in,
)
from tests.workflows.api.clients import client_of
from workflows import editing
from workflows.db.json_values import find_unstorable
from workflows.editing import graph_problems
from workflows.files import text_formats
from workflows.files.file_schema import InvalidFile
from workflows.graph import WorkflowValidationError
from workflows.models import Version, Workflow

pytestmark = pytest.mark.django_db

BLANKS: list[Any] = [None, "", "  ", "\t\n", []]
TYPES = ["text", "long_text", "number", "date", "datetime", "email", "url", "user", "choice"]


def field_of_type(type_name: str) -> dict[str, Any]:
    more = {"choices": ["a"]} if type_name.endswith("choice") else {}
    return {"name": "x", "type": type_name, **more}


def started(*nodes: dict[str, Any], **fields: Any) -> Execution:
    workflow = WorkflowFactory()
    save_line(workflow, *nodes)
    finding = FindingFactory(entity_name_type=workflow.entity_name_type, fields=fields)
    return running.start(workflow, finding)


def fields_of(execution: Execution) -> dict[str, Any]:
    fields: dict[str, Any] = Entity.objects.get(pk=execution.entity_id).fields
    return fields


# Missing


@pytest.mark.parametrize("type_name", [*TYPES, "multiple_choice"])
def test_blank_answer_is_not_stored(type_name):
    node = form("form", field_of_type(type_name), {"name": "note"})
    api = client_of(superuser=True)
    pages = Client()
    pages.force_login(user_in("participant", is_staff=True))
    blanks: list[dict[str, Any]] = [{}, {"x": None}, {"x": ""}, {"x": " "}]
    blanks += [{"x": []}] if type_name == "multiple_choice" else []
    for blank in blanks:
        execution = started(node, form("next"))
        body = {"node": "form", "data": {"note": "n", **blank}}
        assert api.post(f"executions/{execution.cuid}/submit/", body).status_code == 200
        assert fields_of(execution) == {"note": "n"}
        assert execution.steps.get(node_id="form").output == {"note": "n"}
    execution = started(node, form("next"))
    step = execution.steps.get(node_id="form")
    url = reverse("admin:executions_execution_submit", args=[execution.pk, step.cuid])
    # A browser sends nothing for unticked checkboxes, and only existing choices.
    blank_text = "" if type_name == "choice" else "  "
    unanswered = {} if type_name == "multiple_choice" else {f"{step.cuid}-x": blank_text}
    pages.post(url, {f"{step.cuid}-note": "n", **unanswered})
    assert fields_of(execution) == {"note": "n"}


def test_blank_answer_clears_the_field_and_a_missing_one_keeps_it():
    for blank in BLANKS[:3]:
        execution = started(form("form", field_of_type("text")), form("next"), x="before", y=1)
        running.submit(execution, data={"x": blank})
        assert fields_of(execution) == {"y": 1}
    execution = started(form("form", field_of_type("text")), form("next"), x="before")
    running.submit(execution, data={})
    assert fields_of(execution) == {"x": "before"}


@pytest.mark.both_databases
@pytest.mark.parametrize("blank", BLANKS)
def test_entity_stores_no_missing_value(blank):
    present = {"zero": 0, "no": False, "object": {}, "deep": {"a": None}}
    given = {"x": blank, **present}
    kind = FindingTypeFactory()
    api = client_of(superuser=True)
    answer = api.post("findings/", {"title": "F", "entity_name_type": kind.cuid, "fields": given})
    assert answer.status_code == 201 and answer.json()["fields"] == present
    row = Finding.objects.create(title="G", entity_name_type=kind, fields=given)
    assert row.fields == present
    Finding.objects.bulk_create([Finding(title="H", entity_name_type=kind, fields=given)])
    Finding.objects.filter(pk=row.pk).update(fields=given)
    assert Finding.objects.get(pk=row.pk).fields == present
    row.fields = given
    Finding.objects.bulk_update([row], ["fields"])
    assert [found.fields for found in Finding.objects.all()] == [present] * 3


@pytest.mark.parametrize("blank", BLANKS)
def test_set_field_to_a_missing_value_clears_the_field(blank):
    node = {"id": "set", "type": "set_field", "data": {"values": {"x": blank, "y": 1}}}
    assert fields_of(started(node, form("next"), x="before")) == {"y": 1}


@pytest.mark.parametrize("blank", BLANKS)
def test_stored_blank_counts_as_missing(blank):
    workflow = WorkflowFactory()
    rule = {"field": "x", "op": "exists"}
    nodes = [
        {"id": "start", "type": "start"},
        {"id": "wait", "type": "wait", "data": {"at_field": "x"}},
        {"id": "if", "type": "condition", "data": {"branches": [{"handle": "y", "rule": rule}]}},
        form("yes"),
        form("no"),
        {"id": "end", "type": "end"},
    ]
    edges = [("start", "wait", None), ("wait", "if", None), ("if", "yes", "y")]
    edges += [("if", "no", "default"), ("yes", "end", None), ("no", "end", None)]
    source = {
        "nodes": nodes,
        "edges": [
            {"source": one, "target": other, **({"sourceHandle": exit_} if exit_ else {})}
            for one, other, exit_ in edges
        ],
    }
    editing.save_graph(workflow, source, based_on=1)
    finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    # As an earlier release stored it.
    Entity._base_manager.filter(pk=finding.pk).update(fields={"x": blank})
    execution = running.start(workflow, Finding.objects.get(pk=finding.pk))
    assert list(execution.steps.open().values_list("node_id", flat=True)) == ["no"]


# Saved rules


def flaws(rule: Any, *fields: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the problems of a graph with this form and this rule."""
    source = branching(rule, *fields)
    return [(row.pointer, row.detail) for row in graph_problems(WorkflowFactory(), source)]


def branching(rule: Any, *fields: dict[str, Any]) -> dict[str, Any]:
    branches = [{"handle": "y", "rule": rule}]
    source = line(
        form("form", *fields), {"id": "if", "type": "condition", "data": {"branches": branches}}
    )
    source["edges"][-1]["sourceHandle"] = "default"
    source["edges"].append({"source": "if", "target": "end", "sourceHandle": "y"})
    return source


X = "/nodes/2/data/branches/0/rule"


@pytest.mark.parametrize(
    ("field", "op", "value"),
    [
        ("datetime", "lt", "today"),
        ("datetime", "eq", "2026-02-30"),
        ("datetime", "gt", 3),
        ("date", "ne", "tomorrow"),
        ("date", "gte", ""),
        ("number", "eq", "3"),
        ("number", "lt", "2026-12-31"),
        ("text", "gt", 3),
        ("text", "gt", " "),
        ("checkbox", "eq", "yes"),
        ("checkbox", "gt", 1),
        ("multiple_choice", "lt", "a"),
        ("multiple_choice", "eq", "a"),
        ("choice", "eq", 1),
        ("text", "contains", 5),
        ("text", "not_contains", None),
        ("number", "contains", "5"),
        ("number", "starts_with", "5"),
        ("checkbox", "not_contains", "true"),
        ("multiple_choice", "ends_with", "a"),
        (None, "lt", "today"),
        (None, "gte", "2026-13-01"),
        (None, "lt", True),
        (None, "gt", ["a"]),
        (None, "lt", None),
    ],
)
def test_literal_is_refused_when_the_field_has_another_type(field, op, value):
    rule = {"field": "x", "op": op, "value": value}
    form_field = field_of_type(field) if field else {"name": "other"}
    found = flaws(rule, form_field)
    assert [pointer for pointer, _ in found] == [f"{X}/value"]
    nested = flaws({"any": [{"not": rule}]}, form_field)
    assert [pointer for pointer, _ in nested] == [f"{X}/any/0/not/value"]


def test_each_literal_of_a_list_is_checked():
    rule = {"field": "x", "op": "in", "value": ["2026-12-31", "soon", None, 3]}
    found = flaws(rule, field_of_type("date"))
    assert [pointer for pointer, _ in found] == [f"{X}/value/1", f"{X}/value/3"]
    assert "compare it with a date such as 2026-12-31" in found[0][1]


@pytest.mark.parametrize(
    ("field", "op", "value"),
    [
        ("datetime", "lt", "2026-12-31"),
        ("date", "gte", "2026-12-31T17:00Z"),
        ("date", "eq", None),
        ("number", "in", [1, 2.5, None]),
        ("text", "gte", "B"),
        ("choice", "lt", "b"),
        ("checkbox", "eq", True),
        ("multiple_choice", "eq", ["a"]),
        ("multiple_choice", "contains", "a"),
        ("date", "starts_with", "2026-12"),
        (None, "lt", 3),
        (None, "lt", "2026-12-31"),
        (None, "eq", "today"),
        ("untyped", "gte", 3),
    ],
)
def test_literal_is_accepted_when_it_fits_the_field(field, op, value):
    form_field = (
        {"name": "x"} if field == "untyped" else field_of_type(field) if field else {"name": "y"}
    )
    assert flaws({"field": "x", "op": op, "value": value}, form_field) == []


def test_literal_is_accepted_when_it_fits_one_of_two_types():
    source = branching({"field": "x", "op": "eq", "value": "unknown"}, field_of_type("number"))
    node = {"id": "set", "type": "set_field", "data": {"values": {"x": "none yet"}}}
    source["nodes"].insert(1, node)
    source["edges"][0]["target"] = "set"
    source["edges"].append({"source": "set", "target": "form"})
    assert graph_problems(WorkflowFactory(), source) == []


def test_moments_of_a_graph_are_stored_in_utc(settings):
    settings.TIME_ZONE = "Europe/Berlin"
    workflow = WorkflowFactory()
    rule = {
        "any": [{"not": {"field": "x", "op": "in", "value": ["2026-07-01T12:00", "2026-07-01"]}}]
    }
    source = branching(rule, field_of_type("datetime"))
    source["nodes"].insert(1, {"id": "wait", "type": "wait", "data": {"at": "2026-03-29T02:30"}})
    source["edges"][0]["target"] = "wait"
    source["edges"].append({"source": "wait", "target": "form"})
    editing.save_graph(workflow, source, based_on=1)
    stored = Version.objects.get(workflow=workflow).source["nodes"]
    assert stored[1]["data"] == {"at": "2026-03-29T01:30:00+00:00"}
    [branch] = stored[3]["data"]["branches"]
    assert branch["rule"]["any"][0]["not"]["value"] == ["2026-07-01T10:00:00+00:00", "2026-07-01"]


def test_trigger_rule_is_checked_and_normalized_like_rules_of_graphs():
    rule = {"field": "due", "op": "lt", "value": "2026-07-01T12:00+02:00"}
    workflow = WorkflowFactory(trigger="changed", trigger_data={"rule": rule})
    stored = Workflow.objects.get(pk=workflow.pk).trigger_data["rule"]
    assert stored["value"] == "2026-07-01T10:00:00+00:00"
    api = client_of(superuser=True)
    bad = {"rule": {**rule, "value": "today"}}
    answer = api.edit(f"workflows/{workflow.cuid}/", trigger_data=bad)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/trigger_data/rule/value"


def test_stored_graph_with_an_older_literal_still_runs():
    workflow = WorkflowFactory()
    rule = {"field": "x", "op": "lt", "value": "today"}
    source = branching(rule, field_of_type("datetime"))
    with pytest.raises(WorkflowValidationError):
        editing.save_graph(workflow, source, based_on=1)
    source["nodes"].append({"id": "n", "type": "set_field", "data": {"values": {"n": 2**53 + 1}}})
    source["edges"][0]["target"] = "n"
    source["edges"].append({"source": "n", "target": "form"})
    version = Version.objects.get(workflow=workflow)
    Version._base_manager.filter(pk=version.pk)._raw_delete("default")
    Version(
        workflow=workflow, number=1, source=source, entity_name_type=workflow.entity_name_type
    ).save(force_insert=True)
    execution = running.start(workflow, FindingFactory(entity_name_type=workflow.entity_name_type))
    running.submit(execution, data={"x": "2026-01-01T00:00Z"})
    execution.refresh_from_db()
    assert execution.status == "completed"


def test_refusal_of_fields_gives_the_reason():
    finding = FindingFactory()
    finding.fields = {"note": "\x00"}
    with pytest.raises(guards.InvalidFields) as refused:
        finding.save()
    [problem] = refused.value.problems
    assert problem.detail in str(refused.value)


# Numbers

INEXACT = ["9007199254740993", "-9007199254740993", "12345678901234567890"]
INEXACT += ["0.1234567890123456789", "1.00000000000000001", "123456789012345678e-3", "1e-400"]
EXACT = [
    "9007199254740992",
    "1e300",
    "0.1",
    "1.50",
    "-0.30000000000000004",
    "1000000000000000000000",
]


@pytest.mark.both_databases
@pytest.mark.parametrize("number", INEXACT)
def test_number_is_refused_when_it_would_be_rounded(number):
    api = client_of(superuser=True)
    kind = FindingTypeFactory()
    entity = f'{{"title": "F", "entity_name_type": "{kind.cuid}", "fields": {{"n": {number}}}}}'
    json_type: Any = {"content_type": "application/json"}
    answer = api.post("findings/", entity, **json_type)
    assert answer.status_code == 400 and "more digits" in answer.json()["detail"]
    execution = started(form("form", {"name": "x", "type": "number"}))
    path = f"executions/{execution.cuid}/submit/"
    for given in (number, f'"{number}"'):
        answer = api.post(path, f'{{"node": "form", "data": {{"x": {given}}}}}', **json_type)
        assert answer.status_code == 400 and "more digits" in answer.json()["detail"]
    workflow = WorkflowFactory()
    graph = json.dumps(line({"id": "s", "type": "set_field", "data": {"values": {"n": "N"}}}))
    graph = graph.replace('"N"', number)
    answer = api.post(f"workflows/{workflow.cuid}/1/", graph, **json_type)
    assert answer.status_code == 400 and "more digits" in answer.json()["detail"]


@pytest.mark.both_databases
@pytest.mark.parametrize("number", EXACT)
def test_stored_number_is_returned_exactly(number):
    api = client_of(superuser=True)
    kind = FindingTypeFactory()
    entity = f'{{"title": "F", "entity_name_type": "{kind.cuid}", "fields": {{"n": {number}}}}}'
    answer = api.post("findings/", entity, content_type="application/json")
    assert answer.status_code == 201
    found = api.get(f"findings/{answer.json()['cuid']}/").json()["fields"]["n"]
    assert float(found) == float(number), "PostgreSQL spells 1e300 in full"
    # PostgreSQL returns the number without an exponent.
    again = api.edit(f"findings/{answer.json()['cuid']}/", title="G", fields={"n": found})
    assert again.status_code == 200


def test_entity_with_an_older_inexact_number_can_be_edited():
    finding = FindingFactory(fields={"a": 1})
    Entity._base_manager.filter(pk=finding.pk).update(fields={"a": 2**53 + 1})
    row = Finding.objects.get(pk=finding.pk)
    row.title = "edited"
    row.fields = {**row.fields, "b": 1}
    row.full_clean()
    row.save()
    assert Finding.objects.get(pk=finding.pk).fields == {"a": 2**53 + 1, "b": 1}


@pytest.mark.parametrize("number", INEXACT)
def test_inexact_number_is_refused_in_deliveries_answers_and_files(number):
    text = f'{{"n": {number}}}'
    with pytest.raises(InvalidDelivery, match="more digits"):
        parse_body(text.encode())
    answer = Answer(200, {"content-type": "application/json"}, text.encode())
    with pytest.raises(GiveUp, match="more digits"):
        _value(answer, answer.text())
    for raw in (text, f"n: {number}"):
        assert any("digits" in detail for detail in flaws_of_file(raw.encode()))


def flaws_of_file(raw: bytes) -> list[str]:
    try:
        found, _ = text_formats.parse(raw)
    except InvalidFile as refusal:
        return [str(refusal)]
    return [detail for _, detail in find_unstorable(found)]
