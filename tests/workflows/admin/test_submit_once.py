"""Forms that are submitted twice run their action once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from executions import services as running
from executions.models import BulkOperation, Execution, Finding, OutgoingDelivery, Subscription
from executions.webhooks import subscriptions
from tests.conftest import Scenario
from tests.executions.receivers import create_webhook
from tests.executions.test_decisions import approval_graph
from tests.factories import FindingFactory, FindingTypeFactory, UserFactory, form, save_line, voter
from tests.workflows.admin.forms import form_of
from tests.workflows.admin.staff import act, list_messages, page, text
from workflows import editing
from workflows.admin.base.submit_once import ALREADY_DONE, FIELD
from workflows.models import (
    AuditEntry,
    FindingType,
    SavedFilter,
    StoredAnswer,
    Version,
    Workflow,
)

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def twice(client: Client, address: str, sent: dict[str, Any], *, at: str = "") -> list[Any]:
    """Open a page and submit its form twice. Return both responses."""
    opened = client.get(at or address)
    whole = {**form_of(opened, address if at else "", having=FIELD), **sent}
    return [client.post(address, whole) for _ in range(2)]


def assert_answered_alike(first: Any, second: Any) -> None:
    assert first.status_code == second.status_code == 302
    assert first["Location"] == second["Location"]
    assert list_messages(second)[-1] == str(ALREADY_DONE)


def test_start_page_submitted_twice_starts_one_execution(
    admin_client: Client, scenario: Scenario
) -> None:
    address = reverse("admin:executions_execution_start", args=[scenario.caller.pk])
    assert_answered_alike(*twice(admin_client, address, {"entity": scenario.finding.pk}))
    assert Execution.objects.count() == 1


def test_reopened_start_page_starts_another_execution(
    admin_client: Client, scenario: Scenario
) -> None:
    address = reverse("admin:executions_execution_start", args=[scenario.caller.pk])
    for _ in range(2):
        sent = form_of(admin_client.get(address), having=FIELD)
        admin_client.post(address, {**sent, "entity": scenario.finding.pk})
    assert Execution.objects.count() == 2


def test_refused_start_can_be_submitted_again(admin_client: Client, scenario: Scenario) -> None:
    address = reverse("admin:executions_execution_start", args=[scenario.caller.pk])
    sent = form_of(admin_client.get(address), having=FIELD)
    assert "Choose an entity." in text(admin_client.post(address, sent))
    sent["entity"] = str(scenario.finding.pk)
    assert admin_client.post(address, sent).status_code == 302
    assert Execution.objects.count() == 1


def test_start_page_submitted_with_other_entity_asks_first(
    admin_client: Client, scenario: Scenario
) -> None:
    other = FindingFactory(entity_name_type=scenario.limitation)
    address = reverse("admin:executions_execution_start", args=[scenario.caller.pk])
    sent = form_of(admin_client.get(address), having=FIELD)
    admin_client.post(address, {**sent, "entity": scenario.finding.pk})
    question = admin_client.post(address, {**sent, "entity": other.pk})
    assert question.status_code == 409
    assert "This form was already submitted" in text(question)
    assert Execution.objects.count() == 1
    again = form_of(question, address)
    assert again["entity"] == str(other.pk)
    assert admin_client.post(address, again).status_code == 302
    assert Execution.objects.filter(entity=other).count() == 1


def test_add_page_submitted_twice_creates_one_row(admin_client: Client) -> None:
    kind = FindingTypeFactory()
    finding = {"title": "F", "entity_name_type": kind.pk, "inventory_model": "", "fields": "{}"}
    workflow = {
        "title": "W",
        "state": "draft",
        "entity_name": "Finding",
        "entity_name_type": kind.pk,
        "trigger": "manual",
        "trigger_data": "{}",
    }
    passwords = dict.fromkeys(("password1", "password2"), "correct-horse-9")
    for model, sent in (
        (Finding, finding),
        (Workflow, workflow),
        (FindingType, {"name": "Once"}),
        (Group, {"name": "Once"}),
        (User, {"username": "once", "usable_password": "true", **passwords}),
    ):
        before = model._default_manager.count()
        options = model._meta
        address = reverse(f"admin:{options.app_label}_{options.model_name}_add")
        assert_answered_alike(*twice(admin_client, address, sent))
        assert model._default_manager.count() == before + 1, model


def test_popup_submitted_twice_creates_one_row(admin_client: Client) -> None:
    address = f"{reverse('admin:workflows_findingtype_add')}?_popup=1"
    first, second = twice(admin_client, address, {"name": "Once"})
    row = FindingType.objects.get()
    assert first.status_code == 200 and "popup_response" in text(first)
    assert second["Location"] == page(row)


def test_edit_step_submitted_twice_runs_once(admin_client: Client, scenario: Scenario) -> None:
    address = page(scenario.callee, "edit")
    opened = form_of(admin_client.get(f"{address}?node=start"), having="add-exit")
    for _ in range(2):
        answer = admin_client.post(address, {**opened, "add": "user_action"})
    assert list_messages(answer)[-1] == str(ALREADY_DONE)
    draft = editing.open_draft(scenario.callee, admin_client.get(address).wsgi_request.user)
    assert [node["type"] for node in draft.source["nodes"]].count("user_action") == 1


def test_saved_filter_submitted_twice_is_saved_once(admin_client: Client) -> None:
    address = (
        f"{reverse('admin:workflows_savedfilter_add')}?list=workflows.workflow&query=state%3Ddraft"
    )
    assert_answered_alike(*twice(admin_client, address, {"name": "Mine"}))
    assert SavedFilter.objects.count() == 1


def test_step_form_submitted_twice_is_accepted_once(
    admin_client: Client, scenario: Scenario
) -> None:
    execution = scenario.start()
    step = execution.steps.get(state="open")
    address = reverse("admin:executions_execution_submit", args=[execution.pk, step.cuid])
    sent = {f"{step.cuid}-note": "n"}
    assert_answered_alike(*twice(admin_client, address, sent, at=page(execution)))


def test_vote_submitted_twice_is_counted_once(
    admin_client: Client, admin_user: Any, scenario: Scenario
) -> None:
    names = [admin_user.username, voter("bea").username]
    editing.save_graph(scenario.callee, approval_graph(users=names, needed=2), based_on=1)
    execution = running.start(scenario.callee, scenario.finding)
    step = execution.steps.get(state="open")
    address = reverse(
        "admin:executions_execution_decide", args=[execution.pk, step.cuid, "approve"]
    )
    assert_answered_alike(*twice(admin_client, address, {"note": "yes"}, at=page(execution)))
    assert step.votes.count() == 1


@pytest.mark.parametrize("name", ["cancel", "restart"])
def test_cancel_or_restart_submitted_twice_runs_once(
    admin_client: Client, scenario: Scenario, name: str
) -> None:
    execution = scenario.start()
    assert_answered_alike(*twice(admin_client, page(execution, name), {"why": "w"}))
    assert Execution.objects.count() == (2 if name == "restart" else 1)


def test_bulk_operation_requested_twice_is_created_once(
    admin_client: Client, scenario: Scenario
) -> None:
    execution = scenario.start()
    address = reverse("admin:executions_execution_changelist")
    sent = {"action": "cancel_selected", "_selected_action": [execution.pk]}
    first, second = twice(admin_client, address, sent)
    assert_answered_alike(first, second)
    assert BulkOperation.objects.count() == 1
    begin = page(BulkOperation.objects.get(), "begin")
    admin_client.post(begin, {"why": "w"})
    assert (
        list_messages(admin_client.post(begin, {"why": "w"}))[-1]
        == "The operation was already confirmed."
    )
    assert AuditEntry.objects.filter(action="cancelled").count() == 1


def test_graph_submitted_twice_is_saved_once(admin_client: Client, scenario: Scenario) -> None:
    scenario.start()
    address = page(scenario.caller, "graph")
    opened = admin_client.get(address)
    source = opened.context["form"]["source"].value()
    number = Version.objects.count()
    assert_answered_alike(*twice(admin_client, address, {"source": source, "notes": "again"}))
    assert Version.objects.count() == number + 1


def test_withdrawal_submitted_twice_runs_once(admin_client: Client, pending: Any) -> None:
    assert_answered_alike(*twice(admin_client, page(pending, "withdraw"), {}))


def test_webhook_secret_appears_to_first_request_only(admin_client: Client, settings: Any) -> None:
    settings.HTTP_REQUEST_HOSTS = ["hooks.example"]
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    sent = {"url": "https://hooks.example/x", "events": ["execution.completed"], "state": "active"}
    first, second = twice(admin_client, reverse("admin:executions_subscription_add"), sent)
    row = Subscription.objects.get()
    assert first.status_code == 200 and "whsec_" in text(first)
    assert (second.status_code, second["Location"]) == (302, page(row))
    assert not StoredAnswer.objects.filter(body__contains="whsec_").exists()
    first, second = twice(admin_client, page(row, "rotate"), {})
    assert "whsec_" in text(first)
    assert second["Location"] == page(row)
    assert row.secrets.count() == 2


def test_webhook_test_submitted_twice_is_sent_once(admin_client: Client, settings: Any) -> None:
    settings.HTTP_REQUEST_HOSTS = ["hooks.example"]
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    row, _ = create_webhook("https://hooks.example/one")
    assert_answered_alike(*twice(admin_client, page(row, "test"), {}, at=page(row)))
    assert OutgoingDelivery.objects.count() == 1


def test_form_token_belongs_to_one_user(admin_client: Client, scenario: Scenario) -> None:
    address = reverse("admin:executions_execution_start", args=[scenario.caller.pk])
    sent = form_of(admin_client.get(address), having=FIELD)
    sent["entity"] = str(scenario.finding.pk)
    other = Client()
    other.force_login(UserFactory(is_staff=True, is_superuser=True))
    for client in (admin_client, other):
        assert client.post(address, sent).status_code == 302
    assert Execution.objects.count() == 2


def test_list_action_without_token_runs(admin_client: Client, scenario: Scenario) -> None:
    running.cancel(scenario.start())
    act(admin_client, "retire", scenario.caller)
    scenario.caller.refresh_from_db()
    assert scenario.caller.state == "retired"


@pytest.mark.parametrize("name", ["retry", "skip"])
def test_incident_decision_submitted_twice_runs_once(
    admin_client: Client, scenario: Scenario, name: str
) -> None:
    save_line(scenario.callee, form("inner"))
    caller = scenario.start()
    running.submit(caller, node="form", data={"note": "n"})
    running.cancel(caller.children.get())
    step = caller.steps.open().get()
    args = [caller.pk, step.cuid, name]
    address = reverse("admin:executions_execution_decide", args=args)
    assert_answered_alike(*twice(admin_client, address, {"note": "w"}))
    action = {"retry": "retried", "skip": "skipped"}[name]
    assert AuditEntry.objects.filter(action=action).count() == 1


def test_type_change_submitted_twice_runs_once(admin_client: Client, scenario: Scenario) -> None:
    both = f"{scenario.caller.pk},{scenario.callee.pk}"
    chosen = f"workflows={both}&type=finding-{scenario.exception.pk}"
    address = reverse("admin:workflows_workflow_change_type")
    number = Version.objects.count()
    opened = form_of(admin_client.get(f"{address}?{chosen}"), having=FIELD)
    first, second = (admin_client.post(address, opened) for _ in range(2))
    assert_answered_alike(first, second)
    assert "versions=" in first["Location"]
    assert Version.objects.count() == number


def test_redelivery_submitted_twice_is_sent_once(admin_client: Client, settings: Any) -> None:
    settings.HTTP_REQUEST_HOSTS = ["hooks.example"]
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    row, _ = create_webhook("https://hooks.example/one")
    delivery = subscriptions.send_test_event(row)
    OutgoingDelivery.objects.filter(pk=delivery.pk).update(state="delivered")
    address = page(delivery, "redeliver")
    assert_answered_alike(*twice(admin_client, address, {}, at=page(delivery)))
    assert LogEntry.objects.count() == 1


DONE_ONCE_BY_ITSELF = {
    "executions/admin/trial.html": "a trial writes nothing",
    "executions/admin/bulk.html": "an operation is confirmed and stopped once",
    "workflows/admin/pending_change.html": "a change is made once",
    "workflows/admin/editor.html": "a file is taken for one state of the draft",
    "admin/send_again.html": "it sends the token that the form had",
}


def test_form_has_token_or_is_idempotent() -> None:
    apps = ("workflows", "executions", "workflows_project")
    folders = [Path(settings.BASE_DIR, app, "templates") for app in apps]
    found = {
        str(path.relative_to(folder)): path.read_text()
        for folder in folders
        for path in folder.rglob("*.html")
    }
    forms = {
        name: re.findall(r"{% csrf_token %}(?:{{ once }})?", text) for name, text in found.items()
    }
    without = {name for name, tags in forms.items() if "{% csrf_token %}" in tags}
    assert without == set(DONE_ONCE_BY_ITSELF)
