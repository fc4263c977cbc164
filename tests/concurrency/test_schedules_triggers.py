"""Concurrent triggers and concurrent creation triggers."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services as running
from executions.models import Execution, Finding, TriggeredStart
from executions.services import triggering
from tests.concurrency.invariants import assert_invariants
from tests.concurrency.schedule import (
    CHANGED,
    CLOSURE_LOCKED,
    EXCLUSIVE,
    MARKS,
    VERSIONS_UPDATED,
    Schedule,
    after,
    before,
    schedule_fixture,  # noqa: F401  the fixture that the tests ask for
)
from tests.factories import FindingFactory, FindingTypeFactory, WorkflowFactory, form, save_line
from workflows import editing
from workflows.guards import TriggerTaken
from workflows.models import FindingType, Workflow

pytestmark = MARKS

APPENDED = after("workflows.editing.save_workflow.append_version")
NOTED = after("executions.services.queue_triggered_starts")
SERVED = before("executions.services.triggering.start_under_locks")


@pytest.fixture
def kind(db: None) -> FindingType:
    row: FindingType = FindingTypeFactory()
    return row


def saved(workflow: Workflow, **values: Any) -> Workflow:
    for name, value in values.items():
        setattr(workflow, name, value)
    workflow.save()
    return workflow


class TestTwoRegistrationsAtOnce:
    """Both pass the guard before the other commits. A key refuses the second."""

    def check(self, kind: FindingType, first: Any, second: Any) -> None:
        assert first.refused is None
        assert second.refused is TriggerTaken
        assert [row.title for row in second.refusal.blockers.workflows] == ["One"]
        assert second.refusal.problems[0].pointer == "/trigger"
        starting = Workflow.objects.filter(entity_name_type=kind, trigger="created")
        assert [row.title for row in starting.exclude(state="retired")] == ["One"]
        assert_invariants()

    def test_second_creation_trigger_is_refused_when_both_are_saved(
        self, schedule: Schedule, kind: FindingType
    ) -> None:
        one, other = (WorkflowFactory(entity_name_type=kind, title=t) for t in ("One", "Other"))
        outcomes = schedule.interleave(
            lambda: saved(one, trigger="created"),
            VERSIONS_UPDATED,
            lambda: saved(other, trigger="created"),
            waits=True,
        )
        self.check(kind, *outcomes)

    def test_second_creation_trigger_is_refused_when_both_are_created(
        self, schedule: Schedule, kind: FindingType
    ) -> None:
        def create(title: str) -> Workflow:
            return Workflow.objects.create(title=title, entity_name_type=kind, trigger="created")

        outcomes = schedule.interleave(
            lambda: create("One"),
            APPENDED,
            lambda: create("Other"),
            waits=True,
        )
        self.check(kind, *outcomes)

    def test_second_creation_trigger_is_refused_when_one_is_activated_and_one_changes_type(
        self, schedule: Schedule, kind: FindingType
    ) -> None:
        retired = WorkflowFactory(
            title="One", entity_name_type=kind, trigger="created", state="retired"
        )
        moved = WorkflowFactory(title="Other", trigger="created")
        outcomes = schedule.interleave(
            lambda: editing.set_state(retired, "active"),
            VERSIONS_UPDATED,
            lambda: editing.change_entity_context([moved], entity_name_type=kind),
            waits=True,
        )
        self.check(kind, *outcomes)

    def test_second_creation_trigger_is_refused_when_one_changes_type_and_one_is_saved(
        self, schedule: Schedule, kind: FindingType
    ) -> None:
        moved = WorkflowFactory(title="One", trigger="created")
        other = WorkflowFactory(title="Other", entity_name_type=kind)
        outcomes = schedule.interleave(
            lambda: editing.change_entity_context([moved], entity_name_type=kind),
            CHANGED,
            lambda: saved(other, trigger="created"),
            waits=True,
        )
        self.check(kind, *outcomes)


def changed(finding: Finding, **fields: Any) -> None:
    row = Finding.objects.get(pk=finding.pk)
    row.fields = fields
    row.save()


@pytest.mark.parametrize(("second", "starts"), [("low", 2), ("high", 1)])
def test_concurrent_entity_edits_trigger_by_their_own_changes(
    schedule: Schedule, kind: FindingType, second: str, starts: int
) -> None:
    workflow = WorkflowFactory(entity_name_type=kind, trigger="changed")
    save_line(workflow, form())
    finding = FindingFactory(entity_name_type=kind)
    schedule.interleave(
        lambda: changed(finding, severity="high"),
        NOTED,
        lambda: changed(finding, severity=second),
        waits=True,
    )
    assert workflow.executions.count() == starts
    assert_invariants()


@pytest.fixture
def left(kind: FindingType, monkeypatch: pytest.MonkeyPatch) -> TriggeredStart:
    workflow = WorkflowFactory(entity_name_type=kind, trigger="created")
    save_line(workflow, form())
    with monkeypatch.context() as patch:
        patch.setattr(triggering, "_serve_all", lambda _: None)
        FindingFactory(entity_name_type=kind)
    return TriggeredStart.objects.get()


@pytest.mark.parametrize("at", [SERVED, CLOSURE_LOCKED], ids=["claimed", "started"])
def test_triggered_start_runs_once_when_two_workers_claim_it(
    schedule: Schedule, left: TriggeredStart, at: Any
) -> None:
    def serve() -> bool:
        return running.serve_start(left.pk)

    one, other = schedule.interleave(serve, at, serve, waits=True)
    assert (one.value, other.value) == (True, False)
    assert Execution.objects.count() == 1
    assert schedule.deadlocks == 0
    assert_invariants()


def test_entity_deletion_waits_for_triggered_start_and_is_refused(
    schedule: Schedule, left: TriggeredStart
) -> None:
    one, other = schedule.interleave(
        lambda: running.serve_start(left.pk), SERVED, left.entity.delete, waits=True
    )
    assert one.value is True and other.refused is not None
    assert schedule.deadlocks == 0
    assert_invariants()


def test_triggered_start_waits_for_workflow_editor_but_entity_edit_does_not(
    schedule: Schedule, kind: FindingType
) -> None:
    workflow = WorkflowFactory(entity_name_type=kind, trigger="created")
    save_line(workflow, form())
    other_kind = FindingTypeFactory()
    editor = schedule.begin(
        lambda: editing.change_entity_context([workflow], entity_name_type=other_kind), EXCLUSIVE
    )
    person = schedule.begin(lambda: FindingFactory(entity_name_type=kind))
    person.assert_waits_for(editor)
    # It pauses after its commit, so its rows are visible.
    assert Finding.objects.filter(entity_name_type=kind).exists()
    assert TriggeredStart.objects.exists()
    editor.go().end()
    assert person.end().refused is None
    assert not Execution.objects.exists() and not TriggeredStart.objects.exists()
    assert_invariants()
