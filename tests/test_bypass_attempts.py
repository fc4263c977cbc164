"""Attempts to bypass the rules, each refused, and live executions that complete nevertheless."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from executions import guards as running_guards
from executions import services as running
from executions.models import Entity, Execution, Finding, Status, Step
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    WorkflowFactory,
    call,
    form,
    save_line,
)
from tests.factories import line as source_of
from workflows import editing, guards
from workflows.graph import WorkflowValidationError
from workflows.models import Version, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]


def finish(execution: Execution) -> None:
    running.submit(execution, node="form", data={"note": "n"})
    execution.refresh_from_db()
    assert execution.status == Status.COMPLETED


def test_ended_child_is_not_deleted_while_its_root_is_live(scenario: Scenario) -> None:
    save_line(scenario.callee, form("inner"))
    execution = scenario.start()
    running.submit(execution, node="form", data={"note": "n"})
    child = execution.children.get()
    running.cancel(child)
    with pytest.raises(running_guards.ExecutionLive):
        child.delete()
    with pytest.raises(running_guards.ExecutionLive):
        Execution.objects.filter(pk=child.pk).delete()
    running.cancel(execution)
    execution.delete()
    assert not Execution.objects.exists()


def test_cuid_of_a_workflow_cannot_be_changed(scenario: Scenario) -> None:
    execution = scenario.start()
    callee = Workflow.objects.get(pk=scenario.callee.pk)
    callee.cuid = "x"
    with pytest.raises(guards.WriteOnce):
        callee.save()
    with pytest.raises(guards.WriteOnce):
        Workflow.objects.filter(pk=callee.pk).update(cuid="x")
    with pytest.raises(IntegrityError), transaction.atomic():
        Workflow._base_manager.filter(pk=callee.pk).update(cuid="x")
    finish(execution)


@pytest.mark.parametrize("fields", [["a"], "a", 1, None])
def test_entity_fields_must_be_an_object(scenario: Scenario, fields: Any) -> None:
    execution = scenario.start()
    scenario.finding.fields = fields
    with pytest.raises(running_guards.InvalidFields):
        scenario.finding.save()
    with pytest.raises(ValidationError):
        scenario.finding.full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        Entity._base_manager.filter(pk=scenario.finding.pk).update(fields=fields)
    finish(execution)


def test_save_of_an_open_step_is_accepted_while_it_stays_open(scenario: Scenario) -> None:
    execution = scenario.start()
    step = Step.objects.get(execution=execution)
    step.overdue = True
    step.save()
    step.state = Step.State.DONE
    with pytest.raises(running_guards.ExecutionFrozen):
        step.save()
    finish(execution)


def test_save_of_a_stale_entity_keeps_the_fields_of_executions(scenario: Scenario) -> None:
    stale = Finding.objects.get(pk=scenario.finding.pk)
    finish(scenario.start())
    stale.title = "Renamed"
    stale.save()
    row = Finding.objects.get(pk=stale.pk)
    assert (row.title, row.fields) == ("Renamed", {"note": "n"})
    row.fields["more"] = 1
    row.save()
    assert Finding.objects.get(pk=stale.pk).fields == {"note": "n", "more": 1}


def test_completed_child_stays_completed_when_its_parent_fails(
    scenario: Scenario,
) -> None:
    save_line(scenario.callee, form("inner"))
    caller = WorkflowFactory(entity_name_type=scenario.limitation)
    editing.save_graph(
        caller, source_of(call(scenario.callee), last={"id": "bad", "type": "fail"}), based_on=1
    )
    execution = running.start(caller, scenario.finding)
    child = execution.children.get()
    running.submit(child, node="inner", data={"note": "kept"})
    execution.refresh_from_db()
    child.refresh_from_db()
    assert (execution.status, child.status) == (Status.FAILED, Status.COMPLETED)
    assert child.steps.get(node_id="inner").output == {"note": "kept"}


def test_open_step_is_not_closed_or_deleted_without_the_services(scenario: Scenario) -> None:
    execution = scenario.start()
    step = execution.steps.open().get()
    with pytest.raises(running_guards.ExecutionFrozen):
        step.delete()
    with pytest.raises(running_guards.ExecutionFrozen):
        execution.steps.all().delete()
    step.state = "done"
    with pytest.raises(running_guards.ExecutionFrozen):
        step.save()
    assert Step.objects.open().count() == 1
    finish(execution)


def test_retired_caller_does_not_block_after_its_last_execution(scenario: Scenario) -> None:
    execution = scenario.start()
    editing.retire(scenario.caller)
    finish(execution)
    editing.change_entity_context([scenario.callee], entity_name_type=scenario.exception)
    assert not scenario.caller.latest_version.in_force


def test_latest_version_is_not_deleted_or_released(scenario: Scenario) -> None:
    version: Version = scenario.caller.latest_version
    with pytest.raises(guards.VersionInUse):
        version.delete()
    version.in_force = False
    with pytest.raises(guards.VersionInUse):
        version.save()
    assert scenario.caller.latest_version.in_force


def test_edit_of_a_deleted_row_is_refused(scenario: Scenario) -> None:
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    stale = Workflow.objects.get(pk=workflow.pk)
    workflow.delete()
    for edit in (
        stale.save,
        lambda: editing.save_graph(stale, source_of(), based_on=1),
        lambda: editing.retire(stale),
        lambda: editing.change_entity_context([stale], entity_name_type=scenario.exception),
        lambda: running.start(stale, scenario.finding),
    ):
        with pytest.raises(guards.RowDeleted):
            edit()
    assert not Workflow.objects.filter(pk=stale.pk).exists()
    finding = FindingFactory(entity_name_type=scenario.limitation)
    other = Finding.objects.get(pk=finding.pk)
    finding.delete()
    with pytest.raises(guards.RowDeleted):
        running.start(scenario.caller, other)


def test_unknown_type_and_unknown_state_are_refused() -> None:
    workflow = WorkflowFactory()
    row = Workflow.objects.get(pk=workflow.pk)
    row.entity_name_type_id = 10**6
    with pytest.raises(guards.NoSuchType):
        row.save()
    with pytest.raises(guards.InvalidState):
        editing.set_state(workflow, "bogus")
    finding_type = FindingTypeFactory()
    deleted = type(finding_type).objects.get(pk=finding_type.pk)
    finding_type.delete()
    with pytest.raises(guards.Refusal):
        editing.change_entity_context([workflow], entity_name_type=deleted)


def test_remedy_counts_the_executions_of_the_group(scenario: Scenario) -> None:
    busy = WorkflowFactory(title="Busy", entity_name_type=scenario.limitation)
    save_line(busy, form())
    running.start(busy, scenario.finding)
    top = WorkflowFactory(title="Top", entity_name_type=scenario.limitation)
    save_line(top, call(busy), call(scenario.callee, "other"))
    with pytest.raises(guards.IncompatibleEntityTypes) as refused:
        editing.change_entity_context([scenario.callee], entity_name_type=scenario.exception)
    remedies = {remedy.code: remedy for remedy in refused.value.remedies}
    assert remedies["finish_or_cancel"].workflows == [busy.cuid]
    assert busy.cuid in remedies["change_together"].workflows


def test_call_cycles_are_refused(scenario: Scenario) -> None:
    for callee in (scenario.callee, scenario.caller):
        with pytest.raises(WorkflowValidationError) as refused:
            editing.save_graph(
                scenario.callee,
                source_of(call(callee)),
                based_on=scenario.callee.latest_version.number,
            )
        assert refused.value.code == "call_cycle"
        assert refused.value.problems[0].pointer == "/nodes/1/data/workflow"
