"""Retiring and changing groups, at once with starts, saves and each other."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.db import transaction

from executions import services as running
from executions.guards import NotStartable
from tests.concurrency.laws import assert_laws, assert_nothing_is_stranded
from tests.concurrency.schedule import (
    CHANGED,
    FOLLOWED_UP,
    HERE,
    JUDGED_EDIT,
    LOCKED,
    MARKS,
    SAVED,
    WRITTEN,
    Schedule,
    Stop,
    after,
    here,
    save,
)
from tests.concurrency.works import change
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
    """A save that comes to call a workflow, and edits of that one."""

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


def test_what_was_started_before_its_workflow_retired_goes_on(
    schedule: Schedule, scenario: Scenario, free: Workflow
) -> None:
    started, retired = schedule.overtaken(
        lambda: running.start(free, scenario.finding),
        WRITTEN,
        lambda: editing.retire(free),
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
        lambda: editing.retire(free),
        FOLLOWED_UP,
        lambda: running.start(free, scenario.finding),
        waits=True,
    )
    assert (retired.refused, started.refused) == (None, NotStartable)
    assert not free.latest_version.in_force
    assert_nothing_is_stranded()


def test_a_retirement_waits_for_the_save_that_adds_a_call_and_is_refused(
    schedule: Schedule, adding: Adding
) -> None:
    saved, retired = schedule.overtaken(adding.save, SAVED, adding.retire, waits=True)
    assert (saved.refused, retired.refused) == (None, HasCallers)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_save_that_adds_a_call_waits_for_the_callees_retirement_and_is_refused(
    schedule: Schedule, adding: Adding
) -> None:
    retired, saved = schedule.overtaken(adding.retire, FOLLOWED_UP, adding.save, waits=True)
    assert (retired.refused, saved.refused) == (None, WorkflowValidationError)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_retirement_that_judged_before_the_call_was_saved_judges_again(
    schedule: Schedule, adding: Adding
) -> None:
    retired, saved = schedule.overtaken(adding.retire, JUDGED_EDIT, adding.save, waits=False)
    assert (retired.refused, saved.refused) == (HasCallers, None)
    assert_nothing_is_stranded()


def test_a_retirement_waits_for_a_save_of_the_title_which_does_not_undo_it(
    schedule: Schedule, free: Workflow
) -> None:
    row = Workflow.objects.get(pk=free.pk)
    row.title = "Renamed"
    saved, retired = schedule.overtaken(
        row.save,
        after("workflows.editing.save_workflow.WorkflowEdit.lock"),
        lambda: editing.retire(free),
        waits=True,
    )
    assert (saved.refused, retired.refused) == (None, None)
    row.refresh_from_db()
    assert row.state == Workflow.State.RETIRED
    assert schedule.deadlocks == 0
    assert_laws()


@pytest.mark.parametrize("edit", ["retire", "change"])
@pytest.mark.parametrize("returns_first", [True, False], ids=["return first", "edit first"])
def test_a_workflow_that_returns_and_an_edit_of_its_callee_follow_one_another(
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
    at = FOLLOWED_UP if returns_first or edit == "retire" else CHANGED
    one, other = schedule.overtaken(first, at, second, waits=True)
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
def test_two_changes_of_overlapping_groups_named_in_opposite_order_do_not_deadlock(
    schedule: Schedule, scenario: Scenario, at: Stop, target: str
) -> None:
    rows = [WorkflowFactory(title=title, entity_name_type=scenario.limitation) for title in "ABC"]
    second = FindingTypeFactory() if target == "another type" else scenario.exception
    one, other = schedule.overtaken(
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
    assert_laws()


def test_two_changes_that_wait_for_one_row_take_the_others_in_one_order(
    schedule: Schedule, scenario: Scenario
) -> None:
    rows = [WorkflowFactory(title=title, entity_name_type=scenario.limitation) for title in "AB"]

    def hold_the_first() -> None:
        with transaction.atomic():
            locks.lock_rows(Workflow._base_manager.all(), [rows[0].pk], locks.Strength.UPDATE)
            here()

    holder = schedule.begin(hold_the_first, HERE)
    editors = []
    for group in (rows, rows[::-1]):
        editors.append(schedule.begin(partial(change, scenario, *group)))
        editors[-1].waits_for(holder, *editors[:-1])
    holder.go().end()
    assert [editor.end().refused for editor in editors] == [None, None]
    assert schedule.deadlocks == 0
    assert_laws()


def test_a_change_of_caller_and_callee_and_a_save_of_the_caller_do_not_deadlock(
    schedule: Schedule, scenario: Scenario
) -> None:
    one, other = schedule.overtaken(
        lambda: change(scenario, scenario.caller, scenario.callee),
        LOCKED,
        lambda: save(scenario.caller, form(), call(scenario.callee)),
        waits=True,
    )
    assert (one.refused, other.refused) == (None, None)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


@pytest.mark.parametrize("change_first", [True, False], ids=["change first", "settings first"])
def test_a_change_of_caller_and_callee_and_an_edit_of_the_callers_settings_do_not_deadlock(
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
        changed, retired = schedule.overtaken(retype, LOCKED, retire, waits=True)
    else:
        held = after("workflows.api.base.resources.EditableResource._lock_row")
        retired, changed = schedule.overtaken(retire, held, retype, waits=True)
    assert changed.refused is None
    assert retired.value == (412 if change_first else 200)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


# A call that is added, and its callee that changes


def test_a_change_waits_for_the_save_that_adds_a_call_and_is_refused(
    schedule: Schedule, adding: Adding
) -> None:
    saved, changed = schedule.overtaken(adding.save, SAVED, adding.change, waits=True)
    assert (saved.refused, changed.refused) == (None, IncompatibleEntityTypes)
    assert changed.blockers == 1
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_save_that_adds_a_call_waits_for_the_change_of_its_callee_and_is_refused(
    schedule: Schedule, adding: Adding
) -> None:
    changed, saved = schedule.overtaken(adding.change, CHANGED, adding.save, waits=True)
    assert (changed.refused, saved.refused) == (None, WorkflowValidationError)
    assert saved.code == IncompatibleEntityTypes.code
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_the_keys_alone_keep_a_call_that_is_being_added_to_one_type(
    schedule: Schedule, adding: Adding
) -> None:
    schedule.without_locks()
    saved, changed = schedule.overtaken(adding.save, SAVED, adding.change, waits=True)
    assert (saved.refused, changed.refused) == (None, IncompatibleEntityTypes)
    assert changed.by_database
    assert_nothing_is_stranded()


def test_the_keys_alone_keep_a_version_that_is_being_saved_to_its_workflows_type(
    schedule: Schedule, scenario: Scenario, adding: Adding
) -> None:
    schedule.without_locks()
    saved, changed = schedule.overtaken(
        lambda: save(adding.free, form("new")), SAVED, adding.change, waits=True
    )
    assert saved.refused is None
    assert changed.by_database
    assert_nothing_is_stranded()
