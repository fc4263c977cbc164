"""Rows in use are not deleted, retired or changed."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from executions import services as running
from executions.models import Finding, Status
from tests.conftest import Scenario
from tests.factories import form, save_line
from workflows import editing, guards
from workflows.graph import WorkflowValidationError
from workflows.models import FindingType, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]


def test_called_workflow_is_not_deleted_and_unused_one_is(scenario: Scenario) -> None:
    with pytest.raises(guards.HasCallers) as refused:
        scenario.callee.delete()
    assert [row.cuid for row in refused.value.blockers.workflows] == [scenario.caller.cuid]
    scenario.caller.delete()
    scenario.callee.delete()
    assert not Workflow.objects.exists()


def test_workflow_with_executions_is_not_deleted(scenario: Scenario) -> None:
    execution = scenario.start()
    running.cancel(execution)
    with pytest.raises(guards.HasExecutions) as refused:
        scenario.caller.delete()
    assert [row.cuid for row in refused.value.blockers.executions] == [execution.cuid]
    with pytest.raises(guards.HasExecutions):
        Workflow.objects.filter(pk=scenario.caller.pk).delete()


def test_pinned_workflow_is_not_deleted_after_its_last_call_was_removed(
    scenario: Scenario,
) -> None:
    execution = scenario.start()
    save_line(scenario.caller, form())
    running.cancel(execution)
    with pytest.raises(guards.HasCallers) as refused:
        scenario.callee.delete()
    assert [row.cuid for row in refused.value.blockers.workflows] == [scenario.caller.cuid]


def test_called_workflow_retires_only_after_its_callers(scenario: Scenario) -> None:
    with pytest.raises(guards.HasCallers, match="Workflow 4"):
        editing.retire(scenario.callee)
    editing.retire(scenario.caller)
    editing.retire(scenario.callee)
    with pytest.raises(WorkflowValidationError, match="retired"):
        editing.set_state(scenario.caller, "active")
    editing.set_state(scenario.callee, "active")
    editing.set_state(scenario.caller, "active")
    assert scenario.caller.latest_version.in_force


def test_execution_of_a_retired_workflow_continues(scenario: Scenario) -> None:
    execution = scenario.start()
    editing.retire(scenario.caller)
    editing.retire(scenario.callee)
    running.submit(execution, node="form", data={"note": "x"})
    execution.refresh_from_db()
    assert execution.status == Status.COMPLETED


def test_type_in_use_is_not_deleted_and_unused_one_is(scenario: Scenario) -> None:
    with pytest.raises(guards.TypeInUse, match="2 workflows"):
        scenario.limitation.delete()
    with pytest.raises(guards.TypeInUse):
        FindingType.objects.filter(pk=scenario.limitation.pk).delete()
    scenario.exception.delete()
    assert FindingType.objects.count() == 1


def test_entity_type_is_not_changed_while_executions_are_live(scenario: Scenario) -> None:
    execution = scenario.start()
    finding = Finding.objects.get(pk=scenario.finding.pk)
    finding.entity_name_type = scenario.exception
    with pytest.raises(ValidationError) as refused:
        finding.save()
    assert refused.value.code == "entity_in_use"
    running.cancel(execution)
    finding.save()
    finding.refresh_from_db()
    assert finding.entity_name_type == scenario.exception
    with pytest.raises(ValidationError) as refused_too:
        finding.delete()
    assert refused_too.value.code == "entity_in_use"


def test_version_in_use_is_not_rewritten_or_deleted(scenario: Scenario) -> None:
    version = scenario.start().version
    version.source = {"nodes": [], "edges": []}
    with pytest.raises(guards.VersionInUse):
        version.save()
    with pytest.raises(guards.VersionInUse):
        version.delete()
    with pytest.raises(guards.VersionInUse):
        version.references.get().delete()
