"""Deletions and entity type changes, concurrent with starts, saves and type changes."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services as running
from executions.guards import EntityInUse, EntityTypeMismatch
from executions.models import Execution, Finding, Status
from tests.concurrency.actions import pause_before_commit
from tests.concurrency.invariants import assert_invariants, assert_nothing_is_stranded
from tests.concurrency.schedule import (
    AFTER_WRITE,
    CALLS_READ,
    CLOSURE_LOCKED,
    HERE,
    LOCKED,
    MARKS,
    SAVED,
    Schedule,
    Stop,
    after,
    save,
)
from tests.conftest import Scenario
from tests.factories import WorkflowFactory, call, form, save_line
from workflows import editing
from workflows.graph import WorkflowValidationError
from workflows.guards import (
    HasCallers,
    HasExecutions,
    RowDeleted,
    VersionInUse,
)
from workflows.models import Workflow

pytestmark = MARKS


def test_deletion_waits_for_start_and_is_refused(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    started, deleted = schedule.interleave(
        lambda: running.start(free, scenario.finding), LOCKED, free.delete, waits=True
    )
    assert (started.refused, deleted.refused) == (None, HasExecutions)
    assert deleted.blockers == 1
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_start_waits_for_deletion_and_finds_no_workflow(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    deleted, started = schedule.interleave(
        pause_before_commit(Workflow.objects.get(pk=free.pk).delete),
        HERE,
        lambda: running.start(free, scenario.finding),
        waits=True,
    )
    assert (deleted.refused, started.refused) == (None, RowDeleted)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_start_finds_no_workflow_when_deletion_came_after_its_read(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    started, deleted = schedule.interleave(
        lambda: running.start(free, scenario.finding),
        CALLS_READ,
        Workflow.objects.get(pk=free.pk).delete,
        waits=False,
    )
    assert (started.refused, deleted.refused) == (RowDeleted, None)
    assert_nothing_is_stranded()


@pytest.mark.parametrize("deletes_first", [True, False], ids=["delete first", "save first"])
def test_deletion_and_save_that_adds_call_run_one_after_another(
    schedule: Schedule, scenario: Scenario, free: Workflow, deletes_first: bool
) -> None:
    def add() -> Any:
        return save(scenario.caller, form(), call(free))

    delete = Workflow.objects.get(pk=free.pk).delete
    if deletes_first:
        deleted, saved = schedule.interleave(pause_before_commit(delete), HERE, add, waits=True)
        assert (deleted.refused, saved.refused) == (None, WorkflowValidationError)
    else:
        saved, deleted = schedule.interleave(add, SAVED, delete, waits=True)
        assert (saved.refused, deleted.refused) == (None, HasCallers)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_deletion_deletes_the_version_saved_while_it_waited(
    schedule: Schedule, free: Workflow
) -> None:
    saved, deleted = schedule.interleave(
        lambda: save(free, form("new")), SAVED, free.delete, waits=True
    )
    assert (saved.refused, deleted.refused) == (None, None)
    assert not Workflow.objects.filter(title="Free").exists()
    assert_invariants()


def test_bulk_deletion_deletes_the_version_saved_while_it_waited(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    other = WorkflowFactory(entity_name_type=scenario.limitation)
    rows = Workflow.objects.filter(pk__in=[free.pk, other.pk])
    saved, deleted = schedule.interleave(
        lambda: save(free, form("new")), SAVED, rows.delete, waits=True
    )
    assert (saved.refused, deleted.refused) == (None, None)
    assert not rows.exists()
    assert_invariants()


@pytest.mark.parametrize("deletes_first", [True, False], ids=["delete first", "change first"])
def test_bulk_deletion_and_type_change_do_not_deadlock(
    schedule: Schedule, scenario: Scenario, deletes_first: bool
) -> None:
    rows = [WorkflowFactory(title=title, entity_name_type=scenario.limitation) for title in "BA"]
    works = [
        # By title: the reverse order of the locks.
        Workflow.objects.filter(pk__in=[row.pk for row in rows]).order_by("title").delete,
        lambda: editing.change_entity_context(rows[::-1], entity_name_type=scenario.exception),
    ]
    one, other = schedule.interleave(
        *(works[0], LOCKED, works[1]) if deletes_first else (works[1], LOCKED, works[0]),
        waits=True,
    )
    assert one.refused is None
    assert other.refused is (RowDeleted if deletes_first else None)
    assert schedule.deadlocks == 0
    assert not Workflow.objects.filter(title__in="AB").exists()
    assert_invariants()


# A superseded version


class Superseded:
    """A start that has read a version which a save then supersedes."""

    def __init__(self, schedule: Schedule, scenario: Scenario, free: Workflow) -> None:
        self.start = schedule.begin(lambda: running.start(free, scenario.finding), CLOSURE_LOCKED)
        save(free, form("new"))
        self.version = free.versions.get(number=1)


@pytest.fixture
def superseded(schedule: Schedule, scenario: Scenario, free: Workflow) -> Superseded:
    return Superseded(schedule, scenario, free)


def test_version_deletion_waits_for_start_and_is_refused(
    schedule: Schedule, superseded: Superseded
) -> None:
    delete = schedule.begin(superseded.version.delete)
    delete.assert_waits_for(superseded.start)
    assert superseded.start.go().end().refused is None
    deleted = delete.end()
    assert (deleted.refused, deleted.blockers) == (VersionInUse, 1)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_start_runs_new_version_when_its_version_was_deleted_after_its_read(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    running.submit(running.start(free, scenario.finding), node="form", data={"note": "n"})
    start = schedule.begin(lambda: running.start(free, scenario.finding), CALLS_READ)
    save(free, form("new"))
    Execution.objects.all().delete()
    free.versions.get(number=1).delete()
    assert start.go().end().value.version.number == 2
    assert_nothing_is_stranded()


# The entity


def retyped(scenario: Scenario) -> None:
    row = Finding.objects.get(pk=scenario.finding.pk)
    row.entity_name_type = scenario.exception
    row.save()


def test_entity_type_change_waits_for_start_and_is_refused(
    schedule: Schedule, scenario: Scenario
) -> None:
    started, changed = schedule.interleave(
        scenario.start, AFTER_WRITE, lambda: retyped(scenario), waits=True
    )
    assert (started.refused, changed.refused) == (None, EntityInUse)
    assert changed.blockers == 1
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_start_waits_for_entity_type_change_and_is_refused(
    schedule: Schedule, scenario: Scenario
) -> None:
    changed, started = schedule.interleave(
        pause_before_commit(lambda: retyped(scenario)), HERE, scenario.start, waits=True
    )
    assert (changed.refused, started.refused) == (None, EntityTypeMismatch)
    assert_nothing_is_stranded()


def test_key_refuses_entity_type_change_checked_before_start(
    schedule: Schedule, scenario: Scenario
) -> None:
    schedule.without_locks()
    change = schedule.begin(
        lambda: retyped(scenario), after("executions.guards.refuse_entity_edit")
    )
    assert scenario.start().status == Status.WAITING
    changed = change.go().end()
    assert changed.refused is EntityInUse
    assert changed.by_database
    assert_nothing_is_stranded()


@pytest.mark.parametrize("at", [CLOSURE_LOCKED, AFTER_WRITE], ids=["shared", "written"])
def test_entity_deletion_waits_for_start_and_is_refused(
    schedule: Schedule, scenario: Scenario, at: Stop
) -> None:
    started, deleted = schedule.interleave(
        scenario.start, at, Finding.objects.get(pk=scenario.finding.pk).delete, waits=True
    )
    assert (started.refused, deleted.refused) == (None, EntityInUse)
    assert deleted.blockers == 1
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_entity_deletion_is_refused_when_it_waited_for_a_whole_execution(
    schedule: Schedule, scenario: Scenario
) -> None:
    save_line(scenario.caller)
    started, deleted = schedule.interleave(
        scenario.start, AFTER_WRITE, Finding.objects.get(pk=scenario.finding.pk).delete, waits=True
    )
    assert (started.refused, deleted.refused) == (None, EntityInUse)
    assert deleted.blockers == 1
    assert Execution.objects.get().status == Status.COMPLETED
    assert_invariants()


@pytest.mark.parametrize("several", [True, False], ids=["queryset", "row"])
def test_start_waits_for_entity_deletion_and_finds_no_entity(
    schedule: Schedule, scenario: Scenario, several: bool
) -> None:
    rows = Finding.objects.filter(pk=scenario.finding.pk)
    entity = rows if several else rows.get()
    deleted, started = schedule.interleave(
        pause_before_commit(entity.delete), HERE, scenario.start, waits=True
    )
    assert (deleted.refused, started.refused) == (None, RowDeleted)
    assert_nothing_is_stranded()
