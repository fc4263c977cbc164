"""What a change of entity context would meet, before anybody makes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from workflows import guards
from workflows.models import Context, Workflow
from workflows.models.context_change import ContextChange, workflows_of
from workflows.refusals import BlockingWorkflow, Refusal
from workflows.services.tokens import token_of

DB = "default"


@dataclass(frozen=True, slots=True)
class GivenVersion:
    """A version that the change would give a workflow; whether it would replace the latest."""

    workflow: Workflow
    number: int
    replaces: bool


@dataclass(frozen=True, slots=True)
class Impact:
    """Whether the change is allowed now, what refuses it, who must move along, what it makes."""

    refusal: Refusal | None
    workflows: Sequence[Workflow]
    group: Sequence[BlockingWorkflow]
    versions: Sequence[GivenVersion]
    token: str

    @property
    def allowed(self) -> bool:
        """Whether the change would be made if it were sent now."""
        return self.refusal is None


def impact(workflows: Iterable[Workflow], context: Context) -> Impact:
    """Judge the change as the change itself would, and write nothing.

    Raises:
        guards.Gone: one of the workflows has been deleted.
    """
    ids = sorted({row.pk for row in workflows})
    change = ContextChange(workflows_of(ids, DB), context, DB)
    # Before the judgement: what comes between the two makes the token stale.
    token = token_of(ids, change)
    refusal = None
    try:
        change.judge()
    except guards.Refusal as refused:
        refusal = refused
    return Impact(
        refusal,
        workflows_of(ids, DB),
        change.group() if change.workflows else [],
        [_given(row) for row in change.workflows],
        token,
    )


def _given(workflow: Any) -> GivenVersion:
    latest = workflow.latest_version
    kept = latest.executions.exists() or latest.pins.exists()
    return GivenVersion(workflow, latest.number + kept, not kept)
