"""Queries over the calls between workflows: one recursive statement each.

By default only the latest versions of workflows that are not retired count: those that a new
execution would run. With ``in_use``, the versions that live executions run or have pinned count
too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from django.db import connection

from workflows import running

Direction = Literal["callees", "callers"]

# If a planner expects a long walk, it reads a whole table once: PostgreSQL to hash it, SQLite for
# a Bloom filter. Each step therefore looks up a value that depends on the row before (CASE, a
# scalar subquery), which only an index can answer.
_LATEST = """
    v.in_force AND NOT EXISTS (
        SELECT 1 FROM workflows_version n
        WHERE n.workflow_id = v.workflow_id AND n.number > v.number)
    AND (SELECT o.state FROM workflows_workflow o WHERE o.id = v.workflow_id) <> 'retired'
"""
_CALLER = "JOIN workflows_version v ON v.id = CASE WHEN r.in_force THEN r.version_id END"


def follow_calls(ids: Iterable[int], direction: Direction, *, in_use: bool = False) -> list[int]:
    """Return the ids of these workflows and of all their callees or callers, also indirect."""
    condition = (
        f"({_LATEST}) OR {running.registered.version_in_use_sql('v')}" if in_use else _LATEST
    )
    if direction == "callees":
        step = (
            "SELECT r.callee_id FROM walk JOIN workflows_version v ON v.workflow_id = walk.id"
            " JOIN workflows_reference r"
            f" ON r.version_id = CASE WHEN v.in_force AND ({condition}) THEN v.id END"
        )
    else:
        step = (
            f"SELECT CASE WHEN {condition} THEN v.workflow_id END"
            f" FROM walk JOIN workflows_reference r ON r.callee_id = walk.id {_CALLER}"
        )
    return _run(ids, step, [])


def find_connected(ids: Iterable[int], key: str) -> list[int]:
    """Return the ids of these workflows and of all that must take the context ``key`` with them.

    These are the callers and callees by latest versions that have another context, and theirs.
    """
    step = (
        "SELECT (SELECT w.id FROM workflows_workflow w WHERE w.context_key <> %s AND w.id ="
        f" CASE WHEN {_LATEST} THEN"
        " CASE WHEN r.callee_id = walk.id THEN v.workflow_id ELSE r.callee_id END END)"
        " FROM walk JOIN workflows_reference r ON r.callee_id = walk.id OR r.version_id ="
        " (SELECT l.id FROM workflows_version l WHERE l.workflow_id = walk.id"
        f" ORDER BY l.number DESC LIMIT 1) {_CALLER}"
    )
    return _run(ids, step, [key])


def _run(ids: Iterable[int], step: str, parameters: list[Any]) -> list[int]:
    start = sorted(set(ids))
    if not start:
        return []
    marks = ", ".join(["%s"] * len(start))
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE walk(id) AS ("
            f" SELECT id FROM workflows_workflow WHERE id IN ({marks}) UNION {step}"
            ") SELECT id FROM walk WHERE id IS NOT NULL ORDER BY id",
            [*start, *parameters],
        )
        return [row[0] for row in cursor.fetchall()]
