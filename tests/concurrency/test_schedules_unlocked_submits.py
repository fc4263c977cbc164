"""Submits without locks: they compare the tree and the entity when they write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from executions import services as running
from executions.guards import ExecutionEnded, NotOpen
from executions.models import Entity, Execution, FormDraft, Job, Status
from executions.services.advancing import lock_entity
from executions.worker.jobs import finish_job
from tests.concurrency.invariants import assert_invariants, assert_nothing_is_stranded
from tests.concurrency.schedule import (
    AFTER_WRITE,
    BEFORE_WRITE,
    EVERY_LEVEL,
    HERE,
    LEVELS,
    MARKS,
    Schedule,
    at_isolation,
    here,
    unlocked_fixture,  # noqa: F401  the fixture that the tests ask for
)
from tests.conftest import Scenario
from tests.factories import UserFactory, WorkflowFactory, form, save_line, voter
from workflows import editing
from workflows.db.locks import Contention
from workflows.models import PendingChange, Workflow

pytestmark = MARKS

Work = Callable[[], Any]


def submit(execution: Execution, node: str = "form", **data: str) -> Execution:
    return running.submit(execution, node=node, data=data or {"note": "n"})


def uncommitted(work: Work) -> Work:
    """Return ``work`` in a transaction that pauses before its commit."""

    def within() -> Any:
        with transaction.atomic():
            value = work()
            here()
            return value

    return within


class Forked:
    """An execution with forms, a vote and a wait on four branches, and a form after the join."""

    def __init__(self, scenario: Scenario) -> None:
        self.voter = voter("voter")
        workflow = WorkflowFactory(entity_name_type=scenario.limitation)
        branches = [
            form("a", {"name": "a", "type": "text"}),
            form("b", {"name": "b", "type": "text"}),
            {"id": "vote", "type": "approval", "data": {"users": ["voter"]}},
            {"id": "sleep", "type": "wait", "data": {"interval": "P1D"}},
        ]
        edges = [{"source": "start", "target": "fork"}]
        for node in branches:
            edges.append({"source": "fork", "target": node["id"]})
            handles: list[str | None] = ["approved", "rejected"] if node["id"] == "vote" else [None]
            edges += [
                {"source": node["id"], "target": "join"}
                | ({"sourceHandle": handle} if handle else {})
                for handle in handles
            ]
        edges += [{"source": "join", "target": "after"}, {"source": "after", "target": "end"}]
        nodes = [
            {"id": "start", "type": "start"},
            {"id": "fork", "type": "parallel"},
            *branches,
            {"id": "join", "type": "join"},
            form("after"),
            {"id": "end", "type": "end"},
        ]
        editing.save_graph(workflow, {"nodes": nodes, "edges": edges}, based_on=1)
        self.finding = scenario.finding
        self.execution = running.start(workflow, self.finding)
        self.steps = {
            "b": lambda: submit(self.execution, "b", b="2"),
            "vote": lambda: running.vote(self.execution, node="vote", approves=True, by=self.voter),
            "wake": lambda: running.wake(self.execution, node="sleep"),
            "timer": lambda: finish_job(Job.objects.get(kind="timer")),
        }

    def a(self) -> Execution:
        return submit(self.execution, "a", a="1")

    def all_but(self, *names: str) -> None:
        for name in {"b", "vote", "wake"} - {*names, *(["wake"] if "timer" in names else [])}:
            self.steps[name]()

    def passed(self) -> dict[str, int]:
        """Count the open and the joined steps by node."""
        found: dict[str, int] = {}
        for step in self.execution.steps.open():
            found[step.node_id] = found.get(step.node_id, 0) + 1
        return found


@pytest.fixture
def forked(scenario: Scenario) -> Forked:
    return Forked(scenario)


OTHERS = pytest.mark.parametrize("other", ["b", "vote", "wake", "timer"])


@OTHERS
def test_join_continues_once_when_two_branches_arrive_together(
    unlocked: Schedule, forked: Forked, other: str
) -> None:
    forked.all_but(other)
    first, second = unlocked.interleave(forked.a, BEFORE_WRITE, forked.steps[other], waits=False)
    assert (first.refused, second.refused) == (None, None)
    assert forked.passed() == {"after": 1}
    forked.finding.refresh_from_db()
    assert forked.finding.fields == {"a": "1", "b": "2"}
    assert_nothing_is_stranded()


@EVERY_LEVEL
@OTHERS
def test_submit_waits_for_uncommitted_submit_of_another_branch(
    unlocked: Schedule, forked: Forked, other: str, level: str
) -> None:
    forked.all_but(other)
    unlocked.interleave(
        uncommitted(forked.steps[other]), HERE, at_isolation(level, forked.a), waits=True
    )
    assert forked.passed() == {"after": 1}
    assert unlocked.deadlocks == 0
    assert_nothing_is_stranded()


def test_join_never_continues_without_comparing_the_basis(
    unlocked: Schedule, forked: Forked
) -> None:
    forked.all_but("b")
    unlocked.without_comparing_basis()
    unlocked.interleave(forked.a, BEFORE_WRITE, forked.steps["b"], waits=False)
    assert forked.passed() == {"join": 1}, "everybody has arrived, and nobody goes on"


@pytest.fixture
def execution(scenario: Scenario) -> Execution:
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    save_line(workflow, form(), form("next"))
    return running.start(workflow, scenario.finding)


@EVERY_LEVEL
def test_second_submit_of_a_step_is_refused(
    unlocked: Schedule, execution: Execution, level: str
) -> None:
    late, early = unlocked.interleave(
        at_isolation(level, lambda: submit(execution, note="late")),
        BEFORE_WRITE,
        lambda: submit(execution, note="early"),
        waits=False,
    )
    assert (late.refused, early.refused) == (NotOpen, None)
    assert execution.steps.get(node_id="form").input == {"note": "early"}
    assert execution.steps.filter(node_id="next").count() == 1
    assert Entity.objects.get().fields == {"note": "early"}
    assert_nothing_is_stranded()


@EVERY_LEVEL
def test_submit_waits_for_uncommitted_submit_and_is_refused(
    unlocked: Schedule, execution: Execution, level: str
) -> None:
    _, late = unlocked.interleave(
        uncommitted(lambda: submit(execution, note="early")),
        HERE,
        at_isolation(level, lambda: submit(execution, note="late")),
        waits=True,
    )
    assert late.refused is NotOpen
    assert execution.steps.filter(node_id="next").count() == 1
    assert_nothing_is_stranded()


def test_submit_waits_for_submit_that_rolls_back_and_succeeds(
    unlocked: Schedule, execution: Execution
) -> None:
    def rolled_back() -> None:
        with transaction.atomic():
            submit(execution, note="early")
            here()
            transaction.set_rollback(True)

    _, late = unlocked.interleave(
        rolled_back, HERE, lambda: submit(execution, note="late"), waits=True
    )
    assert late.refused is None
    assert execution.steps.get(node_id="form").input == {"note": "late"}
    assert_nothing_is_stranded()


def test_step_is_submitted_twice_without_comparing_the_basis(
    unlocked: Schedule, execution: Execution
) -> None:
    unlocked.without_comparing_basis()
    unlocked.interleave(
        lambda: submit(execution), BEFORE_WRITE, lambda: submit(execution), waits=False
    )
    assert execution.steps.filter(node_id="next").count() == 2


@LEVELS
def test_submit_is_retried_when_its_snapshot_misses_a_submit(
    unlocked: Schedule, execution: Execution, level: str
) -> None:
    def within() -> Any:
        with transaction.atomic():
            assert Workflow.objects.exists()
            here()
            try:
                return submit(execution)
            finally:
                # The client's transaction is still usable.
                assert Workflow.objects.exists()

    late, _ = unlocked.interleave(
        at_isolation(level, within), HERE, lambda: submit(execution), waits=False
    )
    assert late.refused is Contention
    assert execution.steps.filter(node_id="next").count() == 1


def test_draft_is_deleted_when_its_step_is_submitted_meanwhile(
    unlocked: Schedule, execution: Execution
) -> None:
    user = UserFactory()

    def save() -> None:
        running.save_draft(execution, node="form", data={"note": "draft"}, by=user)

    _, submitted = unlocked.interleave(
        uncommitted(save), HERE, lambda: submit(execution), waits=True
    )
    assert submitted.refused is None
    assert not FormDraft.objects.exists()


# Ends


@EVERY_LEVEL
@pytest.mark.parametrize("before_commit", [False, True])
def test_submit_is_refused_when_the_execution_is_cancelled_meanwhile(
    unlocked: Schedule, execution: Execution, level: str, before_commit: bool
) -> None:
    def cancel() -> Execution:
        return running.cancel(execution)

    work = at_isolation(level, lambda: submit(execution))
    if before_commit:
        _, submitted = unlocked.interleave(cancel, AFTER_WRITE, work, waits=True)
    else:
        submitted, _ = unlocked.interleave(work, BEFORE_WRITE, cancel, waits=False)
    assert submitted.refused is ExecutionEnded
    assert Entity.objects.get().fields == {}
    assert_invariants()


@pytest.mark.parametrize("before_commit", [False, True])
def test_child_submit_is_refused_when_the_root_is_cancelled_meanwhile(
    unlocked: Schedule, scenario: Scenario, before_commit: bool
) -> None:
    save_line(scenario.callee, form("inner"))
    root = scenario.start()
    submit(root)
    child = root.children.get()
    work: Work = lambda: submit(child, "inner")  # noqa: E731
    cancel: Work = lambda: running.cancel(root)  # noqa: E731
    if before_commit:
        _, submitted = unlocked.interleave(cancel, AFTER_WRITE, work, waits=True)
    else:
        submitted, _ = unlocked.interleave(work, BEFORE_WRITE, cancel, waits=False)
    assert submitted.refused is ExecutionEnded
    assert set(Execution.objects.values_list("status", flat=True)) == {Status.CANCELLED}
    assert unlocked.deadlocks == 0
    assert_invariants()


# The entity and the workflows


class Shared:
    """Two executions on one entity, each with a form for its own field."""

    def __init__(self, scenario: Scenario) -> None:
        self.one, self.other = (
            running.start(self._asking(scenario, name), scenario.finding)
            for name in ("one", "other")
        )

    def _asking(self, scenario: Scenario, name: str) -> Workflow:
        workflow = WorkflowFactory(title=name, entity_name_type=scenario.limitation)
        save_line(workflow, form("form", {"name": name, "type": "text", "required": True}))
        return workflow

    def works(self) -> tuple[Work, Work]:
        return lambda: submit(self.one, one="1"), lambda: submit(self.other, other="2")


@pytest.fixture
def shared(scenario: Scenario) -> Shared:
    return Shared(scenario)


@EVERY_LEVEL
def test_concurrent_submits_on_one_entity_keep_both_fields(
    unlocked: Schedule, shared: Shared, level: str
) -> None:
    one, other = shared.works()
    unlocked.interleave(at_isolation(level, one), BEFORE_WRITE, other, waits=False)
    assert Entity.objects.get().fields == {"one": "1", "other": "2"}
    assert_nothing_is_stranded()


@EVERY_LEVEL
def test_concurrent_submits_on_one_entity_keep_both_fields_when_the_first_is_uncommitted(
    unlocked: Schedule, shared: Shared, level: str
) -> None:
    one, other = shared.works()
    unlocked.interleave(uncommitted(one), HERE, at_isolation(level, other), waits=True)
    assert Entity.objects.get().fields == {"one": "1", "other": "2"}
    assert unlocked.deadlocks == 0
    assert_nothing_is_stranded()


def test_field_is_lost_without_comparing_the_basis(unlocked: Schedule, shared: Shared) -> None:
    one, other = shared.works()
    unlocked.without_comparing_basis()
    unlocked.interleave(one, BEFORE_WRITE, other, waits=False)
    assert Entity.objects.get().fields == {"one": "1"}


def hold(scenario: Scenario) -> Work:
    return lambda: editing.change_entity_context(
        [scenario.caller, scenario.callee], entity_name_type=scenario.exception, when="drained"
    )


@EVERY_LEVEL
def test_pending_change_is_applied_when_the_last_blocker_ends_meanwhile(
    unlocked: Schedule, scenario: Scenario, level: str
) -> None:
    root = scenario.start()
    submitted, pending = unlocked.interleave(
        at_isolation(level, lambda: submit(root)), BEFORE_WRITE, hold(scenario), waits=False
    )
    assert (submitted.refused, pending.refused) == (None, None)
    assert PendingChange.objects.get().state == "applied"
    assert_invariants()


@pytest.mark.parametrize("first", [0, 1])
def test_pending_change_is_applied_once_when_two_last_blockers_end_together(
    unlocked: Schedule, scenario: Scenario, first: int
) -> None:
    roots = [scenario.start(), scenario.start()]
    hold(scenario)()
    unlocked.interleave(
        lambda: submit(roots[first]), BEFORE_WRITE, lambda: submit(roots[1 - first]), waits=False
    )
    assert PendingChange.objects.get().state == "applied"
    assert_invariants()


def test_pending_change_is_left_to_the_background_when_its_statement_missed_it(
    unlocked: Schedule, scenario: Scenario
) -> None:
    root = scenario.start()
    one = unlocked.begin(uncommitted(lambda: lock_entity(root.entity_id)), HERE)
    # It has already looked for pending changes, and waits for a row lock.
    submitted = unlocked.begin(lambda: submit(root))
    submitted.assert_waits_for(one)
    hold(scenario)()
    one.go().end()
    assert submitted.end().value.status == "completed"
    assert PendingChange.objects.get().state == "waiting"
    assert len(editing.apply_all_drained()) == 1
    assert PendingChange.objects.get().state == "applied"
    assert_invariants()
