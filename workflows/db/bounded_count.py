"""Counting that stops: a number costs the same however many rows there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import IntegerField, QuerySet, Subquery

COUNTED = 10_000
"""How many rows of a list are counted."""
AT_A_GLANCE = 1_000
"""How many are counted where many numbers stand side by side."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A number of rows; ``has_more`` where the counting has stopped."""

    number: int
    has_more: bool = False

    def __str__(self) -> str:
        return f"{self.number:,}{'+' if self.has_more else ''}"

    def __bool__(self) -> bool:
        return self.number > 0


def counted(rows: QuerySet[Any], most: int = COUNTED) -> Counted:
    """How many rows there are, counted up to ``most``."""
    if not rows.query.distinct:
        rows = rows.order_by().values("pk")
    return up_to(rows[: most + 1].count(), most)


def up_to(number: int, most: int) -> Counted:
    """A number that was counted up to one more than ``most``."""
    return Counted(min(number, most), number > most)


class BoundedCount(Subquery):
    """How many rows of a correlated query there are, one more than ``most`` at the most."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"

    def __init__(self, rows: Any, most: int = AT_A_GLANCE) -> None:
        super().__init__(rows.order_by().values("pk")[: most + 1], output_field=IntegerField())


def few_or_all(rows: QuerySet[Any], most: int = AT_A_GLANCE) -> list[int] | QuerySet[Any]:
    """The ids of rows that others are looked for by: themselves while they are few, as a planner
    that knows them finds those by an index; else the query for them.
    """
    ids = rows.order_by().values_list("pk", flat=True)
    found = list(ids[: most + 1])
    return found if len(found) <= most else ids
