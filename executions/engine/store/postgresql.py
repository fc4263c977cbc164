"""The store on PostgreSQL: one statement writes an advance, however far it walked.

The statement takes the rows as one JSON text. If nothing was locked before, it first takes the
locks of a runner, in their order, and writes nothing if a row of the basis has changed. Rows are
read with their ``xmin``, the transaction that wrote them last; PostgreSQL compares it again after
it has waited for a lock.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any, ClassVar

import orjson
from django.db import connections, models
from django.db.models.expressions import RawSQL

from executions.engine.closures import CachedClosure
from executions.engine.store.base import (
    COUNT_CURRENT,
    ENTITY_CHANGES,
    ENTITY_COLUMNS,
    EXECUTION_CHANGES,
    STEP_CHANGES,
    Basis,
    Changes,
    StartBasis,
    Store,
    columns_of_new,
)
from executions.models import Entity, Execution, Step
from workflows.db import prepared, raw_rows
from workflows.db.prepared import Statement
from workflows.editing.drain import WAITING

MOST_PARTS = 4
"""Up to so many changed rows of a table, each has a part of the statement of its own."""
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
        rows: dict[str, Any] = {
            "executions": [_row(row, columns_of_new(Execution)) for row in changes.executions],
            "steps": [_row(row, columns_of_new(Step)) for row in changes.steps],
            "jobs": [
                {
                    "step_id": job.step_id,
                    "cuid": job.step.cuid,
                    "kind": job.kind,
                    "due_at": job.due_at,
                }
                for job in changes.jobs
            ],
            "changed_steps": [
                _row(row, ("id", *STEP_CHANGES)) for row in changes.changed_steps.values()
            ],
            "without_job": changes.without_job,
            "drafts": changes.closed_forms,
            "changed_executions": [
                _row(row, ("id", *EXECUTION_CHANGES)) for row in changes.changed_executions.values()
            ],
            "entity": changes.entity and _row(changes.entity, ("id", *ENTITY_CHANGES)),
        }
        given = {name: found for name, found in rows.items() if found}
        # One statement inserts any number of rows; an update has a part for each row.
        counts = tuple(
            (name, min(len(found), MOST_PARTS + 1) if name.startswith("changed") else 1)
            for name, found in given.items()
        )
        name, params = (basis.name, basis.params()) if basis else ("locked", [])
        [(is_done, may_unblock)] = _statement(name, counts).execute([_text(given), *params])
        changes.may_unblock = may_unblock or connections["default"].in_atomic_block
        return bool(is_done)


# Reading


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


# Writing

_LOCKED = "ok AS (SELECT 1)"

_SAME_TREE = """
root AS MATERIALIZED (
  SELECT x.id FROM executions_execution x WHERE x.id = $2 AND x.xmin::text = $3 FOR UPDATE),
ok AS MATERIALIZED (
  SELECT e.id FROM root, LATERAL (
    SELECT e.id FROM executions_entity e
    WHERE e.id = $4 AND e.xmin::text = $5 FOR NO KEY UPDATE) e)"""

_SAME_CLOSURE = f"""
entity AS MATERIALIZED (
  SELECT e.id FROM executions_entity e
  WHERE e.id = $2 AND e.fields = $3 AND e.context_key = $4 FOR NO KEY UPDATE),
shared AS MATERIALIZED (
  SELECT w.id FROM entity, LATERAL (
    SELECT w.id FROM workflows_workflow w
    WHERE w.id = ANY($5) AND w.id || ':' || w.xmin = ANY($6) ORDER BY w.id FOR KEY SHARE) w),
