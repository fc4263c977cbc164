"""Giving workflows another entity context together, now or when what runs has ended."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

from django.db import transaction

from workflows import guards
from workflows.audit.log import attempting
from workflows.db import locks
from workflows.editing.context_edit import ContextChange, change_together, workflows_of
from workflows.editing.drain import judge_hold, put_on_hold
from workflows.editing.impact_token import refuse_stale
from workflows.guards.database_errors import translated
from workflows.models import (
    Context,
    EntityName,
    FindingType,
    PendingChange,
    RecordType,
    Version,
    Workflow,
)
from workflows.models.creation_trigger import explaining_taken

DB = "default"
When = Literal["now", "drained"]


@dataclass(frozen=True, slots=True)
class ContextChanged:
    """What came of a change of entity context: the workflows, the versions it gave them, or
    the change on hold.
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
    """The context that these describe. Raises ``guards.ContextShape`` when they do not agree."""
    if entity_name is None:
        entity_name = EntityName.INVENTORY_MODEL if primary_record_type else EntityName.FINDING
    kind = entity_name_type if entity_name == EntityName.FINDING else primary_record_type
    context = Context(
        entity_name,
        entity_name_type.pk if entity_name_type else None,
        primary_record_type.pk if primary_record_type else None,
        kind.cuid if kind else "",
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
) -> ContextChanged:
    """Give these workflows another entity context together: judged as a whole, all or nothing.

    Args:
        when: ``drained`` puts the change on hold where live executions stand in its way; no
            new root starts then, and it is made right after the last of them has ended.
        token: what an impact answered; the change is refused when what it saw has changed.

    Raises:
        guards.ActiveExecutions, guards.DependentActiveExecutions,
        guards.IncompatibleEntityTypes: what it would strand or break, with the blockers and
            the smallest group that could change together.
        guards.TriggerTaken: two workflows would start when an entity of that type is created.
        guards.StaleToken: what has changed since the token was given.
        guards.Draining: another change of one of the workflows is on hold.
    """
    context = resolve_context(
        entity_name_type=entity_name_type,
        entity_name=entity_name,
        primary_record_type=primary_record_type,
    )
    rows = list(workflows)
    ids = sorted({row.pk for row in rows})

    def attempts() -> list[Any]:
        return ContextChange(rows, context, DB).changes(by=by, why=why)

    with nullcontext() if dry_run else attempting(attempts, using=DB):
        if dry_run:
            return _judge(ids, context, when, token)
        try:
            return _change_now(ids, context, by, why, token)
        except (guards.ActiveExecutions, guards.DependentActiveExecutions):
            if when == "now":
                raise
        pending = put_on_hold(ids, context, by=by, why=why, token=token)
        return ContextChanged(workflows_of(ids, DB), [], pending, on_hold=True)


def _judge(ids: list[int], context: Context, when: When, token: str | None) -> ContextChanged:
    change = ContextChange(workflows_of(ids, DB), context, DB)
    if token is not None:
        refuse_stale(token, ids, change)
    try:
        change.judge()
    except (guards.ActiveExecutions, guards.DependentActiveExecutions):
        if when == "now":
            raise
        judge_hold(ids, change)
        return ContextChanged(workflows_of(ids, DB), [], on_hold=True)
    return ContextChanged(workflows_of(ids, DB), [])


@translated
@locks.retrying
def _change_now(
    ids: list[int], context: Context, by: Any, why: str, token: str | None
) -> ContextChanged:
    def check(change: ContextChange) -> None:
        if token is not None:
            refuse_stale(token, ids, change)

    def judge() -> None:
        ContextChange(workflows_of(ids, DB), context, DB).judge()

    with explaining_taken(judge), transaction.atomic():
        versions = change_together(ids, context, DB, by=by, why=why, check=check)
        return ContextChanged(workflows_of(ids, DB), versions)
