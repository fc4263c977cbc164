"""Finding types, record types, and the entity context that a caller and its callees share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Cast, Coalesce, Concat
from django.utils.translation import gettext_lazy as _

from workflows import guards
from workflows.db.cuid import LENGTH, new_cuid
from workflows.models.unique_name import NamedManager, NamedModel, unique_name_key


class TypeOfEntity(NamedModel):
    """The common part of finding types and record types."""

    cuid = models.CharField("ID", max_length=LENGTH, unique=True, default=new_cuid, editable=False)
    name = models.CharField(max_length=200, unique=True)
    description = models.TextField(blank=True)

    objects: ClassVar[NamedManager]

    class Meta:
        abstract = True
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [unique_name_key()]

    def __str__(self) -> str:
        return self.name


class FindingType(TypeOfEntity):
    """The type of a finding, such as Model Limitation or Policy Exception."""

    objects: ClassVar[NamedManager] = NamedManager()


class RecordType(TypeOfEntity):
    """The type of an inventory model."""

    objects: ClassVar[NamedManager] = NamedManager()


class EntityName(models.TextChoices):
    """The entity that a workflow works on: a finding or an inventory model."""

    FINDING = "Finding", _("Finding")
    INVENTORY_MODEL = "InventoryModel", _("Inventory model")


CONTEXT_FIELDS = ("entity_name", "entity_name_type", "primary_record_type")


@dataclass(frozen=True, slots=True)
class Context:
    """An entity context as a value: the ids of its types, and the key that compares it."""

    entity_name: str
    entity_name_type_id: int | None
    primary_record_type_id: int | None
    type_cuid: str = field(default="", compare=False)

    @property
    def key(self) -> str:
        """Return ``entity_name:finding type:record type``, as the database generates it."""
        return (
            f"{self.entity_name}:{self.entity_name_type_id or ''}"
            f":{self.primary_record_type_id or ''}"
        )

    @property
    def described(self) -> tuple[str, str | None, str | None]:
        """Return the entity name, the cuid of the finding type and the cuid of the record type."""
        cuid = self.type_cuid or None
        return (
            self.entity_name,
            cuid if self.entity_name_type_id else None,
            cuid if self.primary_record_type_id else None,
        )


def _text(expression: Any) -> Any:
    return Cast(expression, models.TextField())


def context_key_expression() -> Concat:
    """Return the context as one NOT NULL text.

    A composite key with a nullable column would not be enforced for rows with NULL. PostgreSQL
    allows no generated column inside another one, so each column repeats the expression.
    """
    colon = Value(":", output_field=models.TextField())
    empty = Value("", output_field=models.TextField())
    return Concat(
        _text("entity_name"),
        colon,
        Coalesce(_text("entity_name_type"), empty),
        colon,
        Coalesce(_text("primary_record_type"), empty),
        output_field=models.TextField(),
    )


CONTEXT_SHAPE = Q(
    entity_name=EntityName.FINDING.value,
    entity_name_type__isnull=False,
    primary_record_type__isnull=True,
) | Q(
    entity_name=EntityName.INVENTORY_MODEL.value,
    entity_name_type__isnull=True,
    primary_record_type__isnull=False,
)


class EntityContext(models.Model):
    """A model with an entity context: a finding type, or a record type.

    The keys to types use ``DO_NOTHING``, as do all keys whose deletion a guard judges: with
    ``PROTECT``, Django's collector would raise its error before ``pre_delete`` could name the
    blockers. The database's keys are enforced all the same.
    """

    entity_name = models.CharField(
        max_length=32, choices=EntityName.choices, default=EntityName.FINDING
    )
    entity_name_type = models.ForeignKey(
        FindingType,
        models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("finding type"),
    )
    primary_record_type = models.ForeignKey(
        RecordType,
        models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("record type"),
    )
    context_key = models.GeneratedField(
        expression=context_key_expression(), output_field=models.TextField(), db_persist=True
    )

    class Meta:
        abstract = True
        constraints: ClassVar = [
            models.CheckConstraint(condition=CONTEXT_SHAPE, name="%(app_label)s_%(class)s_shape")
        ]

    @property
    def context(self) -> Context:
        """Return the context of this instance, saved or not."""
        return Context(
            self.entity_name,
            self.entity_name_type_id,
            self.primary_record_type_id,
        )

    @property
    def context_type(self) -> FindingType | RecordType | None:
        """Return the finding type or the record type, according to the entity name."""
        if self.entity_name == EntityName.FINDING:
            return self.entity_name_type
        return self.primary_record_type

    def described_context(self) -> Context:
        """Return the context with the cuid of its type, for messages."""
        own_type = self.context_type
        return Context(
            self.entity_name,
            self.entity_name_type_id,
            self.primary_record_type_id,
            own_type.cuid if own_type else "",
        )

    def clean(self) -> None:
        """Raise ``guards.ContextShape`` if the types and the entity name do not match."""
        super().clean()
        guards.refuse_context_shape(self)
