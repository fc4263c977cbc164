"""Values of secrets: rotation with an overlap, revocation and allowed hosts."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from executions.models import Execution, Secret, Status
from executions.webhooks.incoming import signature
from executions.worker import queue, rounds
from tests.executions.engine.http_calls import http_request_graph, make_due
from tests.executions.engine.server import Server, run_server
from tests.executions.test_secrets_in_use import OLD, URL, active, run, stored, webhook_node
from tests.factories import WorkflowFactory
from tests.workflows.admin.forms import form_of, rows
from tests.workflows.admin.staff import staff, text
from workflows import editing
from workflows.models import AuditEntry

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("invariants"),
    pytest.mark.both_databases,
]

NEW = "correct horse battery"


@pytest.fixture
def secret(settings: Any) -> Secret:
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    return stored("CRM")


def signed(value: str, execution: Execution) -> int:
    """Send a delivery signed with this value; return the status of the answer."""
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
        secret.set_value(value)
        secret.save()
        return secret

    @pytest.mark.parametrize("value", [OLD, NEW])
    def test_both_values_are_accepted_after_a_rotation(self, secret: Secret, value: str) -> None:
        execution = run(active(webhook_node()))
        self.rotate(secret)
        assert signed("neither of them", execution) == 401
        assert signed(value, execution) == 200

    def test_old_value_is_refused_when_its_overlap_is_over(self, secret: Secret) -> None:
        execution = run(active(webhook_node()))
        self.rotate(secret)
        over = timezone.now() - timedelta(seconds=1)
        Secret._base_manager.update(previous_until=over)
        assert signed(OLD, execution) == 401
        rounds.run_due()
        assert Secret.objects.get().previous == ""
        assert signed(NEW, execution) == 200

    def test_old_value_is_accepted_for_the_time_of_the_setting(
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

    def test_old_value_stays_when_the_same_value_is_set_again(self, secret: Secret) -> None:
        self.rotate(secret)
        self.rotate(secret)
        assert secret.accepted() == [NEW, OLD]

    def test_new_value_is_accepted_when_the_old_one_cannot_be_read(
        self, secret: Secret, settings: Any
    ) -> None:
        settings.SECRETS_KEY = [Fernet.generate_key().decode()]
        self.rotate(secret)
        assert secret.accepted() == [NEW]

    def test_administrator_revokes_the_old_value(
        self, admin_client: Client, secret: Secret
    ) -> None:
        execution = run(active(webhook_node()))
        change = reverse("admin:executions_secret_change", args=[secret.pk])
        revoke = reverse("admin:executions_secret_revoke", args=[secret.pk])
        assert revoke not in text(admin_client.get(change))
        sent = {"name": "CRM", "value": NEW, "hosts": ""}
        assert admin_client.post(change, sent).status_code == 302
        page_text = text(admin_client.get(change))
        assert re.search(r"accepted until \S+ \S+ UTC <a ", page_text) and revoke in page_text
        assert "refused immediately" in text(admin_client.get(revoke))
        assert Secret.objects.get().accepts_previous
        admin_client.post(revoke)
        assert not Secret.objects.get().accepts_previous
        assert signed(OLD, execution) == 401
        entry = AuditEntry.objects.filter(kind="secret").latest("id")
        assert entry.after == {"previous_value": "revoked"}
        # A second click has no effect.
        assert admin_client.post(revoke).status_code == 302
        assert AuditEntry.objects.filter(kind="secret").latest("id") == entry

    def test_revocation_needs_the_permission_to_change_secrets(self, secret: Secret) -> None:
        self.rotate(secret)
        revoke = reverse("admin:executions_secret_revoke", args=[secret.pk])
        assert staff("executions.view_secret").post(revoke).status_code == 403
        assert Secret.objects.get().accepts_previous
        assert staff("executions.change_secret").post(revoke).status_code == 302
        assert not Secret.objects.get().accepts_previous

    def test_calls_send_the_new_value(self, secret: Secret) -> None:
        self.rotate(secret)
        assert Secret.value_for("CRM", URL) == NEW


class TestHosts:
    @pytest.fixture
    def server(self, settings: Any) -> Any:
        with run_server() as known:
            settings.HTTP_REQUEST_HOSTS = [known.host]
            settings.HTTP_REQUEST_ALLOW_HTTP = settings.HTTP_REQUEST_ALLOW_LOOPBACK = True
            yield known

    def run_http_request(self, server: Server) -> Execution:
        workflow = WorkflowFactory()
        source = http_request_graph(server.url(), headers={"X": "{{secret:CRM}}"})
        editing.save_graph(workflow, source, based_on=1)
        execution = run(workflow)
        make_due()
        queue.serve_due()
        execution.refresh_from_db()
        return execution

    def test_call_to_another_host_opens_incident_and_sends_nothing(
        self, server: Server, secret: Secret
    ) -> None:
        Secret.objects.update(hosts=["api.example.com"])
        execution = self.run_http_request(server)
        incident = execution.steps.get(node_id="call").incident
        assert incident is not None and incident["code"] == "secret_not_for_host"
        assert "only to api.example.com" in incident["detail"]
        assert OLD not in incident["detail"] and not server.received

    def test_call_to_an_allowed_host_sends_the_secret(self, server: Server, secret: Secret) -> None:
        Secret.objects.update(hosts=["api.example.com", server.host.upper()])
        assert self.run_http_request(server).status == Status.COMPLETED
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
    def test_hosts_must_match_exactly(
        self, secret: Secret, host: str, url: str, is_sent: bool
    ) -> None:
        Secret.objects.update(hosts=[host])
        if is_sent:
            assert Secret.value_for("CRM", url) == OLD
        else:
            with pytest.raises(LookupError, match="only to"):
                Secret.value_for("CRM", url)

    def test_page_has_a_row_for_each_host(self, admin_client: Client, secret: Secret) -> None:
        page = reverse("admin:executions_secret_change", args=[secret.pk])
        hosts = rows("hosts", " API.example.com ", "", "b.example.com:8443", "api.example.com")
        assert admin_client.post(page, {"name": "CRM", "value": "", **hosts}).status_code == 302
        assert Secret.objects.get().hosts == ["api.example.com", "b.example.com:8443"]
        sent = form_of(admin_client.get(page), having="name")
        assert sent["rows/hosts/1"] == "b.example.com:8443"
        again = admin_client.post(page, {**sent, "row": "remove rows/hosts/0"})
        assert again.status_code == 200 and len(Secret.objects.get().hosts) == 2
        assert admin_client.post(page, form_of(again, having="name")).status_code == 302
        assert Secret.objects.get().hosts == ["b.example.com:8443"]

    def test_page_shows_invalid_hosts_beside_their_inputs(
        self, admin_client: Client, secret: Secret
    ) -> None:
        page = reverse("admin:executions_secret_change", args=[secret.pk])
        hosts = rows("hosts", "", "https://api.example.com/", "api.example.com", "a b")
        response = admin_client.post(page, {"name": "CRM", "value": "", **hosts})
        html = response.content.decode()
        assert list(response.context["adminform"].form.errors) == ["hosts"]
        for row in (1, 3):
            (problem,) = re.findall(rf'id="problem-rows/hosts/{row}-1">(.*?)</p>', html)
            assert "is not a host" in problem and html.count(problem) == 1
        assert 'value="https://api.example.com/"' in html
        assert "problem-rows/hosts/2" not in html
