"""Triggers and registrations, two at once."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services as running
from executions.models import Execution, Finding, TriggeredStart
from executions.services import triggering
from tests.concurrency.laws import assert_laws
from tests.concurrency.schedule import (
    CHANGED,
    EXCLUSIVE,
    FOLLOWED_UP,
    MARKS,
    SHARED,
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

APPENDED = after("workflows.models.version.append_version")
NOTED = after("executions.services.queue_triggered_starts")
SERVED = before("executions.services.triggering.start_within")


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
    """Each passes the guard before the other has committed; the key lets one of them through."""

    def check(self, kind: FindingType, first: Any, second: Any) -> None:
        assert first.refused is None
        assert second.refused is TriggerTaken
        assert [row.title for row in second.refusal.blockers.workflows] == ["One"]
        assert second.refusal.problems[0].pointer == "/trigger"
        starting = Workflow.objects.filter(entity_name_type=kind, trigger="created")
        assert [row.title for row in starting.exclude(state="retired")] == ["One"]
        assert_laws()

    def test_saved(self, schedule: Schedule, kind: FindingType) -> None:
        one, other = (WorkflowFactory(entity_name_type=kind, title=t) for t in ("One", "Other"))
        outcomes = schedule.overtaken(
            lambda: saved(one, trigger="created"),
            FOLLOWED_UP,
            lambda: saved(other, trigger="created"),
            waits=True,
        )
        self.check(kind, *outcomes)

    def test_created(self, schedule: Schedule, kind: FindingType) -> None:
        def create(title: str) -> Workflow:
            return Workflow.objects.create(title=title, entity_name_type=kind, trigger="created")

        outcomes = schedule.overtaken(
            lambda: create("One"),
            APPENDED,
            lambda: create("Other"),
            waits=True,
        )
        self.check(kind, *outcomes)

    def test_activated_and_changed_together(self, schedule: Schedule, kind: FindingType) -> None:
        retired = WorkflowFactory(
            title="One", entity_name_type=kind, trigger="created", state="retired"
        )
        moved = WorkflowFactory(title="Other", trigger="created")
        outcomes = schedule.overtaken(
            lambda: editing.set_state(retired, "active"),
            FOLLOWED_UP,
            lambda: editing.change_entity_context([moved], entity_name_type=kind),
            waits=True,
        )
        self.check(kind, *outcomes)

    def test_changed_together_and_saved(self, schedule: Schedule, kind: FindingType) -> None:
        moved = WorkflowFactory(title="One", trigger="created")
        other = WorkflowFactory(title="Other", entity_name_type=kind)
        outcomes = schedule.overtaken(
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
def test_two_changes_at_once_are_each_judged_by_what_they_change(
    schedule: Schedule, kind: FindingType, second: str, starts: int
) -> None:
    workflow = WorkflowFactory(entity_name_type=kind, trigger="changed")
    save_line(workflow, form())
    finding = FindingFactory(entity_name_type=kind)
    schedule.overtaken(
        lambda: changed(finding, severity="high"),
        NOTED,
        lambda: changed(finding, severity=second),
        waits=True,
    )
    assert workflow.executions.count() == starts
    assert_laws()


@pytest.fixture
def left(kind: FindingType, monkeypatch: pytest.MonkeyPatch) -> TriggeredStart:
    workflow = WorkflowFactory(entity_name_type=kind, trigger="created")
    save_line(workflow, form())
    with monkeypatch.context() as patch:
        patch.setattr(triggering, "_serve_all", lambda _: None)
        FindingFactory(entity_name_type=kind)
    return TriggeredStart.objects.get()


@pytest.mark.parametrize("at", [SERVED, SHARED], ids=["claimed", "started"])
def test_two_who_serve_the_same_start_make_it_once(
    schedule: Schedule, left: TriggeredStart, at: Any
) -> None:
    def serve() -> bool:
        return running.serve_start(left.pk)

    one, other = schedule.overtaken(serve, at, serve, waits=True)
    assert (one.value, other.value) == (True, False)
    assert Execution.objects.count() == 1
    assert schedule.deadlocks == 0
    assert_laws()


def test_an_entity_that_is_deleted_waits_for_its_start_and_stays(
    schedule: Schedule, left: TriggeredStart
) -> None:
    one, other = schedule.overtaken(
        lambda: running.serve_start(left.pk), SERVED, left.entity.delete, waits=True
    )
    assert one.value is True and other.refused is not None
    assert schedule.deadlocks == 0
    assert_laws()


def test_a_start_that_meets_an_editor_of_its_workflow_waits_and_the_edit_of_the_entity_does_not(
    schedule: Schedule, kind: FindingType
) -> None:
    workflow = WorkflowFactory(entity_name_type=kind, trigger="created")
    save_line(workflow, form())
    other_kind = FindingTypeFactory()
    editor = schedule.begin(
        lambda: editing.change_entity_context([workflow], entity_name_type=other_kind), EXCLUSIVE
    )
    person = schedule.begin(lambda: FindingFactory(entity_name_type=kind))
    person.waits_for(editor)
    # It waits after its commit: what it wrote is there.
    assert Finding.objects.filter(entity_name_type=kind).exists()
    assert TriggeredStart.objects.exists()
    editor.go().end()
    assert person.end().refused is None
    assert not Execution.objects.exists() and not TriggeredStart.objects.exists()
    assert_laws()
