"""The rules for entities: their type, their deletion and their fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError

from executions.guards.refusals import EntityInUse, InvalidFields
from executions.guards.stored_rows import field_names, stored_row
from workflows.db.json_values import find_unstorable
from workflows.guards import blocking_executions, refuse_context_shape
from workflows.refusals import Blockers, Problem, Remedy

CONTEXT_ATTRIBUTES = ("entity_name", "entity_name_type_id", "primary_record_type_id")


def changes_context(entity: Any, update_fields: Iterable[str] | None = None) -> bool:
    """Return True if saving the entity would change its context."""
    stored = stored_row(entity)
    if stored is None:
        return False
    written = None if update_fields is None else set(update_fields)
    return any(
        getattr(entity, name) != getattr(stored, name)
        for name in CONTEXT_ATTRIBUTES
        if written is None or {name, name.removesuffix("_id")} & written
    )


def refuse_entity_edit(entity: Any, update_fields: Iterable[str] | None = None) -> None:
    """Raise ``EntityInUse`` if the context of an entity with live executions would change."""
    if changes_context(entity, update_fields):
        refuse_context_shape(entity)
        _refuse_live_executions(entity, EntityInUse.edit_message)


def explain_entity_edit(entity: Any) -> None:
    """Raise the refusal of ``refuse_entity_edit`` as an error of the form field of the type."""
    try:
        refuse_entity_edit(entity)
    except EntityInUse as refusal:
        field = "entity_name_type" if entity.entity_name == "Finding" else "primary_record_type"
        raise ValidationError({field: refusal}) from None


def refuse_entities_edit(names: Iterable[str], live_executions: Any) -> None:
    """Raise ``EntityInUse`` if a bulk statement would change the type of entities in use.

    Args:
        names: the fields that the statement writes.
        live_executions: the live executions of the entities.
    """
    if not field_names(CONTEXT_ATTRIBUTES) & field_names(names):
        return
    rows, total = blocking_executions(live_executions)
    if rows:
        raise EntityInUse(
            EntityInUse.bulk_edit_message.format(count=total),
            blockers=Blockers(rows, (), total),
        )


def refuse_entity_deletion(entity: Any) -> None:
    """Raise ``EntityInUse`` if the entity has an execution, live or ended."""
    _refuse_live_executions(entity, EntityInUse.live_deletion_message)
    rows, total = blocking_executions(entity.executions.all())
    if rows:
        raise EntityInUse(
            EntityInUse.deletion_message.format(entity=entity, count=total),
            blockers=Blockers(rows, (), total),
        )


def _refuse_live_executions(entity: Any, message: Any) -> None:
    rows, total = blocking_executions(entity.executions.live())
    if rows:
        raise EntityInUse(
            message.format(entity=entity, count=total),
            blockers=Blockers(rows, (), total),
            remedies=[
                Remedy(
                    "finish_or_cancel",
                    EntityInUse.remedy.format(count=total),
                    sorted({row.workflow_cuid for row in rows}),
                )
            ],
        )


def refuse_fields(entity: Any) -> None:
    """Raise ``InvalidFields`` if the fields are no object, or a database cannot store them."""
    if not isinstance(entity.fields, dict):
        raise InvalidFields(problems=[Problem("/fields", InvalidFields.code, "Not an object.")])
    before = entity.read_fields
    # Older rows may contain inexact numbers: unchanged values are accepted.
    changed = {
        name: value
        for name, value in entity.fields.items()
        if name not in before or repr(before[name]) != repr(value)
    }
    problems = [
        Problem(f"/fields{pointer}", InvalidFields.code, detail)
        for pointer, detail in find_unstorable(changed)
    ]
    if problems:
        raise InvalidFields(problems[0].detail, problems=problems)
