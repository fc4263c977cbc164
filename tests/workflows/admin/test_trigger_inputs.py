"""The settings of a trigger as inputs on the page of a workflow."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from executions.models import Secret
from tests.factories import FindingFactory, WorkflowFactory
from tests.workflows.admin.staff import page, statements, text
from workflows.models import AuditEntry, Workflow

pytestmark = pytest.mark.django_db

RULE = {"field": "severity", "op": "gte", "value": 3}


def inputs_of(response: Any) -> dict[str, str]:
    """Return what a browser sends for the form of the page, unchanged."""
    html = re.sub(r"<template>.*?</template>", "", text(response))
    (form,) = re.findall(r'<form [^>]*id="workflow_form".*?</form>', html)
    sent = {}
    for tag, name in re.findall(r'(<input [^>]*name="([^"]+)"[^>]*>)', form):
        value = re.search(r'value="([^"]*)"', tag)
        if "checkbox" not in tag and "radio" not in tag:
            sent[name] = unescape(value[1]) if value else ""
    for name, inner in re.findall(r'<textarea [^>]*name="([^"]+)"[^>]*>(.*?)</textarea>', form):
        sent[name] = unescape(inner).strip()
    for name, inner in re.findall(r'<select [^>]*name="([^"]+)"[^>]*>(.*?)</select>', form):
        chosen = re.search(r'<option value="([^"]*)" selected', inner)
        sent[name] = unescape(chosen[1]) if chosen else ""
    return sent


def edit(client: Client, workflow: Workflow, **changed: str) -> Any:
    """Send the form of a workflow with these settings of its trigger."""
    names = {
        f"trigger_data-{name.replace('__', '/').replace('_at_', '#')}": value
        for name, value in changed.items()
        if name != "trigger"
    }
    names |= {name: value for name, value in changed.items() if name == "trigger"}
    return client.post(page(workflow), {**inputs_of(client.get(page(workflow))), **names})


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({"trigger": "manual", "webhook__secret": "HOOK"}, {}),
        ({"trigger": "webhook", "webhook__secret": "HOOK"}, {"secret": "HOOK"}),
        ({"trigger": "changed", "changed__fields__0": "severity"}, {"fields": ["severity"]}),
        (
            {
                "trigger": "changed",
                "changed__rule__0__field": "severity",
                "changed__rule__0__op": "gte",
                "changed__rule__0__value": "3",
            },
            {"rule": RULE},
        ),
        (
            {
                "trigger": "schedule",
                "schedule__every": "3",
                "schedule__every_at_unit": "M",
                "schedule__from_field": "validated_on",
            },
            {"every": "P3M", "from_field": "validated_on"},
        ),
        ({"trigger": "schedule", "schedule__cron": "0 9 1 * *"}, {"cron": "0 9 1 * *"}),
    ],
)
def test_inputs_of_the_chosen_trigger_are_saved(
    admin_client: Client, sent: dict[str, str], stored: dict[str, Any]
) -> None:
    Secret.objects.create(name="HOOK")
    workflow = WorkflowFactory(trigger="created")
    assert edit(admin_client, workflow, **sent).status_code == 302
    workflow.refresh_from_db()
    assert (workflow.trigger, workflow.trigger_data) == (sent["trigger"], stored)


@pytest.mark.parametrize(
    ("trigger", "data"),
    [
        ("changed", {"rule": {"all": [RULE]}, "fields": ["a", "b"]}),
        ("changed", {"rule": {"not": RULE}}),
        ("schedule", {"every": "P1DT12H", "from_field": "validated_on"}),
    ],
)
def test_unchanged_form_writes_nothing(
    admin_client: Client, trigger: str, data: dict[str, Any]
) -> None:
    workflow = WorkflowFactory(trigger=trigger, trigger_data=data)
    entries = AuditEntry.objects.count()
    assert edit(admin_client, workflow).status_code == 302
    workflow.refresh_from_db()
    assert workflow.trigger_data == data
    assert AuditEntry.objects.count() == entries


def test_row_button_returns_the_page_and_writes_nothing(admin_client: Client) -> None:
    workflow = WorkflowFactory(trigger="changed", trigger_data={"fields": ["a"]})
    sent = inputs_of(admin_client.get(page(workflow)))
    # Someone else saves meanwhile: the page must not take this value for the one that it showed.
    Workflow._base_manager.filter(pk=workflow.pk).update(title="Theirs")
    sent |= {"title": "Typed", "trigger_data-changed/fields/0": "typed", "_save": "Save"}
    response = admin_client.post(page(workflow), {**sent, "row": "add trigger_data-changed/fields"})
    assert response.status_code == 200
    again = inputs_of(response)
    assert again["title"] == "Typed"
    assert again["trigger_data-changed/fields/0"] == "typed"
    assert again["trigger_data-changed/fields/1"] == ""
    assert json.loads(again["_read"]) == json.loads(sent["_read"])
    workflow.refresh_from_db()
    assert (workflow.title, workflow.trigger_data) == ("Theirs", {"fields": ["a"]})
    again["trigger_data-changed/fields/1"] = "b"
    assert "Theirs" in str(admin_client.post(page(workflow), again).context["errors"])


def test_settings_that_no_input_can_hold_are_edited_as_json(admin_client: Client) -> None:
    workflow = WorkflowFactory(trigger="changed", trigger_data={"rule": {"not": RULE}})
    name = "trigger_data-changed/rule#json"
    assert json.loads(inputs_of(admin_client.get(page(workflow)))[name]) == {"not": RULE}
    response = edit(admin_client, workflow, changed__rule_at_json="{not")
    (problem,) = re.findall(r'id="problem-[^"]*rule-1">(.*?)</p>', text(response))
    assert "is not valid JSON" in problem and text(response).count("not valid JSON") == 1
    assert inputs_of(response)[name] == "{not"


@pytest.mark.parametrize(
    ("sent", "name", "said"),
    [
        ({"trigger": "webhook", "webhook__secret": "GONE"}, "webhook/secret", "no secret"),
        ({"trigger": "webhook"}, "webhook/secret", "must be the name of the signing secret"),
        ({"trigger": "schedule", "schedule__cron": "soon"}, "schedule/cron", "soon"),
        ({"trigger": "schedule"}, "schedule/cron", "A schedule needs"),
        (
            {"trigger": "schedule", "schedule__every": "3 moons", "schedule__from_field": "at"},
            "schedule/every",
            "must be a duration",
        ),
        (
            {
                "trigger": "changed",
                "changed__fields_at_rows": "3",
                "changed__fields__0": "",
                "changed__fields__1": "a",
                "changed__rule_at_rows": "3",
                "changed__rule__0__field": "",
                "changed__rule__1__field": "b",
                "changed__rule__1__op": "eq",
                "changed__rule__1__value": "3",
                "changed__rule__2__field": "c",
                "changed__rule__2__op": "in",
                "changed__rule__2__value": "3",
            },
            "changed/rule/2/value",
            "list",
        ),
    ],
)
def test_problem_of_a_setting_is_beside_its_input(
    admin_client: Client, sent: dict[str, str], name: str, said: str
) -> None:
    workflow = WorkflowFactory()
    response = edit(admin_client, workflow, **sent)
    html = text(response)
    name = f"trigger_data-{name}"
    assert list(response.context["adminform"].form.errors) == ["trigger_data"]
    (problem,) = re.findall(rf'id="problem-{name}-1">(.*?)</p>', html)
    assert said in unescape(problem)
    assert re.search(
        rf'name="{name}" aria-describedby="problem-{name}-1 [^"]*" aria-invalid="true"', html
    )
    # Only a problem with a remedy is above the inputs as well.
    assert html.count(problem) == 1 + ("What you can do" in html)
    again = inputs_of(response)
    for key, value in sent.items():
        if key != "trigger":
            assert again["trigger_data-" + key.replace("__", "/").replace("_at_", "#")] == value


def test_settings_that_are_no_object_are_edited_as_text(admin_client: Client) -> None:
    workflow = WorkflowFactory(trigger="changed")
    Workflow._base_manager.update(trigger_data=[1])
    assert json.loads(inputs_of(admin_client.get(page(workflow)))["trigger_data"]) == [1]


@pytest.mark.parametrize("number", [1, 20])
def test_query_count_of_the_page_does_not_depend_on_rows_and_offers(
    admin_client: Client, number: int
) -> None:
    fields = [f"field_{index}" for index in range(number)]
    workflow = WorkflowFactory(trigger="changed", trigger_data={"fields": fields})
    for name in fields:
        Secret.objects.create(name=name)
        FindingFactory(entity_name_type=workflow.entity_name_type, fields={name: 1})
    assert statements(lambda: admin_client.get(page(workflow))) <= 28
