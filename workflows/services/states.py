"""Making a workflow a draft, active or retired."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext

from workflows import guards, locks
from workflows.database_refusals import translated
from workflows.models import Workflow
from workflows.models.audit import attempting
from workflows.models.audited import changed
from workflows.models.context_change import lock_for_edit
from workflows.refusals import Problem

DB = "default"


@translated
@locks.retrying
def set_state(workflow: Workflow, state: str, *, read: str | None = None) -> Workflow:
    """Make a workflow a draft, active or retired.

    Args:
        workflow: the workflow, which is read again.
        state: the new state.
        read: the state that the person saw who decided; None where nobody did.

    Returns:
        The workflow as it was saved.

    Raises:
        guards.Stale: it has neither the state that was read nor the new one.
        guards.Referenced: it would retire while another workflow's latest version calls it.
        graph.WorkflowValidationError: it would come back with a call that is not possible
            any more.
    """
    # What is refused inside the transaction is recorded after it.
    with attempting(list), transaction.atomic():
        lock_for_edit([workflow.pk], DB, locks.Strength.NO_KEY_UPDATE)
        row: Workflow | None = Workflow.objects.filter(pk=workflow.pk).first()
        if row is None:
            raise guards.Gone(f"The workflow “{workflow}” has been deleted.")
        if read is not None and row.state not in (read, state):
            refusal = guards.Stale([Problem("/state", guards.Stale.code, _both(row.state, read))])
            refusal.attempts = changed(row, {"state": row.state}, {"state": state})
            raise refusal
        row.state = state
        row.save(update_fields=["state", "updated_at"])
        return row


def _both(now: str, read: str) -> str:
    states = Workflow.State
    labels = {"now": states(now).label, "read": states(read).label}
    return gettext("State: now “%(now)s”, on your page “%(read)s”.") % labels


def retire(workflow: Workflow) -> Workflow:
    """Let no new execution start on it. Raises ``guards.Referenced`` while others call it."""
    return set_state(workflow, Workflow.State.RETIRED)
