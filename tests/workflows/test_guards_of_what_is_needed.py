"""What something else needs: it is neither deleted, nor retired, nor written to."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from executions import services as running
from executions.models import Finding, Status
from tests.conftest import Scenario
from tests.factories import drawn, form
from workflows import editing, guards
from workflows.graph import WorkflowValidationError
from workflows.models import FindingType, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("laws")]


def test_a_called_workflow_is_not_deleted_and_an_idle_one_is(scenario: Scenario) -> None:
    with pytest.raises(guards.Referenced) as refused:
        scenario.callee.delete()
    assert [row.cuid for row in refused.value.blockers.workflows] == [scenario.caller.cuid]
    scenario.caller.delete()
    scenario.callee.delete()
    assert not Workflow.objects.exists()


def test_a_workflow_with_executions_is_not_deleted(scenario: Scenario) -> None:
    execution = scenario.start()
    running.cancel(execution)
    with pytest.raises(guards.HasExecutions) as refused:
        scenario.caller.delete()
    assert [row.cuid for row in refused.value.blockers.executions] == [execution.cuid]
    with pytest.raises(guards.HasExecutions):
        Workflow.objects.filter(pk=scenario.caller.pk).delete()


def test_pinned_workflow_is_not_deleted_when_its_caller_calls_it_no_more(
    scenario: Scenario,
) -> None:
    execution = scenario.start()
    drawn(scenario.caller, form())
    running.cancel(execution)
    with pytest.raises(guards.Referenced) as refused:
        scenario.callee.delete()
    assert [row.cuid for row in refused.value.blockers.workflows] == [scenario.caller.cuid]


def test_a_called_workflow_does_not_retire_until_its_callers_have(scenario: Scenario) -> None:
    with pytest.raises(guards.Referenced, match="Workflow 4"):
        editing.retire(scenario.callee)
    editing.retire(scenario.caller)
    editing.retire(scenario.callee)
    with pytest.raises(WorkflowValidationError, match="retired"):
        editing.set_state(scenario.caller, "active")
    editing.set_state(scenario.callee, "active")
    editing.set_state(scenario.caller, "active")
    assert scenario.caller.latest_version.in_force


def test_what_runs_on_a_retired_workflow_goes_on(scenario: Scenario) -> None:
    execution = scenario.start()
    editing.retire(scenario.caller)
    editing.retire(scenario.callee)
    running.submit(execution, node="form", data={"note": "x"})
    execution.refresh_from_db()
    assert execution.status == Status.COMPLETED


def test_a_used_type_is_not_deleted_and_an_unused_one_is(scenario: Scenario) -> None:
    with pytest.raises(guards.TypeInUse, match="2 workflows"):
        scenario.limitation.delete()
    with pytest.raises(guards.TypeInUse):
        FindingType.objects.filter(pk=scenario.limitation.pk).delete()
    scenario.exception.delete()
    assert FindingType.objects.count() == 1


def test_an_entity_keeps_its_type_while_executions_work_on_it(scenario: Scenario) -> None:
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


def test_a_version_that_something_has_is_neither_rewritten_nor_deleted(scenario: Scenario) -> None:
    version = scenario.start().version
    version.source = {"nodes": [], "edges": []}
    with pytest.raises(guards.VersionInUse):
        version.save()
    with pytest.raises(guards.VersionInUse):
        version.delete()
    with pytest.raises(guards.VersionInUse):
        version.references.get().delete()
