"""Factories of types, workflows, entities, users and graphs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.db.models import Model
from factory.declarations import Sequence, SubFactory
from factory.django import DjangoModelFactory, Password

from executions.models import Execution, Finding, InventoryModel
from workflows import editing
from workflows.models import FindingType, RecordType, Version, Workflow
from workflows_project.auth import roles

Row = TypeVar("Row", bound=Model)


class Factory(Generic[Row]):
    """A factory with typed calls, which the classes of factory_boy lack."""

    def __init__(self, declared: type[DjangoModelFactory[Row]]) -> None:
        self.declared = declared

    def __call__(self, **values: Any) -> Row:
        return self.declared.create(**values)

    def create_batch(self, size: int, **values: Any) -> list[Row]:
        return self.declared.create_batch(size, **values)


class _FindingTypes(DjangoModelFactory[FindingType]):
    class Meta:
        model = FindingType

    name = Sequence(lambda n: f"Finding type {n}")


class _RecordTypes(DjangoModelFactory[RecordType]):
    class Meta:
        model = RecordType

    name = Sequence(lambda n: f"Record type {n}")


class _Workflows(DjangoModelFactory[Workflow]):
    """An active workflow on findings, with version 1: start → end."""

    class Meta:
        model = Workflow

    title = Sequence(lambda n: f"Workflow {n}")
    entity_name_type = SubFactory(_FindingTypes)
    state = Workflow.State.ACTIVE


class _Findings(DjangoModelFactory[Finding]):
    class Meta:
        model = Finding

    title = Sequence(lambda n: f"Finding {n}")
    entity_name_type = SubFactory(_FindingTypes)


class _InventoryModels(DjangoModelFactory[InventoryModel]):
    class Meta:
        model = InventoryModel

    title = Sequence(lambda n: f"Model {n}")
    primary_record_type = SubFactory(_RecordTypes)


class _Users(DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = Sequence(lambda n: f"user{n}")
    password = Password("secret")


FindingTypeFactory = Factory(_FindingTypes)
RecordTypeFactory = Factory(_RecordTypes)
WorkflowFactory = Factory(_Workflows)
FindingFactory = Factory(_Findings)
InventoryModelFactory = Factory(_InventoryModels)
UserFactory = Factory(_Users)


def user_with(*permissions: str, **fields: Any) -> User:
    """Return a new user with only these permissions (``app.codename``)."""
    user = UserFactory(**fields)
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    return user


def user_in(role: str, **fields: Any) -> User:
    """Return a new user with this role."""
    # A test that commits empties all tables afterwards, including the groups of the migration.
    roles.reset_groups(roles.find_differences([role]))
    user = UserFactory(**fields)
    user.groups.add(Group.objects.get(name=role))
    return user


def accounts(*, users: Iterable[str] = (), groups: Iterable[str] = ()) -> None:
    """Create the users and groups of these names that do not exist."""
    for name in users:
        if not User.objects.filter(username=name).exists():
            UserFactory(username=name)
    for name in groups:
        Group.objects.get_or_create(name=name)


def voter(name: str) -> User:
    """Return a new user who may submit forms and vote."""
    user = UserFactory(username=name)
    user.user_permissions.add(Permission.objects.get(codename="submit_execution"))
    return user


def form(node_id: str = "form", *fields: dict[str, Any], **data: Any) -> dict[str, Any]:
    """Return a ``user_action`` node; by default, with a field for a note."""
    form_fields = list(fields) or [{"name": "note", "type": "text", "required": True}]
    return {"id": node_id, "type": "user_action", "data": {"fields": form_fields, **data}}


def call(callee: Workflow, node_id: str = "call") -> dict[str, Any]:
    """Return a ``run_workflow`` node."""
    return {"id": node_id, "type": "run_workflow", "data": {"workflow": callee.cuid}}


def line(*nodes: dict[str, Any], last: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the source of a graph with these nodes in a row, from start to end."""
    row = [{"id": "start", "type": "start"}, *nodes, last or {"id": "end", "type": "end"}]
    return {
        "nodes": row,
        "edges": [
            {"source": one["id"], "target": other["id"]} for one, other in itertools.pairwise(row)
        ],
    }


def end_unseen(execution: Execution) -> None:
    """End an execution by plain SQL updates, without the services."""
    with transaction.atomic():
        execution.steps.update(state="cancelled")
        Execution._base_manager.filter(pk=execution.pk).update(status="cancelled")


def save_line(workflow: Workflow, *nodes: dict[str, Any]) -> Version:
    """Save a line of nodes as the workflow's graph; return its version."""
    number = workflow.latest_version.number
    version = editing.save_graph(workflow, line(*nodes), based_on=number).version
    assert version is not None
    return version
