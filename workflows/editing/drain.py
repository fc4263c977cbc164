"""Changes on hold: asked for while executions run, made when the last of them has ended.

A change is claimed by its own row, judged again under the locks of an editor, and made in a
transaction of its own, exactly once. Whoever ends an execution asks, with the statement that ends
it or right after the commit, whether a change waited for it; ``run_due`` asks for what ended where
nobody could, or in the same moment in which the change was put on hold.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from django.db import DatabaseError, transaction
from django.utils import timezone

from workflows import guards
from workflows.audit.log import Action, attempting, record
from workflows.db import locks
from workflows.db.prepared import Statement
from workflows.editing.context_edit import (
    ContextChange,
    change_together,
    lock_for_edit,
    workflows_of,
)
from workflows.editing.impact_token import refuse_stale
from workflows.guards.database_errors import as_refusal, translated
from workflows.models import Context, PendingChange, PendingWorkflow, Workflow
from workflows.models.pending_change import draining
from workflows.refusals import Attempt, Refusal

logger = logging.getLogger(__name__)

DB = "default"


def judge_hold(ids: list[int], change: ContextChange) -> None:
    """Whether a change could wait until these workflows are drained.

    Raises:
        guards.IncompatibleEntityTypes: it could not be made even then.
        guards.Draining: another change of one of them is on hold.
    """
    guards.refuse_draining(list(draining(ids)))
    change.judge(drained=True)


@translated
@locks.retrying
def put_on_hold(
    ids: list[int], context: Context, *, by: Any, why: str, token: str | None
) -> PendingChange:
    """Let no new root start on these workflows until they can take this context.

    Starts that are under way are waited for. Raises what ``judge_hold`` raises.
    """

    def judge() -> list[Workflow]:
        workflows = workflows_of(ids, DB)
        change = ContextChange(workflows, context, DB)
        if token is not None:
            refuse_stale(token, ids, change)
        judge_hold(ids, change)
        return workflows

    with transaction.atomic():
        judge()
        lock_for_edit(ids, DB)
        workflows = judge()
        # A start that read before, and writes later, sees by them that it is to look again.
        locks.outdate(Workflow._base_manager.using(DB).filter(pk__in=ids), "updated_at")
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
        record([_told(pending, Action.PUT_ON_HOLD, by=by)], using=DB)
        # What it waits for may have ended while nothing waited for it yet.
        transaction.on_commit(lambda: _try(pending.pk), robust=True)
    return pending


def _told(pending: PendingChange, action: str, *, by: Any = None) -> Attempt:
    after = {
        "workflows": [row.cuid for row in pending.members.all()],
        **dict(
            zip(
                ("entity_name", "entity_name_type", "primary_record_type"),
                pending.described_context().described,
                strict=True,
            )
        ),
    }
    return Attempt(
        action,
        kind="pending change",
        cuid=pending.cuid,
        title=str(pending)[:200],
        after=after,
        why=pending.why,
        by=by,
    )


def withdraw(pending: PendingChange, *, by: Any = None) -> None:
    """Take a change off hold, or put away one that could not be made.

    Raises:
        guards.Settled: it has been made meanwhile.
        guards.Gone: it has been withdrawn already.
    """
    with attempting(lambda: [_told(pending, Action.WITHDRAWN, by=by)], using=DB):
        _withdraw(pending, by)


@translated
@locks.retrying
def _withdraw(pending: PendingChange, by: Any) -> None:
    with transaction.atomic():
        locks.limit_wait(DB)
        row = PendingChange.objects.select_for_update().filter(pk=pending.pk).first()
        if row is None:
            raise guards.Gone(f"The change {pending.cuid} has been withdrawn already.")
        if row.state == PendingChange.State.APPLIED:
            raise guards.Settled(f"The change {row.cuid} has been made already.")
        told = _told(row, Action.WITHDRAWN, by=by)
        row.delete()
        record([told], using=DB)


def ended(context_keys: Iterable[str]) -> None:
    """Say that executions of these contexts have ended, in the transaction that ends them.

    Right after its commit, the changes that may have waited for them are tried.
    """
    keys = sorted(set(context_keys))
    if keys:
        transaction.on_commit(lambda: _try_waiting(keys), robust=True)


WAITING = "SELECT 1 FROM workflows_pendingchange WHERE state = 'waiting'"
"""Gives a row where any change is on hold."""

_WAITS = Statement(f"{WAITING} LIMIT 1")


def _try_waiting(keys: list[str]) -> None:
    # Asked by everybody who ends an execution; most often nothing waits.
    if not _WAITS.execute():
        return
    waiting = PendingChange.objects.filter(state=PendingChange.State.WAITING)
    # A blocker works on what the workflows of the change work on now.
    concerned = waiting.filter(members__workflow__context_key__in=keys).distinct()
    for pk in concerned.order_by("pk").values_list("pk", flat=True):
        _try(pk)


def _try(pk: int) -> None:
    try:
        apply_drained(pk)
    except (locks.Contention, DatabaseError):
        logger.warning("The change on hold %s is left to run_due.", pk, exc_info=True)


def apply_drained(pk: int) -> PendingChange | None:
    """Make a change on hold if nothing stands in its way any more; None while something does.

    One that could not be made for another reason is kept with it, and holds nothing any more.
    """
    waiting = PendingChange.objects.filter(pk=pk, state=PendingChange.State.WAITING)
    pending = waiting.first()
    if pending is None or _is_blocked(pending):
        return None
    return _apply(pk)


def drained() -> list[PendingChange]:
    """The changes on hold that nothing blocks any more."""
    waiting = PendingChange.objects.filter(state=PendingChange.State.WAITING)
    return [pending for pending in waiting.order_by("pk") if not _is_blocked(pending)]


def apply_all_drained() -> list[PendingChange]:
    """Make every change on hold that nothing blocks any more; those that are settled now.

    For what ended behind Python's back, or in a process that was killed before it could ask.
    """
    waiting = PendingChange.objects.filter(state=PendingChange.State.WAITING)
    settled = []
    for pk in waiting.order_by("pk").values_list("pk", flat=True):
        try:
            pending = apply_drained(pk)
        except (locks.Contention, DatabaseError):
            logger.warning("The change on hold %s is left to the next time.", pk, exc_info=True)
        else:
            settled += [pending] if pending is not None else []
    return settled


def _is_blocked(pending: PendingChange) -> bool:
    # Asked without locks by everybody who ends an execution; most often it is.
    rows = [member.workflow for member in pending.members.select_related("workflow")]
    return ContextChange([row for row in rows if row], pending.context, DB).is_blocked()


@locks.retrying
def _apply(pk: int) -> PendingChange | None:
    with transaction.atomic():
        locks.limit_wait(DB)
        # Not SKIP LOCKED: who holds the row may have judged before the last blocker ended.
        waiting = PendingChange.objects.select_for_update(of=("self",))
        pending = waiting.filter(pk=pk, state=PendingChange.State.WAITING).first()
        if pending is None:
            return None
        try:
            with transaction.atomic():
                _make(pending)
        except (guards.ActiveExecutions, guards.DependentActiveExecutions):
            return None
        except Refusal as refusal:
            _settle(pending, refusal)
        except DatabaseError as error:
            refused = None if locks.is_passing(error) else as_refusal(error)
            if refused is None:
                raise
            _settle(pending, refused)
        else:
            _settle(pending)
        return pending


def _make(pending: PendingChange) -> None:
    ids = [member.workflow_id for member in pending.members.all()]
    if None in ids:
        raise guards.Gone("One of the workflows has been deleted.")
    change_together(
        [pk for pk in ids if pk is not None],
        pending.described_context(),
        DB,
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
    told = _told(pending, action, by=pending.asked_by)
    record([told], using=DB)
