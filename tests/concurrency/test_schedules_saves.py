"""Graphs saved at once with starts, and with each other."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError

from executions import services as running
from executions.models import Execution
from tests.concurrency.laws import assert_laws, assert_nothing_is_stranded, breaches
from tests.concurrency.schedule import (
    GIVEN_UP,
    JUDGED_CALLS,
    LOCKED,
    LOCKED_FOR_SAVE,
    MARKS,
    SAVED,
    SHARED,
    UNWRITTEN,
    WALKED,
    WRITTEN,
    Schedule,
    Stop,
    after,
    save,
)
from tests.concurrency.works import change
from tests.conftest import Scenario
from tests.factories import FindingFactory, WorkflowFactory, call, form, line, save_line
from workflows import editing
from workflows.graph import WorkflowValidationError
from workflows.guards import StaleVersion
from workflows.models import Version, Workflow

pytestmark = MARKS

WALKED_AGAIN = after(WALKED.path, 2)


class Redrawn:
    """A workflow with one form that nothing has run, and a save that gives it another."""

    def __init__(self, scenario: Scenario) -> None:
        self.workflow = WorkflowFactory(entity_name_type=scenario.limitation)
        self.finding = scenario.finding
        save_line(self.workflow, form("old"))

    def start(self) -> Execution:
        return running.start(self.workflow, self.finding)

    def save(self) -> Any:
        return save(self.workflow, form("new"))

    def stands_at(self, execution: Execution) -> tuple[str, int]:
        return execution.steps.open().get().node_id, Version.objects.get(
            pk=execution.version_id
        ).number


@pytest.fixture
def redrawn(scenario: Scenario) -> Redrawn:
    return Redrawn(scenario)


@pytest.mark.parametrize("at", [LOCKED, WALKED_AGAIN], ids=["locked", "walked"])
def test_a_start_overtaken_by_a_save_runs_the_version_that_replaced_the_one_it_saw(
    schedule: Schedule, redrawn: Redrawn, at: Stop
) -> None:
    started, saved = schedule.overtaken(redrawn.start, at, redrawn.save, waits=False)
    assert not saved.value.created
    assert redrawn.stands_at(started.value) == ("new", 1)
    assert_nothing_is_stranded()


@pytest.mark.parametrize("at", [SHARED, WRITTEN], ids=["shared", "written"])
def test_a_save_keeps_the_version_that_a_start_is_taking_and_waits_for_nobody(
    schedule: Schedule, redrawn: Redrawn, at: Stop
) -> None:
    started, saved = schedule.overtaken(redrawn.start, at, redrawn.save, waits=False)
    assert saved.value.created
    assert redrawn.stands_at(started.value) == ("old", 1)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


@pytest.mark.parametrize("at", [GIVEN_UP, SAVED], ids=["given up", "saved"])
def test_a_start_waits_for_the_save_that_replaces_its_version_and_runs_the_new_one(
    schedule: Schedule, redrawn: Redrawn, at: Stop
) -> None:
    saved, started = schedule.overtaken(redrawn.save, at, redrawn.start, waits=True)
    assert not saved.value.created
    assert redrawn.stands_at(started.value) == ("new", 1)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_save_overtaken_by_a_whole_start_appends(schedule: Schedule, redrawn: Redrawn) -> None:
    saved, started = schedule.overtaken(redrawn.save, LOCKED_FOR_SAVE, redrawn.start, waits=False)
    assert saved.value.created
    assert redrawn.stands_at(started.value) == ("old", 1)
    assert_nothing_is_stranded()


def test_a_save_and_a_start_that_meet_at_version_and_workflow_do_not_wait_for_each_other(
    schedule: Schedule, redrawn: Redrawn
) -> None:
    # The version stays, for something ran on it, and the save holds it until it commits.
    running.submit(redrawn.start(), node="old", data={"note": "n"})
    save_ = schedule.begin(redrawn.save, GIVEN_UP)
    start = schedule.begin(redrawn.start)
    start.waits_for(save_)
    assert save_.go().end().value.created
    assert redrawn.stands_at(start.end().value) == ("new", 2)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_the_locks_alone_keep_the_version_of_a_start(schedule: Schedule, redrawn: Redrawn) -> None:
    schedule.without_keys()
    started, saved = schedule.overtaken(redrawn.start, SHARED, redrawn.save, waits=False)
    assert saved.value.created
    assert redrawn.stands_at(started.value) == ("old", 1)
    assert_nothing_is_stranded()


def test_the_keys_alone_refuse_a_start_on_a_version_that_was_replaced(
    schedule: Schedule, redrawn: Redrawn
) -> None:
    schedule.without_locks()
    schedule.watch(WRITTEN.path)
    started, saved = schedule.overtaken(redrawn.start, UNWRITTEN, redrawn.save, waits=False)
    assert not saved.value.created
    assert [type(error) for error in schedule.actors[0].raised] == [IntegrityError]
    assert redrawn.stands_at(started.value) == ("new", 1)
    assert_nothing_is_stranded()


def test_without_locks_and_keys_a_start_stands_on_a_version_that_is_gone(
    schedule: Schedule, redrawn: Redrawn
) -> None:
    schedule.without_locks()
    schedule.without_keys()
    started, saved = schedule.overtaken(redrawn.start, UNWRITTEN, redrawn.save, waits=False)
    assert (started.refused, saved.refused) == (None, None)
    assert not Version.objects.filter(pk=started.value.version_id).exists()
    assert "L4" in breaches()


def test_of_two_saves_of_one_graph_the_later_one_is_stale(
    schedule: Schedule, redrawn: Redrawn
) -> None:
    redrawn.start()
    one, other = schedule.overtaken(
        redrawn.save,
        SAVED,
        lambda: editing.save_graph(redrawn.workflow, line(form("other")), based_on=1),
        waits=True,
    )
    assert (one.refused, other.refused) == (None, StaleVersion)
    assert_nothing_is_stranded()


# The closure grows


def grow(scenario: Scenario) -> Workflow:
    """Let the callee call a further workflow."""
    leaf = WorkflowFactory(title="Leaf", entity_name_type=scenario.limitation)
    save_line(leaf, form("leaf"))
    return leaf


def pinned(execution: Execution) -> dict[str, int]:
    return {pin.callee.title: pin.version.number for pin in execution.pins.all()}


@pytest.mark.parametrize("at", [WALKED, WALKED_AGAIN], ids=["walked", "walked again"])
def test_a_start_pins_what_a_save_has_added_while_it_was_reading(
    schedule: Schedule, scenario: Scenario, at: Stop
) -> None:
    leaf = grow(scenario)
    started, saved = schedule.overtaken(
        scenario.start, at, lambda: save(scenario.callee, call(leaf)), waits=False
    )
    assert saved.refused is None
    assert pinned(started.value) == {"Workflow 3": 1, "Leaf": 1}
    assert_nothing_is_stranded()


def test_a_start_that_has_read_its_closure_keeps_it(schedule: Schedule, scenario: Scenario) -> None:
    leaf = grow(scenario)
    started, saved = schedule.overtaken(
        scenario.start, SHARED, lambda: save(scenario.callee, call(leaf)), waits=False
    )
    assert saved.value.created
    assert pinned(started.value) == {"Workflow 3": 1}
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_the_keys_alone_keep_a_start_from_pinning_a_version_that_was_let_go(
    schedule: Schedule, scenario: Scenario
) -> None:
    # It stays, superseded: something ran on it.
    running.start(scenario.callee, scenario.finding)
    schedule.without_locks()
    schedule.watch(WRITTEN.path)
    started, saved = schedule.overtaken(
        scenario.start, UNWRITTEN, lambda: save(scenario.callee, form("new")), waits=False
    )
    assert saved.value.created
    assert [type(error) for error in schedule.actors[0].raised] == [IntegrityError]
    assert pinned(started.value) == {"Workflow 3": 2}
    assert_nothing_is_stranded()


def test_a_start_waits_for_the_save_that_replaces_a_callees_version(
    schedule: Schedule, scenario: Scenario
) -> None:
    leaf = grow(scenario)
    _, started = schedule.overtaken(
        lambda: save(scenario.callee, call(leaf)), SAVED, scenario.start, waits=True
    )
    assert pinned(started.value) == {"Workflow 3": 1, "Leaf": 1}
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_start_whose_closure_grows_holds_no_share_while_it_takes_one_before_it(
    schedule: Schedule, scenario: Scenario
) -> None:
    # An editor of both has the first and waits for the second; a start that holds the second
    # and asks for the first would close the ring.
    first = WorkflowFactory(title="First", entity_name_type=scenario.limitation)
    second = WorkflowFactory(title="Second", entity_name_type=scenario.limitation)
    start = schedule.begin(lambda: running.start(second, scenario.finding), LOCKED)
    save(second, call(first))
    changed = schedule.begin(lambda: change(scenario, first, second))
    changed.waits_for(start)
    outcomes = start.go().end(), changed.end()
    assert schedule.deadlocks == 0
    assert sum(outcome.refused is None for outcome in outcomes) >= 1
    assert_nothing_is_stranded()


# Cycles


@pytest.fixture
def ring(scenario: Scenario) -> list[Workflow]:
    """A, B, C, D, of which B calls C and D calls A."""
    rows = [WorkflowFactory(title=title, entity_name_type=scenario.limitation) for title in "ABCD"]
    save_line(rows[1], call(rows[2]))
    save_line(rows[3], call(rows[0]))
    return rows


class Closing:
    """Two saves of a ring that close it together, and neither alone."""

    def __init__(self, ring: list[Workflow], calls: Any) -> None:
        self.ring = ring
        self.calls = calls

    def one(self) -> Any:
        return self._save(*self.calls[0])

    def other(self) -> Any:
        return self._save(*self.calls[1])

    def _save(self, caller: int, callee: int) -> Any:
        # A save of B keeps the call that the ring of four is closed by.
        kept = [call(self.ring[2], "further")] if (caller, callee) == (1, 0) else []
        return save(self.ring[caller], *kept, call(self.ring[callee]))


@pytest.fixture(
    params=[((0, 1), (1, 0)), ((1, 0), (0, 1)), ((0, 1), (2, 3)), ((2, 3), (0, 1))],
    ids=["of two", "of two, other order", "of four", "of four, other order"],
)
def closing(ring: list[Workflow], request: pytest.FixtureRequest) -> Closing:
    return Closing(ring, request.param)


def test_of_two_saves_that_together_close_a_cycle_the_later_one_is_refused(
    schedule: Schedule, closing: Closing
) -> None:
    one, other = schedule.overtaken(closing.one, JUDGED_CALLS, closing.other, waits=True)
    assert one.refused is None
    assert (other.refused, other.code) == (WorkflowValidationError, "call_cycle")
    assert schedule.deadlocks == 0
    assert_laws()


def test_a_save_that_walked_before_the_other_was_saved_walks_again_under_its_locks(
    schedule: Schedule, closing: Closing
) -> None:
    one, other = schedule.overtaken(closing.one, WALKED, closing.other, waits=False)
    assert other.refused is None
    assert (one.refused, one.code) == (WorkflowValidationError, "call_cycle")
    assert_laws()


def test_without_the_locks_the_same_two_saves_close_the_cycle(
    schedule: Schedule, closing: Closing
) -> None:
    schedule.without_locks()
    outcomes = schedule.overtaken(closing.one, JUDGED_CALLS, closing.other, waits=False)
    assert [outcome.refused for outcome in outcomes] == [None, None]
    assert breaches() == {"L7"}


def test_a_started_execution_of_a_ring_that_was_kept_open_runs_to_its_end(
    schedule: Schedule, ring: list[Workflow], scenario: Scenario
) -> None:
    started, saved = schedule.overtaken(
        lambda: running.start(ring[3], scenario.finding),
        WALKED,
        lambda: save(ring[0], call(ring[1])),
        waits=False,
    )
    assert saved.refused is None
    assert sorted(pinned(started.value)) == ["A", "B", "C"]
    started.value.refresh_from_db()
    assert started.value.status == "completed"
    finding = FindingFactory(entity_name_type=scenario.limitation)
    assert running.start(ring[1], finding).status == "completed"
    assert_laws()
