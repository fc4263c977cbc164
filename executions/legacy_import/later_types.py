"""The types that were given later: changes on hold for the smallest group that can take them."""

from __future__ import annotations

from typing import Any

from executions.legacy_import.import_report import LaterType
from executions.legacy_import.row_writing import Bringing
from executions.legacy_import.type_inference import Later
from workflows import editing as drawing
from workflows.editing.context_edit import ContextChange, workflows_of
from workflows.models import Workflow
from workflows.refusals import Refusal

DB = "default"
ON_HOLD, MADE, NOT_MADE = "on_hold", "made", "not_made"
WHY = "The type that the workflow had been given in the old system while executions were live."


def put_on_hold(brought: Bringing) -> None:
    """Put on hold what can be made once what runs has ended; tell of each."""
    for decided in brought.decided:
        groups = [(later, _group(brought, later)) for later in decided.later]
        for later, group in groups:
            others = {row.pk for other, rows in groups if other is not later for row in rows}
            if others & {row.pk for row in group}:
                detail = "Its group would have to take another type too; choose one of them."
                _tell(brought, later, group, NOT_MADE, "", detail)
            else:
                _hold(brought, later, group)


def _group(brought: Bringing, later: Later) -> list[Workflow]:
    rows = workflows_of([brought.workflows[pk].pk for pk in later.workflows], DB)
    change = ContextChange(rows, brought.context(later.type), DB)
    cuids = [row.cuid for row in change.group()]
    return list(Workflow._base_manager.filter(cuid__in=cuids).order_by("title", "pk"))


def _hold(brought: Bringing, later: Later, group: list[Workflow]) -> None:
    kind: Any = brought.types[later.type]
    name = "entity_name_type" if later.type.is_of_findings else "primary_record_type"
    try:
        came = drawing.change_entity_context(
            group,
            entity_name=later.type.entity_name,
            by=brought.by,
            why=WHY,
            when="drained",
            **{name: kind},
        )
    except Refusal as refusal:
        _tell(brought, later, group, NOT_MADE, "", str(refusal.message))
        return
    if came.pending is None:
        _tell(brought, later, group, MADE, "", "Nothing live stands in its way.")
    else:
        detail = "It is made by itself when what runs there has ended."
        _tell(brought, later, group, ON_HOLD, came.pending.cuid, detail)


def _tell(
    brought: Bringing,
    later: Later,
    group: list[Workflow],
    outcome: str,
    cuid: str,
    detail: str,
) -> None:
    titles = [row.title for row in group]
    named = str(brought.types[later.type])
    brought.report.later.append(LaterType(named, titles, outcome, cuid, detail))
