"""The statement on PostgreSQL that writes an advance: its SQL, and the parameters in their order.

Each row has a parameter for each of its columns. The first part of the statement, ``ok``, has one
row if nothing that the advance was based on has changed; every other part depends on it. If the
advance stores the answer of a request with an ``Idempotency-Key``, they depend on that part, which
has no row if the key has an answer already.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple

import orjson
from django.db import connection, models

from executions.engine.store.base import (
    COUNT_CURRENT,
    ENTITY_CHANGES,
    EXECUTION_CHANGES,
    STEP_CHANGES,
    Changes,
    columns_of_new,
)
from executions.models import Entity, Execution, Step
from workflows.db.prepared import Statement
from workflows.editing.drain import WAITING
from workflows.editing.idempotency import ROW_TYPES, insert_sql

MOST_ROWS = 4
"""Up to so many rows of a kind, the statement is prepared. Wider advances are rare."""
PREPARED_SHAPES = 500


class Shape(NamedTuple):
    """The numbers of rows of an advance; together with the basis, they determine the statement."""

    executions: int
    steps: int
    jobs: int
    changed_steps: int
    changed_executions: int
    entities: int
    has_without_job: bool
    has_closed_forms: bool
    has_answer: bool

    @property
    def is_usual(self) -> bool:
        return max(self) <= MOST_ROWS


_LOCKED = "ok AS (SELECT 1)"

_SAME_TREE = """
root AS MATERIALIZED (
  SELECT x.id FROM executions_execution x WHERE x.id = $1 AND x.xmin::text = $2 FOR UPDATE),
ok AS MATERIALIZED (
  SELECT e.id FROM root, LATERAL (
    SELECT e.id FROM executions_entity e
    WHERE e.id = $3 AND e.xmin::text = $4 FOR NO KEY UPDATE) e)"""

_SAME_CLOSURE = f"""
entity AS MATERIALIZED (
  SELECT e.id FROM executions_entity e
  WHERE e.id = $1 AND e.fields = $2 AND e.context_key = $3 FOR NO KEY UPDATE),
shared AS MATERIALIZED (
  SELECT w.id FROM entity, LATERAL (
    SELECT w.id FROM workflows_workflow w
    WHERE w.id = ANY($4) AND w.id || ':' || w.xmin = ANY($5) ORDER BY w.id FOR KEY SHARE) w),
