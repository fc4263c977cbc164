"""The one way through a seal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import models, transaction

from workflows.db.vendor import DATABASE


class Unsealed(models.Model):
    """A row that may be changed although it is written once, while this stands here.

    Only repair, and moving an execution, put one here, inside their own transaction, and take
    it away again; one that is left is a finding.
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
    """Open the seals of one row inside a transaction, and close them again.

    Raises:
        transaction.TransactionManagementError: outside a transaction.
    """
    using = row._state.db or "default"
    connection: Any = transaction.get_connection(using)
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("A seal was opened outside a transaction.")
    rows = Unsealed.objects.using(using)
    opened = rows.create(table_name=row._meta.db_table, row_id=row.pk, why=why)
    try:
        yield
        # Checks that wait for the commit run now, while the row is open.
        DATABASE.check_deferred_keys(connection)
    finally:
        if not connection.needs_rollback:
            opened.delete()
