"""Drafts of forms: answers that were saved but not submitted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.db import models

from executions.models.step import Step


class FormDraftManager(models.Manager["FormDraft"]):
    """The drafts of forms, for their authors."""

    def of(self, user: Any, steps: Iterable[Step]) -> dict[int, Any]:
        """Return the drafts of this user at these steps, by the id of the step."""
        found = self.filter(user=user, step__in=[step.pk for step in steps])
        return dict(found.values_list("step_id", "data"))


class FormDraft(models.Model):
    """The draft of one user at one open step. It is deleted when the step is closed.

    Only its author can read it: it is in no list, log, event or export.
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
            # Its index also serves lookups by step.
            models.UniqueConstraint(fields=["step", "user"], name="executions_formdraft_once")
        ]

    def __str__(self) -> str:
        return f"Draft of step {self.step_id}"
