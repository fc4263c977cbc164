"""The ways that lead to any row: written once, for every subject of the table."""

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

from tests.doors.house import House


class Behind(Enum):
    """What answers at a door."""

    GUARD = "the guard's refusal"
    SERVICE = "a sentence that names the service"
    KEY = "a key or a seal of the schema"
    API = "the guard's refusal, as a problem"
    PAGE = "the guard's refusal, on the page"
    COMMAND = "the guard's refusal, as the error of a command"
    WALL = "nothing: no such method, or no permission for anybody"


@dataclass(frozen=True)
class Edit:
    """What a way is to bring about: these values in this row, or, without values, its end."""

    row: Any
    values: dict[str, Any] = field(default_factory=dict)
    stale: Any = None

    @property
    def model(self) -> Any:
        return type(self.row)

    @property
    def stored(self) -> Any:
        """The row, read anew."""
        return self.model._base_manager.get(pk=self.row.pk)

    @property
    def changed(self) -> Any:
        """The row with the values, not saved."""
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
        """The values by the names of their columns: rows as their ids."""
        return {
            self.model._meta.get_field(name).attname: getattr(value, "pk", value)
            for name, value in self.values.items()
        }


def anything(edit: Edit) -> bool:
    return True


@dataclass(frozen=True)
class Way:
    """One way in, what stands behind it, and for which edits there is such a way at all."""

    name: str
    open: Callable[[House, Edit], Any]
    behind: Behind
    leads_to: Callable[[Edit], bool] = anything


WRITES: list[Way] = []
DELETIONS: list[Way] = []


def _add(table: list[Way], behind: Behind, leads_to: Callable[[Edit], bool]) -> Any:
    def add(function: Callable[[Edit], Any]) -> Any:
        def open_it(house: House, edit: Edit) -> Any:
            return function(edit)

        table.append(Way(function.__name__, open_it, behind, leads_to))
        return function

    return add


def _write(behind: Behind, leads_to: Callable[[Edit], bool] = anything) -> Any:
    return _add(WRITES, behind, leads_to)


def _deletion(behind: Behind) -> Any:
    return _add(DELETIONS, behind, anything)


def awaited(make: Callable[[], Any]) -> None:
    """On the test's own thread, and so on its connection."""

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


@_write(Behind.GUARD)
def save(edit: Edit) -> None:
    edit.changed.save()


@_write(Behind.GUARD)
def save_update_fields(edit: Edit) -> None:
    edit.changed.save(update_fields=list(edit.values))


@_write(Behind.GUARD, _has_keys)
def save_update_fields_by_attname(edit: Edit) -> None:
    edit.changed.save(update_fields=list(edit.columns))


@_write(Behind.GUARD, lambda edit: edit.stale is not None)
def save_of_a_stale_instance(edit: Edit) -> None:
    edit.written_to(deepcopy(edit.stale)).save()


@_write(Behind.GUARD)
def save_of_a_deferred_instance(edit: Edit) -> None:
    edit.written_to(edit.model._base_manager.only("pk").get(pk=edit.row.pk)).save()


@_write(Behind.GUARD)
def save_base(edit: Edit) -> None:
    edit.changed.save_base()


@_write(Behind.GUARD)
def asave(edit: Edit) -> None:
    awaited(edit.changed.asave)


@_write(Behind.GUARD)
def update_or_create(edit: Edit) -> None:
    edit.model.objects.update_or_create(pk=edit.row.pk, defaults=edit.values)


@_write(Behind.GUARD)
def aupdate_or_create(edit: Edit) -> None:
    objects = edit.model.objects
    awaited(lambda: objects.aupdate_or_create(pk=edit.row.pk, defaults=edit.values))


@_write(Behind.SERVICE)
def update(edit: Edit) -> None:
    edit.rows.update(**edit.values)


@_write(Behind.SERVICE, _has_keys)
def update_by_attname(edit: Edit) -> None:
    edit.rows.update(**edit.columns)


@_write(Behind.SERVICE)
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


@_write(Behind.SERVICE)
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


