"""Queries for ids that are built once."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from tests.factories import WorkflowFactory
from workflows.db.built_queries import select_ids
from workflows.models import Version


def test_query_is_built_once_for_each_number_of_ids(
    db: None, django_assert_num_queries: Any
) -> None:
    built: list[int] = []

    def versions(ids: list[int]) -> QuerySet[Any, Any]:
        built.append(len(ids))
        of_them = Version.objects.filter(workflow_id__in=ids, in_force=True, number=1)
        return of_them.order_by("-pk").values_list("pk", flat=True)

    rows = WorkflowFactory.create_batch(3)
    expected = [row.latest_version.pk for row in rows]
    for _ in range(2):
        with django_assert_num_queries(4):
            assert select_ids(versions, [rows[0].pk]) == expected[:1]
            assert select_ids(versions, [rows[2].pk]) == expected[2:]
            assert select_ids(versions, [row.pk for row in rows[:2]]) == expected[1::-1]
            assert select_ids(versions, [rows[1].pk, 2**40]) == expected[1:2]
    assert built == [1, 2]


def test_query_without_ids_is_not_asked(db: None, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert select_ids(lambda _: Version.objects.none().values_list(), []) == []
