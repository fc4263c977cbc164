"""The store on PostgreSQL: one statement writes an advance, however far it walked.

If nothing was locked before, the statement first takes the locks of a runner, in their order, and
writes nothing if a row of the basis has changed. Rows are read with their ``xmin``, the transaction
that wrote them last; PostgreSQL compares it again after it has waited for a lock.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import ClassVar

import orjson
from django.db import connections
from django.db.models.expressions import RawSQL

from executions.engine.closures import CachedClosure
from executions.engine.store.base import (
    ENTITY_COLUMNS,
    Basis,
    Changes,
    StartBasis,
    Store,
)
from executions.engine.store.write_statement import write_params, write_statement
from executions.models import Entity
from workflows.db import prepared, raw_rows
from workflows.db.prepared import Statement

RESERVED_IDS = 32
IDS_LIFETIME = 1.0
"""Seconds after which reserved ids are dropped, so that ids rise with the time of the start."""

_RESERVE_IDS = Statement(
    "SELECT nextval(pg_get_serial_sequence('executions_execution', 'id'))"
    f" FROM generate_series(1, {RESERVED_IDS})"
)
_IDS_KEY = "ids of executions"


class PostgreSQLStore(Store):
    """Writes with one statement, which compares the basis of an advance without locks."""

    compares_basis: ClassVar = True
    open_steps_table: ClassVar = "executions_step s"
    workflow_revision: ClassVar = RawSQL(
        "workflows_workflow.id || ':' || workflows_workflow.xmin", []
    )
    execution_extras: ClassVar = (
        "(SELECT c.checksum FROM executions_execution r"
        " JOIN executions_closure c ON c.id = r.closure_id"
        " WHERE r.id = COALESCE(x.root_id, x.id)), x.xmin::text, e.xmin::text"
    )

    def entities_for_start(
        self, entity: Entity, closure: CachedClosure
    ) -> Iterator[tuple[Entity, Basis | None]]:
        # The caller's copy first: usually it is how the entity is stored, and need not be read.
        for read in (_copy_of, lambda given: self.entity(given.pk)):
            found = read(entity)
            if found is None or found.context.key != closure.context_key:
                continue
            fields = _fields_text(found)
            if fields is not None:
                yield found, StartBasis(found.pk, fields, closure)

    def execution_ids(self) -> Iterator[int]:
        while True:
            yield _next_id()

    def _write_rows(self, changes: Changes, basis: Basis | None) -> bool:
        shape, params = write_params(changes)
        name, known = (basis.name, basis.params()) if basis else ("locked", [])
        statement = write_statement(name, shape)
        run = statement.execute if shape.is_usual else statement.execute_once
        [(is_done, may_unblock)] = run([*known, *params])
        changes.may_unblock = may_unblock or connections["default"].in_atomic_block
        return bool(is_done)


def _next_id() -> int:
    # Kept with the connection: another process or database must never get these ids.
    data = prepared.session_data()
    ids, until = data.get(_IDS_KEY, ((), 0.0))
    if not ids or time.monotonic() > until:
        ids = deque(row[0] for row in _RESERVE_IDS.execute())
        prepared.session_data()[_IDS_KEY] = (ids, time.monotonic() + IDS_LIFETIME)
    number: int = ids.popleft()
    return number


def _copy_of(entity: Entity) -> Entity | None:
    """Return a copy of the caller's entity; None if it lacks a column that an advance needs.

    The copy may be outdated or hold unsaved values: the write compares its fields with the
    stored ones.
    """
    values = {name: entity.__dict__.get(name) for name in ENTITY_COLUMNS}
    text = _fields_text(entity)
    if text is None or not isinstance(values["fields"], dict):
        return None
    return raw_rows.build_stored(Entity, values | {"fields": orjson.loads(text)})


def _fields_text(entity: Entity) -> str | None:
    """Return the fields of an entity as JSON; None if a value cannot be compared."""
    try:
        text = orjson.dumps(entity.__dict__.get("fields")).decode()
    except orjson.JSONEncodeError:
        return None
    return None if r"\u0000" in text else text
