"""Starts of children, concurrent with edits of their workflows."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services as running
from executions.models import Execution, Status
from tests.concurrency.actions import change, submit
from tests.concurrency.invariants import assert_nothing_is_stranded
from tests.concurrency.schedule import (
    AFTER_WRITE,
    BEFORE_WRITE,
    CHECKED,
    CLOSURE_LOCKED,
    EXCLUSIVE,
    MARKS,
    SAVED,
    Schedule,
    save,
)
from tests.conftest import Scenario
from tests.factories import FindingFactory, WorkflowFactory, call, form, save_line
from workflows import guards as drawing
from workflows.guards import ActiveExecutions, DependentActiveExecutions

pytestmark = MARKS


class Calling:
    """An execution before its call, while the latest graph of the caller has no call."""

    def __init__(self, scenario: Scenario) -> None:
        save_line(scenario.callee, form("inner"))
        self.scenario = scenario
        self.root = scenario.start()
        save(scenario.caller, form())

    def submit(self) -> Execution:
        return submit(self.root)

    def change(self) -> Any:
        return change(self.scenario, self.scenario.callee)

    def save(self) -> Any:
        return save(self.scenario.callee, form("other"))

    def child_node(self) -> tuple[str, int]:
        child = self.root.children.get()
        return child.steps.open().get().node_id, child.version.number


@pytest.fixture
def calling(scenario: Scenario) -> Calling:
    return Calling(scenario)


def test_type_change_of_callee_is_refused_before_during_and_after_the_child_start(
    schedule: Schedule, calling: Calling
) -> None:
    _, changed = schedule.interleave(calling.submit, BEFORE_WRITE, calling.change, waits=False)
    assert changed.refused is DependentActiveExecutions
    with pytest.raises(ActiveExecutions):
        calling.change()
    assert calling.child_node() == ("inner", 1)
    assert_nothing_is_stranded()


@pytest.mark.parametrize("locked", [True, False], ids=["keys and locks", "keys"])
def test_keys_alone_protect_the_callee_of_a_starting_child(
    schedule: Schedule, calling: Calling, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    monkeypatch.setattr(drawing, "refuse_context_change", lambda *_, **__: None)
    if not locked:
        schedule.without_locks()
    submitted, changed = schedule.interleave(
        calling.submit, AFTER_WRITE, calling.change, waits=True
    )
    assert submitted.refused is None
    assert changed.refused in (ActiveExecutions, DependentActiveExecutions)
    assert calling.child_node() == ("inner", 1)
    assert_nothing_is_stranded()


def test_child_starts_on_its_pinned_version_when_the_callee_is_saved(
    schedule: Schedule, calling: Calling
) -> None:
    submitted, saved = schedule.interleave(calling.submit, AFTER_WRITE, calling.save, waits=False)
    assert submitted.refused is None
    assert saved.value.created
    assert calling.child_node() == ("inner", 1)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_child_waits_for_save_of_callee_and_starts_on_its_pinned_version(
    schedule: Schedule, calling: Calling
) -> None:
    saved, submitted = schedule.interleave(calling.save, SAVED, calling.submit, waits=True)
    assert saved.value.created
    assert submitted.refused is None
    assert calling.child_node() == ("inner", 1)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


class Checked:
    """A type change of caller and callee that was checked before the execution started."""

    def __init__(self, schedule: Schedule, scenario: Scenario) -> None:
        # The caller is locked first.
        self.caller, self.callee = (
            WorkflowFactory(entity_name_type=scenario.limitation) for _ in range(2)
        )
        save_line(self.callee, form("inner"))
        save_line(self.caller, form(), call(self.callee))
        self.editor = schedule.begin(
            lambda: change(scenario, self.caller, self.callee), CHECKED, EXCLUSIVE
        )
        self.root = running.start(self.caller, scenario.finding)

    def submit(self) -> Execution:
        return submit(self.root)


@pytest.fixture
def checked(schedule: Schedule, scenario: Scenario) -> Checked:
    return Checked(schedule, scenario)


def test_child_starts_while_a_type_change_has_locks_and_the_change_checks_again(
    schedule: Schedule, checked: Checked
) -> None:
    checked.editor.go().wait_until_paused()
    assert schedule.begin(checked.submit).end().refused is None
    changed = checked.editor.go().end()
    assert (changed.refused, changed.blockers) == (ActiveExecutions, 2)
    assert checked.root.children.get().status == Status.WAITING
    assert_nothing_is_stranded()


def test_child_starts_before_a_type_change_that_waits_for_the_callee(
    schedule: Schedule, checked: Checked, scenario: Scenario
) -> None:
    finding = FindingFactory(entity_name_type=scenario.limitation)
    start = schedule.begin(lambda: running.start(checked.callee, finding), CLOSURE_LOCKED)
    checked.editor.go().assert_waits_for(start)
    assert schedule.begin(checked.submit).end().refused is None
    assert start.go().end().refused is None
    checked.editor.wait_until_paused()
    changed = checked.editor.go().end()
    assert (changed.refused, changed.blockers) == (ActiveExecutions, 3)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_type_change_does_not_wait_for_a_starting_child(
    schedule: Schedule, checked: Checked
) -> None:
    child = schedule.begin(checked.submit, AFTER_WRITE)
    checked.editor.go().wait_until_paused()
    changed = checked.editor.go().end()
    assert (changed.refused, changed.blockers) == (ActiveExecutions, 1)
    assert child.go().end().refused is None
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_keys_refuse_type_change_that_bypasses_the_guard(
    schedule: Schedule, checked: Checked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "refuse_context_change", lambda *_, **__: None)
    checked.editor.go().wait_until_paused()
    child = schedule.begin(checked.submit, AFTER_WRITE)
    changed = checked.editor.go()
    changed.assert_waits_for(child)
    assert child.go().end().refused is None
    # Two keys protect the version. The database may check either of them first.
    assert changed.end().refused in (ActiveExecutions, DependentActiveExecutions)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()
