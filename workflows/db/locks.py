"""The lock protocol: who locks what, how strongly, in which order.

Two orders that never cross. *Editors* lock workflows by id, then versions by id,
exclusively. *Runners* lock the root execution, its children, the entity, and then share
workflows and versions. Lock, then read again, then write: one transaction.

SQLite has no row locks: its transactions begin IMMEDIATE, one writer at a time.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import StrEnum
from typing import Any, ParamSpec, TypeVar

from django.db import DatabaseError, OperationalError, connections, transaction
from django.db.models import F, Model, QuerySet
from django.utils.translation import gettext_lazy as _

from workflows.db.faults import state_of
from workflows.db.prepared import ON_POSTGRESQL, SharedSession
from workflows.refusals import MessageError

P = ParamSpec("P")
R = TypeVar("R")

ATTEMPTS = 5
LOCK_TIMEOUT_MS = 5_000
# No attempt begins later than this after the first, so that a row which somebody keeps locked
# does not keep a thread of the server for ATTEMPTS times the lock timeout.
PATIENCE_SECONDS = 5.0


class Strength(StrEnum):
    """PostgreSQL's row locks, weakest first."""

    KEY_SHARE = "FOR KEY SHARE"
    NO_KEY_UPDATE = "FOR NO KEY UPDATE"
    UPDATE = "FOR UPDATE"


class Contention(MessageError):
    message = _("The row is being changed by others; try again in a moment.")
    code = "contention"
    # Raised inside a transaction that the caller holds, and can begin anew.
    within_transaction = False


class TryAgain(Exception):
    """What was read before the locks no longer holds; begin the transaction anew."""


def _require_transaction(using: str) -> None:
    if not connections[using].in_atomic_block:
        raise transaction.TransactionManagementError("A lock was asked for outside a transaction.")


def lock_rows(
    queryset: QuerySet[Any], ids: Iterable[int], strength: Strength, *, skip_locked: bool = False
) -> list[int]:
    """Lock the rows with these ids, in the order of their ids; the ids that were locked.

    Django has no KEY SHARE, and ``select_for_update`` does nothing, silently, on SQLite
    outside a transaction; so the statement is written here, and nowhere else.
    """
    using = queryset.db
    _require_transaction(using)
    wanted = sorted(set(ids))
    connection = connections[using]
    if connection.vendor != "postgresql" or not wanted:
        return wanted
    model: type[Model] = queryset.model
    table = connection.ops.quote_name(model._meta.db_table)
    tail = " SKIP LOCKED" if skip_locked else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM {table} WHERE id = ANY(%s) ORDER BY id {strength.value}{tail}",
            [wanted],
        )
        return [row[0] for row in cursor.fetchall()]


def outdate(queryset: QuerySet[Any], column: str) -> None:
    """Write these rows as they are: whoever locks one in an older snapshot has to begin anew.

    A row that is only locked tells such a reader nothing. Callers hold the locks; ``column``
    is one that no key uses.
    """
    queryset.update(**{column: F(column)})


def one_writer() -> AbstractContextManager[Any]:
    """What is read first and written last, without a lock between, is read and written in one
    transaction where the database has one writer. PostgreSQL judges again as it writes; inside a
    transaction that the caller holds, a statement that it refuses there undoes no more than itself.
    """
    within = transaction.get_connection().in_atomic_block
    return nullcontext() if ON_POSTGRESQL and not within else transaction.atomic()


def limit_wait(using: str) -> None:
    """Let no lock of this transaction be waited for longer than ``LOCK_TIMEOUT_MS``."""
    _require_transaction(using)
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = %s", [f"{LOCK_TIMEOUT_MS}ms"])


@contextmanager
def stable_snapshot(using: str = "default", *, writes: bool = False) -> Iterator[None]:
    """A transaction that sees one state of the database and keeps no writer waiting.

    With ``writes`` it may write, on top of that state: what others have written since fails it
    with an error after which it can begin anew.
    """
    connection: Any = connections[using]
    if connection.vendor == "sqlite":
        # Django reads the mode from the settings when it connects.
        connection.ensure_connection()
        mode, connection.transaction_mode = connection.transaction_mode, "DEFERRED"
        try:
            with transaction.atomic(using=using):
                yield
        finally:
            connection.transaction_mode = mode
        return
    nested = connection.in_atomic_block
    with transaction.atomic(using=using):
        if not nested:
            with connection.cursor() as cursor:
                access = "READ WRITE" if writes else "READ ONLY"
                cursor.execute(f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ {access}")
        yield


class TimedOut(MessageError):
    message = _("A lock was not had in the time that there was for it.")


@contextmanager
def wait_at_most(milliseconds: int, using: str = "default") -> Iterator[None]:
    """Let no lock inside the block be waited for longer; it is a savepoint of a transaction.

    Raises:
        TimedOut: what the block has written is undone. On SQLite, whose writer is alone, never.
    """
    _require_transaction(using)
    connection = connections[using]
    is_limited = connection.vendor == "postgresql"
    try:
        with transaction.atomic(using):
            if is_limited:
                _set_lock_timeout(connection, f"'{int(milliseconds)}ms'")
            yield
            if is_limited:
                _set_lock_timeout(connection, "DEFAULT")
    except OperationalError as error:
        if state_of(error) == LOCK_TIMEOUT:
            raise TimedOut() from error
        raise


def _set_lock_timeout(connection: Any, value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {value}")


LOCK_TIMEOUT = "55P03"
# Class 40: serialization failure, deadlock.
_PASSING = {"40001", "40P01", LOCK_TIMEOUT}


def is_passing(error: DatabaseError) -> bool:
    """Whether the database refused only because others were at the same rows, or the session."""
    if isinstance(error, SharedSession):
        return True
    state = state_of(error)
    if state is not None:
        return state in _PASSING
    return isinstance(error, OperationalError) and "database is locked" in str(error)


def can_begin_anew(error: Exception) -> bool:
    """Whether the outermost transaction may be tried again after this."""
    if isinstance(error, DatabaseError):
        return is_passing(error)
    return isinstance(error, TryAgain) or (
        isinstance(error, Contention) and error.within_transaction
    )


def retrying(function: Callable[P, R]) -> Callable[P, R]:
    """Run ``function`` again when the database gave up on contention, a few times.

    Only the outermost transaction can be begun anew: inside one that the caller holds, the
    first failure goes up, to be tried again by the outermost function that is ``retrying``.

    Raises:
        Contention: when it still fails after ``ATTEMPTS`` attempts or ``PATIENCE_SECONDS``.
    """

    @functools.wraps(function)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> R:
        began = time.monotonic()
        for number in range(1, ATTEMPTS + 1):
            try:
                return function(*args, **kwargs)
            except (DatabaseError, TryAgain, Contention) as error:
                if not can_begin_anew(error):
                    raise
                within = transaction.get_connection().in_atomic_block
                is_last = number == ATTEMPTS or time.monotonic() - began >= PATIENCE_SECONDS
                if within or is_last:
                    contention = Contention()
                    contention.within_transaction = within
                    raise contention from error
                time.sleep(random.uniform(0, 0.02 * number))
        raise AssertionError("unreachable")

    return attempt
