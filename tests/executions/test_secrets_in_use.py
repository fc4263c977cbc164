"""Secrets that something live uses stay, and nothing is saved that names an unknown one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from executions import background, due, integrity, services
from executions.models import Execution, Secret, Status
from executions.services.hooks import signature
from tests.conftest import Scenario
from tests.executions.engine.server import Server, serving
from tests.executions.engine.test_http_request import calling, make_due
from tests.factories import FindingFactory, WorkflowFactory, drawn, line
from tests.workflows.admin.staff import text
from tests.workflows.api.clients import assert_problem, client_of
from workflows import services as drawing
from workflows.graph import WorkflowValidationError
from workflows.guards import InUse, UnknownSecret
from workflows.models import AuditEntry, Workflow

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("laws"),
    pytest.mark.both_databases,
]

OLD, NEW = "hunter2-and-more", "correct horse battery"
URL = "https://example.com/"


@pytest.fixture(autouse=True)
def key(settings: Any) -> None:
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]


@pytest.fixture
def secret(key: None) -> Secret:
    return stored("CRM")


def stored(name: str) -> Secret:
    row = Secret(name=name)
    row.keep(OLD)
    row.save()
    return row


def hook(name: str = "CRM") -> dict[str, Any]:
    return {"id": "hook", "type": "webhook", "data": {"secret": name}}


def call_out(**data: Any) -> dict[str, Any]:
    return {"id": "out", "type": "http_request", "data": {"url": URL, "method": "POST", **data}}


def active(*nodes: dict[str, Any], **values: Any) -> Workflow:
    row = WorkflowFactory(**values)
    drawn(row, *nodes)
    return row


def run(workflow: Workflow) -> Execution:
    return services.start(workflow, FindingFactory(entity_name_type=workflow.entity_name_type))


def pinned(scenario: Scenario) -> Execution:
    """A live execution that will call a version which uses it; nothing else does any more."""
    drawn(scenario.callee, hook())
    execution = scenario.start()
    drawn(scenario.callee)
    return execution


USES: dict[str, Callable[[Scenario], object]] = {
    "a wait": lambda scenario: active(hook()),
    "a header": lambda scenario: active(call_out(headers={"X": "Bearer {{ secret:CRM }}"})),
    "a body": lambda scenario: active(call_out(body={"a": [{"b": "{{secret:CRM}}"}]})),
    "a trigger": lambda scenario: WorkflowFactory(trigger="webhook", trigger_data={"secret": "CRM"}),
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
    def test_deletion_is_refused_when_something_live_uses_it(
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
        workflow = active(hook())
        execution = run(workflow)
        with pytest.raises(InUse, match="1 live execution and 1 active workflow use it") as refused:
            secret.delete()
        assert [row.cuid for row in refused.value.blockers.executions] == [execution.cuid]
        assert [row.cuid for row in refused.value.blockers.workflows] == [workflow.cuid]

    def test_deletion_is_allowed_when_nothing_live_uses_it(self, secret: Secret) -> None:
        stored("CRM_2")
        ended = active(hook())
        services.cancel(run(ended))
        drawn(ended, hook("CRM_2"))
        drawing.retire(active(hook()))
        WorkflowFactory(state="draft", trigger="webhook", trigger_data={"secret": "CRM"})
        drawn(WorkflowFactory(state="draft"), hook())
        secret.delete()
        assert list(Secret.objects.values_list("name", flat=True)) == ["CRM_2"]

    def test_deletion_on_its_page_is_refused_with_what_uses_it(
        self, admin_client: Client, secret: Secret
    ) -> None:
        workflow = active(hook())
        page = reverse("admin:executions_secret_delete", args=[secret.pk])
        assert "1 active workflow uses it" in text(admin_client.get(page))
        shown = text(admin_client.post(page, {"post": "yes"}))
        assert workflow.title in shown
        assert Secret.objects.exists()

    def test_deletion_of_selected_secrets_is_all_or_nothing(
        self, admin_client: Client, secret: Secret
    ) -> None:
        active(hook())
        both = [secret.pk, stored("UNUSED").pk]
        sent = {"action": "delete_selected", "_selected_action": both, "post": "yes"}
        admin_client.post(reverse("admin:executions_secret_changelist"), sent)
        assert Secret.objects.count() == 2


class TestRenaming:
    @pytest.mark.parametrize("rename", RENAMINGS)
    def test_renaming_is_refused_when_something_live_uses_it(
        self, secret: Secret, rename: str
    ) -> None:
        active(hook())
        with pytest.raises(InUse, match="Cannot rename the secret “CRM”"):
            RENAMINGS[rename](secret)
        assert Secret.objects.get().name == "CRM"

    @pytest.mark.parametrize("rename", RENAMINGS)
    def test_renaming_is_allowed_when_nothing_uses_it(self, secret: Secret, rename: str) -> None:
        RENAMINGS[rename](secret)
        assert Secret.objects.get().name == "OTHER"

    def test_renaming_is_refused_beside_the_name(
        self, admin_client: Client, secret: Secret
    ) -> None:
        active(hook())
        page = reverse("admin:executions_secret_change", args=[secret.pk])
        response = admin_client.post(page, {"name": "OTHER", "value": "", "hosts": ""})
        assert list(response.context["adminform"].form.errors) == ["name"]
        assert Secret.objects.get().name == "CRM"


class TestUnknown:
    @pytest.mark.parametrize(
        ("node", "pointer"),
        [
            (hook("GONE"), "/nodes/1/data/secret"),
            (call_out(headers={"X": "{{secret:GONE}}"}), "/nodes/1/data/headers/X"),
            (call_out(body={"a": ["", "{{ secret:GONE }}"]}), "/nodes/1/data/body/a/1"),
            (call_out(body="{{secret:GONE}}"), "/nodes/1/data/body"),
        ],
    )
    def test_graph_is_refused_with_a_pointer(
        self, node: dict[str, Any], pointer: str
    ) -> None:
        api, workflow = client_of(superuser=True), WorkflowFactory()
        response = api.post(f"workflows/{workflow.cuid}/1/", line(node))
        body = assert_problem(response, 400, "unknown_secret")
        assert [row["pointer"] for row in body["errors"]] == [pointer]
        assert [row["code"] for row in body["remedies"]] == ["create_secret"]
        stored("GONE")
        assert api.post(f"workflows/{workflow.cuid}/1/", line(node)).status_code == 200

    def test_every_problem_of_a_graph_is_told_at_once(self) -> None:
        calling = {"id": "c", "type": "run_workflow", "data": {"workflow": "nothing"}}
        with pytest.raises(WorkflowValidationError) as refused:
            drawing.save_graph(WorkflowFactory(), line(calling, hook("GONE")), based_on=1)
        assert [problem.code for problem in refused.value.problems] == [
            "invalid_graph",
            "unknown_secret",
        ]

    def test_graph_is_taken_when_unknown_secrets_are_allowed(self) -> None:
        workflow = WorkflowFactory(state="draft")
        drawing.save_graph(workflow, line(hook("GONE")), based_on=1, allow_unknown=True)
        with pytest.raises(WorkflowValidationError, match="“GONE”"):
            drawing.save_graph(workflow, line(hook("GONE")), based_on=1)
        assert {problem.code for problem in drawing.graph_problems(workflow, line(hook("GONE")))} == {
            "unknown_secret"
        }

    def test_activation_is_refused_when_a_secret_was_deleted(self, secret: Secret) -> None:
        workflow = active(hook(), state="draft")
        secret.delete()
        with pytest.raises(WorkflowValidationError, match="“CRM”"):
            drawing.set_state(workflow, "active")
        stored("CRM")
        drawing.set_state(workflow, "active")

    def test_trigger_of_an_active_workflow_is_refused_and_that_of_a_draft_waits(self) -> None:
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
            drawing.set_state(draft, "active")
        stored("GONE")
        drawing.set_state(draft, "active")


def signed(value: str, execution: Execution) -> int:
    """Deliver, signed with this value; the status that is answered."""
    step = execution.steps.get(node_id="hook").cuid
    at = str(int(time.time()))
    headers = {
        "X-Holdfast-Timestamp": at,
        "X-Holdfast-Signature": signature(value, step, at, b"{}"),
    }
    url = f"/hooks/{step}/"
    return Client().post(url, b"{}", content_type="application/json", headers=headers).status_code


class TestRotation:
    def rotate(self, secret: Secret, value: str = NEW) -> Secret:
        secret.keep(value)
        secret.save()
        return secret

    @pytest.mark.parametrize("value", [OLD, NEW])
    def test_both_values_are_accepted_when_it_was_rotated(
        self, secret: Secret, value: str
    ) -> None:
        execution = run(active(hook()))
        self.rotate(secret)
        assert signed("neither of them", execution) == 401
        assert signed(value, execution) == 200

    def test_the_old_value_is_refused_when_its_time_is_over(self, secret: Secret) -> None:
        execution = run(active(hook()))
        self.rotate(secret)
        over = timezone.now() - timedelta(seconds=1)
        Secret._base_manager.update(previous_until=over)
        assert signed(OLD, execution) == 401
        due.run_due()
        assert Secret.objects.get().previous == ""
        assert signed(NEW, execution) == 200

    def test_the_old_value_is_kept_for_the_time_of_the_settings(
        self, secret: Secret, settings: Any
    ) -> None:
        settings.SECRET_OVERLAP_SECONDS = 60
        self.rotate(secret)
        assert secret.previous_until is not None
        left = secret.previous_until - timezone.now()
        assert timedelta(seconds=50) < left <= timedelta(seconds=60)
        assert OLD not in secret.previous and secret.previous != secret.encrypted
        settings.SECRET_OVERLAP_SECONDS = 0
        self.rotate(secret, "another value")
        assert (secret.accepts_previous, secret.previous) == (False, "")

    def test_the_old_value_stays_when_the_same_value_is_set_again(self, secret: Secret) -> None:
        self.rotate(secret)
        self.rotate(secret)
        assert secret.accepted() == [NEW, OLD]

    def test_the_new_value_is_accepted_when_the_old_one_cannot_be_read(
        self, secret: Secret, settings: Any
    ) -> None:
        settings.SECRETS_KEY = [Fernet.generate_key().decode()]
        self.rotate(secret)
        assert secret.accepted() == [NEW]

    def test_an_administrator_revokes_the_old_value(
        self, admin_client: Client, secret: Secret
    ) -> None:
        execution = run(active(hook()))
        change = reverse("admin:executions_secret_change", args=[secret.pk])
        revoke = reverse("admin:executions_secret_revoke", args=[secret.pk])
        assert revoke not in text(admin_client.get(change))
        sent = {"name": "CRM", "value": NEW, "hosts": ""}
        assert admin_client.post(change, sent).status_code == 302
        shown = text(admin_client.get(change))
        assert "accepted until" in shown and "(UTC)" in shown and revoke in shown
        assert "refused at once" in text(admin_client.get(revoke))
        assert Secret.objects.get().accepts_previous
        admin_client.post(revoke)
        assert not Secret.objects.get().accepts_previous
        assert signed(OLD, execution) == 401
        entry = AuditEntry.objects.filter(kind="secret").latest("id")
        assert entry.after == {"previous_value": "revoked"}
        # A second click finds nothing to do.
        assert admin_client.post(revoke).status_code == 302
        assert AuditEntry.objects.filter(kind="secret").latest("id") == entry

    def test_calls_send_the_new_value(self, secret: Secret) -> None:
        self.rotate(secret)
        assert Secret.value_for("CRM", URL) == NEW


class TestHosts:
    @pytest.fixture
    def server(self, settings: Any) -> Any:
        with serving() as known:
            settings.HTTP_REQUEST_HOSTS = [known.host]
            settings.HTTP_REQUEST_ALLOW_HTTP = settings.HTTP_REQUEST_ALLOW_LOOPBACK = True
            yield known

    def called(self, server: Server) -> Execution:
        workflow = WorkflowFactory()
        source = calling(server.url(), headers={"X": "{{secret:CRM}}"})
        drawing.save_graph(workflow, source, based_on=1)
        execution = run(workflow)
        make_due()
        background.serve_due()
        execution.refresh_from_db()
        return execution

    def test_a_call_to_another_host_is_an_incident_and_sends_nothing(
        self, server: Server, secret: Secret
    ) -> None:
        Secret.objects.update(hosts=["api.example.com"])
        execution = self.called(server)
        incident = execution.steps.get(node_id="call").incident
        assert incident is not None and incident["code"] == "secret_not_for_host"
        assert "bound to api.example.com" in incident["detail"]
        assert OLD not in incident["detail"] and not server.received

    def test_a_call_to_its_host_sends_it(self, server: Server, secret: Secret) -> None:
        Secret.objects.update(hosts=["api.example.com", server.host.upper()])
        assert self.called(server).status == Status.COMPLETED
        assert server.received[0].headers["x"] == OLD

    @pytest.mark.parametrize(
        ("host", "url", "is_sent"),
        [
            ("example.com", "https://example.com/", True),
            ("example.com", "https://EXAMPLE.com./", True),
            ("example.com", "https://example.com:8443/", True),
            ("example.com:443", "https://example.com/", True),
            ("example.com:443", "https://example.com:8443/", False),
            ("example.com", "https://a.example.com/", False),
            ("example.com", "https://example.com.evil.test/", False),
            ("[::1]", "https://[::1]/", True),
        ],
    )
    def test_hosts_are_compared_whole(
        self, secret: Secret, host: str, url: str, is_sent: bool
    ) -> None:
        Secret.objects.update(hosts=[host])
        if is_sent:
            assert Secret.value_for("CRM", url) == OLD
        else:
            with pytest.raises(LookupError, match="bound to"):
                Secret.value_for("CRM", url)

    def test_the_page_takes_one_host_a_line(self, admin_client: Client, secret: Secret) -> None:
        page = reverse("admin:executions_secret_change", args=[secret.pk])
        sent = {"name": "CRM", "value": "", "hosts": " API.example.com \n\nb.example.com:8443"}
        assert admin_client.post(page, sent).status_code == 302
        assert Secret.objects.get().hosts == ["api.example.com", "b.example.com:8443"]
        assert "api.example.com\nb.example.com:8443" in admin_client.get(page).content.decode()
        wrong = {**sent, "hosts": "https://api.example.com/"}
        response = admin_client.post(page, wrong)
        assert list(response.context["adminform"].form.errors) == ["hosts"]


def test_the_check_names_what_is_missing_and_what_helps(secret: Secret) -> None:
    workflow = active(hook())
    Secret._base_manager.filter(pk=secret.pk)._raw_delete("default")
    (found,) = integrity.violations()
    assert (found.law, found.kind, found.cuid) == ("L9", "version", workflow.latest_version.cuid)
    assert "Create the secret “CRM”" in found.remedy
    stored("CRM")


@pytest.mark.postgresql
def test_deletion_waits_for_a_save_that_names_the_secret(secret: Secret) -> None:
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
        drawing.save_graph(workflow, line(hook()), based_on=1)
        other = threading.Thread(target=delete)
        other.start()
        other.join(0.3)
        assert came == []
    other.join()
    assert came == ["in_use"]


@pytest.mark.postgresql
def test_a_save_waits_for_the_deletion_of_the_secret_that_it_names(secret: Secret) -> None:
    workflow = WorkflowFactory()
    came: list[object] = []

    def save() -> None:
        try:
            drawing.save_graph(workflow, line(hook()), based_on=1)
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
