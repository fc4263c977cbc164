"""Children that start, at once with edits of the workflows that they run."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services as running
from executions.models import Execution, Status
from tests.concurrency.laws import assert_nothing_is_stranded
from tests.concurrency.schedule import (
    EXCLUSIVE,
    JUDGED,
    MARKS,
    SAVED,
    SHARED,
    UNWRITTEN,
    WRITTEN,
    Schedule,
    save,
)
from tests.concurrency.works import change, submit
from tests.conftest import Scenario
from tests.factories import FindingFactory, WorkflowFactory, call, form, save_line
from workflows import guards as drawing
from workflows.guards import ActiveExecutions, DependentActiveExecutions

pytestmark = MARKS


class Calling:
    """An execution that stands before its call; the caller's latest graph calls nobody now."""

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

    def child_stands_at(self) -> tuple[str, int]:
        child = self.root.children.get()
        return child.steps.open().get().node_id, child.version.number


@pytest.fixture
def calling(scenario: Scenario) -> Calling:
    return Calling(scenario)


def test_a_change_of_the_callee_is_refused_before_while_and_after_the_child_starts(
    schedule: Schedule, calling: Calling
) -> None:
    _, changed = schedule.overtaken(calling.submit, UNWRITTEN, calling.change, waits=False)
    assert changed.refused is DependentActiveExecutions
    with pytest.raises(ActiveExecutions):
        calling.change()
    assert calling.child_stands_at() == ("inner", 1)
    assert_nothing_is_stranded()


@pytest.mark.parametrize("locked", [True, False], ids=["keys and locks", "keys"])
def test_the_keys_alone_hold_the_callee_of_a_child_that_is_starting(
    schedule: Schedule, calling: Calling, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    monkeypatch.setattr(drawing, "refuse_context_change", lambda *_, **__: None)
    if not locked:
        schedule.without_locks()
    submitted, changed = schedule.overtaken(calling.submit, WRITTEN, calling.change, waits=True)
    assert submitted.refused is None
    assert changed.refused in (ActiveExecutions, DependentActiveExecutions)
    assert calling.child_stands_at() == ("inner", 1)
    assert_nothing_is_stranded()


def test_a_child_starts_on_its_pinned_version_though_the_callee_is_saved(
    schedule: Schedule, calling: Calling
) -> None:
    submitted, saved = schedule.overtaken(calling.submit, WRITTEN, calling.save, waits=False)
    assert submitted.refused is None
    assert saved.value.created
    assert calling.child_stands_at() == ("inner", 1)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_child_may_wait_for_a_save_of_the_callee_and_starts_on_its_pinned_version(
    schedule: Schedule, calling: Calling
) -> None:
    saved, submitted = schedule.overtaken(calling.save, SAVED, calling.submit, waits=True)
    assert saved.value.created
    assert submitted.refused is None
    assert calling.child_stands_at() == ("inner", 1)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


class Judged:
    """A change of a caller and its callee that judged before the execution was there."""

    def __init__(self, schedule: Schedule, scenario: Scenario) -> None:
        # The caller comes first in the order of the locks.
        self.caller, self.callee = (
            WorkflowFactory(entity_name_type=scenario.limitation) for _ in range(2)
        )
        save_line(self.callee, form("inner"))
        save_line(self.caller, form(), call(self.callee))
        self.editor = schedule.begin(
            lambda: change(scenario, self.caller, self.callee), JUDGED, EXCLUSIVE
        )
        self.root = running.start(self.caller, scenario.finding)

    def submit(self) -> Execution:
        return submit(self.root)


@pytest.fixture
def judged(schedule: Schedule, scenario: Scenario) -> Judged:
    return Judged(schedule, scenario)


def test_a_child_starts_while_a_change_has_the_rows_and_the_change_judges_again(
    schedule: Schedule, judged: Judged
) -> None:
    judged.editor.go().held()
    assert schedule.begin(judged.submit).end().refused is None
    changed = judged.editor.go().end()
    assert (changed.refused, changed.blockers) == (ActiveExecutions, 2)
    assert judged.root.children.get().status == Status.WAITING
    assert_nothing_is_stranded()


def test_a_child_overtakes_a_change_that_has_the_callers_row_and_waits_at_the_callees(
    schedule: Schedule, judged: Judged, scenario: Scenario
) -> None:
    finding = FindingFactory(entity_name_type=scenario.limitation)
    start = schedule.begin(lambda: running.start(judged.callee, finding), SHARED)
    judged.editor.go().waits_for(start)
    assert schedule.begin(judged.submit).end().refused is None
    assert start.go().end().refused is None
    judged.editor.held()
    changed = judged.editor.go().end()
    assert (changed.refused, changed.blockers) == (ActiveExecutions, 3)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_change_waits_for_no_child_that_is_starting(schedule: Schedule, judged: Judged) -> None:
    child = schedule.begin(judged.submit, WRITTEN)
    judged.editor.go().held()
    changed = judged.editor.go().end()
    assert (changed.refused, changed.blockers) == (ActiveExecutions, 1)
    assert child.go().end().refused is None
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_change_past_the_guard_waits_for_a_child_at_its_version_and_the_keys_refuse_it(
    schedule: Schedule, judged: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "refuse_context_change", lambda *_, **__: None)
    judged.editor.go().held()
    child = schedule.begin(judged.submit, WRITTEN)
    changed = judged.editor.go()
    changed.waits_for(child)
    assert child.go().end().refused is None
    # Two keys hold the version; which of them the database asks first is its own affair.
    assert changed.end().refused in (ActiveExecutions, DependentActiveExecutions)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()
