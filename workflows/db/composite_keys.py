"""The vocabulary of the schema for keys over several columns.

Foreign keys over (id, context) are what lets the database itself refuse an edit that would
set a running execution apart from what it runs on. They stand in ``Meta.constraints``, so
the migration framework writes them and SQLite's table remake carries them along.
"""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.indexes import BrinIndex
from django.db import DEFAULT_DB_ALIAS
from django.db.models import BaseConstraint, Func, Index, Model, TextField, UniqueConstraint


class JSONKind(Func):
    """``object``, ``array``, ``string`` … : what kind of JSON value a column holds."""

    arity = 1
    output_field = TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="JSON_TYPE", **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="JSONB_TYPEOF", **context)


class SummaryIndex(BrinIndex):
    """The least and the greatest value of each range of pages, kept up as rows are added.

    Nothing is added to it while a row stays in its range, so that PostgreSQL (16 or later) need
    not write the other indexes either when such a column alone has changed. SQLite has a plain
    index in its place.
    """

    def __init__(self, *expressions: Any, **kwargs: Any) -> None:
        super().__init__(*expressions, autosummarize=True, pages_per_range=32, **kwargs)

    def deconstruct(self) -> Any:
        """What a migration says of it."""
        path, arguments, kwargs = super().deconstruct()
        del kwargs["autosummarize"], kwargs["pages_per_range"]
        return path, arguments, kwargs

    def create_sql(self, model: Any, schema_editor: Any, using: str = "", **kwargs: Any) -> Any:
        """Return the statement that makes it."""
        if schema_editor.connection.vendor == "postgresql":
            return super().create_sql(model, schema_editor, using, **kwargs)
        return Index.create_sql(self, model, schema_editor, using, **kwargs)


class KeyTarget(UniqueConstraint):
    """A unique key that holds the primary key, and is there only to be pointed at."""

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to ask: no two rows can share what contains their primary key."""


class CompositeForeignKey(BaseConstraint):
    """``FOREIGN KEY (fields) REFERENCES target (to_fields)``, checked at once where it can be.

    The first of ``fields`` is a plain ``ForeignKey``; its target is this key's target.
    A NULL in any of the columns releases the row from the key (MATCH SIMPLE).

    PostgreSQL checks each statement (NOT DEFERRABLE: a deferred check would take its locks
    at commit, out of order). SQLite checks at commit: its ``flush`` deletes in random order.
    """

    def __init__(
        self,
        *,
        name: str,
        fields: tuple[str, ...] | list[str],
        to_fields: tuple[str, ...] | list[str],
        on_update: str = "NO ACTION",
        violation_error_code: str | None = None,
        violation_error_message: str | None = None,
    ) -> None:
        super().__init__(
            name=name,
            violation_error_code=violation_error_code,
            violation_error_message=violation_error_message,
        )
        self.fields = tuple(fields)
        self.to_fields = tuple(to_fields)
        self.on_update = on_update

    def _body(self, model: Any, schema_editor: Any) -> str:
        # Not apps.get_model(): SQLite's table remake builds the model in an empty registry.
        target: Any = model._meta.get_field(self.fields[0]).remote_field.model

        def columns(owner: type[Model], names: tuple[str, ...]) -> str:
            fields: list[Any] = [owner._meta.get_field(name) for name in names]
            return ", ".join(str(schema_editor.quote_name(field.column)) for field in fields)

        deferral = (
            "DEFERRABLE INITIALLY DEFERRED"
            if schema_editor.connection.vendor == "sqlite"
            else "NOT DEFERRABLE"
        )
        return (
            f"CONSTRAINT {schema_editor.quote_name(self.name)}"
            f" FOREIGN KEY ({columns(model, self.fields)})"
            f" REFERENCES {schema_editor.quote_name(target._meta.db_table)}"
            f" ({columns(target, self.to_fields)})"
            f" ON UPDATE {self.on_update} {deferral}"
        )

    def constraint_sql(self, model: Any, schema_editor: Any) -> str:
        if schema_editor.connection.vendor == "postgresql":
            return self.create_sql(model, schema_editor)
        return self._body(model, schema_editor)

    def create_sql(self, model: Any, schema_editor: Any) -> str:
        """Nothing to run at once: the unique key that it points at may come later in the
        same migration, so the statement waits for the migration's end.
        """
        table = schema_editor.quote_name(model._meta.db_table)
        schema_editor.deferred_sql.append(
            f"ALTER TABLE {table} ADD {self._body(model, schema_editor)}"
        )
        return ""

    def remove_sql(self, model: Any, schema_editor: Any) -> str:
        table = schema_editor.quote_name(model._meta.db_table)
        return f"ALTER TABLE {table} DROP CONSTRAINT {schema_editor.quote_name(self.name)}"

    def validate(
        self,
        model: type[Model],
        instance: Model,
        exclude: Any = None,
        using: str = DEFAULT_DB_ALIAS,
    ) -> None:
        """Nothing to say: the guards explain, this key makes sure."""

    def deconstruct(self) -> Any:
        path, args, kwargs = super().deconstruct()
        kwargs["fields"] = self.fields
        kwargs["to_fields"] = self.to_fields
        if self.on_update != "NO ACTION":
            kwargs["on_update"] = self.on_update
        return path, args, kwargs

    def __eq__(self, other: object) -> bool:
        if isinstance(other, CompositeForeignKey):
            return bool(self.deconstruct() == other.deconstruct())
        return NotImplemented

    __hash__ = object.__hash__
