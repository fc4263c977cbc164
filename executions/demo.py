"""The scenario of the report as data: two finding types, workflows 3 and 4, a finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from executions.models import Entity, Finding
from workflows import services
from workflows.models import FindingType, RecordType, Workflow

LIMITATION = "Model Limitation"
EXCEPTION = "Policy Exception"
CALLEE = "Model Limitation Artifact Workflow 1"
CALLER = "Policy Exception Artifact Workflow 1"
FINDING = "Stress test omits the 2008 scenario"


@dataclass(frozen=True, slots=True)
class Demo:
    """What the scenario is played with."""

    limitation: FindingType
    exception: FindingType
    callee: Workflow
    caller: Workflow
    finding: Finding


def callee_source() -> dict[str, Any]:
    """Workflow 3: marks the finding as assessed."""
    return {
        "nodes": [
            _node("start", "start", 0, label="Start"),
            _node("assess", "set_field", 1, label="Mark as assessed", values={"assessed": True}),
            _node("end", "end", 2, label="End"),
        ],
        "edges": [_edge("start", "assess"), _edge("assess", "end")],
    }


def caller_source(callee: Workflow) -> dict[str, Any]:
    """Workflow 4: asks a person for a review, then calls workflow 3."""
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
            _node("start", "start", 0, label="Start"),
            _node("review", "user_action", 1, **review),
            _node("limitation", "run_workflow", 2, label="Assess", workflow=callee.cuid),
            _node("end", "end", 3, label="End"),
        ],
        "edges": [
            _edge("start", "review"),
            _edge("review", "limitation"),
            _edge("limitation", "end"),
        ],
    }


def _node(node_id: str, kind: str, row: int, **data: Any) -> dict[str, Any]:
    return {"id": node_id, "type": kind, "position": {"x": 0, "y": 140 * row}, "data": data}


def _edge(source: str, target: str) -> dict[str, str]:
    return {"id": f"{source}-{target}", "source": source, "target": target}


def other_data() -> list[str]:
    """What the database holds beside the scenario, e.g. ``["3 workflows"]``."""
    counts = {
        "finding types": FindingType.objects.exclude(name__in=[LIMITATION, EXCEPTION]).count(),
        "record types": RecordType.objects.count(),
        "workflows": Workflow.objects.exclude(title__in=[CALLER, CALLEE]).count(),
        "entities": Entity.objects.exclude(title=FINDING).count(),
    }
    return [f"{number} {name}" for name, number in counts.items() if number]


@transaction.atomic
def make() -> tuple[Demo, list[str]]:
    """The scenario, and the names of what had to be made for it."""
    made: list[str] = []
    limitation, new = FindingType.objects.get_or_create(name=LIMITATION)
    made += [LIMITATION] * new
    exception, new = FindingType.objects.get_or_create(name=EXCEPTION)
    made += [EXCEPTION] * new
    callee = _workflow(CALLEE, limitation, callee_source(), made)
    caller = _workflow(CALLER, limitation, caller_source(callee), made)
    finding = Finding.objects.filter(title=FINDING).order_by("pk").first()
    if finding is None:
        finding = Finding.objects.create(title=FINDING, entity_name_type=limitation)
        made.append(FINDING)
    return Demo(limitation, exception, callee, caller, finding), made


def _workflow(title: str, kind: FindingType, source: dict[str, Any], made: list[str]) -> Workflow:
    workflow = Workflow.objects.filter(title=title).order_by("pk").first()
    if workflow is None:
        workflow = Workflow.objects.create(
            title=title, entity_name_type=kind, state=Workflow.State.ACTIVE
        )
        services.save_graph(workflow, source, based_on=1, notes="The report's scenario")
        made.append(title)
    return workflow
