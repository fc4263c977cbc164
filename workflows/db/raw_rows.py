"""Model instances of the hot path, made without ``Model.__init__``.

It takes longer than anything else that is done with a row there: it looks at every field, and
tells signals that nobody listens to. What is not given is read when somebody asks, as after
``QuerySet.defer()``. They are for reading: what a model keeps beside its fields for a ``save()``
is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any, TypeVar

from django.db import connection, models
from django.db.models.base import ModelState

from workflows.db.prepared import Statement

Row = TypeVar("Row", bound=models.Model)


def stored(model: type[Row], values: Mapping[str, Any]) -> Row:
    """An instance of a row that is stored, with these values by attribute name."""
    row = model.__new__(model)
    row.__dict__.update(values)
    row._state = ModelState()
    row._state.adding = False
    row._state.db = "default"
    return row


@cache
def _defaults(model: type[models.Model]) -> tuple[dict[str, Any], dict[str, Callable[[], Any]]]:
    fields = [field for field in model._meta.concrete_fields if not field.generated]
    made = {
        field.attname: field.default
        for field in fields
        if field.has_default() and callable(field.default)
    }
    fixed = {field.attname: field.get_default() for field in fields if field.attname not in made}
    return fixed, made


def new(model: type[Row], **values: Any) -> Row:
    """An instance of a new row, with these values by attribute name and defaults for the rest."""
    fixed, made = _defaults(model)
    row = model.__new__(model)
    row.__dict__.update(fixed)
    row.__dict__.update(values)
    for name, default in made.items():
        if name not in values:
            row.__dict__[name] = default()
    row._state = ModelState()
    return row


def relate(row: models.Model, **rows: models.Model) -> None:
    """Keep these rows where the row's relations look for them; their ids are set already."""
    row._state.fields_cache.update(rows)


class Columns:
    """The columns of a model that are read, and how what they hold becomes an instance."""

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

    def of(self, alias: str) -> str:
        """The columns, for a SELECT."""
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

    def instance(self, selected: Sequence[Any]) -> Any:
        """The instance; what was not selected is read when somebody asks."""
        return stored(self.model, dict(zip(self.names, self._values(selected), strict=True)))

    def loaded(self, selected: Sequence[Any]) -> Any:
        """The instance as a query set would return it."""
        return self.model.from_db("default", self.names, self._values(selected))


@cache
def _by(model: type[models.Model], name: str, names: tuple[str, ...]) -> tuple[Columns, Statement]:
    columns = Columns(model, names)
    field: Any = model._meta.get_field(name)
    kind = "text" if isinstance(field, models.CharField) else field.rel_db_type(connection)
    sql = f"SELECT {columns.of('t')} FROM {model._meta.db_table} t WHERE t.{field.column} = $1"
    return columns, Statement(sql, (kind,))


def by_cuid(model: type[Row], cuid: str, names: tuple[str, ...]) -> Row | None:
    """The row with this cuid, with these attributes read."""
    columns, statement = _by(model, "cuid", names)
    rows = statement.execute([cuid])
    found: Row | None = columns.instance(rows[0]) if rows else None
    return found


def loaded(model: type[Row], name: str, value: Any) -> Row | None:
    """The row of which a unique field has this value, as a query set would return it."""
    columns, statement = _by(model, name, ())
    rows = statement.execute([value])
    found: Row | None = columns.loaded(rows[0]) if rows else None
    return found
