"""A start and an edit at once: whoever is first binds the other, at whatever point they meet."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError

from executions import services as running
from executions.guards import EntityTypeMismatch
from executions.models import Execution
from tests.concurrency.laws import assert_laws, assert_nothing_is_stranded, breaches
from tests.concurrency.schedule import (
    CHANGED,
    JUDGED,
    LOCKED,
    MADE_WAY,
    MARKS,
    SHARED,
    WALKED,
    WRITTEN,
    Schedule,
    Stop,
    save,
)
from tests.concurrency.works import change
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
    """A workflow that calls nothing, and what starts it and changes it."""

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

    def by(self, door: str) -> Any:
        return {"service": self.by_service, "save": self.by_save}[door]()


@pytest.fixture
def lone(scenario: Scenario) -> Lone:
    return Lone(scenario)


@pytest.mark.parametrize(
    ("at", "door"),
    [(LOCKED, "service"), (WRITTEN, "service"), (WRITTEN, "save")],
    ids=["locked, service", "written, service", "written, save"],
)
def test_a_change_waits_for_a_start_and_is_refused(
    schedule: Schedule, lone: Lone, at: Stop, door: str
) -> None:
    started, changed = schedule.overtaken(lone.start, at, lambda: lone.by(door), waits=True)
    assert started.refused is None
    assert (changed.refused, changed.blockers) == (ActiveExecutions, 1)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


@pytest.mark.parametrize(
    ("at", "door"),
    [(MADE_WAY, "save"), (CHANGED, "service"), (CHANGED, "save")],
    ids=["made way, save", "changed, service", "changed, save"],
)
def test_a_start_waits_for_a_change_and_finds_the_new_type(
    schedule: Schedule, lone: Lone, at: Stop, door: str
) -> None:
    changed, started = schedule.overtaken(lambda: lone.by(door), at, lone.start, waits=True)
    assert changed.refused is None
    assert started.refused is EntityTypeMismatch
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()
    other = FindingFactory(entity_name_type=lone.scenario.exception)
    assert running.start(lone.workflow, other).version.number == 1


def test_a_change_that_judged_before_a_start_judges_again_under_its_locks(
    schedule: Schedule, lone: Lone
) -> None:
    changed, started = schedule.overtaken(lone.by_service, JUDGED, lone.start, waits=False)
    assert started.refused is None
    assert changed.refused is ActiveExecutions
    assert_nothing_is_stranded()


def test_a_start_that_walked_before_a_change_reads_again_under_its_locks(
    schedule: Schedule, lone: Lone
) -> None:
    started, changed = schedule.overtaken(lone.start, WALKED, lone.by_save, waits=False)
    assert changed.refused is None
    assert started.refused is EntityTypeMismatch
    assert_nothing_is_stranded()


# Each of the two defences holds alone; with neither, the test sees what they are there for.


def test_the_locks_alone_keep_a_start_from_being_stranded(schedule: Schedule, lone: Lone) -> None:
    schedule.without_keys()
    _, changed = schedule.overtaken(lone.start, WRITTEN, lone.by_service, waits=True)
    assert changed.refused is ActiveExecutions
    assert changed.refusal is not None and changed.refusal.__cause__ is None
    assert_nothing_is_stranded()


def test_the_keys_alone_keep_a_start_from_being_stranded(schedule: Schedule, lone: Lone) -> None:
    schedule.without_locks()
    _, changed = schedule.overtaken(lone.start, WRITTEN, lone.by_service, waits=True)
    assert changed.refused is ActiveExecutions
    assert changed.by_database
    assert_nothing_is_stranded()


def test_the_keys_alone_keep_a_start_off_a_version_that_is_being_let_go(
    schedule: Schedule, lone: Lone
) -> None:
    schedule.without_locks()
    schedule.watch(WRITTEN.path)
    changed, started = schedule.overtaken(lone.by_service, CHANGED, lone.start, waits=True)
    assert changed.refused is None
    assert started.refused is EntityTypeMismatch
    assert [type(error) for error in schedule.actors[1].raised] == [IntegrityError]
    assert_nothing_is_stranded()


@pytest.mark.parametrize(
    ("law", "first"),
    [("L1", "start"), ("L1", "change"), ("L4", "start")],
    ids=["start first", "change first", "start first, version replaced"],
)
def test_without_locks_and_keys_the_same_schedule_strands_the_start(
    schedule: Schedule, lone: Lone, law: str, first: str
) -> None:
    if law == "L1":
        # Its version stays, superseded; otherwise it is replaced under the start.
        running.submit(lone.start(), node="form", data={"note": "n"})
    schedule.without_locks()
    schedule.without_keys()
    if first == "start":
        outcomes = schedule.overtaken(lone.start, WRITTEN, lone.by_service, waits=False)
    else:
        outcomes = schedule.overtaken(lone.by_service, CHANGED, lone.start, waits=False)
    assert [outcome.refused for outcome in outcomes] == [None, None]
    assert law in breaches()


# The callee


def test_a_change_of_caller_and_callee_waits_for_a_start_and_is_refused(
    schedule: Schedule, scenario: Scenario
) -> None:
    started, changed = schedule.overtaken(
        scenario.start,
        SHARED,
        lambda: change(scenario, scenario.caller, scenario.callee),
        waits=True,
    )
    assert started.refused is None
    assert (changed.refused, changed.blockers) == (ActiveExecutions, 1)
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_start_waits_for_a_change_of_caller_and_callee(
    schedule: Schedule, scenario: Scenario
) -> None:
    changed, started = schedule.overtaken(
        lambda: change(scenario, scenario.callee, scenario.caller),
        MADE_WAY,
        scenario.start,
        waits=True,
    )
    assert changed.refused is None
    assert started.refused is EntityTypeMismatch
    assert schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_a_change_of_a_callee_that_is_called_waits_for_no_start(
    schedule: Schedule, scenario: Scenario
) -> None:
    started, changed = schedule.overtaken(
        scenario.start, WRITTEN, lambda: change(scenario, scenario.callee), waits=False
    )
    assert started.refused is None
    assert changed.refused is IncompatibleEntityTypes
    with pytest.raises(DependentActiveExecutions):
        change(scenario, scenario.callee)
    assert_nothing_is_stranded()


def drop_the_call(scenario: Scenario) -> editing.SavedGraph:
    return save(scenario.caller, form())


def let_the_version_be_superseded(scenario: Scenario) -> None:
    """An execution that has ended keeps the caller's version: a save appends, and lets go."""
    execution = scenario.start()
    running.submit(execution, node="form", data={"note": "n"})


