"""Entities, which workflows work on: findings and inventory models in one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q, Value
from django.db.models.lookups import Exact
from django.dispatch import Signal
from django.utils.translation import gettext_lazy as _

from executions import guards
from workflows.audit.audited_model import Audited, AuditedManager, AuditedQuerySet, bulk_attempts
from workflows.audit.log import recording_refusals
from workflows.db import locks
from workflows.db.composite_keys import JSONKind, KeyTarget
from workflows.db.cuid import LENGTH, new_cuid
from workflows.guards import overlay
from workflows.models import EntityName
from workflows.models.types import EntityContext
from workflows.values.missing import drop_missing
from workflows.visibility import may_view

entities_written = Signal()
"""Sent in the transaction that writes entities, by ``save()`` or by a bulk statement.

``written`` has a pair for each: the entity, and its previous values of the written fields (None
for a new entity).
"""


class EntityQuerySet(AuditedQuerySet):
    """Entities. Bulk statements cannot change the type of one with live executions."""

    def update(self, **kwargs: Any) -> int:
        """Update as Django does. ``bulk_update`` and the async variants call this method.

        Raises:
            guards.EntityInUse: the type of an entity with live executions would change.
        """
        self._refuse(kwargs, self, self)
        if isinstance(kwargs.get("fields"), dict):
            kwargs["fields"] = drop_missing(kwargs["fields"])
        return super().update(**kwargs)

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_update(self, objs: Iterable[Any], fields: Any, batch_size: Any = None) -> int:
        """Update as Django does, and remove missing values from ``fields``."""
        rows = list(objs)
        if "fields" in fields:
            _remove_missing(rows)
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
        """Create rows as Django does, and remove missing values from ``fields``.

        Raises:
            guards.EntityInUse: updating a conflicting row would change its type.
        """
        rows = list(objs)
        _remove_missing(rows)
        same = Q(pk__in=[row.pk for row in rows]) | Q(cuid__in=[row.cuid for row in rows])
        stored = Entity._base_manager.filter(same)
        self._refuse(dict.fromkeys(update_fields or ()), stored, rows)
        return super().bulk_create(
            rows, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields
        )

    def _refuse(
        self, values: Mapping[str, Any], entities: models.QuerySet[Any], rows: Iterable[Any]
    ) -> None:
        executions: Any = Entity._meta.get_field("executions").related_model
        live = executions.objects.live()
        touched = entities.order_by().values("pk")
        with recording_refusals(lambda: bulk_attempts(rows, values)):
            guards.refuse_entities_edit(values, live.filter(entity__in=touched))


def _remove_missing(rows: Iterable[Any]) -> None:
    for row in rows:
        if isinstance(row.fields, dict):
            row.fields = drop_missing(row.fields)


class EntityManager(AuditedManager):
    """A manager whose querysets are ``EntityQuerySet``."""

    def get_queryset(self) -> models.QuerySet[Any]:
        """Return all rows."""
        return EntityQuerySet(self.model, using=self._db)


class Entity(Audited, EntityContext):
    """A finding or an inventory model, with the fields that workflows read and write.

    Both share this table, because multi-table inheritance cannot carry the keys over (id,
    context). ``Finding`` and ``InventoryModel`` are its proxies.
    """

    cuid = models.CharField("ID", max_length=LENGTH, unique=True, default=new_cuid, editable=False)
    # Null, because several entities of a type have none.
    external_id = models.CharField(  # noqa: DJ001
        _("external ID"),
        max_length=200,
        null=True,
        blank=True,
        default=None,
        help_text=_("The ID in another system. Unique within its type."),
    )
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
            *(
                # Partial, so that entities without an external id cost nothing.
                models.UniqueConstraint(
                    fields=["external_id", name],
                    condition=Q(external_id__isnull=False),
                    name=f"executions_entity_external_{name.partition('_')[0]}",
                )
                for name in ("entity_name_type", "primary_record_type")
            ),
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
        """The fields as they were read from the database; empty for a new row."""
        found = (self._read or {}).get("fields")
        return found if isinstance(found, dict) else {}

    def clean(self) -> None:
        """Raise a ``ValidationError`` with the guard's refusal on the field that changed."""
        with self._adding_attempts():
            super().clean()
            try:
                guards.refuse_fields(self)
            except guards.InvalidFields as refusal:
                raise ValidationError({"fields": refusal}) from None
            if self.pk:
                guards.explain_entity_edit(self)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the columns that this instance has changed.

        ``fields`` is merged by name, because executions write fields too.

        Raises:
            guards.EntityInUse: the context would change while live executions work on it.
            guards.InvalidFields: the fields are no object.
        """
        super().save(*args, **kwargs)
        # Generated by the database: Django reads it again on access.
        if not self._state.adding:
            self.__dict__.pop("context_key", None)

    def _merge(self, stored: Any, names: Iterable[str] | None) -> None:
        read = self._read or {}
        is_known = isinstance(read.get("fields"), dict) and isinstance(self.fields, dict)
        if is_known and (names is None or "fields" in names):
            self.fields = overlay(read["fields"], self.fields, stored.fields)
            # A retry of the save merges with the stored values again.
            read["fields"] = stored.fields

    def _write(self, *args: Any, **kwargs: Any) -> None:
        guards.refuse_fields(self)
        names = kwargs.get("update_fields")
        if names is None or "fields" in names:
            _remove_missing([self])
        if self.pk and guards.changes_context(self, kwargs.get("update_fields")):
            self._lock_exclusively()
        super()._write(*args, **kwargs)

    def _read_for_save(self, names: Iterable[str] | None) -> Any:
        if self.pk is None or not (names is None or "fields" in names):
            return self._read_stored()
        # Locked, so that each of two edits at once records only its own changes.
        rows = type(self)._base_manager.select_for_update(no_key=True)
        return rows.filter(pk=self.pk).first()

    @classmethod
    def _after_write(cls, rows: Iterable[tuple[Any, dict[str, Any] | None]]) -> None:
        entities_written.send(sender=cls, written=rows)

    def refuse_deletion(self) -> None:
        """Lock the entity. Raise ``guards.EntityInUse`` if it has an execution."""
        self._lock_exclusively()
        guards.refuse_entity_deletion(self)

    def _lock_exclusively(self) -> None:
        locks.limit_wait()
        locks.lock_rows(Entity._base_manager.all(), [self.pk], locks.Strength.UPDATE)


class _ProxyManager(EntityManager):
    def __init__(self, entity_name: str) -> None:
        super().__init__()
        self.entity_name = entity_name

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().filter(entity_name=self.entity_name)


class Finding(Entity):
    """An entity with a finding type, such as "Model Limitation"."""

    objects: ClassVar = _ProxyManager(EntityName.FINDING)

    class Meta:
        proxy = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not args:
            kwargs.setdefault("entity_name", EntityName.FINDING)
        super().__init__(*args, **kwargs)


class InventoryModel(Entity):
    """An entity with a record type. Findings can belong to it."""

    objects: ClassVar = _ProxyManager(EntityName.INVENTORY_MODEL)

    class Meta:
        proxy = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not args:
            kwargs.setdefault("entity_name", EntityName.INVENTORY_MODEL)
        super().__init__(*args, **kwargs)


def may_view_entity(user: Any, entity_name: str) -> bool:
    """Return True if this user may read the fields of findings, or of inventory models."""
    return may_view(user, Finding if entity_name == EntityName.FINDING else InventoryModel)
