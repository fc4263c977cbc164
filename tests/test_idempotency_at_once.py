"""One Idempotency-Key in simultaneous requests and in a killed process, on PostgreSQL."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from executions import services as running
from executions.engine import closures
from executions.models import Execution
from tests.conftest import Scenario
from tests.workflows.api.clients import Client, assert_problem, client_of
from workflows.api.base import edit_options
from workflows.editing import idempotency
from workflows.models import AuditEntry, StoredAnswer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("invariants"),
    pytest.mark.postgresql,
]

PATIENCE = 20
KEY = {"Idempotency-Key": "k-1"}


@pytest.fixture
def api(transactional_db: None) -> Client:
    return client_of(superuser=True)


def clone_client(client: Client) -> Client:
    """Return another client of the same user."""
    other = Client()
    other.cookies = client.cookies
    return other


def sender(client: Client, path: str, body: Any) -> Callable[[], Any]:
    return lambda: clone_client(client).post(path, body, headers=KEY)


def run_at_once(*actions: Callable[[], Any]) -> list[Any]:
    """Run actions in threads that start at the same moment; return their results."""
    begin = threading.Barrier(len(actions))
    outcomes: list[Any] = []

    def act(action: Callable[[], Any]) -> None:
        try:
            begin.wait(PATIENCE)
            outcomes.append(action())
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=[action]) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(outcomes) == len(actions)
    return outcomes


def assert_done_once(outcomes: list[Any], made: int) -> None:
    """Assert that one request was done and others got its response or a conflict."""
    done = [row for row in outcomes if row.status_code == made]
    assert len({row.content for row in done}) == 1
    assert sum("Idempotency-Replayed" not in row.headers for row in done) == 1
    for row in outcomes:
        if row not in done:
            assert_problem(row, 409, "idempotency_key_in_use")


@pytest.fixture
def cached(scenario: Scenario) -> Execution:
    """An execution of the caller: the versions of its next starts are cached."""
    return scenario.start()


@pytest.mark.parametrize("number", range(5))
def test_simultaneous_starts_with_one_key_are_one_start(
    api: Client, scenario: Scenario, number: int
) -> None:
    body = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    assert_done_once(run_at_once(*[sender(api, "executions/", body)] * 6), 201)
    assert Execution.objects.count() == 1
    assert StoredAnswer.objects.count() == 1


@pytest.mark.parametrize("number", range(5))
def test_simultaneous_cached_starts_with_one_key_are_one_start(
    api: Client, scenario: Scenario, cached: Execution, number: int
) -> None:
    body = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    assert_done_once(run_at_once(*[sender(api, "executions/", body)] * 6), 201)
    assert Execution.objects.exclude(pk=cached.pk).count() == 1


def test_simultaneous_submits_with_one_key_are_one_submit(api: Client, cached: Execution) -> None:
    submit = {"node": "form", "data": {"note": "n"}}
    path = f"executions/{cached.cuid}/submit/"
    assert_done_once(run_at_once(*[sender(api, path, submit)] * 6), 200)
    assert StoredAnswer.objects.get().status == 200


def test_start_in_a_transaction_finds_the_answer_of_a_faster_statement(
    api: Client, scenario: Scenario, cached: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    claim = idempotency._claim
    faster: list[Any] = []

    def claimed_late(*args: Any) -> StoredAnswer | None:
        row = claim(*args)
        monkeypatch.undo()
        faster.extend(run_at_once(sender(api, "executions/", body)))
        return row

    # As after an edit: the first request has no cached versions.
    monkeypatch.setattr(closures, "cached_closure", lambda _: None)
    monkeypatch.setattr(idempotency, "_claim", claimed_late)
    slower = sender(api, "executions/", body)()
    assert_done_once([slower, *faster], 201)
    assert slower["Idempotency-Replayed"] == "true"
    assert Execution.objects.exclude(pk=cached.pk).count() == 1


def test_simultaneous_bulk_starts_with_one_key_are_one_start_each(
    api: Client, scenario: Scenario
) -> None:
    start = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    items = {"items": [start] * 4}
    for response in run_at_once(*[sender(api, "executions/bulk/start/", items)] * 4):
        for row in response.json()["results"]:
            assert row["problem"] is None or row["problem"]["code"] == "idempotency_key_in_use"
    again = sender(api, "executions/bulk/start/", items)()
    assert again.status_code == 200
    assert Execution.objects.count() == 4


def test_simultaneous_restarts_with_one_key_are_one_restart(
    api: Client, scenario: Scenario
) -> None:
    path = f"executions/{scenario.start().cuid}/restart/"
    assert_done_once(run_at_once(*[sender(api, path, {})] * 6), 201)
    assert Execution.objects.count() == 2
    assert AuditEntry.objects.filter(action="restarted").count() == 1


def test_request_is_rejected_while_its_key_is_in_use(
    api: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    started, go_on = threading.Event(), threading.Event()
    start = running.start

    def slow(*args: Any, **kwargs: Any) -> Execution:
        execution = start(*args, **kwargs)
        started.set()
        assert go_on.wait(PATIENCE)
        return execution

    monkeypatch.setattr(running, "start", slow)
    answers: list[Any] = []

    def first() -> None:
        try:
            answers.append(sender(api, "executions/", body)())
        finally:
            connection.close()

    thread = threading.Thread(target=first)
    thread.start()
    assert started.wait(PATIENCE)
    for other in (body, {**body, "scheduled_for": None}):
        response = sender(api, "executions/", other)()
        assert_problem(response, 409, "idempotency_key_in_use")
        assert response["Retry-After"] == "1"
    go_on.set()
    thread.join(PATIENCE)
    again = sender(api, "executions/", body)()
    assert (again.status_code, again.content) == (201, answers[0].content)
    assert again["Idempotency-Replayed"] == "true"
    assert Execution.objects.count() == 1


def kill(*args: Any, **kwargs: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run_until_killed(send: Callable[[], Any], prepare: Callable[[], None]) -> None:
    """Send the request in another process, in which ``prepare`` lets a function kill it."""
    connection.close()
    child = os.fork()
    if child == 0:
        try:
            prepare()
            send()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the process should have been killed"


@pytest.mark.parametrize(
    ("owner", "name", "done"),
    [
        # The work is done; its response is not written, written but not committed, or committed.
        (idempotency, "_store", False),
        (BaseDatabaseWrapper, "commit", False),
        (edit_options, "HttpResponse", True),
    ],
)
def test_killed_process_neither_repeats_nor_loses_a_start(
    api: Client, scenario: Scenario, owner: Any, name: str, done: bool
) -> None:
    body = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    send = sender(api, "executions/", body)
    claim = idempotency._claim

    def claimed(*args: Any) -> StoredAnswer | None:
        row = claim(*args)
        setattr(owner, name, kill)
        return row

    run_until_killed(send, lambda: setattr(idempotency, "_claim", claimed))
    assert Execution.objects.count() == StoredAnswer.objects.count() == done
    response = send()
    assert response.status_code == 201
    assert ("Idempotency-Replayed" in response.headers) == done
    assert Execution.objects.get().cuid == response.json()["cuid"]


@pytest.mark.parametrize(
    ("owner", "name", "done"),
    # Before and after the statement that writes the execution and the response.
    [(idempotency, "row_of", False), (edit_options, "HttpResponse", True)],
)
def test_killed_process_neither_repeats_nor_loses_a_cached_start(
    api: Client, scenario: Scenario, cached: Execution, owner: Any, name: str, done: bool
) -> None:
    body = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    send = sender(api, "executions/", body)
    new = Execution.objects.exclude(pk=cached.pk)
    run_until_killed(send, lambda: setattr(owner, name, kill))
    assert new.count() == StoredAnswer.objects.count() == done
    response = send()
    assert ("Idempotency-Replayed" in response.headers) == done
    assert new.get().cuid == response.json()["cuid"]
