"""Writing what an advance brought about: one statement on PostgreSQL, however far it walked.

The statement takes the rows as one JSON text. Where nothing was locked before, it first takes
the locks of a runner, in their order, and writes nothing when a row that was decided by is no
longer the one that was read: the compared ``xmin`` is looked at again once a lock was waited for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, ClassVar

import orjson
from django.db import connections, models, transaction

from executions.engine.closures import HOLDS, Closure
from executions.models import Entity, Execution, Job, Pin, Step
from workflows.db.prepared import ON_POSTGRESQL, Statement
from workflows.editing.drain import WAITING

MOST_PARTS = 4
USER_ACTION = "user_action"
EXECUTION_CHANGES = ("status", "message", "ended_at", "stage", "progress", "updated_at")
ENTITY_CHANGES = ("fields", "updated_at")
STEP_CHANGES = (
    "state",
    "closed_at",
    "closed_by_id",
    "input",
    "output",
    "handle",
    "incident",
    "child_id",
    "due_at",
    "overdue",
    "attempt",
)


@dataclass(frozen=True, slots=True)
class TreeBasis:
    """A root and an entity that were read without a lock, and who wrote them last."""

    kind: ClassVar = "tree"

    root_id: int
    root_xmin: str
    entity_id: int
    entity_xmin: str

    def params(self) -> list[Any]:
        """What the statement compares."""
        return [self.root_id, self.root_xmin, self.entity_id, self.entity_xmin]


@dataclass(frozen=True, slots=True)
class StartBasis:
    """An entity with its fields as JSON, and a closure, that were taken to be so."""

    kind: ClassVar = "closure"

    entity_id: int
    fields: str
    closure: Closure

    def params(self) -> list[Any]:
        """What the statement compares."""
        return [
            self.entity_id,
            self.fields,
            self.closure.context_key,
            self.closure.workflow_ids,
            list(self.closure.written),
            len(self.closure.workflow_ids),
            self.closure.version_ids,
            self.closure.checksums,
        ]


Basis = TreeBasis | StartBasis
"""What was read without a lock and has to be still so."""


@dataclass(slots=True)
class Changes:
    """The rows that are new, and those that are not what they were."""

    executions: list[Execution] = field(default_factory=list)
    pins: list[Pin] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    changed_executions: dict[int, Execution] = field(default_factory=dict)
    changed_steps: dict[int, Step] = field(default_factory=dict)
    entity: Entity | None = None
    held: bool = True
    """Whether a change may be on hold: known, where the statement that writes is all there is."""

    @property
    def closed_forms(self) -> list[int]:
        """The changed steps whose drafts go: forms that are closed now."""
        return [
            step.pk
            for step in self.changed_steps.values()
            if step.type == USER_ACTION and not step.is_open
        ]

    @property
    def without_job(self) -> list[int]:
        """The changed steps that nobody comes back to; only those that had a time have a job."""
        return [
            step.pk
            for step in self.changed_steps.values()
            if step.due_at is not None and not (step.is_open and step.state != Step.State.INCIDENT)
        ]


def write(changes: Changes, basis: Basis | None = None) -> bool:
    """Write; False, and nothing is written, when what ``basis`` names is no longer so."""
    if not ON_POSTGRESQL:
        _one_by_one(changes)
    elif not _at_once(changes, basis):
        return False
    for row in changes.executions:
        row._state.adding = False
        row._state.db = "default"
    return True


# PostgreSQL

_LOCKED = "ok AS (SELECT 1)"

_SAME_TREE = """
root AS MATERIALIZED (
  SELECT x.id FROM executions_execution x WHERE x.id = $2 AND x.xmin::text = $3 FOR UPDATE),
ok AS MATERIALIZED (
  SELECT e.id FROM root, LATERAL (
    SELECT e.id FROM executions_entity e
    WHERE e.id = $4 AND e.xmin::text = $5 FOR NO KEY UPDATE) e)"""
_SAME_TREE_TYPES = ("bigint", "text", "bigint", "text")

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
  AND ({HOLDS.format(these="v.id = ANY($8) AND v.checksum = ANY($9)")}) = $7)"""
_SAME_CLOSURE_TYPES = (
    "bigint",
    "jsonb",
    "text",
    "bigint[]",
    "text[]",
    "bigint",
    "bigint[]",
    "text[]",
)

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


@cache
def _columns(model: type[models.Model]) -> tuple[str, ...]:
    """What is written of a new row; the ids of executions are drawn before, others here."""
    return tuple(
        field.column
        for field in model._meta.concrete_fields
        if not field.generated and (model is Execution or not field.primary_key)
    )


def _insert(name: str, model: type[models.Model], returning: str = "") -> str:
    table, columns = model._meta.db_table, _columns(model)
    return (
        f"{name} AS (INSERT INTO {table} ({', '.join(columns)})"
        f" SELECT {', '.join(f'r.{column}' for column in columns)}"
        f" FROM ok, jsonb_populate_recordset(NULL::{table}, $1 -> '{name}') r{returning})"
    )


