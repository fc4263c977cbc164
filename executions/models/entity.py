"""Entities: what workflows work on. One table, two faces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q, Value
from django.db.models.lookups import Exact
from django.dispatch import Signal

from executions import guards
from workflows.audit.audited_model import Audited, AuditedManager, AuditedQuerySet, bulk_attempts
from workflows.audit.log import attempting
from workflows.db import locks
from workflows.db.composite_keys import JSONKind, KeyTarget
from workflows.db.cuid import LENGTH, new_cuid
from workflows.guards import overlaid
from workflows.models import EntityName
from workflows.models.types import EntityContext
from workflows.values.missing import present
from workflows.visibility import may_view

entities_written = Signal()
"""Sent in the transaction that writes entities by ``save()`` or a bulk statement: ``written`` are
pairs of an entity and what it had in the fields that were written, None where it is new; ``using``
is the database.
"""


class EntityQuerySet(AuditedQuerySet):
    """Entities; bulk statements do not change the type of one that an execution works on."""

    def update(self, **kwargs: Any) -> int:
        """Raises ``guards.EntityInUse``; ``bulk_update`` and the async twins come through here."""
        self._refuse(kwargs, self, self)
        if isinstance(kwargs.get("fields"), dict):
            kwargs["fields"] = present(kwargs["fields"])
        return super().update(**kwargs)

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_update(self, objs: Iterable[Any], fields: Any, batch_size: Any = None) -> int:
        """Update as Django does, without the fields that are missing."""
        rows = list(objs)
        if "fields" in fields:
            _leave_out_missing(rows)
        return super().bulk_update(rows, fields, batch_size)

    bulk_update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(
        self,
        objs: Iterable[Any],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Any = None,
        unique_fields: Any = None,
    ) -> list[Any]:
        """Raises ``guards.EntityInUse`` when a conflict would change the type."""
        rows = list(objs)
        _leave_out_missing(rows)
        same = Q(pk__in=[row.pk for row in rows]) | Q(cuid__in=[row.cuid for row in rows])
        stored = Entity._base_manager.using(self.db).filter(same)
        self._refuse(dict.fromkeys(update_fields or ()), stored, rows)
        return super().bulk_create(
            rows, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields
        )

    def _refuse(
        self, values: Mapping[str, Any], entities: models.QuerySet[Any], rows: Iterable[Any]
    ) -> None:
        executions: Any = Entity._meta.get_field("executions").related_model
        live = executions.objects.using(self.db).live()
        touched = entities.order_by().values("pk")
        with attempting(lambda: bulk_attempts(rows, values), using=self.db):
            guards.refuse_entities_edit(values, live.filter(entity__in=touched))


def _leave_out_missing(rows: Iterable[Any]) -> None:
    for row in rows:
        if isinstance(row.fields, dict):
            row.fields = present(row.fields)


class EntityManager(AuditedManager):
    """Every statement is an ``EntityQuerySet``'s."""

    def get_queryset(self) -> models.QuerySet[Any]:
        """Return all rows."""
        return EntityQuerySet(self.model, using=self._db)


