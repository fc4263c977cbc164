"""The lock protocol: who locks which rows, how strongly, in which order.

Two orders that never cross. *Editors* lock workflows by id, then versions by id, exclusively.
*Runners* lock the root execution, its children, the entity, and then share workflows and versions.
Lock, read again, write: one transaction.

SQLite has no row locks: its transactions begin IMMEDIATE, one writer at a time.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from enum import StrEnum
from typing import Any, ParamSpec, TypeVar

from django.db import DatabaseError, OperationalError, connections, transaction
from django.db.models import F, Model, QuerySet
from django.utils.translation import gettext_lazy as _

from workflows.db.faults import find_sqlstate
from workflows.db.prepared import SharedSession
from workflows.db.vendor import DATABASE
from workflows.refusals import MessageError

P = ParamSpec("P")
R = TypeVar("R")

ATTEMPTS = 5
LOCK_TIMEOUT_MS = 5_000
# No attempt begins later than this after the first, so that one locked row does not block a thread
# of the server for ATTEMPTS times the lock timeout.
PATIENCE_SECONDS = 5.0

_LOCK_NOT_AVAILABLE = "55P03"
# Class 40: serialization failure, deadlock.
_TRANSIENT_STATES = {"40001", "40P01", _LOCK_NOT_AVAILABLE}


class Strength(StrEnum):
    """PostgreSQL's row locks, weakest first."""

    KEY_SHARE = "FOR KEY SHARE"
    NO_KEY_UPDATE = "FOR NO KEY UPDATE"
    UPDATE = "FOR UPDATE"


class Contention(MessageError):
    message = _("The row is being changed by others. Try again in a moment.")
    code = "contention"
    # True inside a transaction that the caller has opened and can repeat.
    within_transaction = False


class LockTimeout(MessageError):
    message = _("The lock could not be acquired in time.")


class TryAgain(Exception):
    """The data read before the locks were taken has changed; repeat the transaction."""


def _require_transaction(using: str) -> None:
    if not connections[using].in_atomic_block:
        raise transaction.TransactionManagementError("Locks can be taken only in a transaction.")


def lock_rows(
    queryset: QuerySet[Any], ids: Iterable[int], strength: Strength, *, skip_locked: bool = False
) -> list[int]:
    """Lock the rows with these ids in the order of the ids; return the ids that were locked.

    Django has no KEY SHARE, and ``select_for_update`` silently does nothing on SQLite outside a
    transaction; so this is the only place that writes the statement.
    """
    using = queryset.db
    _require_transaction(using)
    wanted = sorted(set(ids))
    if not wanted:
        return wanted
    connection = connections[using]
    model: type[Model] = queryset.model
    table = connection.ops.quote_name(model._meta.db_table)
    clause = strength.value + (" SKIP LOCKED" if skip_locked else "")
    return DATABASE.lock_rows(connection, table, wanted, clause)


def outdate(queryset: QuerySet[Any], column: str) -> None:
    """Write these rows unchanged, so that transactions with an older snapshot must be repeated.

    A lock alone does not stop such a transaction. The caller must hold the locks; no key may use
    ``column``.
    """
    queryset.update(**{column: F(column)})


_is_one_unit: ContextVar[bool] = ContextVar("is_one_unit", default=False)


@contextmanager
def one_unit() -> Iterator[None]:
    """Declare that an error in the block undoes the whole transaction that is open.

    A savepoint inside it would undo nothing more, and cost two round trips.
    """
    _require_transaction("default")
    token = _is_one_unit.set(True)
    try:
        yield
    finally:
        _is_one_unit.reset(token)


def single_writer() -> AbstractContextManager[Any]:
    """Return a context for code that reads first and writes last, without a lock in between.

    Where the database has a single writer, the context is one transaction. PostgreSQL checks again
    as it writes: no transaction is needed, unless the caller has opened one. Then the context is a
    savepoint, so that a rejected statement undoes only itself, except in ``one_unit``.
    """
    within = transaction.get_connection().in_atomic_block
    is_free = _is_one_unit.get() if within else DATABASE.is_postgresql
    return nullcontext() if is_free else transaction.atomic()


def limit_wait(using: str = "default") -> None:
    """Limit how long this transaction waits for any lock to ``LOCK_TIMEOUT_MS``."""
    _require_transaction(using)
    DATABASE.set_lock_timeout(connections[using], LOCK_TIMEOUT_MS)


@contextmanager
def stable_snapshot(using: str = "default", *, writes: bool = False) -> Iterator[None]:
    """Open a transaction that sees one state of the database and blocks no writer.

    With ``writes`` the transaction may write on top of that state. If others have changed the same
    rows since, it fails with an error after which it can be repeated.
    """
    with DATABASE.open_snapshot(using, writes=writes):
        yield


@contextmanager
def wait_at_most(milliseconds: int, using: str = "default") -> Iterator[None]:
    """Limit how long the block waits for any lock; the block is a savepoint of a transaction.

    Raises:
        LockTimeout: the writes of the block are undone. SQLite, with its single writer, never
            raises it.
    """
    _require_transaction(using)
    connection = connections[using]
    try:
        with transaction.atomic(using):
            DATABASE.set_lock_timeout(connection, milliseconds)
            yield
            DATABASE.set_lock_timeout(connection, None)
    except OperationalError as error:
        if find_sqlstate(error) == _LOCK_NOT_AVAILABLE:
            raise LockTimeout() from error
        raise


def is_transient(error: DatabaseError) -> bool:
    """Return True if the error came from concurrent transactions or a shared session alone."""
    if isinstance(error, SharedSession):
        return True
    state = find_sqlstate(error)
    if state is not None:
        return state in _TRANSIENT_STATES
    return isinstance(error, OperationalError) and "database is locked" in str(error)


def can_retry(error: Exception) -> bool:
    """Return True if the outermost transaction may be repeated after this error."""
    if isinstance(error, DatabaseError):
        return is_transient(error)
    return isinstance(error, TryAgain) or (
        isinstance(error, Contention) and error.within_transaction
    )


def retrying(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function to run again, a few times, after an error caused by contention.

    Only the outermost transaction can be repeated: inside a transaction that the caller has
    opened, the first failure propagates to the outermost ``retrying`` function.

    Raises:
        Contention: it still fails after ``ATTEMPTS`` attempts or ``PATIENCE_SECONDS``.
    """

    @functools.wraps(function)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> R:
        began = time.monotonic()
        for number in range(1, ATTEMPTS + 1):
            try:
                return function(*args, **kwargs)
            except (DatabaseError, TryAgain, Contention) as error:
                if not can_retry(error):
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
