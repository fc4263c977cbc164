"""Pins: the version of each callee that a tree of executions uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from django.db import models
from django.db.models import Case, F, TextField, Value, When

from executions import guards
from executions.models.execution import Execution
from workflows.db.composite_keys import CompositeForeignKey
from workflows.models import Version, Workflow
from workflows.models.write_once_rows import WriteOnceQuerySet


class PinQuerySet(WriteOnceQuerySet["Pin"]):
    """Pins, with a filter for those of live roots."""

    def refuse_writing(self, names: Iterable[str]) -> None:
        """Raise ``guards.ExecutionFrozen``: pins are written once, when the root starts."""
        guards.refuse_bulk_rewrite(self.model, names)

    def live(self) -> PinQuerySet:
        """Return only the pins of live roots."""
        return self.filter(held_key__isnull=False)


class Pin(models.Model):
    """The version of one callee, fixed for the whole tree when the root starts.

    ``live`` follows the root by ON UPDATE CASCADE, so ended executions release their pins.
    """

    FROZEN: ClassVar = ("root_id", "callee_id", "version_id", "context_key", "live")

    # The composite key below covers it, and the unique constraint is its index.
    root = models.ForeignKey(
        Execution, models.CASCADE, related_name="pins", db_constraint=False, db_index=False
    )
    callee = models.ForeignKey(
        Workflow, models.DO_NOTHING, related_name="pins", db_constraint=False, db_index=False
    )
    version = models.ForeignKey(Version, models.DO_NOTHING, related_name="pins", db_index=False)
    context_key = models.TextField(editable=False)
    live = models.BooleanField(default=True, editable=False)
    held_key = models.GeneratedField(
        expression=Case(When(live=True, then=F("context_key")), default=Value(None)),
        output_field=TextField(null=True),
        db_persist=True,
    )

    objects = PinQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["root", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["root", "callee"], name="executions_pin_callee"),
            CompositeForeignKey(
                name="executions_pin_root_fk",
                fields=["root", "live"],
                to_fields=["id", "live"],
                on_update="CASCADE",
            ),
            CompositeForeignKey(
                name="executions_pin_version_fk",
                fields=["version", "callee", "held_key"],
                to_fields=["id", "workflow", "held_key"],
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["version", "held_key"], name="executions_pins_of_version"),
            models.Index(fields=["callee", "held_key"], name="executions_pins_of_callee"),
        ]

    def __str__(self) -> str:
        return f"{self.root}: {self.version}"

    def clean(self) -> None:
        """Raise ``guards.ExecutionFrozen`` for any change."""
        super().clean()
        if self.pk:
            guards.refuse_rewrite(self, self.FROZEN, None)
