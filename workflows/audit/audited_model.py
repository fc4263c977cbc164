"""Records whose every save, update and deletion leaves an entry in the audit log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DatabaseError, models, router, transaction

from workflows.audit.log import (
    LISTED,
    Action,
    attempting,
    difference,
    record,
    told,
    values_of,
)
from workflows.db import locks
from workflows.guards.database_errors import translated, translated_deletion
from workflows.refusals import Attempt, Refusal, refusals_in


def changed(
    row: Any,
    before: dict[str, Any],
    after: dict[str, Any],
    *,
    action: str = Action.CHANGED,
    why: str = "",
    by: Any = None,
) -> list[Attempt]:
    """What there is to record of a change: nothing where nothing differs."""
    was, becomes = difference(before, after)
    if not becomes:
        return []
    return [told(row, action, before=was, after=becomes, why=why, by=by)]


def deleted(row: Any) -> Attempt:
    """What there is to record of a deletion."""
    return told(row, Action.DELETED, before=values_of(row))


def save_columns(row: models.Model, names: set[str]) -> None:
    """Save these columns of a row, and the times of its last change; nothing where there is none.

    Raises whatever the ``save()`` of the row raises.
    """
    if names:
        timed = {
            field.name for field in row._meta.concrete_fields if getattr(field, "auto_now", False)
        }
        row.save(update_fields=names | timed)


def bulk_attempts(rows: Iterable[Any], values: Mapping[str, Any]) -> list[Attempt]:
    """Return what a bulk statement would have written; expressions as they are written."""
    written = {
        name.removesuffix("_id"): value if value is None else str(value)
        for name, value in values.items()
    }
    listed = rows.all()[:LISTED] if isinstance(rows, models.QuerySet) else rows
    return [told(row, Action.CHANGED, after=written) for row in listed]


class AuditedQuerySet(models.QuerySet[Any]):
    """Bulk statements are recorded too, row by row.

    Django runs ``get_or_create``, ``update_or_create`` and ``bulk_update`` in transactions of its
    own, which roll back what was recorded inside of them; a refusal is recorded again once they
    have ended. In a transaction of the caller's it shares that one's fate.
    """

    def get_or_create(self, *args: Any, **kwargs: Any) -> tuple[Any, bool]:
        """Get or create, and record what was refused."""
        with attempting(list, using=self.db):
            return super().get_or_create(*args, **kwargs)

    def update_or_create(self, *args: Any, **kwargs: Any) -> tuple[Any, bool]:
        """Update or create, and record what was refused."""
        with attempting(list, using=self.db):
            return super().update_or_create(*args, **kwargs)

    def bulk_update(
        self, objs: Iterable[Any], fields: Iterable[str], batch_size: Any = None
    ) -> int:
        """Update as ``update`` does, and record what was refused, row by row."""
        rows, names = list(objs), list(fields)
        with attempting(list, using=self.db):
            try:
                # Django's own block has no savepoint: a refusal would break the one around it.
                with transaction.atomic(using=self.db):
                    return super().bulk_update(rows, names, batch_size)
            except Refusal as refusal:
                # Better than the expressions that its statement is made of.
                tried = [found for row in rows[:LISTED] for found in row._tried(self.db, names)]
                refusal.attempts = tried or refusal.attempts
                raise

    get_or_create.alters_data = True  # type: ignore[attr-defined]
    update_or_create.alters_data = True  # type: ignore[attr-defined]
    bulk_update.alters_data = True  # type: ignore[attr-defined]

    def update(self, **kwargs: Any) -> int:
        """Update, and record what has changed in each row."""
        with transaction.atomic(using=self.db):
            before = {row.pk: values_of(row, kwargs) for row in self._whole(self.all())}
            written = super().update(**kwargs)
            after = list(self._whole(self.model._base_manager.using(self.db).filter(pk__in=before)))
            self.model._written([(row, before[row.pk]) for row in after], self.db)
            record(
                [
                    attempt
                    for row in after
                    for attempt in changed(row, before[row.pk], values_of(row, kwargs))
                ],
                using=self.db,
            )
            return written

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Create, and record each row; one that was there already has changed."""
        rows = list(objs)
        named = self._whole(
            self.model._base_manager.using(self.db).filter(cuid__in=[row.cuid for row in rows])
        )
        with transaction.atomic(using=self.db):
            before = {row.cuid: values_of(row) for row in named}
            created = super().bulk_create(rows, *args, **kwargs)
            attempts: list[Attempt] = []
            stored = list(named.all())
            self.model._written([(row, before.get(row.cuid)) for row in stored], self.db)
            for row in stored:
                after = values_of(row)
                attempts += (
                    changed(row, before[row.cuid], after)
                    if row.cuid in before
                    else [told(row, Action.CREATED, after=after)]
                )
            record(attempts, using=self.db)
            return created

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete all of them or none; signals record each row, and what refuses one of them."""
        with attempting(list, using=self.db):
            return self._delete_all()

    # As on Django's own: not on the manager, where it would mean every row.
    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    @translated_deletion
    @locks.retrying
    def _delete_all(self) -> tuple[int, dict[str, int]]:
        with transaction.atomic(using=self.db):
            self._lock_for_deletion()
            return super().delete()

    def _lock_for_deletion(self) -> None:
        """Lock what has to be locked before what goes along is collected."""

    def _whole(self, rows: Any) -> Any:
        related = [field.name for field in self.model._meta.concrete_fields if field.is_relation]
        return rows.order_by().select_related(None).select_related(*related)


class AuditedManager(models.Manager[Any]):
    """Every statement is an ``AuditedQuerySet``'s."""

    def get_queryset(self) -> models.QuerySet[Any]:
        """Return all rows."""
        return AuditedQuerySet(self.model, using=self._db)


