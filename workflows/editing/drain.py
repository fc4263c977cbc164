"""Changes on hold: put on hold, withdrawn, and applied when the last blocker has ended.

A change is applied in its own transaction, exactly once: its row is locked, and it is judged again
under the locks of an editor. Every transaction that ends executions triggers it after its commit
(``try_waiting_changes``). ``run_due`` applies the changes that this misses, because a process was
killed or an execution ended in the moment in which the change was put on hold.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from workflows import guards
from workflows.audit.log import Action, record, recording_refusals
from workflows.db import locks
from workflows.db.prepared import Statement
from workflows.editing.context_change import (
    ContextChange,
    change_together,
    lock_for_edit,
    read_workflows,
)
from workflows.guards.database_errors import find_refusal, translate_database_errors
from workflows.models import Context, PendingChange, PendingWorkflow, Workflow
from workflows.models.types import CONTEXT_FIELDS
from workflows.refusals import Attempt, Refusal

logger = logging.getLogger(__name__)

WAITING = "SELECT 1 FROM workflows_pendingchange WHERE state = 'waiting'"
"""A query that returns a row if any change is on hold."""

_WAITS = Statement(f"{WAITING} LIMIT 1")


@translate_database_errors
@locks.retrying
def put_on_hold(
    ids: list[int],
    context: Context,
    *,
    by: Any,
    why: str,
    check: Callable[[ContextChange], None],
) -> PendingChange:
    """Put a change of context on hold: no new root execution starts on these workflows.

    Starts that are in progress are waited for.

    Args:
        ids: the workflows, sorted.
        context: their new context.
        by: the user who asks for the change.
        why: the reason.
        check: an additional rule; it is asked before the guard, and again under the locks.

    Raises:
        guards.Refusal: what ``ContextChange.judge_hold`` and ``check`` raise.
    """

    def judge() -> list[Workflow]:
        workflows = read_workflows(ids)
        change = ContextChange(workflows, context)
        check(change)
        change.judge_hold()
        return workflows

    with transaction.atomic():
        judge()
        lock_for_edit(ids)
        workflows = judge()
        # A start that has read these rows before then fails to lock them, and reads again.
        locks.outdate(Workflow._base_manager.filter(pk__in=ids), "updated_at")
        pending = PendingChange.objects.create(
            entity_name=context.entity_name,
            entity_name_type_id=context.entity_name_type_id,
            primary_record_type_id=context.primary_record_type_id,
            asked_by=by,
            why=why,
        )
        PendingWorkflow.objects.bulk_create(
            PendingWorkflow(change=pending, workflow=row, cuid=row.cuid, title=row.title)
            for row in workflows
        )
        record([_attempt(pending, Action.PUT_ON_HOLD, by=by)])
        # The last blocker may have ended before the change was on hold.
        transaction.on_commit(lambda: _try_to_apply(pending.pk), robust=True)
    return pending


def withdraw(pending: PendingChange, *, by: Any = None) -> None:
    """Withdraw a change on hold, or remove one that could not be applied.

    Raises:
        guards.NotOnHold: it has been applied.
        guards.RowDeleted: it has been withdrawn already.
    """
    with recording_refusals(lambda: [_attempt(pending, Action.WITHDRAWN, by=by)]):
        _withdraw(pending, by)


@translate_database_errors
@locks.retrying
def _withdraw(pending: PendingChange, by: Any) -> None:
    with transaction.atomic():
        locks.limit_wait()
        row = PendingChange.objects.select_for_update().filter(pk=pending.pk).first()
        if row is None:
            raise guards.RowDeleted(
                gettext("The change {cuid} has been withdrawn already.").format(cuid=pending.cuid)
            )
        if row.state == PendingChange.State.APPLIED:
            raise guards.NotOnHold(
                gettext("The change {cuid} has been applied already.").format(cuid=row.cuid)
            )
        attempt = _attempt(row, Action.WITHDRAWN, by=by)
        row.delete()
        record([attempt])


def try_waiting_changes(context_keys: Iterable[str]) -> None:
    """Try to apply the changes that may have waited for executions of these contexts.

    Call it in the transaction that ends the executions; the changes are tried after its commit.
    """
    keys = sorted(set(context_keys))
    if keys:
        transaction.on_commit(lambda: _apply_waiting_for(keys), robust=True)


def _apply_waiting_for(keys: list[str]) -> None:
    # This runs after every end of an execution; most often no change is on hold.
    if not _WAITS.execute():
        return
    # The blockers of a change have the present context of its workflows.
    concerned = _waiting().filter(members__workflow__context_key__in=keys).distinct()
    for pk in concerned.values_list("pk", flat=True):
        _try_to_apply(pk)


def _try_to_apply(pk: int) -> PendingChange | None:
    try:
        return apply_drained(pk)
    except (locks.Contention, DatabaseError):
        logger.warning("The change on hold %s is left to run_due.", pk, exc_info=True)
        return None


def find_drained_changes() -> list[PendingChange]:
    """Return the changes on hold that nothing blocks any more."""
    return [pending for pending in _waiting() if not _is_blocked(pending)]


def apply_all_drained() -> list[PendingChange]:
    """Apply every change on hold that nothing blocks any more.

    Returns:
        The changes that were applied, and those that cannot be applied.
    """
    settled = (_try_to_apply(pk) for pk in _waiting().values_list("pk", flat=True))
    return [pending for pending in settled if pending is not None]


def apply_drained(pk: int) -> PendingChange | None:
    """Apply a change on hold, unless live executions still block it.

    A change that is refused for another reason stays stored with that reason, and no longer keeps
    executions from starting.

    Returns:
        The change; None if it is still blocked, or no longer on hold.
    """
    pending = _waiting().filter(pk=pk).first()
    if pending is None or _is_blocked(pending):
        return None
    return _apply(pk)


def _waiting() -> QuerySet[PendingChange]:
    return PendingChange.objects.filter(state=PendingChange.State.WAITING).order_by("pk")


def _is_blocked(pending: PendingChange) -> bool:
    # Without locks, because this runs after every end of an execution that may have blocked it.
    rows = [member.workflow for member in pending.members.select_related("workflow")]
    return ContextChange([row for row in rows if row], pending.context).is_blocked()


@locks.retrying
def _apply(pk: int) -> PendingChange | None:
    with transaction.atomic():
        locks.limit_wait()
        # Not SKIP LOCKED: the transaction that holds the lock may have judged before the last
        # blocker ended.
        pending = _waiting().select_for_update(of=("self",)).filter(pk=pk).first()
        if pending is None:
            return None
        try:
            with transaction.atomic():
                _change(pending)
        except (guards.ActiveExecutions, guards.DependentActiveExecutions):
            return None
        except Refusal as refusal:
            _settle(pending, refusal)
        except DatabaseError as error:
            refused = None if locks.is_transient(error) else find_refusal(error)
            if refused is None:
                raise
            _settle(pending, refused)
        else:
            _settle(pending)
        return pending


def _change(pending: PendingChange) -> None:
    ids = [member.workflow_id for member in pending.members.all()]
    if None in ids:
        raise guards.RowDeleted(gettext("One of the workflows has been deleted."))
    change_together(
        [pk for pk in ids if pk is not None],
        pending.described_context(),
        by=pending.asked_by,
        why=pending.why,
    )


def _settle(pending: PendingChange, refusal: Refusal | None = None) -> None:
    state = PendingChange.State.APPLIED if refusal is None else PendingChange.State.NOT_APPLIED
    pending.state = state
    pending.settled_at = timezone.now()
    pending.code = "" if refusal is None else refusal.code
    pending.reason = "" if refusal is None else str(refusal.message)
    pending.save()
    pending.members.update(waiting=False)
    action = Action.APPLIED if refusal is None else Action.NOT_APPLIED
    record([_attempt(pending, action, by=pending.asked_by)])


def _attempt(pending: PendingChange, action: str, *, by: Any = None) -> Attempt:
    described = pending.described_context().described
    return Attempt(
        action,
        kind="pending change",
        cuid=pending.cuid,
        title=str(pending)[:200],
        after={
            "workflows": [row.cuid for row in pending.members.all()],
            **dict(zip(CONTEXT_FIELDS, described, strict=True)),
        },
        why=pending.why,
        by=by,
    )
