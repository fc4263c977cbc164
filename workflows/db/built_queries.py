"""Queries for ids that Django builds once.

Building a query with subqueries takes Django longer than a database needs to run it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import QuerySet

Build = Callable[[list[int]], QuerySet[Any, Any]]


def select_ids(build: Build, ids: Iterable[int]) -> list[int]:
    """Return the ids that a query selects.

    Args:
        build: a function that returns a query set of ids (``values_list``) for these ids. For the
            same number of ids, only the ids may differ in it.
        ids: the ids of rows, so that they are positive.
    """
    given = list(ids)
    if not given:
        return []
    sql, params = _statement(build, len(given))
    values = [given[-1 - param] if _is_stand_in(param) else param for param in params]
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(sql, values)
        return [row[0] for row in cursor.fetchall()]


def _is_stand_in(param: Any) -> bool:
    return isinstance(param, int) and param < 0


@lru_cache(maxsize=128)
def _statement(build: Build, number: int) -> tuple[str, tuple[Any, ...]]:
    # Negative numbers stand for the ids: -1 for the first.
    query = build([-1 - index for index in range(number)]).query
    sql, params = query.get_compiler(DEFAULT_DB_ALIAS).as_sql()
    return sql, tuple(params)
