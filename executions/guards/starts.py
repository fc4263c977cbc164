"""The rules for the start of a root."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from executions.guards.refusals import EntityTypeMismatch, NotStartable
from workflows.guards import refuse_draining
from workflows.refusals import Blockers, BlockingWorkflow, Problem, Remedy


def refuse_start(
    workflow: Any, entity: Any, closure: Sequence[Any], waiting: Sequence[Any] = ()
) -> None:
    """Check the start of a root.

    Args:
        closure: the latest versions of the workflow and of all that it can call, its own
            first, each with its workflow.
        waiting: the memberships of these workflows in pending changes.

    Raises:
        workflows.guards.Draining: a pending change waits until the workflows are drained.
        NotStartable: a workflow is not active, or the versions have different contexts.
        EntityTypeMismatch: the entity has another context than the workflow.
    """
    refuse_draining(waiting)
    _refuse_inactive_workflows(closure)
    _refuse_mixed_contexts(closure)
    _refuse_entity_of_other_context(workflow, entity, closure[0].context_key)


def _refuse_inactive_workflows(closure: Sequence[Any]) -> None:
    inactive = [row.workflow for row in closure if row.workflow.state != "active"]
    if not inactive:
        return
    reasons = [
        str(
            NotStartable.draft_message if row.state == "draft" else NotStartable.retired_message
        ).format(title=row.title)
        for row in inactive
    ]
    raise NotStartable(
        NotStartable.inactive_message.format(workflows="; ".join(reasons)),
        blockers=_blocking(inactive),
        remedies=[
            Remedy("activate", str(NotStartable.activate_remedy), [row.cuid for row in inactive])
        ],
    )


def _refuse_mixed_contexts(closure: Sequence[Any]) -> None:
    key = closure[0].context_key
    other = [row for row in closure if row.context_key != key or not row.in_force]
    if other:
        raise NotStartable(
            NotStartable.context_message.format(versions=", ".join(map(str, other))),
            blockers=_blocking([row.workflow for row in other]),
        )


def _refuse_entity_of_other_context(workflow: Any, entity: Any, context_key: str) -> None:
    if entity.context_key == context_key:
        return
    problem = EntityTypeMismatch.problem.format(
        entity_type=entity.described_context().type_cuid,
        workflow_type=workflow.described_context().type_cuid,
    )
    raise EntityTypeMismatch(
        EntityTypeMismatch.exact_message.format(
            entity=entity,
            entity_type=entity.context_type,
            workflow=workflow.title,
            workflow_type=workflow.context_type,
        ),
        problems=[Problem("/entity", EntityTypeMismatch.code, problem)],
    )


def _blocking(workflows: Sequence[Any]) -> Blockers:
    rows = [BlockingWorkflow(row.cuid, row.title) for row in workflows]
    return Blockers((), rows, len(rows))
