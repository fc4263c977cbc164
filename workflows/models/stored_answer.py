"""What was answered to a request that came with a key of its own."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models


class KeptAnswer(models.Model):
    """The answer to a request with an ``Idempotency-Key``, for whoever sends it again.

    It is written in the transaction of what the request does: there is the one with the other, or
    neither. While that is under way the unique key lets nobody else begin.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    route = models.CharField(max_length=255)
    key = models.CharField(max_length=255)
    item = models.PositiveIntegerField(default=0)
    asked = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    headers = models.JSONField(default=dict)
    body = models.TextField(blank=True)
    at = models.DateTimeField(db_index=True)

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "route", "key", "item"], name="workflows_keptanswer_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.route} {self.key}"
