"""The keys of the schema hold alone: raw SQL, and a Python whose guards are gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from executions import services as running
from executions.models import Execution, Pin
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    InventoryModelFactory,
    RecordTypeFactory,
    WorkflowFactory,
    call,
    drawn,
    form,
)
from workflows import editing as drawing
from workflows import guards
from workflows.guards.database_errors import as_refusal
from workflows.models import Reference, Version, Workflow

pytestmark = pytest.mark.django_db(transaction=True)


def raw(sql: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


class World:
    """The scenario with a leaf below the callee, an execution waiting, and an older version:
    a second execution runs a version that called ``dropped``, which the latest does not.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.leaf = WorkflowFactory(title="Leaf", entity_name_type=scenario.limitation)
        drawn(scenario.callee, call(self.leaf))
        self.dropped = WorkflowFactory(title="Dropped", entity_name_type=scenario.limitation)
        self.keeper = WorkflowFactory(title="Keeper", entity_name_type=scenario.limitation)
        drawn(self.keeper, form(), call(self.dropped))
        self.older = running.start(self.keeper, scenario.finding)
        drawn(self.keeper, form())
        self.execution = scenario.start()
        self.target = scenario.exception.pk

    def retype(self, table: str, pk: int) -> None:
        raw(f"UPDATE {table} SET entity_name_type_id = %s WHERE id = %s", self.target, pk)

    def state(self) -> list[Any]:
        return [
            list(model._base_manager.order_by("pk").values())
            for model in (Workflow, Version, Reference, Execution, Pin)
        ]


@pytest.fixture
def world(scenario: Scenario) -> World:
    return World(scenario)


def moved(world: World) -> None:
    raw(
        "UPDATE executions_execution SET version_id = %s WHERE id = %s",
        world.leaf.latest_version.pk,
        world.execution.pk,
    )


def pinned(world: World) -> Pin:
    return world.execution.pins.get(callee=world.leaf)


def types_moved_without_versions(world: World) -> None:
    raw("UPDATE workflows_version SET in_force = %s", False)
    world.retype("workflows_workflow", world.scenario.caller.pk)


STRANDING: dict[str, Callable[[World], None]] = {
    "type of the workflow": lambda w: w.retype("workflows_workflow", w.scenario.caller.pk),
    "type of the callee": lambda w: w.retype("workflows_workflow", w.scenario.callee.pk),
    "type of the transitive callee": lambda w: w.retype("workflows_workflow", w.leaf.pk),
    "type of a callee of an older version": lambda w: w.retype("workflows_workflow", w.dropped.pk),
    "type of the entity": lambda w: w.retype("executions_entity", w.scenario.finding.pk),
    "type of the version": lambda w: w.retype("workflows_version", w.execution.version_id),
    "entity name of the workflow": lambda w: raw(
        "UPDATE workflows_workflow SET entity_name = 'InventoryModel' WHERE id = %s",
        w.scenario.caller.pk,
    ),
    "version let go": lambda w: raw(
        "UPDATE workflows_version SET in_force = %s WHERE id = %s", False, w.execution.version_id
    ),
    "older version let go": lambda w: raw(
        "UPDATE workflows_version SET in_force = %s WHERE id = %s", False, w.older.version_id
    ),
    "pinned version let go": lambda w: raw(
        "UPDATE workflows_version SET in_force = %s WHERE id = %s", False, pinned(w).version_id
    ),
    "reference let go alone": lambda w: raw(
        "UPDATE workflows_reference SET in_force = %s WHERE version_id = %s",
        False,
        w.execution.version_id,
    ),
    "pin let go alone": lambda w: raw(
        "UPDATE executions_pin SET live = %s WHERE root_id = %s", False, w.execution.pk
    ),
    "version deleted": lambda w: raw(
        "DELETE FROM workflows_version WHERE id = %s", w.execution.version_id
    ),
    "execution moved to another workflow's version": moved,
    "context of the execution": lambda w: raw(
        "UPDATE executions_execution SET context_key = 'Finding:0:' WHERE id = %s", w.execution.pk
    ),
    "context of the pin": lambda w: raw(
        "UPDATE executions_pin SET context_key = 'Finding:0:' WHERE root_id = %s", w.execution.pk
    ),
    "both versions let go and the type": types_moved_without_versions,
}


