"""The audit log: who changed what, when, through which face, and what was refused.

It covers what executions stand on: workflows, their graphs, types, entities, changes on hold,
each vote, and whatever an operator does to an execution against its course. What an execution does
by itself, and who submitted what, its steps tell.

An entry is written in the transaction that makes the change. Its number comes from a counter
row that is locked until the commit, so that there are no gaps: an entry that is missing has
been taken away. The counter is the last lock of a transaction: whatever the schema checks at
commit, and locks for it, is checked before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar

from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, connections, models, transaction
from django.utils import timezone

from workflows.audit import actor
from workflows.db import locks
from workflows.db.cuid import LENGTH
from workflows.db.json_values import storable
from workflows.refusals import Attempt, Refusal

logger = logging.getLogger(__name__)

DB = "default"
LISTED = 100


class Action(models.TextChoices):
    """What was done, or tried."""

    CREATED = "created", "Created"
    CHANGED = "changed", "Changed"
    DELETED = "deleted", "Deleted"
    GRAPH_SAVED = "graph_saved", "Graph saved"
    PUT_ON_HOLD = "put_on_hold", "Put on hold"
    WITHDRAWN = "withdrawn", "Withdrawn"
    APPLIED = "applied", "Applied when drained"
    NOT_APPLIED = "not_applied", "Not applied when drained"
    CANCELLED = "cancelled", "Cancelled"
    RESTARTED = "restarted", "Restarted"
    RETRIED = "retried", "Retried"
    SKIPPED = "skipped", "Skipped"
    WOKEN = "woken", "Woken early"
    POSTPONED = "postponed", "Postponed"
    REASSIGNED = "reassigned", "Reassigned"
    VOTED = "voted", "Voted"
    STARTED = "started", "Started by its trigger"


class AuditEntry(models.Model):
    """One change, or one attempt that was refused. Written once; ids have no gaps."""

    id = models.BigIntegerField(primary_key=True, editable=False)
    at = models.DateTimeField(db_index=True)
    who = models.CharField(max_length=200, blank=True)
    # Not a foreign key: the entry is written once, and the user may go.
    user_id = models.BigIntegerField(null=True)
    face = models.CharField(
        max_length=32, choices=[(face.value, face.label) for face in actor.Face]
    )
    request_id = models.CharField(max_length=64, blank=True, db_index=True)
    action = models.CharField(max_length=32, choices=Action.choices)
    kind = models.CharField(max_length=32)
    cuid = models.CharField(max_length=LENGTH)
    title = models.CharField(max_length=255, blank=True)
    refused = models.BooleanField(default=False)
    code = models.CharField(max_length=64, blank=True)
    detail = models.TextField(blank=True)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    why = models.TextField(blank=True)

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "audit entries"
        indexes: ClassVar = [
            models.Index(fields=["cuid", "id"], name="workflows_auditentry_cuid"),
            models.Index(
                fields=["id"], condition=models.Q(refused=True), name="workflows_auditentry_no"
            ),
        ]

    def __str__(self) -> str:
        refused = ", refused" if self.refused else ""
        return f"{self.id}: {self.kind} “{self.title}” {self.action}{refused}"


class AuditCounter(models.Model):
    """The number of the last audit entry; one row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    last = models.BigIntegerField()

    objects = models.Manager()


