"""Pending changes, concurrent with ends, starts, other holds and withdrawals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from executions import services as running
from executions.guards import EntityTypeMismatch
from executions.models import Execution
from tests.concurrency.invariants import assert_invariants, assert_nothing_is_stranded
from tests.concurrency.schedule import (
    AFTER_WRITE,
    BEFORE_WRITE,
    CHANGED,
    MARKS,
    Schedule,
    after,
    before,
)
from tests.conftest import Scenario
from tests.factories import FindingFactory, FindingTypeFactory, WorkflowFactory
from workflows import editing
from workflows.editing import drain
from workflows.guards import Draining, NotOnHold, RowDeleted
from workflows.models import AuditEntry, PendingChange, Workflow

pytestmark = MARKS

CLAIMED = before("workflows.editing.drain._change")
BLOCKED = before("workflows.guards.contexts._remedies")
ON_HOLD = after("workflows.editing.context_change.ContextChange.judge_hold")
RECORDED = after("workflows.audit.log._next_ids")


class Waiting:
    """A pending change that two executions of the caller block."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        # On two findings, because executions on one finding lock it in turn.
        findings = FindingFactory.create_batch(2, entity_name_type=scenario.limitation)
        self.executions = [running.start(scenario.caller, finding) for finding in findings]
        pending = scenario.hold().pending
        assert pending is not None
        self.pending = pending

    def end(self, number: int) -> Callable[[], Execution]:
        return lambda: running.cancel(self.executions[number])

    def withdraw(self) -> None:
        editing.withdraw(self.pending)

    def start(self) -> Execution:
        return running.start(self.scenario.caller, self.scenario.finding)

    def assert_made_once(self) -> None:
        for workflow in (self.scenario.caller, self.scenario.callee):
            row = Workflow.objects.get(pk=workflow.pk)
            assert row.entity_name_type == self.scenario.exception
        made = AuditEntry.objects.filter(cuid=self.pending.cuid, action="applied")
        assert made.count() == 1
        assert self.scenario.caller.versions.count() == 2, "the one that ran, and the new one"
        self.pending.refresh_from_db()
        assert self.pending.state == "applied"
        assert_invariants()


@pytest.fixture
def waiting(scenario: Scenario) -> Waiting:
    return Waiting(scenario)


@pytest.mark.parametrize("first", [0, 1])
def test_later_commit_applies_the_change_when_two_last_blockers_end_together(
    schedule: Schedule, waiting: Waiting, first: int
) -> None:
    schedule.interleave(waiting.end(first), AFTER_WRITE, waiting.end(1 - first), waits=False)
    waiting.assert_made_once()


def test_pending_change_is_applied_once_when_two_processes_see_it_drained(
    schedule: Schedule, waiting: Waiting
) -> None:
    running.cancel(waiting.executions[0])
    one = schedule.begin(waiting.end(1), CLAIMED)
    other = schedule.begin(editing.apply_all_drained)
    other.assert_waits_for(one)
    one.go().end()
    assert other.end().value == []
    waiting.assert_made_once()


def test_execution_that_ends_during_an_attempt_to_apply_is_noticed(
    schedule: Schedule, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first checks under its claim while the second has not committed. If the second skipped
    # the claim, nobody would check again.
    monkeypatch.setattr(drain, "_is_blocked", lambda _: False)
    one = schedule.begin(waiting.end(0), BLOCKED)
    other = schedule.begin(waiting.end(1))
    other.assert_waits_for(one)
    one.go().end()
    other.end()
    waiting.assert_made_once()


def test_pending_change_waits_for_start_that_read_before_the_hold(
    schedule: Schedule, scenario: Scenario
) -> None:
    execution = scenario.start()
    started, hold = schedule.interleave(
        scenario.start,
        BEFORE_WRITE,
        scenario.hold,
        waits=True,
    )
    assert started.refused is None
    assert hold.refused is None
    running.cancel(execution)
    assert PendingChange.objects.get().state == "waiting"
    running.cancel(started.value)
    assert PendingChange.objects.get().state == "applied"
    assert_invariants()


def test_start_waits_while_the_pending_change_is_applied(
    schedule: Schedule, waiting: Waiting
) -> None:
    running.cancel(waiting.executions[0])
    ended, started = schedule.interleave(waiting.end(1), CHANGED, waiting.start, waits=True)
    assert ended.refused is None
    assert started.refused is EntityTypeMismatch
    waiting.assert_made_once()


def test_second_hold_of_a_workflow_is_refused(schedule: Schedule, scenario: Scenario) -> None:
    scenario.start()
    other = FindingTypeFactory()
    first, second = schedule.interleave(
        scenario.hold, ON_HOLD, lambda: scenario.hold(entity_name_type=other), waits=False
    )
    assert first.refused is Draining
    assert second.refused is None
    assert PendingChange.objects.get().entity_name_type == other
    assert_nothing_is_stranded()


def test_withdrawal_waits_for_the_application_and_is_refused(
    schedule: Schedule, waiting: Waiting
) -> None:
    running.cancel(waiting.executions[0])
    _, withdrawn = schedule.interleave(waiting.end(1), CHANGED, waiting.withdraw, waits=True)
    assert withdrawn.refused is NotOnHold
    waiting.assert_made_once()


def test_withdrawn_change_is_not_applied(schedule: Schedule, waiting: Waiting) -> None:
    running.cancel(waiting.executions[0])
    one = schedule.begin(waiting.end(1), before("workflows.editing.drain._apply"))
    assert schedule.begin(waiting.withdraw).end().refused is None
    one.go().end()
    assert not PendingChange.objects.exists()
    row = Workflow.objects.get(pk=waiting.scenario.caller.pk)
    assert row.entity_name_type == waiting.scenario.limitation
    assert_invariants()


def test_second_withdrawal_is_refused(schedule: Schedule, waiting: Waiting) -> None:
    first, second = schedule.interleave(waiting.withdraw, RECORDED, waiting.withdraw, waits=True)
    assert first.refused is None
    assert second.refused is RowDeleted


def test_concurrent_edits_are_numbered_without_a_gap(schedule: Schedule, db: None) -> None:
    rows = [WorkflowFactory(), WorkflowFactory()]
    before_both = AuditEntry.objects.count()

    def rename(row: Workflow) -> Callable[[], None]:
        row.title = "renamed"
        return row.save

    schedule.interleave(rename(rows[0]), RECORDED, rename(rows[1]), waits=True)
    numbers = list(AuditEntry.objects.order_by("pk").values_list("pk", flat=True))
    assert numbers == list(range(1, before_both + 3))
    assert schedule.deadlocks == 0


def test_audit_counter_does_not_deadlock_with_a_deletion(
    schedule: Schedule, scenario: Scenario
) -> None:
    kind = FindingTypeFactory()
    workflow = WorkflowFactory(entity_name_type=scenario.exception)

    def change() -> Any:
        return editing.change_entity_context([workflow], entity_name_type=kind)

    changed, deleted = schedule.interleave(change, RECORDED, kind.delete, waits=True)
    assert changed.refused is None
    assert deleted.refused is not None
    assert schedule.deadlocks == 0
    assert_invariants()
