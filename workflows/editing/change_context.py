"""Changing the entity context of workflows together, now or when they are drained."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from django.db import transaction

from workflows import guards
from workflows.audit.log import recording_refusals
from workflows.db import locks
from workflows.editing.context_change import ContextChange, change_together, read_workflows
from workflows.editing.creation_trigger import explain_taken_trigger
from workflows.editing.drain import put_on_hold
from workflows.editing.impacts import refuse_stale_token
from workflows.guards.database_errors import translate_database_errors
from workflows.models import (
    Context,
    EntityName,
    FindingType,
    PendingChange,
    RecordType,
    Version,
    Workflow,
)

When = Literal["now", "drained"]


@dataclass(frozen=True, slots=True)
class ContextChangeResult:
    """The workflows, and their new versions or the change that was put on hold.

    ``pending`` is None in a dry run.
    """

    workflows: list[Workflow]
    versions: list[Version]
    pending: PendingChange | None = None
    on_hold: bool = False


def resolve_context(
    *,
    entity_name_type: FindingType | None = None,
    entity_name: str | None = None,
    primary_record_type: RecordType | None = None,
) -> Context:
    """Return the entity context. Raise ``guards.ContextShape`` if the arguments do not match."""
    if entity_name is None:
        entity_name = EntityName.INVENTORY_MODEL if primary_record_type else EntityName.FINDING
    own_type = entity_name_type if entity_name == EntityName.FINDING else primary_record_type
    context = Context(
        entity_name,
        entity_name_type.pk if entity_name_type else None,
        primary_record_type.pk if primary_record_type else None,
        own_type.cuid if own_type else "",
    )
    guards.refuse_context_shape(context)
    return context


def change_entity_context(
    workflows: Iterable[Workflow],
    *,
    entity_name_type: FindingType | None = None,
    entity_name: str | None = None,
    primary_record_type: RecordType | None = None,
    by: Any = None,
    why: str = "",
    when: When = "now",
    dry_run: bool = False,
    token: str | None = None,
) -> ContextChangeResult:
    """Give these workflows another entity context, all or none.

    Args:
        workflows: the workflows that change together; they are judged as a whole.
        entity_name_type: the new finding type.
        entity_name: ``Finding`` or ``InventoryModel``; by default it follows from the type.
        primary_record_type: the new record type.
        by: the user who changes them.
        why: the reason, for the audit log and the notes of the new versions.
        when: ``drained`` puts the change on hold if live executions block it. No new root
            execution starts then, and the change is applied right after the last blocker ended.
        dry_run: judge only.
        token: the token of an impact; the change is refused if it is stale.

    Raises:
        guards.ActiveExecutions, guards.DependentActiveExecutions,
        guards.IncompatibleEntityTypes: the change would strand or break something; with the
            blockers and the smallest group that can change together.
        guards.TriggerTaken: two workflows would start when an entity of that type is created.
        guards.StaleToken: something has changed since the token was issued.
        guards.Draining: another change of one of the workflows is on hold.
    """
    context = resolve_context(
        entity_name_type=entity_name_type,
        entity_name=entity_name,
        primary_record_type=primary_record_type,
    )
    rows = list(workflows)
    ids = sorted({row.pk for row in rows})

    def check(change: ContextChange) -> None:
        if token is not None:
            refuse_stale_token(token, change)

    if dry_run:
        return _try(ids, context, when, check)
    with recording_refusals(lambda: ContextChange(rows, context).attempts(by=by, why=why)):
        try:
            return _change_now(ids, context, by, why, check)
        except (guards.ActiveExecutions, guards.DependentActiveExecutions):
            if when == "now":
                raise
        pending = put_on_hold(ids, context, by=by, why=why, check=check)
        return ContextChangeResult(read_workflows(ids), [], pending, on_hold=True)


def _try(
    ids: list[int], context: Context, when: When, check: Callable[[ContextChange], None]
) -> ContextChangeResult:
    change = ContextChange(read_workflows(ids), context)
    check(change)
    try:
        change.judge()
    except (guards.ActiveExecutions, guards.DependentActiveExecutions):
        if when == "now":
            raise
        change.judge_hold()
        return ContextChangeResult(read_workflows(ids), [], on_hold=True)
    return ContextChangeResult(read_workflows(ids), [])


@translate_database_errors
@locks.retrying
def _change_now(
    ids: list[int], context: Context, by: Any, why: str, check: Callable[[ContextChange], None]
) -> ContextChangeResult:
    def judge() -> None:
        ContextChange(read_workflows(ids), context).judge()

    with explain_taken_trigger(judge), transaction.atomic():
        versions = change_together(ids, context, by=by, why=why, check=check)
        # Under the locks: the change is made, so nothing may be refused after the commit.
        return ContextChangeResult(read_workflows(ids), versions)
