"""Bounded counts: counting stops at a limit, so a count costs the same for any number of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import IntegerField, QuerySet, Subquery

COUNT_LIMIT = 10_000
"""The largest number of rows that a list counts."""
OVERVIEW_LIMIT = 1_000
"""The largest number of rows that each count of a page with many counts goes to."""


@dataclass(frozen=True, slots=True)
class RowCount:
    """A number of rows; ``has_more`` if counting stopped at the limit."""

    number: int
    has_more: bool = False

    def __str__(self) -> str:
        return f"{self.number:,}{'+' if self.has_more else ''}"

    def __bool__(self) -> bool:
        return self.number > 0


def count_rows(rows: QuerySet[Any], most: int = COUNT_LIMIT) -> RowCount:
    """Count the rows of a query, up to ``most``."""
    if not rows.query.distinct:
        rows = rows.order_by().values("pk")
    return cap_count(rows[: most + 1].count(), most)


def cap_count(number: int, most: int) -> RowCount:
    """Return the count for a number that was counted up to ``most + 1``."""
    return RowCount(min(number, most), number > most)


class BoundedCount(Subquery):
    """The number of rows of a correlated query, counted up to ``most + 1``."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"

    def __init__(self, rows: Any, most: int = OVERVIEW_LIMIT) -> None:
        super().__init__(rows.order_by().values("pk")[: most + 1], output_field=IntegerField())


def ids_or_query(rows: QuerySet[Any], most: int = OVERVIEW_LIMIT) -> list[int] | QuerySet[Any]:
    """Return the ids of these rows for a filter on other rows: a list up to ``most``, else a query.

    A planner that sees the ids finds the other rows by an index.
    """
    ids = rows.order_by().values_list("pk", flat=True)
    found = list(ids[: most + 1])
    return found if len(found) <= most else ids
