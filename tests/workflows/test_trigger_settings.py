"""What starts a workflow, as a setting: what it may say, and one a type that starts on creation."""

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
def kind(db: None) -> FindingType:
    row: FindingType = FindingTypeFactory(name="Policy Exception")
    return row


@pytest.fixture
def first(kind: FindingType) -> Workflow:
    """The workflow that starts when an entity of the type is created."""
    row: Workflow = WorkflowFactory(title="First", entity_name_type=kind, trigger="created")
    return row


# What the details may say


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
def test_details_that_mean_something_are_kept(
    api: Client, kind: FindingType, trigger: str, data: dict[str, Any]
) -> None:
    asked = {"title": "New", "entity_name_type": kind.cuid, "trigger": trigger}
    body = api.post("workflows/", {**asked, "trigger_data": data}).json()
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
def test_details_without_meaning_are_refused_by_pointer(
    api: Client, kind: FindingType, trigger: str, data: dict[str, Any], pointers: list[str]
) -> None:
    asked = {
        "title": "New",
        "entity_name_type": kind.cuid,
        "trigger": trigger,
        "trigger_data": data,
    }
    body = assert_problem(api.post("workflows/", asked), 400, "invalid_trigger")
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


def test_true_is_not_one_in_the_details(kind: FindingType) -> None:
    workflow = WorkflowFactory(trigger="changed", trigger_data={"rule": {**RULE, "value": 1}})
    workflow.trigger_data = {"rule": {**RULE, "value": True}}
    with pytest.raises(InvalidTrigger):
        workflow.save()


def test_nothing_but_an_object_or_a_known_trigger_is_saved(kind: FindingType) -> None:
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
def test_bulk_statements_do_not_write_it(kind: FindingType, name: str) -> None:
    workflow = WorkflowFactory()
    with pytest.raises(UseTheService):
        Workflow.objects.update(**{name: "created"})
    with pytest.raises(UseTheService):
        Workflow.objects.bulk_update([workflow], [name])


def test_what_starts_it_may_change_while_it_runs_and_the_log_tells_of_it(
    kind: FindingType,
) -> None:
    workflow = WorkflowFactory(entity_name_type=kind)
    save_line(workflow, form())
    execution = running.start(workflow, FindingFactory(entity_name_type=kind))
    workflow.trigger, workflow.trigger_data = "changed", {"fields": ["a"]}
    workflow.save()
    entry = AuditEntry.objects.order_by("-id")[0]
    assert entry.before == {"trigger": "manual", "trigger_data": {}}
    assert entry.after == {"trigger": "changed", "trigger_data": {"fields": ["a"]}}
    running.submit(execution, node="form", data={"note": "n"})
    assert Execution.objects.get().status == "completed"


# One a type that starts on creation


def create(kind: FindingType) -> None:
    Workflow.objects.create(title="Second", entity_name_type=kind, trigger="created")


def create_many(kind: FindingType) -> None:
    Workflow.objects.bulk_create(
        [Workflow(title="Second", entity_name_type=kind, trigger="created")]
    )


def save(kind: FindingType) -> None:
    workflow = Workflow.objects.get(title="Second")
    workflow.entity_name_type = kind
    workflow.trigger = "created"
    workflow.save()


def reactivate(kind: FindingType) -> None:
    workflow = WorkflowFactory(entity_name_type=kind, trigger="created", state="retired")
    editing.set_state(workflow, "active")


def move(kind: FindingType) -> None:
    workflow = Workflow.objects.get(title="Moving")
    editing.change_entity_context([workflow], entity_name_type=kind)


def move_by_save(kind: FindingType) -> None:
    workflow = Workflow.objects.get(title="Moving")
    workflow.entity_name_type = kind
    workflow.save()


