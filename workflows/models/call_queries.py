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

# A planner that believes a walk to be long would rather read a whole table once: PostgreSQL to
# hash it, SQLite for a Bloom filter. What a step looks up is therefore asked for by a value that
# the row before gives (CASE, a scalar subquery); that leaves nothing but an index to answer.
_LATEST = """
    v.in_force AND NOT EXISTS (
        SELECT 1 FROM {version} n WHERE n.workflow_id = v.workflow_id AND n.number > v.number)
    AND (SELECT o.state FROM {workflow} o WHERE o.id = v.workflow_id) <> 'retired'
"""
_HELD = """
    EXISTS (SELECT 1 FROM {execution} e WHERE e.version_id = v.id AND e.live_key IS NOT NULL)
    OR EXISTS (SELECT 1 FROM {pin} p WHERE p.version_id = v.id AND p.held_key IS NOT NULL)
"""
_CALLER = "JOIN {version} v ON v.id = CASE WHEN r.in_force THEN r.version_id END"


def _step(direction: Direction, condition: str) -> str:
    if direction == "callees":
        return (
            "SELECT r.callee_id FROM walk JOIN {version} v ON v.workflow_id = walk.id"
            " JOIN {reference} r"
            f" ON r.version_id = CASE WHEN v.in_force AND ({condition}) THEN v.id END"
        )
    return (
        f"SELECT CASE WHEN {condition} THEN v.workflow_id END"
        f" FROM walk JOIN {{reference}} r ON r.callee_id = walk.id {_CALLER}"
    )


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
    condition = f"({_LATEST}) OR {_HELD}" if in_use else _LATEST
    return _walked(start, _step(direction, condition), [], using)


def connected(ids: Iterable[int], key: str, using: str) -> list[int]:
    """The ids of all that must move along when these workflows take the context ``key``.

    Callers and callees by latest versions, and theirs, as far as their context is another.
    """
    step = (
        "SELECT (SELECT w.id FROM {workflow} w WHERE w.context_key <> %s AND w.id ="
        f" CASE WHEN {_LATEST} THEN"
        " CASE WHEN r.callee_id = walk.id THEN v.workflow_id ELSE r.callee_id END END)"
        " FROM walk JOIN {reference} r ON r.callee_id = walk.id OR r.version_id ="
        " (SELECT l.id FROM {version} l WHERE l.workflow_id = walk.id"
        f" ORDER BY l.number DESC LIMIT 1) {_CALLER}"
    )
    return _walked(sorted(set(ids)), step, [key], using)


def _walked(start: list[int], step: str, parameters: list[Any], using: str) -> list[int]:
    marks = ", ".join(["%s"] * len(start))
    return _ids(
        "WITH RECURSIVE walk(id) AS ("
        f" SELECT id FROM {{workflow}} WHERE id IN ({marks}) UNION {step}"
        ") SELECT id FROM walk WHERE id IS NOT NULL ORDER BY id",
        [*start, *parameters],
        using,
    )
