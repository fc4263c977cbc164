"""The guards of a workflow's entity context, through the model and the services."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from pytest_django import DjangoAssertNumQueries

from executions import services as running
from executions.models import Execution, Status
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    InventoryModelFactory,
    RecordTypeFactory,
    WorkflowFactory,
    call,
    form,
    save_line,
)
from workflows import editing, guards
from workflows.editing import change_context, context_change
from workflows.graph import WorkflowValidationError
from workflows.models import AuditEntry, FindingType, Version, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]

OWN = "Cannot change finding type while this workflow has active executions."
DEPENDENT = "Cannot change finding type: workflows referencing this one have active executions."


def change(workflow: Workflow, finding_type: FindingType) -> None:
    """Change the type as a shell user would."""
    row = Workflow.objects.get(pk=workflow.pk)
    row.entity_name_type = finding_type
    row.save()


def type_of(workflow: Workflow) -> str:
    row = Workflow.objects.select_related("entity_name_type").get(pk=workflow.pk)
    assert row.entity_name_type is not None
    return str(row.entity_name_type.name)


def test_type_change_of_a_callee_is_refused_while_a_caller_runs(scenario: Scenario) -> None:
    execution = scenario.start()
    assert execution.status == Status.WAITING
    with pytest.raises(guards.ActiveExecutions) as refused:
        change(scenario.caller, scenario.exception)
    assert refused.value.message == OWN
    with pytest.raises(guards.DependentActiveExecutions) as refused_too:
        change(scenario.callee, scenario.exception)
    assert refused_too.value.message == DEPENDENT
    running.submit(execution, node="form", data={"note": "done"})
    execution.refresh_from_db()
    assert execution.status == Status.COMPLETED
    assert [child.status for child in execution.children.all()] == [Status.COMPLETED]
    editing.change_entity_context(
        [scenario.caller, scenario.callee], entity_name_type=scenario.exception
    )
    assert type_of(scenario.caller) == type_of(scenario.callee) == "Policy Exception"


class TestGuard1OwnExecutions:
    @pytest.mark.parametrize("status", ["scheduled", "active", "waiting"])
    def test_change_is_refused_for_every_live_status(self, scenario: Scenario, status: str) -> None:
        execution = scenario.start()
        Execution._base_manager.filter(pk=execution.pk).update(status=status)
        with pytest.raises(guards.ActiveExecutions) as refused:
            change(scenario.caller, scenario.exception)
        assert refused.value.code == "active_executions"
        assert [row.cuid for row in refused.value.blockers.executions] == [execution.cuid]
        assert refused.value.blockers.executions[0].status == status
        assert "finish_or_cancel" in [remedy.code for remedy in refused.value.remedies]
        assert type_of(scenario.caller) == "Model Limitation"

    @pytest.mark.parametrize("end", ["completed", "cancelled"])
    def test_change_is_accepted_after_the_execution_ended(self, end: str) -> None:
        workflow = WorkflowFactory()
        save_line(workflow, form())
        execution = running.start(
            workflow, FindingFactory(entity_name_type=workflow.entity_name_type)
        )
        if end == "completed":
            running.submit(execution, node="form", data={"note": "x"})
        else:
            running.cancel(execution)
        other = FindingTypeFactory()
        change(workflow, other)
        assert type_of(workflow) == other.name
        latest = workflow.latest_version
        assert latest.number == 2
        assert latest.entity_name_type == other
        assert not workflow.versions.get(number=1).in_force

    def test_clean_puts_the_refusal_on_the_field(self, scenario: Scenario) -> None:
        execution = scenario.start()
        row = Workflow.objects.get(pk=scenario.caller.pk)
        row.entity_name_type = scenario.exception
        with pytest.raises(ValidationError) as refused:
            row.full_clean()
        [refusal] = refused.value.error_dict["entity_name_type"]
        assert isinstance(refusal, guards.ActiveExecutions)
        assert refusal.message == OWN
        assert [row.cuid for row in refusal.blockers.executions] == [execution.cuid]

    @pytest.mark.parametrize("number", [1, 20, 22])
    def test_refusal_lists_20_executions_and_counts_all(self, number: int) -> None:
        workflow = WorkflowFactory()
        save_line(workflow, form())
        finding = FindingFactory(entity_name_type=workflow.entity_name_type)
        for _ in range(number):
            running.start(workflow, finding)
        with pytest.raises(guards.ActiveExecutions) as refused:
            change(workflow, FindingTypeFactory())
        assert len(refused.value.blockers.executions) == min(number, 20)
        assert refused.value.blockers.total == number

    @pytest.mark.parametrize("number", [1, 20, 22])
    def test_refusal_lists_20_workflows_and_counts_all(self, number: int) -> None:
        callee = WorkflowFactory()
        for _ in range(number):
            save_line(WorkflowFactory(entity_name_type=callee.entity_name_type), call(callee))
        with pytest.raises(guards.HasCallers) as refused:
            editing.retire(callee)
        assert len(refused.value.blockers.workflows) == min(number, 20)
        assert refused.value.blockers.total == number

    def test_change_of_entity_name_is_refused(self, scenario: Scenario) -> None:
        scenario.start()
        row = Workflow.objects.get(pk=scenario.caller.pk)
        row.entity_name = "InventoryModel"
        row.entity_name_type = None
        row.primary_record_type = RecordTypeFactory()
        with pytest.raises(guards.ActiveExecutions, match=OWN):
            row.save()

    def test_change_of_record_type_is_refused(self) -> None:
        record_type = RecordTypeFactory()
        workflow = WorkflowFactory(
            entity_name="InventoryModel", entity_name_type=None, primary_record_type=record_type
        )
        save_line(workflow, form())
        running.start(workflow, InventoryModelFactory(primary_record_type=record_type))
        workflow.refresh_from_db()
        workflow.primary_record_type = RecordTypeFactory()
        with pytest.raises(guards.ActiveExecutions, match=OWN):
            workflow.save()

    def test_other_settings_can_change_while_executions_are_live(self, scenario: Scenario) -> None:
        scenario.start()
        row = Workflow.objects.get(pk=scenario.caller.pk)
        row.title = "Renamed"
        row.save()
        Workflow.objects.filter(pk=row.pk).update(description="Described")
        row.refresh_from_db()
        assert (row.title, row.description) == ("Renamed", "Described")
        assert row.latest_version.number == 1


class TestGuard2Dependents:
    @pytest.fixture
    def chain(self, scenario: Scenario) -> tuple[Workflow, Scenario]:
        """Return a leaf that the caller reaches through two calls."""
        leaf = WorkflowFactory(title="Leaf", entity_name_type=scenario.limitation)
        save_line(scenario.callee, call(leaf))
        return leaf, scenario

    def test_change_is_refused_by_an_execution_of_a_caller(self, scenario: Scenario) -> None:
        execution = scenario.start()
        with pytest.raises(guards.DependentActiveExecutions) as refused:
            change(scenario.callee, scenario.exception)
        assert refused.value.code == "dependent_active_executions"
        assert [row.cuid for row in refused.value.blockers.executions] == [execution.cuid]
        codes = [problem.code for problem in refused.value.problems]
        assert codes == ["dependent_active_executions", "incompatible_entity_types"]

    def test_change_is_refused_by_an_execution_of_a_transitive_caller(
        self, chain: tuple[Workflow, Scenario]
    ) -> None:
        leaf, scenario = chain
        execution = scenario.start()
        with pytest.raises(guards.DependentActiveExecutions) as refused:
            change(leaf, scenario.exception)
        assert [row.cuid for row in refused.value.blockers.executions] == [execution.cuid]

    def test_change_is_refused_by_an_execution_of_an_older_calling_version(
        self, scenario: Scenario
    ) -> None:
        execution = scenario.start()
        save_line(scenario.caller, form())
        assert execution.version.number == 1
        assert scenario.caller.latest_version.number == 2
        with pytest.raises(guards.DependentActiveExecutions) as refused:
            change(scenario.callee, scenario.exception)
        assert [row.cuid for row in refused.value.blockers.executions] == [execution.cuid]
        running.submit(execution, node="form", data={"note": "x"})
        change(scenario.callee, scenario.exception)
        assert type_of(scenario.callee) == "Policy Exception"

    def test_change_of_a_transitive_callee_of_an_older_version_is_refused(
        self, chain: tuple[Workflow, Scenario]
    ) -> None:
        leaf, scenario = chain
        execution = scenario.start()
        save_line(scenario.callee)
        assert not scenario.callee.latest_version.references.exists()
        with pytest.raises(guards.DependentActiveExecutions) as refused:
            change(leaf, scenario.exception)
        assert [row.cuid for row in refused.value.blockers.executions] == [execution.cuid]

    def test_change_is_refused_if_only_the_latest_version_calls(self, scenario: Scenario) -> None:
        save_line(scenario.caller, form())
        execution = scenario.start()
        save_line(scenario.caller, form(), call(scenario.callee))
        with pytest.raises(guards.DependentActiveExecutions) as refused:
            change(scenario.callee, scenario.exception)
        assert [row.cuid for row in refused.value.blockers.executions] == [execution.cuid]

    def test_group_with_the_dependent_is_refused_by_own_executions(
        self, scenario: Scenario
    ) -> None:
        scenario.start()
        with pytest.raises(guards.ActiveExecutions):
            editing.change_entity_context(
                [scenario.callee, scenario.caller], entity_name_type=scenario.exception
            )
        assert type_of(scenario.caller) == type_of(scenario.callee) == "Model Limitation"


class TestGuard3Compatibility:
    def test_change_of_a_callee_without_its_callers_is_refused(self, scenario: Scenario) -> None:
        with pytest.raises(guards.IncompatibleEntityTypes) as refused:
            change(scenario.callee, scenario.exception)
        assert refused.value.message == (
            "Run Workflow: Incompatible entity name types. Current workflow has type "
            f"'{scenario.limitation.cuid}' but referenced workflow has type "
            f"'{scenario.exception.cuid}'."
        )
        assert [row.cuid for row in refused.value.blockers.workflows] == [scenario.caller.cuid]

    def test_change_of_a_caller_without_its_callees_is_refused(self, scenario: Scenario) -> None:
        with pytest.raises(guards.IncompatibleEntityTypes) as refused:
            change(scenario.caller, scenario.exception)
        assert refused.value.message == (
            "Run Workflow: Incompatible entity name types. Current workflow has type "
            f"'{scenario.exception.cuid}' but referenced workflow has type "
            f"'{scenario.limitation.cuid}'."
        )
        assert [row.cuid for row in refused.value.blockers.workflows] == [scenario.callee.cuid]

    def test_remedy_names_the_smallest_group_which_is_accepted(self, scenario: Scenario) -> None:
        leaf = WorkflowFactory(entity_name_type=scenario.limitation)
        other_caller = WorkflowFactory(entity_name_type=scenario.limitation)
        unrelated = WorkflowFactory(entity_name_type=scenario.limitation)
        save_line(scenario.callee, call(leaf))
        save_line(other_caller, call(leaf))
        with pytest.raises(guards.IncompatibleEntityTypes) as refused:
            change(leaf, scenario.exception)
        [together] = [row for row in refused.value.remedies if row.code == "change_together"]
        group = {leaf.cuid, scenario.callee.cuid, scenario.caller.cuid, other_caller.cuid}
        assert set(together.workflows) == group
        with pytest.raises(guards.IncompatibleEntityTypes):
            editing.change_entity_context(
                Workflow.objects.filter(cuid__in=group - {other_caller.cuid}),
                entity_name_type=scenario.exception,
            )
        changed = editing.change_entity_context(
            Workflow.objects.filter(cuid__in=group), entity_name_type=scenario.exception
        )
        assert {row.cuid for row in changed.workflows} == group
        assert {type_of(row) for row in changed.workflows} == {"Policy Exception"}
        assert type_of(unrelated) == "Model Limitation"

    def test_unused_older_version_does_not_block(self, scenario: Scenario) -> None:
        running.cancel(scenario.start())
        save_line(scenario.caller, form())
        change(scenario.callee, scenario.exception)
        assert type_of(scenario.callee) == "Policy Exception"

    def test_retired_caller_does_not_block(self, scenario: Scenario) -> None:
        editing.retire(scenario.caller)
        change(scenario.callee, scenario.exception)
        with pytest.raises(WorkflowValidationError, match="Incompatible entity name types"):
            editing.set_state(scenario.caller, "active")


class TestLegalChanges:
    def test_save_appends_a_version_with_the_new_context(self) -> None:
        workflow = WorkflowFactory()
        source = save_line(workflow, form()).source
        finding_type = FindingTypeFactory()
        change(workflow, finding_type)
        [version] = workflow.versions.all()
        assert (version.entity_name_type, version.source, version.in_force) == (
            finding_type,
            source,
            True,
        )
        assert version.checksum == version.compute_checksum()
        row = Workflow.objects.get(pk=workflow.pk)
        assert row.context_key == version.context_key == row.context.key

    def test_save_with_update_fields_asks_the_guard(self, scenario: Scenario) -> None:
        execution = scenario.start()
        row = Workflow.objects.get(pk=scenario.caller.pk)
        row.entity_name_type = scenario.exception
        row.title = "Renamed"
        row.save(update_fields=["title"])
        assert type_of(row) == "Model Limitation"
        with pytest.raises(guards.ActiveExecutions):
            row.save(update_fields=["entity_name_type"])
        running.cancel(execution)
        save_line(scenario.caller)
        row.save(update_fields=["entity_name_type"])
        assert type_of(row) == "Policy Exception"

    def test_dry_run_judges_and_writes_nothing(self, scenario: Scenario) -> None:
        both = [scenario.caller, scenario.callee]
        editing.change_entity_context(both, entity_name_type=scenario.exception, dry_run=True)
        assert type_of(scenario.caller) == "Model Limitation"
        scenario.start()
        with pytest.raises(guards.ActiveExecutions):
            editing.change_entity_context(both, entity_name_type=scenario.exception, dry_run=True)

    def test_group_change_is_all_or_nothing(self, scenario: Scenario) -> None:
        busy = WorkflowFactory(entity_name_type=scenario.limitation)
        save_line(busy, form())
        running.start(busy, scenario.finding)
        with pytest.raises(guards.ActiveExecutions):
            editing.change_entity_context(
                [scenario.caller, scenario.callee, busy], entity_name_type=scenario.exception
            )
        assert {type_of(row) for row in Workflow.objects.all()} == {"Model Limitation"}
        assert Version.objects.filter(number__gt=1).count() == 0

    def test_change_succeeds_when_a_workflow_is_deleted_right_after_the_commit(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        workflow, finding_type = WorkflowFactory(), FindingTypeFactory()
        make = context_change.change_together

        def make_and_delete(*args: Any, **kwargs: Any) -> list[Version]:
            transaction.on_commit(Workflow.objects.get(pk=workflow.pk).delete)
            return make(*args, **kwargs)

        monkeypatch.setattr(change_context, "change_together", make_and_delete)
        changed = editing.change_entity_context([workflow], entity_name_type=finding_type)
        assert [row.entity_name_type for row in changed.workflows] == [finding_type]
        assert not AuditEntry.objects.filter(refused=True).exists()

    def test_new_workflow_has_its_context_key_without_another_query(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        workflow = WorkflowFactory()
        with django_assert_num_queries(0):
            assert workflow.context_key == workflow.context.key

    def test_queryset_update_of_the_type_names_the_service(self) -> None:
        workflow = WorkflowFactory()
        with pytest.raises(guards.UseTheService, match="change_entity_context"):
            Workflow.objects.filter(pk=workflow.pk).update(entity_name_type=FindingTypeFactory())

    def test_types_that_do_not_match_the_entity_name_are_refused(self) -> None:
        workflow = WorkflowFactory()
        workflow.primary_record_type = RecordTypeFactory()
        with pytest.raises(guards.ContextShape):
            workflow.save()
        with pytest.raises(guards.ContextShape):
            Workflow(title="x", entity_name="InventoryModel").save()
