"""A start concurrent with a type change: the first one binds the other, at every point."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError

from executions import services as running
from executions.guards import EntityTypeMismatch
from executions.models import Execution
from tests.concurrency.actions import change
from tests.concurrency.invariants import (
    assert_invariants,
    assert_nothing_is_stranded,
    find_violations,
)
from tests.concurrency.schedule import (
    AFTER_WRITE,
    CALLS_READ,
    CHANGED,
    CHECKED,
    CLOSURE_LOCKED,
    LOCKED,
    MARKS,
    RELEASED,
    Schedule,
    Stop,
    save,
)
from tests.conftest import Scenario
from tests.factories import FindingFactory, WorkflowFactory, form, save_line
from workflows import editing
from workflows.guards import (
    ActiveExecutions,
    DependentActiveExecutions,
    IncompatibleEntityTypes,
)
from workflows.models import Workflow

pytestmark = MARKS


class Lone:
    """A workflow without calls, with a start and type changes."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.workflow = WorkflowFactory(entity_name_type=scenario.limitation)
        save_line(self.workflow, form())

    def start(self) -> Execution:
        return running.start(self.workflow, self.scenario.finding)

    def by_service(self) -> Any:
        return editing.change_entity_context(
            [self.workflow], entity_name_type=self.scenario.exception
        )

    def by_save(self) -> None:
        row = Workflow.objects.get(pk=self.workflow.pk)
        row.entity_name_type = self.scenario.exception
        row.save()

    def by(self, interface: str) -> Any:
        return {"service": self.by_service, "save": self.by_save}[interface]()


@pytest.fixture
def lone(scenario: Scenario) -> Lone:
    return Lone(scenario)


@pytest.mark.parametrize(
    ("at", "interface"),
    [(LOCKED, "service"), (AFTER_WRITE, "service"), (AFTER_WRITE, "save")],
    ids=["locked, service", "written, service", "written, save"],
)
def test_type_change_waits_for_start_and_is_refused(
    schedule: Schedule, lone: Lone, at: Stop, interface: str
) -> None:
    started, changed = schedule.interleave(lone.start, at, lambda: lone.by(interface), waits=True)
    assert started.refused is None
    assert (changed.refused, changed.blockers) == (ActiveExecutions, 1)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


@pytest.mark.parametrize(
    ("at", "interface"),
    [(RELEASED, "save"), (CHANGED, "service"), (CHANGED, "save")],
    ids=["made way, save", "changed, service", "changed, save"],
)
def test_start_waits_for_type_change_and_is_refused(
    schedule: Schedule, lone: Lone, at: Stop, interface: str
) -> None:
    changed, started = schedule.interleave(lambda: lone.by(interface), at, lone.start, waits=True)
    assert changed.refused is None
    assert started.refused is EntityTypeMismatch
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()
    other = FindingFactory(entity_name_type=lone.scenario.exception)
    assert running.start(lone.workflow, other).version.number == 1


def test_type_change_checks_again_under_its_locks(schedule: Schedule, lone: Lone) -> None:
    changed, started = schedule.interleave(lone.by_service, CHECKED, lone.start, waits=False)
    assert started.refused is None
    assert changed.refused is ActiveExecutions
    assert_nothing_is_stranded()


def test_start_reads_again_under_its_locks(schedule: Schedule, lone: Lone) -> None:
    started, changed = schedule.interleave(lone.start, CALLS_READ, lone.by_save, waits=False)
    assert changed.refused is None
    assert started.refused is EntityTypeMismatch
    assert_nothing_is_stranded()


# Each of the two defences is sufficient alone. Without both, the execution is stranded.


def test_locks_alone_protect_start(schedule: Schedule, lone: Lone) -> None:
    schedule.without_keys()
    _, changed = schedule.interleave(lone.start, AFTER_WRITE, lone.by_service, waits=True)
    assert changed.refused is ActiveExecutions
    assert changed.refusal is not None and changed.refusal.__cause__ is None
    assert_nothing_is_stranded()


def test_keys_alone_protect_start(schedule: Schedule, lone: Lone) -> None:
    schedule.without_locks()
    _, changed = schedule.interleave(lone.start, AFTER_WRITE, lone.by_service, waits=True)
    assert changed.refused is ActiveExecutions
    assert changed.by_database
    assert_nothing_is_stranded()


def test_keys_alone_refuse_start_on_released_version(schedule: Schedule, lone: Lone) -> None:
    schedule.without_locks()
    schedule.watch(AFTER_WRITE.path)
    changed, started = schedule.interleave(lone.by_service, CHANGED, lone.start, waits=True)
    assert changed.refused is None
    assert started.refused is EntityTypeMismatch
    assert [type(error) for error in schedule.actors[1].raised] == [IntegrityError]
    assert_nothing_is_stranded()


