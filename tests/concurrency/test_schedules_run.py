"""Submits, cancels and ends, concurrent with edits and with each other."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services as running
from executions.guards import ExecutionEnded, NotOpen
from executions.models import Entity, Execution, Status
from executions.services import advancing
from tests.concurrency.actions import change, submit
from tests.concurrency.invariants import assert_invariants, assert_nothing_is_stranded
from tests.concurrency.schedule import (
    AFTER_WRITE,
    BEFORE_WRITE,
    CHANGED,
    MARKS,
    Schedule,
)
from tests.conftest import Scenario
from tests.factories import FindingFactory, WorkflowFactory, form, save_line
from workflows.guards import ActiveExecutions

pytestmark = MARKS


# Two executions of one entity


class Shared:
    """Two executions on one entity, each with a form for its own field."""

    def __init__(self, scenario: Scenario) -> None:
        self.finding = scenario.finding
        self.executions = [self._started(scenario, name) for name in ("one", "other")]

    def _started(self, scenario: Scenario, name: str) -> Execution:
        workflow = WorkflowFactory(title=name, entity_name_type=scenario.limitation)
        save_line(workflow, form("form", {"name": name, "type": "text", "required": True}))
        return running.start(workflow, self.finding)

    def one(self) -> Execution:
        return submit(self.executions[0], one="1")

    def other(self) -> Execution:
        return submit(self.executions[1], other="2")

    @property
    def fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = Entity.objects.get(pk=self.finding.pk).fields
        return fields


@pytest.fixture
def shared(scenario: Scenario) -> Shared:
    return Shared(scenario)


@pytest.mark.parametrize("first", ["one", "other"])
def test_concurrent_submits_on_one_entity_keep_both_fields(
    schedule: Schedule, shared: Shared, first: str
) -> None:
    second = {"one": "other", "other": "one"}[first]
    schedule.interleave(getattr(shared, first), AFTER_WRITE, getattr(shared, second), waits=True)
    assert shared.fields == {"one": "1", "other": "2"}
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_concurrent_start_and_submit_on_one_entity_keep_both_fields(
    schedule: Schedule, shared: Shared, scenario: Scenario
) -> None:
    setter = WorkflowFactory(entity_name_type=scenario.limitation)
    save_line(setter, {"id": "set", "type": "set_field", "data": {"values": {"set": True}}})
    schedule.interleave(
        lambda: running.start(setter, scenario.finding), AFTER_WRITE, shared.one, waits=True
    )
    schedule.interleave(
        shared.other, AFTER_WRITE, lambda: running.start(setter, scenario.finding), waits=True
    )
    assert shared.fields == {"one": "1", "other": "2", "set": True}
    assert_nothing_is_stranded()


def test_field_is_lost_without_the_lock_of_the_entity(
    schedule: Schedule, shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advancing, "lock_entity", lambda pk: Entity._base_manager.get(pk=pk))
    schedule.interleave(shared.one, BEFORE_WRITE, shared.other, waits=False)
    assert shared.fields == {"one": "1"}
    assert_invariants()


# Two actors at one execution


FORMS = pytest.mark.parametrize(
    "nodes", [["form"], ["form", "next"]], ids=["last form", "more forms"]
)


def at_first(nodes: list[str], scenario: Scenario) -> Execution:
    """Return an execution that waits at the first of these forms."""
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    save_line(workflow, *(form(node) for node in nodes))
    return running.start(workflow, scenario.finding)


@FORMS
def test_second_submit_of_a_step_is_refused(
    schedule: Schedule, scenario: Scenario, nodes: list[str]
) -> None:
    execution = at_first(nodes, scenario)
    one, other = schedule.interleave(
        lambda: submit(execution, note="first"),
        AFTER_WRITE,
        lambda: submit(execution, note="second"),
        waits=True,
    )
    assert one.refused is None
    assert other.refused is (ExecutionEnded if nodes == ["form"] else NotOpen)
    assert execution.steps.get(node_id="form").input == {"note": "first"}
    scenario.finding.refresh_from_db()
    assert scenario.finding.fields == {"note": "first"}
    assert_nothing_is_stranded()


@FORMS
def test_cancel_waits_for_submit_and_ends_the_rest(
    schedule: Schedule, scenario: Scenario, nodes: list[str]
) -> None:
    execution = at_first(nodes, scenario)
    submitted, cancelled = schedule.interleave(
        lambda: submit(execution), AFTER_WRITE, lambda: running.cancel(execution), waits=True
    )
    execution.refresh_from_db()
    assert submitted.refused is None
    assert cancelled.refused is (ExecutionEnded if nodes == ["form"] else None)
    assert execution.status == (Status.COMPLETED if nodes == ["form"] else Status.CANCELLED)
    assert_nothing_is_stranded()


def test_submit_waits_for_cancel_and_is_refused(schedule: Schedule, scenario: Scenario) -> None:
    execution = scenario.start()
    cancelled, submitted = schedule.interleave(
        lambda: running.cancel(execution), AFTER_WRITE, lambda: submit(execution), waits=True
    )
    assert (cancelled.refused, submitted.refused) == (None, ExecutionEnded)
    assert not execution.children.exists()
    scenario.finding.refresh_from_db()
    assert scenario.finding.fields == {}
    assert_nothing_is_stranded()


class Family:
    """A root with a child that waits at a form."""

    def __init__(self, scenario: Scenario) -> None:
        save_line(scenario.callee, form("inner"))
        self.root = scenario.start()
        submit(self.root)
        self.child: Execution = self.root.children.get()

    def submit(self) -> Execution:
        return submit(self.child, "inner")

    def statuses(self) -> list[str]:
        return list(Execution.objects.order_by("pk").values_list("status", flat=True))


@pytest.fixture
def family(scenario: Scenario) -> Family:
    return Family(scenario)


def test_cancel_of_root_and_submit_of_child_run_one_after_another(
    schedule: Schedule, family: Family
) -> None:
    cancelled, submitted = schedule.interleave(
        lambda: running.cancel(family.root), AFTER_WRITE, family.submit, waits=True
    )
    assert (cancelled.refused, submitted.refused) == (None, ExecutionEnded)
    assert family.statuses() == ["cancelled", "cancelled"]
    assert schedule.deadlocks == 0
    assert_invariants()


def test_cancel_is_refused_when_the_submit_of_a_child_ended_the_root(
    schedule: Schedule, family: Family
) -> None:
    submitted, cancelled = schedule.interleave(
        family.submit, AFTER_WRITE, lambda: running.cancel(family.root), waits=True
    )
    assert (submitted.refused, cancelled.refused) == (None, ExecutionEnded)
    assert family.statuses() == ["completed", "completed"]
    assert schedule.deadlocks == 0
    assert_invariants()


def test_cancel_of_child_opens_incident_and_the_submit_is_refused(
    schedule: Schedule, family: Family
) -> None:
    cancelled, submitted = schedule.interleave(
        lambda: running.cancel(family.child), AFTER_WRITE, family.submit, waits=True
    )
    assert (cancelled.refused, submitted.refused) == (None, ExecutionEnded)
    assert family.statuses() == ["waiting", "cancelled"]
    assert family.root.steps.open().get().state == "incident"
    assert_nothing_is_stranded()


# Two last executions end


def test_type_change_succeeds_when_both_last_executions_have_ended(
    schedule: Schedule, scenario: Scenario
) -> None:
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    save_line(workflow, form())
    one, other = (
        running.start(workflow, FindingFactory(entity_name_type=scenario.limitation))
        for _ in range(2)
    )
    ending = [
        schedule.begin(lambda: submit(one), AFTER_WRITE),
        schedule.begin(lambda: running.cancel(other), AFTER_WRITE),
    ]
    totals = []
    for actor in ending:
        refused = schedule.begin(lambda: change(scenario, workflow)).end()
        assert refused.refused is ActiveExecutions
        totals.append(refused.blockers)
        assert actor.go().end().refused is None
    assert totals == [2, 1]
    assert schedule.begin(lambda: change(scenario, workflow)).end().refused is None
    assert_nothing_is_stranded()


def test_execution_ends_without_waiting_for_a_type_change(
    schedule: Schedule, scenario: Scenario
) -> None:
    other = WorkflowFactory(entity_name_type=scenario.limitation)
    execution = scenario.start()
    changed, ended = schedule.interleave(
        lambda: change(scenario, other), CHANGED, lambda: submit(execution), waits=False
    )
    assert (changed.refused, ended.refused) == (None, None)
    assert_nothing_is_stranded()
