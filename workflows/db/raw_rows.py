"""Model instances for the hot path, built without ``Model.__init__``.

``Model.__init__`` visits every field and sends signals that nobody receives; on the hot path it
would take longer than the rest of the work with a row. Attributes that are not given are read on
access, as after ``QuerySet.defer()``. The instances are read-only: attributes that a model keeps
for ``save()`` beside its fields are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, TypeVar

from django.db import connection, models
from django.db.models.base import ModelState

from workflows.db.prepared import Statement

Row = TypeVar("Row", bound=models.Model)


def build_stored(model: type[Row], values: Mapping[str, Any]) -> Row:
    """Return an instance of a stored row with these values by attribute name."""
    row = model.__new__(model)
    row.__dict__.update(values)
    row._state = ModelState()
    row._state.adding = False
    row._state.db = "default"
    return row


@cache
def _defaults(model: type[models.Model]) -> tuple[dict[str, Any], dict[str, Callable[[], Any]]]:
    fields = [field for field in model._meta.concrete_fields if not field.generated]
    callables = {
        field.attname: field.default
        for field in fields
        if field.has_default() and callable(field.default)
    }
    constants = {
        field.attname: field.get_default() for field in fields if field.attname not in callables
    }
    return constants, callables


def build_new(model: type[Row], **values: Any) -> Row:
    """Return an instance of a new row: these values by attribute name, defaults for the rest."""
    constants, callables = _defaults(model)
    row = model.__new__(model)
    row.__dict__.update(constants)
    row.__dict__.update(values)
    for name, default in callables.items():
        if name not in values:
            row.__dict__[name] = default()
    row._state = ModelState()
    return row


def set_relations(row: models.Model, **rows: models.Model) -> None:
    """Cache these rows as the row's related rows; their ids must be set already."""
    row._state.fields_cache.update(rows)


class Columns:
    """The columns of a model to select, and their conversion to an instance."""

    def __init__(self, model: type[models.Model], names: Iterable[str] = ()) -> None:
        self.model = model
        wanted = set(names)
        self._fields: list[Any] = [
            field
            for field in model._meta.concrete_fields
            if not field.generated and (not wanted or wanted & {field.name, field.attname})
        ]
        self.names = [field.attname for field in self._fields]

    def __len__(self) -> int:
        return len(self.names)

    def select_list(self, alias: str) -> str:
        """Return the columns for a SELECT."""
        return ", ".join(f"{alias}.{field.column}" for field in self._fields)

    @cached_property
    def _converters(self) -> list[tuple[int, Any, list[Any]]]:
        found = []
        for place, field in enumerate(self._fields):
            column = field.get_col(self.model._meta.db_table)
            converters = [
                *connection.ops.get_db_converters(column),
                *column.get_db_converters(connection),
            ]
            if converters:
                found.append((place, column, converters))
        return found

    def _values(self, selected: Sequence[Any]) -> list[Any]:
        row = list(selected)
        for place, column, converters in self._converters:
            for converter in converters:
                row[place] = converter(row[place], column, connection)
        return row

    def build(self, selected: Sequence[Any]) -> Any:
        """Return an instance that reads unselected columns on access."""
        return build_stored(self.model, dict(zip(self.names, self._values(selected), strict=True)))

    def load(self, selected: Sequence[Any]) -> Any:
        """Return an instance as a query set would."""
        return self.model.from_db("default", self.names, self._values(selected))


@cache
def _statement_by(
    model: type[models.Model], name: str, names: tuple[str, ...]
) -> tuple[Columns, Statement]:
    columns = Columns(model, names)
    field: Any = model._meta.get_field(name)
    type_name = "text" if isinstance(field, models.CharField) else field.rel_db_type(connection)
    sql = (
        f"SELECT {columns.select_list('t')} FROM {model._meta.db_table} t"
        f" WHERE t.{field.column} = $1"
    )
    return columns, Statement(sql, (type_name,))


def find_by_cuid(model: type[Row], cuid: str, names: tuple[str, ...]) -> Row | None:
    """Return the row with this cuid, with these attributes read, or None."""
    columns, statement = _statement_by(model, "cuid", names)
    rows = statement.execute([cuid])
    found: Row | None = columns.build(rows[0]) if rows else None
    return found


def load_row(model: type[Row], name: str, value: Any) -> Row | None:
    """Return the row whose unique field has this value, as a query set would, or None."""
    columns, statement = _statement_by(model, name, ())
    rows = statement.execute([value])
    found: Row | None = columns.load(rows[0]) if rows else None
    return found
