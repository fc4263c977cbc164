"""The records that ``include`` adds to the rows of a list of executions.

Each kind takes the same number of statements for any number of rows, and shows what the user may
read directly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from executions.api.execution_rows import read_open_steps
from executions.models import Entity, Execution, may_view_entity
from workflows.api.workflow_serializers import WorkflowSerializer
from workflows.api.workflows import represented_workflows
from workflows.db.json_values import quoted
from workflows.models import Workflow
from workflows.visibility import may_view

NAME = "include"
Included = dict[int, Any]
"""The included records by the id of the execution."""


def _read_entities(rows: Sequence[Execution], context: dict[str, Any]) -> Included:
    found = Entity.objects.in_bulk({row.entity_id for row in rows})
    user = context["request"].user
    return {
        row.pk: {
            "cuid": entity.cuid,
            "title": entity.title,
            "entity_name": entity.entity_name,
            "fields": entity.fields if may_view_entity(user, entity.entity_name) else None,
        }
        for row in rows
        if (entity := found.get(row.entity_id)) is not None
    }


def _read_workflows(rows: Sequence[Execution], context: dict[str, Any]) -> Included:
    if not may_view(context["request"].user, Workflow):
        return {}
    found = represented_workflows().in_bulk({row.workflow_id for row in rows})
    data = {key: WorkflowSerializer(row, context=context).data for key, row in found.items()}
    return {row.pk: data.get(row.workflow_id) for row in rows}


def _read_open_steps(rows: Sequence[Execution], context: dict[str, Any]) -> Included:
    return read_open_steps([row.pk for row in rows], context["request"].user)


_READERS: dict[str, Callable[[Sequence[Execution], dict[str, Any]], Included]] = {
    "entity": _read_entities,
    "workflow": _read_workflows,
    "open_steps": _read_open_steps,
}
INCLUDE = OpenApiParameter(
    NAME,
    {"type": "array", "items": {"type": "string", "enum": list(_READERS)}},
    description="Records to return with each row as `included`, separated by commas or repeated.",
)


def parse_include(request: Request) -> list[str]:
    """Return the names of the records to include.

    Raises:
        ValidationError: a name is unknown or empty.
    """
    texts = request.query_params.getlist(NAME)
    names = [name.strip() for text in texts for name in text.split(",")]
    if wrong := [name for name in names if name not in _READERS]:
        detail = _("Cannot include %(name)s. Allowed: %(known)s.")
        text = detail % {"name": quoted(wrong[0]), "known": ", ".join(_READERS)}
        raise ValidationError({NAME: [ErrorDetail(text, "invalid_choice")]})
    return names


class IncludingListSerializer(serializers.ListSerializer[Any]):
    """A list of executions that reads the included records of all rows at once."""

    def to_representation(self, data: Any) -> Any:
        """Return the rows."""
        names = getattr(self.context.get("view"), "included_names", None)
        child: Any = self.child
        child.found = None
        if names:
            rows = list(data)
            found = {name: _READERS[name](rows, self.context) for name in names}
            child.found = {
                row.pk: {name: found.get(name, {}).get(row.pk) for name in _READERS} for row in rows
            }
        return super().to_representation(data)
