"""Each index costs every write, so none is covered by another one."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connection

PLAIN = (None, "btree", "idx")
"""The types of indexes that are read from their first column on."""
OURS = ("workflows", "executions", "holdfast")


@pytest.mark.both_databases
@pytest.mark.django_db
def test_no_index_is_the_beginning_of_another_index():
    covered = []
    with connection.cursor() as cursor:
        for model in (model for label in OURS for model in apps.get_app_config(label).get_models()):
            table = model._meta.db_table
            partial = {row.name for row in model._meta.indexes if row.condition is not None}
            partial |= {
                row.name
                for row in model._meta.constraints
                if getattr(row, "condition", None) is not None
            }
            found = connection.introspection.get_constraints(cursor, table)
            full = {
                name: row["columns"]
                for name, row in found.items()
                if (row["index"] or row["unique"])
                and row["columns"]
                # Django names no type for unique keys. Other types serve other conditions.
                and row.get("type") in PLAIN
                and name not in partial
                # PostgreSQL's second index of a text is for LIKE.
                and not name.endswith("_like")
            }
            covered += [
                (table, name)
                for name, columns in full.items()
                if not found[name]["unique"]
                for other, others in full.items()
                if other != name and others[: len(columns)] == columns
            ]
    assert covered == []