ok AS MATERIALIZED (
  SELECT 1 WHERE (SELECT count(*) FROM shared) = $7
  AND ({COUNT_CURRENT.format(these="v.id = ANY($8) AND v.checksum = ANY($9)")}) = $7
  AND ($10 IS NULL OR EXISTS (
    SELECT 1 FROM executions_closure c
    WHERE c.id = $10 AND c.checksum = $11 AND c.context_key = $4)))"""

_HEADS: dict[str, tuple[str, tuple[str, ...]]] = {
    "locked": (_LOCKED, ()),
    "tree": (_SAME_TREE, ("bigint", "text", "bigint", "text")),
    "closure": (
        _SAME_CLOSURE,
        (
            *("bigint", "jsonb", "text", "bigint[]"),
            *("text[]", "bigint", "bigint[]", "text[]", "bigint", "text"),
        ),
    ),
}
"""The first part of the statement by the name of the basis, and the types of its parameters."""

_JOBS = """
jobs AS (
  INSERT INTO executions_job (step_id, kind, due_at, attempt, fence)
  SELECT {step}, r.kind, r.due_at, 0, 0
  FROM ok, jsonb_to_recordset($1 -> 'jobs')
    AS r(step_id bigint, cuid text, kind text, due_at timestamptz){new})"""

_WITHOUT_JOB = """
without_job AS (
  DELETE FROM executions_job t USING ok
  WHERE t.step_id IN (SELECT v::bigint FROM jsonb_array_elements_text($1 -> 'without_job') v))"""

_DRAFTS = """
drafts AS (
  DELETE FROM executions_formdraft t USING ok
  WHERE t.step_id = ANY(ARRAY(
    SELECT v::bigint FROM jsonb_array_elements_text($1 -> 'drafts') v)))"""

_ENTITY = """
entity_written AS (
  UPDATE executions_entity t
  SET fields = r.fields, updated_at = r.updated_at
  FROM ok, jsonb_populate_record(NULL::executions_entity, $1 -> 'entity') r
  WHERE t.id = r.id)"""


def _insert(name: str, model: type[models.Model], returning: str = "") -> str:
    table, columns = model._meta.db_table, columns_of_new(model)
    return (
        f"{name} AS (INSERT INTO {table} ({', '.join(columns)})"
        f" SELECT {', '.join(f'r.{column}' for column in columns)}"
        f" FROM ok, jsonb_populate_recordset(NULL::{table}, $1 -> '{name}') r{returning})"
    )


def _updates(name: str, model: type[models.Model], columns: Sequence[str], count: int) -> list[str]:
    """Return a part for each of a few rows, or one part for many.

    The planner estimates a set at a hundred rows, and would read the whole table for it.
    """
    table = model._meta.db_table
    sources = [
        (f"{name}_{place}", f"jsonb_populate_record(NULL::{table}, $1 -> '{name}' -> {place})")
        for place in range(count)
    ]
    if count > MOST_PARTS:
        sources = [(name, f"jsonb_populate_recordset(NULL::{table}, $1 -> '{name}')")]
    assignments = ", ".join(f"{column} = r.{column}" for column in columns)
    return [
        f"{part} AS (UPDATE {table} t SET {assignments} FROM ok, {source} r WHERE t.id = r.id)"
        for part, source in sources
    ]


@cache
def _statement(basis: str, counts: tuple[tuple[str, int], ...]) -> Statement:
    """Return the statement for these numbers of rows. Each combination is prepared once."""
    head, types = _HEADS[basis]
    count = dict(counts)
    has_new_steps = "steps" in count
    jobs = _JOBS.format(
        step="COALESCE(r.step_id, s.id)" if has_new_steps else "r.step_id",
        new=" LEFT JOIN steps s ON s.cuid = r.cuid" if has_new_steps else "",
    )
    parts = {
        "executions": [_insert("executions", Execution)],
        "steps": [_insert("steps", Step, " RETURNING id, cuid" if "jobs" in count else "")],
        "jobs": [jobs],
        "changed_steps": _updates(
            "changed_steps", Step, STEP_CHANGES, count.get("changed_steps", 0)
        ),
        "without_job": [_WITHOUT_JOB],
        "drafts": [_DRAFTS],
        "changed_executions": _updates(
            "changed_executions",
            Execution,
            EXECUTION_CHANGES,
            count.get("changed_executions", 0),
        ),
        "entity": [_ENTITY],
    }
    written = [text for name in parts if name in count for text in parts[name]]
    sql = f"WITH {', '.join([head, *written])} SELECT count(*), EXISTS({WAITING}) FROM ok"
    return Statement(sql, ("jsonb", *types))


def _text(given: dict[str, Any]) -> str:
    try:
        return orjson.dumps(given).decode()
    except orjson.JSONEncodeError:
        # orjson refuses whole numbers of more than 64 bits.
        return json.dumps(given, default=datetime.isoformat, ensure_ascii=False)


def _row(row: models.Model, columns: Iterable[str]) -> dict[str, Any]:
    """Return the row as an object without its NULL columns."""
    values = row.__dict__
    return {column: values[column] for column in columns if values[column] is not None}
