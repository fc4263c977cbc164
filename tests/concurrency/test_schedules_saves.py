"""Saves of graphs, concurrent with starts and with each other."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError

from executions import services as running
from executions.models import Execution
from tests.concurrency.actions import change
from tests.concurrency.invariants import (
    assert_invariants,
    assert_nothing_is_stranded,
    find_violations,
)
from tests.concurrency.schedule import (
    AFTER_WRITE,
    BEFORE_CLOSURE,
    BEFORE_WRITE,
    CALLS_READ,
    CHECKED_CALLS,
    CLOSURE_LOCKED,
    DELETED_UNUSED,
    LOCKED,
    LOCKED_FOR_SAVE,
    MARKS,
    SAVED,
    Schedule,
    Stop,
    after,
    save,
)
from tests.conftest import Scenario
from tests.factories import FindingFactory, WorkflowFactory, call, form, line, save_line
from workflows import editing
from workflows.graph import WorkflowValidationError
from workflows.guards import StaleVersion
from workflows.models import Version, Workflow

pytestmark = MARKS

WALKED_AGAIN = after(CALLS_READ.path, 2)


class Redrawn:
    """A workflow with one form and no execution, and a save that replaces the form."""

    def __init__(self, scenario: Scenario) -> None:
        self.workflow = WorkflowFactory(entity_name_type=scenario.limitation)
        self.finding = scenario.finding
        save_line(self.workflow, form("old"))

    def start(self) -> Execution:
        return running.start(self.workflow, self.finding)

    def save(self) -> Any:
        return save(self.workflow, form("new"))

    def current_node(self, execution: Execution) -> tuple[str, int]:
        return execution.steps.open().get().node_id, Version.objects.get(
            pk=execution.version_id
        ).number


@pytest.fixture
def redrawn(scenario: Scenario) -> Redrawn:
    return Redrawn(scenario)


@pytest.mark.parametrize("at", [LOCKED, WALKED_AGAIN], ids=["locked", "walked"])
def test_start_runs_the_version_that_a_save_replaced_meanwhile(
    schedule: Schedule, redrawn: Redrawn, at: Stop
) -> None:
    started, saved = schedule.interleave(redrawn.start, at, redrawn.save, waits=False)
    assert not saved.value.created
    assert redrawn.current_node(started.value) == ("new", 1)
    assert_nothing_is_stranded()


@pytest.mark.parametrize("at", [CLOSURE_LOCKED, AFTER_WRITE], ids=["shared", "written"])
def test_save_keeps_the_version_of_a_start_without_waiting(
    schedule: Schedule, redrawn: Redrawn, at: Stop
) -> None:
    started, saved = schedule.interleave(redrawn.start, at, redrawn.save, waits=False)
    assert saved.value.created
    assert redrawn.current_node(started.value) == ("old", 1)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


@pytest.mark.parametrize("at", [DELETED_UNUSED, SAVED], ids=["given up", "saved"])
def test_start_waits_for_save_and_runs_the_new_version(
    schedule: Schedule, redrawn: Redrawn, at: Stop
) -> None:
    saved, started = schedule.interleave(redrawn.save, at, redrawn.start, waits=True)
    assert not saved.value.created
    assert redrawn.current_node(started.value) == ("new", 1)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_save_appends_a_version_when_a_start_came_first(
    schedule: Schedule, redrawn: Redrawn
) -> None:
    saved, started = schedule.interleave(redrawn.save, LOCKED_FOR_SAVE, redrawn.start, waits=False)
    assert saved.value.created
    assert redrawn.current_node(started.value) == ("old", 1)
    assert_nothing_is_stranded()


def test_save_and_start_do_not_deadlock(schedule: Schedule, redrawn: Redrawn) -> None:
    # An execution keeps the version, and the save locks it until it commits.
    running.submit(redrawn.start(), node="old", data={"note": "n"})
    save_ = schedule.begin(redrawn.save, DELETED_UNUSED)
    start = schedule.begin(redrawn.start)
    start.assert_waits_for(save_)
    assert save_.go().end().value.created
    assert redrawn.current_node(start.end().value) == ("new", 2)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_locks_alone_protect_the_version_of_a_start(schedule: Schedule, redrawn: Redrawn) -> None:
    schedule.without_keys()
    started, saved = schedule.interleave(redrawn.start, CLOSURE_LOCKED, redrawn.save, waits=False)
    assert saved.value.created
    assert redrawn.current_node(started.value) == ("old", 1)
    assert_nothing_is_stranded()


def test_keys_alone_refuse_start_on_replaced_version(schedule: Schedule, redrawn: Redrawn) -> None:
    schedule.without_locks()
    schedule.watch(AFTER_WRITE.path)
    started, saved = schedule.interleave(redrawn.start, BEFORE_WRITE, redrawn.save, waits=False)
    assert not saved.value.created
    assert [type(error) for error in schedule.actors[0].raised] == [IntegrityError]
    assert redrawn.current_node(started.value) == ("new", 1)
    assert_nothing_is_stranded()


def test_start_uses_missing_version_without_locks_and_keys(
    schedule: Schedule, redrawn: Redrawn
) -> None:
    schedule.without_locks()
    schedule.without_keys()
    started, saved = schedule.interleave(redrawn.start, BEFORE_WRITE, redrawn.save, waits=False)
    assert (started.refused, saved.refused) == (None, None)
    assert not Version.objects.filter(pk=started.value.version_id).exists()
    assert "I4" in find_violations()


def test_second_save_of_a_graph_is_stale(schedule: Schedule, redrawn: Redrawn) -> None:
    redrawn.start()
    one, other = schedule.interleave(
        redrawn.save,
        SAVED,
        lambda: editing.save_graph(redrawn.workflow, line(form("other")), based_on=1),
        waits=True,
    )
    assert (one.refused, other.refused) == (None, StaleVersion)
    assert_nothing_is_stranded()


# The closure grows


def grow(scenario: Scenario) -> Workflow:
    """Add a call to the callee."""
    leaf = WorkflowFactory(title="Leaf", entity_name_type=scenario.limitation)
    save_line(leaf, form("leaf"))
    return leaf


def pinned(execution: Execution) -> dict[str, int]:
    return {pin.callee.title: pin.version.number for pin in execution.pins.all()}


@pytest.mark.parametrize("at", [CALLS_READ, WALKED_AGAIN], ids=["walked", "walked again"])
def test_start_pins_a_callee_added_meanwhile(
    schedule: Schedule, scenario: Scenario, at: Stop
) -> None:
    leaf = grow(scenario)
    started, saved = schedule.interleave(
        scenario.start, at, lambda: save(scenario.callee, call(leaf)), waits=False
    )
    assert saved.refused is None
    assert pinned(started.value) == {"Workflow 3": 1, "Leaf": 1}
    assert_nothing_is_stranded()


def test_start_keeps_the_closure_that_it_locked(schedule: Schedule, scenario: Scenario) -> None:
    leaf = grow(scenario)
    started, saved = schedule.interleave(
        scenario.start, CLOSURE_LOCKED, lambda: save(scenario.callee, call(leaf)), waits=False
    )
    assert saved.value.created
    assert pinned(started.value) == {"Workflow 3": 1}
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_keys_alone_refuse_pin_of_released_version(schedule: Schedule, scenario: Scenario) -> None:
    # An execution keeps it, so it is superseded.
    running.start(scenario.callee, scenario.finding)
    schedule.without_locks()
    started, saved = schedule.interleave(
        scenario.start, BEFORE_CLOSURE, lambda: save(scenario.callee, form("new")), waits=False
    )
    assert saved.value.created
    assert [type(error) for error in schedule.actors[0].raised] == [IntegrityError]
    assert pinned(started.value) == {"Workflow 3": 2}
    assert_nothing_is_stranded()


def test_start_waits_for_save_that_replaces_the_version_of_a_callee(
    schedule: Schedule, scenario: Scenario
) -> None:
    leaf = grow(scenario)
    _, started = schedule.interleave(
        lambda: save(scenario.callee, call(leaf)), SAVED, scenario.start, waits=True
    )
    assert pinned(started.value) == {"Workflow 3": 1, "Leaf": 1}
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_start_restarts_its_locks_when_the_closure_grows(
    schedule: Schedule, scenario: Scenario
) -> None:
    # An editor of both has the first lock and waits for the second. A start with the second lock
    # that waits for the first would be a deadlock.
    first = WorkflowFactory(title="First", entity_name_type=scenario.limitation)
    second = WorkflowFactory(title="Second", entity_name_type=scenario.limitation)
    start = schedule.begin(lambda: running.start(second, scenario.finding), LOCKED)
    save(second, call(first))
    changed = schedule.begin(lambda: change(scenario, first, second))
    changed.assert_waits_for(start)
    outcomes = start.go().end(), changed.end()
    assert schedule.deadlocks == 0
    assert sum(outcome.refused is None for outcome in outcomes) >= 1
    assert_nothing_is_stranded()


# Cycles


@pytest.fixture
def ring(scenario: Scenario) -> list[Workflow]:
    """Return workflows A, B, C and D. B calls C, and D calls A."""
    rows = [WorkflowFactory(title=title, entity_name_type=scenario.limitation) for title in "ABCD"]
    save_line(rows[1], call(rows[2]))
    save_line(rows[3], call(rows[0]))
    return rows


class Closing:
    """Two saves that close a cycle only together."""

    def __init__(self, ring: list[Workflow], calls: Any) -> None:
        self.ring = ring
        self.calls = calls

    def one(self) -> Any:
        return self._save(*self.calls[0])

    def other(self) -> Any:
        return self._save(*self.calls[1])

    def _save(self, caller: int, callee: int) -> Any:
        # The save of B keeps the call that closes the cycle of four.
        other_calls = [call(self.ring[2], "further")] if (caller, callee) == (1, 0) else []
        return save(self.ring[caller], *other_calls, call(self.ring[callee]))


@pytest.fixture(
    params=[((0, 1), (1, 0)), ((1, 0), (0, 1)), ((0, 1), (2, 3)), ((2, 3), (0, 1))],
    ids=["of two", "of two, other order", "of four", "of four, other order"],
)
def closing(ring: list[Workflow], request: pytest.FixtureRequest) -> Closing:
    return Closing(ring, request.param)


def test_second_save_is_refused_when_it_closes_a_cycle(
    schedule: Schedule, closing: Closing
) -> None:
    one, other = schedule.interleave(closing.one, CHECKED_CALLS, closing.other, waits=True)
    assert one.refused is None
    assert (other.refused, other.code) == (WorkflowValidationError, "call_cycle")
    assert schedule.deadlocks == 0
    assert_invariants()


def test_save_looks_for_cycles_again_under_its_locks(schedule: Schedule, closing: Closing) -> None:
    one, other = schedule.interleave(closing.one, CALLS_READ, closing.other, waits=False)
    assert other.refused is None
    assert (one.refused, one.code) == (WorkflowValidationError, "call_cycle")
    assert_invariants()


def test_cycle_is_saved_without_locks(schedule: Schedule, closing: Closing) -> None:
    schedule.without_locks()
    outcomes = schedule.interleave(closing.one, CHECKED_CALLS, closing.other, waits=False)
    assert [outcome.refused for outcome in outcomes] == [None, None]
    assert find_violations() == {"I7"}


def test_execution_completes_when_a_cycle_was_prevented(
    schedule: Schedule, ring: list[Workflow], scenario: Scenario
) -> None:
    started, saved = schedule.interleave(
        lambda: running.start(ring[3], scenario.finding),
        CALLS_READ,
        lambda: save(ring[0], call(ring[1])),
        waits=False,
    )
    assert saved.refused is None
    assert sorted(pinned(started.value)) == ["A", "B", "C"]
    started.value.refresh_from_db()
    assert started.value.status == "completed"
    finding = FindingFactory(entity_name_type=scenario.limitation)
    assert running.start(ring[1], finding).status == "completed"
    assert_invariants()
