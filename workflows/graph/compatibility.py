"""Compatibility of a graph with the entity contexts of the workflows that it calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from django.utils.translation import gettext

from workflows.db.json_values import quoted
from workflows.graph.graph import Graph
from workflows.graph.parsing import WorkflowValidationError, cap_problems, parse
from workflows.refusals import Problem


class EntityContext(Protocol):
    """The entity context that callers and callees share; messages name ``type_cuid``."""

    @property
    def key(self) -> str: ...

    @property
    def type_cuid(self) -> str: ...


def incompatibility_message(current: EntityContext, referenced: EntityContext) -> str:
    """Return the message for a call across entity contexts."""
    return (
        "Run Workflow: Incompatible entity name types. Current workflow has type "
        f"'{current.type_cuid}' but referenced workflow has type '{referenced.type_cuid}'."
    )


class NodesManager:
    """Checks a graph together with the workflows that it calls."""

    @staticmethod
    def validate_nodes_data(
        nodes: object,
        *,
        edges: object,
        context: EntityContext,
        callees: Mapping[str, EntityContext],
    ) -> Graph:
        """Check a graph and return it; each callee must exist and have the same entity context.

        Raises:
            WorkflowValidationError: all problems, missing callees first.
        """
        graph = parse({"nodes": nodes, "edges": edges})
        missing: list[Problem] = []
        foreign: list[Problem] = []
        for node in graph.calls:
            pointer, cuid = f"/nodes/{node.index}/data/workflow", node.data["workflow"]
            callee = callees.get(cuid)
            if callee is None:
                detail = gettext("No workflow has the cuid %(cuid)s.") % {"cuid": quoted(cuid)}
                missing.append(Problem(pointer, "invalid_graph", detail))
            elif callee.key != context.key:
                detail = incompatibility_message(context, callee)
                foreign.append(Problem(pointer, "incompatible_entity_types", detail))
        if missing or foreign:
            raise WorkflowValidationError(cap_problems(missing + foreign))
        return graph
