"""The audit log: who changed what, when, through which interface, and what was refused.

It covers the data that executions depend on (workflows, graphs, types, entities, pending changes),
votes, claims, the actions of forms, uploaded files, comments (without their texts), and operators'
interventions in executions. Steps record the course of an execution and its submissions.

An entry is written in the transaction that makes the change. Its id comes from a counter row that
is locked until the commit, so the ids have no gaps: a missing id means that an entry was removed.
The counter is the last lock of a transaction. The checks that the database makes at commit also
take locks, so they run before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar

from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, connection, models, transaction
from django.dispatch import Signal
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from workflows.audit import actor
from workflows.db import locks
from workflows.db.cuid import LENGTH
from workflows.db.json_values import make_storable
from workflows.db.vendor import DATABASE
from workflows.refusals import Attempt, Refusal

logger = logging.getLogger(__name__)

refused = Signal()
"""Sent once for each refusal, with its ``code`` and the ``interface``."""

LISTED = 100
"""The number of attempts of a refused bulk edit that are recorded."""


INTERFACES = [(row.value, row.label) for row in actor.Interface]
"""The interfaces as choices of a field."""


class Action(models.TextChoices):
    """The action that was done or refused."""

    CREATED = "created", _("Created")
    CHANGED = "changed", _("Changed")
    DELETED = "deleted", _("Deleted")
    GRAPH_SAVED = "graph_saved", _("Graph saved")
    PUT_ON_HOLD = "put_on_hold", _("Put on hold")
    WITHDRAWN = "withdrawn", _("Withdrawn")
    APPLIED = "applied", _("Change on hold applied")
    NOT_APPLIED = "not_applied", _("Change on hold not applied")
    CANCELLED = "cancelled", _("Cancelled")
    RESTARTED = "restarted", _("Restarted")
    RETRIED = "retried", _("Retried")
    SKIPPED = "skipped", _("Skipped")
    WOKEN = "woken", _("Woken early")
    POSTPONED = "postponed", _("Postponed")
    REASSIGNED = "reassigned", _("Reassigned")
    MOVED = "moved", _("Moved to another version")
    VOTED = "voted", _("Voted")
    CLAIMED = "claimed", _("Claimed")
    UNCLAIMED = "unclaimed", _("Unclaimed")
    COMMENTED = "commented", _("Commented")
    COMMENT_WITHDRAWN = "comment_withdrawn", _("Comment withdrawn")
    SUBMITTED = "submitted", _("Submitted")
    UPLOADED = "uploaded", _("File uploaded")
    STARTED = "started", _("Started by its trigger")
    LOGIN_FAILED = "login_failed", _("Login failed")
    LOCKED = "locked", _("Locked")
    UNLOCKED = "unlocked", _("Unlocked")


class AuditEntry(models.Model):
    """A change or a refused attempt. Entries are write-once; their ids have no gaps."""

    id = models.BigIntegerField(primary_key=True, editable=False)
    at = models.DateTimeField(_("time"), db_index=True)
    who = models.CharField(max_length=200, blank=True)
    # Not a foreign key, because the entry outlives the user.
    user_id = models.BigIntegerField(null=True)
    face = models.CharField(
        max_length=32,
        verbose_name=_("interface"),
        choices=INTERFACES,
    )
    request_id = models.CharField(max_length=64, blank=True, db_index=True)
    action = models.CharField(max_length=32, choices=Action.choices)
    kind = models.CharField(max_length=32)
    cuid = models.CharField("ID", max_length=LENGTH)
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
    """The id of the last audit entry, in a single row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    last = models.BigIntegerField()

    objects = models.Manager()


