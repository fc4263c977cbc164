"""Every way in, as one table: how a workflow's finding type can be changed.

A door takes a workflow and the type that it shall have; ``refused_by`` says what stands behind
it: the guard's refusal, a sentence that names the service, or the key of the schema. What a
door writes beside the type goes through when ``legal`` is true.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.core import serializers
from django.core.management import call_command
from django.db import connection
from django.db.models import F, QuerySet, Value
from django.test import Client
from rest_framework.test import APIClient

from workflows import services
from workflows.models import FindingType, Workflow


class RefusedBy(Enum):
    """What answers at a door."""

    GUARD = "the guard"
    SERVICE = "a sentence that names the service"
    KEY = "the key of the schema"
    API = "the guard, as a problem"
    ADMIN = "the guard, on the page"


@dataclass(frozen=True)
class Door:
    """One way to change the finding type of a workflow."""

    name: str
    open: Callable[[Workflow, FindingType], Any]
    refused_by: RefusedBy


DOORS: list[Door] = []


def door(refused_by: RefusedBy) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        DOORS.append(Door(function.__name__.strip("_"), function, refused_by))
        return function

    return add


def _awaited(make: Callable[[], Any]) -> None:
    # On the test's own thread, and so on its connection.
    async def wait() -> None:
        await make()

    async_to_sync(wait)()


def _row(workflow: Workflow) -> Workflow:
    return Workflow.objects.get(pk=workflow.pk)


def _retyped(workflow: Workflow, kind: FindingType) -> Workflow:
    row = _row(workflow)
    row.entity_name_type = kind
    return row


@door(RefusedBy.GUARD)
def save(workflow: Workflow, kind: FindingType) -> None:
    _retyped(workflow, kind).save()


@door(RefusedBy.GUARD)
def save_update_fields(workflow: Workflow, kind: FindingType) -> None:
    _retyped(workflow, kind).save(update_fields=["entity_name_type"])


@door(RefusedBy.GUARD)
def save_update_fields_by_attname(workflow: Workflow, kind: FindingType) -> None:
    _retyped(workflow, kind).save(update_fields=["entity_name_type_id"])


@door(RefusedBy.GUARD)
def save_of_a_stale_instance(workflow: Workflow, kind: FindingType) -> None:
    stale = _retyped(workflow, kind)
    stale.title = "stale"
    Workflow.objects.filter(pk=workflow.pk).update(description="meanwhile")
    stale.save()


@door(RefusedBy.GUARD)
def save_of_a_deferred_instance(workflow: Workflow, kind: FindingType) -> None:
    row = Workflow.objects.only("pk").get(pk=workflow.pk)
    row.entity_name_type = kind
    row.save()


@door(RefusedBy.GUARD)
def save_base(workflow: Workflow, kind: FindingType) -> None:
    _retyped(workflow, kind).save_base()


@door(RefusedBy.GUARD)
def asave(workflow: Workflow, kind: FindingType) -> None:
    row = _retyped(workflow, kind)
    _awaited(row.asave)


@door(RefusedBy.GUARD)
def update_or_create(workflow: Workflow, kind: FindingType) -> None:
    Workflow.objects.update_or_create(pk=workflow.pk, defaults={"entity_name_type": kind})


@door(RefusedBy.GUARD)
def aupdate_or_create(workflow: Workflow, kind: FindingType) -> None:
    _awaited(
        lambda: Workflow.objects.aupdate_or_create(
            pk=workflow.pk, defaults={"entity_name_type": kind}
        )
    )


@door(RefusedBy.GUARD)
def service(workflow: Workflow, kind: FindingType) -> None:
    services.change_entity_context([workflow], entity_name_type=kind)


@door(RefusedBy.SERVICE)
def update(workflow: Workflow, kind: FindingType) -> None:
    Workflow.objects.filter(pk=workflow.pk).update(entity_name_type=kind)


@door(RefusedBy.SERVICE)
def update_by_attname(workflow: Workflow, kind: FindingType) -> None:
    Workflow.objects.filter(pk=workflow.pk).update(entity_name_type_id=kind.pk)


@door(RefusedBy.SERVICE)
def update_with_a_value(workflow: Workflow, kind: FindingType) -> None:
    Workflow.objects.filter(pk=workflow.pk).update(entity_name_type=Value(kind.pk))


@door(RefusedBy.SERVICE)
def update_with_an_expression(workflow: Workflow, kind: FindingType) -> None:
    difference = kind.pk - (workflow.entity_name_type_id or 0)
    Workflow.objects.filter(pk=workflow.pk).update(
        entity_name_type_id=F("entity_name_type_id") + difference
    )


@door(RefusedBy.SERVICE)
def aupdate(workflow: Workflow, kind: FindingType) -> None:
    _awaited(lambda: Workflow.objects.filter(pk=workflow.pk).aupdate(entity_name_type=kind))


@door(RefusedBy.SERVICE)
def bulk_update(workflow: Workflow, kind: FindingType) -> None:
    Workflow.objects.bulk_update([_retyped(workflow, kind)], ["entity_name_type"])


@door(RefusedBy.SERVICE)
def abulk_update(workflow: Workflow, kind: FindingType) -> None:
    row = _retyped(workflow, kind)
    _awaited(lambda: Workflow.objects.abulk_update([row], ["entity_name_type"]))


@door(RefusedBy.SERVICE)
def bulk_create_with_conflicts(workflow: Workflow, kind: FindingType) -> None:
    Workflow.objects.bulk_create(
        [_retyped(workflow, kind)],
        update_conflicts=True,
        unique_fields=["cuid"],
        update_fields=["entity_name_type"],
    )


@door(RefusedBy.SERVICE)
def abulk_create_with_conflicts(workflow: Workflow, kind: FindingType) -> None:
    row = _retyped(workflow, kind)
    _awaited(
        lambda: Workflow.objects.abulk_create(
            [row],
            update_conflicts=True,
            unique_fields=["cuid"],
            update_fields=["entity_name_type"],
        )
    )


@door(RefusedBy.KEY)
def update_through_the_plain_manager(workflow: Workflow, kind: FindingType) -> None:
    Workflow._base_manager.filter(pk=workflow.pk).update(entity_name_type=kind)


@door(RefusedBy.KEY)
def update_of_a_bare_queryset(workflow: Workflow, kind: FindingType) -> None:
    QuerySet(Workflow).filter(pk=workflow.pk).update(entity_name_type=kind)


@door(RefusedBy.KEY)
def save_base_raw(workflow: Workflow, kind: FindingType) -> None:
    _retyped(workflow, kind).save_base(raw=True)


@door(RefusedBy.KEY)
def raw_sql(workflow: Workflow, kind: FindingType) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workflows_workflow SET entity_name_type_id = %s WHERE id = %s",
            [kind.pk, workflow.pk],
        )


@door(RefusedBy.KEY)
def loaddata(workflow: Workflow, kind: FindingType) -> None:
    data = json.loads(serializers.serialize("json", [_row(workflow)]))
    data[0]["fields"]["entity_name_type"] = kind.pk
    with tempfile.TemporaryDirectory() as directory:
        fixture = Path(directory) / "fixture.json"
        fixture.write_text(json.dumps(data))
        call_command("loaddata", str(fixture), verbosity=0)


def _superuser() -> Any:
    users = get_user_model().objects
    return users.filter(username="root").first() or users.create_superuser("root")


def _api() -> APIClient:
    client = APIClient(headers={"if-match": "*"})
    client.force_authenticate(_superuser())
    return client


@door(RefusedBy.API)
def patch(workflow: Workflow, kind: FindingType) -> Any:
    url = f"/api/v1/workflows/{workflow.cuid}/"
    return _api().patch(url, {"entity_name_type": kind.cuid})


@door(RefusedBy.API)
def put(workflow: Workflow, kind: FindingType) -> Any:
    client, url = _api(), f"/api/v1/workflows/{workflow.cuid}/"
    return client.put(url, {**client.get(url).json(), "entity_name_type": kind.cuid})


@door(RefusedBy.API)
def change_entity_context(workflow: Workflow, kind: FindingType) -> Any:
    body = {"workflows": [workflow.cuid], "entity_name_type": kind.cuid}
    return _api().post("/api/v1/workflows/change-entity-context/", body)


@door(RefusedBy.ADMIN)
def change_form(workflow: Workflow, kind: FindingType) -> Any:
    client = Client()
    client.force_login(_superuser())
    row = _row(workflow)
    fields = {
        "title": row.title,
        "description": row.description,
        "state": row.state,
        "entity_name": row.entity_name,
        "entity_name_type": kind.pk,
        "primary_record_type": "",
        "trigger": row.trigger,
        "trigger_data": "{}",
    }
    return client.post(f"/admin/workflows/workflow/{row.pk}/change/", fields)