@pytest.mark.parametrize("name", STRANDING)
def test_raw_sql_that_would_strand_is_refused_by_the_database(world: World, name: str) -> None:
    before = world.state()
    with pytest.raises(IntegrityError), transaction.atomic():
        STRANDING[name](world)
    assert world.state() == before
    running.submit(world.execution, node="form", data={"note": "n"})
    running.submit(world.older, node="form", data={"note": "n"})
    assert not Execution.objects.live().exists()


def test_without_the_keys_the_same_statement_strands_it(world: World, vendor: str) -> None:
    if vendor == "postgresql":
        with pytest.raises(RuntimeError, match="undo"), transaction.atomic():
            raw("ALTER TABLE workflows_version DROP CONSTRAINT workflows_version_workflow_fk")
            raw("ALTER TABLE workflows_reference DROP CONSTRAINT workflows_reference_callee_fk")
            world.retype("workflows_workflow", world.scenario.callee.pk)
            assert torn_apart()
            raise RuntimeError("undo")
    else:
        raw("PRAGMA foreign_keys = OFF")
        try:
            world.retype("workflows_workflow", world.scenario.callee.pk)
        finally:
            raw("PRAGMA foreign_keys = ON")
        assert torn_apart()


def torn_apart() -> bool:
    """Whether a workflow has another context than its version in force."""
    return any(
        version.context_key != version.workflow.context_key
        for version in Version.objects.filter(in_force=True).select_related("workflow")
    )


def _accept(*args: Any, **kwargs: Any) -> None:
    """A guard that refuses nothing."""


@pytest.fixture
def no_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python whose guards accept everything."""
    for name in ("refuse_context_change", "refuse_used", "refuse_referenced", "refuse_rewrite"):
        monkeypatch.setattr(guards, name, _accept)


@pytest.mark.usefixtures("no_guards")
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_with_the_guards_removed_the_keys_still_refuse_a_save(scenario: Scenario, who: str) -> None:
    execution = scenario.start()
    workflow = Workflow.objects.get(pk=getattr(scenario, who).pk)
    workflow.entity_name_type = scenario.exception
    with pytest.raises(guards.Refusal) as refused:
        workflow.save()
    assert isinstance(refused.value.__cause__, IntegrityError)
    workflow.refresh_from_db()
    assert workflow.entity_name_type == scenario.limitation
    running.submit(execution, node="form", data={"note": "n"})
    execution.refresh_from_db()
    assert execution.status == "completed"


@pytest.mark.usefixtures("no_guards")
def test_with_the_guards_removed_the_keys_still_refuse_the_service(scenario: Scenario) -> None:
    scenario.start()
    with pytest.raises(guards.Refusal) as refused:
        drawing.change_entity_context(
            [scenario.caller, scenario.callee], entity_name_type=scenario.exception
        )
    assert isinstance(refused.value.__cause__, IntegrityError)
    assert not torn_apart()


@pytest.mark.usefixtures("no_guards")
def test_with_the_guards_removed_a_used_workflow_is_still_not_deleted(scenario: Scenario) -> None:
    scenario.start()
    with pytest.raises(guards.Refusal):
        scenario.caller.delete()
    assert Workflow.objects.filter(pk=scenario.caller.pk).exists()


def test_a_key_that_refuses_is_told_as_the_guards_refusal(world: World, vendor: str) -> None:
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        STRANDING["version let go"](world)
    refusal = as_refusal(refused.value)
    assert refusal is not None
    assert refusal.code == ("active_executions" if vendor == "postgresql" else "database_refused")


def test_python_and_the_database_write_a_context_the_same_way() -> None:
    record_type = RecordTypeFactory()
    model = InventoryModelFactory(primary_record_type=record_type)
    finding = FindingFactory(inventory_model_id=model.pk)
    for row in (model, finding):
        row.refresh_from_db()
        assert row.context_key == row.context.key
    assert model.context_key == f"InventoryModel::{record_type.pk}"
    assert finding.context_key == f"Finding:{finding.entity_name_type_id}:"