@pytest.mark.parametrize(
    ("invariant", "first"),
    [("I1", "start"), ("I1", "change"), ("I4", "start")],
    ids=["start first", "change first", "start first, version replaced"],
)
def test_start_is_stranded_without_locks_and_keys(
    schedule: Schedule, lone: Lone, invariant: str, first: str
) -> None:
    if invariant == "I1":
        # An execution keeps the version, so that it is superseded instead of replaced.
        running.submit(lone.start(), node="form", data={"note": "n"})
    schedule.without_locks()
    schedule.without_keys()
    if first == "start":
        outcomes = schedule.interleave(lone.start, AFTER_WRITE, lone.by_service, waits=False)
    else:
        outcomes = schedule.interleave(lone.by_service, CHANGED, lone.start, waits=False)
    assert [outcome.refused for outcome in outcomes] == [None, None]
    assert invariant in find_violations()


# The callee


def test_type_change_of_caller_and_callee_waits_for_start_and_is_refused(
    schedule: Schedule, scenario: Scenario
) -> None:
    started, changed = schedule.interleave(
        scenario.start,
        CLOSURE_LOCKED,
        lambda: change(scenario, scenario.caller, scenario.callee),
        waits=True,
    )
    assert started.refused is None
    assert (changed.refused, changed.blockers) == (ActiveExecutions, 1)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_start_waits_for_type_change_of_caller_and_callee(
    schedule: Schedule, scenario: Scenario
) -> None:
    changed, started = schedule.interleave(
        lambda: change(scenario, scenario.callee, scenario.caller),
        RELEASED,
        scenario.start,
        waits=True,
    )
    assert changed.refused is None
    assert started.refused is EntityTypeMismatch
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_type_change_of_callee_is_refused_without_waiting_for_start(
    schedule: Schedule, scenario: Scenario
) -> None:
    started, changed = schedule.interleave(
        scenario.start, AFTER_WRITE, lambda: change(scenario, scenario.callee), waits=False
    )
    assert started.refused is None
    assert changed.refused is IncompatibleEntityTypes
    with pytest.raises(DependentActiveExecutions):
        change(scenario, scenario.callee)
    assert_nothing_is_stranded()


def drop_the_call(scenario: Scenario) -> editing.SavedGraph:
    return save(scenario.caller, form())


def let_the_version_be_superseded(scenario: Scenario) -> None:
    """End an execution, so that the next save appends a version and releases the old one."""
    execution = scenario.start()
    running.submit(execution, node="form", data={"note": "n"})


def test_start_locks_callee_when_a_save_removes_the_call(
    schedule: Schedule, scenario: Scenario
) -> None:
    let_the_version_be_superseded(scenario)
    start = schedule.begin(scenario.start, CLOSURE_LOCKED)
    assert drop_the_call(scenario).created
    changed = schedule.begin(lambda: change(scenario, scenario.callee))
    changed.assert_waits_for(start)
    execution = start.go().end().value
    assert changed.end().refused is DependentActiveExecutions
    assert schedule.deadlocks == 0
    assert execution.version.number == 1
    assert_nothing_is_stranded()


def test_start_runs_graph_without_removed_call_after_type_change(
    schedule: Schedule, scenario: Scenario
) -> None:
    let_the_version_be_superseded(scenario)
    start = schedule.begin(scenario.start, CALLS_READ)
    drop_the_call(scenario)
    changed = schedule.begin(lambda: change(scenario, scenario.callee), CHANGED)
    start.go().assert_waits_for(changed)
    assert changed.go().end().refused is None
    execution = start.end().value
    assert (execution.version.number, list(execution.pins.all())) == (2, [])
    assert_nothing_is_stranded()


@pytest.mark.parametrize("defence", ["locks", "keys"])
def test_either_defence_alone_protects_pinned_callee(
    schedule: Schedule, scenario: Scenario, defence: str
) -> None:
    let_the_version_be_superseded(scenario)
    schedule.without_keys() if defence == "locks" else schedule.without_locks()
    schedule.watch("executions.engine.closures.get_closure")
    start = schedule.begin(scenario.start, CLOSURE_LOCKED)
    drop_the_call(scenario)
    changed = schedule.begin(lambda: change(scenario, scenario.callee))
    if defence == "locks":
        changed.assert_waits_for(start)
    else:
        assert changed.end().refused is None
    execution = start.go().end().value
    assert changed.end().refused is (DependentActiveExecutions if defence == "locks" else None)
    refused = [type(error) for error in start.raised]
    assert refused == ([] if defence == "locks" else [IntegrityError])
    assert execution.version.number == (1 if defence == "locks" else 2)
    assert_nothing_is_stranded()


def test_pinned_callee_changes_type_without_locks_and_keys(
    schedule: Schedule, scenario: Scenario
) -> None:
    let_the_version_be_superseded(scenario)
    schedule.without_locks()
    schedule.without_keys()
    start = schedule.begin(scenario.start, CLOSURE_LOCKED)
    drop_the_call(scenario)
    assert_invariants()
    assert schedule.begin(lambda: change(scenario, scenario.callee)).end().refused is None
    assert start.go().end().refused is None
    assert find_violations() == {"I3"}
