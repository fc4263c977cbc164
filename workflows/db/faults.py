"""Database faults: how they are recognized and when a retry makes sense."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import DatabaseError, InterfaceError, OperationalError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy


@dataclass(frozen=True, slots=True)
class DatabaseFault:
    """A fault of the database that an operator fixes, not a developer.

    Clients see ``code`` and ``detail``; ``retry_after`` is the number of seconds after which a
    retry makes sense.
    """

    code: str
    detail: str | Promise
    retry_after: int


UNAVAILABLE = DatabaseFault(
    code="database_unavailable",
    detail=gettext_lazy("The database cannot be reached. Try again."),
    retry_after=5,
)
BUSY = DatabaseFault(
    code="database_busy",
    detail=gettext_lazy("The database accepts no more connections. Nothing was changed."),
    retry_after=2,
)
READ_ONLY = DatabaseFault(
    code="database_read_only",
    detail=gettext_lazy("The database is read-only. Nothing was changed. Reading still works."),
    retry_after=30,
)
FULL = DatabaseFault(
    code="database_full",
    detail=gettext_lazy("The database has no space left. Nothing was changed."),
    retry_after=60,
)
TIMEOUT = DatabaseFault(
    code="statement_timeout",
    detail=gettext_lazy("A statement took longer than the database allows. Nothing was changed."),
    retry_after=5,
)
DAMAGED = DatabaseFault(
    code="database_damaged",
    detail=gettext_lazy("The database file is damaged. Restore it from a backup."),
    retry_after=60,
)

# https://www.postgresql.org/docs/current/errcodes-appendix.html; a prefix names its whole class.
_BY_STATE = {
    "53300": BUSY,
    "53100": FULL,
    "25006": READ_ONLY,
    "57014": TIMEOUT,
    "08": UNAVAILABLE,
    "53": UNAVAILABLE,
    "57P": UNAVAILABLE,
    "58": UNAVAILABLE,
    "XX001": DAMAGED,
    "XX002": DAMAGED,
}
# SQLite and failed connections of psycopg2 have no code, only a message.
_BY_MESSAGE = {
    "too many clients": BUSY,
    "remaining connection slots": BUSY,
    "too many connections": BUSY,
    "no more connections allowed": BUSY,
    "readonly database": READ_ONLY,
    "database or disk is full": FULL,
    "disk image is malformed": DAMAGED,
    "file is not a database": DAMAGED,
    "unable to open database file": UNAVAILABLE,
    "disk i/o error": UNAVAILABLE,
    "database file was replaced": UNAVAILABLE,
}
_CONNECTION_WORDS = (
    "connection",
    "could not connect",
    "could not translate host name",
    "server closed",
    "ssl syscall",
    "timeout expired",
)


def find_sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE of an error from PostgreSQL, or None if it has none."""
    cause = error.__cause__ or error
    return getattr(cause, "pgcode", None) or getattr(cause, "sqlstate", None)


def find_fault(error: BaseException) -> DatabaseFault | None:
    """Return the database fault behind an exception, or None if there is none."""
    if isinstance(error, InterfaceError):
        return UNAVAILABLE
    if not isinstance(error, DatabaseError):
        return None
    state = find_sqlstate(error)
    if state is not None:
        return next((fault for code, fault in _BY_STATE.items() if state.startswith(code)), None)
    message = str(error).lower()
    for words, fault in _BY_MESSAGE.items():
        if words in message:
            return fault
    is_lost = isinstance(error, OperationalError) and any(
        words in message for words in _CONNECTION_WORDS
    )
    return UNAVAILABLE if is_lost else None


def is_unmigrated(error: BaseException) -> bool:
    """Return True if a table or column that the program expects is missing."""
    message = str(error)
    return find_sqlstate(error) in ("42P01", "42703") or (
        isinstance(error, OperationalError)
        and message.startswith(("no such table", "no such column"))
    )


def first_line(error: BaseException) -> str:
    """Return the first line of an error message, for logs."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
