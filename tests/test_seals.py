"""What is written once is sealed in the database, on both vendors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.migrations.operations import AlterField
from django.db.migrations.state import ProjectState

from executions import services as running
from executions.models import Execution, Pin
from tests.conftest import Scenario
from tests.factories import FindingFactory, WorkflowFactory, drawn, form
from workflows.db import write_once
from workflows.guards.database_errors import as_refusal
from workflows.models import Reference, Unsealed, Version, unsealed

pytestmark = pytest.mark.django_db(transaction=True)


class World:
    """An execution that waits, one that has ended, and rows of the same kind beside them."""

    def __init__(self, scenario: Scenario) -> None:
        self.live = scenario.start()
        self.ended = scenario.start()
        running.submit(self.ended, node="form", data={"note": "n"})
        self.other = WorkflowFactory(entity_name_type=scenario.limitation)
        drawn(self.other, form())
        self.other_live = running.start(self.other, scenario.finding)
        self.idle = WorkflowFactory(entity_name_type=scenario.limitation)
        self.other_finding = FindingFactory(entity_name_type=scenario.limitation)


@pytest.fixture
def world(scenario: Scenario) -> World:
    return World(scenario)


def updated(model: Any, pk: int, **values: Any) -> None:
    model._base_manager.filter(pk=pk).update(**values)


SEALED: dict[str, tuple[str, Callable[[World], None]]] = {
    "source of a version": (
        "version_in_use",
        lambda w: updated(Version, w.live.version_id, source={"nodes": [], "edges": []}),
    ),
    "number of a version": (
        "version_in_use",
        lambda w: updated(Version, w.live.version_id, number=9),
    ),
    "workflow of a version": (
        "version_in_use",
        lambda w: updated(Version, w.idle.latest_version.pk, workflow=w.other, number=7),
    ),
    "checksum of a version": (
        "version_in_use",
        lambda w: updated(Version, w.live.version_id, checksum="0"),
    ),
    "callee of a reference": (
        "version_in_use",
        lambda w: updated(Reference, w.live.version.references.get().pk, callee=w.other),
    ),
    "node of a reference": (
        "version_in_use",
        lambda w: updated(Reference, w.live.version.references.get().pk, node_id="x"),
    ),
    "workflow of an execution": (
        "execution_frozen",
        lambda w: updated(Execution, w.live.pk, workflow=w.other, version=w.other.latest_version),
    ),
    "entity of an execution": (
        "execution_frozen",
        lambda w: updated(Execution, w.live.pk, entity=w.other_finding),
    ),
    "parent of an execution": (
        "execution_frozen",
        lambda w: updated(Execution, w.live.pk, parent=w.other_live),
    ),
    "root of an execution": (
        "execution_frozen",
        lambda w: updated(Execution, w.live.pk, root=w.other_live),
    ),
    "terminal status": (
        "execution_ended",
        lambda w: updated(Execution, w.ended.pk, status="waiting"),
    ),
    "version of a pin": (
        "execution_frozen",
        lambda w: updated(
            Pin, w.ended.pins.get().pk, version=w.other.latest_version, callee=w.other
        ),
    ),
}


@pytest.mark.parametrize("name", SEALED)
def test_what_is_written_once_is_sealed(world: World, name: str) -> None:
    code, change = SEALED[name]
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        change(world)
    refusal = as_refusal(refused.value)
    assert refusal is not None
    assert refusal.code == code


def test_what_changes_by_itself_is_not_sealed(world: World) -> None:
    running.submit(world.live, node="form", data={"note": "n"})
    updated(Version, world.other_live.version_id, created_by=None)
    assert not world.live.pins.live().exists()


@pytest.mark.parametrize("what", ["reference", "pin"])
def test_a_row_goes_only_with_its_parent(world: World, what: str) -> None:
    row: models.Model = (
        world.live.version.references.get() if what == "reference" else world.ended.pins.get()
    )
    with pytest.raises(IntegrityError) as refused:
        type(row)._base_manager.filter(pk=row.pk)._raw_delete("default")
    assert as_refusal(refused.value) is not None
    world.other_live.version.references.all().delete()
    world.ended.delete()


def test_an_opened_seal_lets_the_named_row_through_and_is_closed_again(world: World) -> None:
    version = world.live.version
    with transaction.atomic(), unsealed(version, why="mended"):
        updated(Version, version.pk, notes="mended")
        with pytest.raises(IntegrityError), transaction.atomic():
            updated(Version, world.other_live.version_id, notes="not this one")
    version.refresh_from_db()
    assert version.notes == "mended"
    assert not Unsealed.objects.exists()
    with pytest.raises(IntegrityError), transaction.atomic():
        updated(Version, version.pk, notes="again")


def test_a_seal_is_opened_inside_a_transaction_only(world: World) -> None:
    with (
        pytest.raises(transaction.TransactionManagementError),
        unsealed(world.live.version, why="x"),
    ):
        pass


def test_flush_goes_through_and_the_seals_survive_it(scenario: Scenario) -> None:
    scenario.start()
    call_command("flush", interactive=False, verbosity=0)
    assert not Version.objects.exists()
    workflow = WorkflowFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        updated(Version, workflow.latest_version.pk, number=9)


def test_the_seals_are_back_after_a_table_was_remade(world: World) -> None:
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
        updated(Version, world.live.version_id, number=9)
    write_once.remove(connection)
    with connection.schema_editor() as editor:
        operation.database_forwards("workflows", editor, after, before)
    write_once.install(connection)
