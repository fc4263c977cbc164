"""Whether a graph and the workflows that it calls work on the same kind of entity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from workflows.db.json_values import quoted
from workflows.graph.graph import Graph
from workflows.graph.parsing import WorkflowValidationError, capped, parse
from workflows.refusals import Problem


class EntityContext(Protocol):
    """What callers and callees must agree in; ``type_cuid`` names the type in messages."""

    @property
    def key(self) -> str: ...

    @property
    def type_cuid(self) -> str: ...


def incompatible(current: EntityContext, referenced: EntityContext) -> str:
    """Return the sentence that refuses a call across entity contexts."""
    return (
        "Run Workflow: Incompatible entity name types. Current workflow has type "
        f"'{current.type_cuid}' but referenced workflow has type '{referenced.type_cuid}'."
    )


class NodesManager:
    """Judges a drawing together with the workflows that it calls."""

    @staticmethod
    def validate_nodes_data(
        nodes: object,
        *,
        edges: object,
        context: EntityContext,
        callees: Mapping[str, EntityContext],
    ) -> Graph:
        """Return the checked graph; every callee must exist and have the same entity context."""
        graph = parse({"nodes": nodes, "edges": edges})
        missing: list[Problem] = []
        foreign: list[Problem] = []
        for node in graph.calls:
            pointer, cuid = f"/nodes/{node.index}/data/workflow", node.data["workflow"]
            callee = callees.get(cuid)
            if callee is None:
                detail = f"No workflow has the cuid {quoted(cuid)}."
                missing.append(Problem(pointer, "invalid_graph", detail))
            elif callee.key != context.key:
                detail = incompatible(context, callee)
                foreign.append(Problem(pointer, "incompatible_entity_types", detail))
        if missing or foreign:
            raise WorkflowValidationError(capped(missing + foreign))
        return graph
