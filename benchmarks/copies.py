"""Bulk copies of waiting executions.

The copies have their own ids, cuids and open steps. Everything else is as in the original.
"""

from __future__ import annotations

from typing import Any

SERIES = (
    "WITH RECURSIVE s(n) AS"
    " (SELECT CAST(1 AS bigint) UNION ALL SELECT n + 1 FROM s WHERE n < {last})"
)


def multiply(originals: list[Any], number: int) -> list[int]:
    """Create this number of copies of the executions. Return the ids of the copies."""
    from django.db import connection, transaction

    from executions.models import Execution, Step

    each = -(-number // len(originals))
    made: list[int] = []
    with transaction.atomic(), connection.cursor() as cursor:
        for original in originals:
            last = Execution.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
            first = last + 1_000
            _copy(cursor, Execution, f"t.id = {original.pk}", each, {"id": f"{first} + n"})
            of_original = {"execution_id": f"{first} + n"}
            _copy(cursor, Step, f"t.execution_id = {original.pk}", each, of_original)
            made += range(first + 1, first + each + 1)
        _reset_sequences(cursor)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    return made[:number]


def _copy(cursor: Any, model: Any, which: str, number: int, own: dict[str, str]) -> None:
    table = model._meta.db_table
    values = {
        field.column: f"t.{field.column}"
        for field in model._meta.concrete_fields
        if not field.generated and not field.primary_key
    }
    if "cuid" in values:
        # The sum with a power of ten always has the same number of digits.
        serial = "1000000000000000 + n * 1000 + t.id % 1000"
        values["cuid"] = f"'{table[11]}' || substr(t.cuid, 2, 8) || CAST({serial} AS text)"
    values.update(own)
    cursor.execute(
        f"INSERT INTO {table} ({', '.join(values)}) {SERIES.format(last=number)}"
        f" SELECT {', '.join(values.values())} FROM s, {table} t WHERE {which} ORDER BY n, t.id"
    )


def _reset_sequences(cursor: Any) -> None:
    from django.apps import apps
    from django.core.management.color import no_style
    from django.db import connection

    for sql in connection.ops.sequence_reset_sql(no_style(), apps.get_models()):
        cursor.execute(sql)
