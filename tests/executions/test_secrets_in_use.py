"""Secrets in use cannot be deleted, and graphs with unknown secrets cannot be saved."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from executions import integrity, services
from executions.models import Execution, Secret
from tests.conftest import Scenario
from tests.factories import FindingFactory, WorkflowFactory, line, save_line
from tests.workflows.admin.staff import text
from tests.workflows.api.clients import assert_problem, client_of
from workflows import editing
from workflows.graph import WorkflowValidationError
from workflows.guards import InUse, UnknownSecret
from workflows.models import AuditEntry, Workflow

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("invariants"),
    pytest.mark.both_databases,
]

OLD = "hunter2-and-more"
URL = "https://example.com/"


@pytest.fixture(autouse=True)
def key(settings: Any) -> None:
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]


@pytest.fixture
def secret(key: None) -> Secret:
    return stored("CRM")


def stored(name: str) -> Secret:
    row = Secret(name=name)
    row.set_value(OLD)
    row.save()
    return row


def webhook_node(name: str = "CRM") -> dict[str, Any]:
    return {"id": "hook", "type": "webhook", "data": {"secret": name}}


def call_out(**data: Any) -> dict[str, Any]:
    return {"id": "out", "type": "http_request", "data": {"url": URL, "method": "POST", **data}}


def active(*nodes: dict[str, Any], **values: Any) -> Workflow:
    row = WorkflowFactory(**values)
    save_line(row, *nodes)
    return row


def run(workflow: Workflow) -> Execution:
    return services.start(workflow, FindingFactory(entity_name_type=workflow.entity_name_type))


def pinned(scenario: Scenario) -> Execution:
    """Return a live execution whose pinned callee is the only user of the secret."""
    save_line(scenario.callee, webhook_node())
    execution = scenario.start()
    save_line(scenario.callee)
    return execution


TRIGGER = {"trigger": "webhook", "trigger_data": {"secret": "CRM"}}
USES: dict[str, Callable[[Scenario], object]] = {
    "a wait": lambda _: active(webhook_node()),
    "a header": lambda _: active(call_out(headers={"X": "Bearer {{ secret:CRM }}"})),
    "a body": lambda _: active(call_out(body={"a": [{"b": "{{secret:CRM}}"}]})),
    "a trigger": lambda _: WorkflowFactory(**TRIGGER),
    "a pinned version": pinned,
}
DELETIONS: dict[str, Callable[[Secret], object]] = {
    "row": lambda secret: secret.delete(),
    "rows": lambda secret: Secret.objects.filter(pk=secret.pk).delete(),
}


def renamed(secret: Secret) -> None:
    secret.name = "OTHER"
    secret.save()


def renamed_alone(secret: Secret) -> None:
    secret.name = "OTHER"
    secret.save(update_fields=["name"])


def renamed_in_bulk(secret: Secret) -> None:
    secret.name = "OTHER"
    Secret.objects.bulk_update([secret], ["name"])


RENAMINGS: dict[str, Callable[[Secret], object]] = {
    "save": renamed,
    "save of the field": renamed_alone,
    "update": lambda secret: Secret.objects.filter(pk=secret.pk).update(name="OTHER"),
    "bulk update": renamed_in_bulk,
}


class TestDeletion:
    @pytest.mark.parametrize("use", USES)
    @pytest.mark.parametrize("delete", DELETIONS)
    def test_deletion_is_refused_when_the_secret_is_in_use(
        self, scenario: Scenario, secret: Secret, use: str, delete: str
    ) -> None:
        USES[use](scenario)
        with pytest.raises(InUse) as refused:
            DELETIONS[delete](secret)
        assert Secret.objects.filter(name="CRM").exists()
        assert refused.value.blockers.total == 1
        codes = [remedy.code for remedy in refused.value.remedies]
        assert codes == ["set_value", "remove_uses"]
        entry = AuditEntry.objects.filter(refused=True, kind="secret").latest("id")
        assert (entry.action, entry.code) == ("deleted", "in_use")

    def test_deletion_names_executions_and_workflows(self, secret: Secret) -> None:
        workflow = active(webhook_node())
        execution = run(workflow)
        with pytest.raises(InUse, match="1 live execution and 1 active workflow use it") as refused:
            secret.delete()
        assert [row.cuid for row in refused.value.blockers.executions] == [execution.cuid]
        assert [row.cuid for row in refused.value.blockers.workflows] == [workflow.cuid]

    def test_deletion_is_allowed_when_the_secret_is_not_in_use(self, secret: Secret) -> None:
        stored("CRM_2")
        ended = active(webhook_node())
        services.cancel(run(ended))
        save_line(ended, webhook_node("CRM_2"))
        editing.retire(active(webhook_node()))
        WorkflowFactory(state="draft", **TRIGGER)
        save_line(WorkflowFactory(state="draft"), webhook_node())
        secret.delete()
        assert list(Secret.objects.values_list("name", flat=True)) == ["CRM_2"]

    def test_deletion_page_names_the_users_of_the_secret(
        self, admin_client: Client, secret: Secret
    ) -> None:
        workflow = active(webhook_node())
        page = reverse("admin:executions_secret_delete", args=[secret.pk])
        assert "1 active workflow uses it" in text(admin_client.get(page))
        page_text = text(admin_client.post(page, {"post": "yes"}))
        assert workflow.title in page_text
        assert Secret.objects.exists()

    def test_deletion_of_selected_secrets_is_all_or_nothing(
        self, admin_client: Client, secret: Secret
    ) -> None:
        active(webhook_node())
        both = [secret.pk, stored("UNUSED").pk]
        sent = {"action": "delete_selected", "_selected_action": both, "post": "yes"}
        admin_client.post(reverse("admin:executions_secret_changelist"), sent)
        assert Secret.objects.count() == 2


class TestRenaming:
    @pytest.mark.parametrize("rename", RENAMINGS)
    def test_renaming_is_refused_when_the_secret_is_in_use(
        self, secret: Secret, rename: str
    ) -> None:
        active(webhook_node())
        with pytest.raises(InUse, match="Cannot rename the secret “CRM”"):
            RENAMINGS[rename](secret)
        assert Secret.objects.get().name == "CRM"

    @pytest.mark.parametrize("rename", RENAMINGS)
    def test_renaming_is_allowed_when_the_secret_is_not_in_use(
        self, secret: Secret, rename: str
    ) -> None:
        RENAMINGS[rename](secret)
        assert Secret.objects.get().name == "OTHER"

    def test_renaming_error_appears_at_the_name(self, admin_client: Client, secret: Secret) -> None:
        active(webhook_node())
        page = reverse("admin:executions_secret_change", args=[secret.pk])
        response = admin_client.post(page, {"name": "OTHER", "value": "", "hosts": ""})
        assert list(response.context["adminform"].form.errors) == ["name"]
        assert Secret.objects.get().name == "CRM"


class TestUnknown:
    @pytest.mark.parametrize(
        ("node", "pointer"),
        [
            (webhook_node("GONE"), "/nodes/1/data/secret"),
            (call_out(headers={"X": "{{secret:GONE}}"}), "/nodes/1/data/headers/X"),
            (call_out(body={"a": ["", "{{ secret:GONE }}"]}), "/nodes/1/data/body/a/1"),
            (call_out(body="{{secret:GONE}}"), "/nodes/1/data/body"),
        ],
    )
    def test_graph_is_refused_with_a_pointer(self, node: dict[str, Any], pointer: str) -> None:
        api, workflow = client_of(superuser=True), WorkflowFactory()
        response = api.post(f"workflows/{workflow.cuid}/1/", line(node))
        body = assert_problem(response, 400, "unknown_secret")
        assert [row["pointer"] for row in body["errors"]] == [pointer]
        assert [row["code"] for row in body["remedies"]] == ["create_secret"]
        stored("GONE")
        assert api.post(f"workflows/{workflow.cuid}/1/", line(node)).status_code == 200

    def test_every_unknown_secret_of_a_graph_is_reported(self) -> None:
        calling = {"id": "c", "type": "run_workflow", "data": {"workflow": "nothing"}}
        with pytest.raises(WorkflowValidationError) as refused:
            editing.save_graph(WorkflowFactory(), line(calling, webhook_node("GONE")), based_on=1)
        assert [problem.code for problem in refused.value.problems] == [
            "invalid_graph",
            "unknown_secret",
        ]

    def test_graph_is_accepted_when_unknown_secrets_are_allowed(self) -> None:
        workflow = WorkflowFactory(state="draft")
        editing.save_graph(workflow, line(webhook_node("GONE")), based_on=1, allow_unknown=True)
        with pytest.raises(WorkflowValidationError, match="“GONE”"):
            editing.save_graph(workflow, line(webhook_node("GONE")), based_on=1)
        (problem,) = editing.graph_problems(workflow, line(webhook_node("GONE")))
        assert problem.code == "unknown_secret"

    def test_activation_is_refused_when_a_secret_was_deleted(self, secret: Secret) -> None:
        workflow = active(webhook_node(), state="draft")
        secret.delete()
        with pytest.raises(WorkflowValidationError, match="“CRM”"):
            editing.set_state(workflow, "active")
        stored("CRM")
        editing.set_state(workflow, "active")

    def test_trigger_with_unknown_secret_is_refused_when_the_workflow_is_active(self) -> None:
        api, workflow = client_of(superuser=True), WorkflowFactory()
        trigger = {"trigger": "webhook", "trigger_data": {"secret": "GONE"}}
        body = assert_problem(
            api.edit(f"workflows/{workflow.cuid}/", **trigger), 400, "unknown_secret"
        )
        assert [row["pointer"] for row in body["errors"]] == ["/trigger_data/secret"]
        with pytest.raises(UnknownSecret):
            WorkflowFactory(**trigger)
        draft = WorkflowFactory(state="draft", **trigger)
        with pytest.raises(UnknownSecret):
            editing.set_state(draft, "active")
        stored("GONE")
        editing.set_state(draft, "active")


def test_integrity_check_names_the_missing_secret_and_the_remedy(secret: Secret) -> None:
    workflow = active(webhook_node())
    Secret._base_manager.filter(pk=secret.pk)._raw_delete("default")
    (found,) = integrity.find_violations()
    assert (found.invariant, found.model, found.cuid) == (
        "I9",
        "version",
        workflow.latest_version.cuid,
    )
    assert "Create the secret “CRM”" in found.remedy
    stored("CRM")


@pytest.mark.postgresql
def test_deletion_waits_for_save_that_uses_the_secret(secret: Secret) -> None:
    workflow = WorkflowFactory()
    came: list[object] = []

    def delete() -> None:
        try:
            secret.delete()
            came.append("deleted")
        except InUse as refusal:
            came.append(refusal.code)
        finally:
            connection.close()

    with transaction.atomic():
        editing.save_graph(workflow, line(webhook_node()), based_on=1)
        other = threading.Thread(target=delete)
        other.start()
        other.join(0.3)
        assert came == []
    other.join()
    assert came == ["in_use"]


@pytest.mark.postgresql
def test_save_waits_for_deletion_of_its_secret(secret: Secret) -> None:
    workflow = WorkflowFactory()
    came: list[object] = []

    def save() -> None:
        try:
            editing.save_graph(workflow, line(webhook_node()), based_on=1)
            came.append("saved")
        except WorkflowValidationError as refusal:
            came.append(refusal.problems[0].code)
        finally:
            connection.close()

    with transaction.atomic():
        secret.delete()
        other = threading.Thread(target=save)
        other.start()
        other.join(0.3)
        assert came == []
    other.join()
    assert came == ["unknown_secret"]
