"""Two edits at the same time on PostgreSQL: one pauses while the other proceeds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from executions import guards as running_guards
from executions import services as running
from executions.engine.advance import Advance
from executions.models import Entity, Execution, Status
from tests.conftest import Scenario
from tests.factories import WorkflowFactory, call, form, line, save_line
from workflows import editing, guards
from workflows.db import locks
from workflows.editing.context_change import ContextChange
from workflows.models import Workflow, call_queries
from workflows.refusals import Refusal

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("invariants"),
    pytest.mark.postgresql,
]

TIMEOUT_SECONDS = 15


class OtherThread(threading.Thread):
    """An action in another thread, with its own connection."""

    def __init__(self, action: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.action = action
        self.result: Any = None

    def run(self) -> None:
        try:
            self.result = self.action()
        except Exception as error:
            self.result = error
        finally:
            connection.close()

    def is_waiting_for_lock(self) -> bool:
        """Return True when this thread blocks another one, False when the action has ended."""
        while self.is_alive():
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_locks WHERE NOT granted"
                    " AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
                )
                if cursor.fetchone()[0]:
                    return True
        return False

    def outcome(self) -> Any:
        self.join(TIMEOUT_SECONDS)
        assert not self.is_alive()
        return self.result


class Pause:
    """Run ``then`` once on this thread, right after the ``nth`` call of ``name``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch

    def __call__(self, owner: Any, name: str, then: Callable[[], Any], *, nth: int = 1) -> None:
        original = getattr(owner, name)
        me = threading.current_thread()
        calls_left = [nth]

        def paused(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if threading.current_thread() is me:
                calls_left[0] -= 1
                if calls_left[0] == 0:
                    then()
            return result

        self.monkeypatch.setattr(owner, name, paused)


@pytest.fixture
def pause(monkeypatch: pytest.MonkeyPatch) -> Pause:
    return Pause(monkeypatch)


def test_change_waits_for_a_start_and_is_refused(scenario: Scenario, pause: Pause) -> None:
    both = [scenario.caller, scenario.callee]
    other = OtherThread(
        lambda: editing.change_entity_context(both, entity_name_type=scenario.exception)
    )

    def go() -> None:
        other.start()
        assert other.is_waiting_for_lock()

    pause(Advance, "write", go)
    execution = scenario.start()
    assert isinstance(other.outcome(), guards.ActiveExecutions)
    running.submit(execution, node="form", data={"note": "n"})


def test_start_waits_for_a_change_and_sees_the_new_type(scenario: Scenario, pause: Pause) -> None:
    other = OtherThread(scenario.start)

    def go() -> None:
        other.start()
        assert other.is_waiting_for_lock()

    pause(ContextChange, "append_versions", go)
    editing.change_entity_context(
        [scenario.caller, scenario.callee], entity_name_type=scenario.exception
    )
    assert isinstance(other.outcome(), running_guards.EntityTypeMismatch)
    assert not Execution.objects.exists()


def test_key_refuses_a_change_during_a_start_without_locks(
    scenario: Scenario, pause: Pause, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_lock(rows: Any, ids: Any, strength: Any, **options: Any) -> list[int]:
        return sorted(set(ids))

    monkeypatch.setattr(locks, "lock_rows", no_lock)
    other = OtherThread(
        lambda: editing.change_entity_context(
            [scenario.caller, scenario.callee], entity_name_type=scenario.exception
        )
    )

    def go() -> None:
        other.start()
        assert other.is_waiting_for_lock()

    pause(Advance, "write", go)
    scenario.start()
    # It judged before the start was committed: the key refuses it.
    outcome = other.outcome()
    assert isinstance(outcome, Refusal)
    assert isinstance(outcome.__cause__, Exception)


@pytest.mark.parametrize("nth", [1, 2])
def test_graph_saved_during_a_start_is_used_as_a_whole(
    pause: Pause, scenario: Scenario, nth: int
) -> None:
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    other = OtherThread(
        lambda: editing.save_graph(workflow, line(form(), call(scenario.callee)), based_on=1)
    )

    def go() -> None:
        other.start()
        other.outcome()

    pause(call_queries, "follow_calls", go, nth=nth)
    execution = running.start(workflow, scenario.finding)
    assert execution.status == Status.WAITING
    assert execution.version == workflow.latest_version
    assert [pin.callee for pin in execution.pins.all()] == [scenario.callee]
    running.submit(execution, node="form", data={"note": "n"})
    execution.refresh_from_db()
    assert execution.status == Status.COMPLETED


@pytest.mark.parametrize("length", [2, 4])
def test_second_graph_that_closes_a_cycle_is_refused(
    scenario: Scenario, pause: Pause, length: int
) -> None:
    ring = [WorkflowFactory(entity_name_type=scenario.limitation) for _ in range(length)]
    half = length // 2
    for number, workflow in enumerate(ring):
        if number % half:
            save_line(workflow, call(ring[(number + 1) % length]))
    first, second = ring[0], ring[half]
    if half > 1:
        save_line(ring[1], call(ring[2]))
        save_line(ring[3], call(ring[0]))
    other = OtherThread(
        lambda: editing.save_graph(
            second, line(call(ring[(half + 1) % length])), based_on=second.latest_version.number
        )
    )

    def go() -> None:
        other.start()
        assert other.is_waiting_for_lock()

    pause(guards, "refuse_calls", go)
    editing.save_graph(first, line(call(ring[1])), based_on=first.latest_version.number)
    outcome = other.outcome()
    assert isinstance(outcome, Refusal)
    assert outcome.code == "call_cycle"


def test_two_executions_write_one_entity_without_loss(scenario: Scenario, pause: Pause) -> None:
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    save_line(workflow, form("ask", {"name": "a", "type": "text"}, {"name": "b", "type": "text"}))
    one = running.start(workflow, scenario.finding)
    two = running.start(workflow, scenario.finding)
    other = OtherThread(lambda: running.submit(two, node="ask", data={"b": "2"}))

    def go() -> None:
        other.start()
        assert other.is_waiting_for_lock()

    pause(Advance, "write", go)
    with transaction.atomic():
        running.submit(one, node="ask", data={"a": "1"})
    assert isinstance(other.outcome(), Execution)
    assert Entity.objects.get(pk=scenario.finding.pk).fields == {"a": "1", "b": "2"}


def test_second_submit_of_a_step_is_refused(scenario: Scenario, pause: Pause) -> None:
    execution = scenario.start()
    other = OtherThread(lambda: running.submit(execution, node="form", data={"note": "second"}))

    def go() -> None:
        other.start()
        assert other.is_waiting_for_lock()

    pause(Advance, "write", go)
    with transaction.atomic():
        running.submit(execution, node="form", data={"note": "first"})
    assert isinstance(other.outcome(), running_guards.ExecutionEnded)
    assert Entity.objects.get(pk=scenario.finding.pk).fields == {"note": "first"}
    assert execution.children.count() == 1


def test_submit_during_a_cancel_is_refused(scenario: Scenario, pause: Pause) -> None:
    execution = scenario.start()
    other = OtherThread(lambda: running.submit(execution, node="form", data={"note": "n"}))

    def go() -> None:
        other.start()
        assert other.is_waiting_for_lock()

    pause(Advance, "write", go)
    running.cancel(execution)
    assert isinstance(other.outcome(), running_guards.ExecutionEnded)


def test_start_completes_during_a_retirement(scenario: Scenario, pause: Pause) -> None:
    other = OtherThread(lambda: editing.retire(scenario.caller))

    def go() -> None:
        other.start()
        assert other.is_waiting_for_lock()

    pause(Advance, "write", go)
    execution = scenario.start()
    assert isinstance(other.outcome(), Workflow)
    running.submit(execution, node="form", data={"note": "n"})
    with pytest.raises(running_guards.NotStartable):
        scenario.start()


def test_child_starts_while_a_change_of_its_workflow_waits(
    scenario: Scenario, pause: Pause
) -> None:
    save_line(scenario.callee, form("inner"))
    execution = scenario.start()
    other = OtherThread(
        lambda: editing.change_entity_context(
            [scenario.callee], entity_name_type=scenario.exception
        )
    )

    def go() -> None:
        other.start()
        other.outcome()

    pause(Advance, "write", go)
    with transaction.atomic():
        running.submit(execution, node="form", data={"note": "n"})
    assert isinstance(other.outcome(), guards.DependentActiveExecutions)
    running.submit(execution.children.get(), node="inner", data={"note": "n"})


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_change_in_an_older_snapshot_is_refused_after_a_start(
    scenario: Scenario, level: str
) -> None:
    other = OtherThread(scenario.start)
    both = [scenario.caller, scenario.callee]
    with pytest.raises((Refusal, locks.Contention)), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        assert not Execution.objects.exists()
        other.start()
        assert isinstance(other.outcome(), Execution)
        editing.change_entity_context(both, entity_name_type=scenario.exception)
    assert Execution.objects.live().count() == 1


def test_group_changes_in_opposite_order_do_not_deadlock(scenario: Scenario, pause: Pause) -> None:
    both = [scenario.caller, scenario.callee]
    other = OtherThread(
        lambda: editing.change_entity_context(
            list(reversed(both)), entity_name_type=scenario.exception
        )
    )

    def go() -> None:
        other.start()
        assert other.is_waiting_for_lock()

    pause(ContextChange, "release_versions", go)
    editing.change_entity_context(both, entity_name_type=scenario.exception)
    assert not isinstance(other.outcome(), Exception)
    assert {row.latest_version.entity_name_type for row in Workflow.objects.all()} == {
        scenario.exception
    }
