"""What is running, at once with edits and with itself: submits, cancels, ends."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services as running
from executions.guards import ExecutionEnded, NotOpen
from executions.models import Entity, Execution, Status
from executions.services import advancing
from tests.concurrency.laws import assert_laws, assert_nothing_is_stranded
from tests.concurrency.schedule import (
    CHANGED,
    MARKS,
    UNWRITTEN,
    WRITTEN,
    Schedule,
)
from tests.concurrency.works import change, submit
from tests.conftest import Scenario
from tests.factories import FindingFactory, WorkflowFactory, form, save_line
from workflows.guards import ActiveExecutions

pytestmark = MARKS


# Two executions of one entity


class Shared:
    """Two executions on one entity, each of which asks for a field of its own."""

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
def test_two_executions_of_one_entity_lose_neithers_fields(
    schedule: Schedule, shared: Shared, first: str
) -> None:
    second = {"one": "other", "other": "one"}[first]
    schedule.overtaken(getattr(shared, first), WRITTEN, getattr(shared, second), waits=True)
    assert shared.fields == {"one": "1", "other": "2"}
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_start_that_writes_a_field_and_a_submit_on_the_same_entity_lose_neither(
    schedule: Schedule, shared: Shared, scenario: Scenario
) -> None:
    setter = WorkflowFactory(entity_name_type=scenario.limitation)
    save_line(setter, {"id": "set", "type": "set_field", "data": {"values": {"set": True}}})
    schedule.overtaken(
        lambda: running.start(setter, scenario.finding), WRITTEN, shared.one, waits=True
    )
    schedule.overtaken(
        shared.other, WRITTEN, lambda: running.start(setter, scenario.finding), waits=True
    )
    assert shared.fields == {"one": "1", "other": "2", "set": True}
    assert_nothing_is_stranded()


def test_without_the_entitys_lock_the_same_schedule_loses_a_field(
    schedule: Schedule, shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advancing, "lock_entity", lambda pk: Entity._base_manager.get(pk=pk))
    schedule.overtaken(shared.one, UNWRITTEN, shared.other, waits=False)
    assert shared.fields == {"one": "1"}
    assert_laws()


# Two at one execution


FORMS = pytest.mark.parametrize(
    "nodes", [["form"], ["form", "next"]], ids=["last form", "more forms"]
)


def at_first(nodes: list[str], scenario: Scenario) -> Execution:
    """An execution that waits at the first of these forms."""
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    save_line(workflow, *(form(node) for node in nodes))
    return running.start(workflow, scenario.finding)


@FORMS
def test_of_two_submits_of_one_step_the_later_one_is_refused(
    schedule: Schedule, scenario: Scenario, nodes: list[str]
) -> None:
    execution = at_first(nodes, scenario)
    one, other = schedule.overtaken(
        lambda: submit(execution, note="first"),
        WRITTEN,
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
def test_a_cancel_that_waited_for_a_submit_ends_what_is_left(
    schedule: Schedule, scenario: Scenario, nodes: list[str]
) -> None:
    execution = at_first(nodes, scenario)
    submitted, cancelled = schedule.overtaken(
        lambda: submit(execution), WRITTEN, lambda: running.cancel(execution), waits=True
    )
    execution.refresh_from_db()
    assert submitted.refused is None
    assert cancelled.refused is (ExecutionEnded if nodes == ["form"] else None)
    assert execution.status == (Status.COMPLETED if nodes == ["form"] else Status.CANCELLED)
    assert_nothing_is_stranded()


def test_a_submit_that_waited_for_a_cancel_is_refused(
    schedule: Schedule, scenario: Scenario
) -> None:
    execution = scenario.start()
    cancelled, submitted = schedule.overtaken(
        lambda: running.cancel(execution), WRITTEN, lambda: submit(execution), waits=True
    )
    assert (cancelled.refused, submitted.refused) == (None, ExecutionEnded)
    assert not execution.children.exists()
    scenario.finding.refresh_from_db()
    assert scenario.finding.fields == {}
    assert_nothing_is_stranded()


class Family:
    """A root that waits for its child, which waits at a form."""

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


def test_a_cancel_of_the_root_and_a_submit_of_its_child_follow_one_another(
    schedule: Schedule, family: Family
) -> None:
    cancelled, submitted = schedule.overtaken(
        lambda: running.cancel(family.root), WRITTEN, family.submit, waits=True
    )
    assert (cancelled.refused, submitted.refused) == (None, ExecutionEnded)
    assert family.statuses() == ["cancelled", "cancelled"]
    assert schedule.deadlocks == 0
    assert_laws()


def test_a_submit_of_the_child_that_ends_the_root_leaves_nothing_to_cancel(
    schedule: Schedule, family: Family
) -> None:
    submitted, cancelled = schedule.overtaken(
        family.submit, WRITTEN, lambda: running.cancel(family.root), waits=True
    )
    assert (submitted.refused, cancelled.refused) == (None, ExecutionEnded)
    assert family.statuses() == ["completed", "completed"]
    assert schedule.deadlocks == 0
    assert_laws()


def test_a_cancel_of_the_child_is_an_incident_of_the_root_and_the_submit_is_refused(
    schedule: Schedule, family: Family
) -> None:
    cancelled, submitted = schedule.overtaken(
        lambda: running.cancel(family.child), WRITTEN, family.submit, waits=True
    )
    assert (cancelled.refused, submitted.refused) == (None, ExecutionEnded)
    assert family.statuses() == ["waiting", "cancelled"]
    assert family.root.steps.open().get().state == "incident"
    assert_nothing_is_stranded()


# Two last ones end


def test_a_change_waits_for_no_execution_and_is_accepted_once_both_last_ones_have_ended(
    schedule: Schedule, scenario: Scenario
) -> None:
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    save_line(workflow, form())
    one, other = (
        running.start(workflow, FindingFactory(entity_name_type=scenario.limitation))
        for _ in range(2)
    )
    ending = [
        schedule.begin(lambda: submit(one), WRITTEN),
        schedule.begin(lambda: running.cancel(other), WRITTEN),
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


def test_an_execution_that_ends_while_a_change_is_made_waits_for_nobody(
    schedule: Schedule, scenario: Scenario
) -> None:
    other = WorkflowFactory(entity_name_type=scenario.limitation)
    execution = scenario.start()
    changed, ended = schedule.overtaken(
        lambda: change(scenario, other), CHANGED, lambda: submit(execution), waits=False
    )
    assert (changed.refused, ended.refused) == (None, None)
    assert_nothing_is_stranded()
