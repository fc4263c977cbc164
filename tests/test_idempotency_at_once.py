"""One Idempotency-Key from several requests at the same instant, and from a process that is
killed, on PostgreSQL.
"""

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
from executions.models import Execution
from tests.conftest import Scenario
from tests.workflows.api.clients import Client, assert_problem, client_of
from workflows.api.base import edit_options
from workflows.models import AuditEntry, KeptAnswer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("laws"),
    pytest.mark.postgresql,
]

PATIENCE = 20
KEY = {"Idempotency-Key": "k-1"}


@pytest.fixture
def api(transactional_db: None) -> Client:
    return client_of(superuser=True)


def same(client: Client) -> Client:
    """Another client of the same user."""
    other = Client()
    other.cookies = client.cookies
    return other


def sender(client: Client, path: str, body: Any) -> Callable[[], Any]:
    return lambda: same(client).post(path, body, headers=KEY)


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """What they come to, each in a thread of its own, all beginning in the same instant."""
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


def judge(outcomes: list[Any], made: int) -> None:
    """One has done it; each other has the same answer, or is told to come again."""
    done = [row for row in outcomes if row.status_code == made]
    assert len({row.content for row in done}) == 1
    assert sum("Idempotency-Replayed" not in row.headers for row in done) == 1
    for row in outcomes:
        if row not in done:
            assert_problem(row, 409, "idempotency_key_in_use")


@pytest.mark.parametrize("number", range(5))
def test_a_start_that_comes_several_times_at_once_is_one_start(
    api: Client, scenario: Scenario, number: int
) -> None:
    body = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    judge(at_once(*[sender(api, "executions/", body)] * 6), 201)
    assert Execution.objects.count() == 1
    assert KeptAnswer.objects.count() == 1


def test_many_starts_that_come_several_times_at_once_are_each_one(
    api: Client, scenario: Scenario
) -> None:
    start = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    items = {"items": [start] * 4}
    for response in at_once(*[sender(api, "executions/bulk/start/", items)] * 4):
        for row in response.json()["results"]:
            assert row["problem"] is None or row["problem"]["code"] == "idempotency_key_in_use"
    again = sender(api, "executions/bulk/start/", items)()
    assert again.status_code == 200
    assert Execution.objects.count() == 4


def test_a_restart_that_comes_several_times_at_once_is_one(api: Client, scenario: Scenario) -> None:
    path = f"executions/{scenario.start().cuid}/restart/"
    judge(at_once(*[sender(api, path, {})] * 6), 201)
    assert Execution.objects.count() == 2
    assert AuditEntry.objects.filter(action="restarted").count() == 1


def test_whoever_comes_while_it_is_under_way_is_told_to_come_again(
    api: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    begun, go_on = threading.Event(), threading.Event()
    start = running.start

    def slow(*args: Any, **kwargs: Any) -> Execution:
        execution = start(*args, **kwargs)
        begun.set()
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
    assert begun.wait(PATIENCE)
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


@pytest.mark.parametrize(
    ("owner", "name", "done"),
    [
        # The work is done, and its answer is not written; is written; is committed.
        (KeptAnswer, "save", False),
        (BaseDatabaseWrapper, "commit", False),
        (edit_options, "HttpResponse", True),
    ],
)
def test_a_process_that_is_killed_neither_doubles_nor_loses_a_start(
    api: Client, scenario: Scenario, owner: Any, name: str, done: bool
) -> None:
    body = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
    send = sender(api, "executions/", body)
    connection.close()
    child = os.fork()
    if child == 0:
        try:
            claim = KeptAnswer.objects.create

            def claimed(**values: Any) -> KeptAnswer:
                row = claim(**values)
                setattr(owner, name, kill)
                return row

            KeptAnswer.objects.create = claimed  # type: ignore[method-assign]
            send()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it was to be killed"
    assert Execution.objects.count() == KeptAnswer.objects.count() == done
    response = send()
    assert response.status_code == 201
    assert ("Idempotency-Replayed" in response.headers) == done
    assert Execution.objects.get().cuid == response.json()["cuid"]