def test_a_start_that_has_read_the_call_holds_the_callee_though_a_save_drops_the_call(
    schedule: Schedule, scenario: Scenario
) -> None:
    let_the_version_be_superseded(scenario)
    start = schedule.begin(scenario.start, SHARED)
    assert drop_the_call(scenario).created
    changed = schedule.begin(lambda: change(scenario, scenario.callee))
    changed.waits_for(start)
    execution = start.go().end().value
    assert changed.end().refused is DependentActiveExecutions
    assert schedule.deadlocks == 0
    assert execution.version.number == 1
    assert_nothing_is_stranded()


def test_a_start_after_the_dropped_call_and_the_change_runs_the_graph_without_the_call(
    schedule: Schedule, scenario: Scenario
) -> None:
    let_the_version_be_superseded(scenario)
    start = schedule.begin(scenario.start, WALKED)
    drop_the_call(scenario)
    changed = schedule.begin(lambda: change(scenario, scenario.callee), CHANGED)
    start.go().waits_for(changed)
    assert changed.go().end().refused is None
    execution = start.end().value
    assert (execution.version.number, list(execution.pins.all())) == (2, [])
    assert_nothing_is_stranded()


@pytest.mark.parametrize("defence", ["locks", "keys"])
def test_either_defence_alone_keeps_a_pinned_callee(
    schedule: Schedule, scenario: Scenario, defence: str
) -> None:
    let_the_version_be_superseded(scenario)
    schedule.without_keys() if defence == "locks" else schedule.without_locks()
    schedule.watch(WRITTEN.path)
    start = schedule.begin(scenario.start, SHARED)
    drop_the_call(scenario)
    changed = schedule.begin(lambda: change(scenario, scenario.callee))
    if defence == "locks":
        changed.waits_for(start)
    else:
        assert changed.end().refused is None
    execution = start.go().end().value
    assert changed.end().refused is (DependentActiveExecutions if defence == "locks" else None)
    refused = [type(error) for error in start.raised]
    assert refused == ([] if defence == "locks" else [IntegrityError])
    assert execution.version.number == (1 if defence == "locks" else 2)
    assert_nothing_is_stranded()


def test_without_locks_and_keys_the_pinned_callee_is_torn_away(
    schedule: Schedule, scenario: Scenario
) -> None:
    let_the_version_be_superseded(scenario)
    schedule.without_locks()
    schedule.without_keys()
    start = schedule.begin(scenario.start, SHARED)
    drop_the_call(scenario)
    assert_laws()
    assert schedule.begin(lambda: change(scenario, scenario.callee)).end().refused is None
    assert start.go().end().refused is None
    assert breaches() == {"L3"}
