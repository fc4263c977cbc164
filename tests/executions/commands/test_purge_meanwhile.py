"""``manage.py purge_executions`` while others delete the same rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from executions import services as running
from executions.integrity import find_violations
from executions.management.commands import purge_executions
from executions.models import Execution
from executions.services import purging
from tests.commands import main
from tests.conftest import Scenario
from tests.factories import WorkflowFactory, form, save_line
from workflows import guards
from workflows.models import Version, Workflow

pytestmark = pytest.mark.django_db(transaction=True)

PURGE = ("purge_executions", "--older-than", "90d", "--versions", "--json")
MEANWHILE = "it was deleted meanwhile"


@pytest.fixture
def ended_roots(scenario: Scenario) -> list[Execution]:
    """Two trees of executions that ended 100 days ago."""
    found = []
    for _ in range(2):
        execution = scenario.start()
        running.submit(execution, node="form", data={"note": "n"})
        found.append(execution)
    moment = timezone.now() - timedelta(days=100)
    Execution._base_manager.update(ended_at=moment)
    return found


@pytest.fixture
def superseded(scenario: Scenario) -> list[Version]:
    """Two superseded versions of two workflows, whose executions ended 100 days ago."""
    workflows = WorkflowFactory.create_batch(2, entity_name_type=scenario.limitation)
    found = []
    for workflow in workflows:
        save_line(workflow, form("first"))
        running.cancel(running.start(workflow, scenario.finding))
        found.append(workflow.latest_version)
        save_line(workflow, form("second"))
    Execution._base_manager.update(ended_at=timezone.now() - timedelta(days=100))
    return found


@contextmanager
def before_statement(number: int, interfere: Callable[[], object]) -> Iterator[None]:
    """Call a function before the statement with this number, as another process would.

    Statements inside transactions do not count, because the rows are locked then.
    """
    seen: list[str] = []

    def wrapper(execute: Any, sql: str, *arguments: Any) -> Any:
        if not connection.in_atomic_block:
            seen.append(sql)
            if len(seen) == number + 1:
                interfere()
        return execute(sql, *arguments)

    with connection.execute_wrapper(wrapper):
        yield
    assert len(seen) > number


def purge() -> dict[str, Any]:
    code, out, err = main(*PURGE)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def delete_first(model: Any, rows: list[Any]) -> Callable[[], None]:
    """Return a function that deletes the first of these rows, if that is possible."""

    def delete() -> None:
        for row in model.objects.filter(pk=rows[0].pk):
            with suppress(guards.Refusal):
                row.delete()

    return delete


@pytest.mark.parametrize("at", range(7))
def test_purge_continues_when_workflow_is_deleted_meanwhile(
    scenario: Scenario, superseded: list[Version], at: int
) -> None:
    workflows = [version.workflow for version in superseded]
    with before_statement(at, delete_first(Workflow, workflows)):
        done = purge()

    skipped = done["retained"].get(MEANWHILE, {"number": 0})["number"]
    assert done["versions"] + skipped in (1, 2)
    assert not Version.objects.filter(pk=superseded[1].pk).exists()
    assert find_violations() == []


def test_purge_reports_version_whose_workflow_was_deleted_meanwhile(
    scenario: Scenario, superseded: list[Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    delete, workflow = Version.delete, superseded[0].workflow

    def delete_late(version: Version, *arguments: Any) -> Any:
        if version == superseded[0]:
            workflow.delete()
        return delete(version, *arguments)

    monkeypatch.setattr(Version, "delete", delete_late)
    done = purge()

    assert done["versions"] == 1
    assert done["retained"][MEANWHILE] == {"number": 1, "cuids": [superseded[0].cuid]}


def test_second_deletion_of_version_is_refused(
    scenario: Scenario, superseded: list[Version]
) -> None:
    version, again = superseded[0], Version.objects.get(pk=superseded[0].pk)
    Execution._base_manager.filter(version=version).delete()
    version.delete()
    with pytest.raises(guards.RowDeleted):
        again.delete()


@pytest.mark.parametrize("at", range(4))
def test_purge_continues_when_execution_is_deleted_meanwhile(
    ended_roots: list[Execution], at: int
) -> None:
    with before_statement(at, delete_first(Execution, ended_roots)):
        done = purge()

    skipped = done["retained"].get(MEANWHILE, {"number": 0})["number"]
    assert done["trees"] + skipped in (1, 2)
    assert not Execution.objects.exists()


def test_purge_reports_tree_that_was_deleted_meanwhile(
    ended_roots: list[Execution], monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = purging._delete

    def delete_late(*arguments: Any) -> Any:
        ended_roots[0].delete()
        return delete(*arguments)

    monkeypatch.setattr(purging, "_delete", delete_late)
    done = purge()

    assert done["trees"] == 1
    assert done["retained"][MEANWHILE] == {"number": 1, "cuids": [ended_roots[0].cuid]}


def test_interrupted_purge_reports_deleted_versions(
    scenario: Scenario, superseded: list[Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = Version.delete

    def delete_one(version: Version, *arguments: Any) -> Any:
        if version == superseded[1]:
            raise KeyboardInterrupt
        return delete(version, *arguments)

    Execution._base_manager.all().delete()
    monkeypatch.setattr(Version, "delete", delete_one)
    code, out, err = main(*PURGE)

    assert code == 1 and "Run the command again" in err
    assert json.loads(out)["versions"] == 1


def test_dry_run_of_purge_reads_one_snapshot(
    ended_roots: list[Execution], monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[tuple[bool, bool]] = []
    follow = purge_executions.Command._follow

    def observe(*arguments: Any) -> None:
        states.append((connection.in_atomic_block, is_read_only()))
        follow(*arguments)

    monkeypatch.setattr(purge_executions.Command, "_follow", observe)
    assert main(*PURGE, "--dry-run")[0] == 0
    assert main(*PURGE)[0] == 0
    assert states == [(True, connection.vendor == "postgresql"), (False, False)]


def is_read_only() -> bool:
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        return bool(cursor.fetchone()[0] == "on")
