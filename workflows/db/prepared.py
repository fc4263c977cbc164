"""Prepared statements for the hot path, prepared once per connection.

psycopg2 prepares nothing by itself, and planning a statement that writes to several tables takes
longer than running it. A pooler in transaction mode cannot keep prepared statements; Django's
``DISABLE_SERVER_SIDE_CURSORS`` declares such a pooler, and statements are then planned each time.

If it is not declared, processes share server sessions without knowing it. A statement is therefore
named by a hash of its SQL and types: under one name, a session holds the same statement for every
process, or none.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from workflows.db.faults import find_sqlstate
from workflows.db.vendor import DATABASE

logger = logging.getLogger(__name__)

ON_POSTGRESQL = DATABASE.is_postgresql
UNPREPARED = "DISABLE_SERVER_SIDE_CURSORS"
"""The database setting that declares a pooler in transaction mode."""
_PLACEHOLDER = re.compile(r"\$(\d+)")
_SESSION_KEY = "_holdfast_session"
# A statement of this name exists already; no statement of this name exists.
_SHARED_STATES = {"42P05", "26000"}


class SharedSession(DatabaseError):
    """The database session changed inside a transaction: several connections share it."""


@dataclass(slots=True)
class _Session:
    """The state of a connection: a cursor, the names of prepared statements, cached data.

    The cursor is reused because creating one takes as long as a small statement.
    """

    connection: Any
    cursor: Any
    names: set[str] = field(default_factory=set)
    data: dict[str, Any] = field(default_factory=dict)


def _session(wrapper: BaseDatabaseWrapper) -> _Session:
    # Stored on Django's wrapper, which lives as long as its thread and may reconnect.
    wrapper.close_if_health_check_failed()
    session: _Session | None = wrapper.__dict__.get(_SESSION_KEY)
    is_current = (
        session is not None
        and wrapper.connection is not None
        and session.connection is wrapper.connection
    )
    if session is None or not is_current:
        cursor = wrapper.cursor()
        session = wrapper.__dict__[_SESSION_KEY] = _Session(wrapper.connection, cursor)
    return session


def session_data(using: str = "default") -> dict[str, Any]:
    """Return a dict that lives as long as the connection; callers choose their own keys."""
    return _session(connections[using]).data


@dataclass(frozen=True)
class Statement:
    """A statement with parameters ``$1``, ``$2`` …; ``types`` are their types on PostgreSQL."""

    sql: str
    types: tuple[str, ...] = ()

    @cached_property
    def name(self) -> str:
        """The name in a PostgreSQL session: the same in every process and release."""
        content = repr((self.sql, self.types)).encode()
        return f"holdfast_{hashlib.sha256(content).hexdigest()[:40]}"

    def execute(self, params: Sequence[Any] = (), using: str = "default") -> list[Any]:
        """Run the statement with these parameters and return its rows, if any.

        Raises:
            SharedSession: inside a transaction, a pooler switched to a session in which the
                statement is not prepared.
        """
        wrapper = connections[using]
        session = _session(wrapper)
        # Only a new cursor logs its statements where the connection logs them.
        cursor = wrapper.cursor() if wrapper.queries_logged else session.cursor
        if not (ON_POSTGRESQL and self._execute_prepared(wrapper, session, cursor, params)):
            cursor.execute(self._planned, {f"p{n}": value for n, value in enumerate(params, 1)})
        return cursor.fetchall() if cursor.description else []

    def execute_once(self, params: Sequence[Any] = ()) -> list[Any]:
        """Run the statement without preparing it, for a statement that is rarely run again."""
        cursor = _session(connections["default"]).cursor
        cursor.execute(self._planned, {f"p{n}": value for n, value in enumerate(params, 1)})
        return cursor.fetchall() if cursor.description else []

    def _execute_prepared(
        self, wrapper: BaseDatabaseWrapper, session: _Session, cursor: Any, params: Sequence[Any]
    ) -> bool:
        """Run the prepared statement; return False, with nothing run, if it cannot be prepared."""
        if wrapper.settings_dict.get(UNPREPARED):
            return False
        try:
            self._prepare(session, cursor)
            cursor.execute(self._executed, params)
        except DatabaseError as error:
            if find_sqlstate(error) not in _SHARED_STATES:
                raise
            _stop_preparing(wrapper)
            if wrapper.in_atomic_block or not wrapper.get_autocommit():
                # The error has ended the transaction; only its caller can repeat it.
                raise SharedSession(_POOLED.format(wrapper.alias)) from error
            return False
        return True

    def _prepare(self, session: _Session, cursor: Any) -> None:
        if self.name not in session.names:
            types = f"({', '.join(self.types)})" if self.types else ""
            cursor.execute(f"PREPARE {self.name}{types} AS {self.sql}")
            session.names.add(self.name)

    @cached_property
    def _executed(self) -> str:
        params = ", ".join(["%s"] * len(self.types))
        return f"EXECUTE {self.name}" + (f"({params})" if params else "")

    @cached_property
    def _planned(self) -> str:
        types = dict(enumerate(self.types, 1)) if ON_POSTGRESQL else {}

        def replace(found: re.Match[str]) -> str:
            type_name = types.get(int(found[1]))
            return f"%(p{found[1]})s" + (f"::{type_name}" if type_name else "")

        return _PLACEHOLDER.sub(replace, self.sql)


_POOLED = (
    "A connection pooler in transaction mode is in front of the database “{}”, so prepared "
    "statements cannot be used. Add ?DISABLE_SERVER_SIDE_CURSORS=True to DATABASE_URL, or use "
    "session pooling."
)


def _stop_preparing(wrapper: BaseDatabaseWrapper) -> None:
    """Plan every statement from now on, in every thread, as the setting would."""
    if not wrapper.settings_dict.get(UNPREPARED):
        logger.error(_POOLED.format(wrapper.alias))
        wrapper.settings_dict[UNPREPARED] = True


def shares_sessions(using: str = "default") -> bool:
    """Return True if a pooler shares the sessions of this database among several connections.

    A server sends each connection its session's process id; a pooler does not pass it on. Behind a
    pooler, a transaction on a second connection takes the session that the first has just used, or
    the first one gets another session meanwhile.
    """
    first: Any = connections[using]
    if not ON_POSTGRESQL:
        return False
    with first.cursor() as cursor:
        session = _fetch_session(cursor)
        if session == first.connection.info.backend_pid:
            return False
        second = first.copy()
        try:
            second.ensure_connection()
            second.set_autocommit(False)
            with second.cursor() as other:
                return _fetch_session(other) == session or _fetch_session(cursor) != session
        finally:
            second.close()


def _fetch_session(cursor: Any) -> int:
    cursor.execute("SELECT pg_backend_pid()")
    return int(cursor.fetchone()[0])
