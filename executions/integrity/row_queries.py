"""Queries for rows that violate an invariant. The rows are counted before they are read.

An undamaged database has no such rows, and Django needs more time to build these queries than a
small database needs to run them. Therefore the statement that counts the rows is built once and
reused. A query is built again only if there are rows to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from django.db import connections
from django.db.models import QuerySet

from executions.integrity.violation import CHUNK, DB

RowQuery = Callable[[], QuerySet[Any]]
"""A function without arguments that builds the same query set at each call."""


def read_rows(*queries: RowQuery) -> list[Iterable[Any]]:
    """Return the rows of each query; one statement counts the rows of all of them."""
    connection = connections[DB]
    with connection.cursor() as cursor:
        cursor.execute(*_count_statement(connection.vendor, queries))
        counts = cursor.fetchone()
    return [
        query().iterator(CHUNK) if count else ()
        for query, count in zip(queries, counts, strict=True)
    ]


@cache
def _count_statement(vendor: str, queries: tuple[RowQuery, ...]) -> tuple[str, tuple[Any, ...]]:
    """Return the statement and its parameters; the vendor is part of the cache key."""
    # COUNT, not EXISTS: PostgreSQL plans EXISTS to find a first row fast, but there is none.
    # The order of the rows stays: without it, SQLite reads the executions in random order.
    counts: list[str] = []
    params: list[Any] = []
    for query in queries:
        sql, values = query().values("pk").query.sql_with_params()
        counts.append(f"(SELECT COUNT(*) FROM ({sql}) AS counted)")
        params += values
    return f"SELECT {', '.join(counts)}", tuple(params)
