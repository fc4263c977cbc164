"""The differences between SQLite and PostgreSQL.

``DATABASE`` is the database of this process. Code that has to tell the two apart asks it, and
never looks at ``connection.vendor``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from django.db import connection, transaction
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, Value
from django.db.models.functions import Now
from django.utils import timezone


class Database(Protocol):
    """The operations in which SQLite and PostgreSQL differ."""

    is_postgresql: bool
    key_timing: str
    """The SQL clause that sets the time at which a composite foreign key is checked."""
    has_own_clock: bool
    """True if the database may run on another machine, whose clock differs."""

    def lock_rows(self, connection: Any, table: str, ids: list[int], clause: str) -> list[int]:
        """Lock the rows with these ids in the order of the ids; return the ids locked."""

    def set_lock_timeout(self, connection: Any, milliseconds: int | None) -> None:
        """Limit how long this transaction waits for a lock; None restores the default."""

    def try_lock_sql(self, number: str) -> str:
        """Return an SQL expression that takes the lock of a number until the transaction ends.

        It is true if nobody else has the lock. It never waits.
        """

    def wait_for_lock(self, connection: Any, number: int) -> None:
        """Take the lock of a number until the transaction ends."""

    def open_snapshot(self, using: str, *, writes: bool) -> Any:
        """Return a context manager: a transaction that sees one state of the database."""

    def check_deferred_keys(self, connection: Any) -> None:
        """Check now what would be checked at commit."""

    def compose_letters(self, sql: str, replace: Mapping[str, str]) -> str:
        """Return an SQL expression with its letters composed (NFC), some of them replaced."""

    def define_function(
        self, connection: Any, name: str, arity: int, function: Callable[..., Any]
    ) -> None:
        """Define an SQL function in Python where the database has none."""

    def prepare_connection(self, connection: Any, **kwargs: Any) -> None:
        """Configure a new connection; a receiver of ``connection_created``."""

    def read_clock(self, connection: Any) -> datetime:
        """Return the time of the database; ``workflows.db.clock`` calls it as rarely as it can."""

    def statement_time(self, offset: timedelta = timedelta(0)) -> Any:
        """Return an SQL expression for the time at which the statement starts, plus ``offset``."""


class PostgreSQL:
    """PostgreSQL: row locks, keys that are checked by each statement."""

    is_postgresql = True
    # A deferred check would take its locks at commit, out of order.
    key_timing = "NOT DEFERRABLE"
    has_own_clock = True

    def lock_rows(self, connection: Any, table: str, ids: list[int], clause: str) -> list[int]:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT id FROM {table} WHERE id = ANY(%s) ORDER BY id {clause}", [ids])
            return [row[0] for row in cursor.fetchall()]

    def set_lock_timeout(self, connection: Any, milliseconds: int | None) -> None:
        value = "DEFAULT" if milliseconds is None else f"'{int(milliseconds)}ms'"
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {value}")

    def try_lock_sql(self, number: str) -> str:
        return f"pg_try_advisory_xact_lock({number})"

    def wait_for_lock(self, connection: Any, number: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])

    @contextmanager
    def open_snapshot(self, using: str, *, writes: bool) -> Iterator[None]:
        connection = transaction.get_connection(using)
        is_nested = connection.in_atomic_block
        with transaction.atomic(using=using):
            if not is_nested:
                access = "READ WRITE" if writes else "READ ONLY"
                with connection.cursor() as cursor:
                    cursor.execute(f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ {access}")
            yield

    def check_deferred_keys(self, connection: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")

    def compose_letters(self, sql: str, replace: Mapping[str, str]) -> str:
        sql = f"NORMALIZE({sql}, NFC)"
        for letter, other in replace.items():
            sql = f"REPLACE({sql}, '{letter}', '{other}')"
        return sql

    def define_function(
        self, connection: Any, name: str, arity: int, function: Callable[..., Any]
    ) -> None:
        """PostgreSQL's own functions know every script."""

    def prepare_connection(self, connection: Any, **kwargs: Any) -> None:
        """A connection to PostgreSQL needs nothing more than Django configures."""

    def read_clock(self, connection: Any) -> datetime:
        # As Django's cursor does, but past it: the reading belongs to no request, and tests count
        # statements.
        connection.close_if_health_check_failed()
        connection.ensure_connection()
        with connection.wrap_database_errors, connection.connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            moment: datetime = cursor.fetchone()[0]
        return moment.astimezone(UTC)

    def statement_time(self, offset: timedelta = timedelta(0)) -> Any:
        if not offset:
            return Now()
        moment = Now() + Value(offset, output_field=DurationField())
        return ExpressionWrapper(moment, output_field=DateTimeField())


class SQLite:
    """SQLite: one writer at a time (``transaction_mode`` IMMEDIATE), and no row locks."""

    is_postgresql = False
    # Django's flush deletes tables in random order.
    key_timing = "DEFERRABLE INITIALLY DEFERRED"
    has_own_clock = False

    def lock_rows(self, connection: Any, table: str, ids: list[int], clause: str) -> list[int]:
        return ids

    def set_lock_timeout(self, connection: Any, milliseconds: int | None) -> None:
        """The only writer waits for no lock inside its transaction."""

    def try_lock_sql(self, number: str) -> str:
        # The only writer has every lock.
        return f"({number} IS NOT NULL)"

    def wait_for_lock(self, connection: Any, number: int) -> None:
        """The only writer has every lock."""

    @contextmanager
    def open_snapshot(self, using: str, *, writes: bool) -> Iterator[None]:
        connection: Any = transaction.get_connection(using)
        # Django reads the mode from the settings when it connects.
        connection.ensure_connection()
        mode, connection.transaction_mode = connection.transaction_mode, "DEFERRED"
        try:
            with transaction.atomic(using=using):
                yield
        finally:
            connection.transaction_mode = mode

    def check_deferred_keys(self, connection: Any) -> None:
        """SQLite cannot check deferred keys before the commit."""

    def compose_letters(self, sql: str, replace: Mapping[str, str]) -> str:
        # The LIKE of ``text_search`` composes letters itself.
        return sql

    def define_function(
        self, connection: Any, name: str, arity: int, function: Callable[..., Any]
    ) -> None:
        connection.connection.create_function(name, arity, function, deterministic=True)

    def prepare_connection(self, connection: Any, **kwargs: Any) -> None:
        # Django 5.2 allows 999 parameters, 55 steps in a statement; later versions ask SQLite for
        # its limit themselves, by a property.
        features = connection.features
        if isinstance(type(features).max_query_params, int):
            features.max_query_params = connection.connection.getlimit(
                sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER
            )

    def read_clock(self, connection: Any) -> datetime:
        return timezone.now()

    def statement_time(self, offset: timedelta = timedelta(0)) -> Any:
        # The database runs in this process.
        return Value(timezone.now() + offset, output_field=DateTimeField())


DATABASE: Database = PostgreSQL() if connection.vendor == "postgresql" else SQLite()
