"""Votes at approvals."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from executions.models.step import Step


class Vote(models.Model):
    """The vote of one account at an approval. It can be changed until the approval is decided.

    ``username`` is the name of the account at the time of the vote.
    """

    step = models.ForeignKey(Step, models.CASCADE, related_name="votes", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    username = models.CharField(max_length=150)
    approves = models.BooleanField()
    notes = models.TextField(blank=True)
    at = models.DateTimeField()

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["at", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["step", "user"], name="executions_vote_by_user")
        ]

    def __str__(self) -> str:
        return f"{self.username} {'approves' if self.approves else 'rejects'}"