ok AS MATERIALIZED (
  SELECT 1 WHERE (SELECT count(*) FROM shared) = $6
  AND ({COUNT_CURRENT.format(these="v.id = ANY($7) AND v.checksum = ANY($8)")}) = $6
  AND ($9 IS NULL OR EXISTS (
    SELECT 1 FROM executions_closure c
    WHERE c.id = $9 AND c.checksum = $10 AND c.context_key = $3)))"""

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

_JOB_TYPES = {"step_id": "bigint", "cuid": "text", "kind": "text", "due_at": "timestamptz"}


def write_statement(basis: str, shape: Shape) -> Statement:
    """Return the statement for a basis (by name) and the numbers of rows.

    Its parameters are those of the basis, then those of ``write_params``.
    """
    return _usual_statement(basis, shape) if shape.is_usual else _build(basis, shape)


def write_params(changes: Changes) -> tuple[Shape, list[Any]]:
    """Return the numbers of the rows to write, and the values of their columns."""
    params: list[Any] = list(changes.answer or ())

    def add(rows: Collection[Any], model: type[models.Model], names: Sequence[str]) -> int:
        columns = _columns(model, tuple(names))
        for row in rows:
            values = row.__dict__
            for column, _type, adapt in columns:
                value = values[column]
                params.append(value if adapt is None or value is None else adapt(value))
        return len(rows)

    executions = add(changes.executions, Execution, columns_of_new(Execution))
    steps = add(changes.steps, Step, columns_of_new(Step))
    for job in changes.jobs:
        params += [job.step_id, job.step.cuid, job.kind, job.due_at]
    changed_steps = add(changes.changed_steps.values(), Step, ("id", *STEP_CHANGES))
    changed = changes.changed_executions.values()
    changed_executions = add(changed, Execution, ("id", *EXECUTION_CHANGES))
    entities = [] if changes.entity is None else [changes.entity]
    add(entities, Entity, ("id", *ENTITY_CHANGES))
    lists = [ids for ids in (changes.without_job, changes.closed_forms) if ids]
    shape = Shape(
        *(executions, steps, len(changes.jobs), changed_steps, changed_executions),
        len(entities),
        bool(changes.without_job),
        bool(changes.closed_forms),
        changes.answer is not None,
    )
    return shape, [*params, *lists]


class _Builder:
    """The parts of a statement, and the types of its parameters in their order."""

    def __init__(self, basis: str) -> None:
        head, types = _HEADS[basis]
        self.parts = [head]
        self.types = list(types)
        self.source = "ok"

    def place(self, type_name: str) -> str:
        self.types.append(type_name)
        return f"${len(self.types)}"

    def values(self, types: Sequence[str], count: int) -> str:
        """Return a list of rows with a parameter for each value."""
        return ", ".join(f"({', '.join(map(self.place, types))})" for _ in range(count))

    def insert_answer(self) -> None:
        """Add the part that stores the answer of a request; all later parts depend on it."""
        places = ", ".join(map(self.place, ROW_TYPES))
        self.parts.append(f"answer AS ({insert_sql(f'SELECT {places} FROM {self.source}')})")
        self.source = "answer"

    def insert(self, name: str, model: type[models.Model], count: int, returning: str = "") -> None:
        """Add the part that inserts new rows."""
        if not count:
            return
        columns = _columns(model, columns_of_new(model))
        names = ", ".join(column for column, *_ in columns)
        values = self.values([type_name for _, type_name, _ in columns], count)
        self.parts.append(
            f"{name} AS (INSERT INTO {model._meta.db_table} ({names})"
            f" SELECT v.* FROM {self.source}, (VALUES {values}) v{returning})"
        )

    def update(
        self, name: str, model: type[models.Model], changed: Sequence[str], count: int
    ) -> None:
        """Add a part for each of a few changed rows, or one part for many.

        A part for one row names its id, so that the planner uses the index.
        """
        columns = _columns(model, ("id", *changed))
        types = [type_name for _, type_name, _ in columns]
        table = model._meta.db_table
        if count > MOST_ROWS:
            names = ", ".join(column for column, *_ in columns)
            assigned = ", ".join(f"{column} = v.{column}" for column in changed)
            self.parts.append(
                f"{name} AS (UPDATE {table} t SET {assigned}"
                f" FROM {self.source}, (VALUES {self.values(types, count)}) v({names})"
                " WHERE t.id = v.id)"
            )
            return
        for number in range(count):
            places = list(map(self.place, types))
            assigned = ", ".join(
                f"{column} = {place}" for column, place in zip(changed, places[1:], strict=True)
            )
            self.parts.append(
                f"{name}_{number} AS (UPDATE {table} t SET {assigned}"
                f" FROM {self.source} WHERE t.id = {places[0]})"
            )

    def insert_jobs(self, count: int, has_new_steps: bool) -> None:
        """Add the part that inserts jobs; those of new steps find them by their cuid."""
        if not count:
            return
        values = self.values(list(_JOB_TYPES.values()), count)
        step = "COALESCE(v.step_id, s.id)" if has_new_steps else "v.step_id"
        new = " LEFT JOIN steps s ON s.cuid = v.cuid" if has_new_steps else ""
        self.parts.append(
            "jobs AS (INSERT INTO executions_job (step_id, kind, due_at, attempt, fence)"
            f" SELECT {step}, v.kind, v.due_at, 0, 0"
            f" FROM {self.source}, (VALUES {values}) v({', '.join(_JOB_TYPES)}){new})"
        )

    def delete(self, name: str, table: str, is_needed: bool) -> None:
        """Add the part that deletes the rows of a list of steps."""
        if is_needed:
            self.parts.append(
                f"{name} AS (DELETE FROM {table} t USING {self.source}"
                f" WHERE t.step_id = ANY({self.place('bigint[]')}))"
            )


def _build(basis: str, shape: Shape) -> Statement:
    built = _Builder(basis)
    if shape.has_answer:
        built.insert_answer()
    built.insert("executions", Execution, shape.executions)
    built.insert("steps", Step, shape.steps, " RETURNING id, cuid" if shape.jobs else "")
    built.insert_jobs(shape.jobs, bool(shape.steps))
    built.update("changed_steps", Step, STEP_CHANGES, shape.changed_steps)
    built.update("changed_executions", Execution, EXECUTION_CHANGES, shape.changed_executions)
    built.update("entity_written", Entity, ENTITY_CHANGES, shape.entities)
    built.delete("without_job", "executions_job", shape.has_without_job)
    built.delete("drafts", "executions_formdraft", shape.has_closed_forms)
    sql = f"WITH {', '.join(built.parts)} SELECT count(*), EXISTS({WAITING}) FROM {built.source}"
    return Statement(sql, tuple(built.types))


_usual_statement = lru_cache(maxsize=PREPARED_SHAPES)(_build)


@cache
def _columns(
    model: type[models.Model], names: tuple[str, ...]
) -> tuple[tuple[str, str, Callable[[Any], Any] | None], ...]:
    """Return the name, the type and the conversion of each column."""
    fields = {field.column: field for field in model._meta.concrete_fields}
    found = []
    for name in names:
        field: Any = fields[name]
        type_name: str = (
            field.rel_db_type(connection) if field.primary_key else field.db_type(connection)
        )
        if type_name.startswith("varchar"):
            type_name = "text"
        found.append((name, type_name, _ADAPTERS.get(field.get_internal_type())))
    return tuple(found)


def json_text(value: Any) -> str:
    """Return a value as JSON."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        # orjson refuses whole numbers of more than 64 bits.
        return json.dumps(value, default=datetime.isoformat, ensure_ascii=False)


_ADAPTERS: dict[str, Callable[[Any], Any]] = {
    "JSONField": json_text,
    "DateTimeField": datetime.isoformat,
    "CharField": str,
}
