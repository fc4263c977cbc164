"""What stands in the way, listed and counted."""

from __future__ import annotations

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from workflows.refusals import BlockingExecution, BlockingWorkflow

LISTED = 20


def blocking_executions(executions: QuerySet[Any]) -> tuple[list[BlockingExecution], int]:
    """The first ``LISTED`` of these executions, and how many there are in all."""
    # By workflow first: ordered by id alone, PostgreSQL would walk the primary key past all that
    # have ended, in the hope of soon meeting the first few that have not. Nor is the workflow
    # joined, which it would do before it knows which few are listed.
    workflow: Any = executions.model._meta.get_field("workflow").related_model
    named = workflow._base_manager.order_by().filter(pk=OuterRef("workflow_id"))
    rows = list(
        executions.order_by("workflow_id", "pk").values_list(
            "cuid", "status", Subquery(named.values("cuid")), Subquery(named.values("title"))
        )[: LISTED + 1]
    )
    total = len(rows) if len(rows) <= LISTED else executions.count()
    return [BlockingExecution(*row) for row in rows[:LISTED]], total


def blocking_workflows(workflows: QuerySet[Any]) -> tuple[list[BlockingWorkflow], int]:
    """The first ``LISTED`` of these workflows, and how many there are in all."""
    rows = list(workflows.order_by("pk").values_list("cuid", "title")[: LISTED + 1])
    total = len(rows) if len(rows) <= LISTED else workflows.count()
    return [BlockingWorkflow(*row) for row in rows[:LISTED]], total


def count(number: int, noun: str) -> str:
    """``1 workflow``, ``2 workflows``."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"