def _updates(name: str, model: type[models.Model], columns: Sequence[str], count: int) -> list[str]:
    """A part for each row: the planner expects a hundred of a set, and reads the table for it."""
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
    """The statement that writes so many rows; there are few combinations, each prepared once."""
    heads: dict[str, tuple[str, tuple[str, ...]]] = {
        "locked": (_LOCKED, ()),
        "tree": (_SAME_TREE, _SAME_TREE_TYPES),
        "closure": (_SAME_CLOSURE, _SAME_CLOSURE_TYPES),
    }
    head, types = heads[basis]
    count = dict(counts)
    new = "steps" in count
    jobs = _JOBS.format(
        step="COALESCE(r.step_id, s.id)" if new else "r.step_id",
        new=" LEFT JOIN steps s ON s.cuid = r.cuid" if new else "",
    )
    texts = {
        "executions": [_insert("executions", Execution)],
        "pins": [_insert("pins", Pin)],
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
    written = [text for name in texts if name in count for text in texts[name]]
    sql = f"WITH {', '.join([head, *written])} SELECT count(*), EXISTS({WAITING}) FROM ok"
    return Statement(sql, ("jsonb", *types))


def _at_once(changes: Changes, basis: Basis | None) -> bool:
    rows: dict[str, Any] = {
        "executions": [_row(row, _columns(Execution)) for row in changes.executions],
        "pins": [_row(row, _columns(Pin)) for row in changes.pins],
        "steps": [_row(row, _columns(Step)) for row in changes.steps],
        "jobs": [
            {"step_id": job.step_id, "cuid": job.step.cuid, "kind": job.kind, "due_at": job.due_at}
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
    text = _text(given)
    # Of what is inserted any number takes the same statement.
    counts = tuple(
        (name, min(len(found), MOST_PARTS + 1) if name.startswith("changed") else 1)
        for name, found in given.items()
    )
    kind, params = (basis.kind, basis.params()) if basis else ("locked", [])
    [(done, held)] = _statement(kind, counts).execute([text, *params])
    changes.held = held or connections["default"].in_atomic_block
    return bool(done)


def _text(given: dict[str, Any]) -> str:
    try:
        return orjson.dumps(given).decode()
    except orjson.JSONEncodeError:
        # It writes no whole number of more than 64 bits.
        return json.dumps(given, default=datetime.isoformat, ensure_ascii=False)


def _row(row: models.Model, columns: Iterable[str]) -> dict[str, Any]:
    """The row as an object; what it leaves out is NULL."""
    values = row.__dict__
    return {column: values[column] for column in columns if values[column] is not None}


# SQLite, whose writer is alone


def _one_by_one(changes: Changes) -> None:
    with transaction.atomic(savepoint=False), connections["default"].cursor() as cursor:
        news: tuple[tuple[type[models.Model], Sequence[models.Model]], ...] = (
            (Execution, changes.executions),
            (Pin, changes.pins),
            (Step, changes.steps),
        )
        for model, rows in news:
            _run_many(cursor, _insert_sql(model), model, rows, _columns(model))
        jobs: list[Any] = [[job.kind, job.due_at, job.step.cuid] for job in changes.jobs]
        if jobs:
            cursor.executemany(_INSERT_JOB, jobs)
        changed: tuple[tuple[type[models.Model], Iterable[models.Model], tuple[str, ...]], ...] = (
            (Step, changes.changed_steps.values(), STEP_CHANGES),
            (Execution, changes.changed_executions.values(), EXECUTION_CHANGES),
            (Entity, [changes.entity] if changes.entity else [], ENTITY_CHANGES),
        )
        for model, found, columns in changed:
            _run_many(cursor, _update_sql(model, columns), model, found, (*columns, "id"))
        if without := [[step] for step in changes.without_job]:
            cursor.executemany("DELETE FROM executions_job WHERE step_id = %s", without)
        if closed := [[step] for step in changes.closed_forms]:
            cursor.executemany("DELETE FROM executions_formdraft WHERE step_id = %s", closed)


_INSERT_JOB = (
    "INSERT INTO executions_job (step_id, kind, due_at, attempt, fence)"
    " SELECT id, %s, %s, 0, 0 FROM executions_step WHERE cuid = %s"
)


@cache
def _insert_sql(model: type[models.Model]) -> str:
    columns = _columns(model)
    places = ", ".join(["%s"] * len(columns))
    return f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) VALUES ({places})"


@cache
def _update_sql(model: type[models.Model], columns: tuple[str, ...]) -> str:
    assignments = ", ".join(f"{column} = %s" for column in columns)
    return f"UPDATE {model._meta.db_table} SET {assignments} WHERE id = %s"


@cache
def _adapters(
    model: type[models.Model], columns: tuple[str, ...]
) -> list[tuple[str, Callable[[Any], Any] | None]]:
    adapters: dict[str, Callable[[Any], Any]] = {
        "DateTimeField": connections["default"].ops.adapt_datetimefield_value,
        "JSONField": json.dumps,
    }
    kinds = {field.column: field.get_internal_type() for field in model._meta.concrete_fields}
    return [(column, adapters.get(kinds[column])) for column in columns]


def _run_many(
    cursor: Any,
    sql: str,
    model: type[models.Model],
    rows: Iterable[models.Model],
    columns: tuple[str, ...],
) -> None:
    params = [
        [
            value if adapt is None or value is None else adapt(value)
            for value, adapt in (
                (row.__dict__[column], adapt) for column, adapt in _adapters(model, columns)
            )
        ]
        for row in rows
    ]
    if params:
        cursor.executemany(sql, params)
