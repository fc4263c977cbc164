"""What a refusal knows, as JSON: what stands in the way, with its address, and what helps."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.reverse import reverse

from workflows.models import Workflow
from workflows.refusals import BlockingWorkflow, Problem, Refusal
from workflows.visibility import may_view

_SCHEMAS = "#/components/schemas"


@extend_schema_field({"type": "array", "items": {"$ref": f"{_SCHEMAS}/Error"}})
class ErrorsField(serializers.JSONField):
    """What is wrong, as ``problem_data`` tells each of it."""


@extend_schema_field({"$ref": f"{_SCHEMAS}/Blockers"})
class BlockersField(serializers.JSONField):
    """What stands in the way, as ``blockers_data`` tells it."""


@extend_schema_field({"type": "array", "items": {"$ref": f"{_SCHEMAS}/Remedy"}})
class RemediesField(serializers.JSONField):
    """What helps, as ``remedies_data`` tells it."""


@extend_schema_field({"$ref": f"{_SCHEMAS}/Problem"})
class ProblemField(serializers.JSONField):
    """A whole problem."""


def url_of(name: str, cuid: str, request: Request | None) -> str:
    """The address of a record."""
    return str(reverse(f"api:{name}-detail", args=[cuid], request=request))


def problem_data(problem: Problem) -> dict[str, str]:
    """One thing that is wrong."""
    return {"pointer": problem.pointer, "code": problem.code, "detail": problem.detail}


def workflow_data(workflow: BlockingWorkflow, request: Request | None) -> dict[str, str]:
    """A workflow by its name."""
    url = url_of("workflow", workflow.cuid, request)
    return {"cuid": workflow.cuid, "title": workflow.title, "url": url}


def _execution_model() -> Any:
    return Workflow._meta.get_field("executions").related_model


def blockers_data(refusal: Refusal | None, request: Request | None) -> dict[str, Any]:
    """What stands in the way, executions to those alone who may read them; ``total`` has all."""
    if refusal is None:
        return {"executions": [], "workflows": [], "total": 0}
    user = getattr(request, "user", None)
    is_shown = user is not None and may_view(user, _execution_model())
    return {
        "executions": [
            {
                "cuid": row.cuid,
                "status": row.status,
                "workflow": row.workflow_cuid,
                "url": url_of("execution", row.cuid, request),
            }
            for row in (refusal.blockers.executions if is_shown else ())
        ],
        "workflows": [workflow_data(row, request) for row in refusal.blockers.workflows],
        "total": refusal.blockers.total,
    }


def remedies_data(refusal: Refusal | None) -> list[dict[str, Any]]:
    """What helps."""
    return [
        {"code": row.code, "detail": row.detail, "workflows": list(row.workflows)}
        for row in (refusal.remedies if refusal is not None else ())
    ]
