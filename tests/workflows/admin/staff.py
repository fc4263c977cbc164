"""Helpers for tests of the admin: clients, URLs, page text and queries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client, TestCase
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
    """Return a client of a staff user with these permissions."""
    client = Client()
    client.force_login(user_with(*permissions, is_staff=True))
    return client


def act(client: Client, action: str, *workflows: Workflow, **more: str) -> Any:
    """Run a list action on these workflows."""
    sent = {"action": action, "_selected_action": [row.pk for row in workflows], **more}
    return client.post(reverse(LIST), sent)


def delete(client: Client, workflow: Workflow, *, selected: bool) -> Any:
    """Delete a workflow, with the list action or on its own page."""
    if selected:
        return act(client, "delete_selected", workflow, post="yes")
    return client.post(page(workflow, "delete"), {"post": "yes"})


def post_and_commit(client: Client, url: str, sent: dict[str, Any]) -> Any:
    """Post a form, and run what follows its commit, which a rolled back test has not."""
    with TestCase.captureOnCommitCallbacks(execute=True):
        return client.post(url, sent)


def page(row: Any, name: str = "change") -> str:
    """Return the URL of an admin page of a row."""
    options = row._meta
    return reverse(f"admin:{options.app_label}_{options.model_name}_{name}", args=[row.pk])


def text(response: Any) -> str:
    """Return the HTML of a page with whitespace collapsed."""
    return " ".join(response.content.decode().split())


def list_messages(response: Any) -> list[str]:
    """Return the messages that a response adds."""
    return [" ".join(str(message).split()) for message in get_messages(response.wsgi_request)]


def settings_of(workflow: Any, **changed: Any) -> dict[str, Any]:
    """Return the form data of a workflow with these changes."""
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
    """Return the stored finding type of a workflow."""
    return Workflow.objects.get(pk=workflow.pk).entity_name_type


def statements(view: Callable[[], Any]) -> int:
    """Return the number of queries of a page, without PREPARE statements."""
    with CaptureQueriesContext(connection) as captured:
        assert view().status_code == 200
    return sum(not query["sql"].startswith("PREPARE") for query in captured)
