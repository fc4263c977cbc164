"""The paths by which Python code and SQL can edit any row."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from asgiref.sync import async_to_sync
from django.core import serializers
from django.core.management import call_command
from django.db import connection
from django.db.models import Case, F, ForeignKey, Model, QuerySet, Value, When

from tests.bypass.live_data import LiveData


class Defense(Enum):
    """The defense that refuses an edit on a path."""

    GUARD = "the guard's refusal"
    SERVICE = "a message that names the service"
    KEY = "a key or a trigger of the database"
    API = "the guard's refusal, as a problem of the API"
    PAGE = "the guard's refusal, on the page"
    COMMAND = "the guard's refusal, as a command error"
    NO_ACCESS = "there is no such method, or nobody has the permission"

    @property
    def is_of_interface(self) -> bool:
        """True if the path enters by the API, the admin or a command."""
        return self not in (Defense.GUARD, Defense.SERVICE, Defense.KEY)


@dataclass(frozen=True)
class Edit:
    """An edit: writes these values to a row, or deletes it if there are none."""

    row: Any
    values: dict[str, Any] = field(default_factory=dict)
    stale: Any = None

    @property
    def model(self) -> Any:
        return type(self.row)

    @property
    def stored(self) -> Any:
        """Return the row, read again."""
        return self.model._base_manager.get(pk=self.row.pk)

    @property
    def changed(self) -> Any:
        """Return the row with the values, unsaved."""
        return self.written_to(self.stored)

    def written_to(self, row: Any) -> Any:
        for name, value in self.values.items():
            setattr(row, name, value)
        return row

    @property
    def rows(self) -> Any:
        return self.model.objects.filter(pk=self.row.pk)

    @property
    def columns(self) -> dict[str, Any]:
        """Return the values by column name; related rows as their ids."""
        return {
            self.model._meta.get_field(name).attname: getattr(value, "pk", value)
            for name, value in self.values.items()
        }


def applies_always(edit: Edit) -> bool:
    return True


@dataclass(frozen=True)
class EditPath:
    """A path to the data, its defense, and the edits that it can make."""

    name: str
    apply: Callable[[LiveData, Edit], Any]
    defense: Defense
    applies_to: Callable[[Edit], bool] = applies_always


WRITES: list[EditPath] = []
DELETIONS: list[EditPath] = []


def _register(table: list[EditPath], defense: Defense, applies_to: Callable[[Edit], bool]) -> Any:
    def add(function: Callable[[Edit], Any]) -> Any:
        def apply_it(data: LiveData, edit: Edit) -> Any:
            return function(edit)

        table.append(EditPath(function.__name__, apply_it, defense, applies_to))
        return function

    return add


def _write(defense: Defense, applies_to: Callable[[Edit], bool] = applies_always) -> Any:
    return _register(WRITES, defense, applies_to)


def _deletion(defense: Defense) -> Any:
    return _register(DELETIONS, defense, applies_always)


def run_async(make: Callable[[], Any]) -> None:
    """Run a coroutine on the test's thread, which has its connection."""

    async def wait() -> None:
        await make()

    async_to_sync(wait)()


def _keys(edit: Edit) -> list[str]:
    meta = edit.model._meta
    return [name for name in edit.values if isinstance(meta.get_field(name), ForeignKey)]


def _has_keys(edit: Edit) -> bool:
    return bool(_keys(edit))


def _is_related(edit: Edit) -> bool:
    fields = [edit.model._meta.get_field(name) for name in _keys(edit)]
    return len(fields) == len(edit.values) == 1 and not fields[0].remote_field.hidden


@_write(Defense.GUARD)
def save(edit: Edit) -> None:
    edit.changed.save()


@_write(Defense.GUARD)
def save_update_fields(edit: Edit) -> None:
    edit.changed.save(update_fields=list(edit.values))


@_write(Defense.GUARD, _has_keys)
def save_update_fields_by_attname(edit: Edit) -> None:
    edit.changed.save(update_fields=list(edit.columns))


@_write(Defense.GUARD, lambda edit: edit.stale is not None)
def save_of_a_stale_instance(edit: Edit) -> None:
    edit.written_to(deepcopy(edit.stale)).save()


@_write(Defense.GUARD)
def save_of_a_deferred_instance(edit: Edit) -> None:
    edit.written_to(edit.model._base_manager.only("pk").get(pk=edit.row.pk)).save()


@_write(Defense.GUARD)
def save_base(edit: Edit) -> None:
    edit.changed.save_base()


@_write(Defense.GUARD)
def asave(edit: Edit) -> None:
    run_async(edit.changed.asave)


@_write(Defense.GUARD)
def update_or_create(edit: Edit) -> None:
    edit.model.objects.update_or_create(pk=edit.row.pk, defaults=edit.values)


@_write(Defense.GUARD)
def aupdate_or_create(edit: Edit) -> None:
    objects = edit.model.objects
    run_async(lambda: objects.aupdate_or_create(pk=edit.row.pk, defaults=edit.values))


@_write(Defense.SERVICE)
def update(edit: Edit) -> None:
    edit.rows.update(**edit.values)


@_write(Defense.SERVICE, _has_keys)
def update_by_attname(edit: Edit) -> None:
    edit.rows.update(**edit.columns)


@_write(Defense.SERVICE)
def update_with_a_value(edit: Edit) -> None:
    edit.rows.update(**_expressions(edit))


