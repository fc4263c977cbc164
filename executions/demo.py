"""The demo data: two workflows, their findings, and an account for each role."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.db import transaction

from executions.models import Entity, Finding
from workflows import editing
from workflows.models import FindingType, RecordType, Workflow

LIMITATION = "Model Limitation"
EXCEPTION = "Policy Exception"
CALLEE = "Model Limitation Artifact Workflow 1"
CALLER = "Policy Exception Artifact Workflow 1"
FINDING = "Stress test omits the 2008 scenario"
WAITING_FINDING = "Backtest covers one year only"
ROLES = ("viewer", "participant", "designer", "administrator")
"""The roles with an account of their own; the superuser ``operator`` has every permission."""


@dataclass(frozen=True, slots=True)
class Demo:
    """The objects of the scenario.

    ``finding`` is the one that the scenario is played on, ``waiting_finding`` the one on which an
    execution is left waiting.
    """

    limitation: FindingType
    exception: FindingType
    callee: Workflow
    caller: Workflow
    finding: Finding
    waiting_finding: Finding


def callee_source() -> dict[str, Any]:
    """Return the graph of workflow 3, which marks the finding as assessed."""
    return {
        "nodes": [
            _node("start", "start", label="Start"),
            _node("assess", "set_field", label="Mark as assessed", values={"assessed": True}),
            _node("end", "end", label="End"),
        ],
        "edges": [_edge("start", "assess"), _edge("assess", "end")],
    }


def caller_source(callee: Workflow) -> dict[str, Any]:
    """Return the graph of workflow 4, which asks for a review and then calls workflow 3."""
    review = {
        "label": "Review",
        "title": "Review the exception",
        "button_label": "Submit review",
        "fields": [
            {"name": "comment", "label": "Comment", "type": "long_text", "required": True},
            {
                "name": "severity",
                "label": "Severity",
                "type": "choice",
                "choices": ["low", "medium", "high"],
                "required": True,
            },
        ],
    }
    return {
        "nodes": [
            _node("start", "start", label="Start"),
            _node("review", "user_action", **review),
            _node("limitation", "run_workflow", label="Assess", workflow=callee.cuid),
            _node("end", "end", label="End"),
        ],
        "edges": [
            _edge("start", "review"),
            _edge("review", "limitation"),
            _edge("limitation", "end"),
        ],
    }


def _node(node_id: str, node_type: str, **data: Any) -> dict[str, Any]:
    return {"id": node_id, "type": node_type, "data": data}


def _edge(source: str, target: str) -> dict[str, str]:
    return {"id": f"{source}-{target}", "source": source, "target": target}


def exists() -> bool:
    """Return whether the workflows of the scenario are there."""
    return Workflow.objects.filter(title__in=[CALLER, CALLEE]).count() >= 2


def other_data() -> list[str]:
    """Return the numbers of rows that are not demo data, such as ``["3 workflows"]``."""
    counts = {
        "finding types": FindingType.objects.exclude(name__in=[LIMITATION, EXCEPTION]).count(),
        "record types": RecordType.objects.count(),
        "workflows": Workflow.objects.exclude(title__in=[CALLER, CALLEE]).count(),
        "entities": Entity.objects.exclude(title__in=[FINDING, WAITING_FINDING]).count(),
    }
    return [f"{number} {name}" for name, number in counts.items() if number]


@transaction.atomic
def make() -> tuple[Demo, list[str]]:
    """Create what is missing of the scenario.

    Returns:
        The scenario, and the names of the objects that were created.
    """
    made: list[str] = []
    limitation, new = FindingType.objects.get_or_create(name=LIMITATION)
    made += [LIMITATION] * new
    exception, new = FindingType.objects.get_or_create(name=EXCEPTION)
    made += [EXCEPTION] * new
    callee = _workflow(CALLEE, limitation, callee_source(), made)
    caller = _workflow(CALLER, limitation, caller_source(callee), made)
    findings = [_finding(title, limitation, made) for title in (FINDING, WAITING_FINDING)]
    return Demo(limitation, exception, callee, caller, *findings), made


def _workflow(
    title: str, finding_type: FindingType, source: dict[str, Any], made: list[str]
) -> Workflow:
    workflow = Workflow.objects.filter(title=title).order_by("pk").first()
    if workflow is None:
        workflow = Workflow.objects.create(
            title=title, entity_name_type=finding_type, state=Workflow.State.ACTIVE
        )
        editing.save_graph(workflow, source, based_on=1, notes="Demo data")
        made.append(title)
    return workflow


def _finding(title: str, finding_type: FindingType, made: list[str]) -> Finding:
    finding: Finding | None = Finding.objects.filter(title=title).order_by("pk").first()
    if finding is None:
        finding = Finding.objects.create(title=title, entity_name_type=finding_type)
        made.append(title)
    return finding


@transaction.atomic
def make_role_accounts(password: str, roles: Iterable[str] = ROLES) -> list[str]:
    """Create an account named after each role, unless an account has the name.

    Returns:
        The names of the accounts that were created.
    """
    users = get_user_model()._default_manager
    taken = set(users.filter(username__in=roles).values_list("username", flat=True))
    hashed = make_password(password)
    made = []
    for group in Group.objects.filter(name__in=set(roles) - taken).order_by("pk"):
        user = users.create(username=group.name, password=hashed, is_staff=True)
        user.groups.add(group)
        made.append(group.name)
    return made
