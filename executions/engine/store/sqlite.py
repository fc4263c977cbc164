"""The store on SQLite, which has one writer: an advance reads and writes in its transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, ClassVar

from django.db import connections, models, transaction
from django.db.models import Value

from executions.engine.closures import CachedClosure
from executions.engine.store.base import (
    COUNT_CURRENT,
    ENTITY_CHANGES,
    EXECUTION_CHANGES,
    STEP_CHANGES,
    Basis,
    Changes,
    Store,
    columns_of_new,
)
from executions.models import OPEN_INDEX, Entity, Execution, Step
from workflows.db.prepared import Statement

_LAST_ID = Statement("SELECT seq FROM sqlite_sequence WHERE name = 'executions_execution'")
# By cuid: SQLite reuses the id of a row that was rolled back.
_COUNT_CURRENT = Statement(
    COUNT_CURRENT.format(these="v.cuid IN (SELECT value FROM json_each($1))")
)
_IS_CURRENT = Statement(
    "SELECT 1 FROM executions_closure WHERE id = $1 AND checksum = $2 AND context_key = $3"
)
_INSERT_JOB = (
    "INSERT INTO executions_job (step_id, kind, due_at, attempt, fence)"
    " SELECT id, %s, %s, 0, 0 FROM executions_step WHERE cuid = %s"
)


class SQLiteStore(Store):
    """Writes row by row: more statements cost nothing here."""

    compares_basis: ClassVar = False
    # Without the hint, SQLite takes the index of all steps: an execution may have thousands.
    open_steps_table: ClassVar = f"executions_step s INDEXED BY {OPEN_INDEX}"
    workflow_revision: ClassVar = Value("")
    execution_extras: ClassVar = "NULL, '', ''"

    def entities_for_start(
        self, entity: Entity, closure: CachedClosure
    ) -> Iterator[tuple[Entity, Basis | None]]:
        cuids = [values["cuid"] for values in closure.versions]
        if _COUNT_CURRENT.execute([json.dumps(cuids)])[0][0] != len(cuids):
            return
        stored = [closure.stored_id, closure.checksum, closure.context_key]
        if closure.stored_id is not None and not _IS_CURRENT.execute(stored):
            return
        found = self.entity(entity.pk)
        if found is not None and found.context.key == closure.context_key:
            yield found, None

    def execution_ids(self) -> Iterator[int]:
        rows = _LAST_ID.execute()
        number = int(rows[0][0]) if rows else 0
        while True:
            number += 1
            yield number

    def _write_rows(self, changes: Changes, basis: Basis | None) -> bool:
        new: tuple[tuple[type[models.Model], Sequence[models.Model]], ...] = (
            (Execution, changes.executions),
            (Step, changes.steps),
        )
        changed: tuple[tuple[type[models.Model], Iterable[models.Model], tuple[str, ...]], ...] = (
            (Step, changes.changed_steps.values(), STEP_CHANGES),
            (Execution, changes.changed_executions.values(), EXECUTION_CHANGES),
            (Entity, [changes.entity] if changes.entity else [], ENTITY_CHANGES),
        )
        jobs: list[Any] = [[job.kind, job.due_at, job.step.cuid] for job in changes.jobs]
        with transaction.atomic(savepoint=False), connections["default"].cursor() as cursor:
            for model, rows in new:
                _run_many(cursor, _insert_sql(model), model, rows, columns_of_new(model))
            if jobs:
                cursor.executemany(_INSERT_JOB, jobs)
            for model, found, columns in changed:
                _run_many(cursor, _update_sql(model, columns), model, found, (*columns, "id"))
            if without_job := [[step] for step in changes.without_job]:
                cursor.executemany("DELETE FROM executions_job WHERE step_id = %s", without_job)
            if closed := [[step] for step in changes.closed_forms]:
                cursor.executemany("DELETE FROM executions_formdraft WHERE step_id = %s", closed)
        return True


@cache
def _insert_sql(model: type[models.Model]) -> str:
    columns = columns_of_new(model)
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
    types = {field.column: field.get_internal_type() for field in model._meta.concrete_fields}
    return [(column, adapters.get(types[column])) for column in columns]


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
