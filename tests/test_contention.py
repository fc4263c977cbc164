"""Services retry after contention and turn key violations into refusals."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import (
    DatabaseError,
    IntegrityError,
    OperationalError,
    connection,
    connections,
    transaction,
)

from executions import services as running
from executions.models import Execution, Job, Step
from executions.services.merging import merge_finding_types
from executions.worker import jobs
from tests.conftest import Scenario
from tests.executions.test_decisions import approval_graph
from tests.factories import FindingTypeFactory, UserFactory, WorkflowFactory, form, line, save_line
from workflows import editing
from workflows.db import locks
from workflows.guards import ActiveExecutions
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

Action = Callable[[], Any]
WRITES = ("INSERT", "UPDATE", "DELETE", "WITH", "EXECUTE")


@contextmanager
def failing_writes(*errors: DatabaseError) -> Iterator[list[str]]:
    """Raise these errors, one at each of the next writes; yield the failed statements."""
    left, failed = list(errors), []

    def fail(execute: Any, sql: str, *rest: Any) -> Any:
        if left and sql.lstrip(" (").upper().startswith(WRITES):
            failed.append(sql)
            raise left.pop(0)
        return execute(sql, *rest)

    with connection.execute_wrapper(fail):
        yield failed


def deadlock() -> DatabaseError:
    return OperationalError("database is locked")


def key_violation() -> DatabaseError:
    """Return the error of SQLite or psycopg2 when the key of a version's workflow rejects."""

    class Diagnosis:
        constraint_name = "workflows_version_workflow_fk"

    cause = Exception()
    cause.diag = Diagnosis()  # type: ignore[attr-defined]
    error = IntegrityError("CHECK constraint failed: workflows_version_workflow_fk")
    error.__cause__ = cause
    return error


def idle(scenario: Scenario) -> Workflow:
    workflow: Workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    save_line(workflow, form())
    return workflow


def napping(scenario: Scenario) -> Execution:
    workflow = idle(scenario)
    save_line(workflow, {"id": "nap", "type": "wait", "data": {"interval": "P1D"}})
    return running.start(workflow, scenario.finding)


def to_move(scenario: Scenario) -> Execution:
    execution = napping(scenario)
    save_line(execution.workflow, {"id": "nap", "type": "wait", "data": {"interval": "P2D"}})
    return execution


def with_incident(scenario: Scenario) -> Execution:
    execution = napping(scenario)
    Step.objects.filter(execution=execution).update(
        state="incident", incident={"code": "x", "detail": "x"}
    )
    Job.objects.all().delete()
    return execution


def find_job(scenario: Scenario) -> Job:
    napping(scenario)
    return Job.objects.get()


def voting(scenario: Scenario) -> Execution:
    UserFactory(username="ada")
    workflow = idle(scenario)
    editing.save_graph(workflow, approval_graph(users=["ada"]), based_on=1)
    return running.start(workflow, scenario.finding)


def save_graph(scenario: Scenario) -> Action:
    workflow = idle(scenario)
    return lambda: editing.save_graph(workflow, line(form("other")), based_on=1)


def change(scenario: Scenario) -> Action:
    workflow = idle(scenario)
    return lambda: editing.change_entity_context([workflow], entity_name_type=scenario.exception)


def hold(scenario: Scenario) -> Action:
    scenario.start()
    return lambda: scenario.hold()


def withdraw(scenario: Scenario) -> Action:
    scenario.start()
    pending = scenario.hold().pending
    assert pending is not None
    return lambda: editing.withdraw(pending)


def merge(scenario: Scenario) -> Action:
    source = FindingTypeFactory()
    WorkflowFactory(entity_name_type=source)
    return lambda: merge_finding_types(source, scenario.exception)


def save_draft(scenario: Scenario) -> Action:
    execution, user = scenario.start(), UserFactory()
    return lambda: running.save_draft(execution, node="form", data={}, by=user)


def claim(scenario: Scenario) -> Action:
    execution, user = scenario.start(), UserFactory()
    return lambda: running.claim(execution, node="form", by=user)


def unclaim(scenario: Scenario) -> Action:
    execution, user = scenario.start(), UserFactory()
    running.claim(execution, node="form", by=user)
    return lambda: running.unclaim(execution, node="form", by=user)


def comment(scenario: Scenario) -> Action:
    execution, user = scenario.start(), UserFactory()
    return lambda: running.comment(execution, text="t", by=user)


def withdraw_comment(scenario: Scenario) -> Action:
    user = UserFactory()
    row = running.comment(scenario.start(), text="t", by=user)
    return lambda: running.withdraw_comment(row, by=user)


def with_row(make: Callable[[Scenario], Any], act: Callable[[Any], Any]) -> Any:
    def prepare(scenario: Scenario) -> Action:
        row = make(scenario)
        return lambda: act(row)

    return prepare


