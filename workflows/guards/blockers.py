"""Lists and counts of what blocks an edit."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from workflows import running
from workflows.refusals import BlockingExecution, BlockingWorkflow

LISTED = 20
"""The number of blockers that a refusal lists."""


def blocking_executions(executions: QuerySet[Any]) -> tuple[list[BlockingExecution], int]:
    """Return the first ``LISTED`` of these executions, and the number of all."""
    rows = running.registered.blocking_executions(executions, LISTED + 1)
    total = len(rows) if len(rows) <= LISTED else executions.count()
    return rows[:LISTED], total


def blocking_workflows(workflows: QuerySet[Any]) -> tuple[list[BlockingWorkflow], int]:
    """Return the first ``LISTED`` of these workflows, and the number of all."""
    rows = list(workflows.order_by("pk").values_list("cuid", "title")[: LISTED + 1])
    total = len(rows) if len(rows) <= LISTED else workflows.count()
    return [BlockingWorkflow(*row) for row in rows[:LISTED]], total


def count(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 workflow``, ``2 workflows``."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"