WAYS: list[Callable[[FindingType], None]] = [
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
@pytest.mark.parametrize("way", WAYS)
def test_the_second_is_refused(first: Workflow, kind: FindingType, way: Any) -> None:
    before = list(Workflow.objects.order_by("pk").values_list("trigger", "context_key"))
    with pytest.raises(TriggerTaken) as caught:
        way(kind)
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
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("free", ["retired", "manual", "moved"])
def test_it_is_accepted_when_the_first_has_let_go(
    first: Workflow, kind: FindingType, way: Any, free: str
) -> None:
    if free == "retired":
        editing.retire(first)
    elif free == "manual":
        first.trigger = "manual"
        first.save()
    else:
        editing.change_entity_context([first], entity_name_type=FindingTypeFactory())
    way(kind)
    starting = Workflow.objects.filter(entity_name_type=kind, trigger="created")
    assert starting.exclude(state="retired").count() == 1


def test_a_draft_has_its_registration_too(kind: FindingType) -> None:
    WorkflowFactory(entity_name_type=kind, trigger="created", state="draft")
    with pytest.raises(TriggerTaken):
        create(kind)


def test_one_edit_may_change_type_and_trigger(first: Workflow, kind: FindingType) -> None:
    moving = WorkflowFactory(trigger="created")
    moving.entity_name_type, moving.trigger = kind, "manual"
    moving.save()
    first.trigger = "changed"
    first.save()
    first.entity_name_type, first.trigger = FindingTypeFactory(), "created"
    first.save()


def test_the_refusal_through_the_api_points_at_the_trigger_and_links_the_first(
    api: Client, first: Workflow, kind: FindingType
) -> None:
    asked = {"title": "Second", "entity_name_type": kind.cuid, "trigger": "created"}
    body = assert_problem(api.post("workflows/", asked), 400, "trigger_taken")
    assert body["errors"][0]["pointer"] == "/trigger"
    assert [row["cuid"] for row in body["blockers"]["workflows"]] == [first.cuid]
    moving = WorkflowFactory(trigger="created")
    found = api.get(f"workflows/{moving.cuid}/impact/?entity_name_type={kind.cuid}").json()
    assert (found["allowed"], found["code"]) == (False, "trigger_taken")


def test_a_group_in_which_two_would_start_is_refused_as_a_whole(kind: FindingType) -> None:
    both = [WorkflowFactory(title=title, trigger="created") for title in ("A", "B")]
    with pytest.raises(TriggerTaken) as caught:
        editing.change_entity_context(both, entity_name_type=kind)
    assert [row.title for row in caught.value.blockers.workflows] == ["A", "B"]
    assert not Workflow.objects.filter(entity_name_type=kind).exists()
    both[1].trigger = "manual"
    both[1].save()
    editing.change_entity_context(both, entity_name_type=kind)
    assert Workflow.objects.filter(entity_name_type=kind).count() == 2


def test_two_new_ones_at_once_in_bulk_are_refused(kind: FindingType) -> None:
    rows = [Workflow(title=t, entity_name_type=kind, trigger="created") for t in ("A", "B")]
    with pytest.raises(TriggerTaken):
        Workflow.objects.bulk_create(rows)
    assert not Workflow.objects.exists()


def test_a_bulk_statement_may_come_upon_the_first_itself(first: Workflow) -> None:
    row = Workflow.objects.get(pk=first.pk)
    row.pk, row.title = None, "Renamed"
    Workflow.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["cuid"], update_fields=["title"]
    )
    first.refresh_from_db()
    assert (first.title, first.trigger) == ("Renamed", "created")


@pytest.mark.django_db(transaction=True)
def test_a_change_on_hold_is_judged_when_it_is_asked_for_and_when_it_is_made(
    kind: FindingType,
) -> None:
    moving = WorkflowFactory(title="Moving", trigger="created")
    save_line(moving, form())
    # Its own trigger starts it.
    FindingFactory(entity_name_type=moving.entity_name_type)
    first = WorkflowFactory(title="First", entity_name_type=kind, trigger="created")
    with pytest.raises(Refusal) as caught:
        editing.change_entity_context([moving], entity_name_type=kind, when="drained")
    assert caught.value.code == "trigger_taken"

    editing.retire(first)
    editing.change_entity_context([moving], entity_name_type=kind, when="drained")
    editing.set_state(first, "active")
    running.submit(Execution.objects.get(), node="form", data={"note": "n"})
    pending = PendingChange.objects.get()
    assert (pending.state, pending.code) == ("not_applied", "trigger_taken")
    assert "“First”" in pending.reason
    moving.refresh_from_db()
    assert moving.entity_name_type != kind


def test_the_database_refuses_it_by_itself(first: Workflow, kind: FindingType) -> None:
    second = WorkflowFactory(entity_name_type=kind)
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        Workflow._base_manager.filter(pk=second.pk).update(trigger="created")
    assert isinstance(find_refusal(caught.value), TriggerTaken)


@pytest.mark.django_db(transaction=True)
def test_an_upgrade_lets_the_first_of_two_start_on_creation(kind: FindingType) -> None:
    module = import_module("workflows.migrations.0003_triggers")
    before = MigrationLoader(connection).project_state([("workflows", "0003_triggers")])
    index = next(row for row in Workflow._meta.constraints if row.name.endswith("_created"))
    with connection.schema_editor() as editor:
        editor.remove_constraint(Workflow, index)
    try:
        rows = [WorkflowFactory(entity_name_type=kind) for _ in range(3)]
        Workflow._base_manager.update(trigger="created")
        Workflow._base_manager.filter(pk=rows[0].pk).update(state="retired")
        with connection.schema_editor() as editor:
            module.let_one_start(before.apps, editor)
    finally:
        with connection.schema_editor() as editor:
            editor.add_constraint(Workflow, index)
    found = dict(Workflow.objects.values_list("pk", "trigger"))
    assert [found[row.pk] for row in rows] == ["created", "created", "manual"]
