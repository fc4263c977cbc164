"""Databases of a test run: tests need a marker, and are isolated from each other."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection

from tests.conftest import Scenario
from tests.databases import PRESERVED_TABLES, empty_tables
from workflows.db import write_once
from workflows.models import FindingType


def test_query_fails_without_database_marker() -> None:
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        FindingType.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_reset_keeps_only_rows_of_migrations(scenario: Scenario) -> None:
    scenario.start()
    permissions = Permission.objects.count()
    empty_tables()
    with connection.cursor() as cursor:
        tables: list[Any] = connection.introspection.table_names(cursor)
        filled = {name for name in tables if _has_rows(cursor, name)}
    assert filled == PRESERVED_TABLES
    assert Permission.objects.count() == permissions
    assert write_once.find_missing(connection) == []


def _has_rows(cursor: Any, table: str) -> bool:
    cursor.execute(f'SELECT 1 FROM "{table}" LIMIT 1')
    return cursor.fetchone() is not None
