"""Users, groups and executions for tests about assignees."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission

from executions import services
from executions.models import Execution
from executions.task_queries import unassigned
from tests.factories import (
    FindingFactory,
    UserFactory,
    WorkflowFactory,
    accounts,
    form,
    save_line,
    user_in,
)
from tests.workflows.api.clients import Client
from workflows import editing
from workflows.models import Candidate, Workflow


def create_member(name: str, *groups: str, may_submit: bool = True) -> Any:
    """Create a user who is in these groups."""
    user = UserFactory(username=name, is_staff=True)
    for group in groups:
        user.groups.add(Group.objects.get_or_create(name=group)[0])
    if may_submit:
        user.user_permissions.add(Permission.objects.get(codename="submit_execution"))
    return user


def log_in(user: Any) -> Client:
    """Return an API client that is logged in as this user."""
    found = Client()
    found.force_login(user)
    return found


def approval_graph(**data: Any) -> dict[str, Any]:
    """Return a graph with one approval."""
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


def start(workflow: Workflow) -> Execution:
    """Start an execution of this workflow on a new finding."""
    finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    return services.start(workflow, finding)


def start_with_assignees(**named: list[str]) -> Execution:
    """Start an execution that waits at a form for these groups and users."""
    workflow = WorkflowFactory()
    save_line(workflow, form(assignees=named))
    return start(workflow)


def candidates_of(execution: Execution, node: str = "form") -> list[Candidate]:
    """Return the candidates of a node in the version of an execution."""
    return list(Candidate.objects.filter(version=execution.version_id, node_id=node).order_by("pk"))


def vote(execution: Execution, user: Any, *, approves: bool = True) -> Execution:
    """Vote on the approval of an execution."""
    return services.vote(execution, node="vote", approves=approves, by=user)


def start_approval(**data: Any) -> Execution:
    """Start an execution that waits at an approval with this data."""
    workflow = WorkflowFactory()
    editing.save_graph(workflow, approval_graph(**data), based_on=1)
    return start(workflow)


def current_status(execution: Execution) -> str:
    """Return the stored status of an execution."""
    return Execution.objects.values_list("status", flat=True).get(pk=execution.pk)


def is_flagged(execution: Execution) -> bool:
    """Return True when every interface shows the step as unassigned, False when none does."""
    api = log_in(user_in("operator"))
    (step,) = api.get(f"executions/{execution.cuid}/").json()["open_steps"]
    listed = api.get("executions/", {"unassigned": "true"}).json()["results"]
    others = api.get("executions/", {"unassigned": "false"}).json()["results"]
    found = {
        step["unassigned"],
        execution.cuid in [row["cuid"] for row in listed],
        execution.cuid not in [row["cuid"] for row in others],
        unassigned().filter(execution=execution).exists(),
    }
    assert len(found) == 1
    return found == {True}


def start_unassigned() -> Execution:
    """Start an execution that waits at a form for a group without members."""
    accounts(groups=["empty"])
    return start_with_assignees(groups=["empty"])
