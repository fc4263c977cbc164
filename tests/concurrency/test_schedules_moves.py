"""Moves to another version, concurrent with everything else that changes an execution."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from executions import services as running
from executions.guards import NotOpen
from executions.models import Execution, Move, Status
from executions.services.moving import MoveRefused
from executions.services.purging import Purged, purge
from executions.worker import queue
from tests.concurrency.actions import change, submit
from tests.concurrency.invariants import assert_invariants, assert_nothing_is_stranded
from tests.concurrency.schedule import (
    MARKS,
    Outcome,
    Schedule,
    after,
    before,
    save,
    unlocked_fixture,  # noqa: F401
)
from tests.conftest import Scenario
from tests.factories import call, form
from workflows import editing
from workflows.guards import ActiveExecutions, DependentActiveExecutions, HasCallers
from workflows.models import Workflow

pytestmark = MARKS

MOVE_LOCKED = after("executions.services.moving.lock_live_tree")
MOVE_PLANNED = after("executions.services.moving.plan_steps")
MOVED = after("executions.services.moving.write_move")
SUBMITTING = before("executions.engine.tree.Tree.write")


class Moving:
    """An execution of the caller at its form, and a corrected version of the caller."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        save(scenario.callee, form("inner"))
        self.execution = scenario.start()
        save(scenario.caller, form(), form("second"), call(scenario.callee))

    def move(self, **options: Any) -> Any:
        return running.move(self.execution, why="Wrong graph", **options)

    def submit(self) -> Execution:
        return submit(self.execution)

    @property
    def nodes(self) -> list[str]:
        return list(self.execution.steps.open().values_list("node_id", flat=True))

    def assert_consistent(self, schedule: Schedule) -> None:
        self.execution.refresh_from_db()
        assert schedule.deadlocks == 0
        assert_invariants()
        assert_nothing_is_stranded()


@pytest.fixture
def moving(scenario: Scenario) -> Moving:
    return Moving(scenario)


class TestSubmit:
    def test_submit_waits_for_move_and_continues_by_the_new_graph(
        self, schedule: Schedule, moving: Moving
    ) -> None:
        ended = schedule.interleave(moving.move, MOVED, moving.submit, waits=True)
        assert [one.refused for one in ended] == [None, None]
        assert moving.nodes == ["second"]
        moving.assert_consistent(schedule)

    def test_move_waits_for_submit_and_moves_what_it_left(
        self, schedule: Schedule, moving: Moving
    ) -> None:
        ended = schedule.interleave(moving.submit, SUBMITTING, moving.move, waits=True)
        assert ended[0].refused is None
        # The call was reached by the old graph, and goes on by the new one.
        assert ended[1].refused is None and moving.nodes == ["call"]
        moving.assert_consistent(schedule)

    def test_submit_without_locks_begins_again_after_a_move(
        self, unlocked: Schedule, moving: Moving
    ) -> None:
        one = unlocked.begin(moving.submit, SUBMITTING)
        other = unlocked.begin(moving.move)
        assert other.end().refused is None
        assert one.go().end().refused is None
        assert moving.nodes == ["second"]
        moving.assert_consistent(unlocked)

    def test_submit_to_a_mapped_step_is_refused_not_lost(
        self, unlocked: Schedule, moving: Moving
    ) -> None:
        save(moving.scenario.caller, form("other"), call(moving.scenario.callee))
        one = unlocked.begin(moving.submit, SUBMITTING)
        moved = unlocked.begin(lambda: moving.move(mapping={"form": "other"}))
        assert moved.end().refused is None
        assert one.go().end().refused is NotOpen
        assert moving.nodes == ["other"]
        moving.assert_consistent(unlocked)

    def test_plan_that_a_submit_has_outdated_moves_nothing(
        self, schedule: Schedule, moving: Moving
    ) -> None:
        token = running.plan_move(moving.execution).token
        ended = schedule.interleave(
            moving.submit, SUBMITTING, lambda: moving.move(token=token), waits=True
        )
        assert ended[1].refused is MoveRefused and not Move.objects.exists()
        moving.assert_consistent(schedule)


@pytest.mark.parametrize("number", [1, 2], ids=["one", "all_in_a_transaction"])
def test_plan_waits_for_nobody_and_blocks_nobody(
    schedule: Schedule, moving: Moving, number: int
) -> None:
    def plan() -> Any:
        with transaction.atomic() if number > 1 else nullcontext():
            return [running.plan_move(moving.execution) for _ in range(number)]

    ended = schedule.interleave(moving.move, MOVED, plan, waits=False)
    assert [one.refused for one in ended] == [None, None]
    save(moving.scenario.caller, form(), form("third"))
    ended = schedule.interleave(plan, MOVE_PLANNED, moving.submit, waits=False)
    assert [one.refused for one in ended] == [None, None]
    moving.assert_consistent(schedule)


def _cancel(moving: Moving) -> Any:
    return running.cancel(moving.execution)


def _second_move(moving: Moving) -> Any:
    return moving.move()


@pytest.mark.parametrize(
    ("other", "refused"), [(_cancel, None), (_second_move, MoveRefused)], ids=["cancel", "move"]
)
def test_other_operation_waits_for_move(
    schedule: Schedule,
    moving: Moving,
    other: Callable[[Moving], Any],
    refused: type[Exception] | None,
) -> None:
    ended = schedule.interleave(moving.move, MOVED, lambda: other(moving), waits=True)
    assert [one.refused for one in ended] == [None, refused]
    assert Move.objects.count() == 1
    moving.assert_consistent(schedule)


