"""Rules for the calls of a graph, and for the version that it is based on."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows.graph import NodesManager, WorkflowValidationError, parse
from workflows.guards.contexts import IncompatibleEntityTypes
from workflows.refusals import Problem, Refusal

CALL_CYCLE = "call_cycle"


class StaleVersion(Refusal):
    message = _("The graph is based on a version that is no longer the latest.")
    code = "stale_version"


def refuse_calls(
    source: dict[str, Any],
    context: Any,
    callees: Mapping[str, Any],
    cyclic: Container[int] = (),
) -> None:
    """Judge every call of a graph by the present state of its callees.

    Args:
        source: the graph.
        context: the entity context of the graph.
        callees: the callees that exist, by cuid.
        cyclic: the ids of the workflows that the caller must not call: itself and its callers.

    Raises:
        graph.WorkflowValidationError: a callee is missing, retired or of another context, or a call
            would close a cycle; all problems at once, each with its JSON pointer.
    """
    problems: list[Problem] = []
    try:
        graph = NodesManager.validate_nodes_data(
            source["nodes"],
            edges=source["edges"],
            context=context,
            callees={cuid: row.described_context() for cuid, row in callees.items()},
        )
    except WorkflowValidationError as refusal:
        problems += refusal.problems
        graph = parse(source)
    for node in graph.calls:
        pointer = f"/nodes/{node.index}/data/workflow"
        callee = callees.get(node.data["workflow"])
        if callee is not None and callee.state == "retired":
            detail = gettext("Workflow “{title}” ({cuid}) is retired and cannot be called.").format(
                title=callee.title, cuid=callee.cuid
            )
            problems.append(Problem(pointer, WorkflowValidationError.code, detail))
        if callee is not None and callee.pk in cyclic:
            detail = gettext(
                "The workflow would call itself: “{title}” ({cuid}) is the workflow itself, or "
                "calls it directly or through others."
            ).format(title=callee.title, cuid=callee.cuid)
            problems.append(Problem(pointer, CALL_CYCLE, detail))
    if problems:
        order = [WorkflowValidationError.code, IncompatibleEntityTypes.code, CALL_CYCLE]
        raise WorkflowValidationError(sorted(problems, key=lambda row: order.index(row.code)))
