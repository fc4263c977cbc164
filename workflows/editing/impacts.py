"""What a change of entity context would meet, before anybody makes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db.models import Exists, OuterRef

from workflows import guards
from workflows.editing.context_edit import ContextChange, workflows_of
from workflows.editing.drain import judge_hold
from workflows.editing.impact_token import token_of
from workflows.models import Context, Version, Workflow
from workflows.refusals import BlockingWorkflow, Refusal

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
    could_wait: bool = False
    """Whether it could be put on hold; known where that was asked for too."""
    not_on_hold: Refusal | None = None
    """What refuses that, although live executions alone were waited for."""

    @property
    def allowed(self) -> bool:
        """Whether the change would be made if it were sent now."""
        return self.refusal is None


def impact(
    workflows: Iterable[Workflow], context: Context, *, when: Literal["now", "drained"] = "now"
) -> Impact:
    """Judge the change as the change itself would, and write nothing.

    Args:
        when: ``drained`` asks also whether it could wait for the live executions in its way.

    Raises:
        guards.Gone: one of the workflows has been deleted.
    """
    ids = sorted({row.pk for row in workflows})
    rows = workflows_of(ids, DB)
    change = ContextChange(rows, context, DB)
    # Before the judgement: what comes between the two makes the token stale.
    token = token_of(ids, change)
    refusal = None
    try:
        change.judge()
    except guards.Refusal as refused:
        refusal = refused
    asks = when == "drained" and refusal is not None and _waits_alone(refusal)
    not_on_hold = None
    if asks:
        try:
            judge_hold(ids, change)
        except guards.Refusal as refused:
            not_on_hold = refused
    return Impact(
        refusal,
        rows,
        change.group() if change.workflows else [],
        _given(change.workflows),
        token,
        asks and not_on_hold is None,
        not_on_hold,
    )


def _waits_alone(refusal: Refusal) -> bool:
    """Whether live executions are all that it is refused for."""
    waited_for = {guards.ActiveExecutions.code, guards.DependentActiveExecutions.code}
    return {refusal.code, *(row.code for row in refusal.problems)} <= waited_for


def _given(workflows: Sequence[Any]) -> list[GivenVersion]:
    def has(relation: str) -> Exists:
        model: Any = Version._meta.get_field(relation).related_model
        return Exists(model._base_manager.using(DB).filter(version_id=OuterRef("pk")))

    latest: Any = Version.objects.using(DB).latest_of_each()
    rows = latest.filter(workflow__in=[row.pk for row in workflows])
    found = {
        pk: (number, kept)
        for pk, number, kept in rows.annotate(kept=has("executions") | has("pins")).values_list(
            "workflow_id", "number", "kept"
        )
    }
    return [
        GivenVersion(row, found[row.pk][0] + found[row.pk][1], not found[row.pk][1])
        for row in workflows
        if row.pk in found
    ]
