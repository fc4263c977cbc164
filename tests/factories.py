"""Makes what tests stand on: types, workflows, entities, users, and graphs."""

from __future__ import annotations

import itertools
from typing import Any

import factory
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from factory.django import DjangoModelFactory

from executions.models import Execution, Finding, InventoryModel
from workflows import services
from workflows.models import FindingType, RecordType, Version, Workflow
from workflows_project import roles


class FindingTypeFactory(DjangoModelFactory):
    class Meta:
        model = FindingType

    name = factory.Sequence(lambda n: f"Finding type {n}")


class RecordTypeFactory(DjangoModelFactory):
    class Meta:
        model = RecordType

    name = factory.Sequence(lambda n: f"Record type {n}")


class WorkflowFactory(DjangoModelFactory):
    """An active workflow on findings, with version 1: start → end."""

    class Meta:
        model = Workflow

    title = factory.Sequence(lambda n: f"Workflow {n}")
    entity_name_type = factory.SubFactory(FindingTypeFactory)
    state = Workflow.State.ACTIVE


class FindingFactory(DjangoModelFactory):
    class Meta:
        model = Finding

    title = factory.Sequence(lambda n: f"Finding {n}")
    entity_name_type = factory.SubFactory(FindingTypeFactory)


class InventoryModelFactory(DjangoModelFactory):
    class Meta:
        model = InventoryModel

    title = factory.Sequence(lambda n: f"Model {n}")
    primary_record_type = factory.SubFactory(RecordTypeFactory)


class UserFactory(DjangoModelFactory):
    class Meta:
        model = get_user_model()
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"user{n}")
    password = factory.django.Password("secret")


def user_with(*permissions: str, **fields: Any) -> Any:
    """A new user with these permissions alone (``app.codename``)."""
    user: Any = UserFactory(**fields)
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    return user


def user_in(role: str, **fields: Any) -> Any:
    """A new user with this role."""
    # A test that commits leaves the tables empty behind it, the groups of the migration too.
    roles.put_right(roles.differences([role]))
    user: Any = UserFactory(**fields)
    user.groups.add(Group.objects.get(name=role))
    return user


def form(node_id: str = "form", *fields: dict[str, Any], **data: Any) -> dict[str, Any]:
    """A ``user_action`` node; without fields it asks for a note."""
    asked = list(fields) or [{"name": "note", "type": "text", "required": True}]
    return {"id": node_id, "type": "user_action", "data": {"fields": asked, **data}}


def call(callee: Workflow, node_id: str = "call") -> dict[str, Any]:
    """A ``run_workflow`` node."""
    return {"id": node_id, "type": "run_workflow", "data": {"workflow": callee.cuid}}


def line(*nodes: dict[str, Any], last: dict[str, Any] | None = None) -> dict[str, Any]:
    """A source that passes these nodes one after the other, from a start to an end."""
    row = [{"id": "start", "type": "start"}, *nodes, last or {"id": "end", "type": "end"}]
    return {
        "nodes": row,
        "edges": [
            {"source": one["id"], "target": other["id"]} for one, other in itertools.pairwise(row)
        ],
    }


def end_unseen(execution: Execution) -> None:
    """End it by plain statements, so that nobody is told."""
    with transaction.atomic():
        execution.steps.update(state="cancelled")
        Execution._base_manager.filter(pk=execution.pk).update(status="cancelled")


def drawn(workflow: Workflow, *nodes: dict[str, Any]) -> Version:
    """Save a line of nodes as the workflow's graph; its version."""
    number = workflow.latest_version.number
    version = services.save_graph(workflow, line(*nodes), based_on=number).version
    assert version is not None
    return version
