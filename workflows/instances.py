"""Model instances of the hot path, made without ``Model.__init__``.

It takes longer than anything else that is done with a row there: it looks at every field, and
tells signals that nobody listens to. What is not given is read when somebody asks, as after
``QuerySet.defer()``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from django.db import models
from django.db.models.base import ModelState

from workflows.prepared import Statement

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


@cache
def _by_cuid(model: type[models.Model], names: tuple[str, ...]) -> Statement:
    columns = ", ".join(f"t.{name}" for name in names)
    return Statement(f"SELECT {columns} FROM {model._meta.db_table} t WHERE t.cuid = $1", ("text",))


def by_cuid(model: type[Row], cuid: str, names: tuple[str, ...]) -> Row | None:
    """The row with this cuid, with these attributes read; none that needs to be converted."""
    rows = _by_cuid(model, names).execute([cuid])
    return stored(model, dict(zip(names, rows[0], strict=True))) if rows else None