def _next_ids(number: int) -> range:
    """Take this many ids. Locks the counter until the commit."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO workflows_auditcounter AS counter (id, last) VALUES (1, %s)"
            " ON CONFLICT (id) DO UPDATE SET last = counter.last + excluded.last RETURNING last",
            [number],
        )
        last = int(cursor.fetchone()[0])
    return range(last - number + 1, last + 1)


def record(attempts: Sequence[Attempt]) -> None:
    """Record these changes at the end of the transaction that makes them."""
    if not attempts:
        return
    with transaction.atomic():
        # The checks at commit take locks, and the counter must be locked after them.
        DATABASE.check_deferred_keys(connection)
        _write(attempts, None)


def record_refusal(refusal: Refusal) -> None:
    """Record a refused attempt once.

    Call it after the refused transaction has ended. Inside a transaction of the caller, a rollback
    removes the entry, and the interface records the refusal again afterwards. A second connection
    is never used. If recording fails, the failure is logged.
    """
    if not refusal.is_announced:
        refusal.is_announced = True
        interface = actor.current().interface.value
        refused.send(sender=type(refusal), code=refusal.code, interface=interface)
    if refusal.is_recorded or not refusal.attempts or connection.needs_rollback:
        return
    is_outermost = not connection.in_atomic_block
    try:
        with transaction.atomic():
            if is_outermost:
                locks.limit_wait()
            _write(refusal.attempts[:LISTED], refusal)
            transaction.on_commit(lambda: _mark_recorded(refusal))
    except DatabaseError:
        logger.exception("A refusal could not be recorded: %s", refusal.message)


def _mark_recorded(refusal: Refusal) -> None:
    refusal.is_recorded = True


def _write(attempts: Sequence[Attempt], refusal: Refusal | None) -> None:
    current = actor.current()
    ids = _next_ids(len(attempts))
    AuditEntry.objects.bulk_create(
        _entry(pk, attempt, current, refusal) for pk, attempt in zip(ids, attempts, strict=True)
    )


def _entry(pk: int, attempt: Attempt, current: actor.Actor, refusal: Refusal | None) -> AuditEntry:
    user = attempt.by if attempt.by is not None else actor.user()
    return AuditEntry(
        id=pk,
        at=timezone.now(),
        who=(user.get_username() if user is not None else current.account)[:200],
        user_id=user.pk if user is not None else None,
        face=current.interface.value,
        request_id=current.request_id,
        action=attempt.action,
        kind=attempt.kind,
        cuid=attempt.cuid[:LENGTH],
        title=str(make_storable(attempt.title))[:255],
        refused=refusal is not None,
        code=refusal.code if refusal is not None else "",
        detail=str(make_storable(str(refusal.message))) if refusal is not None else "",
        before=make_storable(dict(attempt.before)),
        after=make_storable(dict(attempt.after)),
        why=str(make_storable(attempt.why)),
    )


@contextmanager
def recording_refusals(attempts: Callable[[], Iterable[Attempt]]) -> Iterator[None]:
    """Record the refusals of the block. Goes around the transaction of the edit.

    Args:
        attempts: returns what was attempted. It is called after a refusal without attempts, unless
            a transaction of the caller is broken and can run no query.
    """
    try:
        yield
    except Refusal as refusal:
        if not refusal.attempts and not connection.needs_rollback:
            refusal.attempts = list(attempts())
        interfaces = (actor.Interface.ADMIN, actor.Interface.API)
        # Inside a transaction, the admin and the API record it when that has been rolled back.
        if actor.current().interface not in interfaces or not connection.in_atomic_block:
            record_refusal(refusal)
        raise


def read_values(row: models.Model, names: Iterable[str] | None = None) -> dict[str, Any]:
    """Return the values of a row's editable fields by name; related rows as their cuid.

    Args:
        row: the row.
        names: the names of the fields; all editable ones by default.
    """
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
    """Return the values that differ, before and after."""
    names = [name for name in after if name not in before or before[name] != after[name]]
    return (
        {name: before[name] for name in names if name in before},
        {name: after[name] for name in names},
    )


def make_attempt(
    row: Any,
    action: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    why: str = "",
    by: Any = None,
) -> Attempt:
    """Describe an action on a row, for its audit entry."""
    return Attempt(
        action,
        kind=str(row._meta.concrete_model._meta.verbose_name),
        # Users and groups have no cuid.
        cuid=getattr(row, "cuid", ""),
        title=str(getattr(row, "title", "") or getattr(row, "name", "") or row),
        before=before or {},
        after=after or {},
        why=why,
        by=by,
    )
