"""Making a workflow a draft, active or retired."""

from __future__ import annotations

from workflows import guards
from workflows.database_refusals import translated
from workflows.models import Workflow


@translated
def set_state(workflow: Workflow, state: str) -> Workflow:
    """Make a workflow a draft, active or retired.

    Raises:
        guards.Referenced: it would retire while another workflow's latest version calls it.
        graph.WorkflowValidationError: it would come back with a call that is not possible
            any more.
    """
    row: Workflow | None = Workflow.objects.filter(pk=workflow.pk).first()
    if row is None:
        raise guards.Gone(f"The workflow “{workflow}” has been deleted.")
    row.state = state
    row.save(update_fields=["state", "updated_at"])
    return row


def retire(workflow: Workflow) -> Workflow:
    """Let no new execution start on it. Raises ``guards.Referenced`` while others call it."""
    return set_state(workflow, Workflow.State.RETIRED)
