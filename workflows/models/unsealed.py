"""Exceptions from the write-once triggers, for one row and one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import connection, models, transaction

from workflows.db.vendor import DATABASE


class Unsealed(models.Model):
    """A write-once row that may be changed while this entry exists.

    Only repairs and moves of executions create entries, and delete them in the same transaction.
    ``check_integrity`` reports an entry that is left.
    """

    table_name = models.CharField(max_length=63)
    row_id = models.BigIntegerField()
    why = models.TextField()
    since = models.DateTimeField(auto_now_add=True)

    objects = models.Manager()

    class Meta:
        verbose_name_plural = "unsealed"
        constraints = [
            models.UniqueConstraint(fields=["table_name", "row_id"], name="workflows_unsealed_row")
        ]

    def __str__(self) -> str:
        return f"{self.table_name} {self.row_id}: {self.why}"


@contextmanager
def unsealed(row: models.Model, *, why: str) -> Iterator[None]:
    """Let the block change a write-once row.

    Args:
        row: the row.
        why: the reason, stored while the row is open.

    Raises:
        transaction.TransactionManagementError: outside a transaction.
    """
    with unsealed_rows([row], why=why):
        yield


@contextmanager
def unsealed_rows(rows: Iterable[models.Model], *, why: str) -> Iterator[None]:
    """Let the block change several write-once rows. See ``unsealed``."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("Open a write-once row in a transaction only.")
    opened = Unsealed.objects.bulk_create(
        Unsealed(table_name=row._meta.db_table, row_id=row.pk, why=why) for row in rows
    )
    try:
        yield
        # Checks that wait for the commit run now, while the rows are open.
        DATABASE.check_deferred_keys(connection)
    finally:
        if not connection.needs_rollback:
            Unsealed.objects.filter(pk__in=[row.pk for row in opened]).delete()
