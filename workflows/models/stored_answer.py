"""Stored responses of requests with an ``Idempotency-Key``."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models


class StoredAnswer(models.Model):
    """The response to a request with an ``Idempotency-Key``, for repetitions of the request.

    It is written in the transaction of the request's work, so both are committed or neither. While
    that transaction is open, the unique key keeps a repetition waiting.
    """

    # Without an index of its own: a plan made while the table was small preferred it to the unique
    # key, and read all stored answers of the user for each request.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
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
        # The name of the table before the class was renamed.
        db_table = "workflows_keptanswer"
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "route", "key", "item"], name="workflows_keptanswer_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.route} {self.key}"
