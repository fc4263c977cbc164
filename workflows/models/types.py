"""Finding types, record types, and the entity context that caller and callee share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Cast, Coalesce, Concat

from workflows import guards
from workflows.db.cuid import LENGTH, new_cuid
from workflows.models.unique_name import Named, NamedManager, unique_name_key


class TypeOfEntity(Named):
    """What finding types and record types have in common."""

    cuid = models.CharField(max_length=LENGTH, unique=True, default=new_cuid, editable=False)
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
    """What operators call the type of a finding: Model Limitation, Policy Exception …"""

    objects: ClassVar[NamedManager] = NamedManager()


class RecordType(TypeOfEntity):
    """The type of an inventory model."""

    objects: ClassVar[NamedManager] = NamedManager()


class EntityName(models.TextChoices):
    """The kind of entity that a workflow works on."""

    FINDING = "Finding", "Finding"
    INVENTORY_MODEL = "InventoryModel", "Inventory model"


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
        """``entity_name:finding type:record type``, as the database generates it."""
        return (
            f"{self.entity_name}:{self.entity_name_type_id or ''}"
            f":{self.primary_record_type_id or ''}"
        )

    @property
    def described(self) -> tuple[str, str | None, str | None]:
        """Entity name, cuid of the finding type, cuid of the record type."""
        cuid = self.type_cuid or None
        return (
            self.entity_name,
            cuid if self.entity_name_type_id else None,
            cuid if self.primary_record_type_id else None,
        )


def _text(expression: Any) -> Any:
    return Cast(expression, models.TextField())


def context_key_expression() -> Concat:
    """The context as one NOT NULL text: a nullable column in a composite key lets rows slip by.

    PostgreSQL refuses a generated column inside another one, so it is written out wherever
    it is needed.
    """
    colon = Value(":", output_field=models.TextField())
    nothing = Value("", output_field=models.TextField())
    return Concat(
        _text("entity_name"),
        colon,
        Coalesce(_text("entity_name_type"), nothing),
        colon,
        Coalesce(_text("primary_record_type"), nothing),
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
    """Carries an entity context: a finding with a finding type, or a model with a record type.

    The keys to types do nothing on delete in Python, here as wherever a guard answers for
    the deletion: PROTECT would be raised by the collector before ``pre_delete`` could say
    why. The database's own keys hold all the same.
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
        verbose_name="finding type",
    )
    primary_record_type = models.ForeignKey(
        RecordType,
        models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="record type",
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
        """The context as this instance has it now, saved or not."""
        return Context(
            self.entity_name,
            self.entity_name_type_id,
            self.primary_record_type_id,
        )

    @property
    def context_type(self) -> FindingType | RecordType | None:
        """The finding type or the record type, whichever the entity name calls for."""
        if self.entity_name == EntityName.FINDING:
            return self.entity_name_type
        return self.primary_record_type

    def described_context(self) -> Context:
        """The context with the cuid of its type, for messages."""
        kind = self.context_type
        return Context(
            self.entity_name,
            self.entity_name_type_id,
            self.primary_record_type_id,
            kind.cuid if kind else "",
        )

    def clean(self) -> None:
        """Raises ``guards.ContextShape`` when types and entity name do not go together."""
        super().clean()
        guards.refuse_context_shape(self)
