"""Changes of users and groups, after which open votes are counted again."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class PeopleChange(models.Model):
    """A change of a user, a group or a membership, written by a database trigger.

    The background counts the open votes again and deletes the row.
    """

    at = models.DateTimeField(db_default=Now())

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S}"