def _expressions(edit: Edit) -> dict[str, Any]:
    meta = edit.model._meta
    return {
        name: Value(value, output_field=getattr(meta.get_field(name), "target_field", None))
        if isinstance(meta.get_field(name), ForeignKey)
        else Value(value, output_field=meta.get_field(name))
        for name, value in edit.columns.items()
    }


@_write(Defense.SERVICE)
def update_with_an_expression(edit: Edit) -> None:
    stored, expressions = edit.stored, _expressions(edit)
    edit.rows.update(
        **{
            name: F(name) + (value - getattr(stored, name))
            if isinstance(value, int) and isinstance(getattr(stored, name), int)
            else Case(When(pk=edit.row.pk, then=expressions[name]), default=F(name))
            for name, value in edit.columns.items()
        }
    )


@_write(Defense.SERVICE)
def aupdate(edit: Edit) -> None:
    run_async(lambda: edit.rows.aupdate(**edit.values))


@_write(Defense.SERVICE)
def bulk_update(edit: Edit) -> None:
    edit.model.objects.bulk_update([edit.changed], list(edit.values))


@_write(Defense.SERVICE)
def abulk_update(edit: Edit) -> None:
    row = edit.changed
    run_async(lambda: edit.model.objects.abulk_update([row], list(edit.values)))


def _conflicts(edit: Edit) -> dict[str, Any]:
    return {
        "update_conflicts": True,
        "unique_fields": ["id"],
        "update_fields": list(edit.values),
    }


@_write(Defense.SERVICE)
def bulk_create_with_conflicts(edit: Edit) -> None:
    edit.model.objects.bulk_create([edit.changed], **_conflicts(edit))


@_write(Defense.SERVICE)
def abulk_create_with_conflicts(edit: Edit) -> None:
    row = edit.changed
    run_async(lambda: edit.model.objects.abulk_create([row], **_conflicts(edit)))


@_write(Defense.KEY)
def update_through_the_plain_manager(edit: Edit) -> None:
    edit.model._base_manager.filter(pk=edit.row.pk).update(**edit.values)


@_write(Defense.KEY)
def update_of_a_bare_queryset(edit: Edit) -> None:
    QuerySet(edit.model).filter(pk=edit.row.pk).update(**edit.values)


@_write(Defense.KEY)
def bulk_update_of_a_bare_queryset(edit: Edit) -> None:
    QuerySet(edit.model).bulk_update([edit.changed], list(edit.values))


@_write(Defense.KEY)
def bulk_create_of_a_bare_queryset(edit: Edit) -> None:
    QuerySet(edit.model).bulk_create([edit.changed], **_conflicts(edit))


@_write(Defense.KEY, _is_related)
def add_to_a_related_manager(edit: Edit) -> None:
    [(name, value)] = edit.values.items()
    remote = edit.model._meta.get_field(name).remote_field
    getattr(value, remote.get_accessor_name()).add(edit.stored)


@_write(Defense.KEY)
def save_base_raw(edit: Edit) -> None:
    edit.changed.save_base(raw=True)


@_write(Defense.KEY)
def raw_sql(edit: Edit) -> None:
    meta = edit.model._meta
    fields = [meta.get_field(name) for name in edit.values]
    values = [
        one.get_db_prep_save(value, connection)
        for one, value in zip(fields, edit.columns.values(), strict=True)
    ]
    columns = ", ".join(f"{one.column} = %s" for one in fields)
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {meta.db_table} SET {columns} WHERE id = %s", [*values, edit.row.pk]
        )


@_write(Defense.KEY)
def loaddata(edit: Edit) -> None:
    load(edit.changed)


def load(row: Model) -> None:
    """Load a fixture of this row."""
    with tempfile.TemporaryDirectory() as directory:
        fixture = Path(directory) / "fixture.json"
        # Not the serializer's JSON, which cuts times off at the millisecond.
        names = [one.name for one in row._meta.concrete_fields if not one.generated]
        data = serializers.serialize("python", [row], fields=names)
        fixture.write_text(json.dumps(data, default=str))
        call_command("loaddata", str(fixture), verbosity=0)


@_deletion(Defense.GUARD)
def delete(edit: Edit) -> None:
    edit.stored.delete()


@_deletion(Defense.GUARD)
def adelete(edit: Edit) -> None:
    run_async(edit.stored.adelete)


@_deletion(Defense.GUARD)
def delete_of_a_queryset(edit: Edit) -> None:
    edit.rows.delete()


@_deletion(Defense.GUARD)
def adelete_of_a_queryset(edit: Edit) -> None:
    run_async(edit.rows.adelete)


@_deletion(Defense.GUARD)
def delete_through_the_plain_manager(edit: Edit) -> None:
    edit.model._base_manager.filter(pk=edit.row.pk).delete()


@_deletion(Defense.GUARD)
def delete_of_a_bare_queryset(edit: Edit) -> None:
    QuerySet(edit.model).filter(pk=edit.row.pk).delete()


@_deletion(Defense.KEY)
def raw_delete(edit: Edit) -> None:
    edit.model._base_manager.filter(pk=edit.row.pk)._raw_delete("default")


@_deletion(Defense.KEY)
def raw_sql_delete(edit: Edit) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {edit.model._meta.db_table} WHERE id = %s", [edit.row.pk])
