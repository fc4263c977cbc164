"""Constraints and indexes for keys over several columns.

Foreign keys over (id, context) let the database itself reject an edit that would give a live
execution another context than its workflow. They are declared in ``Meta.constraints``, so that the
migration framework creates them and SQLite's table remake keeps them.
"""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.indexes import BrinIndex
from django.db import DEFAULT_DB_ALIAS
from django.db.models import BaseConstraint, Func, Index, Model, TextField, UniqueConstraint

from workflows.db.vendor import DATABASE


class JSONKind(Func):
    """The JSON type of a column's value: ``object``, ``array``, ``string`` and so on."""

    arity = 1
    output_field = TextField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="JSON_TYPE", **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="JSONB_TYPEOF", **context)


class SummaryIndex(BrinIndex):
    """A BRIN index: the smallest and the greatest value of each range of pages.

    An update within the range does not change the index, so PostgreSQL (16 or later) does not
    write the other indexes either if only such a column has changed. SQLite gets a plain index.
    """

    def __init__(self, *expressions: Any, **kwargs: Any) -> None:
        super().__init__(*expressions, autosummarize=True, pages_per_range=32, **kwargs)

    def deconstruct(self) -> Any:
        """Return the arguments for a migration."""
        path, arguments, kwargs = super().deconstruct()
        del kwargs["autosummarize"], kwargs["pages_per_range"]
        return path, arguments, kwargs

    def create_sql(self, model: Any, schema_editor: Any, using: str = "", **kwargs: Any) -> Any:
        """Return the statement that creates the index."""
        if DATABASE.is_postgresql:
            return super().create_sql(model, schema_editor, using, **kwargs)
        return Index.create_sql(self, model, schema_editor, using, **kwargs)


class KeyTarget(UniqueConstraint):
    """A unique key that includes the primary key and serves only as a target of foreign keys."""

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """Check nothing: keys that contain the primary key are always unique."""


class CompositeForeignKey(BaseConstraint):
    """``FOREIGN KEY (fields) REFERENCES target (to_fields)``.

    The first of ``fields`` is a plain ``ForeignKey``; its target is this key's target. A NULL in
    any of the columns releases the row from the key (MATCH SIMPLE). PostgreSQL checks the key in
    each statement, SQLite at commit (``vendor.Database.key_timing``).
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

        return (
            f"CONSTRAINT {schema_editor.quote_name(self.name)}"
            f" FOREIGN KEY ({columns(model, self.fields)})"
            f" REFERENCES {schema_editor.quote_name(target._meta.db_table)}"
            f" ({columns(target, self.to_fields)})"
            f" ON UPDATE {self.on_update} {DATABASE.key_timing}"
        )

    def constraint_sql(self, model: Any, schema_editor: Any) -> str:
        if DATABASE.is_postgresql:
            return self.create_sql(model, schema_editor)
        return self._body(model, schema_editor)

    def create_sql(self, model: Any, schema_editor: Any) -> str:
        """Defer the statement to the end of the migration and return an empty one.

        The unique key that it references may be created later in the same migration.
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
        """Check nothing: the guards explain refusals, this key only enforces them."""

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
