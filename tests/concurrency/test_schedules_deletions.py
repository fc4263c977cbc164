"""Deleting workflows, versions and entities, and changing the type of an entity, at once with
starts, saves and changes.
"""

from __future__ import annotations

from typing import Any

import pytest

from executions import services as running
from executions.guards import EntityInUse, EntityTypeMismatch
from executions.models import Execution, Finding, Status
from tests.concurrency.laws import assert_laws, assert_nothing_is_stranded
from tests.concurrency.schedule import (
    HERE,
    LOCKED,
    MARKS,
    SAVED,
    SHARED,
    WALKED,
    WRITTEN,
    Schedule,
    Stop,
    after,
    save,
)
from tests.concurrency.works import held_after
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


def test_a_start_waits_for_a_deletion_and_finds_nothing(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    deleted, started = schedule.overtaken(
        held_after(Workflow.objects.get(pk=free.pk).delete),
        HERE,
        lambda: running.start(free, scenario.finding),
        waits=True,
    )
    assert (deleted.refused, started.refused) == (None, RowDeleted)
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
    assert (started.refused, deleted.refused) == (RowDeleted, None)
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
        assert (saved.refused, deleted.refused) == (None, HasCallers)
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


def test_a_deletion_of_several_that_waited_for_a_save_deletes_what_was_saved(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    other = WorkflowFactory(entity_name_type=scenario.limitation)
    rows = Workflow.objects.filter(pk__in=[free.pk, other.pk])
    saved, deleted = schedule.overtaken(
        lambda: save(free, form("new")), SAVED, rows.delete, waits=True
    )
    assert (saved.refused, deleted.refused) == (None, None)
    assert not rows.exists()
    assert_laws()


@pytest.mark.parametrize("deletes_first", [True, False], ids=["delete first", "change first"])
def test_a_deletion_of_several_and_a_change_of_the_same_do_not_deadlock(
    schedule: Schedule, scenario: Scenario, deletes_first: bool
) -> None:
    rows = [WorkflowFactory(title=title, entity_name_type=scenario.limitation) for title in "BA"]
    works = [
        # By title: the other way round than the locks are taken.
        Workflow.objects.filter(pk__in=[row.pk for row in rows]).order_by("title").delete,
        lambda: editing.change_entity_context(rows[::-1], entity_name_type=scenario.exception),
    ]
    one, other = schedule.overtaken(
        *(works[0], LOCKED, works[1]) if deletes_first else (works[1], LOCKED, works[0]),
        waits=True,
    )
    assert one.refused is None
    assert other.refused is (RowDeleted if deletes_first else None)
    assert schedule.deadlocks == 0
    assert not Workflow.objects.filter(title__in="AB").exists()
    assert_laws()


# A superseded version


class Superseded:
    """A start that has read the latest version, which a save has superseded since then."""

    def __init__(self, schedule: Schedule, scenario: Scenario, free: Workflow) -> None:
        self.start = schedule.begin(lambda: running.start(free, scenario.finding), SHARED)
        save(free, form("new"))
        self.version = free.versions.get(number=1)


@pytest.fixture
def superseded(schedule: Schedule, scenario: Scenario, free: Workflow) -> Superseded:
    return Superseded(schedule, scenario, free)


def test_a_deletion_of_the_version_that_a_start_has_read_waits_and_is_refused(
    schedule: Schedule, superseded: Superseded
) -> None:
    delete = schedule.begin(superseded.version.delete)
    delete.waits_for(superseded.start)
    assert superseded.start.go().end().refused is None
    deleted = delete.end()
    assert (deleted.refused, deleted.blockers) == (VersionInUse, 1)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_start_that_walked_before_its_version_was_superseded_and_deleted_runs_the_new_one(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    running.submit(running.start(free, scenario.finding), node="form", data={"note": "n"})
    start = schedule.begin(lambda: running.start(free, scenario.finding), WALKED)
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
    assert changed.by_database
    assert_nothing_is_stranded()


@pytest.mark.parametrize("at", [SHARED, WRITTEN], ids=["shared", "written"])
def test_a_deletion_of_the_entity_waits_for_a_start_and_is_refused(
    schedule: Schedule, scenario: Scenario, at: Stop
) -> None:
    started, deleted = schedule.overtaken(
        scenario.start, at, Finding.objects.get(pk=scenario.finding.pk).delete, waits=True
    )
    assert (started.refused, deleted.refused) == (None, EntityInUse)
    assert deleted.blockers == 1
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_deletion_of_the_entity_that_waited_for_a_whole_run_is_refused(
    schedule: Schedule, scenario: Scenario
) -> None:
    save_line(scenario.caller)
    started, deleted = schedule.overtaken(
        scenario.start, WRITTEN, Finding.objects.get(pk=scenario.finding.pk).delete, waits=True
    )
    assert (started.refused, deleted.refused) == (None, EntityInUse)
    assert deleted.blockers == 1
    assert Execution.objects.get().status == Status.COMPLETED
    assert_laws()


@pytest.mark.parametrize("several", [True, False], ids=["queryset", "row"])
def test_a_start_waits_for_a_deletion_of_the_entity_and_finds_nothing(
    schedule: Schedule, scenario: Scenario, several: bool
) -> None:
    rows = Finding.objects.filter(pk=scenario.finding.pk)
    entity = rows if several else rows.get()
    deleted, started = schedule.overtaken(
        held_after(entity.delete), HERE, scenario.start, waits=True
    )
    assert (deleted.refused, started.refused) == (None, RowDeleted)
    assert_nothing_is_stranded()
