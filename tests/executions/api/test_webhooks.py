"""Webhooks and their deliveries by the API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from executions.guards import InvalidSubscription, refuse_subscription
from executions.models import OutgoingDelivery, SigningSecret, Subscription
from executions.worker import queue
from tests.conftest import Scenario
from tests.executions.engine.server import Reply, Server, run_server
from tests.executions.receivers import allow_servers, verify
from tests.workflows.api.clients import Client, assert_problem, client_of
from workflows.models import AuditEntry, StoredAnswer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


@pytest.fixture
def api(db: None) -> Client:
    return client_of(superuser=True)


@pytest.fixture
def server(settings: Any) -> Iterator[Server]:
    with run_server() as made:
        allow_servers(settings, made)
        yield made


def body(server: Server, **more: Any) -> dict[str, Any]:
    return {"url": server.url("/events"), "events": ["execution.started"], **more}


def create_webhook(api: Client, server: Server, **more: Any) -> dict[str, Any]:
    response = api.post("webhooks/", body(server, **more))
    assert response.status_code == 201, response.json()
    created: dict[str, Any] = response.json()
    return created


def test_webhook_is_created_tested_changed_and_deleted(
    api: Client, server: Server, scenario: Scenario
) -> None:
    created = create_webhook(api, server, description="d", workflow=scenario.caller.cuid)
    secret = created.pop("secret")
    response = api.get(f"webhooks/{created['cuid']}/")
    assert response.json() == created
    assert (created["state"], created["workflow"]) == ("active", scenario.caller.cuid)
    scenario.start()
    queue.serve_due()
    assert verify(server.received[0], secret)["type"] == "execution.started"
    path = f"webhooks/{created['cuid']}/"
    changed = {"events": ["change.applied", "execution.failed"], "state": "disabled"}
    assert_problem(api.patch(path, changed), 428, "precondition_required")
    etag = {"If-Match": response["ETag"]}
    assert api.patch(path, changed, headers=etag).json()["events"] == changed["events"]
    assert_problem(api.patch(path, {}, headers=etag), 412, "precondition_failed")
    scenario.start()
    assert OutgoingDelivery.objects.count() == 1
    assert api.get("webhooks/?state=disabled").json()["count"] == 1
    assert api.get("webhooks/?state=active").json()["count"] == 0
    assert api.delete(path).status_code == 204
    assert not OutgoingDelivery.objects.exists() and not SigningSecret.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "code", "pointer"),
    [
        ({"events": []}, "min_length", "/events"),
        ({"events": ["execution.launched"]}, "invalid_choice", "/events/0"),
        ({"url": "https://elsewhere.example/"}, "webhook_url_refused", "/url"),
        ({"url": "ftp://x/"}, "webhook_url_refused", "/url"),
        ({"workflow": "nope"}, "does_not_exist", "/workflow"),
        ({"secret": "whsec_mine"}, "unknown_field", "/secret"),
        ({"colour": "red"}, "unknown_field", "/colour"),
    ],
)
def test_invalid_webhook_is_refused(
    api: Client, server: Server, wrong: dict[str, Any], code: str, pointer: str
) -> None:
    response = api.post("webhooks/", body(server, **wrong))
    problem = assert_problem(response, 400, code)
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert not Subscription.objects.exists()


def test_create_is_refused_without_secrets_key(api: Client, server: Server, settings: Any) -> None:
    settings.SECRETS_KEY = []
    assert_problem(api.post("webhooks/", body(server)), 400, "no_secrets_key")
    assert not Subscription.objects.exists()


def test_secret_is_returned_once_and_stored_encrypted(api: Client, server: Server) -> None:
    response = api.post("webhooks/", body(server), headers={"Idempotency-Key": "k-1"})
    assert response["Cache-Control"] == "no-store"
    secret, path = response.json()["secret"], f"webhooks/{response.json()['cuid']}/"
    rotated = api.post(f"{path}rotate-secret/", {}, headers={"Idempotency-Key": "k-2"})
    assert rotated.status_code == 200 and rotated["Cache-Control"] == "no-store"
    api.post(f"{path}test/", {}, headers={"Idempotency-Key": "k-3"})
    responses = "".join(
        api.get(address).content.decode()
        for address in (path, "webhooks/", f"{path}deliveries/", "audit/")
    )
    stored = str(list(StoredAnswer.objects.values_list()))
    log = str(list(AuditEntry.objects.values_list()))
    for one in (secret, rotated.json()["secret"]):
        assert one not in responses + stored + log
    assert AuditEntry.objects.filter(kind="webhook", after={"secret": "rotated"}).exists()


def test_both_secrets_sign_after_rotation(api: Client, server: Server) -> None:
    created = create_webhook(api, server)
    new = api.post(f"webhooks/{created['cuid']}/rotate-secret/", {}).json()["secret"]
    assert new != created["secret"]
    api.post(f"webhooks/{created['cuid']}/test/", {})
    queue.serve_due()
    for secret in (created["secret"], new):
        assert verify(server.received[0], secret)["type"] == "webhook.test"


class TestDeliveries:
    def test_delivery_shows_attempts_and_is_redelivered(self, api: Client, server: Server) -> None:
        created = create_webhook(api, server)
        server.replies = [Reply(410, b"gone"), Reply(200, b"thanks")]
        response = api.post(f"webhooks/{created['cuid']}/test/", {})
        assert response.status_code == 201 and response.json()["attempts"] == []
        queue.serve_due()
        path = f"webhook-deliveries/{response.json()['cuid']}/"
        delivery = api.get(path).json()
        assert (delivery["state"], delivery["due_at"], delivery["event"]) == (
            "given_up",
            None,
            "webhook.test",
        )
        assert [(row["status"], row["answer"]) for row in delivery["attempts"]] == [(410, "gone")]
        webhook = f"webhooks/{created['cuid']}/"
        assert "410" in api.get(webhook).json()["disabled_because"]
        assert_problem(api.post(f"{path}redeliver/", {}), 409, "webhook_disabled")
        assert_problem(api.post(f"{webhook}test/", {}), 409, "webhook_disabled")
        api.patch(webhook, {"state": "active"}, headers={"If-Match": "*"})
        again = api.post(f"{path}redeliver/", {})
        assert (again.status_code, again.json()["state"]) == (200, "waiting")
        queue.serve_due()
        delivery = api.get(path).json()
        assert [row["answer"] for row in delivery["attempts"]] == ["gone", "thanks"]
        first, second = server.received
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == delivery["cuid"]
        assert delivery["payload"] == verify(second, created["secret"])

    def test_deliveries_are_listed_by_webhook(self, api: Client, server: Server) -> None:
        one, other = create_webhook(api, server), create_webhook(api, server)
        for _ in range(2):
            api.post(f"webhooks/{one['cuid']}/test/", {})
        listed = api.get(f"webhooks/{one['cuid']}/deliveries/").json()
        assert (listed["count"], listed["results"][0]["webhook"]) == (2, one["cuid"])
        assert api.get(f"webhooks/{other['cuid']}/deliveries/").json()["count"] == 0
        waiting = f"webhooks/{one['cuid']}/deliveries/?state=waiting&event=webhook.test"
        assert api.get(waiting).json()["count"] == 2
        assert api.get(f"webhooks/{one['cuid']}/deliveries/?state=given_up").json()["count"] == 0
        assert_problem(api.get("webhooks/nope/deliveries/"), 404, "not_found")


@pytest.mark.parametrize("name", ["create", "rotate", "test", "redeliver"])
def test_each_action_has_dry_run(api: Client, server: Server, name: str) -> None:
    created = create_webhook(api, server)
    webhook = f"webhooks/{created['cuid']}/"
    delivery = api.post(f"{webhook}test/", {}).json()["cuid"]
    queue.serve_due()

    def everything() -> list[Any]:
        models: Any = (Subscription, SigningSecret, OutgoingDelivery, AuditEntry)
        return [sorted(map(repr, model._base_manager.values_list())) for model in models]

    before = everything()
    path, sent = {
        "create": ("webhooks/", body(server)),
        "rotate": (f"{webhook}rotate-secret/", {}),
        "test": (f"{webhook}test/", {}),
        "redeliver": (f"webhook-deliveries/{delivery}/redeliver/", {}),
    }[name]
    response = api.post(f"{path}?dry_run=true", sent)
    assert (response.status_code, response["Dry-Run"]) == (200, "true")
    assert everything() == before


def test_refusal_names_first_unknown_event() -> None:
    webhook = Subscription(events=["execution.started", "execution.launched", "execution.halted"])
    with pytest.raises(InvalidSubscription, match=r"execution\.launched"):
        refuse_subscription(webhook, ["execution.started"])
