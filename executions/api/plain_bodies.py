"""The bodies of starts and submits, read without a serializer.

A serializer copies all its fields for each request, which takes longer than checking the few values
of these bodies. The functions here only recognize plain bodies. Every other body is read by its
serializer, which alone defines what is refused, and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from executions.api.execution_serializers import StartSerializer, SubmitSerializer
from workflows.db.json_values import storage_problem
from workflows.db.prepared import Statement
from workflows.db.raw_rows import Columns


def read_start(data: Any) -> dict[str, Any]:
    """Return the validated body of a start.

    Raises:
        ValidationError: the serializer refuses the body.
    """
    return recognize_start(data) or read_validated(StartSerializer, data)


def read_submit(data: Any) -> dict[str, Any]:
    """Return the validated body of a submit.

    Raises:
        ValidationError: the serializer refuses the body.
    """
    return recognize_submit(data) or read_validated(SubmitSerializer, data)


def read_validated(serializer: Any, data: Any) -> dict[str, Any]:
    """Return a body as its serializer validates it. Raise ``ValidationError`` if it refuses it."""
    body = serializer(data=data)
    body.is_valid(raise_exception=True)
    values: dict[str, Any] = body.validated_data
    return values


def recognize_start(data: Any) -> dict[str, Any] | None:
    """Return the values of a plain body that starts an execution now; None for another body."""
    if not _is_plain(data, {"workflow", "entity"}, {"scheduled_for", "dry_run"}):
        return None
    workflow, entity = data["workflow"], data["entity"]
    names = isinstance(workflow, str) and isinstance(entity, str)
    if not names or storage_problem(workflow) or storage_problem(entity):
        return None
    if data.get("scheduled_for") is not None:
        return None
    workflows, entities, statement = _start_rows()
    [row] = statement.execute([workflow, entity])
    of_workflow, of_entity = row[: len(workflows)], row[len(workflows) :]
    # The first column is the id.
    if of_workflow[0] is None or of_entity[0] is None:
        return None
    return {
        "workflow": workflows.build(of_workflow),
        "entity": entities.build(of_entity),
        "scheduled_for": None,
        "variables": {},
    }


def recognize_submit(data: Any) -> dict[str, Any] | None:
    """Return the values of a plain body that submits a form; None for another body."""
    if not _is_plain(data, {"data"}, {"node", "step", "action", "dry_run"}):
        return None
    named = {name: data[name] for name in ("node", "step", "action") if name in data}
    if not named.keys() & {"node", "step"} or not all(map(_is_plain_text, named.values())):
        return None
    return {**named, "data": data["data"]}


def _is_plain(data: Any, required: set[str], optional: set[str]) -> bool:
    """Return True if a body has the required names, perhaps optional ones, and no others."""
    return (
        isinstance(data, Mapping)
        and required <= data.keys() <= required | optional
        and isinstance(data.get("dry_run", False), bool)
    )


def _is_plain_text(value: Any) -> bool:
    """Return True for a text that a ``StrictCharField`` takes as it is."""
    return (
        isinstance(value, str)
        and value != ""
        and value == value.strip()
        and storage_problem(value) is None
    )


@cache
def _start_rows() -> tuple[Columns, Columns, Statement]:
    """Return the statement that reads the workflow and the entity of a start, each by its cuid."""
    fields: Any = StartSerializer().fields
    workflows, entities = (
        Columns(fields[name].queryset.model, ("id", *fields[name].only))
        for name in ("workflow", "entity")
    )
    sql = (
        f"SELECT {workflows.select_list('w')}, {entities.select_list('e')} FROM (SELECT 1) one"
        f" LEFT JOIN {workflows.model._meta.db_table} w ON w.cuid = $1"
        f" LEFT JOIN {entities.model._meta.db_table} e ON e.cuid = $2"
    )
    return workflows, entities, Statement(sql, ("text", "text"))
