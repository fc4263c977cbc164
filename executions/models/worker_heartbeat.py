"""Heartbeats: which workers run, and when each was last seen."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class WorkerKind(models.TextChoices):
    """The program that performs background work."""

    WORK = "work", _("manage.py work")
    RUN_DUE = "run_due", _("manage.py run_due")
    CELERY = "celery", _("Celery worker")


class WorkerHeartbeat(models.Model):
    """A worker process. The process updates ``last_beat`` every few seconds.

    All times are of the database's clock.
    """

    Kind = WorkerKind

    name = models.CharField(max_length=255, unique=True)
    kind = models.CharField(max_length=32, choices=WorkerKind.choices)
    host = models.CharField(max_length=255)
    process = models.PositiveIntegerField(help_text=_("The process id."))
    started_at = models.DateTimeField()
    last_beat = models.DateTimeField(db_index=True)
    stopped_at = models.DateTimeField(null=True, blank=True)

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["-last_beat"]
        default_permissions = ()
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind__in=["work", "run_due", "celery"]),
                name="executions_worker_kind",
            ),
        ]

    def __str__(self) -> str:
        return self.name