@_write(Behind.SERVICE)
def aupdate(edit: Edit) -> None:
    awaited(lambda: edit.rows.aupdate(**edit.values))


@_write(Behind.SERVICE)
def bulk_update(edit: Edit) -> None:
    edit.model.objects.bulk_update([edit.changed], list(edit.values))


@_write(Behind.SERVICE)
def abulk_update(edit: Edit) -> None:
    row = edit.changed
    awaited(lambda: edit.model.objects.abulk_update([row], list(edit.values)))


def _conflicts(edit: Edit) -> dict[str, Any]:
    return {
        "update_conflicts": True,
        "unique_fields": ["id"],
        "update_fields": list(edit.values),
    }


@_write(Behind.SERVICE)
def bulk_create_with_conflicts(edit: Edit) -> None:
    edit.model.objects.bulk_create([edit.changed], **_conflicts(edit))


@_write(Behind.SERVICE)
def abulk_create_with_conflicts(edit: Edit) -> None:
    row = edit.changed
    awaited(lambda: edit.model.objects.abulk_create([row], **_conflicts(edit)))


@_write(Behind.KEY)
def update_through_the_plain_manager(edit: Edit) -> None:
    edit.model._base_manager.filter(pk=edit.row.pk).update(**edit.values)


@_write(Behind.KEY)
def update_of_a_bare_queryset(edit: Edit) -> None:
    QuerySet(edit.model).filter(pk=edit.row.pk).update(**edit.values)


@_write(Behind.KEY)
def bulk_update_of_a_bare_queryset(edit: Edit) -> None:
    QuerySet(edit.model).bulk_update([edit.changed], list(edit.values))


@_write(Behind.KEY)
def bulk_create_of_a_bare_queryset(edit: Edit) -> None:
    QuerySet(edit.model).bulk_create([edit.changed], **_conflicts(edit))


@_write(Behind.KEY, _is_related)
def add_to_a_related_manager(edit: Edit) -> None:
    [(name, value)] = edit.values.items()
    remote = edit.model._meta.get_field(name).remote_field
    getattr(value, remote.get_accessor_name()).add(edit.stored)


@_write(Behind.KEY)
def save_base_raw(edit: Edit) -> None:
    edit.changed.save_base(raw=True)


@_write(Behind.KEY)
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


@_write(Behind.KEY)
def loaddata(edit: Edit) -> None:
    load(edit.changed)


def load(row: Model) -> None:
    """Load a fixture of this row."""
    with tempfile.TemporaryDirectory() as directory:
        fixture = Path(directory) / "fixture.json"
        # Not the serializer's JSON: it cuts times off at the millisecond, and would change more.
        names = [one.name for one in row._meta.concrete_fields if not one.generated]
        data = serializers.serialize("python", [row], fields=names)
        fixture.write_text(json.dumps(data, default=str))
        call_command("loaddata", str(fixture), verbosity=0)


@_deletion(Behind.GUARD)
def delete(edit: Edit) -> None:
    edit.stored.delete()


@_deletion(Behind.GUARD)
def adelete(edit: Edit) -> None:
    awaited(edit.stored.adelete)


@_deletion(Behind.GUARD)
def delete_of_a_queryset(edit: Edit) -> None:
    edit.rows.delete()


@_deletion(Behind.GUARD)
def adelete_of_a_queryset(edit: Edit) -> None:
    awaited(edit.rows.adelete)


@_deletion(Behind.GUARD)
def delete_through_the_plain_manager(edit: Edit) -> None:
    edit.model._base_manager.filter(pk=edit.row.pk).delete()


@_deletion(Behind.GUARD)
def delete_of_a_bare_queryset(edit: Edit) -> None:
    QuerySet(edit.model).filter(pk=edit.row.pk).delete()


@_deletion(Behind.KEY)
def raw_delete(edit: Edit) -> None:
    edit.model._base_manager.filter(pk=edit.row.pk)._raw_delete("default")


@_deletion(Behind.KEY)
def raw_sql_delete(edit: Edit) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {edit.model._meta.db_table} WHERE id = %s", [edit.row.pk])
