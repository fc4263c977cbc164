"""Statements of the hot path, prepared once for each connection.

psycopg2 prepares nothing by itself, and planning a statement that writes to several tables takes
longer than running it. A connection that goes through a pooler which hands it out by the
transaction cannot keep a prepared statement: Django's ``DISABLE_SERVER_SIDE_CURSORS`` says so,
and statements are planned each time.

Where nobody has said so, processes share the sessions of the server without knowing it. A
statement is therefore named by a hash of what it is: under one name, a session holds the same
statement for everybody, or none.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db import DatabaseError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from workflows.db.faults import state_of

logger = logging.getLogger(__name__)

ON_POSTGRESQL = connection.vendor == "postgresql"
UNPREPARED = "DISABLE_SERVER_SIDE_CURSORS"
"""The setting of a database behind a pooler that gives a session to each transaction."""
_PLACE = re.compile(r"\$(\d+)")
_KEPT = "_holdfast_session"
# The session has a statement of this name already; it has none.
_SHARED_STATES = {"42P05", "26000"}


class SharedSession(DatabaseError):
    """The database session changed inside a transaction: several connections share it."""


@dataclass(slots=True)
class _Session:
    """What is kept with a connection: a cursor, for making one takes as long as a small
    statement, and the names of what has been prepared.
    """

    connection: Any
    cursor: Any
    names: set[str] = field(default_factory=set)
    kept: dict[str, Any] = field(default_factory=dict)


def _session(wrapper: BaseDatabaseWrapper) -> _Session:
    # With Django's wrapper, which lives as long as its thread; a new connection has a new one.
    wrapper.close_if_health_check_failed()
    kept: _Session | None = wrapper.__dict__.get(_KEPT)
    if kept is None or wrapper.connection is None or kept.connection is not wrapper.connection:
        cursor = wrapper.cursor()
        kept = wrapper.__dict__[_KEPT] = _Session(wrapper.connection, cursor)
    return kept


def kept(using: str = "default") -> dict[str, Any]:
    """What others keep with the connection, by names of theirs; a new connection has nothing."""
    return _session(connections[using]).kept


@dataclass(frozen=True)
class Statement:
    """A statement with ``$1``, ``$2`` … for its parameters; ``types`` are theirs on PostgreSQL."""

    sql: str
    types: tuple[str, ...] = ()

    @cached_property
    def name(self) -> str:
        """The name in a session of PostgreSQL: the same in every process and release."""
        content = repr((self.sql, self.types)).encode()
        return f"holdfast_{hashlib.sha256(content).hexdigest()[:40]}"

    def execute(self, params: Sequence[Any] = (), using: str = "default") -> list[Any]:
        """Run it with these parameters.

        Returns:
            The rows that it returns, none if it returns none.

        Raises:
            SharedSession: a pooler took away the session that had it prepared, in a transaction.
        """
        wrapper = connections[using]
        session = _session(wrapper)
        # A connection that logs its statements has cursors that do.
        cursor = wrapper.cursor() if wrapper.queries_logged else session.cursor
        if not (ON_POSTGRESQL and self._execute_prepared(wrapper, session, cursor, params)):
            cursor.execute(self._planned, {f"p{n}": value for n, value in enumerate(params, 1)})
        return cursor.fetchall() if cursor.description else []

    def _execute_prepared(
        self, wrapper: BaseDatabaseWrapper, session: _Session, cursor: Any, params: Sequence[Any]
    ) -> bool:
        """Run it as prepared; return False, with nothing done, where nothing can stay prepared."""
        if wrapper.settings_dict.get(UNPREPARED):
            return False
        try:
            self._prepare(session, cursor)
            cursor.execute(self._executed, params)
        except DatabaseError as error:
            if state_of(error) not in _SHARED_STATES:
                raise
            _stop_preparing(wrapper)
            if wrapper.in_atomic_block or not wrapper.get_autocommit():
                # The error has ended the transaction: only its caller can begin it anew.
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
        places = ", ".join(["%s"] * len(self.types))
        return f"EXECUTE {self.name}" + (f"({places})" if places else "")

    @cached_property
    def _planned(self) -> str:
        kinds = dict(enumerate(self.types, 1)) if ON_POSTGRESQL else {}

        def place(found: re.Match[str]) -> str:
            kind = kinds.get(int(found[1]))
            return f"%(p{found[1]})s" + (f"::{kind}" if kind else "")

        return _PLACE.sub(place, self.sql)


_POOLED = (
    "A pooler gives each transaction another session of the database “{}”, so that nothing can "
    "stay prepared there. Add ?DISABLE_SERVER_SIDE_CURSORS=True to DATABASE_URL, or pool by the "
    "session."
)


def _stop_preparing(wrapper: BaseDatabaseWrapper) -> None:
    """Plan each statement from now on, in every thread: as the setting would have it."""
    if not wrapper.settings_dict.get(UNPREPARED):
        logger.error(_POOLED.format(wrapper.alias))
        wrapper.settings_dict[UNPREPARED] = True


def shares_sessions(using: str = "default") -> bool:
    """Return whether a pooler gives a session of this database to several connections at once.

    A server names the session to a connection that it accepts; a pooler does not pass that on.
    Behind one, a transaction on a second connection takes the session that the first has just
    used, or the first is given another one meanwhile.
    """
    first: Any = connections[using]
    if first.vendor != "postgresql":
        return False
    with first.cursor() as cursor:
        session = _ask_session(cursor)
        if session == first.connection.info.backend_pid:
            return False
        second = first.copy()
        try:
            second.ensure_connection()
            second.set_autocommit(False)
            with second.cursor() as other:
                return _ask_session(other) == session or _ask_session(cursor) != session
        finally:
            second.close()


def _ask_session(cursor: Any) -> int:
    cursor.execute("SELECT pg_backend_pid()")
    return int(cursor.fetchone()[0])
