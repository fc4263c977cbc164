"""Idempotent requests: a request that is repeated with the same key is done once.

One transaction claims the key, does the work and stores the answer. After a crash, the repeated
request finds the answer or does the work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from workflows.db import locks
from workflows.models import StoredAnswer
from workflows.refusals import MessageError

RETENTION = timedelta(hours=24)
WAIT_MS = 100
"""The time that a repeated request waits for the first one to finish."""

_in_progress: ContextVar[bool] = ContextVar("in_progress", default=False)


def is_in_progress() -> bool:
    """Return True inside the work of an idempotent request."""
    return _in_progress.get()


class KeyInUse(MessageError):
    message = _("A request with this key is in progress. Repeat it in a moment.")


class KeyReused(MessageError):
    message = _("This key has been used for a different request.")


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request with its user, route and key, and a checksum of its content.

    ``item`` is the index of one of several items that are processed separately.
    """

    user_id: int
    route: str
    key: str
    checksum: str
    item: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: the status, its headers, and the body as text."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeated: bool = False
    is_stored: bool = True
    """False if the request may be repeated with the same key."""


@locks.retrying
def run_once(
    request: IdempotentRequest, work: Callable[[], Answer], *, wait_ms: int = WAIT_MS
) -> Answer:
    """Do the work and store its answer, or return the stored answer.

    Args:
        request: the request.
        work: does the work inside the transaction. It runs again if the transaction is retried. An
            answer with a status of 500 or more rolls the transaction back and is not stored.
        wait_ms: the time to wait for the same request while it is in progress.

    Raises:
        KeyInUse: the same request is in progress.
        KeyReused: the key has been used with another checksum.
        locks.Contention: the transaction kept colliding with others; nothing is stored.
    """
    with transaction.atomic():
        row = _claim(request, wait_ms)
        if row.status:
            if row.asked != request.checksum:
                raise KeyReused
            return Answer(row.status, row.body, row.headers, is_repeated=True)
        token = _in_progress.set(True)
        try:
            answer = work()
        finally:
            _in_progress.reset(token)
        if answer.status >= 500:
            transaction.set_rollback(True)
            return answer
        if not answer.is_stored:
            row.delete()
            return answer
        row.status, row.body, row.headers = answer.status, answer.body, dict(answer.headers)
        row.save(update_fields=["status", "body", "headers"])
        return answer


def _claim(request: IdempotentRequest, wait_ms: int) -> StoredAnswer:
    """Return the row of the key: a new one without a status, or the stored one."""
    now = timezone.now()
    try:
        with locks.wait_at_most(wait_ms):
            return StoredAnswer.objects.create(
                user_id=request.user_id,
                route=request.route,
                key=request.key,
                item=request.item,
                asked=request.checksum,
                at=now,
            )
    except locks.LockTimeout as error:
        raise KeyInUse from error
    except IntegrityError as error:
        row = _rows(request).filter(item=request.item).first()
        if row is None:
            # It has been purged, or its user deleted, since the insert failed.
            raise locks.TryAgain from error
        if row.at < now - RETENTION:
            row.delete()
            return _claim(request, wait_ms)
        return row


def _rows(request: IdempotentRequest) -> QuerySet[StoredAnswer]:
    return StoredAnswer.objects.filter(
        user_id=request.user_id, route=request.route, key=request.key
    )


def refuse_reused_key(request: IdempotentRequest) -> None:
    """Raise ``KeyReused`` if the key has been used with another checksum, for any item."""
    others = _rows(request).exclude(asked=request.checksum)
    if others.filter(at__gte=timezone.now() - RETENTION).exists():
        raise KeyReused


def purge_answers() -> int:
    """Delete answers that are older than ``RETENTION``. Return their number."""
    old = StoredAnswer.objects.filter(at__lt=timezone.now() - RETENTION)
    # A read first, because a deletion takes SQLite's only write lock.
    return old.delete()[0] if old.exists() else 0
