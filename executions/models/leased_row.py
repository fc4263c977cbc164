"""Rows of background queues: due at a time, and claimed by one worker for a time."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any, Self, TypeVar

from django.db import connections, models, transaction
from django.db.models import F, Q
from django.utils import timezone

Row = TypeVar("Row", bound=models.Model)

ATTEMPTS = 5
"""The number of attempts after which a job or a triggered start is given up."""
FIRST_BACKOFF = timedelta(seconds=10)
LONGEST_BACKOFF = timedelta(hours=1)


def backoff(attempt: int) -> timedelta:
    """Return the time to wait after this many failed attempts: twice as long each time."""
    return jitter(min(LONGEST_BACKOFF, FIRST_BACKOFF * int(2 ** (attempt - 1))))


def jitter(length: timedelta) -> timedelta:
    """Return the length, changed by up to a fifth, so that retries do not come all at once."""
    return length * random.uniform(0.8, 1.2)


class DueQuerySet(models.QuerySet[Row]):
    """Rows that have a ``due_at``."""

    def due(self) -> Self:
        """Return the rows whose time has come, claimed or not."""
        return self.filter(due_at__lte=timezone.now())


class LeasedQuerySet(DueQuerySet[Row]):
    """Rows that workers claim."""

    def claimable(self) -> Self:
        """Return the due rows that no worker has claimed, or whose lease has run out."""
        return self.due().filter(Q(leased_until=None) | Q(leased_until__lt=timezone.now()))

    def claim(self, limit: int, lease: timedelta) -> list[Row]:
        """Claim up to ``limit`` rows for the time ``lease``, the longest due first.

        PostgreSQL skips the rows that another worker is claiming; SQLite has one writer.
        """
        rows = self.model._base_manager.using(self.db)
        with transaction.atomic(using=self.db):
            due = self.claimable().order_by("due_at", "pk")
            if connections[self.db].vendor == "postgresql":
                due = due.select_for_update(skip_locked=True, of=("self",))
            ids = list(due.values_list("pk", flat=True)[:limit])
            if not ids:
                return []
            claimed = rows.filter(pk__in=ids)
            claimed.update(leased_until=timezone.now() + lease, fence=F("fence") + 1)
            return list(claimed.order_by("due_at", "pk"))


class LeasedRow(models.Model):
    """A row that a worker claims until ``leased_until``; each claim raises ``fence``.

    A worker writes to a row only while the row still has the fence of its claim: a worker that
    was slower than its lease changes nothing. The model also has ``due_at``, and its ``objects``
    are a ``LeasedQuerySet``.
    """

    leased_until = models.DateTimeField(null=True, blank=True)
    fence = models.BigIntegerField(default=0)

    class Meta:
        abstract = True

    def claimed(self, **conditions: Any) -> models.QuerySet[Any]:
        """Return this row as a queryset, empty when another worker has claimed it since.

        Args:
            conditions: further lookups that the row has to match.
        """
        rows = type(self)._base_manager
        return rows.filter(pk=self.pk, fence=self.fence, **conditions)

    def renew_lease(self, lease: timedelta, **conditions: Any) -> bool:
        """Extend the lease from now. Return False when another worker has claimed the row.

        Rows that were claimed together are served one after the other, so that each gets its
        full time.
        """
        until = timezone.now() + lease
        return bool(self.claimed(**conditions).update(leased_until=until))

    def release_lease(self) -> None:
        """Let another worker claim the row at once."""
        self.claimed().update(leased_until=None)
