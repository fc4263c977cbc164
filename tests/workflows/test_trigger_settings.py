"""Settings of triggers, and the one creation trigger of each type."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.migrations.loader import MigrationLoader

from executions import services as running
from executions.models import Execution, Secret
from tests.factories import FindingFactory, FindingTypeFactory, WorkflowFactory, form, save_line
from tests.workflows.api.clients import Client, assert_problem, client_of
from workflows import editing
from workflows.guards import InvalidTrigger, TriggerTaken, UseTheService
from workflows.guards.database_errors import find_refusal
from workflows.models import AuditEntry, FindingType, PendingChange, Workflow
from workflows.refusals import Refusal

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]

RULE = {"field": "severity", "op": "gte", "value": 3}


@pytest.fixture
def api() -> Client:
    return client_of(superuser=True)


@pytest.fixture
def finding_type(db: None) -> FindingType:
    row: FindingType = FindingTypeFactory(name="Policy Exception")
    return row


@pytest.fixture
def first(finding_type: FindingType) -> Workflow:
    """Return the workflow with the creation trigger of the type."""
    row: Workflow = WorkflowFactory(title="First", entity_name_type=finding_type, trigger="created")
    return row


# Settings


@pytest.mark.parametrize(
    ("trigger", "data"),
    [
        ("manual", {}),
        ("created", {}),
        ("changed", {}),
        ("changed", {"fields": ["severity", "owner"]}),
        ("changed", {"rule": RULE}),
        ("changed", {"rule": {"all": [RULE, {"not": RULE}]}, "fields": ["owner"]}),
        ("webhook", {"secret": "HOOK"}),
    ],
)
def test_valid_settings_are_stored(
    api: Client, finding_type: FindingType, trigger: str, data: dict[str, Any]
) -> None:
    values = {"title": "New", "entity_name_type": finding_type.cuid, "trigger": trigger}
    body = api.post("workflows/", {**values, "trigger_data": data}).json()
    assert (body["trigger"], body["trigger_data"]) == (trigger, data)
    Secret.objects.create(name="HOOK", encrypted="")
    workflow = WorkflowFactory()
    workflow.trigger, workflow.trigger_data = trigger, data
    workflow.full_clean()
    workflow.save()
    workflow.refresh_from_db()
    assert (workflow.trigger, workflow.trigger_data) == (trigger, data)


@pytest.mark.parametrize(
    ("trigger", "data", "pointers"),
    [
        ("manual", {"fields": ["a"]}, ["/trigger_data/fields"]),
        ("created", {"rule": RULE}, ["/trigger_data/rule"]),
        ("changed", {"rules": RULE, "a/b": 1}, ["/trigger_data/rules", "/trigger_data/a~1b"]),
        ("changed", {"fields": "severity"}, ["/trigger_data/fields"]),
        ("changed", {"fields": []}, ["/trigger_data/fields"]),
        ("changed", {"fields": ["a", 1, ""]}, ["/trigger_data/fields/1", "/trigger_data/fields/2"]),
        ("changed", {"rule": None}, ["/trigger_data/rule"]),
        ("changed", {"rule": {"any": [RULE, {"field": "a"}]}}, ["/trigger_data/rule/any/1"]),
        ("webhook", {}, ["/trigger_data"]),
        ("webhook", {"secret": "a b"}, ["/trigger_data/secret"]),
        ("webhook", {"secret": "A", "url": ""}, ["/trigger_data/url"]),
    ],
)
def test_invalid_settings_are_refused_with_pointers(
    api: Client, finding_type: FindingType, trigger: str, data: dict[str, Any], pointers: list[str]
) -> None:
    values = {
        "title": "New",
        "entity_name_type": finding_type.cuid,
        "trigger": trigger,
        "trigger_data": data,
    }
    body = assert_problem(api.post("workflows/", values), 400, "invalid_trigger")
    assert [row["pointer"] for row in body["errors"]] == pointers
    assert not Workflow.objects.exists()

    workflow = WorkflowFactory()
    path = f"workflows/{workflow.cuid}/"
    response = api.edit(path, trigger=trigger, trigger_data=data)
    assert_problem(response, 400, "invalid_trigger")
    workflow.trigger, workflow.trigger_data = trigger, data
    with pytest.raises(InvalidTrigger):
        workflow.save()
    with pytest.raises(ValidationError) as caught:
        workflow.full_clean()
    assert set(caught.value.error_dict) == {"trigger_data"}
    workflow.refresh_from_db()
    assert (workflow.trigger, workflow.trigger_data) == ("manual", {})


def test_true_and_1_are_different_settings(finding_type: FindingType) -> None:
    workflow = WorkflowFactory(trigger="changed", trigger_data={"rule": {**RULE, "value": 1}})
    workflow.trigger_data = {"rule": {**RULE, "value": True}}
    with pytest.raises(InvalidTrigger):
        workflow.save()


def test_settings_must_be_an_object_and_the_trigger_known(finding_type: FindingType) -> None:
    workflow = WorkflowFactory()
    for name, value in (("trigger_data", []), ("trigger", "moon")):
        workflow.refresh_from_db()
        setattr(workflow, name, value)
        with pytest.raises(InvalidTrigger) as caught:
            workflow.save()
        assert caught.value.problems[0].pointer == f"/{name}"
    with pytest.raises(IntegrityError) as error, transaction.atomic():
        Workflow._base_manager.update(trigger="moon")
    assert isinstance(find_refusal(error.value), InvalidTrigger)


@pytest.mark.parametrize("name", ["trigger", "trigger_data"])
@pytest.mark.django_db(transaction=True)
def test_bulk_statements_do_not_write_the_trigger(finding_type: FindingType, name: str) -> None:
    workflow = WorkflowFactory()
    with pytest.raises(UseTheService):
        Workflow.objects.update(**{name: "created"})
    with pytest.raises(UseTheService):
        Workflow.objects.bulk_update([workflow], [name])


def test_trigger_can_change_while_executions_are_live_and_is_recorded(
    finding_type: FindingType,
) -> None:
    workflow = WorkflowFactory(entity_name_type=finding_type)
    save_line(workflow, form())
    execution = running.start(workflow, FindingFactory(entity_name_type=finding_type))
    workflow.trigger, workflow.trigger_data = "changed", {"fields": ["a"]}
    workflow.save()
    entry = AuditEntry.objects.order_by("-id")[0]
    assert entry.before == {"trigger": "manual", "trigger_data": {}}
    assert entry.after == {"trigger": "changed", "trigger_data": {"fields": ["a"]}}
    running.submit(execution, node="form", data={"note": "n"})
    assert Execution.objects.get().status == "completed"


# One creation trigger per type


def create(finding_type: FindingType) -> None:
    Workflow.objects.create(title="Second", entity_name_type=finding_type, trigger="created")


def create_many(finding_type: FindingType) -> None:
    Workflow.objects.bulk_create(
        [Workflow(title="Second", entity_name_type=finding_type, trigger="created")]
    )


def save(finding_type: FindingType) -> None:
    workflow = Workflow.objects.get(title="Second")
    workflow.entity_name_type = finding_type
    workflow.trigger = "created"
    workflow.save()


def reactivate(finding_type: FindingType) -> None:
    workflow = WorkflowFactory(entity_name_type=finding_type, trigger="created", state="retired")
    editing.set_state(workflow, "active")


def move(finding_type: FindingType) -> None:
    workflow = Workflow.objects.get(title="Moving")
    editing.change_entity_context([workflow], entity_name_type=finding_type)


def move_by_save(finding_type: FindingType) -> None:
    workflow = Workflow.objects.get(title="Moving")
    workflow.entity_name_type = finding_type
    workflow.save()


EDITS: list[Callable[[FindingType], None]] = [
    create,
    create_many,
    save,
    reactivate,
    move,
    move_by_save,
]


@pytest.fixture
def others(db: None) -> None:
    WorkflowFactory(title="Second")
    WorkflowFactory(title="Moving", trigger="created")


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("edit", EDITS)
def test_second_creation_trigger_for_a_type_is_refused(
    first: Workflow, finding_type: FindingType, edit: Any
) -> None:
    before = list(Workflow.objects.order_by("pk").values_list("trigger", "context_key"))
    with pytest.raises(TriggerTaken) as caught:
        edit(finding_type)
    refusal = caught.value
    assert refusal.code == "trigger_taken"
    assert refusal.message == (
        "Another workflow of this type already starts when an entity is created: “First”."
    )
    assert refusal.problems[0].pointer == "/trigger"
    assert [row.cuid for row in refusal.blockers.workflows] == [first.cuid]
    assert refusal.remedies[-1].workflows == [first.cuid]
    after = Workflow.objects.order_by("pk").values_list("trigger", "context_key")
    assert list(after)[: len(before)] == before
    entry = AuditEntry.objects.order_by("-id")[0]
    assert (entry.refused, entry.code) == (True, "trigger_taken")


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("free", ["retired", "manual", "moved"])
def test_creation_trigger_is_accepted_after_the_first_gave_it_up(
    first: Workflow, finding_type: FindingType, edit: Any, free: str
) -> None:
    if free == "retired":
        editing.retire(first)
    elif free == "manual":
        first.trigger = "manual"
        first.save()
    else:
        editing.change_entity_context([first], entity_name_type=FindingTypeFactory())
    edit(finding_type)
    starting = Workflow.objects.filter(entity_name_type=finding_type, trigger="created")
    assert starting.exclude(state="retired").count() == 1


def test_draft_holds_the_creation_trigger(finding_type: FindingType) -> None:
    WorkflowFactory(entity_name_type=finding_type, trigger="created", state="draft")
    with pytest.raises(TriggerTaken):
        create(finding_type)


def test_one_edit_can_change_type_and_trigger(first: Workflow, finding_type: FindingType) -> None:
    moving = WorkflowFactory(trigger="created")
    moving.entity_name_type, moving.trigger = finding_type, "manual"
    moving.save()
    first.trigger = "changed"
    first.save()
    first.entity_name_type, first.trigger = FindingTypeFactory(), "created"
    first.save()


def test_api_refusal_points_at_the_trigger_and_links_the_first_workflow(
    api: Client, first: Workflow, finding_type: FindingType
) -> None:
    values = {"title": "Second", "entity_name_type": finding_type.cuid, "trigger": "created"}
    body = assert_problem(api.post("workflows/", values), 400, "trigger_taken")
    assert body["errors"][0]["pointer"] == "/trigger"
    assert [row["cuid"] for row in body["blockers"]["workflows"]] == [first.cuid]
    moving = WorkflowFactory(trigger="created")
    found = api.get(f"workflows/{moving.cuid}/impact/?entity_name_type={finding_type.cuid}").json()
    assert (found["allowed"], found["code"]) == (False, "trigger_taken")


def test_group_with_two_creation_triggers_is_refused(finding_type: FindingType) -> None:
    both = [WorkflowFactory(title=title, trigger="created") for title in ("A", "B")]
    with pytest.raises(TriggerTaken) as caught:
        editing.change_entity_context(both, entity_name_type=finding_type)
    assert [row.title for row in caught.value.blockers.workflows] == ["A", "B"]
    assert not Workflow.objects.filter(entity_name_type=finding_type).exists()
    both[1].trigger = "manual"
    both[1].save()
    editing.change_entity_context(both, entity_name_type=finding_type)
    assert Workflow.objects.filter(entity_name_type=finding_type).count() == 2


def test_bulk_create_of_two_creation_triggers_is_refused(finding_type: FindingType) -> None:
    rows = [Workflow(title=t, entity_name_type=finding_type, trigger="created") for t in ("A", "B")]
    with pytest.raises(TriggerTaken):
        Workflow.objects.bulk_create(rows)
    assert not Workflow.objects.exists()


def test_bulk_create_can_update_the_first_workflow(first: Workflow) -> None:
    row = Workflow.objects.get(pk=first.pk)
    row.pk, row.title = None, "Renamed"
    Workflow.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["cuid"], update_fields=["title"]
    )
    first.refresh_from_db()
    assert (first.title, first.trigger) == ("Renamed", "created")


@pytest.mark.django_db(transaction=True)
def test_change_on_hold_is_checked_at_the_request_and_when_applied(
    finding_type: FindingType,
) -> None:
    moving = WorkflowFactory(title="Moving", trigger="created")
    save_line(moving, form())
    # Its own trigger starts it.
    FindingFactory(entity_name_type=moving.entity_name_type)
    first = WorkflowFactory(title="First", entity_name_type=finding_type, trigger="created")
    with pytest.raises(Refusal) as caught:
        editing.change_entity_context([moving], entity_name_type=finding_type, when="drained")
    assert caught.value.code == "trigger_taken"

    editing.retire(first)
    editing.change_entity_context([moving], entity_name_type=finding_type, when="drained")
    editing.set_state(first, "active")
    running.submit(Execution.objects.get(), node="form", data={"note": "n"})
    pending = PendingChange.objects.get()
    assert (pending.state, pending.code) == ("not_applied", "trigger_taken")
    assert "“First”" in pending.reason
    moving.refresh_from_db()
    assert moving.entity_name_type != finding_type


def test_database_refuses_a_second_creation_trigger(
    first: Workflow, finding_type: FindingType
) -> None:
    second = WorkflowFactory(entity_name_type=finding_type)
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        Workflow._base_manager.filter(pk=second.pk).update(trigger="created")
    assert isinstance(find_refusal(caught.value), TriggerTaken)


@pytest.mark.django_db(transaction=True)
def test_migration_keeps_the_first_of_two_creation_triggers(finding_type: FindingType) -> None:
    module = import_module("workflows.migrations.0003_triggers")
    before = MigrationLoader(connection).project_state([("workflows", "0003_triggers")])
    index = next(row for row in Workflow._meta.constraints if row.name.endswith("_created"))
    with connection.schema_editor() as editor:
        editor.remove_constraint(Workflow, index)
    try:
        rows = [WorkflowFactory(entity_name_type=finding_type) for _ in range(3)]
        Workflow._base_manager.update(trigger="created")
        Workflow._base_manager.filter(pk=rows[0].pk).update(state="retired")
        with connection.schema_editor() as editor:
            module.let_one_start(before.apps, editor)
    finally:
        with connection.schema_editor() as editor:
            editor.add_constraint(Workflow, index)
    found = dict(Workflow.objects.values_list("pk", "trigger"))
    assert [found[row.pk] for row in rows] == ["created", "created", "manual"]
