"""The keys of the schema are sufficient alone: raw SQL, and services without guards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from executions import services as running
from executions.models import Closure, ClosureMember, Entity, Execution
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    InventoryModelFactory,
    RecordTypeFactory,
    WorkflowFactory,
    call,
    form,
    save_line,
)
from workflows import editing, guards
from workflows.guards.database_errors import find_refusal, translate_deletion_errors
from workflows.models import FindingType, Reference, Version, Workflow

pytestmark = pytest.mark.django_db(transaction=True)


def raw(sql: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


class Rows:
    """The scenario with a callee of the callee, a waiting execution, and an older version.

    A second execution runs a version that calls ``dropped``; the latest version does not.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.leaf = WorkflowFactory(title="Leaf", entity_name_type=scenario.limitation)
        save_line(scenario.callee, call(self.leaf))
        self.dropped = WorkflowFactory(title="Dropped", entity_name_type=scenario.limitation)
        self.keeper = WorkflowFactory(title="Keeper", entity_name_type=scenario.limitation)
        save_line(self.keeper, form(), call(self.dropped))
        self.older = running.start(self.keeper, scenario.finding)
        save_line(self.keeper, form())
        self.execution = scenario.start()
        self.target = scenario.exception.pk

    def retype(self, table: str, pk: int) -> None:
        raw(f"UPDATE {table} SET entity_name_type_id = %s WHERE id = %s", self.target, pk)

    def state(self) -> list[Any]:
        return [
            list(model._base_manager.order_by("pk").values())
            for model in (Workflow, Version, Reference, Execution, Closure, ClosureMember)
        ]


@pytest.fixture
def rows(scenario: Scenario) -> Rows:
    return Rows(scenario)


def move_execution(rows: Rows) -> None:
    raw(
        "UPDATE executions_execution SET version_id = %s WHERE id = %s",
        rows.leaf.latest_version.pk,
        rows.execution.pk,
    )


def find_pin(rows: Rows) -> ClosureMember:
    return rows.execution.pins.get(callee=rows.leaf)


def change_type_without_versions(rows: Rows) -> None:
    raw("UPDATE workflows_version SET in_force = %s", False)
    rows.retype("workflows_workflow", rows.scenario.caller.pk)


STRANDING_STATEMENTS: dict[str, Callable[[Rows], None]] = {
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
        "UPDATE workflows_version SET in_force = %s WHERE id = %s", False, find_pin(w).version_id
    ),
    "reference let go alone": lambda w: raw(
        "UPDATE workflows_reference SET in_force = %s WHERE version_id = %s",
        False,
        w.execution.version_id,
    ),
    "pin let go alone": lambda w: raw(
        "UPDATE executions_closuremember SET key = NULL WHERE id = %s", find_pin(w).pk
    ),
    "closure let go alone": lambda w: raw(
        "UPDATE executions_closure SET context_key = NULL WHERE id = %s", w.execution.closure_id
    ),
    "closure of the execution removed": lambda w: raw(
        "UPDATE executions_execution SET closure_id = NULL WHERE id = %s", w.execution.pk
    ),
    "pin deleted": lambda w: raw(
        "DELETE FROM executions_closuremember WHERE id = %s", find_pin(w).pk
    ),
    "pin added": lambda w: raw(
        "INSERT INTO executions_closuremember (closure_id, callee_id, version_id, key)"
        " SELECT %s, callee_id, version_id, key FROM executions_closuremember"
        " WHERE closure_id = %s",
        w.execution.closure_id,
        w.older.closure_id,
    ),
    "closure deleted": lambda w: raw(
        "DELETE FROM executions_closure WHERE id = %s", w.execution.closure_id
    ),
    "version deleted": lambda w: raw(
        "DELETE FROM workflows_version WHERE id = %s", w.execution.version_id
    ),
    "execution moved to another workflow's version": move_execution,
    "context of the execution": lambda w: raw(
        "UPDATE executions_execution SET context_key = 'Finding:0:' WHERE id = %s", w.execution.pk
    ),
    "context of the pin": lambda w: raw(
        "UPDATE executions_closuremember SET key = 'Finding:0:' WHERE id = %s", find_pin(w).pk
    ),
    "both versions let go and the type": change_type_without_versions,
}


@pytest.mark.parametrize("name", STRANDING_STATEMENTS)
def test_database_rejects_raw_sql_that_would_strand_an_execution(rows: Rows, name: str) -> None:
    before = rows.state()
    with pytest.raises(IntegrityError), transaction.atomic():
        STRANDING_STATEMENTS[name](rows)
    assert rows.state() == before
    running.submit(rows.execution, node="form", data={"note": "n"})
    running.submit(rows.older, node="form", data={"note": "n"})
    assert not Execution.objects.live().exists()


