"""Users and groups for tests about whom a step asks."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission

from executions import services
from executions.models import Execution
from tests.factories import FindingFactory, UserFactory, WorkflowFactory, drawn, form
from tests.workflows.api.clients import Client
from workflows.models import Candidate, Workflow


def member(name: str, *groups: str, may_submit: bool = True) -> Any:
    """A new user who is in these groups, and may submit."""
    user = UserFactory(username=name, is_staff=True)
    for group in groups:
        user.groups.add(Group.objects.get_or_create(name=group)[0])
    if may_submit:
        user.user_permissions.add(Permission.objects.get(codename="submit_execution"))
    return user


def client(user: Any) -> Client:
    """A client of the API that is logged in as this user."""
    found = Client()
    found.force_login(user)
    return found


def approval(**data: Any) -> dict[str, Any]:
    """An approval of which both exits lead to forms."""
    return {
        "nodes": [
            {"id": "start", "type": "start"},
            {"id": "vote", "type": "approval", "data": data},
            {"id": "end", "type": "end"},
            {"id": "no", "type": "fail"},
        ],
        "edges": [
            {"source": "start", "target": "vote"},
            {"source": "vote", "target": "end", "sourceHandle": "approved"},
            {"source": "vote", "target": "no", "sourceHandle": "rejected"},
        ],
    }


def on(workflow: Workflow) -> Execution:
    """A new execution of this workflow."""
    finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    return services.start(workflow, finding)


def asking(**named: list[str]) -> Execution:
    """An execution that waits at a form for these groups and users."""
    workflow = WorkflowFactory()
    drawn(workflow, form(assignees=named))
    return on(workflow)


def rows(execution: Execution, node: str = "form") -> list[Candidate]:
    """The candidates of a node of the version that an execution runs."""
    return list(Candidate.objects.filter(version=execution.version_id, node_id=node).order_by("pk"))
