"""Checks of the database that a server and a worker need, for probes and commands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections

from executions.worker import heartbeat
from workflows.db import locks, write_once
from workflows.db.faults import find_fault, first_line, is_unmigrated
from workflows.db.migration_state import MIGRATE, describe_unapplied
from workflows.db.prepared import UNPREPARED, shares_sessions
from workflows.db.vendor import DATABASE

BUSY_MILLISECONDS = 500


@dataclass(frozen=True, slots=True)
class Fault:
    """A failed check. ``detail`` contains nothing secret; ``remedy`` says what an operator does."""

    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Check:
    """A named check. ``find_fault`` returns its fault, or None if it passes."""

    name: str
    find_fault: Callable[[], Fault | None]
    needs_database: bool = True


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a check. ``fault`` is None if it passed or was skipped.

    ``error`` is the message of the database. It may contain host names and parts of statements, so
    it is for logs and commands only.
    """

    name: str
    fault: Fault | None = None
    error: str = ""
    is_skipped: bool = False

    @property
    def text(self) -> str:
        """Return one line for operators."""
        if self.fault is None:
            return f"{self.name}: {'skipped' if self.is_skipped else 'ok'}"
        error = f" ({self.error})" if self.error else ""
        return f"{self.name}: {self.fault.detail}{error} {self.fault.remedy}"


def check_database() -> Fault | None:
    """Return a fault if the database cannot be written."""
    connection = connections[DEFAULT_DB_ALIAS]
    if DATABASE.is_postgresql:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_is_in_recovery(), current_setting('transaction_read_only')")
            is_standby, read_only = cursor.fetchone()
        if not is_standby and read_only == "off":
            return None
        found = "a standby" if is_standby else "read-only"
        return Fault(f"The database is {found}.", "Connect to the primary server.")
    _write_on_sqlite()
    return None


def _write_on_sqlite() -> None:
    """Begin a write and roll it back. Raise ``DatabaseError`` if the file cannot be written."""
    connection = connections[DEFAULT_DB_ALIAS]
    timeout = connection.settings_dict["OPTIONS"]["timeout"] * 1000
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        try:
            if not connection.in_atomic_block:
                cursor.execute("BEGIN IMMEDIATE")
                cursor.execute("ROLLBACK")
        except DatabaseError as error:
            # Another connection writes, so the file can be written.
            if not locks.is_transient(error):
                raise
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {timeout}")


def check_migrations() -> Fault | None:
    """Return a fault if migrations are not applied."""
    detail = describe_unapplied(DEFAULT_DB_ALIAS)
    return Fault(detail, MIGRATE) if detail else None


def refuse_unmigrated() -> None:
    """Raise ``ImproperlyConfigured`` if the database is not migrated.

    If the database cannot be reached, the process starts, and works when the database does.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        fault = check_migrations()
    except (DatabaseError, InterfaceError):
        return
    finally:
        # A server may fork after this.
        connection.close()
    if fault is not None:
        raise ImproperlyConfigured(f"{fault.detail} {fault.remedy}")


def check_triggers() -> Fault | None:
    """Return a fault if write-once triggers are missing."""
    missing = write_once.find_missing(connections[DEFAULT_DB_ALIAS])
    if not missing:
        return None
    noun = "trigger is" if len(missing) == 1 else "triggers are"
    return Fault(f"{len(missing)} write-once {noun} missing ({missing[0]} …).", MIGRATE)


def check_pooler() -> Fault | None:
    """Return a fault if a pooler in transaction mode breaks prepared statements."""
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.settings_dict.get(UNPREPARED) or not shares_sessions():
        return None
    return Fault(
        "The database is behind a pooler in transaction mode, which breaks prepared statements.",
        f"Add ?{UNPREPARED}=True to DATABASE_URL, or use session mode.",
    )


def check_worker() -> Fault | None:
    """Return a fault if no worker has been seen for a minute."""
    age = heartbeat.seconds_since_last_beat()
    if not heartbeat.is_worker_missing(age):
        return None
    detail = "No worker has ever run." if age is None else f"The last worker ran {age:.0f} s ago."
    return Fault(detail, "Run: manage.py work")


CHECKS: tuple[Check, ...] = (
    Check("database", check_database),
    Check("migrations", check_migrations),
    Check("triggers", check_triggers),
    Check("pooler", check_pooler),
    Check("worker", check_worker),
)
"""The checks in order. The others are skipped if the database cannot be read."""


def run_checks(exclude: Collection[str] = (), checks: Sequence[Check] = CHECKS) -> Iterator[Result]:
    """Yield the result of each check.

    Args:
        exclude: the names of checks that are not run.
        checks: the checks to choose from.
    """
    is_reachable = True
    for check in checks:
        if check.name in exclude:
            continue
        if check.needs_database and not is_reachable:
            yield Result(check.name, is_skipped=True)
            continue
        try:
            yield Result(check.name, check.find_fault())
        except (DatabaseError, InterfaceError) as error:
            if is_unmigrated(error):
                yield Result(check.name, Fault("The database is not migrated.", MIGRATE))
                continue
            is_reachable = False
            yield Result(check.name, _fault_of(error), first_line(error))


def _fault_of(error: Exception) -> Fault:
    known = find_fault(error)
    detail = str(known.detail) if known is not None else "The database returned an error."
    return Fault(detail, "Check DATABASE_URL, the database and the log.")
