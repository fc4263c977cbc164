"""Pending changes to the later types, each for the smallest group that can take the type."""

from __future__ import annotations

from typing import Any

from executions.legacy_import.import_report import LaterType
from executions.legacy_import.row_writer import RowWriter
from executions.legacy_import.type_inference import LaterTypeGroup
from workflows import editing
from workflows.editing.context_change import ContextChange, read_workflows
from workflows.models import Workflow
from workflows.refusals import Refusal

ON_HOLD, APPLIED, REFUSED = "on_hold", "applied", "refused"
WHY = "The later type of the workflow in the older system, set while executions were live."


def hold_type_changes(writer: RowWriter) -> None:
    """Put the later types on hold until the executions have ended, and report each."""
    for inference in writer.inferences:
        groups = [(later, _group(writer, later)) for later in inference.later]
        for later, group in groups:
            others = {row.pk for other, rows in groups if other is not later for row in rows}
            if others & {row.pk for row in group}:
                detail = "Workflows that must change together have two later types. Choose one."
                _add_later_type(writer, later, group, REFUSED, "", detail)
            else:
                _hold_change(writer, later, group)


def _group(writer: RowWriter, later: LaterTypeGroup) -> list[Workflow]:
    rows = read_workflows([writer.workflows[pk].pk for pk in later.workflows])
    change = ContextChange(rows, writer.context(later.type))
    cuids = [row.cuid for row in change.group()]
    return list(Workflow._base_manager.filter(cuid__in=cuids).order_by("title", "pk"))


def _hold_change(writer: RowWriter, later: LaterTypeGroup, group: list[Workflow]) -> None:
    row: Any = writer.types[later.type]
    name = "entity_name_type" if later.type.is_of_findings else "primary_record_type"
    try:
        result = editing.change_entity_context(
            group,
            entity_name=later.type.entity_name,
            by=writer.by,
            why=WHY,
            when="drained",
            **{name: row},
        )
    except Refusal as refusal:
        _add_later_type(writer, later, group, REFUSED, "", str(refusal.message))
        return
    if result.pending is None:
        _add_later_type(writer, later, group, APPLIED, "", "No live execution blocks the change.")
    else:
        detail = "It is applied when the blocking executions have ended."
        _add_later_type(writer, later, group, ON_HOLD, result.pending.cuid, detail)


def _add_later_type(
    writer: RowWriter,
    later: LaterTypeGroup,
    group: list[Workflow],
    outcome: str,
    cuid: str,
    detail: str,
) -> None:
    titles = [row.title for row in group]
    name = str(writer.types[later.type])
    writer.report.later_types.append(LaterType(name, titles, outcome, cuid, detail))
