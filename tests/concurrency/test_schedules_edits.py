"""Retiring, deleting and changing groups, at once with starts, saves and each other."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from executions import services as running
from executions.guards import EntityInUse, EntityTypeMismatch, NotStartable
from executions.models import Execution, Finding, Status
from tests.concurrency.laws import assert_laws, assert_nothing_is_stranded
from tests.concurrency.schedule import (
    CHANGED,
    FOLLOWED_UP,
    HERE,
    JUDGED_EDIT,
    LOCKED,
    MARKS,
    SAVED,
    WALKED,
    WRITTEN,
    Schedule,
    Stop,
    after,
    here,
    save,
    schedule_fixture,  # noqa: F401  the fixture that the tests ask for
)
from tests.conftest import Scenario
from tests.factories import FindingFactory, WorkflowFactory, call, drawn, form
from workflows import services
from workflows.graph import WorkflowValidationError
from workflows.guards import (
    Gone,
    HasExecutions,
    IncompatibleEntityTypes,
    Referenced,
)
from workflows.models import Workflow

pytestmark = MARKS


@pytest.fixture
def free(scenario: Scenario) -> Workflow:
    """An active workflow that nobody calls."""
    workflow: Workflow = WorkflowFactory(title="Free", entity_name_type=scenario.limitation)
    drawn(workflow, form())
    return workflow


# Retire


def test_what_was_started_before_its_workflow_retired_goes_on(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    started, retired = schedule.overtaken(
        lambda: running.start(free, scenario.finding),
        WRITTEN,
        lambda: services.retire(free),
        waits=True,
    )
    assert (started.refused, retired.refused) == (None, None)
    assert schedule.deadlocks == 0
    assert free.latest_version.in_force
    assert_nothing_is_stranded()


def test_a_start_waits_for_a_retirement_and_is_refused(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    retired, started = schedule.overtaken(
        lambda: services.retire(free),
        FOLLOWED_UP,
        lambda: running.start(free, scenario.finding),
        waits=True,
    )
    assert (retired.refused, started.refused) == (None, NotStartable)
    assert not free.latest_version.in_force
    assert_nothing_is_stranded()


def test_a_retirement_waits_for_the_save_that_adds_a_call_and_is_refused(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    saved, retired = schedule.overtaken(
        lambda: save(scenario.caller, form(), call(free)),
        SAVED,
        lambda: services.retire(free),
        waits=True,
    )
    assert (saved.refused, retired.refused) == (None, Referenced)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_save_that_adds_a_call_waits_for_the_callees_retirement_and_is_refused(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    retired, saved = schedule.overtaken(
        lambda: services.retire(free),
        FOLLOWED_UP,
        lambda: save(scenario.caller, form(), call(free)),
        waits=True,
    )
    assert (retired.refused, saved.refused) == (None, WorkflowValidationError)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_retirement_that_judged_before_the_call_was_saved_judges_again(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    retired, saved = schedule.overtaken(
        lambda: services.retire(free),
        JUDGED_EDIT,
        lambda: save(scenario.caller, form(), call(free)),
        waits=False,
    )
    assert (retired.refused, saved.refused) == (Referenced, None)
    assert_nothing_is_stranded()


@pytest.mark.parametrize("edit", ["retire", "change"])
@pytest.mark.parametrize("returns_first", [True, False], ids=["return first", "edit first"])
def test_a_workflow_that_returns_and_an_edit_of_its_callee_follow_one_another(
    schedule: Schedule, scenario: Scenario, edit: str, returns_first: bool
) -> None:
    services.retire(scenario.caller)

    def back() -> Workflow:
        return services.set_state(scenario.caller, Workflow.State.ACTIVE)

    def edit_callee() -> Any:
        if edit == "retire":
            return services.retire(scenario.callee)
        return services.change_entity_context(
            [scenario.callee], entity_name_type=scenario.exception
        )

    first, second = (back, edit_callee) if returns_first else (edit_callee, back)
    at = FOLLOWED_UP if returns_first or edit == "retire" else CHANGED
    one, other = schedule.overtaken(first, at, second, waits=True)
    assert one.refused is None
    if not returns_first:
        assert other.refused is WorkflowValidationError
    else:
        assert other.refused is (Referenced if edit == "retire" else IncompatibleEntityTypes)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


# Delete


def test_a_deletion_waits_for_a_start_and_is_refused(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    started, deleted = schedule.overtaken(
        lambda: running.start(free, scenario.finding), LOCKED, free.delete, waits=True
    )
    assert (started.refused, deleted.refused) == (None, HasExecutions)
    assert deleted.blockers == 1
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def held_after(work: Any) -> Any:
    """The work in a transaction that is held before its commit."""

    def within() -> Any:
        with transaction.atomic():
            value = work()
            here()
            return value

    return within


def test_a_start_waits_for_a_deletion_and_finds_nothing(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    deleted, started = schedule.overtaken(
        held_after(Workflow.objects.get(pk=free.pk).delete),
        HERE,
        lambda: running.start(free, scenario.finding),
        waits=True,
    )
    assert (deleted.refused, started.refused) == (None, Gone)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_start_that_walked_before_a_deletion_finds_nothing(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    started, deleted = schedule.overtaken(
        lambda: running.start(free, scenario.finding),
        WALKED,
        Workflow.objects.get(pk=free.pk).delete,
        waits=False,
    )
    assert (started.refused, deleted.refused) == (Gone, None)
    assert_nothing_is_stranded()


@pytest.mark.parametrize("deletes_first", [True, False], ids=["delete first", "save first"])
def test_a_deletion_and_the_save_that_adds_a_call_follow_one_another(
    schedule: Schedule, scenario: Scenario, free: Workflow, deletes_first: bool
) -> None:
    def add() -> Any:
        return save(scenario.caller, form(), call(free))

    delete = Workflow.objects.get(pk=free.pk).delete
    if deletes_first:
        deleted, saved = schedule.overtaken(held_after(delete), HERE, add, waits=True)
        assert (deleted.refused, saved.refused) == (None, WorkflowValidationError)
    else:
        saved, deleted = schedule.overtaken(add, SAVED, delete, waits=True)
        assert (saved.refused, deleted.refused) == (None, Referenced)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_deletion_that_waited_for_a_save_of_the_same_workflow_deletes_what_was_saved(
    schedule: Schedule, free: Workflow
) -> None:
    saved, deleted = schedule.overtaken(
        lambda: save(free, form("new")), SAVED, free.delete, waits=True
    )
    assert (saved.refused, deleted.refused) == (None, None)
    assert not Workflow.objects.filter(title="Free").exists()
    assert_laws()


# The entity


def retyped(scenario: Scenario) -> None:
    row = Finding.objects.get(pk=scenario.finding.pk)
    row.entity_name_type = scenario.exception
    row.save()


def test_a_change_of_the_entitys_type_waits_for_a_start_and_is_refused(
    schedule: Schedule, scenario: Scenario
) -> None:
    started, changed = schedule.overtaken(
        scenario.start, WRITTEN, lambda: retyped(scenario), waits=True
    )
    assert (started.refused, changed.refused) == (None, EntityInUse)
    assert changed.blockers == 1
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_start_waits_for_a_change_of_the_entitys_type_and_finds_the_new_one(
    schedule: Schedule, scenario: Scenario
) -> None:
    changed, started = schedule.overtaken(
        held_after(lambda: retyped(scenario)), HERE, scenario.start, waits=True
    )
    assert (changed.refused, started.refused) == (None, EntityTypeMismatch)
    assert_nothing_is_stranded()


def test_a_change_of_the_entitys_type_that_judged_before_a_start_is_refused_by_the_key(
    schedule: Schedule, scenario: Scenario
) -> None:
    schedule.without_locks()
    change = schedule.begin(
        lambda: retyped(scenario), after("executions.guards.refuse_entity_edit")
    )
    assert scenario.start().status == Status.WAITING
    changed = change.go().end()
    assert changed.refused is EntityInUse
    assert changed.refusal is not None
    assert isinstance(changed.refusal.__cause__, IntegrityError)
    assert_nothing_is_stranded()


def test_a_deletion_of_the_entity_waits_for_a_start_and_is_refused(
    schedule: Schedule, scenario: Scenario
) -> None:
    started, deleted = schedule.overtaken(
        scenario.start, WRITTEN, Finding.objects.get(pk=scenario.finding.pk).delete, waits=True
    )
    assert (started.refused, deleted.refused) == (None, EntityInUse)
    assert deleted.blockers == 1
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_deletion_of_the_entity_that_waited_for_a_whole_run_is_refused(
    schedule: Schedule, scenario: Scenario
) -> None:
    drawn(scenario.caller)
    started, deleted = schedule.overtaken(
        scenario.start, WRITTEN, Finding.objects.get(pk=scenario.finding.pk).delete, waits=True
    )
    assert (started.refused, deleted.refused) == (None, EntityInUse)
    assert deleted.blockers == 1
    assert Execution.objects.get().status == Status.COMPLETED
    assert_laws()


def test_a_start_waits_for_a_deletion_of_the_entity_and_finds_nothing(
    schedule: Schedule, scenario: Scenario
) -> None:
    entity = Finding.objects.get(pk=scenario.finding.pk)
    deleted, started = schedule.overtaken(
        held_after(entity.delete), HERE, scenario.start, waits=True
    )
    assert (deleted.refused, started.refused) == (None, Gone)
    assert_nothing_is_stranded()


# Groups


@pytest.mark.parametrize("at", [LOCKED, CHANGED], ids=["locked", "changed"])
@pytest.mark.parametrize("target", ["the same type", "another type"])
def test_two_changes_of_overlapping_groups_named_in_opposite_order_do_not_deadlock(
    schedule: Schedule, scenario: Scenario, at: Stop, target: str
) -> None:
    rows = [WorkflowFactory(title=title, entity_name_type=scenario.limitation) for title in "ABC"]
    second = scenario.exception
    if target == "another type":
        second = FindingFactory().entity_name_type
    one, other = schedule.overtaken(
        lambda: services.change_entity_context(rows[:2], entity_name_type=scenario.exception),
        at,
        lambda: services.change_entity_context(rows[:0:-1], entity_name_type=second),
        waits=True,
    )
    assert (one.refused, other.refused) == (None, None)
    assert schedule.deadlocks == 0
    types = list(
        Workflow.objects.filter(title__in="ABC").values_list("entity_name_type", flat=True)
    )
    assert types == [scenario.exception.pk, second.pk, second.pk]
    assert_laws()


def test_a_change_of_caller_and_callee_and_a_save_of_the_caller_do_not_deadlock(
    schedule: Schedule, scenario: Scenario
) -> None:
    both = [scenario.caller, scenario.callee]
    one, other = schedule.overtaken(
        lambda: services.change_entity_context(both, entity_name_type=scenario.exception),
        LOCKED,
        lambda: save(scenario.caller, form(), call(scenario.callee)),
        waits=True,
    )
    assert (one.refused, other.refused) == (None, None)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()
