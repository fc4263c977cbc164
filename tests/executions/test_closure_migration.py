"""The migrations between pins and closures, there and back, with live and ended executions."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from executions import services as running
from executions.integrity import find_violations
from executions.models import Closure, Execution
from tests.conftest import Scenario
from tests.factories import WorkflowFactory, call, form, save_line
from workflows.models import Version

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

BEFORE = "0027"
FILL = import_module("executions.migrations.0029_closures_of_executions")


def migrate(*target: str) -> None:
    call_command("migrate", *target, verbosity=0)


def rows(sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def pins_of_roots() -> set[tuple[int, int, int]]:
    return {
        (root.pk, pin.callee_id, pin.version_id)
        for root in Execution.objects.filter(root=None)
        for pin in root.pins
    }


@pytest.fixture(autouse=True)
def _migrated_again(transactional_db: None) -> Iterator[None]:
    yield
    migrate()


def interrupt_after_two_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Migrate until the data migration is interrupted in its third batch."""
    monkeypatch.setattr(FILL, "BATCH", 1)
    move_batch = FILL.move_batch
    batches: list[list[int]] = []

    def interrupted(apps: Any, connection: Any, ids: list[int]) -> None:
        if len(batches) == 2:
            raise KeyboardInterrupt
        batches.append(ids)
        move_batch(apps, connection, ids)

    monkeypatch.setattr(FILL, "move_batch", interrupted)
    with pytest.raises(CommandError, match="Interrupted"):
        migrate()
    roots = Execution._base_manager.filter(root=None).order_by("pk")
    assert batches == [[pk] for pk in roots.values_list("pk", flat=True)[:2]]
    monkeypatch.setattr(FILL, "move_batch", move_batch)
    monkeypatch.setattr(FILL, "BATCH", 2)


def test_migrations_keep_pins_and_continue_after_an_interruption(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf = WorkflowFactory(title="Leaf", entity_name_type=scenario.limitation)
    save_line(scenario.callee, call(leaf))
    released = running.cancel(scenario.start())
    save_line(scenario.callee, form("inner"))
    live = [scenario.start() for _ in range(3)]
    running.submit(live[0], node="form", data={"note": "n"})
    ended = running.cancel(scenario.start())
    alone = running.start(scenario.callee, scenario.finding)
    before = pins_of_roots()
    assert len(before) == 2 + 3 + 1

    migrate("executions", BEFORE)
    found = rows("SELECT root_id, callee_id, version_id, held_key FROM executions_pin")
    assert {row[:3] for row in found} == before
    assert {row[0] for row in found if row[3]} == {row.pk for row in live}
    assert "executions_closure" not in connection.introspection.table_names()

    interrupt_after_two_batches(monkeypatch)
    migrate()
    assert pins_of_roots() == before
    ids = dict(Execution.objects.filter(root=None).values_list("pk", "closure_id"))
    [shared] = {ids[row.pk] for row in [*live, ended]}
    assert ids[alone.pk] is None
    keys = dict(Closure.objects.values_list("pk", "context_key"))
    assert keys == {shared: live[0].context_key, ids[released.pk]: None}
    assert find_violations() == []
    assert scenario.start().closure_id == shared
    with pytest.raises(IntegrityError), transaction.atomic():
        Version._base_manager.filter(workflow=scenario.callee, in_force=True).update(in_force=False)
    assert "executions_pin" not in connection.introspection.table_names()
    triggers = rows(
        "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
        if connection.vendor == "postgresql"
        else "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    )
    assert not [name for (name,) in triggers if name.startswith("executions_pin")]
