"""Secrets: calls use them, and no page, log or answer shows them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import checks
from django.core.exceptions import ValidationError
from django.core.serializers import serialize
from django.test import Client
from django.urls import reverse

from executions.engine import http_client
from executions.models import Job, Secret, SecretUnreadable, Status, Step
from executions.models.leased_row import ATTEMPTS
from executions.worker import queue
from tests.executions.engine.http_calls import JSON, http_request_graph, make_due, run_http_request
from tests.executions.engine.server import Reply, Server, run_server
from tests.executions.engine.test_branches import started
from workflows.models import AuditEntry, Version

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]

VALUE = "hunter2-and-more"
HEADERS = {"Authorization": "Bearer {{secret:TOKEN}}"}


@pytest.fixture(autouse=True)
def key(settings: Any) -> str:
    made = Fernet.generate_key().decode()
    settings.SECRETS_KEY = [made]
    return made


@pytest.fixture
def server(settings: Any) -> Iterator[Server]:
    with run_server() as known:
        settings.HTTP_REQUEST_HOSTS = [known.host]
        settings.HTTP_REQUEST_ALLOW_HTTP = settings.HTTP_REQUEST_ALLOW_LOOPBACK = True
        yield known


def stored(name: str = "TOKEN", value: str = VALUE) -> Secret:
    secret = Secret(name=name)
    secret.set_value(value)
    secret.save()
    return secret


def everything() -> str:
    rows = [
        serialize("json", model._base_manager.all())
        for model in (Secret, Step, Version, AuditEntry, Job)
    ]
    return "\n".join(rows)


def test_secret_is_stored_encrypted() -> None:
    secret = stored()
    assert VALUE not in secret.encrypted
    assert Secret.value_of("TOKEN") == VALUE


def test_audit_log_contains_only_the_name() -> None:
    secret = stored()
    secret.set_value("another value")
    secret.save()
    secret.delete()
    entries = list(AuditEntry.objects.filter(kind="secret").order_by("id"))
    assert [entry.action for entry in entries] == ["created", "changed", "deleted"]
    assert entries[1].after == {"times_set": 2}
    assert entries[2].before == {"name": "TOKEN", "times_set": 2, "hosts": []}


def test_new_key_encrypts_and_old_key_still_decrypts(settings: Any, key: str) -> None:
    stored()
    settings.SECRETS_KEY = [Fernet.generate_key().decode(), key]
    assert Secret.value_of("TOKEN") == VALUE
    settings.SECRETS_KEY = settings.SECRETS_KEY[:1]
    with pytest.raises(SecretUnreadable, match="SECRETS_KEY does not have"):
        Secret.value_of("TOKEN")


@pytest.mark.parametrize("name", ["", "a b", "1", "a}}"])
def test_secret_name_is_checked(name: str) -> None:
    with pytest.raises(ValidationError):
        Secret(name=name, encrypted="x").full_clean()


class TestInACall:
    def test_secret_is_sent_and_appears_nowhere_else(
        self, server: Server, caplog: pytest.LogCaptureFixture
    ) -> None:
        stored()
        caplog.set_level(logging.DEBUG)
        echo = json.dumps({"you": f"Bearer {VALUE}", VALUE: [VALUE]}).encode()
        server.replies = [Reply(500, echo, JSON), Reply(200, echo, JSON)]
        execution, _ = run_http_request(
            server.url(),
            method="POST",
            headers=HEADERS,
            body={"token": "{{secret:TOKEN}}"},
            save_to="answer",
        )
        make_due()
        queue.serve_due()
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED
        assert server.received[0].headers["authorization"] == f"Bearer {VALUE}"
        assert json.loads(server.received[0].body) == {"token": VALUE}
        execution.entity.refresh_from_db()
        page_text = "{{secret:TOKEN}}"
        assert execution.entity.fields["answer"] == {
            "you": f"Bearer {page_text}",
            page_text: [page_text],
        }
        assert VALUE not in everything() + caplog.text

    def test_encoded_secret_in_an_answer_appears_nowhere(
        self, server: Server, caplog: pytest.LogCaptureFixture
    ) -> None:
        stored()
        stored("PIN", "1000")
        spelled = "".join(f"\\u{ord(char):04X}" for char in VALUE)
        percent = "".join(f"%{ord(char):02x}" for char in VALUE)
        caplog.set_level(logging.DEBUG)
        echo = f'{{"you": "{spelled}", "{percent}": [1e3, 1000.0, 1001]}}'.encode()
        server.replies = [Reply(200, echo, JSON)]
        headers = {**HEADERS, "X-Pin": "{{secret:PIN}}"}
        execution, step = run_http_request(server.url(), headers=headers, save_to="answer")
        execution.entity.refresh_from_db()
        page_text, pin = "{{secret:TOKEN}}", "{{secret:PIN}}"
        assert execution.entity.fields["answer"] == {"you": page_text, page_text: [pin, pin, 1001]}
        assert (
            step.output["body"] == f'{{"you": "{page_text}", "{page_text}": [{pin}, {pin}, 1001]}}'
        )
        for text in (VALUE, spelled, percent):
            assert text not in everything() + caplog.text

    def test_secret_in_a_redirect_appears_nowhere(self, server: Server) -> None:
        stored()
        host = "".join(f"%{ord(char):02X}" for char in VALUE)
        server.replies = [Reply(302, headers={"Location": f"http://{host}.example/"})]
        _, step = run_http_request(server.url(), headers=HEADERS)
        assert step.incident is not None and "{{secret:TOKEN}}" in step.incident["detail"]

    def test_secret_appears_nowhere_when_the_call_fails(
        self, server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(request: http_client.Request, *, timeout: float) -> None:
            raise RuntimeError(f"cannot send {request.headers}")

        stored()
        caplog.set_level(logging.DEBUG)
        monkeypatch.setattr(http_client, "call", fail)
        _, step = run_http_request(server.url(), headers=HEADERS)
        for _ in range(ATTEMPTS - 1):
            make_due()
            queue.serve_due()
        step.refresh_from_db()
        assert step.incident is not None and "{{secret:TOKEN}}" in step.incident["detail"]
        assert VALUE not in everything() + caplog.text

    def test_unknown_secret_opens_incident_at_once(self, server: Server) -> None:
        secret = stored()
        execution = started(http_request_graph(server.url(), headers=HEADERS))
        Secret._base_manager.filter(pk=secret.pk)._raw_delete("default")
        queue.serve_due()
        step = execution.steps.get(node_id="call")
        assert step.incident is not None and step.incident["code"] == "no_secret"
        assert "“TOKEN”" in step.incident["detail"] and not server.received
        stored()

    def test_incident_names_the_setting_when_there_is_no_key(
        self, server: Server, settings: Any
    ) -> None:
        stored()
        settings.SECRETS_KEY = []
        _, step = run_http_request(server.url(), headers=HEADERS)
        assert step.incident is not None and "SECRETS_KEY" in step.incident["detail"]

    def test_field_value_cannot_refer_to_a_secret(self, server: Server) -> None:
        stored()
        execution = started(
            http_request_graph(server.url(), method="POST", body="{{note}}"),
            note="{{secret:TOKEN}}",
        )
        queue.serve_due()
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED
        assert server.received[0].body == b"{{secret:TOKEN}}"


class TestAdmin:
    def test_admin_never_shows_a_stored_value(self, admin_client: Client) -> None:
        add = reverse("admin:executions_secret_add")
        assert admin_client.post(add, {"name": "TOKEN", "value": VALUE}).status_code == 302
        secret = Secret.objects.get()
        assert secret.reveal() == VALUE
        change = reverse("admin:executions_secret_change", args=[secret.pk])
        page = admin_client.get(change).content.decode()
        assert VALUE not in page and secret.encrypted not in page
        assert admin_client.post(change, {"name": "TOKEN_2", "value": ""}).status_code == 302
        assert Secret.value_of("TOKEN_2") == VALUE
        assert (
            admin_client.post(change, {"name": "TOKEN_2", "value": "another1"}).status_code == 302
        )
        assert Secret.value_of("TOKEN_2") == "another1"
        delete = reverse("admin:executions_secret_delete", args=[secret.pk])
        assert admin_client.post(delete, {"post": "yes"}).status_code == 302
        assert not Secret.objects.exists()

    def test_admin_never_shows_a_refused_value(self, admin_client: Client) -> None:
        add = reverse("admin:executions_secret_add")
        response = admin_client.post(add, {"name": "not a name", "value": VALUE})
        assert response.status_code == 200 and VALUE not in response.content.decode()
        assert admin_client.post(add, {"name": "A", "value": ""}).context is not None
        assert not Secret.objects.exists()
        assert VALUE not in everything()

    def test_admin_explains_when_there_is_no_key(self, admin_client: Client, settings: Any) -> None:
        settings.SECRETS_KEY = []
        add = reverse("admin:executions_secret_add")
        response = admin_client.post(add, {"name": "TOKEN", "value": VALUE})
        assert "Set SECRETS_KEY first" in response.content.decode()


def test_system_check_reports_secrets_without_a_key(settings: Any) -> None:
    def found() -> list[str]:
        messages = checks.run_checks(databases=["default"])
        return [message.msg for message in messages if message.id == "executions.E001"]

    stored()
    assert found() == []
    settings.SECRETS_KEY = []
    assert found() == ["SECRETS_KEY is not set, but 1 secret is stored that it encrypts."]
