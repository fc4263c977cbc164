"""Changing the state of a workflow: draft, active, retired."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext

from workflows import guards
from workflows.audit.audited_model import change_attempts
from workflows.audit.log import recording_refusals
from workflows.db import locks
from workflows.editing.context_change import lock_for_edit
from workflows.guards.database_errors import translate_database_errors
from workflows.models import Workflow
from workflows.refusals import Problem


@translate_database_errors
def set_state(workflow: Workflow, state: str) -> Workflow:
    """Set the state of a workflow, which is read again.

    Raises:
        guards.HasCallers: it would retire while another workflow's latest version calls it.
        graph.WorkflowValidationError: it would return from retirement with a call that is no
            longer possible.
        guards.RowDeleted: it has been deleted.
    """
    row: Workflow | None = Workflow.objects.filter(pk=workflow.pk).first()
    if row is None:
        raise guards.workflow_deleted(workflow)
    row.state = state
    row.save(update_fields=["state", "updated_at"])
    return row


@translate_database_errors
@locks.retrying
def change_state(workflow: Workflow, state: str, *, read: str) -> Workflow:
    """Set the state of a workflow for a user who saw the state ``read`` on a page.

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
    # The transaction rolls back a refusal's audit entry, so it is recorded outside.
    with recording_refusals(list), transaction.atomic():
        lock_for_edit([workflow.pk], locks.Strength.NO_KEY_UPDATE)
        now = Workflow.objects.filter(pk=workflow.pk).values_list("state", flat=True).first()
        if now is not None and now not in (read, state):
            refusal = guards.Stale([Problem("/state", guards.Stale.code, _both(now, read))])
            refusal.attempts = change_attempts(workflow, {"state": now}, {"state": state})
            raise refusal
        return set_state(workflow, state)


def _both(now: str, read: str) -> str:
    states = Workflow.State
    labels = {"now": states(now).label, "read": states(read).label}
    return gettext("State: now “%(now)s”, on your page “%(read)s”.") % labels


def retire(workflow: Workflow) -> Workflow:
    """Retire a workflow: no new execution starts on it. Raises what ``set_state`` raises."""
    return set_state(workflow, Workflow.State.RETIRED)
