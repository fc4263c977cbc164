"""A request that is repeated with the same Idempotency-Key is done once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions import services as running
from executions.models import Execution
from tests.commands import run
from tests.conftest import Scenario
from tests.factories import form, line, save_line
from tests.test_api_problems import caused
from tests.workflows.api.clients import Client, assert_problem, client_of
from workflows.models import AuditEntry, StoredAnswer, Version, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]


@pytest.fixture
def api(transactional_db: None) -> Client:
    return client_of(superuser=True)


def post(client: Client, path: str, body: Any = None, key: str = "k-1", **headers: str) -> Any:
    return client.post(path, body or {}, headers={"Idempotency-Key": key, **headers})


def is_replayed(response: Any) -> bool:
    return bool(response.headers.get("Idempotency-Replayed") == "true")


def start(scenario: Scenario) -> dict[str, str]:
    return {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}


def test_repeated_start_receives_the_stored_response(api: Client, scenario: Scenario) -> None:
    first = post(api, "executions/", start(scenario))
    assert (first.status_code, is_replayed(first)) == (201, False)
    running.cancel(Execution.objects.get())
    again = post(api, "executions/", start(scenario))
    assert (again.status_code, is_replayed(again)) == (201, True)
    assert again.content == first.content
    assert again["Content-Type"] == first["Content-Type"] == "application/json"
    assert Execution.objects.count() == 1
    assert post(api, "executions/", start(scenario), key="k-2").status_code == 201
    assert Execution.objects.count() == 2


def test_start_without_a_key_is_not_deduplicated(api: Client, scenario: Scenario) -> None:
    with CaptureQueriesContext(connection) as captured:
        for _ in range(2):
            assert api.post("executions/", start(scenario)).status_code == 201
    assert Execution.objects.count() == 2
    assert not any("keptanswer" in query["sql"] for query in captured)


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("submit", {"node": "form", "data": {"note": "n"}}),
        ("draft", {"node": "form", "data": {"note": "n"}}),
        ("cancel", {"why": "no"}),
        ("restart", {"why": "no"}),
    ],
)
def test_repeated_action_on_an_execution_is_done_once(
    api: Client, scenario: Scenario, action: str, body: Any
) -> None:
    path = f"executions/{scenario.start().cuid}/{action}/"
    first = post(api, path, body)
    assert first.status_code in (200, 201), first.content
    executions = Execution.objects.count()
    entries = AuditEntry.objects.count()
    again = post(api, path, body)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert is_replayed(again)
    assert (Execution.objects.count(), AuditEntry.objects.count()) == (executions, entries)


def test_repeated_retry_of_an_incident_is_done_once(api: Client, scenario: Scenario) -> None:
    save_line(scenario.callee, form("inner"))
    execution = scenario.start()
    running.submit(execution, node="form", data={"note": "n"})
    running.cancel(execution.children.get())
    path = f"executions/{execution.cuid}/retry/"
    assert post(api, path, {"node": "call"}).status_code == 200
    assert is_replayed(post(api, path, {"node": "call"}))
    assert execution.children.count() == 2
    # Without the key, the step no longer has an incident.
    assert_problem(api.post(path, {"node": "call"}), 409, "no_incident")


def test_repeated_save_of_a_graph_is_done_once(api: Client, scenario: Scenario) -> None:
    scenario.start()
    path = f"workflows/{scenario.caller.cuid}/1/"
    first = post(api, path, line(form("other")))
    assert first.status_code == 201
    again = post(api, path, line(form("other")))
    assert (again.status_code, again["ETag"], again.content) == (201, first["ETag"], first.content)
    assert Version.objects.filter(workflow=scenario.caller).count() == 2
    assert_problem(api.post(path, line(form("other"))), 409, "stale_version")


@pytest.mark.parametrize("when", ["now", "drained"])
def test_repeated_change_of_type_is_done_once(api: Client, scenario: Scenario, when: str) -> None:
    if when == "drained":
        scenario.start()
    body = {
        "workflows": [scenario.caller.cuid, scenario.callee.cuid],
        "entity_name_type": scenario.exception.cuid,
        "when": when,
    }
    first = post(api, "workflows/change-entity-context/", body)
    assert first.status_code == (202 if when == "drained" else 200)
    again = post(api, "workflows/change-entity-context/", body)
    assert is_replayed(again) and again.content == first.content
    assert again.headers.get("Location") == first.headers.get("Location")


def test_repeated_creation_is_done_once(api: Client) -> None:
    first = post(api, "workflows/", {"title": "Bad"})
    assert first.status_code == 400
    body = {"name": "Once"}
    assert post(api, "finding-types/", body).status_code == 201
    assert is_replayed(post(api, "finding-types/", body))


def test_repeated_refusal_is_recorded_once(api: Client, scenario: Scenario) -> None:
    scenario.start()
    body = {
        "workflows": [scenario.caller.cuid],
        "entity_name_type": scenario.exception.cuid,
    }
    first = post(api, "workflows/change-entity-context/", body)
    problem = assert_problem(first, 400, "active_executions")
    assert problem["blockers"]["total"]
    refused = AuditEntry.objects.filter(refused=True)
    assert refused.count() == 1
    again = post(api, "workflows/change-entity-context/", body)
    assert assert_problem(again, 400, "active_executions") == problem
    assert is_replayed(again)
    assert refused.count() == 1


# Keys


def test_key_with_another_body_is_rejected(api: Client, scenario: Scenario) -> None:
    post(api, "executions/", start(scenario))
    for body in ({**start(scenario), "scheduled_for": None}, {}):
        response = post(api, "executions/", body)
        assert_problem(response, 422, "idempotency_key_reused")
    assert Execution.objects.count() == 1


def test_order_and_spaces_of_a_body_are_ignored(api: Client, scenario: Scenario) -> None:
    body = start(scenario)
    post(api, "executions/", body)
    text = f'{{"entity":   "{body["entity"]}",\n "workflow": "{body["workflow"]}"}}'
    headers = {"Idempotency-Key": "k-1"}
    again = api.post("executions/", text, content_type="application/json", headers=headers)
    assert is_replayed(again)


def test_if_match_is_part_of_the_request(api: Client, scenario: Scenario) -> None:
    path = f"workflows/{scenario.callee.cuid}/1/"
    etag = api.etag(path)
    body = line(form("other"))
    assert post(api, path, body, **{"If-Match": etag}).status_code == 200
    assert is_replayed(post(api, path, body, **{"If-Match": etag}))
    response = post(api, path, body, **{"If-Match": "*"})
    assert_problem(response, 422, "idempotency_key_reused")


def test_key_belongs_to_one_user_and_one_route(api: Client, scenario: Scenario) -> None:
    post(api, "executions/", start(scenario))
    other = client_of(superuser=True)
    assert not is_replayed(post(other, "executions/", start(scenario)))
    assert post(api, "finding-types/", {"name": "x"}).status_code == 201
    assert Execution.objects.count() == 2


def test_stored_response_needs_authentication(api: Client, scenario: Scenario) -> None:
    post(api, "executions/", start(scenario))
    assert_problem(post(Client(), "executions/", start(scenario)), 401, "not_authenticated")


def test_key_may_be_quoted(api: Client, scenario: Scenario) -> None:
    post(api, "executions/", start(scenario), key='"a \\"b\\" c"')
    assert StoredAnswer.objects.get().key == 'a "b" c'
    post(api, "executions/", start(scenario), key="bare")
    assert is_replayed(post(api, "executions/", start(scenario), key='"bare"'))


@pytest.mark.parametrize("key", ["", '""', '"', '"a', "a b", "ä", "k" * 256, '"a\\b"', "a\x07"])
def test_malformed_key_is_rejected(api: Client, scenario: Scenario, key: str) -> None:
    response = post(api, "executions/", start(scenario), key=key)
    assert_problem(response, 400, "invalid_idempotency_key")
    assert not Execution.objects.exists()


def test_key_works_for_long_and_unstorable_paths(api: Client) -> None:
    for cuid in ("x" * 300, "%00"):
        response = post(api, f"executions/{cuid}/cancel/")
        assert_problem(response, 404, "not_found")
        assert is_replayed(post(api, f"executions/{cuid}/cancel/"))


# Responses that are not stored


def test_server_error_is_not_stored(
    api: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.raise_request_exception = False
    begin = running.start
    with monkeypatch.context() as patched:

        def failing(*args: Any, **kwargs: Any) -> None:
            begin(*args, **kwargs)
            raise RuntimeError

        patched.setattr(running, "start", failing)
        assert_problem(post(api, "executions/", start(scenario)), 500, "server_error")
    assert not Execution.objects.exists() and not StoredAnswer.objects.exists()
    response = post(api, "executions/", start(scenario))
    assert (response.status_code, is_replayed(response)) == (201, False)


@pytest.mark.parametrize(("times", "status"), [(2, 201), (99, 409)])
def test_contention_is_retried_and_not_stored(
    api: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch, times: int, status: int
) -> None:
    left = [times]
    begin = running.start

    def meeting_others(*args: Any, **kwargs: Any) -> Execution:
        execution = begin(*args, **kwargs)
        left[0] -= 1
        if left[0] >= 0:
            raise caused(OperationalError("deadlock detected"), "40P01")
        return execution

    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(running, "start", meeting_others)
    response = post(api, "executions/", start(scenario))
    assert response.status_code == status
    assert Execution.objects.count() == StoredAnswer.objects.count() == (status == 201)
    left[0] = 0
    assert post(api, "executions/", start(scenario)).status_code == 201
    assert Execution.objects.count() == 1


# Expiry


def later(monkeypatch: pytest.MonkeyPatch, hours: float) -> None:
    then = timezone.now() + timedelta(hours=hours)
    monkeypatch.setattr("workflows.editing.idempotency.timezone.now", lambda: then)


@pytest.mark.parametrize(("hours", "executions"), [(23.9, 1), (24.1, 2)])
def test_key_expires_after_a_day(
    api: Client,
    scenario: Scenario,
    monkeypatch: pytest.MonkeyPatch,
    hours: float,
    executions: int,
) -> None:
    post(api, "executions/", start(scenario))
    later(monkeypatch, hours)
    assert is_replayed(post(api, "executions/", start(scenario))) == (executions == 1)
    assert Execution.objects.count() == executions
    assert StoredAnswer.objects.count() == 1


@pytest.mark.parametrize(
    "sweep", [lambda: run("run_due"), lambda: run("work", once=True), lambda: run_sweep()]
)
def test_sweep_deletes_expired_keys(
    api: Client,
    scenario: Scenario,
    monkeypatch: pytest.MonkeyPatch,
    sweep: Callable[[], Any],
) -> None:
    post(api, "executions/", start(scenario))
    sweep()
    assert StoredAnswer.objects.exists()
    StoredAnswer.objects.update(at=timezone.now() - timedelta(hours=25))
    sweep()
    assert not StoredAnswer.objects.exists()


def run_sweep() -> None:
    from executions.worker.celery_tasks import sweep

    sweep()


def test_stored_responses_are_deleted_with_their_user(api: Client, scenario: Scenario) -> None:
    assert post(api, "finding-types/", {"name": "x"}).status_code == 201
    user = StoredAnswer.objects.get().user
    user.delete()
    assert not StoredAnswer.objects.exists()
    assert Workflow.objects.exists()
