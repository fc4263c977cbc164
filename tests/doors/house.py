"""What lives behind the doors: executions of every kind, and everything that they need."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from executions import services as running
from executions.models import Entity, Execution, Finding, InventoryModel
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    InventoryModelFactory,
    RecordTypeFactory,
    WorkflowFactory,
    call,
    form,
    save_line,
)
from workflows import editing
from workflows.models import AuditCounter, AuditEntry, EntityName, Version, Workflow

RUNS = "the workflow that runs"
CALLEE = "its callee"
TRANSITIVE = "its transitive callee"
OLDER = "a callee of an older running version"


class House:
    """A chain of three that runs, and a callee that only an older running version calls.

    One execution waits at its first form, one for its child, one on a version that has been
    replaced; one has ended. All work on one entity.
    """

    def __init__(self, entity_name: str = EntityName.FINDING) -> None:
        self.entity_name = entity_name
        self.is_of_findings = entity_name == EntityName.FINDING
        new_type: Any = FindingTypeFactory if self.is_of_findings else RecordTypeFactory
        self.type_field = "entity_name_type" if self.is_of_findings else "primary_record_type"
        self.kind, self.other_kind = new_type(), new_type()
        self.finding_type, self.record_type = FindingTypeFactory(), RecordTypeFactory()

        leaf, callee, caller, dropped, keeper, inner = (
            self.workflow(title, self.other_kind)
            for title in ("Leaf", "Callee", "Caller", "Dropped", "Keeper", "Inner")
        )
        save_line(callee, call(leaf))
        save_line(caller, form(), call(callee))
        save_line(keeper, form(), call(dropped))
        save_line(inner, form("inner"))
        chain = [leaf, callee, caller, dropped, keeper, inner]
        editing.change_entity_context(chain, **{self.type_field: self.kind})
        self.workflows: dict[str, Workflow] = {
            title: Workflow.objects.get(pk=row.pk)
            for title, row in {
                RUNS: caller,
                CALLEE: callee,
                TRANSITIVE: leaf,
                OLDER: dropped,
            }.items()
        }
        self.entity = self.new_entity(self.kind)
        self.older = running.start(keeper, self.entity)
        keeper = Workflow.objects.get(pk=keeper.pk)
        save_line(keeper, call(inner))
        self.calling = running.start(keeper, self.entity)
        self.child = self.calling.children.get()
        self.waiting = running.start(caller, self.entity)
        self.ended = running.start(dropped, self.entity)

        # Drafts: their registration holds, and starts nothing here.
        self.registered = self.workflow("Registered", self.kind, trigger="created", state="draft")
        self.moving = self.workflow("Moving", self.other_kind, trigger="created", state="draft")
        self.let_go = self.workflow("Let go", self.kind, trigger="created", state="retired")
        self.spare = self.workflow("Spare", self.kind)
        self.spare_version: Version = save_line(self.spare, form())
        self.spare_entity = self.new_entity(self.kind)

    def context(self, kind: Any) -> dict[str, Any]:
        """The fields of an entity context of this house."""
        none = dict.fromkeys(("entity_name_type", "primary_record_type"))
        return {**none, "entity_name": self.entity_name, self.type_field: kind}

    def other_context(self) -> dict[str, Any]:
        """The fields of a whole context of the other kind of entity."""
        if self.is_of_findings:
            return {
                "entity_name": EntityName.INVENTORY_MODEL.value,
                "entity_name_type": None,
                "primary_record_type": self.record_type,
            }
        return {
            "entity_name": EntityName.FINDING.value,
            "entity_name_type": self.finding_type,
            "primary_record_type": None,
        }

    def workflow(self, title: str, kind: Any, **values: Any) -> Workflow:
        """An active workflow with version 1."""
        workflow: Workflow = WorkflowFactory(title=title, **self.context(kind), **values)
        return workflow

    def new_entity(self, kind: Any) -> Entity:
        """A finding or an inventory model, by its table."""
        new: Any = FindingFactory if self.is_of_findings else InventoryModelFactory
        found: Entity = Entity.objects.get(pk=new(**{self.type_field: kind}).pk)
        return found

    @property
    def face(self) -> Any:
        """The proxy that the entities of this house are shown by."""
        return Finding if self.is_of_findings else InventoryModel

    @cached_property
    def _superuser(self) -> Any:
        return get_user_model().objects.create_superuser("root")

    @cached_property
    def api(self) -> APIClient:
        """The API, as somebody who may do everything; a fault is an exception."""
        client = APIClient(headers={"if-match": "*"})
        client.force_authenticate(self._superuser)
        return client

    @cached_property
    def staff(self) -> Client:
        """The admin, as somebody who may do everything; a fault is an exception."""
        client = Client()
        client.force_login(self._superuser)
        return client

    def state(self) -> dict[str, list[Any]]:
        """Every row of the product; the audit log tells of attempts, and so grows."""
        found = {}
        with connection.cursor() as cursor:
            for table in self._tables:
                cursor.execute(f"SELECT * FROM {table} ORDER BY id")
                found[table] = cursor.fetchall()
        return found

    @cached_property
    def _tables(self) -> list[str]:
        return [
            model._meta.db_table
            for app in ("workflows", "executions")
            for model in apps.get_app_config(app).get_models()
            if not model._meta.proxy and model not in (AuditCounter, AuditEntry)
        ]

    def finish(self) -> None:
        """Carry everything that runs to its end."""
        running.submit(self.child, node="inner", data={"note": "n"})
        for execution in (self.older, self.waiting):
            running.submit(execution, node="form", data={"note": "n"})
        assert set(Execution.objects.values_list("status", flat=True)) == {"completed"}
