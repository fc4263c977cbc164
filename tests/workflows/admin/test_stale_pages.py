"""Pages of the admin write only changed fields and refuse stale values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from executions import services as running
from executions.models import Finding, Secret, Subscription
from tests.conftest import Scenario
from tests.executions.receivers import create_webhook
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    InventoryModelFactory,
    RecordTypeFactory,
    UserFactory,
    WorkflowFactory,
    save_line,
)
from tests.workflows.admin.forms import form_of
from tests.workflows.admin.staff import VIEW, list_messages, page, staff, text
from workflows import guards
from workflows.admin.base.forms import READ
from workflows.editing import set_state
from workflows.guards import Stale
from workflows.models import AuditEntry, FindingType, SavedFilter, Workflow

pytestmark = pytest.mark.django_db

STALE = str(Stale.message)


def opened(client: Client, row: Any) -> dict[str, Any]:
    """Return the values that the unchanged form of a row submits."""
    return sent_by(client.get(page(row)))


def sent_by(response: Any) -> dict[str, Any]:
    """Return the values that the unchanged form of a page submits."""
    return form_of(response, having=READ)


def errors(response: Any) -> dict[str, str]:
    """Return the errors of the returned form, by field."""
    assert response.status_code == 200
    found = response.context["adminform"].form.errors
    return {name: " ".join(str(found[name]).split()) for name in found}


def test_page_keeps_field_written_by_execution(admin_client: Client, scenario: Scenario) -> None:
    finding = scenario.finding
    Finding.objects.filter(pk=finding.pk).update(fields={"owner": "ann"})
    sent = opened(admin_client, finding)
    decided = {"id": "x", "type": "set_field", "data": {"values": {"decision": "accepted"}}}
    save_line(scenario.callee, decided)
    running.start(scenario.callee, finding)
    sent["title"] = "Renamed"
    assert admin_client.post(page(finding), sent).status_code == 302
    finding.refresh_from_db()
    assert (finding.title, finding.fields) == ("Renamed", {"owner": "ann", "decision": "accepted"})


@pytest.mark.parametrize(
    ("read", "typed", "now", "stored"),
    [
        ({"a": 1}, {"a": 2}, {"a": 1, "b": 1}, {"a": 2, "b": 1}),
        ({"a": 1, "b": 1}, {"b": 1}, {"a": 1, "b": 2}, {"b": 2}),
        ({"a": 1}, {"a": 1, "c": 3}, {"a": 5}, {"a": 5, "c": 3}),
        ({"a": 1}, {"a": 2}, {"a": 2}, {"a": 2}),
        ({"a": 1}, {}, {}, {}),
        ({"a": True}, {"a": True, "b": 1}, {"a": 1}, {"a": 1, "b": 1}),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, {"a": {"b": 2}}, {"a": {"b": 2}}),
    ],
)
def test_fields_of_an_entity_are_merged_by_name(
    admin_client: Client, read: Any, typed: Any, now: Any, stored: Any
) -> None:
    for row in (FindingFactory(), InventoryModelFactory()):
        type(row).objects.filter(pk=row.pk).update(fields=read)
        sent = opened(admin_client, row)
        type(row).objects.filter(pk=row.pk).update(fields=now)
        answer = admin_client.post(page(row), {**sent, "fields": json.dumps(typed)})
        assert answer.status_code == 302
        row.refresh_from_db()
        assert repr(row.fields) == repr(stored)


@pytest.mark.parametrize(
    ("typed", "now", "expected"),
    [
        ({"a": 2, "b": 9}, {"a": 3, "c": 1}, "a: now 3, your value 2."),
        ({"b": 9}, {"a": 3, "c": 1}, "a: now 3, your value empty."),
        ({"a": 2, "b": 9}, {"c": 1}, "a: now empty, your value 2."),
    ],
)
def test_conflicting_entity_field_is_written_by_next_save(
    admin_client: Client, typed: dict[str, Any], now: dict[str, Any], expected: str
) -> None:
    row = FindingFactory(fields={"a": 1})
    sent = {**opened(admin_client, row), "fields": json.dumps(typed), "title": "Typed"}
    Finding.objects.filter(pk=row.pk).update(fields=now)
    answer = admin_client.post(page(row), sent)
    assert expected in errors(answer)["fields"] and STALE in errors(answer)["fields"]
    row.refresh_from_db()
    assert (row.title, row.fields) != ("Typed", typed)
    again = sent_by(answer)
    assert (json.loads(again["fields"]), again["title"]) == (typed, "Typed")
    # Meanwhile, an execution writes another field.
    Finding.objects.filter(pk=row.pk).update(fields={**now, "d": 4})
    assert admin_client.post(page(row), again).status_code == 302
    row.refresh_from_db()
    assert (row.title, row.fields) == ("Typed", {"c": 1, "d": 4, **typed})
    entry = AuditEntry.objects.get(refused=True)
    assert (entry.code, entry.cuid) == ("stale", row.cuid)
    assert (entry.before, entry.after) == ({"fields": now}, {"fields": typed})


def test_stale_page_keeps_retired_state(admin_client: Client) -> None:
    workflow = WorkflowFactory(state="active", description="one\ntwo")
    sent = opened(admin_client, workflow)
    Workflow.objects.get(pk=workflow.pk)
    row = Workflow.objects.get(pk=workflow.pk)
    row.state = "retired"
    row.save()
    sent |= {"title": "Renamed", "description": "one\r\ntwo"}
    assert admin_client.post(page(workflow), sent).status_code == 302
    workflow.refresh_from_db()
    assert (workflow.title, workflow.state) == ("Renamed", "retired")
    entry = AuditEntry.objects.filter(cuid=workflow.cuid).first()
    assert (entry.before, entry.after) == ({"title": row.title}, {"title": "Renamed"})


def test_conflicting_state_shows_both_values(admin_client: Client) -> None:
    workflow = WorkflowFactory(state="active")
    sent = {**opened(admin_client, workflow), "state": "draft", "title": "Typed"}
    Workflow.objects.get(pk=workflow.pk)
    row = Workflow.objects.get(pk=workflow.pk)
    row.state = "retired"
    row.save()
    answer = admin_client.post(page(workflow), sent)
    assert "State: now “Retired”, your value “Draft”." in errors(answer)["state"]
    assert 'data-code="stale"' in errors(answer)["state"]
    again = sent_by(answer)
    assert (again["state"], again["title"]) == ("draft", "Typed")
    assert admin_client.post(page(workflow), again).status_code == 302
    workflow.refresh_from_db()
    assert (workflow.state, workflow.title) == ("draft", "Typed")


def test_value_changed_again_is_stale_again(admin_client: Client) -> None:
    row = FindingTypeFactory(name="A")
    sent = {**opened(admin_client, row), "name": "Mine"}
    FindingType.objects.filter(pk=row.pk).update(name="B")
    answer = admin_client.post(page(row), sent)
    assert "Name: now “B”, your value “Mine”." in errors(answer)["name"]
    FindingType.objects.filter(pk=row.pk).update(name="C")
    answer = admin_client.post(page(row), sent_by(answer))
    assert "Name: now “C”, your value “Mine”." in errors(answer)["name"]
    assert admin_client.post(page(row), sent_by(answer)).status_code == 302
    row.refresh_from_db()
    assert row.name == "Mine"


def test_conflict_is_reported_beside_error_in_other_field(admin_client: Client) -> None:
    row = FindingFactory(title="A")
    sent = {**opened(admin_client, row), "title": "Mine", "fields": "[1]"}
    Finding.objects.filter(pk=row.pk).update(title="B")
    answer = admin_client.post(page(row), sent)
    assert set(errors(answer)) == {"title", "fields"}
    again = {**sent_by(answer), "fields": "{}"}
    assert admin_client.post(page(row), again).status_code == 302


def test_type_page_writes_changed_fields(admin_client: Client) -> None:
    for row in (FindingTypeFactory(), RecordTypeFactory()):
        sent = {**opened(admin_client, row), "description": "Typed"}
        type(row).objects.filter(pk=row.pk).update(name="Meanwhile")
        assert admin_client.post(page(row), sent).status_code == 302
        row.refresh_from_db()
        assert (row.name, row.description) == ("Meanwhile", "Typed")
        row.delete()


def test_conflicting_entity_type_is_named(admin_client: Client) -> None:
    mine, theirs = FindingTypeFactory(name="Mine"), FindingTypeFactory(name="Theirs")
    row = FindingFactory()
    sent = {**opened(admin_client, row), "entity_name_type": mine.pk}
    Finding.objects.filter(pk=row.pk).update(entity_name_type=theirs)
    html = errors(admin_client.post(page(row), sent))["entity_name_type"]
    assert "now “Theirs”, your value “Mine”." in html


def test_webhook_page_writes_changed_fields(admin_client: Client, settings: Any) -> None:
    settings.HTTP_REQUEST_HOSTS = ["hooks.example"]
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    row, _ = create_webhook("https://hooks.example/one")
    Subscription.objects.filter(pk=row.pk).update(given_up_in_a_row=3)
    sent = {**opened(admin_client, row), "description": "Typed"}
    events = ["execution.completed", "execution.failed"]
    Subscription.objects.filter(pk=row.pk).update(state="disabled", events=events)
    assert admin_client.post(page(row), sent).status_code == 302
    row.refresh_from_db()
    assert (row.description, row.state, row.events) == ("Typed", "disabled", events)
    assert row.given_up_in_a_row == 3
    sent = {**opened(admin_client, row), "events": ["execution.started"]}
    Subscription.objects.filter(pk=row.pk).update(events=["execution.failed"])
    assert STALE in errors(admin_client.post(page(row), sent))["events"]


def test_secret_value_set_in_two_tabs_is_stale(admin_client: Client, settings: Any) -> None:
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    row = Secret(name="KEY")
    row.set_value("first-value")
    row.save()
    sent = {**opened(admin_client, row), "value": "second-value"}
    other = {**sent, "value": "third-value"}
    assert admin_client.post(page(row), other).status_code == 302
    answer = admin_client.post(page(row), sent)
    assert STALE in errors(answer)["value"]
    for value in ("first-value", "second-value", "third-value"):
        assert value not in answer.content.decode()
    assert Secret.value_of("KEY") == "third-value"
    again = {**sent_by(answer), "value": "second-value"}
    assert admin_client.post(page(row), again).status_code == 302
    assert Secret.value_of("KEY") == "second-value"


def test_secret_rename_keeps_newer_value(admin_client: Client, settings: Any) -> None:
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    row = Secret(name="KEY")
    row.set_value("first-value")
    row.save()
    sent = {**opened(admin_client, row), "name": "OTHER"}
    stored = Secret.objects.get(pk=row.pk)
    stored.set_value("second-value")
    stored.save()
    assert admin_client.post(page(row), sent).status_code == 302
    assert Secret.value_of("OTHER") == "second-value"


def test_saved_filter_page_writes_changed_fields(admin_client: Client, admin_user: Any) -> None:
    row = SavedFilter.objects.create(user=admin_user, list="workflows.workflow", name="Mine")
    sent = {**opened(admin_client, row), "name": "Renamed"}
    SavedFilter.objects.filter(pk=row.pk).update(shared=True)
    assert admin_client.post(page(row), sent).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.shared) == ("Renamed", True)
    sent = {**opened(admin_client, row), "name": "Mine"}
    SavedFilter.objects.filter(pk=row.pk).update(name="Theirs")
    assert STALE in errors(admin_client.post(page(row), sent))["name"]


def test_user_page_writes_changed_fields_and_hides_password(admin_client: Client) -> None:
    user = UserFactory(username="bea", is_staff=True)
    user.set_password("correct-horse-9")
    user.save()
    sent = {**opened(admin_client, user), "first_name": "Bea"}
    assert "password" not in sent["_read"] and user.password not in sent["_read"]
    group = Group.objects.create(name="Meanwhile")
    user.groups.add(group)
    User.objects.filter(pk=user.pk).update(is_staff=False)
    assert admin_client.post(page(user), sent).status_code == 302
    user.refresh_from_db()
    assert (user.first_name, user.is_staff) == ("Bea", False)
    assert list(user.groups.all()) == [group]
    assert user.check_password("correct-horse-9")
    sent = {**opened(admin_client, user), "groups": []}
    user.groups.set([Group.objects.create(name="Other")])
    answer = admin_client.post(page(user), sent)
    assert "now “Other”, your value empty." in errors(answer)["groups"]


def test_group_page_writes_changed_fields(admin_client: Client) -> None:
    group = Group.objects.create(name="A")
    sent = {**opened(admin_client, group), "name": "Renamed"}
    permission = Permission.objects.get(codename="view_workflow")
    group.permissions.add(permission)
    assert admin_client.post(page(group), sent).status_code == 302
    group.refresh_from_db()
    assert group.name == "Renamed"
    assert list(group.permissions.all()) == [permission]


def test_unchanged_page_writes_nothing(admin_client: Client, settings: Any) -> None:
    settings.HTTP_REQUEST_HOSTS = ["hooks.example"]
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    webhook, _ = create_webhook("https://hooks.example/one")
    rows = [
        FindingFactory(fields={"a": [1, None], "b": 1.0}),
        InventoryModelFactory(),
        WorkflowFactory(title=" spaced ", description="one\n\ntwo"),
        FindingTypeFactory(),
        webhook,
    ]
    for row in rows:
        before = type(row)._default_manager.filter(pk=row.pk).values().get()
        number = AuditEntry.objects.count()
        answer = admin_client.post(page(row), opened(admin_client, row))
        assert answer.status_code == 302, errors(answer)
        assert type(row)._default_manager.filter(pk=row.pk).values().get() == before
        assert AuditEntry.objects.count() == number


def test_damaged_page_is_refused(admin_client: Client) -> None:
    row = FindingFactory()
    sent = {**opened(admin_client, row), "title": "Typed", "_read": "{"}
    answer = admin_client.post(page(row), sent)
    assert "The form data is incomplete. Reload the page and try again." in text(answer)
    row.refresh_from_db()
    assert row.title != "Typed"


@pytest.mark.parametrize("name", ["no_field", "entity_name_type"])
def test_refusal_without_field_appears_above_form(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def clean(self: Workflow) -> None:
        raise ValidationError({name: guards.Refusal("Not now.")})

    monkeypatch.setattr(Workflow, "clean", clean)
    # Without the permission, the form has no type field.
    client = staff(*VIEW, "workflows.change_workflow")
    sent = {**opened(client, scenario.caller), "title": "Typed"}
    html = errors(client.post(page(scenario.caller), sent))
    assert list(html) == ["__all__"] and "Not now." in html["__all__"]


def test_trigger_refusal_without_pointer_appears_above_form(
    admin_client: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(edit: Any) -> None:
        raise guards.Refusal("Not now.")

    monkeypatch.setattr(guards, "refuse_trigger", refuse)
    sent = {**opened(admin_client, scenario.caller), "trigger": "created"}
    html = errors(admin_client.post(page(scenario.caller), sent))
    assert list(html) == ["__all__"] and "Not now." in html["__all__"]


def test_action_on_stale_list_keeps_retired_state(
    admin_client: Client,
) -> None:
    workflow, other = WorkflowFactory(state="draft"), WorkflowFactory(state="draft")
    address = reverse("admin:workflows_workflow_changelist")
    sent = {
        **form_of(admin_client.get(address), having="_once"),
        "action": "activate",
        "_selected_action": [workflow.pk, other.pk],
    }
    set_state(workflow, "retired")
    answer = admin_client.post(address, sent)
    refused = next(message for message in list_messages(answer) if "data-code" in message)
    assert 'data-code="stale"' in refused
    assert "State: now “Retired”, on your page “Draft”." in refused
    workflow.refresh_from_db()
    other.refresh_from_db()
    assert (workflow.state, other.state) == ("retired", "active")
    again = {**form_of(admin_client.get(address), having="_once"), "action": "activate"}
    admin_client.post(address, {**again, "_selected_action": [workflow.pk]})
    workflow.refresh_from_db()
    assert workflow.state == "active"
