"""Operations of migrations that run beside traffic on PostgreSQL. SQLite gets the plain ones.

They need ``atomic = False`` in their migration, and can be repeated after an error. Migrations
import this module, so what it does for landed migrations does not change.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from django.db import migrations, transaction
from django.db.migrations.operations.base import Operation

from workflows.db.vendor import DATABASE

_CONCURRENTLY = "CONCURRENTLY " if DATABASE.is_postgresql else ""


def _require_no_transaction(operation: Operation, schema_editor: Any) -> None:
    if schema_editor.connection.in_atomic_block:
        name = type(operation).__name__
        raise transaction.TransactionManagementError(f"{name} needs atomic = False.")


class _BesideTraffic(Operation):
    """An operation that has its own statements on PostgreSQL, outside a transaction."""

    # Operations of one model have it.
    model_name: str

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if DATABASE.is_postgresql:
            _require_no_transaction(self, schema_editor)
            self._apply(app_label, schema_editor, from_state, to_state)
        else:
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if DATABASE.is_postgresql:
            _require_no_transaction(self, schema_editor)
            self._undo(app_label, schema_editor, from_state, to_state)
        else:
            super().database_backwards(app_label, schema_editor, from_state, to_state)

    @abstractmethod
    def _apply(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Apply the operation on PostgreSQL."""

    def _undo(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        super().database_backwards(app_label, schema_editor, from_state, to_state)

    def _add_index(self, app_label: str, schema_editor: Any, state: Any, index: Any) -> None:
        # An interrupted attempt leaves an invalid index.
        self._remove_index(app_label, schema_editor, state, index)
        model = state.apps.get_model(app_label, self.model_name)
        schema_editor.add_index(model, index, concurrently=True)

    def _remove_index(self, app_label: str, schema_editor: Any, state: Any, index: Any) -> None:
        model = state.apps.get_model(app_label, self.model_name)
        schema_editor.remove_index(model, index, concurrently=True)


class AddIndexBesideTraffic(_BesideTraffic, migrations.AddIndex):
    """Create an index without blocking writes (``CREATE INDEX CONCURRENTLY``)."""

    def _apply(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._add_index(app_label, schema_editor, to_state, self.index)

    def _undo(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._remove_index(app_label, schema_editor, from_state, self.index)


class RemoveIndexBesideTraffic(_BesideTraffic, migrations.RemoveIndex):
    """Drop an index without waiting for transactions while others wait for the drop."""

    def _apply(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        index = self._find_index(app_label, from_state)
        self._remove_index(app_label, schema_editor, from_state, index)

    def _undo(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        index = self._find_index(app_label, to_state)
        self._add_index(app_label, schema_editor, to_state, index)

    def _find_index(self, app_label: str, state: Any) -> Any:
        return state.models[app_label, self.model_name_lower].get_index_by_name(self.name)


class AddConstraintBesideTraffic(_BesideTraffic, migrations.AddConstraint):
    """Add a check or a composite foreign key: first for new rows, then check the existing rows.

    ``NOT VALID`` locks the table only for a moment, and ``VALIDATE`` blocks no writes.
    """

    # Django sets it; its stubs leave it out.
    constraint: Any

    def _apply(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        table = schema_editor.quote_name(model._meta.db_table)
        name = schema_editor.quote_name(self.constraint.name)
        schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}", None)
        waiting = len(schema_editor.deferred_sql)
        sql = str(self.constraint.create_sql(model, schema_editor) or "")
        if len(schema_editor.deferred_sql) > waiting:
            # A composite key defers its statement.
            sql = str(schema_editor.deferred_sql.pop())
        schema_editor.execute(f"{sql} NOT VALID", None)
        schema_editor.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}", None)


class DropKeyIndexBesideTraffic(migrations.AlterField):
    """Drop the index that Django gives a foreign key; the field has ``db_index=False`` then.

    Django would also drop the key itself and check every row again, and SQLite copy the table.
    """

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model, column = self._find_column(app_label, to_state)
        for name in self._find_indexes(schema_editor, model, column):
            schema_editor.execute(f"DROP INDEX {_CONCURRENTLY}IF EXISTS {name}", None)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        # An interrupted attempt leaves an invalid index.
        self.database_forwards(app_label, schema_editor, from_state, to_state)
        model, column = self._find_column(app_label, to_state)
        name = schema_editor._create_index_name(model._meta.db_table, [column])
        table = schema_editor.quote_name(model._meta.db_table)
        sql = f"CREATE INDEX {_CONCURRENTLY}{schema_editor.quote_name(name)} ON {table} ({column})"
        schema_editor.execute(sql, None)

    def _find_column(self, app_label: str, state: Any) -> tuple[Any, str]:
        model = state.apps.get_model(app_label, self.model_name)
        return model, model._meta.get_field(self.name).column

    def _find_indexes(self, schema_editor: Any, model: Any, column: str) -> list[str]:
        """Return the names of the plain indexes on this column alone."""
        named = {index.name for index in model._meta.indexes}
        with schema_editor.connection.cursor() as cursor:
            found = schema_editor.connection.introspection.get_constraints(
                cursor, model._meta.db_table
            )
        return [
            schema_editor.quote_name(name)
            for name, row in found.items()
            if row["index"]
            and not row["unique"]
            and row["columns"] == [column]
            and name not in named
        ]


class UpdateInBatches(Operation):
    """Update the rows of a table a few at a time, each batch in a transaction of its own.

    Args:
        table: the name of the table, which has an integer primary key ``id``.
        assignments: the SQL after ``SET``.
        condition: the SQL of the rows that still need the update; no longer true afterwards.
        reverse_assignments: the SQL after ``SET`` for the way back; without it, the way back
            leaves the rows as they are.
        size: the number of ids in a batch.
    """

    atomic = False
    reduces_to_sql = False
    reversible = True

    def __init__(
        self,
        table: str,
        assignments: str,
        condition: str = "1 = 1",
        *,
        reverse_assignments: str = "",
        size: int = 1000,
    ) -> None:
        self.table, self.assignments, self.condition = table, assignments, condition
        self.reverse_assignments, self.size = reverse_assignments, size

    def state_forwards(self, app_label: str, state: Any) -> None:
        """The models stay as they are."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        self._update(schema_editor, self.assignments, self.condition)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if self.reverse_assignments:
            self._update(schema_editor, self.reverse_assignments, "1 = 1")

    def _update(self, schema_editor: Any, assignments: str, condition: str) -> None:
        _require_no_transaction(self, schema_editor)
        connection = schema_editor.connection
        for first, last in self._ranges(connection):
            with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
                cursor.execute(
                    f"UPDATE {self.table} SET {assignments}"
                    f" WHERE id BETWEEN {first} AND {last} AND ({condition})"
                )

    def _ranges(self, connection: Any) -> Iterator[tuple[int, int]]:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT min(id), max(id) FROM {self.table}")
            least, greatest = cursor.fetchone()
        if least is not None:
            for first in range(least, greatest + 1, self.size):
                yield first, first + self.size - 1

    def describe(self) -> str:
        return f"Update {self.table} in batches of {self.size}"