class Entity(Audited, EntityContext):
    """A finding or an inventory model, with the fields that workflows read and write.

    Multi-table inheritance cannot carry the keys over (id, context), so both kinds share
    this table and ``Finding`` and ``InventoryModel`` are its faces.
    """

    cuid = models.CharField(max_length=LENGTH, unique=True, default=new_cuid, editable=False)
    title = models.CharField(max_length=200)
    fields = models.JSONField(default=dict, blank=True)
    inventory_model = models.ForeignKey(
        "executions.InventoryModel",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="findings",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[EntityManager] = EntityManager()

    class Meta:
        ordering: ClassVar = ["title", "pk"]
        verbose_name_plural = "entities"
        indexes: ClassVar = [models.Index(fields=["title", "id"], name="executions_entity_title")]
        constraints: ClassVar = [
            *EntityContext.Meta.constraints,
            KeyTarget(fields=["id", "context_key"], name="executions_entity_context"),
            models.CheckConstraint(
                condition=Exact(JSONKind("fields"), Value("object")),
                name="executions_entity_fields",
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.cuid

    @property
    def read_fields(self) -> dict[str, Any]:
        """The fields as they were read from the database; none where the row is new."""
        found = (self._read or {}).get("fields")
        return found if isinstance(found, dict) else {}

    def clean(self) -> None:
        """Raises a ``ValidationError`` with the guard's refusal on the field that changed."""
        with self._explaining():
            super().clean()
            try:
                guards.refuse_fields(self)
            except guards.InvalidFields as refusal:
                raise ValidationError({"fields": refusal}) from None
            if self.pk:
                guards.explain_entity_edit(self)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the columns that this instance has changed; of ``fields`` the names, for
        executions write them too.

        Raises:
            guards.EntityInUse: the context would change under live executions.
            guards.InvalidFields: the fields are no object.
        """
        super().save(*args, **kwargs)
        # Generated by the database: read again when somebody asks.
        if not self._state.adding:
            self.__dict__.pop("context_key", None)

    def _merge(self, stored: Any, names: Iterable[str] | None) -> None:
        read = self._read or {}
        is_known = isinstance(read.get("fields"), dict) and isinstance(self.fields, dict)
        if is_known and (names is None or "fields" in names):
            self.fields = overlaid(read["fields"], self.fields, stored.fields)
            # The save may be begun anew, and find others' values again.
            read["fields"] = stored.fields

    def _write(self, database: str, *args: Any, **kwargs: Any) -> None:
        guards.refuse_fields(self)
        names = kwargs.get("update_fields")
        if names is None or "fields" in names:
            _leave_out_missing([self])
        if self.pk and guards.changes_context(self, kwargs.get("update_fields")):
            self._lock_exclusively(database)
        super()._write(database, *args, **kwargs)

    def _stored_for_save(self, database: str, names: Iterable[str] | None) -> Any:
        if self.pk is None or not (names is None or "fields" in names):
            return self._stored(database)
        # What two edits change is told of each by itself: the second waits before it reads.
        rows = type(self)._base_manager.using(database).select_for_update(no_key=True)
        return rows.filter(pk=self.pk).first()

    @classmethod
    def _written(cls, rows: Iterable[tuple[Any, dict[str, Any] | None]], database: str) -> None:
        entities_written.send(sender=cls, written=rows, using=database)

    def refuse_deletion(self) -> None:
        """Raises ``guards.EntityInUse`` when an execution is of it; takes the entity's lock."""
        self._lock_exclusively(self._state.db or "default")
        guards.refuse_entity_deletion(self)

    def _lock_exclusively(self, database: str) -> None:
        locks.limit_wait(database)
        rows = Entity._base_manager.using(database)
        locks.lock_rows(rows.all(), [self.pk], locks.Strength.UPDATE)


class _FaceManager(EntityManager):
    def __init__(self, entity_name: str) -> None:
        super().__init__()
        self.entity_name = entity_name

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().filter(entity_name=self.entity_name)


class Finding(Entity):
    """An entity with a finding type, e.g. a Model Limitation or a Policy Exception."""

    objects: ClassVar = _FaceManager(EntityName.FINDING)

    class Meta:
        proxy = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not args:
            kwargs.setdefault("entity_name", EntityName.FINDING)
        super().__init__(*args, **kwargs)


class InventoryModel(Entity):
    """An entity with a record type; findings may belong to it."""

    objects: ClassVar = _FaceManager(EntityName.INVENTORY_MODEL)

    class Meta:
        proxy = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not args:
            kwargs.setdefault("entity_name", EntityName.INVENTORY_MODEL)
        super().__init__(*args, **kwargs)


def may_view_entity(user: Any, entity_name: str) -> bool:
    """Return True if this user may read the fields of findings, or of inventory models."""
    return may_view(user, Finding if entity_name == EntityName.FINDING else InventoryModel)
