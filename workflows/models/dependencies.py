"""Who calls a workflow and whom it calls, as operators and programs are shown it."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q, QuerySet

from workflows.models import call_queries
from workflows.models.version import Reference
from workflows.models.workflow import Workflow


def dependencies(workflow: Workflow) -> dict[str, list[dict[str, Any]]]:
    """See ``Workflow.get_workflow_dependencies()``."""
    using = workflow._state.db or "default"
    in_force = Reference._base_manager.using(using).filter(in_force=True)
    return {
        "dependent_workflows": _described(
            call_queries.walk([workflow.pk], "callers", using, in_use=True),
            workflow,
            in_force.filter(callee=workflow).values_list("version__workflow_id", flat=True),
            using,
        ),
        "referenced_workflows": _described(
            call_queries.walk([workflow.pk], "callees", using, in_use=True),
            workflow,
            in_force.filter(version__workflow=workflow).values_list("callee_id", flat=True),
            using,
        ),
    }


def _described(
    ids: list[int], workflow: Workflow, direct: QuerySet[Any, int], using: str
) -> list[dict[str, Any]]:
    directly = set(direct)
    rows = (
        Workflow._base_manager.using(using)
        .filter(pk__in=[pk for pk in ids if pk != workflow.pk])
        .annotate(live=Count("executions", filter=Q(executions__live=True)))
        .order_by("title", "pk")
    )
    return [
        {
            "cuid": row.cuid,
            "title": row.title,
            "direct": row.pk in directly,
            "live_executions": row.live,
        }
        for row in rows
    ]