class Audited(models.Model):
    """A record whose saves and deletions are recorded, and the refused ones too.

    Its ``objects`` are an ``AuditedManager``.
    """

    class Meta:
        abstract = True

    _read: dict[str, Any] | None = None
    """What each column had when this instance was read or saved; None where it never was."""

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, and record what has changed.

        Of a row that was read, only the columns that this instance has changed are written: others
        may have changed the rest meanwhile.
        """
        is_stored = self._read is not None and not self._state.adding
        names = kwargs.get("update_fields")
        if names is None and is_stored and not args and not kwargs.get("force_insert"):
            kwargs["update_fields"] = self._changed_columns()
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        # What is created may race with another of its name: get_or_create looks for that error.
        save = self._save if self._state.adding else translated(self._save)
        with attempting(lambda: self._tried(using, kwargs.get("update_fields")), using=using):
            save(using, *args, **kwargs)
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
        """Note what these columns have, or all: a save writes what is changed from then on."""
        wanted = None if names is None else set(names)
        self._read = self._read or {}
        for field in self._meta.concrete_fields:
            is_wanted = wanted is None or field.name in wanted or field.attname in wanted
            if is_wanted and field.attname in self.__dict__:
                value = self.__dict__[field.attname]
                is_mutable = isinstance(value, (dict, list))
                self._read[field.attname] = deepcopy(value) if is_mutable else value

    def _changed_columns(self) -> set[str]:
        """Return the names of the columns that this instance has changed, and of the times of
        its last change.
        """
        read = self._read or {}
        return {
            field.name
            for field in self._meta.concrete_fields
            if not field.primary_key and not field.generated and field.attname in self.__dict__
            # As text: to Python, true equals 1.
            if getattr(field, "auto_now", False)
            or field.attname not in read
            or repr(read[field.attname]) != repr(self.__dict__[field.attname])
        }

    @locks.retrying
    def _save(self, database: str, *args: Any, **kwargs: Any) -> None:
        with transaction.atomic(using=database):
            names = kwargs.get("update_fields")
            stored = self._stored_for_save(database, names)
            before = None if stored is None else values_of(stored, names)
            if stored is not None:
                self._merge(stored, names)
            self._write(database, *args, **kwargs)
            self._written([(self, before)], database)
            record(self._changes(before, names), using=database)

    def _merge(self, stored: Any, names: Iterable[str] | None) -> None:
        """Take over what others have written into these columns since this instance was read."""

    def _write(self, database: str, *args: Any, **kwargs: Any) -> None:
        """Write the row, inside the transaction of the save."""
        super().save(*args, **kwargs)

    @classmethod
    def _written(cls, rows: Iterable[tuple[Any, dict[str, Any] | None]], database: str) -> None:
        """What follows from the writing of these rows, each with what it had in the fields that
        were written, None where it is new; inside the transaction, before it is recorded.
        """

    def tried(self) -> list[Attempt]:
        """What a save of this instance would change now."""
        return self._tried(self._state.db or router.db_for_read(type(self), instance=self), None)

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Let what refuses a form tell what its save would have changed.

        Nothing is recorded: only the face knows whether anybody asked to save.
        """
        try:
            yield
        except ValidationError as error:
            for refusal in refusals_in(error):
                refusal.attempts = refusal.attempts or self.tried()
            raise

    def _tried(self, database: str, names: Iterable[str] | None) -> list[Attempt]:
        stored = self._stored(database)
        return self._changes(None if stored is None else values_of(stored), names)

    def _changes(self, before: dict[str, Any] | None, names: Iterable[str] | None) -> list[Attempt]:
        after = values_of(self, names)
        if before is None:
            return [told(self, Action.CREATED, after=after)]
        return changed(self, before, after)

    def _stored_for_save(self, database: str, names: Iterable[str] | None) -> Any:
        """What is stored, read in the transaction that will write these fields, or all."""
        return self._stored(database)

    def _stored(self, using: str) -> Any:
        if self.pk is None:
            return None
        return type(self)._base_manager.using(using).filter(pk=self.pk).first()

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete; the signal records it."""
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        with attempting(lambda: [deleted(self)], using=using):
            return self._delete(using, *args, **kwargs)

    @translated_deletion
    @locks.retrying
    def _delete(self, database: str, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        pk = self.pk
        try:
            with transaction.atomic(using=database):
                self._lock_for_deletion(database)
                return super().delete(*args, **kwargs)
        except DatabaseError:
            # Django took it away before the commit.
            self.pk = pk
            raise

    def _lock_for_deletion(self, database: str) -> None:
        """Lock what has to be locked before what goes along is collected."""
