"""Who calls whom: walks over the references of versions, each one statement.

``latest``: only the latest versions of workflows that are not retired: what a new
execution would run. ``in use``: these, and whatever versions live executions hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from django.apps import apps
from django.db import connections

Direction = Literal["callees", "callers"]

_LATEST = """
    v.in_force AND NOT EXISTS (
        SELECT 1 FROM {version} n WHERE n.workflow_id = v.workflow_id AND n.number > v.number)
    AND EXISTS (SELECT 1 FROM {workflow} o WHERE o.id = v.workflow_id AND o.state <> 'retired')
"""
_HELD = """
    EXISTS (SELECT 1 FROM {execution} e WHERE e.version_id = v.id AND e.live_key IS NOT NULL)
    OR EXISTS (SELECT 1 FROM {pin} p WHERE p.version_id = v.id AND p.held_key IS NOT NULL)
"""
_STEP = {
    "callees": """
        SELECT r.callee_id FROM walk
        JOIN {version} v ON v.workflow_id = walk.id AND v.in_force
        JOIN {reference} r ON r.version_id = v.id
        WHERE """,
    "callers": """
        SELECT v.workflow_id FROM walk
        JOIN {reference} r ON r.callee_id = walk.id AND r.held_key IS NOT NULL
        JOIN {version} v ON v.id = r.version_id
        WHERE """,
}


def _tables() -> dict[str, str]:
    workflow: Any = apps.get_model("workflows", "Workflow")
    return {
        "workflow": workflow._meta.db_table,
        "version": workflow._meta.get_field("versions").related_model._meta.db_table,
        "reference": workflow._meta.get_field("callers").related_model._meta.db_table,
        "execution": workflow._meta.get_field("executions").related_model._meta.db_table,
        "pin": workflow._meta.get_field("pins").related_model._meta.db_table,
    }


def _ids(sql: str, parameters: list[Any], using: str) -> list[int]:
    with connections[using].cursor() as cursor:
        cursor.execute(sql.format(**_tables()), parameters)
        return [row[0] for row in cursor.fetchall()]


def walk(
    ids: Iterable[int], direction: Direction, using: str, *, in_use: bool = False
) -> list[int]:
    """The ids of all that these workflows reach in this direction, they themselves included."""
    start = sorted(set(ids))
    if not start:
        return []
    condition = f"(({_LATEST}) OR {_HELD})" if in_use else _LATEST
    marks = ", ".join(["%s"] * len(start))
    return _ids(
        "WITH RECURSIVE walk(id) AS ("
        f" SELECT id FROM {{workflow}} WHERE id IN ({marks}) UNION {_STEP[direction]}{condition}"
        ") SELECT id FROM walk ORDER BY id",
        start,
        using,
    )


def connected(ids: Iterable[int], key: str, using: str) -> list[int]:
    """The ids of all that must move along when these workflows take the context ``key``.

    Callers and callees by latest versions, and theirs, as far as their context is another.
    """
    start = sorted(set(ids))
    marks = ", ".join(["%s"] * len(start))
    edges = (
        "SELECT r.callee_id AS here, v.workflow_id AS there"
        " FROM {reference} r JOIN {version} v ON v.id = r.version_id"
        f" WHERE r.held_key IS NOT NULL AND {_LATEST}"
        " UNION ALL SELECT v.workflow_id, r.callee_id"
        " FROM {reference} r JOIN {version} v ON v.id = r.version_id"
        f" WHERE r.held_key IS NOT NULL AND {_LATEST}"
    )
    return _ids(
        "WITH RECURSIVE walk(id) AS ("
        f" SELECT id FROM {{workflow}} WHERE id IN ({marks})"
        f" UNION SELECT w.id FROM walk JOIN ({edges}) calls ON calls.here = walk.id"
        " JOIN {workflow} w ON w.id = calls.there WHERE w.context_key <> %s"
        ") SELECT id FROM walk ORDER BY id",
        [*start, key],
        using,
    )
