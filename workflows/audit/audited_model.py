"""Models whose saves, updates and deletions are recorded in the audit log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DatabaseError, models, transaction

from workflows.audit.log import (
    LISTED,
    Action,
    difference,
    make_attempt,
    read_values,
    record,
    recording_refusals,
)
from workflows.db import locks
from workflows.guards.database_errors import translate_database_errors, translate_deletion_errors
from workflows.refusals import Attempt, Refusal, find_refusals


def change_attempts(
    row: Any,
    before: dict[str, Any],
    after: dict[str, Any],
    *,
    action: str = Action.CHANGED,
    why: str = "",
    by: Any = None,
) -> list[Attempt]:
    """Describe a change for the audit log. Returns an empty list if no value differs."""
    was, becomes = difference(before, after)
    if not becomes:
        return []
    return [make_attempt(row, action, before=was, after=becomes, why=why, by=by)]


def deletion_attempt(row: Any) -> Attempt:
    """Describe a deletion for the audit log, with all values of the row."""
    return make_attempt(row, Action.DELETED, before=read_values(row))


def save_columns(row: models.Model, names: set[str]) -> None:
    """Save these columns of a row and its ``auto_now`` columns. Do nothing if there are none.

    Raises what the row's ``save()`` raises.
    """
    if names:
        auto_now = {
            field.name for field in row._meta.concrete_fields if getattr(field, "auto_now", False)
        }
        row.save(update_fields=names | auto_now)


def bulk_attempts(rows: Iterable[Any], values: Mapping[str, Any]) -> list[Attempt]:
    """Describe the rows of a refused bulk statement for the audit log; expressions as text."""
    written = {
        name.removesuffix("_id"): value if value is None else str(value)
        for name, value in values.items()
    }
    listed = rows.all()[:LISTED] if isinstance(rows, models.QuerySet) else rows
    return [make_attempt(row, Action.CHANGED, after=written) for row in listed]


class AuditedQuerySet(models.QuerySet[Any]):
    """A queryset whose bulk statements are recorded row by row.

    Django runs ``get_or_create``, ``update_or_create`` and ``bulk_update`` in its own transactions,
    whose rollback removes the entry of a refusal. It is recorded again after them. A transaction of
    the caller removes it too if it is rolled back.
    """

    def get_or_create(self, *args: Any, **kwargs: Any) -> tuple[Any, bool]:
        """Get or create a row; record a refusal."""
        with recording_refusals(list):
            return super().get_or_create(*args, **kwargs)

    def update_or_create(self, *args: Any, **kwargs: Any) -> tuple[Any, bool]:
        """Update or create a row; record a refusal."""
        with recording_refusals(list):
            return super().update_or_create(*args, **kwargs)

    def bulk_update(
        self, objs: Iterable[Any], fields: Iterable[str], batch_size: Any = None
    ) -> int:
        """Update rows as ``update`` does; record a refusal row by row."""
        rows, names = list(objs), list(fields)
        with recording_refusals(list):
            try:
                # Django's own block has no savepoint: a refusal would break the outer transaction.
                with transaction.atomic():
                    return super().bulk_update(rows, names, batch_size)
            except Refusal as refusal:
                # The rows have values; the statement has only expressions.
                attempts = [found for row in rows[:LISTED] for found in row.attempts(names)]
                refusal.attempts = attempts or refusal.attempts
                raise

    get_or_create.alters_data = True  # type: ignore[attr-defined]
    update_or_create.alters_data = True  # type: ignore[attr-defined]
    bulk_update.alters_data = True  # type: ignore[attr-defined]

    def update(self, **kwargs: Any) -> int:
        """Update rows; record the changes of each one."""
        with transaction.atomic():
            before = {row.pk: read_values(row, kwargs) for row in self._whole(self.all())}
            written = super().update(**kwargs)
            after = list(self._whole(self.model._base_manager.filter(pk__in=before)))
            self.model._after_write([(row, before[row.pk]) for row in after])
            record(
                [
                    attempt
                    for row in after
                    for attempt in change_attempts(row, before[row.pk], read_values(row, kwargs))
                ],
            )
            return written

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Create rows and record them; a row that was stored already is recorded as changed."""
        rows = list(objs)
        named = self._whole(self.model._base_manager.filter(cuid__in=[row.cuid for row in rows]))
        with transaction.atomic():
            before = {row.cuid: read_values(row) for row in named}
            created = super().bulk_create(rows, *args, **kwargs)
            attempts: list[Attempt] = []
            stored = list(named.all())
            self.model._after_write([(row, before.get(row.cuid)) for row in stored])
            for row in stored:
                after = read_values(row)
                attempts += (
                    change_attempts(row, before[row.cuid], after)
                    if row.cuid in before
                    else [make_attempt(row, Action.CREATED, after=after)]
                )
            record(attempts)
            return created

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete all rows or none; signals record each deletion or the refusal."""
        with recording_refusals(list):
            return self._delete_all()

    # As in Django: managers must not have delete(), which would delete every row.
    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    @translate_deletion_errors
    @locks.retrying
    def _delete_all(self) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            self._lock_for_deletion()
            return super().delete()

    def _lock_for_deletion(self) -> None:
        """Take the locks of a deletion, before Django collects the dependent rows."""

    def _whole(self, rows: Any) -> Any:
        related = [field.name for field in self.model._meta.concrete_fields if field.is_relation]
        return rows.order_by().select_related(None).select_related(*related)


class AuditedManager(models.Manager[Any]):
    """A manager whose querysets are ``AuditedQuerySet``."""

    def get_queryset(self) -> models.QuerySet[Any]:
        """Return all rows."""
        return AuditedQuerySet(self.model, using=self._db)


class Audited(models.Model):
    """A model whose saves and deletions are recorded, also the refused ones.

    Its ``objects`` must be an ``AuditedManager``.
    """

    class Meta:
        abstract = True

    _read: dict[str, Any] | None = None
    """The column values when this instance was last read or saved; None if it never was."""

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the row and record the changes.

        For a row that was read from the database, only the columns that this instance has changed
        are written. Other columns may have been changed by others since.
        """
        is_stored = self._read is not None and not self._state.adding
        names = kwargs.get("update_fields")
        if names is None and is_stored and not args and not kwargs.get("force_insert"):
            kwargs["update_fields"] = self._changed_columns()
        # A new row may collide with another one of the same name: get_or_create expects Django's
        # error.
        save = self._save if self._state.adding else translate_database_errors(self._save)
        with recording_refusals(lambda: self.attempts(kwargs.get("update_fields"))):
            save(*args, **kwargs)
        self._remember(kwargs.get("update_fields"))

    @classmethod
    def from_db(cls, db: Any, field_names: Any, values: Any) -> Any:
        row = super().from_db(db, field_names, values)
        row._remember()
        return row

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: Any = None,
    ) -> None:
        names = None if fields is None else list(fields)
        super().refresh_from_db(using, names, from_queryset)
        self._remember(names)

    def _remember(self, names: Iterable[str] | None = None) -> None:
        """Store the values of these columns, or of all, to find later what has changed."""
        wanted = None if names is None else set(names)
        self._read = self._read or {}
        for field in self._meta.concrete_fields:
            is_wanted = wanted is None or field.name in wanted or field.attname in wanted
            if is_wanted and field.attname in self.__dict__:
                value = self.__dict__[field.attname]
                is_mutable = isinstance(value, (dict, list))
                self._read[field.attname] = deepcopy(value) if is_mutable else value

    def _changed_columns(self) -> set[str]:
        """Return the names of the columns that this instance has changed, and of ``auto_now``."""
        read = self._read or {}
        return {
            field.name
            for field in self._meta.concrete_fields
            if not field.primary_key and not field.generated and field.attname in self.__dict__
            # Compared as text, because in Python True equals 1.
            if getattr(field, "auto_now", False)
            or field.attname not in read
            or repr(read[field.attname]) != repr(self.__dict__[field.attname])
        }

    @locks.retrying
    def _save(self, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic():
            names = kwargs.get("update_fields")
            stored = self._read_for_save(names)
            before = None if stored is None else read_values(stored, names)
            if stored is not None:
                self._merge(stored, names)
            self._write(*args, **kwargs)
            self._after_write([(self, before)])
            record(self._changes(before, names))

    def _read_for_save(self, names: Iterable[str] | None) -> Any:
        """Read the stored row in the transaction that writes these fields, or all."""
        return self._read_stored()

    def _merge(self, stored: Any, names: Iterable[str] | None) -> None:
        """Merge the stored values of these fields, or of all, into this instance."""

    def _write(self, *args: Any, **kwargs: Any) -> None:
        """Write the row, inside the transaction of the save."""
        super().save(*args, **kwargs)

    @classmethod
    def _after_write(cls, rows: Iterable[tuple[Any, dict[str, Any] | None]]) -> None:
        """Act on written rows, inside their transaction and before they are recorded.

        Args:
            rows: each row with its previous values of the written fields; None for a new row.
        """

    def attempts(self, names: Iterable[str] | None = None) -> list[Attempt]:
        """Describe what a save of these fields, or of all, would change now."""
        stored = self._read_stored()
        return self._changes(None if stored is None else read_values(stored), names)

    @contextmanager
    def _adding_attempts(self) -> Iterator[None]:
        """Add the changes of the save to the refusals of a form.

        Nothing is recorded, because validation does not know whether the form is to be saved.
        """
        try:
            yield
        except ValidationError as error:
            for refusal in find_refusals(error):
                refusal.attempts = refusal.attempts or self.attempts()
            raise

    def _changes(self, before: dict[str, Any] | None, names: Iterable[str] | None) -> list[Attempt]:
        after = read_values(self, names)
        if before is None:
            return [make_attempt(self, Action.CREATED, after=after)]
        return change_attempts(self, before, after)

    def _read_stored(self) -> Any:
        return None if self.pk is None else type(self)._base_manager.filter(pk=self.pk).first()

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete the row; a signal records the deletion."""
        with recording_refusals(lambda: [deletion_attempt(self)]):
            return self._delete(*args, **kwargs)

    @translate_deletion_errors
    @locks.retrying
    def _delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        pk = self.pk
        try:
            with transaction.atomic():
                self._lock_for_deletion()
                return super().delete(*args, **kwargs)
        except DatabaseError:
            # Django has removed it, although the transaction failed.
            self.pk = pk
            raise

    def _lock_for_deletion(self) -> None:
        """Take the locks of a deletion, before Django collects the dependent rows."""
