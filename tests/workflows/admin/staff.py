"""Who comes to the admin in these tests, and how its pages are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.factories import user_with
from workflows.models import FindingType, Workflow

LIST = "admin:workflows_workflow_changelist"
TOGETHER = "admin:workflows_workflow_change_type"
OWN = "Cannot change finding type while this workflow has active executions."
DEPENDENT = "Cannot change finding type: workflows referencing this one have active executions."

VIEW = (
    "workflows.view_workflow",
    "workflows.view_version",
    "workflows.view_findingtype",
    "executions.view_execution",
    "executions.view_finding",
)


def staff(*permissions: str) -> Client:
    """A client that is logged in as staff with these permissions alone."""
    client = Client()
    client.force_login(user_with(*permissions, is_staff=True))
    return client


def act(client: Client, action: str, *workflows: Workflow, **more: str) -> Any:
    """Take an action of the list on these workflows."""
    sent = {"action": action, "_selected_action": [row.pk for row in workflows], **more}
    return client.post(reverse(LIST), sent)


def delete(client: Client, workflow: Workflow, *, selected: bool) -> Any:
    """Confirm a deletion, on the list of those selected or on the workflow's own page."""
    if selected:
        return act(client, "delete_selected", workflow, post="yes")
    return client.post(page(workflow, "delete"), {"post": "yes"})


def page(row: Any, name: str = "change") -> str:
    """The address of a page of this row."""
    options = row._meta
    return reverse(f"admin:{options.app_label}_{options.model_name}_{name}", args=[row.pk])


def text(response: Any) -> str:
    """What a page says, on one line."""
    return " ".join(response.content.decode().split())


def list_messages(response: Any) -> list[str]:
    """The messages that a response leaves for the next page."""
    return [" ".join(str(message).split()) for message in get_messages(response.wsgi_request)]


def settings_of(workflow: Any, **changed: Any) -> dict[str, Any]:
    """What the form of a workflow sends when nothing else is changed."""
    sent = {
        "title": workflow.title,
        "description": workflow.description,
        "state": workflow.state,
        "entity_name": workflow.entity_name,
        "entity_name_type": workflow.entity_name_type_id or "",
        "primary_record_type": workflow.primary_record_type_id or "",
        "trigger": workflow.trigger,
        "trigger_data": "{}",
    }
    return {**sent, **changed}


def type_of(workflow: Workflow) -> FindingType | None:
    """The finding type that is stored."""
    return Workflow.objects.get(pk=workflow.pk).entity_name_type


def statements(view: Callable[[], Any]) -> int:
    """How many statements a page takes; what is prepared once for a connection is left out."""
    with CaptureQueriesContext(connection) as captured:
        assert view().status_code == 200
    return sum(not query["sql"].startswith("PREPARE") for query in captured)