SERVICES: dict[str, Callable[[Scenario], Action]] = {
    "retire": with_row(idle, editing.retire),
    "save_graph": save_graph,
    "change_entity_context": change,
    "put_on_hold": hold,
    "withdraw": withdraw,
    "delete": with_row(idle, lambda row: row.delete()),
    "delete_all": with_row(idle, lambda row: Workflow.objects.filter(pk=row.pk).delete()),
    "merge_finding_types": merge,
    "restart": with_row(Scenario.start, running.restart),
    "cancel": with_row(Scenario.start, running.cancel),
    "submit": with_row(
        Scenario.start, lambda row: running.submit(row, node="form", data={"note": "n"})
    ),
    "save_draft": save_draft,
    "vote": with_row(
        voting,
        lambda row: running.vote(row, node="vote", approves=True, by=User.objects.get()),
    ),
    "wake": with_row(napping, lambda row: running.wake(row, node="nap", why="now")),
    "retry": with_row(with_incident, lambda row: running.retry(row, node="nap", why="now")),
    "skip": with_row(with_incident, lambda row: running.skip(row, node="nap", why="now")),
    "postpone": with_row(
        napping,
        lambda row: running.postpone(
            row, node="nap", until=datetime(2099, 6, 1, tzinfo=UTC), why="now"
        ),
    ),
    "claim": claim,
    "unclaim": unclaim,
    "comment": comment,
    "withdraw_comment": withdraw_comment,
    "move": with_row(to_move, lambda row: running.move(row, why="now")),
    "finish_job": with_row(find_job, jobs.finish_job),
    "fail_job": with_row(find_job, lambda job: jobs.fail_job(job, "x", "It failed.")),
    "retry_job_later": with_row(find_job, lambda job: jobs.retry_job_later(job, "It failed.")),
}


@pytest.mark.parametrize("service", SERVICES)
def test_service_is_retried_after_a_deadlock(scenario: Scenario, service: str) -> None:
    act = SERVICES[service](scenario)
    with failing_writes(deadlock()) as failed:
        act()
    assert len(failed) == 1


@pytest.mark.parametrize("service", SERVICES)
def test_service_reports_contention_after_all_attempts(scenario: Scenario, service: str) -> None:
    act = SERVICES[service](scenario)
    deadlocks = [deadlock() for _ in range(locks.ATTEMPTS)]
    with failing_writes(*deadlocks) as failed, pytest.raises(locks.Contention):
        act()
    assert len(failed) == locks.ATTEMPTS


SECOND_TRIES = {"save_graph": 2, "put_on_hold": 2, "restart": locks.ATTEMPTS}
"""The number of rejections by a key after which services that retry give up."""


@pytest.mark.parametrize("service", SERVICES)
def test_service_refuses_when_a_database_key_rejects(scenario: Scenario, service: str) -> None:
    act = SERVICES[service](scenario)
    number = SECOND_TRIES.get(service, 1)
    errors = [key_violation() for _ in range(number)]
    with failing_writes(*errors) as failed, pytest.raises((ActiveExecutions, locks.Contention)):
        act()
    assert len(failed) == number


def test_contention_inside_a_transaction_is_not_retried(scenario: Scenario) -> None:
    execution = scenario.start()
    with (
        pytest.raises(locks.Contention) as contention,
        transaction.atomic(),
        failing_writes(deadlock()) as failed,
    ):
        running.cancel(execution)
    assert contention.value.within_transaction
    assert len(failed) == 1


def test_lock_needs_a_transaction(scenario: Scenario) -> None:
    rows = Workflow._base_manager.all()
    with pytest.raises(transaction.TransactionManagementError):
        locks.lock_rows(rows, [scenario.caller.pk], locks.Strength.KEY_SHARE)
    with pytest.raises(transaction.TransactionManagementError):
        locks.limit_wait()
    with pytest.raises(transaction.TransactionManagementError), locks.wait_at_most(10):
        pass


def read_twice(read: Callable[[], int]) -> tuple[int, int]:
    """Read, let another connection commit a workflow, and read again."""
    first = read()
    other = threading.Thread(target=_commit_a_workflow)
    other.start()
    other.join()
    return first, read()


def _commit_a_workflow() -> None:
    try:
        WorkflowFactory()
    finally:
        connections.close_all()


@pytest.mark.postgresql
def test_stable_snapshot_ignores_later_commits() -> None:
    with locks.stable_snapshot():
        before, after = read_twice(Workflow.objects.count)
    assert (before, after) == (0, 0)
    assert Workflow.objects.count() == 1


@pytest.mark.postgresql
def test_stable_snapshot_is_read_only() -> None:
    with pytest.raises(DatabaseError, match="read-only"), locks.stable_snapshot():
        WorkflowFactory()
