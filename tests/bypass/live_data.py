"""Live executions and the rows that they depend on."""

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

RUNNING = "the running workflow"
CALLEE = "its callee"
TRANSITIVE = "its transitive callee"
OLDER = "a callee of an older version in use"


class LiveData:
    """A chain of three workflows with live executions.

    One execution waits at its first form, one waits for its child, one runs a superseded version
    with a callee of its own, and one has ended. All of them work on one entity.
    """

    def __init__(self, entity_name: str = EntityName.FINDING) -> None:
        self.entity_name = entity_name
        self.is_of_findings = entity_name == EntityName.FINDING
        new_type: Any = FindingTypeFactory if self.is_of_findings else RecordTypeFactory
        self.type_field = "entity_name_type" if self.is_of_findings else "primary_record_type"
        self.current_type, self.other_type = new_type(), new_type()
        self.finding_type, self.record_type = FindingTypeFactory(), RecordTypeFactory()

        leaf, callee, caller, dropped, keeper, inner = (
            self.workflow(title, self.other_type)
            for title in ("Leaf", "Callee", "Caller", "Dropped", "Keeper", "Inner")
        )
        save_line(callee, call(leaf))
        save_line(caller, form(), call(callee))
        save_line(keeper, form(), call(dropped))
        save_line(inner, form("inner"))
        chain = [leaf, callee, caller, dropped, keeper, inner]
        editing.change_entity_context(chain, **{self.type_field: self.current_type})
        self.workflows: dict[str, Workflow] = {
            title: Workflow.objects.get(pk=row.pk)
            for title, row in {
                RUNNING: caller,
                CALLEE: callee,
                TRANSITIVE: leaf,
                OLDER: dropped,
            }.items()
        }
        self.entity = self.new_entity(self.current_type)
        self.older = running.start(keeper, self.entity)
        keeper = Workflow.objects.get(pk=keeper.pk)
        save_line(keeper, call(inner))
        self.calling = running.start(keeper, self.entity)
        self.child = self.calling.children.get()
        self.waiting = running.start(caller, self.entity)
        self.ended = running.start(dropped, self.entity)
        self.comment = running.comment(self.waiting, text="before", by=None)

        # Drafts count for the creation trigger, but start nothing here.
        self.registered = self.workflow(
            "Registered", self.current_type, trigger="created", state="draft"
        )
        self.moving = self.workflow("Moving", self.other_type, trigger="created", state="draft")
        self.retired = self.workflow(
            "Let go", self.current_type, trigger="created", state="retired"
        )
        self.spare = self.workflow("Spare", self.current_type)
        self.spare_version: Version = save_line(self.spare, form())
        self.spare_entity = self.new_entity(self.current_type)

    def context(self, entity_type: Any) -> dict[str, Any]:
        """Return the fields of a context with this type."""
        none = dict.fromkeys(("entity_name_type", "primary_record_type"))
        return {**none, "entity_name": self.entity_name, self.type_field: entity_type}

    def other_context(self) -> dict[str, Any]:
        """Return the fields of a context with the other entity name."""
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

    def workflow(self, title: str, entity_type: Any, **values: Any) -> Workflow:
        """Create an active workflow with version 1."""
        workflow: Workflow = WorkflowFactory(title=title, **self.context(entity_type), **values)
        return workflow

    def new_entity(self, entity_type: Any) -> Entity:
        """Create a finding or an inventory model; return it as an ``Entity``."""
        new: Any = FindingFactory if self.is_of_findings else InventoryModelFactory
        found: Entity = Entity.objects.get(pk=new(**{self.type_field: entity_type}).pk)
        return found

    @property
    def proxy(self) -> Any:
        """Return the proxy model of the entities."""
        return Finding if self.is_of_findings else InventoryModel

    @cached_property
    def _superuser(self) -> Any:
        return get_user_model().objects.create_superuser("root")

    @cached_property
    def api(self) -> APIClient:
        """Return an API client of a superuser. Server errors are raised."""
        client = APIClient(headers={"if-match": "*"})
        client.force_authenticate(self._superuser)
        return client

    @cached_property
    def staff(self) -> Client:
        """Return an admin client of a superuser. Server errors are raised."""
        client = Client()
        client.force_login(self._superuser)
        return client

    def state(self) -> dict[str, list[Any]]:
        """Return all rows, without the audit log, which records attempts."""
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
        """Complete all live executions."""
        running.submit(self.child, node="inner", data={"note": "n"})
        for execution in (self.older, self.waiting):
            running.submit(execution, node="form", data={"note": "n"})
        assert set(Execution.objects.values_list("status", flat=True)) == {"completed"}
