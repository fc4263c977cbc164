"""Triggered starts: which workflows an edit of an entity starts, when, and how often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import transaction

from executions import services
from executions.models import (
    Entity,
    Execution,
    Finding,
    InventoryModel,
    Secret,
    TriggeredStart,
)
from executions.services import triggering
from executions.worker import rounds
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    InventoryModelFactory,
    RecordTypeFactory,
    UserFactory,
    WorkflowFactory,
    call,
    form,
    save_line,
)
from tests.test_query_counts import statements
from workflows import editing
from workflows.audit.actor import Actor, Interface, act_as
from workflows.models import AuditEntry, FindingType, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]

HIGH = {"field": "severity", "op": "eq", "value": "high"}


@pytest.fixture
def kind(db: None) -> FindingType:
    row: FindingType = FindingTypeFactory(name="Policy Exception")
    return row


def create_triggered_workflow(
    kind: FindingType, trigger: str, data: Any = None, **values: Any
) -> Workflow:
    """Create a workflow with one form that this trigger starts."""
    workflow = WorkflowFactory(
        entity_name_type=kind, trigger=trigger, trigger_data=data or {}, **values
    )
    save_line(workflow, form())
    return workflow


def count_executions(workflow: Workflow) -> int:
    return int(workflow.executions.count())


def last_entry() -> AuditEntry:
    return AuditEntry.objects.order_by("-id")[0]


# Creation

CREATIONS: dict[str, Callable[[FindingType], Any]] = {
    "save": lambda kind: Finding(title="New", entity_name_type=kind).save(),
    "create": lambda kind: Finding.objects.create(title="New", entity_name_type=kind),
    "get_or_create": lambda kind: Finding.objects.get_or_create(title="New", entity_name_type=kind),
    "as an entity": lambda kind: Entity.objects.create(
        title="New", entity_name="Finding", entity_name_type=kind
    ),
    "bulk_create": lambda kind: Finding.objects.bulk_create(
        [Finding(title="New", entity_name_type=kind)]
    ),
}


@pytest.mark.parametrize("way", CREATIONS)
def test_new_entity_starts_workflow_of_its_type_once(kind: FindingType, way: str) -> None:
    workflow = create_triggered_workflow(kind, "created")
    others = [
        create_triggered_workflow(FindingTypeFactory(), "created"),
        create_triggered_workflow(kind, "created", state="retired"),
        create_triggered_workflow(kind, "changed"),
        create_triggered_workflow(kind, "manual"),
    ]
    CREATIONS[way](kind)
    execution = Execution.objects.get()
    assert execution.workflow == workflow
    assert execution.entity.title == "New"
    assert execution.steps.open().get().node_id == "form"
    assert not TriggeredStart.objects.exists()
    assert [count_executions(other) for other in others] == [0, 0, 0, 0]
    execution.entity.save()
    assert count_executions(workflow) == 1


def test_draft_workflow_is_not_started(kind: FindingType) -> None:
    create_triggered_workflow(kind, "created", state="draft")
    FindingFactory(entity_name_type=kind)
    assert not Execution.objects.exists() and not TriggeredStart.objects.exists()


def test_new_inventory_model_starts_workflow_of_its_record_type() -> None:
    kind = RecordTypeFactory()
    workflow = WorkflowFactory(
        entity_name="InventoryModel",
        entity_name_type=None,
        primary_record_type=kind,
        trigger="created",
    )
    InventoryModelFactory()
    assert count_executions(workflow) == 0
    InventoryModel.objects.create(title="Scoring", primary_record_type=kind)
    assert count_executions(workflow) == 1


def test_rollback_starts_nothing(kind: FindingType) -> None:
    workflow = create_triggered_workflow(kind, "created")
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        FindingFactory(entity_name_type=kind)
        raise ZeroDivisionError
    assert count_executions(workflow) == 0 and not TriggeredStart.objects.exists()


def test_audit_entry_names_editor_and_trigger(
    kind: FindingType,
) -> None:
    workflow = create_triggered_workflow(kind, "created")
    user = UserFactory(username="erin")
    with act_as(Actor(Interface.API, "r-1", lambda: user)):
        finding = FindingFactory(entity_name_type=kind)
    execution = Execution.objects.get()
    assert execution.started_by == user
    entry = last_entry()
    assert (entry.action, entry.cuid, entry.who) == ("started", workflow.cuid, "erin")
    assert entry.after == {
        "trigger": "created",
        "entity": finding.cuid,
        "execution": execution.cuid,
    }
    with act_as(Actor(Interface.API, "r-2", AnonymousUser)):
        FindingFactory(entity_name_type=kind)
    assert count_executions(workflow) == 2


# Changes


@pytest.mark.parametrize(
    ("data", "before", "after", "starts"),
    [
        ({}, {"a": 1}, {"a": 2}, True),
        ({}, {"a": 1}, {"a": 1}, False),
        ({}, {"a": 1}, {"a": True}, True),
        ({}, {"a": 1}, {}, True),
        ({}, {}, {"a": None}, False),
        ({}, {"a": " "}, {"b": []}, False),
        ({"fields": ["a"]}, {"a": 1}, {"a": None}, True),
        ({}, {"a": {"b": 1, "c": 2}}, {"a": {"c": 2, "b": 1}}, False),
        ({"fields": ["a"]}, {"a": 1}, {"a": 2}, True),
        ({"fields": ["a"]}, {"a": 1}, {"a": 1, "b": 1}, False),
        ({"rule": HIGH}, {"severity": "low"}, {"severity": "high"}, True),
        ({"rule": HIGH}, {"severity": "high"}, {"severity": "low"}, False),
        ({"rule": HIGH}, {"severity": "high"}, {"severity": "high", "b": 1}, False),
        ({"rule": {"not": {"any": [HIGH]}}}, {"severity": "high"}, {}, True),
        ({"rule": HIGH, "fields": ["b"]}, {"severity": "high"}, {"severity": "high", "b": 1}, True),
        ({"rule": HIGH, "fields": ["b"]}, {"severity": "low"}, {"severity": "low", "b": 1}, False),
    ],
)
@pytest.mark.parametrize("way", ["save", "update", "bulk_update"])
def test_change_of_watched_field_starts_workflow(
    kind: FindingType, data: Any, before: Any, after: Any, starts: bool, way: str
) -> None:
    workflow = create_triggered_workflow(kind, "changed", data)
    finding = FindingFactory(entity_name_type=kind, fields=before)
    assert count_executions(workflow) == 0
    if way == "update":
        Finding.objects.filter(pk=finding.pk).update(fields=after)
    else:
        finding.fields = after
        finding.save() if way == "save" else Finding.objects.bulk_update([finding], ["fields"])
    assert count_executions(workflow) == starts


def test_unwritten_field_has_not_changed(kind: FindingType) -> None:
    workflow = create_triggered_workflow(kind, "changed")
    finding = FindingFactory(entity_name_type=kind)
    finding.fields = {"a": 1}
    finding.title = "Another"
    finding.save(update_fields=["title"])
    Finding.objects.update(title="A third")
    assert count_executions(workflow) == 0
    finding.save()
    assert count_executions(workflow) == 1


def test_edit_starts_each_matching_workflow_once(
    kind: FindingType,
) -> None:
    both = [
        create_triggered_workflow(kind, "changed"),
        create_triggered_workflow(kind, "changed", {"fields": ["a"]}),
    ]
    finding = FindingFactory(entity_name_type=kind)
    with transaction.atomic():
        finding.fields = {"a": 1}
        finding.save()
        finding.save()
    assert [count_executions(row) for row in both] == [1, 1]


def test_write_of_execution_starts_nothing(kind: FindingType) -> None:
    workflow = WorkflowFactory(entity_name_type=kind, trigger="changed")
    setting = {"id": "set", "type": "set_field", "data": {"values": {"a": 9}}}
    save_line(workflow, setting, form())
    finding = FindingFactory(entity_name_type=kind)
    finding.fields = {"a": 1}
    finding.save()
    execution = Execution.objects.get()
    finding.refresh_from_db()
    assert finding.fields == {"a": 9}
    services.submit(execution, node="form", data={"note": "changed by a form"})
    assert count_executions(workflow) == 1 and not TriggeredStart.objects.exists()


# Refused starts


def put_on_hold(workflow: Workflow) -> None:
    finding = Finding.objects.create(title="Old", entity_name_type=workflow.entity_name_type)
    Execution.objects.exists() or services.start(workflow, finding)
    editing.change_entity_context([workflow], entity_name_type=FindingTypeFactory(), when="drained")


def call_draft(workflow: Workflow) -> None:
    save_line(
        workflow, call(WorkflowFactory(entity_name_type=workflow.entity_name_type, state="draft"))
    )


@pytest.mark.parametrize(
    ("spoil", "code"),
    [(put_on_hold, "draining"), (call_draft, "not_startable")],
    ids=["draining", "draft"],
)
@pytest.mark.parametrize("trigger", ["created", "changed"])
def test_refused_start_is_recorded_and_edit_is_saved(
    kind: FindingType, trigger: str, spoil: Callable[[Workflow], None], code: str
) -> None:
    workflow = create_triggered_workflow(kind, trigger)
    spoil(workflow)
    before = count_executions(workflow)
    finding = Finding.objects.create(title="New", entity_name_type=kind)
    if trigger == "changed":
        finding.fields = {"a": 1}
        finding.save()
    stored = Finding.objects.get(title="New")
    assert stored.fields == finding.fields
    assert count_executions(workflow) == before and not TriggeredStart.objects.exists()
    entry = last_entry()
    assert (entry.refused, entry.code, entry.action) == (True, code, "started")
    assert (entry.cuid, entry.after) == (
        workflow.cuid,
        {"trigger": trigger, "entity": finding.cuid},
    )


def test_invalid_trigger_data_fails_no_edit(kind: FindingType) -> None:
    workflow = create_triggered_workflow(kind, "changed")
    Workflow._base_manager.filter(pk=workflow.pk).update(trigger_data={"rule": 7})
    finding = FindingFactory(entity_name_type=kind)
    finding.fields = {"a": 1}
    finding.save()
    assert count_executions(workflow) == 0
    assert Finding.objects.get().fields == {"a": 1}
    # An invalid stored trigger must not prevent edits of entities.
    workflow.refresh_from_db()
    workflow.title = "Renamed"
    workflow.save()


def test_bulk_edit_leaves_further_starts_to_workers(kind: FindingType) -> None:
    workflow = create_triggered_workflow(kind, "created")
    number = triggering.MAX_IMMEDIATE + 5
    Finding.objects.bulk_create(Finding(title=f"{n}", entity_name_type=kind) for n in range(number))
    assert count_executions(workflow) == triggering.MAX_IMMEDIATE
    assert rounds.run_due().starts == 5
    assert count_executions(workflow) == number


# Statements


def test_edit_without_trigger_takes_at_most_one_more_statement(
    kind: FindingType, monkeypatch: pytest.MonkeyPatch
) -> None:
    Secret.objects.create(name="HOOK", encrypted="")
    for _ in range(5):
        create_triggered_workflow(FindingTypeFactory(), "changed")
        create_triggered_workflow(FindingTypeFactory(), "created")
        create_triggered_workflow(kind, "webhook", {"secret": "HOOK"})
    finding = FindingFactory(entity_name_type=kind)

    def costs() -> list[int]:
        def change() -> None:
            finding.fields = {"a": finding.fields.get("a", 0) + 1}
            finding.save()

        def retitle() -> None:
            finding.title += "x"
            finding.save()

        create = statements(lambda: FindingFactory(entity_name_type=kind))
        return [create, statements(change), statements(retitle)]

    with monkeypatch.context() as patch:
        patch.setattr(services, "queue_triggered_starts", lambda *_: None)
        create, change, retitle = costs()
    assert costs() == [create + 1, change + 1, retitle]


def test_triggering_edit_takes_constant_number_of_statements(
    kind: FindingType,
) -> None:
    create_triggered_workflow(kind, "created")
    create_triggered_workflow(kind, "changed", {"fields": ["a"]})

    def edit() -> None:
        finding = FindingFactory(entity_name_type=kind)
        finding.fields = {"a": 1}
        finding.save()

    few = statements(edit)
    for _ in range(10):
        create_triggered_workflow(FindingTypeFactory(), "created")
        create_triggered_workflow(FindingTypeFactory(), "changed")
        edit()
    assert statements(edit) == few
    assert Execution.objects.count() == 24