def _next_numbers(number: int, using: str) -> int:
    """Take this many numbers; the last of them. Locks the counter until the commit."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "INSERT INTO workflows_auditcounter AS counter (id, last) VALUES (1, %s)"
            " ON CONFLICT (id) DO UPDATE SET last = counter.last + excluded.last RETURNING last",
            [number],
        )
        return int(cursor.fetchone()[0])


def record(attempts: Sequence[Attempt], *, using: str = DB) -> None:
    """Write these changes into the log, in the transaction that makes them, as its last act."""
    if not attempts:
        return
    with transaction.atomic(using=using):
        connection = connections[using]
        if connection.vendor == "postgresql":
            # What is checked at commit takes locks there: before the counter, not behind it.
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
        _write(attempts, None, using)


def record_refusal(refusal: Refusal, *, using: str = DB) -> None:
    """Write the attempt that was refused into the log, once.

    Whoever refuses calls this after its own transaction has ended; inside one that a caller
    holds open the entry shares that one's fate, and a face asks again when it has ended.
    Never over a second connection. The refusal is told even where it cannot be recorded.
    """
    connection: Any = connections[using]
    if refusal.is_recorded or not refusal.attempts or connection.needs_rollback:
        return
    is_own = not connection.in_atomic_block
    try:
        with transaction.atomic(using=using):
            if is_own:
                locks.limit_wait(using)
            _write(refusal.attempts[:LISTED], refusal, using)
            transaction.on_commit(lambda: _is_recorded(refusal), using=using)
    except DatabaseError:
        logger.exception("A refusal could not be recorded: %s", refusal.message)


def _is_recorded(refusal: Refusal) -> None:
    refusal.is_recorded = True


def _write(attempts: Sequence[Attempt], refusal: Refusal | None, using: str) -> None:
    acts = actor.current()
    first = _next_numbers(len(attempts), using) - len(attempts) + 1
    AuditEntry.objects.using(using).bulk_create(
        _entry(number, attempt, acts, refusal) for number, attempt in enumerate(attempts, first)
    )


def _entry(
    number: int, attempt: Attempt, acts: actor.Acting, refusal: Refusal | None
) -> AuditEntry:
    user = attempt.by if attempt.by is not None else actor.user()
    return AuditEntry(
        id=number,
        at=timezone.now(),
        who=(user.get_username() if user is not None else acts.account)[:200],
        user_id=user.pk if user is not None else None,
        face=acts.face.value,
        request_id=acts.request_id,
        action=attempt.action,
        kind=attempt.kind,
        cuid=attempt.cuid[:LENGTH],
        title=str(storable(attempt.title))[:255],
        refused=refusal is not None,
        code=refusal.code if refusal is not None else "",
        detail=str(storable(str(refusal.message))) if refusal is not None else "",
        before=storable(dict(attempt.before)),
        after=storable(dict(attempt.after)),
        why=str(storable(attempt.why)),
    )


@contextmanager
def attempting(attempts: Callable[[], Iterable[Attempt]], *, using: str = DB) -> Iterator[None]:
    """Let whatever is refused inside tell what was attempted, and record it.

    ``attempts`` is asked only then, and not while a transaction that a caller holds open is
    broken: no query runs in that one. Stands outside the transaction of the edit.
    """
    try:
        yield
    except Refusal as refusal:
        if not refusal.attempts and not connections[using].needs_rollback:
            refusal.attempts = list(attempts())
        faces = (actor.Face.ADMIN, actor.Face.API)
        if actor.current().face not in faces or not connections[using].in_atomic_block:
            record_refusal(refusal, using=using)
        raise


def values_of(row: models.Model, names: Iterable[str] | None = None) -> dict[str, Any]:
    """What a record has in its editable fields, by name; related records by their cuid."""
    wanted = None if names is None else {name.removesuffix("_id") for name in names}
    found: dict[str, Any] = {}
    for field in row._meta.concrete_fields:
        if field.primary_key or field.generated or not field.editable:
            continue
        if wanted is not None and field.name not in wanted:
            continue
        if isinstance(field, models.ForeignKey):
            found[field.name] = _cuid_of(row, field)
        else:
            value = getattr(row, field.attname)
            found[field.name] = value.isoformat() if isinstance(value, datetime) else value
    return found


def _cuid_of(row: models.Model, field: Any) -> Any:
    if getattr(row, field.attname) is None:
        return None
    try:
        related = getattr(row, field.name)
    except ObjectDoesNotExist:
        return getattr(row, field.attname)
    return getattr(related, "cuid", related.pk)


def difference(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What differs, as it was and as it is."""
    names = [name for name in after if name not in before or before[name] != after[name]]
    return (
        {name: before[name] for name in names if name in before},
        {name: after[name] for name in names},
    )


def told(
    row: Any,
    action: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    why: str = "",
    by: Any = None,
) -> Attempt:
    """What an entry tells of an action on this record."""
    return Attempt(
        action,
        kind=str(row._meta.concrete_model._meta.verbose_name),
        # Users and groups have none.
        cuid=getattr(row, "cuid", ""),
        title=str(getattr(row, "title", "") or getattr(row, "name", "") or row),
        before=before or {},
        after=after or {},
        why=why,
        by=by,
    )
