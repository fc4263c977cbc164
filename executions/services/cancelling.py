"""Cancelling an execution."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from executions.models import Execution
from executions.services.advancing import lock_tree
from workflows.audit.log import Action, make_attempt, record, recording_refusals
from workflows.db import locks
from workflows.guards.database_errors import translate_database_errors


def cancel(execution: Execution, *, by: Any = None, why: str = "") -> Execution:
    """Cancel an execution and its child executions; a step that called it has an incident.

    Raises:
        guards.ExecutionEnded: the execution has ended.
    """
    attempt = make_attempt(execution, Action.CANCELLED, why=why, by=by)
    with recording_refusals(lambda: [attempt]):
        return _cancel(execution, by, why)


@translate_database_errors
@locks.retrying
def _cancel(execution: Execution, by: Any, why: str) -> Execution:
    with transaction.atomic():
        advance, current = lock_tree(execution, by)
        before = current.status
        advance.cancel(current, why)
        advance.finish()
        cancelled = make_attempt(
            current,
            Action.CANCELLED,
            before={"status": before},
            after={"status": current.status},
            why=why,
            by=by,
        )
        record([cancelled])
        return current
