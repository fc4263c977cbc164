"""Entities: what workflows work on. One table, two faces."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models, router, transaction

from executions import guards
from workflows import locks
from workflows.cuid import LENGTH, new_cuid
from workflows.keys import KeyTarget
from workflows.models import EntityName
from workflows.models.types import EntityContext


class Entity(EntityContext):
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

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["title", "pk"]
        verbose_name_plural = "entities"
        constraints: ClassVar = [
            *EntityContext.Meta.constraints,
            KeyTarget(fields=["id", "context_key"], name="executions_entity_context"),
        ]

    def __str__(self) -> str:
        return self.title or self.cuid

    def clean(self) -> None:
        """Raises a ``ValidationError`` with the guard's refusal on the field that changed."""
        super().clean()
        if self.pk:
            guards.explain_entity_edit(self)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Raises ``guards.EntityInUse`` when the context changes under live executions."""
        using = kwargs.get("using") or router.db_for_write(Entity, instance=self)
        with transaction.atomic(using=using):
            if self.pk and guards.changes_context(self, kwargs.get("update_fields")):
                rows = Entity._base_manager.using(using)
                locks.lock_rows(rows.all(), [self.pk], locks.Strength.UPDATE)
            super().save(*args, **kwargs)


class _FaceManager(models.Manager[Any]):
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
