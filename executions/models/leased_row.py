"""Rows of background queues: due at a time, and claimed by one worker for a time."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any, ClassVar, Self, TypeVar

from django.db import connections, models, transaction
from django.db.models import F, Q

from workflows.db import locks
from workflows.db.vendor import DATABASE

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
        return self.filter(due_at__lte=DATABASE.statement_time())


class LeasedQuerySet(DueQuerySet[Row]):
    """Rows that workers claim."""

    takeover: ClassVar[dict[str, Any]] = {}
    """Further columns that a claim writes."""

    def claimable(self, *, takes_over: bool = True) -> Self:
        """Return the due rows that no worker has claimed, or whose lease has run out.

        Args:
            takes_over: include the rows whose lease has run out.
        """
        free = Q(leased_until=None)
        if takes_over:
            free |= Q(leased_until__lt=DATABASE.statement_time())
        return self.due().filter(free)

    def claim(self, limit: int, lease: timedelta, *, takes_over: bool = True) -> list[Row]:
        """Claim up to ``limit`` rows for the time ``lease``, the longest due first.

        PostgreSQL skips the rows that another worker is claiming; SQLite has one writer.
        """
        rows = self.model._base_manager.using(self.db)
        with transaction.atomic(using=self.db):
            due = self.claimable(takes_over=takes_over).order_by("due_at", "pk")
            if connections[self.db].vendor == "postgresql":
                due = due.select_for_update(skip_locked=True, of=("self",))
            ids = list(due.values_list("pk", flat=True)[:limit])
            if not ids:
                return []
            claimed = rows.filter(pk__in=ids)
            claimed.update(
                leased_until=DATABASE.statement_time(lease), fence=F("fence") + 1, **self.takeover
            )
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
        until = DATABASE.statement_time(lease)
        return bool(self.claimed(**conditions).update(leased_until=until))

    def keep_lease(self, lease: timedelta) -> None:
        """Extend the lease while the row is performed, inside a transaction.

        A row that is released, claimed by another worker, or locked stays as it is: the
        transaction that has locked it finishes it.
        """
        rows = self.claimed(leased_until__isnull=False)
        ids = locks.lock_rows(rows, [self.pk], locks.Strength.NO_KEY_UPDATE, skip_locked=True)
        rows.filter(pk__in=ids).update(leased_until=DATABASE.statement_time(lease))

    def postpone(self, delay: timedelta) -> None:
        """Release the row, and make it due again after ``delay``."""
        self.claimed().update(leased_until=None, due_at=DATABASE.statement_time(delay))

    def release_lease(self) -> None:
        """Let another worker claim the row at once."""
        self.claimed().update(leased_until=None)
