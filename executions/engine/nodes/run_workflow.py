"""The node that runs another workflow on the same entity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.graph import RUN_WORKFLOW


class RunWorkflow(Behaviour):
    """Calls a workflow; the execution goes on when the child has completed."""

    name = RUN_WORKFLOW
    keys = frozenset({"workflow"})

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Check that a workflow is named; whether it exists is not known here."""
        workflow = data.get("workflow")
        if not isinstance(workflow, str) or not workflow:
            yield "/workflow", "It must name the workflow to run by its cuid."

    def enter(self, visit: Visit) -> None:
        """Call the workflow."""
        visit.call(visit.node.data["workflow"])