def test_move_waits_for_cancel_and_is_refused(schedule: Schedule, moving: Moving) -> None:
    ended = schedule.interleave(lambda: _cancel(moving), SUBMITTING, moving.move, waits=True)
    assert [one.refused for one in ended] == [None, MoveRefused]
    assert moving.execution.steps.open().count() == 0
    moving.assert_consistent(schedule)


def test_timer_waits_for_move_and_continues_by_the_new_graph(
    schedule: Schedule, scenario: Scenario
) -> None:
    nap = {"id": "nap", "type": "wait", "data": {"interval": "P1D"}}
    save(scenario.caller, nap)
    execution = scenario.start()
    save(scenario.caller, nap, form("after"))
    execution.steps.open().get().jobs.update(due_at=timezone.now() - timedelta(hours=1))
    ended = schedule.interleave(
        lambda: running.move(execution, why="w"), MOVED, queue.serve_due, waits=True
    )
    assert [one.refused for one in ended] == [None, None]
    assert list(execution.steps.open().values_list("node_id", flat=True)) == ["after"]
    assert_invariants()
    assert_nothing_is_stranded()


class TestEdits:
    """Editors never wait for an execution: a move waits for them, or they for its shared locks."""

    def test_saved_graph_waits_or_not_and_move_keeps_its_version(
        self, schedule: Schedule, moving: Moving
    ) -> None:
        ended = schedule.interleave(
            moving.move,
            MOVED,
            lambda: save(moving.scenario.caller, form(), call(moving.scenario.callee)),
            waits=True,
        )
        assert [one.refused for one in ended] == [None, None]
        moving.execution.refresh_from_db()
        assert moving.execution.version.number == 2
        moving.assert_consistent(schedule)

    def test_move_waits_for_saved_graph_and_goes_to_it(
        self, schedule: Schedule, moving: Moving
    ) -> None:
        # Version 2 is not used by anything: the save replaces it under the same number.
        ended = schedule.interleave(
            lambda: save(moving.scenario.caller, form(), form("third")),
            after("workflows.editing.graph_save.release_superseded"),
            moving.move,
            waits=True,
        )
        assert [one.refused for one in ended] == [None, None]
        assert submit(moving.execution).steps.open().get().node_id == "third"
        moving.assert_consistent(schedule)

    def test_callee_saved_meanwhile_is_pinned_as_it_was_locked(
        self, schedule: Schedule, moving: Moving
    ) -> None:
        ended = schedule.interleave(
            moving.move,
            MOVED,
            lambda: save(moving.scenario.callee, form("inner"), form("more")),
            waits=True,
        )
        assert [one.refused for one in ended] == [None, None]
        moving.assert_consistent(schedule)

    @pytest.mark.parametrize("at", [MOVE_LOCKED, MOVE_PLANNED, MOVED], ids=lambda at: at.path)
    def test_change_of_context_is_refused_while_the_tree_is_moved(
        self, schedule: Schedule, moving: Moving, at: Any
    ) -> None:
        both = (moving.scenario.caller, moving.scenario.callee)
        one = schedule.begin(moving.move, at)
        other = schedule.begin(lambda: change(moving.scenario, *both))
        changed = self._end(one, other)
        assert changed.refused in (ActiveExecutions, DependentActiveExecutions)
        moving.assert_consistent(schedule)

    def test_context_of_a_callee_that_only_the_new_version_calls(
        self, schedule: Schedule, moving: Moving, free: Workflow
    ) -> None:
        save(moving.scenario.caller, form(), call(free))
        one = schedule.begin(moving.move, MOVED)
        other = schedule.begin(lambda: change(moving.scenario, free))
        assert self._end(one, other).refused is not None
        assert Move.objects.count() == 1
        moving.assert_consistent(schedule)

    def test_retired_workflow_and_move(self, schedule: Schedule, moving: Moving) -> None:
        caller = moving.scenario.caller
        one = schedule.begin(moving.move, MOVED)
        other = schedule.begin(lambda: editing.set_state(caller, "retired"))
        assert self._end(one, other).refused is None
        moving.execution.refresh_from_db()
        assert moving.execution.version.in_force
        moving.assert_consistent(schedule)

    def test_callee_is_not_retired_while_the_move_pins_it(
        self, schedule: Schedule, moving: Moving
    ) -> None:
        one = schedule.begin(moving.move, MOVED)
        other = schedule.begin(lambda: editing.set_state(moving.scenario.callee, "retired"))
        assert self._end(one, other).refused is HasCallers
        moving.assert_consistent(schedule)

    def _end(self, move: Any, other: Any) -> Outcome:
        """End the move, which may have been waited for, and return the outcome of the other."""
        assert move.go().end().refused is None
        ended: Outcome = other.end()
        return ended


def test_purge_leaves_a_tree_that_is_moved(schedule: Schedule, moving: Moving) -> None:
    later = timezone.now() + timedelta(days=1)
    ended = schedule.interleave(
        moving.move, MOVED, lambda: list(purge(later, done=Purged(), rest=0)), waits=False
    )
    assert [one.refused for one in ended] == [None, None]
    assert Execution.objects.filter(pk=moving.execution.pk).exists()
    running.cancel(moving.execution)
    list(purge(later, done=Purged(), rest=0))
    assert not Execution.objects.exists() and not Move.objects.exists()


def test_ended_execution_is_not_moved(schedule: Schedule, moving: Moving) -> None:
    moving.submit()
    child = moving.execution.children.get()
    submit(child, "inner")
    moving.execution.refresh_from_db()
    assert moving.execution.status == Status.COMPLETED
    with pytest.raises(MoveRefused):
        moving.move()
