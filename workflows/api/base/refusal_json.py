"""Refusals as JSON: problems, blockers with their URLs, and remedies."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.reverse import reverse

from workflows import running
from workflows.refusals import BlockingWorkflow, Problem, Refusal
from workflows.visibility import may_view

_SCHEMAS = "#/components/schemas"


@extend_schema_field({"type": "array", "items": {"$ref": f"{_SCHEMAS}/ProblemError"}})
class ErrorsField(serializers.JSONField):
    """A list of problems; see ``serialize_problem``."""


@extend_schema_field({"$ref": f"{_SCHEMAS}/Blockers"})
class BlockersField(serializers.JSONField):
    """The blockers; see ``serialize_blockers``."""


@extend_schema_field({"type": "array", "items": {"$ref": f"{_SCHEMAS}/Remedy"}})
class RemediesField(serializers.JSONField):
    """The remedies; see ``serialize_remedies``."""


@extend_schema_field({"$ref": f"{_SCHEMAS}/Problem"})
class ProblemField(serializers.JSONField):
    """A problem response (RFC 9457)."""


def build_url(name: str, cuid: str, request: Request | None) -> str:
    """Return the URL of a record."""
    return str(reverse(f"api:{name}-detail", args=[cuid], request=request))


def serialize_problem(problem: Problem) -> dict[str, str]:
    """Return a problem as JSON."""
    return {"pointer": problem.pointer, "code": problem.code, "detail": problem.detail}


def serialize_workflow(workflow: BlockingWorkflow, request: Request | None) -> dict[str, str]:
    """Return the cuid, title and URL of a workflow."""
    url = build_url("workflow", workflow.cuid, request)
    return {"cuid": workflow.cuid, "title": workflow.title, "url": url}


def serialize_blockers(refusal: Refusal | None, request: Request | None) -> dict[str, Any]:
    """Return blockers as JSON; executions only for users who may view them.

    ``total`` counts all blockers.
    """
    if refusal is None:
        return {"executions": [], "workflows": [], "total": 0}
    user = getattr(request, "user", None)
    can_view = user is not None and may_view(user, running.registered.execution_model)
    return {
        "executions": [
            {
                "cuid": row.cuid,
                "status": row.status,
                "workflow": row.workflow_cuid,
                "url": build_url("execution", row.cuid, request),
            }
            for row in (refusal.blockers.executions if can_view else ())
        ],
        "workflows": [serialize_workflow(row, request) for row in refusal.blockers.workflows],
        "total": refusal.blockers.total,
    }


def serialize_remedies(refusal: Refusal | None) -> list[dict[str, Any]]:
    """Return remedies as JSON."""
    return [
        {"code": row.code, "detail": row.detail, "workflows": list(row.workflows)}
        for row in (refusal.remedies if refusal is not None else ())
    ]
