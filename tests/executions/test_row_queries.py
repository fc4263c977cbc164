"""Queries for rows that break an invariant: counted in one statement, then read."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import QuerySet

from executions.integrity.row_queries import read_rows
from tests.factories import WorkflowFactory
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


class TitleQuery:
    """Build a query for the workflows with this title, and count how often it is built."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.built = 0

    def __call__(self) -> QuerySet[Workflow]:
        self.built += 1
        return Workflow.objects.filter(title=self.title).order_by("pk")


def test_read_rows_returns_rows_of_each_query_in_order() -> None:
    first, other, second = (WorkflowFactory(title=title) for title in ("A", "B", "A"))
    found = read_rows(TitleQuery("A"), TitleQuery("none"), TitleQuery("B"))
    assert [list(rows) for rows in found] == [[first, second], [], [other]]


def test_read_rows_takes_one_statement_when_there_are_no_rows(
    django_assert_num_queries: Any,
) -> None:
    with django_assert_num_queries(1):
        assert [list(rows) for rows in read_rows(TitleQuery("A"), TitleQuery("B"))] == [[], []]


def test_read_rows_builds_query_again_only_when_there_are_rows() -> None:
    query = TitleQuery("A")
    for _ in range(3):
        read_rows(query)
    assert query.built == 1
    WorkflowFactory(title="A")
    read_rows(query)
    assert query.built == 2
