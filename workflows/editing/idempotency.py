"""Requests that may be sent again: what they do is done once, and its answer is kept.

The key of a request is claimed, its work done and the answer kept in one transaction. A process
that is killed leaves all of it or nothing: the request that is sent again finds the answer, or
does the work.
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
from workflows.models import KeptAnswer
from workflows.refusals import MessageError

KEPT = timedelta(hours=24)
WAIT_MS = 100
"""How long the same request waits for the answer of one that is under way."""


_under_way: ContextVar[bool] = ContextVar("under_way", default=False)


def is_in_progress() -> bool:
    """Return True inside the work of a request that is done once."""
    return _under_way.get()


class KeyInUse(MessageError):
    message = _("A request with this key is under way; send it again in a moment.")


class KeyReused(MessageError):
    message = _("This key has come before, with another request.")


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request by its key: whose, where, and a checksum over what it asks for.

    ``item``: which of several things, where each is done by itself.
    """

    user_id: int
    route: str
    key: str
    checksum: str
    item: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: the status, the headers that belong to it, and the body as text."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeated: bool = False
    is_stored: bool = True
    """False for what may be asked again with the same key."""


@locks.retrying
def once(asked: IdempotentRequest, work: Callable[[], Answer], *, wait_ms: int = WAIT_MS) -> Answer:
    """Do the work and keep its answer, or return the answer that was kept.

    ``work`` runs inside the transaction, and again where that is begun anew; what it answers with
    a status of 500 or more is undone and not kept.

    Args:
        wait_ms: how long to wait for the same request while it is under way.

    Raises:
        KeyInUse: the same key is at work.
        KeyReused: the key has come before, with another checksum.
        locks.Contention: others were at the same rows, again and again; nothing is kept.
    """
    with transaction.atomic():
        row = _claimed(asked, wait_ms)
        if row.status:
            if row.asked != asked.checksum:
                raise KeyReused
            return Answer(row.status, row.body, row.headers, is_repeated=True)
        token = _under_way.set(True)
        try:
            answer = work()
        finally:
            _under_way.reset(token)
        if answer.status >= 500:
            transaction.set_rollback(True)
            return answer
        if not answer.is_stored:
            row.delete()
            return answer
        row.status, row.body, row.headers = answer.status, answer.body, dict(answer.headers)
        row.save(update_fields=["status", "body", "headers"])
        return answer


def _claimed(asked: IdempotentRequest, wait_ms: int) -> KeptAnswer:
    """The row of the key: a new one, without a status, or the one that is there."""
    now = timezone.now()
    try:
        with locks.wait_at_most(wait_ms):
            return KeptAnswer.objects.create(
                user_id=asked.user_id,
                route=asked.route,
                key=asked.key,
                item=asked.item,
                asked=asked.checksum,
                at=now,
            )
    except locks.LockTimeout as error:
        raise KeyInUse from error
    except IntegrityError as error:
        row = _rows(asked).filter(item=asked.item).first()
        if row is None:
            # It was purged, or its user is gone, since it was met.
            raise locks.TryAgain from error
        if row.at < now - KEPT:
            row.delete()
            return _claimed(asked, wait_ms)
        return row


def _rows(asked: IdempotentRequest) -> QuerySet[KeptAnswer]:
    return KeptAnswer.objects.filter(user_id=asked.user_id, route=asked.route, key=asked.key)


def refuse_reuse(asked: IdempotentRequest) -> None:
    """Raises ``KeyReused`` when any item has come with this key and another checksum."""
    others = _rows(asked).exclude(asked=asked.checksum)
    if others.filter(at__gte=timezone.now() - KEPT).exists():
        raise KeyReused


def purge_answers() -> int:
    """Delete what has been kept long enough; how many answers that was."""
    old = KeptAnswer.objects.filter(at__lt=timezone.now() - KEPT)
    # To look costs SQLite's one writer nothing.
    return old.delete()[0] if old.exists() else 0
