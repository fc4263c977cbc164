"""Models whose names must look different from each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from workflows import guards
from workflows.audit.audited_model import Audited, AuditedManager, AuditedQuerySet
from workflows.values import name_folding


class NameKeyField(models.CharField):  # type: ignore[type-arg]
    """The key of the row's ``name``. NULL on older rows whose names look alike."""

    def __init__(self, **kwargs: Any) -> None:
        fixed = {"max_length": name_folding.LENGTH, "null": True, "editable": False}
        super().__init__(**{**kwargs, **fixed})

    def deconstruct(self) -> Any:
        """Appear as a CharField in migrations, which import nothing from the application."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs

    def pre_save(self, model_instance: Any, add: bool) -> Any:
        """Set the key of a new row. Bulk statements call nothing else."""
        if add and getattr(model_instance, self.attname) is None:
            setattr(model_instance, self.attname, name_folding.hash_name(model_instance.name))
        return super().pre_save(model_instance, add)


def assign_name_key(row: Any, others: models.QuerySet[Any]) -> None:
    """Set the name key of a row, unless its name is unchanged.

    Raises:
        guards.NameInUse: another row has a name that looks the same.
        guards.InvisibleName: the name has no visible character.
    """
    stored = others.filter(pk=row.pk).first() if row.pk else None
    if stored is not None and stored.name == row.name:
        row.name_key = stored.name_key
        return
    guards.refuse_name(row.name, others.exclude(pk=row.pk))
    row.name_key = name_folding.hash_name(row.name)


class NamedQuerySet(AuditedQuerySet):
    """A queryset whose bulk statements check names too."""

    def update(self, **kwargs: Any) -> int:
        """Update rows. Raise ``guards.NameInUse`` or ``guards.InvisibleName``."""
        name = kwargs.get("name")
        if isinstance(name, str):
            others = self.model._base_manager.exclude(pk__in=self.values("pk"))
            guards.refuse_name(name, others)
            kwargs["name_key"] = name_folding.hash_name(name)
        return super().update(**kwargs)

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_update(self, objs: Iterable[Any], fields: Any, batch_size: Any = None) -> int:
        """Update rows. Raise ``guards.NameInUse`` or ``guards.InvisibleName``."""
        rows = list(objs)
        if "name" in fields:
            for row in rows:
                assign_name_key(row, self.model._base_manager.all())
            fields = [*fields, "name_key"]
        return super().bulk_update(rows, fields, batch_size)

    bulk_update.alters_data = True  # type: ignore[attr-defined]


class NamedManager(AuditedManager):
    """A manager whose querysets are ``NamedQuerySet``."""

    def get_queryset(self) -> models.QuerySet[Any]:
        """Return all rows."""
        return NamedQuerySet(self.model, using=self._db)


class NamedModel(Audited):
    """A model with a unique ``name``. Its ``objects`` must be a ``NamedManager``."""

    name: Any
    name_key = NameKeyField()

    class Meta:
        abstract = True

    def clean(self) -> None:
        """Raise ``ValidationError`` with the guard's refusal on the name."""
        with self._adding_attempts():
            super().clean()
            try:
                assign_name_key(self, type(self)._base_manager.all())
            except (guards.NameInUse, guards.InvisibleName) as refusal:
                raise ValidationError({"name": refusal}) from None

    def _write(self, *args: Any, **kwargs: Any) -> None:
        written = kwargs.get("update_fields")
        if written is None or "name" in written:
            assign_name_key(self, type(self)._base_manager.all())
            if written is not None:
                kwargs["update_fields"] = {*written, "name_key"}
        super()._write(*args, **kwargs)


def unique_name_key(*scope: str) -> models.UniqueConstraint:
    """Return the constraint that no two names look alike, within the fields of ``scope``."""
    return models.UniqueConstraint(
        fields=[*scope, "name_key"],
        condition=models.Q(name_key__isnull=False),
        name="%(app_label)s_%(class)s_name",
    )
