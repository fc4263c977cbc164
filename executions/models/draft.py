"""Drafts of forms: what one person has filled in and not submitted yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.db import models

from executions.models.step import Step


class FormDraftManager(models.Manager["FormDraft"]):
    """Drafts, read for the person who wrote them."""

    def of(self, user: Any, steps: Iterable[Step]) -> dict[int, Any]:
        """Return what this user has saved at these steps, by the id of the step."""
        found = self.filter(user=user, step__in=[step.pk for step in steps])
        return dict(found.values_list("step_id", "data"))


class FormDraft(models.Model):
    """What one user has filled in at one open step; deleted when the step is closed.

    Only its author reads it: no list, log, event or export has it.
    """

    step = models.ForeignKey(Step, models.CASCADE, related_name="+", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    data = models.JSONField()
    saved_at = models.DateTimeField()

    objects = FormDraftManager()

    class Meta:
        ordering: ClassVar = ["pk"]
        default_permissions = ()
        constraints: ClassVar = [
            # Its index is the one by step, too.
            models.UniqueConstraint(fields=["step", "user"], name="executions_formdraft_once")
        ]

    def __str__(self) -> str:
        return f"Draft of step {self.step_id}"
