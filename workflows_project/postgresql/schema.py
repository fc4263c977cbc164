"""Changes of the schema of PostgreSQL, in which no write-once trigger is ever absent."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import schema


class DatabaseSchemaEditor(schema.DatabaseSchemaEditor):
    """Replaces the triggers of a column that is altered or removed, in the same transaction.

    PostgreSQL alters no type of a column that a trigger names, and drops the triggers of a column
    with the column.
    """

    def __enter__(self) -> Any:
        self._released: list[str] = []
        return super().__enter__()

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        # Imported late: Django loads this module while ``workflows.db.vendor`` asks for it.
        from workflows.db import write_once

        if exc_type is None and self.atomic_migration:
            write_once.restore(self.connection, self._released)
        super().__exit__(exc_type, exc_value, traceback)

    def remove_field(self, model: Any, field: Any) -> None:
        """Remove a column."""
        self._release(model, field)
        super().remove_field(model, field)

    def _alter_field(
        self, model: Any, old_field: Any, new_field: Any, old_type: Any, new_type: Any, *more: Any
    ) -> None:
        if old_type != new_type:
            self._release(model, old_field)
        # The stubs leave out what Django overrides itself.
        super()._alter_field(  # type: ignore[misc]
            model, old_field, new_field, old_type, new_type, *more
        )

    def _release(self, model: Any, field: Any) -> None:
        """Drop the triggers that depend on a column, until the end of the transaction."""
        if self.collect_sql or field.column is None:
            return
        table = model._meta.db_table
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT DISTINCT t.tgname FROM pg_depend d"
                " JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid"
                " JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
                " WHERE d.refclassid = 'pg_class'::regclass AND NOT t.tgisinternal"
                " AND d.refobjid = to_regclass(%s) AND a.attname = %s",
                [table, field.column],
            )
            names = [row[0] for row in cursor.fetchall()]
        for name in names:
            self.execute(f"DROP TRIGGER {name} ON {self.quote_name(table)}")
        self._released += names
