"""Retirements and group changes, concurrent with starts, saves and each other."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.db import transaction

from executions import services as running
from executions.guards import NotStartable
from tests.concurrency.actions import change
from tests.concurrency.invariants import assert_invariants, assert_nothing_is_stranded
from tests.concurrency.schedule import (
    AFTER_WRITE,
    CHANGED,
    CHECKED_EDIT,
    HERE,
    LOCKED,
    MARKS,
    SAVED,
    VERSIONS_UPDATED,
    Schedule,
    Stop,
    after,
    here,
    save,
)
from tests.conftest import Scenario
from tests.factories import FindingTypeFactory, WorkflowFactory, call, form
from tests.workflows.api.clients import client_of
from workflows import editing
from workflows.db import locks
from workflows.graph import WorkflowValidationError
from workflows.guards import (
    HasCallers,
    IncompatibleEntityTypes,
)
from workflows.models import Workflow

pytestmark = MARKS


class Adding:
    """A save that adds a call, and edits of the callee."""

    def __init__(self, scenario: Scenario, free: Workflow) -> None:
        self.scenario = scenario
        self.free = free

    def save(self) -> Any:
        return save(self.scenario.caller, form(), call(self.free))

    def retire(self) -> Any:
        return editing.retire(self.free)

    def change(self) -> Any:
        return change(self.scenario, self.free)


@pytest.fixture
def adding(scenario: Scenario, free: Workflow) -> Adding:
    return Adding(scenario, free)


# Retire


def test_execution_continues_when_its_workflow_is_retired(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    started, retired = schedule.interleave(
        lambda: running.start(free, scenario.finding),
        AFTER_WRITE,
        lambda: editing.retire(free),
        waits=True,
    )
    assert (started.refused, retired.refused) == (None, None)
    assert schedule.deadlocks == 0
    assert free.latest_version.in_force
    assert_nothing_is_stranded()


def test_start_waits_for_retirement_and_is_refused(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    retired, started = schedule.interleave(
        lambda: editing.retire(free),
        VERSIONS_UPDATED,
        lambda: running.start(free, scenario.finding),
        waits=True,
    )
    assert (retired.refused, started.refused) == (None, NotStartable)
    assert not free.latest_version.in_force
    assert_nothing_is_stranded()


def test_retirement_waits_for_save_that_adds_call_and_is_refused(
    schedule: Schedule, adding: Adding
) -> None:
    saved, retired = schedule.interleave(adding.save, SAVED, adding.retire, waits=True)
    assert (saved.refused, retired.refused) == (None, HasCallers)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_save_that_adds_call_waits_for_retirement_of_callee_and_is_refused(
    schedule: Schedule, adding: Adding
) -> None:
    retired, saved = schedule.interleave(adding.retire, VERSIONS_UPDATED, adding.save, waits=True)
    assert (retired.refused, saved.refused) == (None, WorkflowValidationError)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_retirement_checks_again_when_a_call_was_saved(schedule: Schedule, adding: Adding) -> None:
    retired, saved = schedule.interleave(adding.retire, CHECKED_EDIT, adding.save, waits=False)
    assert (retired.refused, saved.refused) == (HasCallers, None)
    assert_nothing_is_stranded()


def test_retirement_waits_for_title_save_that_does_not_undo_it(
    schedule: Schedule, free: Workflow
) -> None:
    row = Workflow.objects.get(pk=free.pk)
    row.title = "Renamed"
    saved, retired = schedule.interleave(
        row.save,
        after("workflows.editing.save_workflow.WorkflowEdit.lock"),
        lambda: editing.retire(free),
        waits=True,
    )
    assert (saved.refused, retired.refused) == (None, None)
    row.refresh_from_db()
    assert row.state == Workflow.State.RETIRED
    assert schedule.deadlocks == 0
    assert_invariants()


@pytest.mark.parametrize("edit", ["retire", "change"])
@pytest.mark.parametrize("returns_first", [True, False], ids=["return first", "edit first"])
def test_reactivation_and_edit_of_callee_run_one_after_another(
    schedule: Schedule, scenario: Scenario, edit: str, returns_first: bool
) -> None:
    editing.retire(scenario.caller)

    def back() -> Workflow:
        return editing.set_state(scenario.caller, Workflow.State.ACTIVE)

    def edit_callee() -> Any:
        if edit == "retire":
            return editing.retire(scenario.callee)
        return change(scenario, scenario.callee)

    first, second = (back, edit_callee) if returns_first else (edit_callee, back)
    at = VERSIONS_UPDATED if returns_first or edit == "retire" else CHANGED
    one, other = schedule.interleave(first, at, second, waits=True)
    assert one.refused is None
    if not returns_first:
        assert other.refused is WorkflowValidationError
    else:
        assert other.refused is (HasCallers if edit == "retire" else IncompatibleEntityTypes)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


# Groups


@pytest.mark.parametrize("at", [LOCKED, CHANGED], ids=["locked", "changed"])
@pytest.mark.parametrize("target", ["the same type", "another type"])
def test_type_changes_of_overlapping_groups_do_not_deadlock(
    schedule: Schedule, scenario: Scenario, at: Stop, target: str
) -> None:
    rows = [WorkflowFactory(title=title, entity_name_type=scenario.limitation) for title in "ABC"]
    second = FindingTypeFactory() if target == "another type" else scenario.exception
    one, other = schedule.interleave(
        lambda: change(scenario, *rows[:2]),
        at,
        lambda: editing.change_entity_context(rows[:0:-1], entity_name_type=second),
        waits=True,
    )
    assert (one.refused, other.refused) == (None, None)
    assert schedule.deadlocks == 0
    types = list(
        Workflow.objects.filter(title__in="ABC").values_list("entity_name_type", flat=True)
    )
    assert types == [scenario.exception.pk, second.pk, second.pk]
    assert_invariants()


def test_type_changes_take_their_locks_in_one_order(schedule: Schedule, scenario: Scenario) -> None:
    rows = [WorkflowFactory(title=title, entity_name_type=scenario.limitation) for title in "AB"]

    def hold_the_first() -> None:
        with transaction.atomic():
            locks.lock_rows(Workflow._base_manager.all(), [rows[0].pk], locks.Strength.UPDATE)
            here()

    holder = schedule.begin(hold_the_first, HERE)
    editors = []
    for group in (rows, rows[::-1]):
        editors.append(schedule.begin(partial(change, scenario, *group)))
        editors[-1].assert_waits_for(holder, *editors[:-1])
    holder.go().end()
    assert [editor.end().refused for editor in editors] == [None, None]
    assert schedule.deadlocks == 0
    assert_invariants()


def test_type_change_and_graph_save_do_not_deadlock(schedule: Schedule, scenario: Scenario) -> None:
    one, other = schedule.interleave(
        lambda: change(scenario, scenario.caller, scenario.callee),
        LOCKED,
        lambda: save(scenario.caller, form(), call(scenario.callee)),
        waits=True,
    )
    assert (one.refused, other.refused) == (None, None)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


@pytest.mark.parametrize("change_first", [True, False], ids=["change first", "settings first"])
def test_type_change_and_settings_edit_do_not_deadlock(
    schedule: Schedule, scenario: Scenario, change_first: bool
) -> None:
    client = client_of(superuser=True)
    path = f"workflows/{scenario.caller.cuid}/"
    headers = {"If-Match": client.etag(path)}

    def retire() -> Any:
        return client.patch(path, {"state": "retired"}, headers=headers).status_code

    def retype() -> Any:
        return change(scenario, scenario.callee, scenario.caller)

    if change_first:
        changed, retired = schedule.interleave(retype, LOCKED, retire, waits=True)
    else:
        row_locked = after("workflows.api.base.resources.EditableResource._lock_row")
        retired, changed = schedule.interleave(retire, row_locked, retype, waits=True)
    assert changed.refused is None
    assert retired.value == (412 if change_first else 200)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


# An added call, and a type change of its callee


def test_type_change_waits_for_save_that_adds_call_and_is_refused(
    schedule: Schedule, adding: Adding
) -> None:
    saved, changed = schedule.interleave(adding.save, SAVED, adding.change, waits=True)
    assert (saved.refused, changed.refused) == (None, IncompatibleEntityTypes)
    assert changed.blockers == 1
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_save_that_adds_call_waits_for_type_change_of_callee_and_is_refused(
    schedule: Schedule, adding: Adding
) -> None:
    changed, saved = schedule.interleave(adding.change, CHANGED, adding.save, waits=True)
    assert (changed.refused, saved.refused) == (None, WorkflowValidationError)
    assert saved.code == IncompatibleEntityTypes.code
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_keys_alone_refuse_a_call_across_types(schedule: Schedule, adding: Adding) -> None:
    schedule.without_locks()
    saved, changed = schedule.interleave(adding.save, SAVED, adding.change, waits=True)
    assert (saved.refused, changed.refused) == (None, IncompatibleEntityTypes)
    assert changed.by_database
    assert_nothing_is_stranded()


def test_keys_alone_refuse_a_version_of_another_type(
    schedule: Schedule, scenario: Scenario, adding: Adding
) -> None:
    schedule.without_locks()
    saved, changed = schedule.interleave(
        lambda: save(adding.free, form("new")), SAVED, adding.change, waits=True
    )
    assert saved.refused is None
    assert changed.by_database
    assert_nothing_is_stranded()
