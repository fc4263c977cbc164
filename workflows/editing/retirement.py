"""Making a workflow a draft, active or retired."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext

from workflows import guards
from workflows.audit.audited_model import changed
from workflows.audit.log import attempting
from workflows.db import locks
from workflows.editing.context_edit import lock_for_edit
from workflows.guards.database_errors import translated
from workflows.models import Workflow
from workflows.refusals import Problem

DB = "default"


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


@translated
@locks.retrying
def change_state(workflow: Workflow, state: str, *, read: str) -> Workflow:
    """Set the state of a workflow for a person who decided on the state that a page showed.

    Args:
        workflow: the workflow, which is read again.
        state: the new state.
        read: the state that the page showed.

    Returns:
        The workflow as it was saved.

    Raises:
        guards.Stale: it has neither the state that the page showed nor the new one.
        Refusal: what ``set_state`` raises.
    """
    # A refusal's audit entry is rolled back with the transaction: it is recorded afterwards.
    with attempting(list), transaction.atomic():
        lock_for_edit([workflow.pk], DB, locks.Strength.NO_KEY_UPDATE)
        now = Workflow.objects.filter(pk=workflow.pk).values_list("state", flat=True).first()
        if now is not None and now not in (read, state):
            refusal = guards.Stale([Problem("/state", guards.Stale.code, _both(now, read))])
            refusal.attempts = changed(workflow, {"state": now}, {"state": state})
            raise refusal
        return set_state(workflow, state)


def _both(now: str, read: str) -> str:
    states = Workflow.State
    labels = {"now": states(now).label, "read": states(read).label}
    return gettext("State: now “%(now)s”, on your page “%(read)s”.") % labels


def retire(workflow: Workflow) -> Workflow:
    """Let no new execution start on it. Raises ``guards.Referenced`` while others call it."""
    return set_state(workflow, Workflow.State.RETIRED)
