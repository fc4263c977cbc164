"""Idempotent requests: a request that is repeated with the same key is done once.

The answer is stored in the transaction of the work: after a crash, the repeated request finds the
answer or does the work. Work that is a single statement stores its answer in that statement; for
all other work, a transaction locks the key, does the work and stores the answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from workflows.db import locks
from workflows.db.prepared import Statement
from workflows.db.raw_rows import Columns
from workflows.db.vendor import DATABASE
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

    @property
    def identity(self) -> tuple[int, str, str, int]:
        """The columns that identify a stored answer."""
        return self.user_id, self.route, self.key, self.item

    @property
    def lock(self) -> int:
        """The number of the lock: two requests that share it only wait for each other."""
        digest = hashlib.sha256(repr(self.identity).encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], signed=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: the status, its headers, and the body as text."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeated: bool = False
    is_stored: bool = True
    """False if the request may be repeated with the same key."""


class NeedsTransaction(Exception):
    """The work is not a single statement that could store its answer. Nothing has been written."""


class _WorkFailed(Exception):
    """The work raised an exception, its cause, which ``refuse`` may answer."""


@locks.retrying
def run_once(
    request: IdempotentRequest,
    work: Callable[[], Answer],
    *,
    refuse: Callable[[Exception], Answer] | None = None,
    in_statement: Callable[[], Answer] | None = None,
    wait_ms: int = WAIT_MS,
) -> Answer:
    """Do the work and store its answer, or return the stored answer.

    Args:
        request: the request.
        work: does the work inside the transaction. It runs again if the transaction is retried. An
            answer with a status of 500 or more rolls the transaction back and is not stored.
        refuse: returns the answer for an exception of ``work``, or raises it again. The work is
            rolled back before, so that it needs no savepoint, and the answer stored alone.
        in_statement: does the same work with one statement that also inserts ``row_of`` the answer,
            or raises ``NeedsTransaction``. It is tried first, outside a transaction.
        wait_ms: the time to wait for the same request while it is in progress.

    Raises:
        KeyInUse: the same request is in progress.
        KeyReused: the key has been used with another checksum.
        locks.Contention: the transaction kept colliding with others; nothing is stored.
    """
    try:
        if in_statement is not None:
            # If the key has an answer already, the statement does nothing, or the work is refused.
            with suppress(NeedsTransaction):
                return _try(in_statement, refuse is not None)
        return _answer_once(request, lambda: _try(work, refuse is not None), wait_ms)
    except _WorkFailed as failed:
        error: Any = failed.__cause__
    answer_for: Any = refuse
    return _answer_once(request, lambda: answer_for(error), wait_ms)


def _try(work: Callable[[], Answer], can_refuse: bool) -> Answer:
    try:
        return work()
    except (NeedsTransaction, locks.Contention):
        raise
    except Exception as error:
        if not can_refuse or locks.can_retry(error):
            raise
        raise _WorkFailed from error


def _answer_once(request: IdempotentRequest, work: Callable[[], Answer], wait_ms: int) -> Answer:
    """Return the stored answer, or that of the work, in one transaction."""
    with transaction.atomic():
        stored = _claim(request, wait_ms)
        if stored is not None:
            if stored.asked != request.checksum:
                raise KeyReused
            return Answer(stored.status, stored.body, stored.headers, is_repeated=True)
        token = _in_progress.set(True)
        try:
            answer = work()
        finally:
            _in_progress.reset(token)
        if answer.status >= 500:
            transaction.set_rollback(True)
        elif answer.is_stored:
            _store(request, answer)
        return answer


@cache
def _statements() -> tuple[Columns, Statement, Statement]:
    """Return the columns of a stored answer, the statement that reads it, and that writes it."""
    columns = Columns(StoredAnswer, ("id", "asked", "status", "headers", "body", "at"))
    table = StoredAnswer._meta.db_table
    read = (
        f"SELECT {DATABASE.try_lock_sql('$5')}, {columns.select_list('a')} FROM (SELECT 1) one"
        f" LEFT JOIN {table} a"
        " ON a.user_id = $1 AND a.route = $2 AND a.key = $3 AND a.item = $4"
    )
    places = ", ".join(f"${number}" for number in range(1, len(ROW_TYPES) + 1))
    write = insert_sql(f"VALUES ({places})")
    return columns, Statement(read, (*ROW_TYPES[:4], "bigint")), Statement(write, ROW_TYPES)


ROW_TYPES = (
    *("bigint", "text", "text", "integer"),
    *("text", "smallint", "jsonb", "text", "timestamptz"),
)
"""The types of the values of ``row_of``."""


def insert_sql(source: str) -> str:
    """Return the statement that inserts the row of an answer from a query, unless the key has one.

    It returns a row if it inserts one.
    """
    return (
        f"INSERT INTO {StoredAnswer._meta.db_table}"
        " (user_id, route, key, item, asked, status, headers, body, at)"
        f" {source} ON CONFLICT DO NOTHING RETURNING id"
    )


def row_of(request: IdempotentRequest, answer: Answer) -> list[Any]:
    """Return the values that store an answer, in the order of ``insert_sql``."""
    at = connection.ops.adapt_datetimefield_value(timezone.now())
    headers = json.dumps(dict(answer.headers))
    return [*request.identity, request.checksum, answer.status, headers, answer.body, at]


def _claim(request: IdempotentRequest, wait_ms: int) -> StoredAnswer | None:
    """Lock the key until the transaction ends; return the stored answer, or None.

    The lock belongs to no row, because there is none before the work is done. A request that just
    misses the answer of another one is repeated when its own answer cannot be inserted.
    """
    columns, read, _ = _statements()
    params = [*request.identity, request.lock]
    [(is_locked, *selected)] = read.execute(params)
    if not is_locked:
        try:
            with locks.wait_at_most(wait_ms):
                DATABASE.wait_for_lock(connection, request.lock)
        except locks.LockTimeout as error:
            raise KeyInUse from error
        # The transaction that held the lock has ended: read its answer.
        [(_, *selected)] = read.execute(params)
    if selected[0] is None:
        return None
    row: StoredAnswer = columns.build(selected)
    if row.at < timezone.now() - RETENTION:
        StoredAnswer.objects.filter(pk=row.pk).delete()
        return None
    return row


def _store(request: IdempotentRequest, answer: Answer) -> None:
    """Store the answer. Raise ``locks.TryAgain`` if the key has one already."""
    *_, write = _statements()
    if not write.execute(row_of(request, answer)):
        raise locks.TryAgain


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