def test_same_statement_strands_an_execution_without_the_keys(rows: Rows, vendor: str) -> None:
    if vendor == "postgresql":
        with pytest.raises(RuntimeError, match="undo"), transaction.atomic():
            raw("ALTER TABLE workflows_version DROP CONSTRAINT workflows_version_workflow_fk")
            raw("ALTER TABLE workflows_reference DROP CONSTRAINT workflows_reference_callee_fk")
            rows.retype("workflows_workflow", rows.scenario.callee.pk)
            assert has_inconsistent_context()
            raise RuntimeError("undo")
    else:
        raw("PRAGMA foreign_keys = OFF")
        try:
            rows.retype("workflows_workflow", rows.scenario.callee.pk)
        finally:
            raw("PRAGMA foreign_keys = ON")
        assert has_inconsistent_context()


def has_inconsistent_context() -> bool:
    """Return True if a workflow has another context than its version in force."""
    return any(
        version.context_key != version.workflow.context_key
        for version in Version.objects.filter(in_force=True).select_related("workflow")
    )


def _accept(*args: Any, **kwargs: Any) -> None:
    """Refuse nothing."""


@pytest.fixture
def without_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the guards by functions that accept everything."""
    for name in (
        "refuse_context_change",
        "refuse_executions",
        "refuse_referenced",
        "refuse_rewrite",
    ):
        monkeypatch.setattr(guards, name, _accept)


@pytest.mark.usefixtures("without_guards")
@pytest.mark.parametrize("who", ["caller", "callee"])
def test_keys_refuse_a_save_without_guards(scenario: Scenario, who: str) -> None:
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


@pytest.mark.usefixtures("without_guards")
def test_keys_refuse_a_context_change_without_guards(scenario: Scenario) -> None:
    scenario.start()
    with pytest.raises(guards.Refusal) as refused:
        editing.change_entity_context(
            [scenario.caller, scenario.callee], entity_name_type=scenario.exception
        )
    assert isinstance(refused.value.__cause__, IntegrityError)
    assert not has_inconsistent_context()


@pytest.mark.usefixtures("without_guards")
def test_keys_refuse_deletion_of_a_used_workflow_without_guards(scenario: Scenario) -> None:
    scenario.start()
    with pytest.raises(guards.Refusal):
        scenario.caller.delete()
    assert Workflow.objects.filter(pk=scenario.caller.pk).exists()


def test_rejection_by_a_key_becomes_the_refusal_of_the_guard(rows: Rows, vendor: str) -> None:
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        STRANDING_STATEMENTS["version let go"](rows)
    refusal = find_refusal(refused.value)
    assert refusal is not None
    assert refusal.code == ("active_executions" if vendor == "postgresql" else "database_refused")


def test_python_and_the_database_compute_the_same_context_key() -> None:
    record_type = RecordTypeFactory()
    model = InventoryModelFactory(primary_record_type=record_type)
    finding = FindingFactory(inventory_model_id=model.pk)
    for row in (model, finding):
        row.refresh_from_db()
        assert row.context_key == row.context.key
    assert model.context_key == f"InventoryModel::{record_type.pk}"
    assert finding.context_key == f"Finding:{finding.entity_name_type_id}:"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite checks keys at the commit.")
def test_keys_of_executions_and_steps_are_checked_in_each_statement() -> None:
    """A deferred check locks at the commit, out of order, and costs an event for each row."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE contype = 'f' AND condeferrable"
            " AND conrelid::regclass::text IN ('executions_execution', 'executions_step',"
            " 'executions_closure', 'executions_closuremember')"
        )
        assert not cursor.fetchall()


DELETED: dict[str, Callable[[Execution], Any]] = {
    "has_executions": lambda execution: Version.objects.filter(pk=execution.version_id),
    "entity_in_use": lambda execution: Entity.objects.filter(pk=execution.entity_id),
    "type_in_use": lambda execution: FindingType.objects.filter(
        pk=execution.entity.entity_name_type_id
    ),
}


@pytest.mark.postgresql  # SQLite does not name the key.
@pytest.mark.parametrize("code", DELETED)
def test_deletion_that_only_a_key_refuses_says_why(scenario: Scenario, code: str) -> None:
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    save_line(workflow, form())
    execution = running.start(workflow, scenario.finding)

    @translate_deletion_errors
    def delete() -> None:
        # As if the row had been put to use after the guards.
        with transaction.atomic():
            DELETED[code](execution)._raw_delete("default")

    with pytest.raises(guards.Refusal) as refused:
        delete()
    assert refused.value.code == code
