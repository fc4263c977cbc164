"""Statements of the hot path, prepared once for each connection.

psycopg2 prepares nothing by itself, and planning a statement that writes to several tables takes
longer than running it. A connection that goes through a pooler which hands it out by the
transaction cannot keep a prepared statement: Django's ``DISABLE_SERVER_SIDE_CURSORS`` says so,
and statements are planned each time.
"""

from __future__ import annotations

import itertools
import re
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

ON_POSTGRESQL = connection.vendor == "postgresql"
_PLACEHOLDER = re.compile("%s")
_prepared: weakref.WeakKeyDictionary[Any, set[str]] = weakref.WeakKeyDictionary()
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Statement:
    """A statement with ``%s`` for each parameter; ``types`` are their types on PostgreSQL."""

    sql: str
    types: tuple[str, ...] = ()
    name: str = field(default_factory=lambda: f"holdfast_{next(_numbers)}")

    def execute(self, params: Sequence[Any] = (), using: str = "default") -> list[Any]:
        """Run it with these parameters; the rows that it returns, none if it returns none."""
        wrapper = connections[using]
        with wrapper.cursor() as cursor:
            cursor.execute(self._ready(wrapper, cursor), params)
            return cursor.fetchall() if cursor.description else []

    def _ready(self, wrapper: BaseDatabaseWrapper, cursor: Any) -> str:
        pooled = wrapper.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
        if not ON_POSTGRESQL or pooled:
            return self.sql
        known = _prepared.setdefault(wrapper.connection, set())
        if self.name not in known:
            numbers = itertools.count(1)
            text = _PLACEHOLDER.sub(lambda _: f"${next(numbers)}", self.sql).replace("%%", "%")
            types = f"({', '.join(self.types)})" if self.types else ""
            cursor.execute(f"PREPARE {self.name}{types} AS {text}")
            known.add(self.name)
        places = ", ".join(["%s"] * len(self.types))
        return f"EXECUTE {self.name}" + (f"({places})" if places else "")
