"""Executions, corrected graphs and moves for the tests of moves."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services
from executions.models import Execution
from executions.services import MoveResult
from executions.services.moving import MoveRefused
from tests.executions.engine.test_branches import started
from tests.factories import line
from workflows import editing
from workflows.models import Version, Workflow

WHY = "The graph was wrong."


def save(workflow: Workflow, graph: dict[str, Any]) -> Version:
    """Save a graph as the next version of a workflow, and return it."""
    based_on = workflow.latest_version.number
    saved = editing.save_graph(workflow, graph, based_on=based_on).version
    assert saved is not None
    return saved


def start_at(*nodes: dict[str, Any], **fields: Any) -> Execution:
    """Start an execution on a line of nodes."""
    return started(line(*nodes), **fields)


def correct(execution: Execution, *nodes: dict[str, Any]) -> Version:
    """Save a line of nodes as the next version of the execution's workflow."""
    return save(execution.workflow, line(*nodes))


def move(execution: Execution, **options: Any) -> MoveResult:
    """Move an execution, by default to the latest version."""
    return services.move(execution, **{"why": WHY, **options})


def obstacles(execution: Execution, **options: Any) -> list[str]:
    """Return the codes of the obstacles of a move; it is refused with the same ones."""
    planned = [row.code for row in services.plan_move(execution, **options).plan.obstacles]
    if planned:
        with pytest.raises(MoveRefused) as caught:
            move(execution, **options)
        refusal = caught.value
        assert refusal.code == "move_refused"
        assert refusal.remedies
        assert [row.code for row in refusal.problems] == planned
    return planned
