"""Moves of live executions to other versions."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from executions.models.execution import Execution
from workflows.models import Version
from workflows.models.account_names import account_name_field, account_name_of


class Move(models.Model):
    """The move of one execution from a version to another. Written once.

    ``at`` is later than everything that happened on the old version, and earlier than everything
    on the new one. ``steps`` has the open steps that went to another node, or began again.
    """

    FROZEN: ClassVar = ("execution_id", "from_version_id", "to_version_id", "at", "why", "steps")

    execution = models.ForeignKey(Execution, models.CASCADE, related_name="moves")
    # A version is kept as long as steps have to be read with its graph.
    from_version = models.ForeignKey(Version, models.DO_NOTHING, related_name="moves_from")
    to_version = models.ForeignKey(Version, models.DO_NOTHING, related_name="moves_to")
    at = models.DateTimeField()
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    by_name = account_name_field()
    why = models.TextField(blank=True)
    steps = models.JSONField(default=list)

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.from_version} → v{self.to_version.number}"

    @property
    def mover(self) -> str:
        """The name of the account that moved it, kept after the account is deleted."""
        return account_name_of(self, "by")
