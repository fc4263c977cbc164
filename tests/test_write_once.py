"""Write-once triggers of both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.migrations.operations import AlterField
from django.db.migrations.state import ProjectState

from executions import services as running
from executions.models import ClosureMember, Execution
from tests.conftest import Scenario
from tests.factories import FindingFactory, WorkflowFactory, form, save_line
from workflows.db import write_once
from workflows.guards.database_errors import find_refusal
from workflows.models import Reference, Unsealed, Version, unsealed

pytestmark = pytest.mark.django_db(transaction=True)


class Rows:
    """A live execution, an ended one, and other rows of the same models."""

    def __init__(self, scenario: Scenario) -> None:
        self.live = scenario.start()
        self.ended = scenario.start()
        running.submit(self.ended, node="form", data={"note": "n"})
        self.other = WorkflowFactory(entity_name_type=scenario.limitation)
        save_line(self.other, form())
        self.other_live = running.start(self.other, scenario.finding)
        self.idle = WorkflowFactory(entity_name_type=scenario.limitation)
        self.other_finding = FindingFactory(entity_name_type=scenario.limitation)


@pytest.fixture
def rows(scenario: Scenario) -> Rows:
    return Rows(scenario)


def update_row(model: Any, pk: int, **values: Any) -> None:
    model._base_manager.filter(pk=pk).update(**values)


REJECTED_UPDATES: dict[str, tuple[str, Callable[[Rows], None]]] = {
    "source of a version": (
        "version_in_use",
        lambda w: update_row(Version, w.live.version_id, source={"nodes": [], "edges": []}),
    ),
    "number of a version": (
        "version_in_use",
        lambda w: update_row(Version, w.live.version_id, number=9),
    ),
    "workflow of a version": (
        "version_in_use",
        lambda w: update_row(Version, w.idle.latest_version.pk, workflow=w.other, number=7),
    ),
    "checksum of a version": (
        "version_in_use",
        lambda w: update_row(Version, w.live.version_id, checksum="0"),
    ),
    "callee of a reference": (
        "version_in_use",
        lambda w: update_row(Reference, w.live.version.references.get().pk, callee=w.other),
    ),
    "node of a reference": (
        "version_in_use",
        lambda w: update_row(Reference, w.live.version.references.get().pk, node_id="x"),
    ),
    "workflow of an execution": (
        "execution_frozen",
        lambda w: update_row(
            Execution, w.live.pk, workflow=w.other, version=w.other.latest_version
        ),
    ),
    "entity of an execution": (
        "execution_frozen",
        lambda w: update_row(Execution, w.live.pk, entity=w.other_finding),
    ),
    "parent of an execution": (
        "execution_frozen",
        lambda w: update_row(Execution, w.live.pk, parent=w.other_live),
    ),
    "root of an execution": (
        "execution_frozen",
        lambda w: update_row(Execution, w.live.pk, root=w.other_live),
    ),
    "terminal status": (
        "execution_ended",
        lambda w: update_row(Execution, w.ended.pk, status="waiting"),
    ),
    "version of a pin": (
        "execution_frozen",
        lambda w: update_row(
            ClosureMember, w.ended.pins.get().pk, version=w.other.latest_version, callee=w.other
        ),
    ),
}


@pytest.mark.parametrize("name", REJECTED_UPDATES)
def test_update_of_write_once_column_is_rejected(rows: Rows, name: str) -> None:
    code, change = REJECTED_UPDATES[name]
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        change(rows)
    refusal = find_refusal(refused.value)
    assert refusal is not None
    assert refusal.code == code


def test_update_of_other_columns_is_accepted(rows: Rows) -> None:
    running.submit(rows.live, node="form", data={"note": "n"})
    update_row(Version, rows.other_live.version_id, created_by=None)
    rows.live.refresh_from_db()
    assert rows.live.status == "completed"


@pytest.mark.parametrize("what", ["reference", "pin"])
def test_row_is_deleted_only_with_its_parent(rows: Rows, what: str) -> None:
    row: models.Model = (
        rows.live.version.references.get() if what == "reference" else rows.ended.pins.get()
    )
    with pytest.raises(IntegrityError) as refused:
        type(row)._base_manager.filter(pk=row.pk)._raw_delete("default")
    assert find_refusal(refused.value) is not None
    rows.other_live.version.references.all().delete()
    rows.ended.delete()


def test_unsealed_row_can_be_updated_inside_the_block_only(rows: Rows) -> None:
    version = rows.live.version
    with transaction.atomic(), unsealed(version, why="mended"):
        update_row(Version, version.pk, notes="mended")
        with pytest.raises(IntegrityError), transaction.atomic():
            update_row(Version, rows.other_live.version_id, notes="not this one")
    version.refresh_from_db()
    assert version.notes == "mended"
    assert not Unsealed.objects.exists()
    with pytest.raises(IntegrityError), transaction.atomic():
        update_row(Version, version.pk, notes="again")


def test_unsealed_needs_a_transaction(rows: Rows) -> None:
    with (
        pytest.raises(transaction.TransactionManagementError),
        unsealed(rows.live.version, why="x"),
    ):
        pass


def test_flush_succeeds_and_keeps_the_triggers(scenario: Scenario) -> None:
    scenario.start()
    call_command("flush", interactive=False, verbosity=0)
    assert not Version.objects.exists()
    workflow = WorkflowFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        update_row(Version, workflow.latest_version.pk, number=9)


def test_triggers_are_restored_after_a_table_was_remade(rows: Rows) -> None:
    before = ProjectState.from_apps(Version._meta.apps)
    field: models.CharField[str, str] = models.CharField(max_length=65, editable=False)
    operation = AlterField("version", "checksum", field)
    after = before.clone()
    operation.state_forwards("workflows", after)
    write_once.remove(connection)
    with connection.schema_editor() as editor:
        operation.database_forwards("workflows", editor, before, after)
    write_once.install(connection)
    with pytest.raises(IntegrityError), transaction.atomic():
        update_row(Version, rows.live.version_id, number=9)
    write_once.remove(connection)
    with connection.schema_editor() as editor:
        operation.database_forwards("workflows", editor, after, before)
    write_once.install(connection)
