"""The JSON of a move or its plan, for the API and for commands."""

from __future__ import annotations

from typing import Any

from executions.engine.move_plan import Obstacle, PlannedStep
from executions.services.moving import MoveResult


def report_move(moved: MoveResult) -> dict[str, Any]:
    """Return a plan or its result as JSON."""
    rows = moved.executions
    return {
        "execution": moved.execution.cuid,
        "moved": moved.is_moved,
        "token": moved.token,
        "from_version": rows[0][1].number if rows else moved.execution.version.number,
        "to_version": None if moved.version is None else moved.version.number,
        "executions": [
            {
                "execution": row.cuid,
                "workflow": row.workflow.cuid,
                "from_version": old.number,
                "to_version": None
                if new is None or row.cuid in moved.plan.cancelled
                else new.number,
            }
            for row, old, new in rows
        ],
        "kept": [_step(one) for one in moved.plan.kept],
        "mapped": [_step(one) for one in moved.plan.mapped],
        "obstacles": [_obstacle(one) for one in moved.plan.obstacles],
    }


def _step(planned: PlannedStep) -> dict[str, Any]:
    return {
        "step": planned.step.cuid,
        "execution": planned.execution,
        "node": planned.step.node_id,
        "type": planned.step.type,
        "label": planned.step.label,
        "to_node": planned.node.id,
        "to_type": planned.node.type,
        "to_label": planned.node.label,
        "restart_step": planned.restart,
    }


def _obstacle(one: Obstacle) -> dict[str, Any]:
    return {
        "code": one.code,
        "detail": one.reason,
        "remedy": one.remedy,
        "pointer": one.pointer,
        "execution": one.execution,
        "step": one.step,
        "node": one.node,
    }
