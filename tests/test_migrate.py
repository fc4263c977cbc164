"""``manage.py migrate`` beside traffic: brief locks, repeated attempts, no absent triggers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.commands import migrate as django_migrate
from django.db import IntegrityError, OperationalError, connection, models, transaction
from django.db.migrations import Migration
from django.db.migrations.operations import AlterField
from django.db.migrations.state import ProjectState

from executions.models import Execution
from tests.conftest import Scenario
from workflows.apps import remove_triggers
from workflows.db import write_once
from workflows.db.migration_operations import (
    AddConstraintBesideTraffic,
    AddIndexBesideTraffic,
    UpdateInBatches,
)
from workflows.db.trigger_sql import TRIGGER_SQL, WriteOnceTrigger
from workflows.models import Version

pytestmark = pytest.mark.django_db(transaction=True)


def installed() -> dict[str, str]:
    with connection.cursor() as cursor:
        return TRIGGER_SQL.read_installed(cursor)


class LockTimeout(Exception):
    pgcode = "55P03"


def busy() -> OperationalError:
    error = OperationalError("canceling statement due to lock timeout")
    error.__cause__ = LockTimeout()
    return error


def test_migrate_tries_again_while_others_hold_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def handle(*args: Any, **options: Any) -> None:
        calls.append(1)
        if len(calls) < 3:
            raise busy()

    monkeypatch.setattr(django_migrate.Command, "handle", handle)
    monkeypatch.setattr("time.sleep", lambda _: None)
    errors = StringIO()
    call_command("migrate", verbosity=0, stderr=errors)
    assert len(calls) == 3
    assert errors.getvalue().count("Another transaction holds a lock") == 2


def test_migrate_exits_with_3_when_others_hold_locks_for_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def handle(*args: Any, **options: Any) -> None:
        raise busy()

    monkeypatch.setattr(django_migrate.Command, "handle", handle)
    with pytest.raises(CommandError, match="Other transactions hold locks for too long") as caught:
        call_command("migrate", verbosity=0, attempts=1, stderr=StringIO())
    assert caught.value.returncode == 3


def test_failed_migration_leaves_every_trigger_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    # Another test may have left a trigger as an older release made it.
    write_once.install(connection)
    before = installed()

    def handle(*args: Any, **options: Any) -> None:
        write_once.remove(connection)
        raise RuntimeError("no luck")

    monkeypatch.setattr(django_migrate.Command, "handle", handle)
    with pytest.raises(RuntimeError, match="no luck"):
        call_command("migrate", verbosity=0)
    assert installed() == before


def test_unchanged_triggers_are_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    write_once.install(connection)

    def refuse(*_: Any) -> bool:
        raise AssertionError("a trigger was replaced")

    monkeypatch.setattr(write_once, "_replace", refuse)
    assert write_once.install(connection) == []


def test_changed_trigger_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "workflows_workflow_sealed"
    before = installed()
    changed = WriteOnceTrigger(name, "workflows_workflow", ("cuid", "created_at"))
    with monkeypatch.context() as patched:
        patched.setitem(write_once._triggers, name, changed)
        write_once.install(connection)
        assert {key for key in before if installed()[key] != before[key]} == {name}
    write_once.install(connection)
    assert installed() == before


@pytest.mark.postgresql
def test_migration_beside_traffic_keeps_the_triggers() -> None:
    before = installed()
    later: Any = type("Later", (Migration,), {"beside_traffic": True})("9999_later", "executions")
    remove_triggers("default", [(later, False)])
    assert installed() == before
    remove_triggers("default", [(Migration("9999_later", "executions"), False)])
    assert "executions_execution_sealed" not in installed()
    write_once.install(connection)


@contextmanager
def migrated(app: str, *operations: Any, atomic: bool = True) -> Iterator[None]:
    """Apply operations, and undo them after the block."""
    states = [ProjectState.from_apps(Version._meta.apps)]
    for operation in operations:
        states.append(states[-1].clone())
        operation.state_forwards(app, states[-1])
    steps = list(zip(operations, states, states[1:], strict=False))
    for operation, before, after in steps:
        with connection.schema_editor(atomic=atomic) as editor:
            operation.database_forwards(app, editor, before, after)
    yield
    for operation, before, after in reversed(steps):
        with connection.schema_editor(atomic=atomic) as editor:
            operation.database_backwards(app, editor, after, before)


@pytest.mark.postgresql
def test_trigger_stays_when_a_migration_alters_its_column(scenario: Scenario) -> None:
    version = scenario.start().version
    before = installed()
    field: models.TextField[str, str] = models.TextField(editable=False)
    with migrated("workflows", AlterField("version", "checksum", field)):
        assert installed() == before
        with pytest.raises(IntegrityError), transaction.atomic():
            Version._base_manager.filter(pk=version.pk).update(checksum="0")
    assert installed() == before


INDEX = models.Index(fields=["started_at"], name="executions_tried_index")
CHECK = models.CheckConstraint(
    condition=models.Q(started_at__isnull=False), name="executions_tried_check"
)


@pytest.mark.both_databases
def test_operations_beside_traffic_can_be_repeated_and_undone(scenario: Scenario) -> None:
    scenario.start()

    def names() -> set[str]:
        with connection.cursor() as cursor:
            table = Execution._meta.db_table
            return set(connection.introspection.get_constraints(cursor, table))

    batches = UpdateInBatches("executions_entity", "title = title || '!'", "title NOT LIKE '%%!'")
    operations = (
        AddIndexBesideTraffic("execution", INDEX),
        AddConstraintBesideTraffic("execution", CHECK),
    )
    if connection.vendor == "sqlite":
        write_once.remove(connection)
    with migrated("executions", *operations, atomic=False):
        assert {INDEX.name, CHECK.name} <= names()
        with migrated("executions", batches, atomic=False):
            scenario.finding.refresh_from_db()
            assert scenario.finding.title == "Finding 1!"
    assert not {INDEX.name, CHECK.name} & names()
    write_once.install(connection)


@pytest.mark.postgresql
def test_operations_beside_traffic_need_a_migration_without_transaction() -> None:
    operation = AddIndexBesideTraffic("execution", INDEX)
    with (
        pytest.raises(transaction.TransactionManagementError, match="needs atomic = False"),
        migrated("executions", operation),
    ):
        pass
