"""Statements of the hot path, prepared once for each connection.

psycopg2 prepares nothing by itself, and planning a statement that writes to several tables takes
longer than running it. A connection that goes through a pooler which hands it out by the
transaction cannot keep a prepared statement: Django's ``DISABLE_SERVER_SIDE_CURSORS`` says so,
and statements are planned each time.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

ON_POSTGRESQL = connection.vendor == "postgresql"
_PLACE = re.compile(r"\$(\d+)")
_numbers = itertools.count(1)
_KEPT = "_holdfast_session"


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
    name: str = field(default_factory=lambda: f"holdfast_{next(_numbers)}")

    def execute(self, params: Sequence[Any] = (), using: str = "default") -> list[Any]:
        """Run it with these parameters; the rows that it returns, none if it returns none."""
        wrapper = connections[using]
        session = _session(wrapper)
        # A connection that logs its statements has cursors that do.
        cursor = wrapper.cursor() if wrapper.queries_logged else session.cursor
        if ON_POSTGRESQL and not wrapper.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
            self._prepare(session, cursor)
            cursor.execute(self._executed, params)
        else:
            cursor.execute(self._planned, {f"p{n}": value for n, value in enumerate(params, 1)})
        return cursor.fetchall() if cursor.description else []

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
